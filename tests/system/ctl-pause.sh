#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl pause, resume, kill, wait, top and update, as somebody at the keyboard sees them.

# Scripts for others stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"
for name in a b; do
        ctrctl run -d --name="$name" "$image" sh -c 'while :; do date +%s.%N >/now; sleep 0.02; done' >"$test_dir/$name" ||
                die "no container"
done

check "pause" ctrctl pause a b
check_match "ps shows it" 'a +localhost:5000/busybox:1 +Paused' "$(ctrctl ps)"
check_equal "and finds them" "a b" "$(ctrctl ps -q --filter=status=paused | xargs)"
check_match "the scope is frozen" 'frozen 1' "$(cat /sys/fs/cgroup/ctr.slice/ctr-a.scope/payload/cgroup.events)"
check_fails "pausing twice" 'is PAUSED' ctrctl pause a
check_exit "exec in a paused container" 125 ctrctl exec a true
check_match "says so" 'PAUSED' "$stderr"
check "resume" ctrctl resume a
check_match "it goes on" 'frozen 0' "$(cat /sys/fs/cgroup/ctr.slice/ctr-a.scope/payload/cgroup.events)"
check_match "as ps shows" 'a .* Up ' "$(ctrctl ps)"
check_fails "resuming twice" 'is RUNNING' ctrctl unpause a
check "a paused container is stopped" ctrctl stop -t 1 b
check_match "and ends" 'b .*Exited' "$(ctrctl ps -a)"
check_fails "what does not run is not paused" '"b" is not running|STOPPED' ctrctl pause b
check_fails "what is not there neither" 'no container' ctrctl pause nosuch
check "pause again" ctrctl pause a
check "a paused container is removed by force" ctrctl rm -f a b

check "two processes" ctrctl run -d --name=two "$image" sh -c 'sleep 1001 & sleep 1002; wait; exit 5'
check_within "are there" 10 eval 'ctrctl top two --no-legend | grep -q "sleep 1002"'
check "top lists them" ctrctl top two
check_match "with their commands" 'root .* sleep 1001.*sleep 1002' "$(xargs <<<"$stdout")"
victim=$(sed -n 's/^ *\([0-9]*\) .*sleep 1002$/\1/p' <<<"$stdout")
check "one of them is killed" ctrctl kill -s term --pid="$victim" two
check_fails "another process is none of it" 'not|no ' ctrctl kill --pid=1 two
check "signal 0 asks" ctrctl kill -s 0 two
bus_record waits "type='method_call',member='Wait'"
ctrctl wait two two >"$test_dir/waited" &
waiter=$!
check "somebody waits" bus_expect waits 10 Wait
check "all of them" ctrctl kill -s SIGTERM --all two
wait "$waiter"
check_match "waiters are told" '^([0-9]+) \1$' "$(xargs <"$test_dir/waited")"
check_fails "nobody is there then" 'is not running|exited' ctrctl kill -s 0 two

check "limits" ctrctl run -d --name=limits --tasks-max=100 "$image" sleep 1000
check "are changed" ctrctl update --tasks-max=50 --cpu-weight=200 limits
check_equal "in the unit" "TasksMax=50 CPUWeight=200" \
        "$(systemctl show -p CPUWeight -p TasksMax ctr-limits.scope | sort -r | xargs)"
check_fails "wrong ones are refused" 'cpu-weight' ctrctl update --cpu-weight=0 limits
check_fails "no limit is no update" 'no limit is given' ctrctl update limits
