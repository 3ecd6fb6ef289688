#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# ctrctl attach: a container is left by keys and found again, by the same terminal and by others, also when ctrctl or
# the service was killed in between.

# Scripts for the container stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

on_terminal() {
        timeout 180 "$(dirname "${BASH_SOURCE[0]}")/on-terminal" "$1" ctrctl "${@:2}"
}

leave='send(b"\x10\x11")'

check "a shell on a terminal is left by keys" on_terminal "expect(b'# '); send(b'X=42\n'); forget(); expect(b'# '); $leave" \
        run -it --name=shell "$image" sh
check_match "it goes on" 'Up' "$(ctrctl ps --no-legend)"
for i in 1 2 3; do
        check "and is found again ($i)" on_terminal "send(b'echo \$X\$X\n'); expect(b'4242'); $leave" attach shell
done
check "with other keys" on_terminal 'send(b"echo ab$X\n"); expect(b"ab42"); send(b"q\x18")' attach --detach-keys=q,ctrl-x shell
check "the size is that of the new terminal" on_terminal \
        "resize(66, 22); send(b'until stty size | grep \"22 66\"; do :; done\n'); expect(b'\n22 66'); $leave" \
        attach shell
check_exit "a ctrctl that is killed" 137 on_terminal 'send(b"echo $X$X\n"); expect(b"4242"); p.kill()' attach shell
check "is no loss either" on_terminal "send(b'echo \$X\$X\n'); expect(b'4242'); $leave" attach shell
manager_kill
check "nor is a service that was" on_terminal "send(b'echo \$X\$X\n'); expect(b'4242'); $leave" attach shell
check_exit "the exit status is the container's" 5 on_terminal 'send(b"exit 5\n")' attach shell
check_exit "one that has ended" 125 ctrctl attach shell
check_match "is not running" 'shell is not running' "$stderr"
check_exit "one that is not there" 125 ctrctl attach nosuch

check "a container for somebody who comes later" ctrctl run -d -i --stdout=attach --name=later "$image" \
        sh -c 'while read x; do echo "got $x"; test "$x" != end || exit 3; done; echo EOF; exit 9'
(echo one; sleep 0.2) | timeout 120 ctrctl attach later >"$test_dir/first" 2>&1 &
first=$!
check_within "it gets input" 10 grep -q 'got one' "$test_dir/first"
check_exit "of several clients" 3 eval 'echo end | timeout 120 ctrctl attach later'
check_equal "and answers all" "got end" "$stdout"
wait "$first"
check_equal "who see the end" "3 got one got end" "$? $(xargs <"$test_dir/first")"

check "one that writes to the journal" ctrctl run -d -i --name=journal "$image" \
        sh -c 'while read x; do echo "got $x"; test "$x" != end || exit 4; done'
check_exit "can be attached to, too" 4 eval '(echo a; echo end) | timeout 120 ctrctl attach journal'
check_equal "and shows its lines" "got a got end" "$(xargs <<<"$stdout")"
check "one without streams" ctrctl run -d --name=deaf --stdout=null --stderr=null "$image" sleep 1000
check_exit "cannot" 125 ctrctl attach deaf
check_match "which is said" 'cannot be attached to' "$stderr"

check "a detached terminal" ctrctl run -dit --name=dit "$image" sh
check_exit "is attached to" 6 on_terminal 'send(b"exit $((2*3))\n")' attach dit
check "start -ai" ctrctl create -t --name=again "$image" sh
check_exit "as well" 7 on_terminal 'expect(b"# "); send(b"exit 7\n")' start -ai again
check "can be left" on_terminal "expect(b'# '); $leave" start -ai again
check_exit "and found again" 8 on_terminal 'send(b"exit 8\n")' attach again

check "an exec is left" on_terminal "expect(b'# '); send(b'X=42\n'); forget(); expect(b'# '); $leave" \
        exec -it --exec-id=sh deaf sh
check_exit "and found again" 9 on_terminal 'send(b"echo $X$X\n"); expect(b"4242"); send(b"exit 9\n")' attach deaf/sh

gone() {
        [[ -z $(ctrctl ps -aq --filter=id=="$1") ]]
}
check_exit "a run --rm whose ctrctl is killed" 137 on_terminal 'expect(b"ready"); p.kill()' run --rm --name=orphan "$image" \
        sh -c 'echo ready; read x </fifo; echo a; echo b; while ! test -e /go; do sleep 0.05; done; exit 3'
check_match "goes on" 'orphan' "$(ctrctl ps -q)"
check "to its end" ctrctl exec orphan touch /go
check_within "and is removed" 10 gone orphan

ctrctl run --rm --name=late "$image" sh -c 'while ! test -e /go; do sleep 0.05; done; exit 6' &
client=$!
check_within "a run --rm runs" 10 eval '[[ -n $(ctrctl ps -q --filter=id==late) ]]'
kill -STOP "$client"
manager_kill
check "its service is killed" ctrctl exec late touch /go
check_within "it ends and goes" 10 gone late
kill -CONT "$client"
wait "$client"
check_equal "its status is found in the history" 6 $?
