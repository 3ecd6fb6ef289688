#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# shellcheck disable=SC2016
#
# Execs: further processes in a container, added and started, or both at once.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

out=$test_dir/out
task=$(path_of box)

# shot ID 'OPTIONS' COMMAND...: run it at once with its output in $out; print its status and delete it.
shot() {
        local -a options

        rm -f "$out"
        read -ra options <<<"${2:-0}"
        exec_add box "$1" "$((options[0] + 3)) ${options[*]:1} Start b true Stdout s file:$out Stderr s file:$out" \
                "${@:3}" >/dev/null || return
        wait_status "$task/exec/$1"
        call "$task/exec/$1" Process.Delete 'a{sv}' 0 >/dev/null
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
check "a container to run programs in" ctrctl run -d --name box --env WHO=container "$image" sleep 1000

# --- two phases
check "A5.19: an exec is added" exec_add box one "" sh -c 'exit 5'
check_equal "and is there, not started" CREATED "$(property "$task/exec/one" Process.Status)"
check_equal "A4.13: under its own id" one "$(property "$task/exec/one" Process.ExecId)"
check_fails "D16: an id is taken at once" 'exec with id "one"' exec_add box one "" true
check_fails "A5.19: an id is needed" "exec id must not be empty" exec_add box "" "" true
check_fails "and checked" "is not a valid|exec id" exec_add box ../x "" true
check_fails "D7: it cannot be signalled yet" "process not created" call "$task/exec/one" Process.Kill 'ia{sv}' 9 0
wait_status "$task/exec/one" >"$test_dir/status" &
check_match "A5.10: its start answers its pid" '^u [1-9]' "$(call "$task/exec/one" Process.Start 'a{sv}' 0)"
check "A3.3: who waited since before the start" wait $!
check_equal "hears its status" 5 "$(cat "$test_dir/status")"
check_equal "A5.24: as does who waits later" 5 "$(wait_status "$task/exec/one")"
check_equal "it has stopped" STOPPED "$(property "$task/exec/one" Process.Status)"
check_equal "its container has not" RUNNING "$(property "$task" Process.Status)"
check_fails "D1: it cannot be started again" "cannot start a stopped process" call "$task/exec/one" Process.Start 'a{sv}' 0
check_fails "D7: nor signalled" "process already finished" call "$task/exec/one" Process.Kill 'ia{sv}' 0 0
check_match "A5.12: Delete answers how it ended" '^uut [1-9][0-9]* 5 [1-9]' "$(call "$task/exec/one" Process.Delete 'a{sv}' 0)"
check_fails "and it is gone" "Unknown object" property "$task/exec/one" Process.Status
check "D15: its id can be used again" exec_add box one "" true
check "also without a start before its end" call "$task/exec/one" Process.Delete 'a{sv}' 0
check_equal "nothing of it is left" "" "$(find /run/ctr/tasks/default/box -name "*-one.json*")"

# --- at once
check_equal "A2.7: added and started by one call" 42 "$(shot two "" sh -c 'exit 42')"
check_equal "D8: a signal is 128 and its number" 137 "$(shot two "" sh -c 'kill -9 $$')"
check_fails "D18: what is not there is said at once" "no/such" exec_add box two "1 Start b true" /no/such
check "and leaves nothing" shot two "" true
check "in two phases it stays" exec_add box gone "" /no/such
check_fails "with the error as its start's" "CommandNotFound|no/such" call "$task/exec/gone" Process.Start 'a{sv}' 0
check_equal "D17: until it is deleted" "127 true" "$(property "$task/exec/gone" Process.ExitStatus) $(property "$task/exec/gone" Process.ExitStatusKnown)"
check "as any other" call "$task/exec/gone" Process.Delete 'a{sv}' 0
check "one that goes by itself" exec_add box brief "2 Start b true AutoRemove b true" true
check_within "does" 5 bash -c "! busctl introspect $destination $task/exec/brief >/dev/null 2>&1"

# --- a client that dies between Exec and Start
# adding ID: a client that has added an exec, and nothing more, as $adding.
adding() {
        "$client" add box "$1" sleep 1000 >"$test_dir/$1" 2>&1 &
        adding=$!
        wait_until 20 grep -q added "$test_dir/$1"
}

check "an exec that its client is about to start" adding left
left=$adding
check_equal "is there" CREATED "$(property "$task/exec/left" Process.Status)"
check "so is another one" adding kept
kept=$adding
check_match "which somebody starts" '^u [1-9]' "$(call "$task/exec/kept" Process.Start 'a{sv}' 0)"
check "without AutoRemove it is nobody's" exec_add box nobody "" true
check "the clients die" kill -KILL "$kept" "$left"
check_within "the first exec goes with its client" 10 bash -c "! busctl introspect $destination $task/exec/left >/dev/null 2>&1"
check_equal "nothing of it is left" "" "$(find /run/ctr/tasks/default/box -name "*-left.json*")"
check_equal "its id is free" "0" "$(shot left "" true)"
check_equal "the started one runs" RUNNING "$(property "$task/exec/kept" Process.Status)"
check_equal "nobody's stays" CREATED "$(property "$task/exec/nobody" Process.Status)"
check "clean up" eval 'call "$task/exec/kept" Process.Kill "ia{sv}" 9 0 && call "$task/exec/nobody" Process.Delete "a{sv}" 0'

# --- what it runs with
check_equal "A2.2: it has the container's environment" "0 container" "$(shot env "" sh -c 'echo $WHO') $(cat "$out")"
check_equal "or another" "0 exec-" "$(shot env "1 Environment as 2 MORE=exec WHO" sh -c 'echo $MORE-$WHO') $(cat "$out")"
check_equal "a directory" "0 /etc" "$(shot cwd "1 WorkingDirectory s /etc" pwd) $(cat "$out")"
check_equal "a user" "0 65534:0" "$(shot user "1 User s nobody:root" sh -c 'echo $(id -u):$(id -g)') $(cat "$out")"
check_equal "no new privileges, as init" "0 1" "$(shot nnp "" sed -n 's/^NoNewPrivs:\t//p' /proc/self/status) $(cat "$out")"
check_equal "or with them" "0 0" "$(shot nnp "1 NoNewPrivileges b false" sed -n 's/^NoNewPrivs:\t//p' /proc/self/status) $(cat "$out")"
check_equal "a limit" "0 77" "$(shot limit "1 Rlimits a(stt) 1 RLIMIT_NOFILE 77 88" sh -c 'ulimit -n') $(cat "$out")"
check_equal "a terminal of a size" "0 40 100" "$(shot tty "3 Terminal b true Width u 100 Height u 40" stty size) $(tr -d '\r' <"$out")"
check_equal "A2.8: it is in the container's cgroup" "0 payload" \
        "$(shot place "" true) $(exec_add box held "1 Start b true" sleep 1000 >/dev/null
        sed -n 's,^0::.*/,,p' "/proc/$(property "$task/exec/held" Process.Pid)/cgroup")"
held=$(property "$task/exec/held" Process.Pid)
check_match "D23: the pids tell it from the others" " $held \"held\"" "$(call "$task" Task.Pids 'a{sv}' 0)"
check_match "init is none of an id" " $(property "$task" Process.Pid) \"\"" "$(call "$task" Task.Pids 'a{sv}' 0)"
check_fails "D13: what runs is not deleted" "process must be stopped before deletion: running" call "$task/exec/held" Process.Delete 'a{sv}' 0
check_match "unless by force" '^uut [1-9][0-9]* 137 ' "$(call "$task/exec/held" Process.Delete 'a{sv}' 1 Force b true)"
check "A2.6: a signal" exec_add box held "1 Start b true" sleep 1000
check "to all" call "$task/exec/held" Process.Kill 'ia{sv}' 9 1 All b true
check_equal "is one to the exec" 137 "$(wait_status "$task/exec/held")"
check_equal "and no other" RUNNING "$(property "$task" Process.Status)"

# --- descriptors, and much
check_exit "A4.13: on the caller's own streams" 7 "$client" exec box fds sh -c 'read x; echo "heard $x"; exit 7' <<<"hello"
check_equal "in both directions" "heard hello" "$stdout"
check_equal "D31: a hundred MiB arrive as they were" "$(head -c 100M /dev/zero | tr '\0' x | sha256sum)" \
        "$("$client" exec box much sh -c 'head -c 104857600 /dev/zero | tr "\0" x' </dev/null | sha256sum)"
mkfifo "$test_dir/fifo"
sha256sum <"$test_dir/fifo" >"$test_dir/sum" &
check "D27: through a fifo, too" exec_add box fifo "2 Start b true Stdout s $test_dir/fifo" sh -c 'head -c 104857600 /dev/zero | tr "\0" x'
check_equal "whose name needs no scheme" "fifo:$test_dir/fifo" "$(property "$task/exec/fifo" Process.Stdout)"
check_equal "its status" 0 "$(wait_status "$task/exec/fifo")"
check "and its end" wait $!
check_equal "say that all has arrived" "$(head -c 100M /dev/zero | tr '\0' x | sha256sum)" "$(cat "$test_dir/sum")"
check_fails "D30: a scheme that there is not" "unknown STDIO scheme" exec_add box bad "1 Stdout s tcp://x" true

# --- paused
check "pause" call "$task" Task.Pause 'a{sv}' 0
check_fails "D2: no exec in a paused container" "cannot exec in a paused state" exec_add box late "" true
check "resume" call "$task" Task.Resume 'a{sv}' 0

# --- the end of the container
waiters=()
bus_record exits "type='signal',interface='$destination.Process',member='Exited'"
for i in 1 2 3; do
        check "exec $i" exec_add box "last$i" "1 Start b true" sleep 1000
        wait_status "$task/exec/last$i" >"$test_dir/last$i" &
        waiters+=($!)
done
check "one that is not started" exec_add box never "" true
check "D10: the end of init" call "$task" Process.Kill 'ia{sv}' 9 0
check "is waited for" call "$task" Process.Wait 'a{sv}' 0
wait "${waiters[@]}"
check_equal "ends its execs" "137 137 137" "$(cat "$test_dir"/last[123] | xargs)"
check_equal "A3.1: one that never ran has no status" "255 false" \
        "$(property "$task/exec/never" Process.ExitStatus) $(property "$task/exec/never" Process.ExitStatusKnown)"
bus_expect exits 5 "\"$task\"" >/dev/null
check_equal "and is told last" "box" "$(grep -o '"path":"[^"]*"' "$test_dir/bus.exits" | sed -n '$s,.*/\([^/]*\)",\1,p')"
check_fails "D10: nothing can be run in it" "cannot exec in a stopped state" exec_add box late "" true
check "D15: its execs go with it" ctrctl rm box
check_fails "all of them" "Unknown object" property "$task/exec/last1" Process.Status

# --- many who wait
check "A4.6: a thousand who wait" ctrctl run -d --name many "$image" sleep 1000
"$client" wait 1000 many >"$test_dir/waiters" &
wait_until 20 grep -q waiting "$test_dir/waiters"
check "for one exit" ctrctl kill --signal=KILL many
check "are answered" wait $!
check_equal "all alike" "1000 137" "$(tail -n +2 "$test_dir/waiters")"
