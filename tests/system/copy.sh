#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Files of containers, in and out, of running and of stopped ones, and one that fights it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
task=$(path_of box)

files() {
        "$here/files-client" "$@"
}

# put PATH FILE...: files of $test_dir/in go to the directory of the container.
put() {
        tar --create --format=posix --directory="$test_dir/in" "${@:2}" | files in box "$1"
}

# names PATH: of the archive.
names() {
        files out box "$1" | tar --list
}

workers() {
        pgrep -x ctr-worker
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
mkdir "$test_dir/in"
echo one >"$test_dir/in/one"
chown 7:8 "$test_dir/in/one"
touch --date=@1000000000.123456789 "$test_dir/in/one"

# --- a container without a task
check "a container" ctrctl create --name box "$image" sh -c "trap '' TERM; echo written >/written; mkdir -p /tmp/mine; while :; do sleep 1; done"
check "a file goes in before its first task" put /tmp one
check_equal "it is seen" "one 4 0o100644 7 8 " "$(files stat box /tmp/one)"
check_equal "it comes out as it was" "$(stat --format='%u %g %y' "$test_dir/in/one")" "$(
        mkdir "$test_dir/out" && files out box /tmp/one | tar --extract --directory="$test_dir/out" &&
                stat --format='%u %g %y' "$test_dir/out/one"
)"
check_equal "and is the change" "$(printf 'C /tmp\nA /tmp/one')" "$(files diff box)"
check_fails "what is not there" "NotFound: There is no" files out box /none
check_fails "nor there to copy to" "NotFound: There is no" put /none one
check_fails "a file is no directory" "FailedPrecondition: .*no directory" put /tmp/one one

# --- while it runs
check "its task" call "$root/container/default/box" Container.CreateTask 'a{sv}' 0
check "start" call "$task" Process.Start 'a{sv}' 0
check_within "it writes" 10 eval 'files stat box /tmp/mine'
check_equal "the copy is there" "/tmp/one" "$(ctrctl exec box sh -c 'ls /tmp/one')"
check "a file goes in" put /tmp/mine one
check_equal "where its programs see it" one "$(ctrctl exec box cat /tmp/mine/one)"
check_equal "its mounts are seen" 0o20666 "$(files stat box /dev/null | cut -d " " -f 3)"
check "also to a mount of its own" put /dev/shm one
check_equal "with what is in it" one "$(ctrctl exec box cat /dev/shm/one)"
check "an export" eval 'files export box >"$test_dir/export.tar"'
check_match "has all files" 'tmp/mine/one' "$(tar --list --file="$test_dir/export.tar")"
check_equal "and nothing that is mounted" "" "$(tar --list --file="$test_dir/export.tar" | grep dev/.)"
check_match "changes of a running one" 'A /written' "$(files diff box)"

# --- a container that fights
secret=$test_dir/secret
mkdir "$secret"
echo host >"$secret/one"
check "in a loop, a directory becomes a link to the host's files" exec_add box fight "1 Start b true" sh -c "
        mkdir -p /fight/real; echo mine >/fight/real/one; ln -s $secret /fight/link; ln -s /../../../../$secret /fight/link2
        while :; do
                mv /fight/real /fight/data; mv /fight/data /fight/real
                mv /fight/link /fight/data; mv /fight/data /fight/link
                mv /fight/link2 /fight/data; mv /fight/data /fight/link2
        done"
leaked=0
for _ in {1..40}; do
        files out box /fight/data/one 2>/dev/null | grep -q '^host' && leaked=1
        put /fight/data one 2>/dev/null
done
check_equal "nothing of the host comes out" 0 "$leaked"
check_equal "nothing goes there" host "$(cat "$secret/one")"
check_equal "and nothing beside it" one "$(ls "$secret")"
check "end it" call "$task/exec/fight" Process.Kill 'ia{sv}' 9 0

# --- a version is what was there: nothing is written to it while it is made, nor afterwards
mkfifo "$test_dir/late"
check_within "the copies before are over" 30 eval '! workers'
files in box /tmp <"$test_dir/late" 2>"$test_dir/late.log" &
client=$!
exec {late}>"$test_dir/late"
check_within "a copy into what runs is under way" 30 workers
check_fails "no version is made meanwhile" "Files are being copied" call "$root/container/default/box" Container.CreateVersion 'a{sv}' 0
check "stop it meanwhile" call "$task" Task.Stop 'a{sv}' 2 TimeoutUSec t 100000 Force b true
check "delete the task" call "$task" Process.Delete 'a{sv}' 0
check_fails "the copy still writes to the root: no task" "Files are being copied" call "$root/container/default/box" Container.CreateTask 'a{sv}' 0
check_fails "nor a committed snapshot" "Files are being copied" call "$root" Manager.CommitSnapshot 'ssa{sv}' kept box 0
exec {late}>&-
wait "$client"
check "with the copy over, a task that takes its time to stop" call "$root/container/default/box" Container.CreateTask 'a{sv}' 0
check "start" call "$task" Process.Start 'a{sv}' 0
call "$root/container/default/box" Container.CreateVersion 'a{sv}' 1 StopTimeoutUSec t 600000000 >"$test_dir/version" 2>&1 &
maker=$!
check_within "a version is being made" 30 eval '! call "$root/container/default/box" Container.DeleteVersion "ua{sv}" 1 0 2>"$test_dir/refused" && grep -q "is being made" "$test_dir/refused"'
check_fails "nothing is copied meanwhile" "FailedPrecondition: Version 1 .* is being made" put /tmp one
check "end it" call "$task" Process.Kill 'ia{sv}' 9 0
check "then it is made" wait "$maker"

# --- what is asked of a container's files is for who asked
bus_record jobs "type='signal',member='JobRemoved'"
check "ask for changes" files diff box
check "and for a file" files stat box /tmp/one
check "two jobs have ended" wait_until 30 eval '[[ $(grep -c "\"member\":\"JobRemoved\"" "$test_dir/bus.jobs") -ge 2 ]]'
mapfile -t over < <(grep -o '/org/example/Ctr/job/[_0-9a-f]*' "$test_dir/bus.jobs" | sort -u)
for job in "${over[@]}"; do
        check_equal "nobody else learns it" "a{sv} 0" "$(runuser -u tester -- busctl call "$destination" "$job" "$destination.Job" Wait 'a{sv}' 0 2>&1)"
done
check_within "nor does the service keep it" 10 eval '[[ -z $(find "/proc/$(manager_pid)/fd" -lname "/memfd:*") ]]'

# --- no two writers
check "stop" call "$task" Task.Stop 'a{sv}' 2 TimeoutUSec t 100000 Force b true
check "delete the task" call "$task" Process.Delete 'a{sv}' 1 Force b true
mkfifo "$test_dir/slow"
check_within "the copies before are over" 30 eval '! workers'
files in box /tmp <"$test_dir/slow" 2>"$test_dir/slow.log" &
client=$!
exec {slow}>"$test_dir/slow"
check_within "a copy is under way" 10 workers
check_within "no task is made meanwhile" 10 eval '! call "$root/container/default/box" Container.CreateTask "a{sv}" 0 2>"$test_dir/refused" && grep -q "being copied into" "$test_dir/refused"'
check_fails "nor a second copy" "FailedPrecondition: Files are being copied" put /tmp one
check "kill -9 of the manager" manager_kill
check_within "ends the copy" 10 eval '! workers'
exec {slow}>&-
wait "$client"
check "then a task is made" call "$root/container/default/box" Container.CreateTask 'a{sv}' 0
check "remove it" ctrctl rm --force box
check_equal "nothing is mounted" "" "$(grep /var/lib/ctr/snapshots /proc/mounts)"
