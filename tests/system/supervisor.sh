# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# testbed: run
#
# The supervisor without a manager: supervisor-driver plays that, systemd makes the scopes

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

driver=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/supervisor-driver

check "the exit status of the program is recorded and pushed" "$driver" exit
check "supervisor and payload have cgroups of their own" "$driver" cgroups
check "output goes to the journal under the scope's unit" "$driver" journal
check "systemctl stop: the program may end by itself" "$driver" stop
check "systemctl stop: it is killed when the time is up" "$driver" stop-kills
check "systemctl stop before START" "$driver" stop-created
check "a manager that goes and comes back finds the task" "$driver" manager-gone
check "a manager that goes before GO leaves nothing" "$driver" eof-before-go
check "a scope that systemd lost is told of (systemd#36781)" "$driver" lost-scope
check "a program that cannot be executed" "$driver" not-found
check "what init leaves behind is killed and reaped" "$driver" leftovers
check "a signal to all" "$driver" signal-all
check "a frozen payload stays frozen and can be killed" "$driver" frozen
check "cgroups that the container made are its payload too" "$driver" nested
check "a supervisor that is killed leaves no record and no trouble" "$driver" killed
check "a full /run delays the record" "$driver" full
check "the output of a program that ends at once is complete" "$driver" fast
check "a terminal, its size and its output" "$driver" terminal
check "no descriptor is held that the program owns" "$driver" descriptors
if [[ $(uname -m) == x86_64 ]]; then
        check "no system call of the set-up fails unnoticed, and nothing is left" "${driver%-driver}-faults"
fi
check "100 supervisors take at most 300 KiB each" "$driver" memory 100 300
