#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
# testbed: vm --timeout=1800
#
# A client that was written only against the D-Bus XML (tests/api) walks the whole API. In the virtual machine there are
# cgroup controllers and CRIU, too.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

have=()
if grep -q memory /sys/fs/cgroup/cgroup.controllers; then
        have+=(memory)
fi
if criu check >/dev/null 2>&1; then
        have+=(criu)
elif criu=$(command -v criu); then
        mv "$criu" "$criu.hidden" # one that does not work with this kernel
fi

registry_start
image_push busybox walk:latest
export WALK_REGISTRY=$test_dir/registry
relay 300 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/../api/client.py" --have="$(
        IFS=,
        echo "${have[*]}"
)" "$@"
