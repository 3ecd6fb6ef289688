#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# shellcheck disable=SC2016
#
# Tasks as systemd and the clients see them: the scope, how it ends, who is told, and what is left.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
destination=org.example.Ctr
root=/org/example/Ctr

property() {
        busctl get-property "$destination" "$root/task/default/$1" "$destination.$2" "$3" | cut -d' ' -f2- | tr -d '"'
}

nothing_left() {
        [[ -z $(systemctl list-units --no-legend 'ctr-*.scope'; find /run/ctr/tasks -mindepth 2; pgrep -x ctr-supervisor) ]]
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- the scope
check "a task in the background" ctrctl run -d --name web --memory-max=64M --tasks-max=50 --cpu-weight=50 "$image" sleep 1000
check_equal "its scope is active" active "$(systemctl show -P ActiveState ctr-web.scope)"
check_equal "its directory is private, and in memory" "700 tmpfs" \
        "$(stat -c %a /run/ctr/tasks/default/web) $(stat -f -c %T /run/ctr/tasks/default/web)"
check_equal "in ctr.slice" ctr.slice "$(systemctl show -P Slice ctr-web.scope)"
check_equal "delegated" yes "$(systemctl show -P Delegate ctr-web.scope)"
check_equal "memory is limited by a unit property" $((64 << 20)) "$(systemctl show -P MemoryMax ctr-web.scope)"
check_equal "tasks are" 50 "$(systemctl show -P TasksMax ctr-web.scope)"
check_equal "and the weight is set" 50 "$(systemctl show -P CPUWeight ctr-web.scope)"
check_equal "devices are filtered" closed "$(systemctl show -P DevicePolicy ctr-web.scope)"
check "the limits survive a daemon-reload" systemctl daemon-reload
check_equal "as they should" $((64 << 20)) "$(systemctl show -P MemoryMax ctr-web.scope)"
pid=$(property web Process Pid)
check_match "init is in the payload cgroup" '/ctr.slice/ctr-web.scope/payload$' "$(grep ^0:: "/proc/$pid/cgroup")"
check_equal "and in namespaces of its own" 6 "$(for ns in pid ipc uts mnt net cgroup; do
        [[ $(readlink "/proc/$pid/ns/$ns") == "$(readlink "/proc/1/ns/$ns")" ]] || echo "$ns"; done | wc -l)"
check_equal "nothing of its mounts is in the host's" "" "$(grep lowerdir=/var/lib/ctr /proc/1/mountinfo)"
check_fails "a second container of that id" "exists already" ctrctl run --name web "$image" true
check_fails "a second task" "has a task already" busctl call $destination $root/container/default/web $destination.Container \
        CreateTask 'a{sv}' 0
check_fails "a container with a task is not deleted" "it is RUNNING" ctrctl rm web

# --- systemctl stop
check "a program that ends well on the stop signal" ctrctl run -d --name polite "$image" \
        sh -c 'trap "exit 3" TERM; while :; do sleep 0.05; done'
check "systemctl stop ends it" systemctl stop ctr-polite.scope
check_equal "gracefully, and its exit is recorded" 3 "$(ctrctl wait polite)"
check_equal "as known" true "$(property polite Process ExitStatusKnown)"

# --- the container's own time to stop
check "a program that ends on no stop signal" ctrctl run -d --name rude --stop-timeout=1 "$image" sleep 1000
check_fails "has the container's time" "did not stop within 1 s" \
        busctl call $destination $root/task/default/rude $destination.Task Stop 'a{sv}' 0
check "and goes by force" ctrctl rm -f rude

# --- the supervisor killed
check "a task whose supervisor is killed" ctrctl run -d --name orphan "$image" sleep 1000
supervisor=$(head -n 1 /sys/fs/cgroup/ctr.slice/ctr-orphan.scope/supervisor/cgroup.procs)
ctrctl wait orphan >"$test_dir/orphan" &
kill -KILL "$supervisor"
check "ends" wait $!
check_equal "with 255" 255 "$(cat "$test_dir/orphan")"
check_equal "which is not claimed to be true" false "$(property orphan Process ExitStatusKnown)"
check_within "and nothing of it runs on" 5 bash -c '! systemctl is-active --quiet ctr-orphan.scope'

# --- waiting
check "a task to wait for" ctrctl create --name many "$image" sh -c 'sleep 0.3; exit 42'
ctrctl start many >/dev/null
for _ in $(seq 50); do
        ctrctl wait many &
done >"$test_dir/waiters"
wait
check_equal "fifty waiters hear the same" 50 "$(grep -c '^42$' "$test_dir/waiters")"
check_equal "and who waits later too" 42 "$(ctrctl wait many)"

# --- exits
for code in 0 1 126 127 255; do
        check_exit "exit code $code is passed on" "$code" ctrctl run --rm "$image" sh -c "exit $code"
done
check_exit "what init leaves behind does not hold it" 5 ctrctl run --rm "$image" sh -c 'sleep 1000 & exit 5'
check_exit "a missing command is 127" 127 ctrctl run --rm "$image" /no/such/command
check_match "with stage and path" '/no/such/command' "$stderr"
check_exit "what cannot be executed is 126" 126 ctrctl run --rm "$image" /etc/passwd
check_match "with its path" '/etc/passwd' "$stderr"

# --- directories of the host
mkdir /run/volume
for there in /dev /sys; do
        check "a directory of the host on $there" ctrctl run --rm -v "/run/volume:$there" "$image" sh -c 'test -e /proc/self'
done
check_equal "has nothing new in it" "" "$(ls -A /run/volume)"

# --- the manager goes, the tasks stay
check "kill -9 of the manager" manager_kill
check_equal "a running task is found again" RUNNING "$(property web Process Status)"
check_equal "with its pid" "$pid" "$(property web Process Pid)"
check "an orderly stop of the manager" systemctl stop ctr.service
check "leaves it alone" test -d "/proc/$pid"
check_exit "and its end is waited for by the next one" 137 bash -c 'ctrctl kill --signal=KILL web; exit $(ctrctl wait web)'

# --- the journal
check "output goes to the journal" ctrctl run -d --name talk "$image" sh -c 'echo to stdout; echo to stderr >&2'
check_equal "which is complete" 0 "$(ctrctl wait talk)"
check_match "under the scope's unit" 'to stdout' "$(journal_wait 10 'to stdout' -u ctr-talk.scope)"
check_match "with fields of the container" 'to stderr' "$(journal_wait 10 'to stderr' CTR_CONTAINER=talk CTR_NAMESPACE=default)"
check_match "for ctrctl logs" 'to stdout' "$(ctrctl logs talk)"

# --- in the background, and gone by itself
check "run -d --rm" ctrctl run -d --rm --name passing "$image" sh -c 'while ! test -e /go; do sleep 0.05; done; exit 9'
bus_record waits "type='method_call',member='Wait'"
ctrctl wait passing >"$test_dir/passing" &
waiter=$!
check "somebody waits" bus_expect waits 10 Wait
check "it ends" ctrctl exec passing touch /go
wait "$waiter"
check_equal "who waits hears the exit code" 9 "$(<"$test_dir/passing")"
check_within "and the container goes with its task" 5 bash -c '! ctrctl inspect passing >/dev/null 2>&1'

# --- a launch that fails early, again and again
check "a container" ctrctl create --name early "$image" true
for _ in $(seq 20); do
        busctl call $destination $root/container/default/early $destination.Container CreateTask 'a{sv}' 1 \
                Stdin s fifo:/nonexistent >/dev/null 2>&1
done
check_within "leaves no scope" 5 bash -c '! systemctl is-active --quiet ctr-early.scope'
check "and does not hinder the next one" timeout 120 ctrctl start -a early
check "which goes" ctrctl rm early

# --- systemd reloads and executes itself anew
check "a task to be left alone" ctrctl run -d --name calm "$image" sleep 1000
for _ in 1 2 3 4 5; do
        systemctl daemon-reload
        systemctl daemon-reexec
done &
reloads=$!
failed=0
for i in $(seq 20); do
        ctrctl run --rm "$image" sh -c "exit $i" >/dev/null 2>&1
        [[ $? == "$i" ]] || ((failed++))
done
wait "$reloads"
check_equal "runs during daemon-reload and daemon-reexec" 0 "$failed"
check "the log fields are still there" test -e /run/systemd/units/log-extra-fields:ctr-calm.scope
check_equal "and the task" RUNNING "$(property calm Process Status)"
check "a scope that is frozen" systemctl freeze ctr-calm.scope
check "can be killed" timeout 120 ctrctl kill --signal=KILL calm
check "and ends" timeout 120 ctrctl wait calm
check "remove it" ctrctl rm calm

# --- nothing left
for id in web polite orphan many talk; do
        check "remove $id" ctrctl rm --force "$id"
done
check_within "nothing is left" 5 nothing_left
check_equal "no container" "" "$(ctrctl ps --all --no-legend)"
check_within "no directory of a snapshot but the image's" 5 bash -c \
        '[[ $(ls -A /var/lib/ctr/snapshots/overlayfs | wc -l) == $(sqlite3 /var/lib/ctr/ctr.db "SELECT count(*) FROM snapshots") ]]'
