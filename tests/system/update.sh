#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Limits of tasks that run (A3.19, A4.13, A5.17, D5, C14): Update and systemctl set-property change the same unit
# properties, both are seen in Task.Resources, and an Update holds for later tasks, too.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
destination=org.example.Ctr
root=/org/example/Ctr

update() {
        busctl call $destination "$root/task/default/$1" $destination.Task Update 'a{sv}a{sv}' $((($# - 1) / 3)) "${@:2}" 0
}

# resource TASK KEY: what Task.Resources says, or nothing.
resource() {
        busctl --json=short get-property $destination "$root/task/default/$1" $destination.Task Resources |
                python3 -c 'import json, sys
print(json.load(sys.stdin)["data"].get(sys.argv[1], {}).get("data", ""))' "$2"
}

resource_is() {
        [[ $(resource "$1" "$2") == "$3" ]]
}

# member KEY...: a value of the document on standard input.
member() {
        python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]:
        value = value[int(key) if isinstance(value, list) else key]
print(value)' "$@"
}

# recorded ID KEY...: a value of the container's document.
recorded() {
        busctl --json=short call $destination "$root/container/default/$1" $destination.Container GetSpec 'a{sv}' 0 |
                member data 0 | member "${@:2}"
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- an update
check "a task with limits" ctrctl run -d --name web --memory-max=64M --cpu-weight=50 "$image" sleep 1000
check_equal "which are seen" $((64 << 20)) "$(resource web MemoryMax)"
check_equal "what nobody chose is not" "" "$(resource web TasksMax)"
bus_record changes "type='signal',path='$root/task/default/web',member='PropertiesChanged'"
check "an update of several" update web MemoryMax t $((128 << 20)) TasksMax t 77 CPUQuotaPerSecUSec t 500000 \
        AllowedCPUs s 0
check_equal "systemd has them: memory" $((128 << 20)) "$(systemctl show -P MemoryMax ctr-web.scope)"
check_equal "tasks" 77 "$(systemctl show -P TasksMax ctr-web.scope)"
check_equal "quota" 500ms "$(systemctl show -P CPUQuotaPerSecUSec ctr-web.scope)"
check_equal "CPUs" 0 "$(systemctl show -P AllowedCPUs ctr-web.scope)"
check_equal "what was not named stays" 50 "$(systemctl show -P CPUWeight ctr-web.scope)"
check_equal "they are seen" $((128 << 20)) "$(resource web MemoryMax)"
check_equal "all of them" 0 "$(resource web AllowedCPUs)"
check_match "and told" Resources "$(bus_expect changes 10 '"Resources"')"
check_equal "the container's document has them" $((128 << 20)) "$(recorded web linux resources memory limit)"
check_equal "each in its place" 50000 "$(recorded web linux resources cpu quota)"
check_equal "the weight as systemd writes it" 50 "$(recorded web linux resources unified cpu.weight)"
check_equal "that of the task is what it was made from" $((64 << 20)) "$(member linux resources memory limit </run/ctr/tasks/default/web/config.json)"
check "no limit is one, too" update web MemoryMax t 18446744073709551615
check_equal "systemd has none" infinity "$(systemctl show -P MemoryMax ctr-web.scope)"
check_equal "and none is seen" "" "$(resource web MemoryMax)"
check "nothing is no change" update web
check_equal "of anything" 77 "$(resource web TasksMax)"

# --- all or nothing
check_fails "an unknown limit" 'Unknown option BlkioWeight' update web BlkioWeight t 5
check_fails "a wrong type" 'Option TasksMax: a value of type t is needed' update web TasksMax s 5
check_fails "a bad value among good ones names itself" 'CPUWeight' update web TasksMax t 5 CPUWeight t 10001
check_equal "and the good one is not set" 77 "$(systemctl show -P TasksMax ctr-web.scope)"
check_fails "a bad list of CPUs" 'AllowedCPUs' update web AllowedCPUs s 3-1

# --- other states (D5)
check "a task that was not started" ctrctl create --name idle "$image" sleep 1000
check "is created" busctl call $destination $root/container/default/idle $destination.Container CreateTask 'a{sv}' 0
check "and updated" update idle TasksMax t 9
check_equal "at once" 9 "$(systemctl show -P TasksMax ctr-idle.scope)"
check "a task that ends" ctrctl run -d --name over "$image" true
check "ends" ctrctl wait over
check_fails "it is not updated" 'Task "over" is STOPPED: cannot update a stopped container' update over TasksMax t 9
check_match "as FailedPrecondition" 'Error.FailedPrecondition' "$(gdbus call --system --dest $destination \
        --object-path $root/task/default/over --method $destination.Task.Update '{}' '{}' 2>&1)"

# --- set-property (C14)
check "systemctl set-property" systemctl set-property ctr-web.scope MemoryMax=32M CPUWeight=20
check_within "is reflected" 10 resource_is web MemoryMax $((32 << 20))
check_equal "in all" 20 "$(resource web CPUWeight)"
check_match "and told" '33554432' "$(bus_expect changes 10 33554432)"
check "once more" systemctl set-property --runtime ctr-web.scope MemoryMax=16M
check_within "also when there was a drop-in" 10 resource_is web MemoryMax $((16 << 20))
check "daemon-reload" systemctl daemon-reload
check_equal "keeps what was set" $((16 << 20)) "$(systemctl show -P MemoryMax ctr-web.scope)"
check_equal "what was updated" 77 "$(systemctl show -P TasksMax ctr-web.scope)"
check_equal "and what is seen" $((16 << 20)) "$(resource web MemoryMax)"
check "the manager is killed" systemctl kill --signal=KILL --kill-whom=main ctr.service
check_within "its successor sees what was set" 20 resource_is web MemoryMax $((16 << 20))
check "a change while nobody looks" systemctl stop ctr.service
check "is made" systemctl set-property ctr-web.scope MemoryMax=8M
check_within "and seen" 20 resource_is web MemoryMax $((8 << 20))

# --- later tasks
check "the task is deleted" busctl call $destination $root/task/default/web $destination.Process Delete 'a{sv}' 1 Force b true
check "the next one" busctl call $destination $root/container/default/web $destination.Container CreateTask 'a{sv}' 0
check_equal "has what was updated" 77 "$(systemctl show -P TasksMax ctr-web.scope)"
check_equal "and not what was set for the other scope" infinity "$(systemctl show -P MemoryMax ctr-web.scope)"
check_equal "which is not seen either" "" "$(resource web MemoryMax)"
check_equal "its document" 77 "$(member linux resources pids limit </run/ctr/tasks/default/web/config.json)"

check "clean up" ctrctl rm --force web idle over
