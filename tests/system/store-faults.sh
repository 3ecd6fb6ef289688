#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=600
#
# The history of events while the store is full or read-only, and the manager killed meanwhile; and answers of ListEvents
# that are too large for one message, or take their time

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

registry_start
image_push busybox walk:latest
relay 40 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/../api/store_faults.py"
