#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# A manager that is killed while execs run, while clients wait for them and are attached to them: all is found again,
# and each exit is told once, with its true status and time.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

task=$(path_of box)
state=/run/ctr/tasks/default/box

kill_manager() {
        local pid

        pid=$(manager_pid)
        ((pid > 0)) && kill -KILL "$pid" || return
        wait_until 5 test ! -d "/proc/$pid"
}

# exits ID: how many exits of it the history has.
exits() {
        busctl --json=short call $destination $root $destination.Manager ListEvents 'a{sv}' 1 \
                Filters as 1 "topic==/tasks/exit,event.Id==$1" | grep -o '"/tasks/exit"' | wc -l
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
check "a container" ctrctl run -d --name box "$image" sleep 1000

check "an exec that is only added" exec_add box added "1 Stdout s attach" sh -c 'exit 21'
check "one that runs" exec_add box runs "2 Start b true Stdout s null" sleep 1000
check "one that ends soon" exec_add box soon "3 Start b true Stdin s attach Stdout s attach" sh -c 'read x; exit 22'
check "one that has ended" exec_add box ended "1 Start b true" sh -c 'exit 23'
check_equal "with its status" 23 "$(wait_status "$task/exec/ended")"
check "one that is attached to" exec_add box cat "3 Start b true Stdin s attach Stdout s attach" cat
check "one on a terminal" exec_add box tty "2 Start b true Terminal b true" sh -c 'read x; exit 25'
check "one that goes by itself" exec_add box brief "4 Start b true AutoRemove b true Stdin s attach Stdout s attach" sh -c 'read x; exit 26'
pid=$(property "$task/exec/runs" Process.Pid)
ended=$(property "$task/exec/ended" Process.ExitedAt)
started=$(property "$task/exec/runs" Process.StartedAt)

attach cat box cat
cat_client=$client_pid
cat_in=$in
cat_out=$out
"$client" wait 100 box runs >"$test_dir/waiters" 2>&1 &
waiters=$!
wait_until 10 grep -q waiting "$test_dir/waiters"

# --- killed, once and again
for round in 1 2 3; do
        check "A4.3: kill -9 of the manager, round $round" kill_manager
        check_within "A5.16: the task is found" 10 property_is "$task" Process.Status RUNNING
        check_equal "an exec that runs" "RUNNING $pid $started" "$(property "$task/exec/runs" Process.Status) $(
                property "$task/exec/runs" Process.Pid) $(property "$task/exec/runs" Process.StartedAt)"
        check_equal "one that is added" "CREATED attach" "$(property "$task/exec/added" Process.Status) $(
                property "$task/exec/added" Process.Stdout)"
        check_equal "one that has ended" "STOPPED 23 true $ended" "$(for p in Status ExitStatus ExitStatusKnown ExitedAt; do
                property "$task/exec/ended" "Process.$p"; done | xargs)"
        check_equal "one on a terminal" "RUNNING true" "$(property "$task/exec/tty" Process.Status) $(
                property "$task/exec/tty" Process.Terminal)"
        echo "round $round" >&"$cat_in"
        check_within "the client is attached all the time" 5 grep -qx "round $round" "$cat_out"
done
check "A3.4: who waited on a manager that died" wait "$waiters"
check_match "is told that it did" '100 .*(NoReply|Disconnected|disconnected)' "$(cat "$test_dir/waiters")"
"$client" wait 100 box runs >"$test_dir/waiters" 2>&1 &
waiters=$!
wait_until 10 grep -q waiting "$test_dir/waiters"

# --- ends that nobody saw
attach soon box soon
soon_in=$in
attach brief box brief
brief_in=$in
check "another kill -9" kill_manager
echo go >&"$soon_in"
echo go >&"$brief_in"
check_within "D33: an exec ends while there is no manager" 10 test -e "$state/exit-soon.json"
at=$(sed -n 's/.*"exited_*[aA]t" *: *\([0-9]*\).*/\1/p' "$state/exit-soon.json")
check_equal "its status is the true one" "22 true" "$(wait_status "$task/exec/soon") $(property "$task/exec/soon" Process.ExitStatusKnown)"
check_equal "and its time" "$at" "$(property "$task/exec/soon" Process.ExitedAt)"
check_within "one that goes by itself has gone" 10 bash -c "! busctl introspect $destination $task/exec/brief >/dev/null 2>&1"
check "and one more" kill_manager
for id in soon ended brief; do
        check_within "each exit is told once: $id" 5 eval "[[ \$(exits $id) == 1 ]]"
done
check_equal "and none of what runs" 0 "$(exits runs)"

# --- they are as good as before
check_match "the added one starts" '^u [1-9]' "$(call "$task/exec/added" Process.Start 'a{sv}' 0)"
check_equal "and ends" 21 "$(wait_status "$task/exec/added")"
check "the running one is killed" call "$task/exec/runs" Process.Kill 'ia{sv}' 9 0
check_equal "and is waited for" 137 "$(wait_status "$task/exec/runs")"
check "delete them" eval 'for id in added runs soon ended; do call "$task/exec/$id" Process.Delete "a{sv}" 0 || exit; done'
check_equal "A5.12: nothing of them is left" "" "$(find "$state" -regextype egrep -regex '.*(added|runs|soon|ended|brief).*')"
kill "$waiters" 2>/dev/null

# --- clients that die while there is no manager
adding() {
        "$client" add box "$1" sleep 1000 >"$test_dir/$1" 2>&1 &
        adding=$!
        wait_until 20 grep -q added "$test_dir/$1"
}
check "an exec of a client that is about to start it" adding left
left=$adding
check "another one" adding kept
kept=$adding
manager=$(manager_pid)
check "the manager sees nothing" kill -STOP "$manager"
check "of the end of a client" kill -KILL "$left"
wait "$left" 2>/dev/null
check "and dies" kill -KILL "$manager"
check_within "its successor removes that one's exec" 10 bash -c "! busctl introspect $destination $task/exec/left >/dev/null 2>&1"
check_equal "and not that of a client that lives" CREATED "$(property "$task/exec/kept" Process.Status)"
check "which dies, too" kill -KILL "$kept"
check_within "and takes its exec along" 10 bash -c "! busctl introspect $destination $task/exec/kept >/dev/null 2>&1"

# --- a damaged document
check "an exec whose document is damaged" exec_add box damaged "1 Start b true" sleep 1000
# which the one who wrote it does not read again
echo '{"process' >"$state/exec-damaged.json"
check "kill -9" kill_manager
check_within "D35: stops nothing" 10 property_is "$task" Process.Status RUNNING
check_within "is set aside" 10 test -e "$state/exec-damaged.json.damaged"
check_match "and reported" "exec-damaged.json" "$(journal_wait 10 'exec-damaged.json.*set aside')"
check_match "its process is one of the container's" '""' "$(call "$task" Task.Pids 'a{sv}' 0)"

# --- the supervisor killed
check "the supervisor is killed" kill -KILL "$(head -n 1 /sys/fs/cgroup/ctr.slice/ctr-box.scope/supervisor/cgroup.procs)"
check_equal "A3.1: then nobody knows how its execs ended" "255 false" "$(wait_status "$task/exec/cat") $(
        property "$task/exec/cat" Process.ExitStatusKnown)"
check "kill -9" kill_manager
check_equal "also later" "STOPPED 255 false" "$(for p in Status ExitStatus ExitStatusKnown; do property "$task/exec/cat" "Process.$p"; done | xargs)"
exec {cat_in}>&-
check "D10: who is attached sees the end" timeout 120 tail --pid="$cat_client" -f /dev/null
check "remove all" ctrctl rm --force box
