# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# testbed: run
#
# Execs, attached clients, log programs and pausing, without a manager: supervisor-exec-driver plays that

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

driver=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/supervisor-exec-driver

check "an exec is in the container, at a terminal and without" "$driver" exec
check "init's end is told last (D10)" "$driver" order
check "pausing freezes all, stopping thaws" "$driver" pause
check "a signal to one process of the payload" "$driver" signal-pid
check "a log program gets all of the output (D30)" "$driver" logger
check "a supervisor with execs takes at most 300 KiB" "$driver" memory 300
check "300 execs leave nothing behind" "$driver" many 300
