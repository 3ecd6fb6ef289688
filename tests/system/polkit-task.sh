#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Authorization of everything that changes a container or a task, each refused to a user without a rule, and with a rule
# that allows one container only.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=org.example.Ctr
manager=("$name" /org/example/Ctr "$name.Manager")

call() {
        busctl --timeout=60 call -- "$@"
}

user_call() {
        runuser -u tester -- busctl --timeout=60 --allow-interactive-authorization=no call -- "$@"
}

on_container() {
        "$1" "$name" "/org/example/Ctr/container/default/$2" "$name.Container" "${@:3}"
}

on_task() {
        "$1" "$name" "/org/example/Ctr/task/default/$2" "$name.$3" "${@:4}"
}

on_exec() {
        "$1" "$name" "/org/example/Ctr/task/default/other/exec/$2" "$name.Process" "${@:3}"
}

refused() {
        check_fails "a user may not $1" "nteractive authentication" "${@:2}"
}

registry_start
image_push busybox demo:latest
for id in mine other; do
        check "the container $id is made" call "${manager[@]}" CreateContainer 'ssa{sv}' "$id" localhost:5000/demo 2 \
                Pull s missing Command as 2 sleep 1000
done
check "the task of the other is there" on_container call other CreateTask 'a{sv}' 0

refused "make a task" on_container user_call mine CreateTask 'a{sv}' 0
refused "remove a container" on_container user_call mine Delete 'a{sv}' 0
refused "prune containers" user_call "${manager[@]}" PruneContainers 'a{sv}' 0
refused "label a container" on_container user_call mine SetLabels 'a{ss}' 1 k v
refused "read a specification" on_container user_call mine GetSpec 'a{sv}' 0
refused "read an image's configuration" user_call "$name" \
        /org/example/Ctr/image/default/localhost_3a5000_2fdemo_3alatest "$name.Image" Inspect 'a{sv}' 0
refused "remove the image" user_call "${manager[@]}" DeleteImage 'sa{sv}' localhost:5000/demo 0
refused "start a task" on_task user_call other Process Start 'a{sv}' 0
refused "signal a task" on_task user_call other Process Kill 'ia{sv}' 9 0
refused "stop a task" on_task user_call other Task Stop 'a{sv}' 0
refused "resize a terminal" on_task user_call other Process ResizePty 'uua{sv}' 80 25 0
refused "close a standard input" on_task user_call other Process CloseIO 'a{sv}' 1 Stdin b 1
refused "delete a task" on_task user_call other Process Delete 'a{sv}' 0
check_equal "none of it happened" 's "CREATED"' \
        "$(busctl get-property "$name" /org/example/Ctr/task/default/other "$name.Process" Status)"
check_match "a user sees them" '"CREATED"' "$(user_call "${manager[@]}" ListTasks 'a{sv}' 0)"

cat >/etc/polkit-1/rules.d/10-test.rules <<'RULE'
polkit.addRule(function(action, subject) {
        if (subject.user == "tester" && action.lookup("container") == "mine" &&
            action.lookup("namespace") == "default" && action.lookup("image") == "localhost:5000/demo:latest" &&
            (action.id == "org.example.Ctr.task-start" || action.id == "org.example.Ctr.task-signal"))
                return polkit.Result.YES;
});
RULE
systemctl restart polkit.service

refused "write to a file of the host as root, which is another action" \
        on_container user_call mine CreateTask 'a{sv}' 1 Stdout s file:/etc/written
refused "run a program of the host as root" \
        on_container user_call mine CreateTask 'a{sv}' 1 Stderr s 'binary:///usr/bin/touch?/etc/written'
refused "restore what somebody made" on_container user_call mine CreateTask 'a{sv}' 1 CheckpointPath s /tmp
check_fails "none of it happened" "No such file" ls /etc/written
check "with a rule a user may make the task of one container" on_container user_call mine CreateTask 'a{sv}' 0
refused "make that of another" on_container user_call other CreateTask 'a{sv}' 0
user_call "$name" /org/example/Ctr/task/default/mine "$name.Process" Wait 'a{sv}' 0 >"$test_dir/wait" &
waiter=$!
check "... start it" on_task user_call mine Process Start 'a{sv}' 0
check "... ask whether it lives" on_task user_call mine Process Kill 'ia{sv}' 0 0
check_match "... stop it and get its status" '^ut 1[0-9]+ ' \
        "$(on_task user_call mine Task Stop 'a{sv}' 3 Signal i 15 TimeoutUSec t 200000 Force b 1)"
wait "$waiter"
check_match "... and who waits for it gets the same" '^ut 1[0-9]+ ' "$(<"$test_dir/wait")"
check "... delete it" on_task user_call mine Process Delete 'a{sv}' 0
refused "remove the container, which is another action" on_container user_call mine Delete 'a{sv}' 0
refused "start that of another" on_task user_call other Process Start 'a{sv}' 0

# --- one who may exec, and nothing else
cat >/etc/polkit-1/rules.d/10-test.rules <<'RULE'
polkit.addRule(function(action, subject) {
        if (subject.user == "tester" && action.id == "org.example.Ctr.task-exec")
                return polkit.Result.YES;
});
RULE
systemctl restart polkit.service
check "the task of the other runs" on_task call other Process Start 'a{sv}' 0
check "who may only exec adds a process" on_task user_call other Task Exec 'sasa{sv}' sh 1 cat 2 Stdin s attach Stdout s attach
refused "... cannot give it what the container has not"         on_task user_call other Task Exec 'sasa{sv}' x 1 cat 1 CapabilitiesAdd as 1 CAP_SYS_ADMIN
check "... starts it" on_exec user_call sh Start 'a{sv}' 0
check "... sets the size of its terminal" on_exec user_call sh ResizePty 'uua{sv}' 80 25 0
check "... signals it" on_exec user_call sh Kill 'ia{sv}' 0 0
refused "... signals no other process through it" on_exec user_call sh Kill 'ia{sv}' 9 1 Pid u 1
check "... ends its input" on_exec user_call sh CloseIO 'a{sv}' 1 Stdin b 1
check_match "... gets its status" '^ut 0 ' "$(on_exec user_call sh Wait 'a{sv}' 0)"
check_match "... deletes it" '^uut [0-9]+ 0 ' "$(on_exec user_call sh Delete 'a{sv}' 0)"
refused "... does nothing to init: signal" on_task user_call other Process Kill 'ia{sv}' 9 0
refused "... close its input" on_task user_call other Process CloseIO 'a{sv}' 1 Stdin b 1
refused "... attach" on_task user_call other Process Attach 'a{sv}' 0
check_match "ctrctl is used in the same way" '^hello' "$(runuser -u tester -- ctrctl exec other echo hello)"

# --- one who may copy into one container, and cancel that
cat >/etc/polkit-1/rules.d/10-test.rules <<'RULE'
polkit.addRule(function(action, subject) {
        if (subject.user == "tester" && action.id == "org.example.Ctr.container-copy" &&
            action.lookup("container") == "mine" && action.lookup("image") == "localhost:5000/demo:latest")
                return polkit.Result.YES;
});
RULE
systemctl restart polkit.service
job_of() {
        busctl --json=short call "${manager[@]}" ListJobs 'a{sv}' 0 |
                jq -er --arg id "$1" '.data[0][] | select(.[1].Description.data == $id) | .[0]'
}
copies=()
mkfifo "$test_dir/archive"
exec 9<>"$test_dir/archive"
for id in mine other; do
        ctrctl cp -q - "$id:/tmp" <"$test_dir/archive" 2>/dev/null &
        copies+=($!)
        check_within "somebody copies into $id" 60 job_of "$id"
done
refused "cancel a copy into another" user_call "$name" "$(job_of other)" "$name.Job" Cancel 'a{sv}' 0
check "... but that into this one" user_call "$name" "$(job_of mine)" "$name.Job" Cancel 'a{sv}' 0
check "root cancels the other" call "$name" "$(job_of other)" "$name.Job" Cancel 'a{sv}' 0
wait "${copies[@]}"
exec 9>&-

# --- one who may remove one container, and no other that is chosen with it
cat >/etc/polkit-1/rules.d/10-test.rules <<'RULE'
polkit.addRule(function(action, subject) {
        if (subject.user == "tester" && action.id == "org.example.Ctr.container-remove" &&
            action.lookup("container") == "mine")
                return polkit.Result.YES;
});
RULE
systemctl restart polkit.service
check "a third container" call "${manager[@]}" CreateContainer 'ssa{sv}' third localhost:5000/demo 0
refused "prune all of them" user_call "${manager[@]}" PruneContainers 'a{sv}' 0
check_equal "but that one" mine "$(runuser -u tester -- ctrctl container prune --force --filter id==mine)"
check_equal "root, all that do not run" 'as 1 "third"' "$(call "${manager[@]}" PruneContainers 'a{sv}' 0)"
check "the other container goes, with its task" on_container call other Delete 'a{sv}' 1 Force b true
check_equal "there are no tasks left" "a(oa{sv}) 0" "$(call "${manager[@]}" ListTasks 'a{sv}' 0)"
