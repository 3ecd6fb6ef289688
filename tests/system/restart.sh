#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Restart policies (A4.17 to A4.19, C16) with real programs: the count, the back-off, who stopped it, and a manager that
# is killed meanwhile.

# Scripts for other shells stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(dirname "${BASH_SOURCE[0]}")
image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"
mkdir -p /run/systemd/system/ctr.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/ctr.service.d/test.conf
systemctl daemon-reload

container() {
        echo "/org/example/Ctr/container/default/$1"
}

# create NAME POLICY COMMAND...: a container and its running task
create() {
        ctrctl run --detach --stop-timeout=1 --name="$1" --restart="$2" "$image" "${@:3}"
}

label() {
        busctl --json=short get-property org.example.Ctr "$(container "$1")" org.example.Ctr.Container Labels |
                grep -oP "\"containerd.io/restart.$2\":\"\K[^\"]*"
}

label_is() {
        [[ $(label "$1" "$2") == "$3" ]]
}

# The number of times it was started.
starts() {
        "$here/event-history" --name="$1" | grep -c ' /tasks/start '
}

starts_are() {
        [[ $(starts "$1") == "$2" ]]
}

# journal_starts_are NAME COUNT: how many entries the journal has of its starts.
journal_starts_are() {
        [[ $(journalctl --quiet --output=cat CTR_CONTAINER="$1" | grep -c "^Task $1 .*was started\$") == "$2" ]]
}

status() {
        busctl get-property org.example.Ctr "/org/example/Ctr/task/default/$1" org.example.Ctr.Process Status 2>/dev/null |
                cut -d'"' -f2
}

status_is() {
        [[ $(status "$1") == "$2" ]]
}

pid_of() {
        busctl get-property org.example.Ctr "/org/example/Ctr/task/default/$1" org.example.Ctr.Process Pid | cut -d' ' -f2
}

crash() {
        local pid

        pid=$(pid_of "$1")
        ((pid > 1)) && kill -KILL "$pid"
}

kill_manager() {
        local pid

        pid=$(manager_pid)
        ((pid == 0)) || kill -KILL "$pid" 2>/dev/null
}

check_fails "a bad policy is named" "RestartPolicy" busctl call -- org.example.Ctr /org/example/Ctr \
        org.example.Ctr.Manager CreateContainer 'ssa{sv}' bad "$image" 1 RestartPolicy s always:3
check_fails "a policy and AutoRemove exclude each other" "AutoRemove" busctl call -- org.example.Ctr /org/example/Ctr \
        org.example.Ctr.Manager CreateContainer 'ssa{sv}' bad "$image" 2 RestartPolicy s always AutoRemove b true

# on-failure:N

check "on-failure:2" create twice on-failure:2 sh -c 'exit 3'
check_within "is restarted" 20 starts_are twice 3
sleep 1
check_equal "exactly twice" 3 "$(starts twice)"
check_within "and counted" 10 label_is twice count 2
check "success" create fine on-failure sh -c 'exit 0'
sleep 0.5
check_equal "is no failure" 1 "$(starts fine)"

# while the manager is killed
check "on-failure:5" create five on-failure:5 sh -c 'sleep 0.05; exit 3'
for i in {1..30}; do
        sleep "0.0$((i * 7 % 10))"
        kill_manager
        ctrctl ps -q >/dev/null
done
check_within "is restarted five times, whatever becomes of the manager" 60 label_is five count 5
check_within "and started six times" 10 starts_are five 6
sleep 1
check_equal "not once more" 6 "$(starts five)"
check "every step of it is an event, once and in order" "$here/event-history" --check

# always, and the streams

printf 'x' >/var/lib/lines
check "always" busctl call -- org.example.Ctr /org/example/Ctr org.example.Ctr.Manager CreateContainer 'ssa{sv}' web "$image" 3 \
        RestartPolicy s always StopTimeoutUSec t 1000000 Command as 3 sh -c 'echo line; sleep 1000'
check "its output goes to a file" busctl call -- org.example.Ctr "$(container web)" org.example.Ctr.Container CreateTask 'a{sv}' 1 \
        Stdout s file:/var/lib/web.log
check "it is started" busctl call -- org.example.Ctr /org/example/Ctr/task/default/web org.example.Ctr.Process Start 'a{sv}' 0
check_equal "it is wanted" running "$(label web status)"
check_equal "a boot would look for it" 0 "$(test -e /var/lib/ctr/restart-at-boot; echo $?)"
check "it crashes" crash web
check_within "it is there again" 20 starts_are web 2
check_within "and runs" 20 status_is web RUNNING
check_within "with the same output" 10 bash -c '[[ $(grep -c line /var/lib/web.log) == 2 ]]'
check_within "the journal has both starts, the user's and the monitor's" 10 journal_starts_are web 2
kill_manager
check "it crashes without a manager" bash -c 'kill -KILL $(cat /sys/fs/cgroup/ctr.slice/ctr-web.scope/payload/cgroup.procs)'
check_within "it is there again" 20 starts_are web 3

# Who stops it does not want it back.

check "a user stops it" ctrctl stop web
check_equal "which is kept" stopped/true "$(label web status)/$(label web explicitly-stopped)"
manager_kill
sleep 0.5
check_equal "it stays so" STOPPED "$(status web)"
ctrctl rm -f web >/dev/null
check "systemctl stop" create unit always sleep 1000
check "is a user's stop, too" systemctl stop ctr-unit.scope
check_within "which is kept" 10 label_is unit status stopped
sleep 0.5
check_equal "it stays so" STOPPED "$(status unit)"
check "kill" create kill always sleep 1000
check "as well" ctrctl kill --signal=KILL kill
check_within "it stays so" 10 label_is kill status stopped
check "a signal that means something else" create usr1 always sh -c 'trap "exit 1" USR1; while :; do sleep 0.1; done'
check "is not" ctrctl kill --signal=USR1 usr1
check_within "it comes back" 20 starts_are usr1 2
check_within "and runs" 10 status_is usr1 RUNNING
check "it is paused" ctrctl pause usr1
kill_manager
check_within "and left alone" 10 status_is usr1 PAUSED

# A boot: nothing of it is left but what is on the disk. (The test bed cannot boot again: its tasks are killed and /run is
# emptied; that the machine goes down is tested with the core, against a systemd that says so.)

check "unless-stopped" create unless unless-stopped sleep 1000
check "stopped" ctrctl stop unless
check "always" create always always sleep 1000
check "stopped" ctrctl stop always
check "and one that runs" create runs unless-stopped sleep 1000
systemctl stop ctr
for scope in /sys/fs/cgroup/ctr.slice/ctr-*.scope; do
        echo 1 >"$scope/cgroup.kill"
done
check_within "everything is gone" 20 bash -c '[[ -z $(systemctl list-units --no-legend "ctr-*.scope") ]]'
rm -rf /run/ctr/tasks
sqlite() {
        /usr/bin/python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$@"
}
check "another boot" sqlite /var/lib/ctr/ctr.db "UPDATE boots SET boot_id = 'before'"
systemctl stop ctr
check "the unit that a boot starts" systemctl start ctr-boot.service
check_within "starts the manager" 20 unit_is ctr.service ActiveState active
check_within "what ran runs" 20 status_is runs RUNNING
check_within "always runs" 20 status_is always RUNNING
check_equal "what was stopped does not" "" "$(status unless)"
check_equal "a boot is no restart" "" "$(label runs count)"
check_match "what the boot ended has an end" '/tasks/exit .*"ExitStatusKnown": false' "$("$here/event-history" --name=runs)"
check "and the history is in order" "$here/event-history" --check

ctrctl rm -f twice fine five unit kill usr1 unless always runs >/dev/null
check_within "nobody wants to run" 10 test ! -e /var/lib/ctr/restart-at-boot
systemctl stop ctr ctr-boot
check "a boot" systemctl start ctr-boot.service
check_equal "then starts nothing" inactive "$(systemctl is-active ctr.service)"
