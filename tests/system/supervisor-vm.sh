# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# testbed: vm --timeout=900
#
# The supervisor without a manager where all cgroup controllers are: what needs them, and the main things once more

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

driver=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/supervisor-driver

check "the exit status of the program is recorded and pushed" "$driver" exit
check "all controllers of the scope are handed down" "$driver" cgroups
check "systemctl stop: it is killed when the time is up" "$driver" stop-kills
check "an OOM kill is told before the exit" "$driver" oom
check "10 supervisors take at most 300 KiB each" "$driver" memory 10 300
