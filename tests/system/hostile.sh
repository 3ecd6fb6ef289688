#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Every method of the XML with values that nobody means.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

registry_start
image_push busybox walk:latest
relay 100 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/../api/hostile.py"
