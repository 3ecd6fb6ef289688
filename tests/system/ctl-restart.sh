#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# ctrctl while the service is killed under it: what waits goes on waiting, and gets the true answer.

# Scripts for other shells stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"
# the tests kill it more often than a service that is healthy would start
mkdir -p /run/systemd/system/ctr.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/ctr.service.d/test.conf
systemctl daemon-reload

# Nothing to kill is fine: 0 as a process id would mean everybody here.
kill_manager() {
        local pid

        pid=$(manager_pid)
        ((pid == 0)) || kill -KILL "$pid" 2>/dev/null
}

other_manager() {
        local pid

        pid=$(manager_pid)
        ((pid > 0 && pid != $1))
}

# kill_and_await: the manager dies, and somebody who still wants something starts it again
kill_and_await() {
        local old

        old=$(manager_pid)
        ((old > 0)) || return 1
        kill -KILL "$old"
        wait_until 20 other_manager "$old"
}

task_runs() {
        [[ $(ctrctl ps -q) == "$1" ]]
}

mkfifo "$test_dir/in"
ctrctl run --rm -i --name=job "$image" sh -c 'read x; echo got $x; exit 33' <"$test_dir/in" >"$test_dir/out" 2>"$test_dir/err" &
job=$!
exec {in}>"$test_dir/in"
check_within "a container runs" 20 task_runs job
check "its manager is killed, and comes back for the waiting client" kill_and_await
check "again" kill_and_await
echo word >&"$in"
exec {in}>&-
check_exit "run still returns the container's own status" 33 wait "$job"
check_equal "and its output" "got word" "$(<"$test_dir/out")"
check_equal "without a word of complaint" "" "$(<"$test_dir/err")"
check_equal "and --rm is still done" "" "$(ctrctl ps -aq)"

check "one more" ctrctl run -d --name=job "$image" sh -c 'sleep 1; exit 44'
ctrctl wait job >"$test_dir/out" &
job=$!
kill_manager
check "wait goes on waiting" wait "$job"
check_equal "for the true status" 44 "$(<"$test_dir/out")"
ctrctl rm job

# at any moment of a run
for delay in 0 0.002 0.004 0.006 0.008 0.01 0.015 0.02 0.03; do
        ctrctl run --rm "$image" sh -c 'exit 55' >"$test_dir/out" 2>&1 &
        job=$!
        sleep "$delay"
        kill_manager
        check_exit "run while the manager is killed after $delay s" 55 wait "$job"
        diagnose "$(<"$test_dir/out")"
done
check_equal "nothing is left" "" "$(ctrctl ps -aq)"
check_within "no scope either" 10 bash -c '[[ -z $(systemctl list-units --all --no-legend "ctr-*.scope") ]]'

for delay in 0 0.01 0.05 0.1; do
        ctrctl --namespace="n${delay/./}" pull "$image" >"$test_dir/out" 2>&1 &
        job=$!
        sleep "$delay"
        kill_manager
        check "pull while the manager is killed after $delay s" wait "$job"
        diagnose "$(<"$test_dir/out")"
done
