#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# A test bed inside the test bed: what it promises to its callers, on a machine that runs systemd on cgroup v2 alone.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

testbed=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../testbed/testbed")

bed() {
        "$testbed" run --no-build "$@"
}

# What a test bed could leave: its directories, its processes, its mounts, its cgroups.
left_behind() {
        ls -d /var/tmp/ctr-testbed.* 2>/dev/null
        pgrep -af 'systemd --unit=testbed.target' | grep -v '^1 '
        grep ctr-testbed /proc/self/mountinfo
        find /sys/fs/cgroup -name 'ctr-testbed.*'
}

nothing_left() {
        [[ $(left_behind) == "$before" ]]
}

before=$(left_behind)

check_equal "it boots and has no failed unit" running "$(bed -- systemctl is-system-running)"
check_exit "the exit code is passed on" 7 bed -- sh -c 'exit 7'
# shellcheck disable=SC2016
check_exit "death by a signal is passed on" 143 bed -- bash -c 'kill -TERM $$'
check_exit "a command that does not exist is 127" 127 bed -- no-such-command
check_equal "standard input is passed on" "from outside" "$(echo "from outside" | bed -- cat)"
check_exit "changes in one are not seen in the next" 1 bash -c \
        "'$testbed' run --no-build -- touch /etc/changed && '$testbed' run --no-build -- test -e /etc/changed"
check_exit "a command that hangs ends when the time is over" 124 bed --timeout=2 -- sleep 1000
check_within "nothing is left behind" 10 nothing_left

mkfifo "$test_dir/started"
for signal in INT TERM HUP; do
        # A job of a script is started with SIGINT ignored, which cannot be trapped again; env undoes that.
        env --default-signal "$testbed" run --no-build --bind-rw="$test_dir:/srv" -- \
                sh -c 'echo started >/srv/started; exec sleep 1000' </dev/null &
        read -r _ <"$test_dir/started"
        kill -s "$signal" $!
        status=0
        wait $! || status=$?
        check_equal "SIG$signal ends it" $((128 + $(kill -l "$signal"))) "$status"
        check_within "nothing is left behind by SIG$signal" 10 nothing_left
done

setsid "$testbed" run --no-build --bind-rw="$test_dir:/srv" -- \
        sh -c 'echo started >/srv/started; exec sleep 1000' </dev/null >/dev/null 2>&1 &
read -r _ <"$test_dir/started"
victim=$(pgrep -fo "testbed run --no-build --bind-rw=$test_dir:/srv")
kill -KILL "$victim"
check "the next one works after one was killed" bed -- true
check_within "it removes what the killed one left" 10 nothing_left

for n in 1 2 3; do
        bed -- sh -c "touch /etc/of-$n; test \$(ls /etc/of-* | wc -l) = 1 && systemctl is-active dbus" >"$test_dir/out-$n" &
        pids[n]=$!
done
for n in 1 2 3; do
        check "test bed $n of three at once is undisturbed" wait "${pids[n]}"
done
check_within "nothing is left behind by any" 10 nothing_left
