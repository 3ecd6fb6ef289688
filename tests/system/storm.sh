#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Many clients call for the same containers at once, while nothing dies and while everything does. STORM_SEED and
# STORM_CALLS make it another or a longer one.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

registry_start
image_push busybox walk:latest
relay 9 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/../api/storm.py" \
        ${STORM_SEED:+--seed="$STORM_SEED"} ${STORM_CALLS:+--calls="$STORM_CALLS"}
