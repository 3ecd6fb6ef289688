#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
# testbed: vm --timeout=900
#
# Full file systems, descriptors that are no streams, none left, a thousand waiters, a supervisor that hangs, and (where
# there is a pids controller) a fork bomb. FAULTS_CASE=crowd tries only that.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

have=
if grep -q memory /sys/fs/cgroup/cgroup.controllers; then
        have=memory
fi
registry_start
image_push busybox walk:latest
image_push layers layers:latest
least=40
if [[ -n ${FAULTS_CASE:-} ]]; then
        least=1
fi
relay $least /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/../api/faults.py" "--have=$have" ${FAULTS_CASE:+"$FAULTS_CASE"}
