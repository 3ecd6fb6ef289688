#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# Events (A4.1, A4.2, D9, D11, D12, C20): topics, order, signals, history; and that none is lost or doubled while the
# manager is killed at any moment.

# Scripts for other shells stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(dirname "${BASH_SOURCE[0]}")
image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
mkdir -p /run/systemd/system/ctr.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/ctr.service.d/test.conf
systemctl daemon-reload

list() {
        busctl --json=short call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager ListEvents 'a{sv}' "$@"
}

# topics NAME [AFTER]: of one thing, in order, on one line
topics() {
        "$here/event-history" --name="$1" --after="${2:-0}" | cut -d' ' -f2 | tr '\n' ' '
}

last() {
        "$here/event-history" | tail -n 1 | cut -d' ' -f1
}

kill_manager() {
        local pid

        pid=$(manager_pid)
        ((pid == 0)) || kill -KILL "$pid" 2>/dev/null
}

# What happens, and what it says.

bus_record events "type='signal',interface='org.example.Ctr.Manager'"
check "an image" ctrctl pull -q "$image"
check_equal "is an event" "/images/create " "$(topics "$image")"
all=$("$here/event-history")
check_match "its namespace, too" "/namespaces/create default " "$all"
check_match "its blobs" "/content/create sha256:[0-9a-f]+ .*\"Size\": [1-9]" "$all"
check_match "and its layers" "/snapshot/commit sha256:" "$all"

check_exit "a container runs" 3 ctrctl run --name=one "$image" sh -c 'exit 3'
check_match "create < start < exit" "^/snapshot/prepare /containers/create /tasks/create /tasks/start /tasks/exit " \
        "$(topics one)"
exit_line=$("$here/event-history" --name=one | grep ' /tasks/exit ')
check_match "the exit has the status" '"ExitStatus": 3, "ExitStatusKnown": true, "ExitedAt": [1-9]' "$exit_line"
check_match "and the id of the container twice (D12)" '"ContainerId": "one".*"Id": "one"' "$exit_line"
check_match "the start has a pid" '"Pid": [1-9]' "$("$here/event-history" --name=one | grep ' /tasks/start ')"
check "the signal Event came" bus_expect events 10 '"member":"Event".*"/tasks/exit"'
check "and the one of the topic" bus_expect events 10 '"member":"TaskExited".*"one"'
check "it is removed" ctrctl rm one
check_match "delete is the last" "/containers/delete /snapshot/remove $" "$(topics one)"

# A program that is not there has not started, and so it does not exit (D11).
capture ctrctl run --name=none "$image" /nothing
ctrctl rm none 2>/dev/null
check_equal "no exit without a start" "" "$(topics none | grep -oE '/tasks/(start|exit)')"

# The history.

n=$(last)
check "one more" ctrctl run --rm --name=two "$image" true
check_equal "After a number the rest, once" \
        "/snapshot/prepare /containers/create /tasks/create /tasks/start /tasks/exit /tasks/delete /containers/delete /snapshot/remove " \
        "$(topics two "$n")"
since=$(date +%s%6N)
check_equal "Since a time" '{"type":"a(ttssa{sv})","data":[[]]}' "$(list 1 Since t "$since")"
check_match "Until a time" '/tasks/exit' "$(list 1 Until t "$since")"
check_equal "Limit" 2 "$(list 1 Limit u 2 | grep -o '"/[a-z]*/[a-z-]*"' | wc -l)"
check_equal "Filters by topic" '"/tasks/exit"' \
        "$(list 1 Filters as 1 topic==/tasks/exit | grep -o '"/[a-z]*/[a-z-]*"' | sort -u)"
check_equal "Filters by details" 1 \
        "$(list 1 Filters as 1 'topic==/tasks/exit,event.ExitStatus==3' | grep -o '"/tasks/exit"' | wc -l)"
check_equal "another namespace has other events" '{"type":"a(ttssa{sv})","data":[[]]}' "$(list 1 Namespace s other)"
check_fails "an unknown option has a name" "Wrong" list 1 Wrong b true
check_fails "Limit has a bound" "Limit" list 1 Limit u 100000
check_fails "a bad filter has a position" "Filters" list 1 Filters as 1 'topic=='
n=$(last)
systemctl stop ctr
check_equal "the history survives the manager" "$n" "$(last)"

# Killed at any moment of a run.

runs=0
for i in {0..39}; do
        ctrctl run --rm "$image" sh -c 'exit 5' >"$test_dir/out" 2>&1 &
        job=$!
        sleep "0.$(printf '%03d' $((i * 7 % 37)))"
        kill_manager
        wait "$job"
        r=$?
        ((r == 5)) && ((runs++))
done
check_equal "runs while the manager is killed" 40 "$runs"
check_within "nothing is left" 20 bash -c '[[ -z $(ctrctl ps -aq) ]]'
check "every step once, and in order" "$here/event-history" --check --runs=42

# Execs, pauses, and a task that runs on while the manager is killed again and again.
check "a task" ctrctl run -d --stop-timeout=1 --name=long "$image" sleep 1000
for i in {0..9}; do
        ctrctl exec long sh -c 'exit 4' >"$test_dir/out" 2>&1 &
        job=$!
        sleep "0.0$((i * 3 % 10))"
        kill_manager
        wait "$job"
done
manager_kill
check_exit "an exec" 4 ctrctl exec long sh -c 'exit 4'
check_match "is added, started, and exits (D11, D12)" \
        '/tasks/exec-added [^/]*/tasks/exec-started [^/]*/tasks/exit .*"ContainerId": "long", "ExitStatus": 4' \
        "$("$here/event-history" --name=long | tail -n 3 | tr '\n' ' ')"
check "pause" ctrctl pause long
manager_kill
check "resume" ctrctl resume long
check_match "each is an event" '/tasks/paused [^/]*/tasks/resumed' \
        "$("$here/event-history" --name=long | tail -n 2 | tr '\n' ' ')"
kill_manager
check "is stopped by its unit" systemctl stop ctr-long.scope
check_within "its exit is seen" 10 bash -c "ctrctl ps -a | grep -q Exited || ctrctl ps -a | grep -q STOPPED"
check "it goes" ctrctl rm -f long
check_match "delete is the last" "/tasks/exit /tasks/delete /containers/delete /snapshot/remove $" "$(topics long)"
check "all in all" "$here/event-history" --check
