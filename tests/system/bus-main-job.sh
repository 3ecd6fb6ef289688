#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# The main job with busctl alone: from a registry reference to an exit status, with the signals and the journal's events
# on the way.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=org.example.Ctr
manager=("$name" /org/example/Ctr "$name.Manager")
container=/org/example/Ctr/container/default/web
task=/org/example/Ctr/task/default/web
image=localhost:5000/demo:latest

call() {
        busctl --timeout=60 call -- "$@"
}

# event TEXT FIELD=VALUE...: the journal has an entry with all of them.
event() {
        check "the journal tells that $1" journal_wait 10 . "${@:2}" CTR_NAMESPACE=default
}

message_id() {
        sed -n "s/^#define CTR_MESSAGE_$1 *\"\(.*\)\"/\1/p" \
                "$(dirname "${BASH_SOURCE[0]}")/../../src/bus/messages.h"
}

registry_start
image_push busybox demo:latest
bus_record signals "type='signal',sender='$name'"

job=$(call "${manager[@]}" PullImage 'sa{sv}' localhost:5000/demo 0 | cut -d'"' -f2)
check_match "PullImage answers with a job" '^/org/example/Ctr/job/1$' "$job"
check "its end is told" bus_expect signals 60 '"member":"JobRemoved".*"done","",""'
check "its beginning was" bus_expect signals 1 '"member":"JobNew"'
check "its progress was" bus_expect signals 1 '"member":"PropertiesChanged".*"Progress"'
check "the image appeared" bus_expect signals 1 '"member":"InterfacesAdded".*localhost_3a5000_2fdemo_3alatest'
check_match "the image is listed by its whole name" "\"$image\"" "$(call "${manager[@]}" ListImages 'a{sv}' 0)"
check_match "a short name finds it" "image/default/localhost_3a5000_2fdemo_3alatest" \
        "$(call "${manager[@]}" GetImage 'sa{sv}' localhost:5000/demo 0)"
check_match "its documents can be read" 'layers.*" ".*rootfs' \
        "$(call "$name" /org/example/Ctr/image/default/localhost_3a5000_2fdemo_3alatest "$name.Image" Inspect 'a{sv}' 0)"

check_equal "CreateContainer answers with its path" "o \"$container\"" "$(call "${manager[@]}" CreateContainer 'ssa{sv}' \
        web localhost:5000/demo 2 Labels 'a{ss}' 1 tier web Command as 3 sh -c 'cat /proc/self/oom_score_adj; exit 7')"
check_fails "the same id again is refused" "web" call "${manager[@]}" CreateContainer 'ssa{sv}' web localhost:5000/demo 0
check_equal "its record has no task" "a(oa{sv}) 0" "$(call "${manager[@]}" ListTasks 'a{sv}' 0)"
check_equal "CreateTask answers with the path" "o \"$task\"" "$(call "$name" $container "$name.Container" CreateTask 'a{sv}' 0)"
check_equal "the task is set up" 's "CREATED"' "$(busctl get-property "$name" $task "$name.Process" Status)"
check "its scope is there" unit_is ctr-web.scope ActiveState active
check_fails "a second task is refused" "web" call "$name" $container "$name.Container" CreateTask 'a{sv}' 0
check_fails "its container cannot go" "task" call "$name" $container "$name.Container" Delete 'a{sv}' 0

for i in 1 2 3; do
        call "$name" $task "$name.Process" Wait 'a{sv}' 0 >"$test_dir/wait.$i" &
        waiters+=($!)
done
check_match "Start answers with the pid" '^u [0-9]+$' "$(call "$name" $task "$name.Process" Start 'a{sv}' 0)"
wait "${waiters[@]}"
check_match "Wait answers with the exit status" '^ut 7 [0-9]+$' "$(<"$test_dir/wait.1")"
check_equal "all waiters get the same answer" "$(<"$test_dir/wait.1") $(<"$test_dir/wait.1")" \
        "$(<"$test_dir/wait.2") $(<"$test_dir/wait.3")"
check_equal "a late one, too" "$(<"$test_dir/wait.1")" "$(call "$name" $task "$name.Process" Wait 'a{sv}' 0)"
check "the exit is told" bus_expect signals 10 '"member":"Exited".*\[7,'
check "and the change" bus_expect signals 1 '"member":"PropertiesChanged".*"STOPPED"'
check_equal "the status can be read" 's "STOPPED" u 7 b true ' \
        "$(busctl get-property "$name" $task "$name.Process" Status ExitStatus ExitStatusKnown | tr '\n' ' ')"
check_equal "the program did not inherit the manager's OOM score" 0 \
        "$(journal_wait 10 '^-?[0-9]+$' _SYSTEMD_UNIT=ctr-web.scope CTR_CONTAINER=web)"
check_fails "it cannot start again" "STOPPED|stopped" call "$name" $task "$name.Process" Start 'a{sv}' 0
check_match "Delete tells once more" '^uut [0-9]+ 7 [0-9]+$' "$(call "$name" $task "$name.Process" Delete 'a{sv}' 0)"
check_fails "then there is no task" "Unknown object" call "$name" $task "$name.Process" Wait 'a{sv}' 0
check "the container goes" call "$name" $container "$name.Container" Delete 'a{sv}' 0
check "its disappearance is told" bus_expect signals 10 '"member":"InterfacesRemoved".*container/default/web'
check "the image goes, and what it needed" call "${manager[@]}" DeleteImage 'sa{sv}' localhost:5000/demo 1 Synchronous b 1
check_equal "no blob is left" "" "$(ls /var/lib/ctr/content/sha256)"

event "the image was pulled" "MESSAGE_ID=$(message_id IMAGE_PULLED)" "CTR_IMAGE=$image"
event "the container was created" "MESSAGE_ID=$(message_id CONTAINER_CREATED)" CTR_CONTAINER=web "CTR_IMAGE=$image"
event "the task was started" "MESSAGE_ID=$(message_id TASK_STARTED)" CTR_CONTAINER=web UNIT=ctr-web.scope
event "it exited" "MESSAGE_ID=$(message_id TASK_EXITED)" CTR_CONTAINER=web CTR_EXIT_STATUS=7 UNIT=ctr-web.scope
event "the container was removed" "MESSAGE_ID=$(message_id CONTAINER_REMOVED)" CTR_CONTAINER=web
event "the image was removed" "MESSAGE_ID=$(message_id IMAGE_REMOVED)" "CTR_IMAGE=$image"
check "the unit's own journal shows the exit" journal_wait 10 "exited with status 7" -u ctr-web.scope
check "the catalog explains them" journalctl --update-catalog
check_match "... in words" "exited with status 7. Its unit was ctr-web.scope" \
        "$(journalctl --catalog --no-pager "MESSAGE_ID=$(message_id TASK_EXITED)")"

check_equal "CreateContainer pulls if it may" 'o "/org/example/Ctr/container/default/again"' \
        "$(call "${manager[@]}" CreateContainer 'ssa{sv}' again localhost:5000/demo 1 Pull s missing)"
check_fails "what cannot be pulled makes no container" "nothere" \
        call "${manager[@]}" CreateContainer 'ssa{sv}' never localhost:5000/nothere 1 Pull s always
check_equal "there is but the one" 'o "/org/example/Ctr/container/default/again"' \
        "$(call "${manager[@]}" ListContainers 'a{sv}' 0 | grep -o '"/org[^"]*"' | sed 's/^/o /')"
