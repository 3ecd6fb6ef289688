#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# The bus dies under the manager: the manager comes back on the new one, and the task did not notice.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=org.example.Ctr
manager=("$name" /org/example/Ctr "$name.Manager")
task=/org/example/Ctr/task/default/web

call() {
        busctl --timeout=60 call -- "$@"
}

bus_unit=dbus.service
if systemctl --quiet is-active dbus-broker.service; then
        bus_unit=dbus-broker.service
fi

registry_start
image_push busybox demo:latest
check "a container is made" call "${manager[@]}" CreateContainer 'ssa{sv}' web localhost:5000/demo 2 Pull s missing \
        Command as 2 sleep 1000
check "its task is made" call "$name" /org/example/Ctr/container/default/web "$name.Container" CreateTask 'a{sv}' 0
pid=$(call "$name" $task "$name.Process" Start 'a{sv}' 0 | cut -d' ' -f2)
check_match "and started" '^[0-9]+$' "$pid"

before=$(manager_pid)
check "the bus dies" systemctl kill --signal=KILL "$bus_unit"
check "the manager says so" journal_wait 20 'connection to the bus is lost' -u ctr.service
check_within "there is a bus again" 30 busctl call org.freedesktop.DBus / org.freedesktop.DBus GetId
check_within "the manager answers on it" 30 busctl get-property "${manager[@]}" Version
check "it is another process" test "$(manager_pid)" != "$before"
check_equal "the task runs on" "s \"RUNNING\" u $pid " \
        "$(busctl get-property "$name" $task "$name.Process" Status Pid | tr '\n' ' ')"
check "its process is the same" test -d "/proc/$pid"
check_match "it is stopped with its true status" '^ut 137 ' \
        "$(call "$name" $task "$name.Task" Stop 'a{sv}' 2 Signal i 9 TimeoutUSec t 5000000)"
