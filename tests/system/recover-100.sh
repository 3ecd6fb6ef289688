#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# A hundred tasks outlive the manager (killed, upgraded), systemd (reloaded, executed anew), and the bus; damaged records
# are set aside. The reboot is one in all that the manager can see; reboot-vm.sh has one of a machine.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

registry_start
image_push busybox walk:latest
relay 60 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/../api/recover.py"
