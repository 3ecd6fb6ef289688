#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
#
# shellcheck disable=SC2016
#
# Limits that the kernel enforces: only the virtual machine has all cgroup controllers.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest

property() {
        busctl get-property org.example.Ctr "/org/example/Ctr/task/default/$1" "org.example.Ctr.$2" "$3" |
                cut -d' ' -f2- | tr -d '"'
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

check "a task with too little memory" ctrctl run -d --name big --memory-max=16M "$image" \
        dd if=/dev/zero of=/dev/null bs=64M count=1
check_equal "is killed" 137 "$(timeout 60 ctrctl wait big)"
check_equal "and it is known why" true "$(property big Task OOMKilled)"
check "the next one has enough" ctrctl run --rm --memory-max=64M "$image" true

check_fails "no more tasks than TasksMax" 'fork|unavailable' ctrctl run --rm --tasks-max=8 "$image" \
        sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait'

check "a weight, a quota and a list of CPUs" ctrctl run -d --name cpu --cpu-weight=77 --cpu-quota=25% --allowed-cpus=0 \
        "$image" sleep 1000
scope=/sys/fs/cgroup/ctr.slice/ctr-cpu.scope
check_equal "reach the kernel: weight" 77 "$(cat $scope/cpu.weight)"
check_match "quota" '^25000 100000$' "$(cat $scope/cpu.max)"
check_equal "CPUs" 0 "$(cat $scope/cpuset.cpus.effective)"
check_match "and the payload has controllers of its own" 'memory' "$(cat $scope/payload/cgroup.controllers)"
check_match "which a program inside may use" 'pids' "$(cat $scope/payload/cgroup.controllers)"

disk=$(findmnt --noheadings --output SOURCE /)
major=$((0x$(stat -c %t "$disk"))) minor=$((0x$(stat -c %T "$disk")))
check_fails "a device that nobody allowed cannot be opened" 'not permitted' ctrctl run --rm "$image" \
        sh -c "mknod /disk b $major $minor && head -c 1 /disk"
check "one that was allowed can" ctrctl run --rm --device "$disk" "$image" sh -c "head -c 1 $disk >/dev/null"

check "clean up" ctrctl rm --force big cpu
