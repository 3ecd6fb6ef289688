#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# ctrctl exec: what it runs, in which surroundings, its streams, its exit status, and what is left of it when ctrctl or
# the service is killed.

# Scripts for the container stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"
check "a container to work in" ctrctl run -d --name=web -e SET=here --hostname=inside "$image" sleep 1000

on_terminal() {
        timeout 180 "$(dirname "${BASH_SOURCE[0]}")/on-terminal" "$1" ctrctl "${@:2}"
}

no_execs() {
        [[ -z $(ctrctl ps --execs -aq) ]]
}

# one that is only added is listed as well, and cannot be killed
exec_runs() {
        [[ $(ctrctl ps --execs --json=short) == *RUNNING* ]]
}

check_exit "the exit status is the command's" 7 ctrctl exec web sh -c 'echo out; echo err >&2; exit 7'
check_equal "standard output" out "$stdout"
check_equal "standard error apart from it" err "$stderr"
check_exit "a signal is 128 + n" 137 ctrctl exec web sh -c 'kill -KILL $$'
check_exit "a command that is not there" 127 ctrctl exec web nosuch
check_exit "one that cannot be executed" 126 ctrctl exec web /etc
check_exit "no such container" 125 ctrctl exec nosuch true
check_match "is said" 'ctrctl: task "nosuch" does not exist' "$stderr"
check_exit "a wrong option" 125 ctrctl exec --nonsense web true
check_within "nothing is left of all these" 10 no_execs

check "it is in the container" ctrctl exec web sh -c 'test "$(hostname)" = inside && test "$SET" = here && test -d /proc/1'
check_equal "with its namespaces" "$(ctrctl exec web readlink /proc/1/ns/{pid,mnt,uts,ipc,net})" \
        "$(ctrctl exec web readlink /proc/self/ns/{pid,mnt,uts,ipc,net})"
check_match "and in its cgroup" 'payload$' "$(ctrctl exec --exec-id=looked-at -d web sleep 1000 >/dev/null
        cat "/proc/$(ctrctl top --no-legend web | sed -n 's/^ *\([0-9]*\) .* looked-at .*/\1/p')/cgroup")"
check "to be killed" ctrctl kill web/looked-at
check_equal "environment, user and directory" "/tmp 12 34 x" \
        "$(ctrctl exec -e VAR=x -u 12:34 -w /tmp web sh -c 'echo $PWD $(id -u) $(id -g) $VAR')"
check_equal "capabilities" 0000000000000400 \
        "$(ctrctl exec --cap-drop=all --cap-add=net_bind_service web sed -n 's/^CapBnd:\t//p' /proc/self/status)"
check_equal "a resource limit" 77 "$(ctrctl exec --ulimit=nofile=77 web sh -c 'ulimit -n')"

check_equal "standard input is empty" "" "$(echo text | ctrctl exec web cat)"
check_equal "unless it is passed on" text "$(echo text | ctrctl exec -i web cat)"
check_equal "a pipe goes through unharmed" "$(head -c 30000000 /dev/zero | sha256sum)" \
        "$(head -c 30000000 /dev/zero | ctrctl exec -i web cat | sha256sum)"
check_equal "and ends when nobody reads on" y "$(timeout 120 ctrctl exec web yes | head -n 1)"
check "a file as output" ctrctl exec --stdout="file:$test_dir/log" web echo logged
check_equal "has it" logged "$(cat "$test_dir/log")"

check "with -t there is a terminal" on_terminal '' exec -t web sh -c 'test -t 0 && test -t 1 && stty size'
check_match "of our size" '40 100' "$stdout"
check_exit "keys go there" 5 on_terminal 'expect(b"# "); send(b"echo $((6*7))\n"); expect(b"42"); send(b"exit 5\n")' \
        exec -it web sh
check "and sizes" on_terminal 'expect(b"ready"); resize(77, 33); expect(b"33 77")' exec -it web \
        sh -c 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.1; done'
check_equal "without a terminal of ours -t works too" "text"$'\r' "$(echo text | ctrctl exec -it web sh -c 'read x; stty -echo; echo $x' | tail -n 1)"

check_exit "signals are passed on" 9 on_terminal 'expect(b"ready"); p.send_signal(signal.SIGTERM)' exec web \
        sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
check_exit "with --sig-proxy=no they are not" 143 on_terminal 'expect(b"ready"); p.send_signal(signal.SIGTERM)' \
        exec --sig-proxy=no --exec-id=stays web sh -c 'echo ready; exec sleep 1000'
check_match "it goes on" '^stays$' "$(ctrctl ps --execs -q)"
check "and can be killed" ctrctl kill -s KILL web/stays

check "in the background" ctrctl exec -d --exec-id=bg web sh -c 'trap "exit 3" USR1; echo there; while :; do sleep 0.1; done'
check_equal "it prints its id" bg "$stdout"
check "its output is in the journal" journal_wait 10 '^there$' -u ctr-web.scope
check_fails "an id is there once" 'has an exec' ctrctl exec --exec-id=bg web true
bus_record waits "type='method_call',member='Wait'"
ctrctl wait web/bg >"$test_dir/waited" &
waiter=$!
check "somebody waits" bus_expect waits 10 Wait
check "it gets signals" ctrctl kill -s USR1 web/bg
wait "$waiter"
check_equal "and is waited for" 3 "$(cat "$test_dir/waited")"
check_within "then it is gone" 10 no_execs

check_exit "a ctrctl that is killed" 137 on_terminal 'expect(b"ready"); p.kill()' exec --exec-id=orphan web \
        sh -c 'echo ready; while ! test -e /go; do sleep 0.05; done; echo a; echo b; echo c; echo d >/over; exec sleep 1000'
ctrctl exec web touch /go
check_within "does not kill the exec, nor block it" 20 ctrctl exec web test -e /over
check_match "which is there" '^orphan$' "$(ctrctl ps --execs -q)"
check "to be killed" ctrctl kill web/orphan
check_within "and gone" 10 no_execs

ctrctl exec web rm /go
ctrctl exec -i web sh -c 'while ! test -e /go; do sleep 0.05; done; exit 6' </dev/null &
client=$!
check_within "an exec runs" 10 exec_runs
kill -STOP "$client"
manager_kill
check "without a manager for a while" ctrctl exec web touch /go
check_within "the exec ends and goes" 10 no_execs
kill -CONT "$client"
wait "$client"
check_equal "its status is found in the history" 6 $?

ctrctl exec web sleep 1000 &
client=$!
check_within "an exec runs" 10 exec_runs
check "the container ends" ctrctl kill -s KILL web
wait "$client"
check_equal "and its execs with it" 137 $?
check_exit "there is no exec in one that has ended" 125 ctrctl exec web true
