#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Tasks that are paused: what is seen, what is refused, and how they end all the same.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

task=$(path_of box)
count=$test_dir/count

# start_counter: a container that appends a line to $count all the time.
start_counter() {
        : >"$count"
        ctrctl create --name box "$image" sh -c 'trap "exit 6" TERM; while :; do echo .; sleep 0.02; done' >/dev/null &&
                call "$root/container/default/box" Container.CreateTask 'a{sv}' 1 Stdout s "file:$count" >/dev/null &&
                call "$task" Process.Start 'a{sv}' 0 >/dev/null &&
                wait_until 5 test -s "$count"
}

frozen() {
        grep -qx "frozen 1" /sys/fs/cgroup/ctr.slice/ctr-box.scope/payload/cgroup.events
}

# moves: there is more after half a second. Only the contrary is certain.
moves() {
        local before

        before=$(stat -c %s "$count")
        sleep 0.5
        (($(stat -c %s "$count") > before))
}

# grows: there is more in time.
grows() {
        local before

        before=$(stat -c %s "$count")
        wait_until 10 eval "[[ \$(stat -c %s '$count') -gt $before ]]"
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- states
check "a container" ctrctl create --name box "$image" true
check "its task" call "$root/container/default/box" Container.CreateTask 'a{sv}' 0
check_fails "D2: one that is not started" "cannot pause task in created state" call "$task" Task.Pause 'a{sv}' 0
check "remove it" ctrctl rm --force box

check "a container that is at work" start_counter
bus_record changes "type='signal',path='$task',member='PropertiesChanged'"
check "A2.5: pause" call "$task" Task.Pause 'a{sv}' 0
check "is answered when it is frozen" frozen
check_equal "which is its status" PAUSED "$(property "$task" Process.Status)"
check_match "D3: by way of PAUSING" '"PAUSING"' "$(bus_expect changes 5 PAUSING)"
check_exit "nothing moves" 1 moves
check_fails "D2: not twice" "cannot pause a paused container" call "$task" Task.Pause 'a{sv}' 0
check_fails "nor is it started" "cannot start a paused process" call "$task" Process.Start 'a{sv}' 0
check_fails "D13: nor deleted" "PAUSED" call "$task" Process.Delete 'a{sv}' 0
check "A2.5: resume" call "$task" Task.Resume 'a{sv}' 0
check_equal "is its status" RUNNING "$(property "$task" Process.Status)"
check "and it goes on" grows
check_fails "D2: not twice" "cannot resume a running process" call "$task" Task.Resume 'a{sv}' 0

# --- execs
check "an exec" exec_add box held "1 Start b true" sleep 1000
check "pause" call "$task" Task.Pause 'a{sv}' 0
check_equal "D17: an exec is paused with its container" PAUSED "$(property "$task/exec/held" Process.Status)"
check "it can be killed" call "$task/exec/held" Process.Kill 'ia{sv}' 9 0
check_equal "and ends" 137 "$(wait_status "$task/exec/held")"
check_equal "A stopped one is not paused" STOPPED "$(property "$task/exec/held" Process.Status)"

# --- a new manager
check "kill -9 of the manager" manager_kill
check_within "D3: a paused task is found again" 10 property_is "$task" Process.Status PAUSED
check "as it was" frozen
check "resume" call "$task" Task.Resume 'a{sv}' 0
check "and it goes on" grows

# --- the end of what is paused
check "pause" call "$task" Task.Pause 'a{sv}' 0
check_match "D4: Stop thaws it for its signal" '^ut 6 ' "$(call "$task" Task.Stop 'a{sv}' 0)"
check_fails "D2: a stopped one is not paused" "cannot pause a stopped container" call "$task" Task.Pause 'a{sv}' 0
check "remove it" ctrctl rm box
for how in "Process.Kill ia{sv} 9 0" "Process.Kill ia{sv} 9 1 All b true" "Task.Stop a{sv} 2 Signal i 10 Force b true"; do
        check "another one" start_counter
        check "paused" call "$task" Task.Pause 'a{sv}' 0
        # shellcheck disable=SC2086
        check "$how" call "$task" $how
        check_match "ends it" '^(137|138|6)$' "$(wait_status "$task")"
        check "remove it" ctrctl rm box
done
check "another one" start_counter
check "paused" call "$task" Task.Pause 'a{sv}' 0
check "D13: delete by force" call "$task" Process.Delete 'a{sv}' 1 Force b true
check_within "leaves no scope" 5 bash -c '! systemctl is-active --quiet ctr-box.scope'
check "remove it" ctrctl rm box
check "another one" start_counter
check "paused" call "$task" Task.Pause 'a{sv}' 0
check "systemctl stop" timeout 180 systemctl stop ctr-box.scope
check_match "D4: ends it, too" '^(6|137)$' "$(wait_status "$task")"
