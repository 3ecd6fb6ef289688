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

# has FILE TEXT: systemd tells the kernel after it has answered that it will.
has() {
        [[ $(cat "$1") == "$2" ]]
}

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
        sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait'

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

# --- the smallest memory.max under which /bin/true of a bundle still starts: docs/performance.md has the figure
bundle=$test_dir/bundle
mkdir -p "$bundle/rootfs/bin"
cp "$(command -v busybox)" "$bundle/rootfs/bin/busybox"
ln -s busybox "$bundle/rootfs/bin/true"
ctr-runtime spec --bundle "$bundle"

# starts KIB: with that limit of memory and no swap; an end by the kernel is told, and is no hang.
starts() {
        jq --argjson limit $(($1 * 1024)) '.process.terminal = false | .process.args = ["/bin/true"] |
                .linux.resources.memory = {limit: $limit, swap: $limit}' "$bundle/config.json" >"$bundle/new"
        cp "$bundle/config.json" "$bundle/kept"
        mv "$bundle/new" "$bundle/config.json"
        capture timeout 60 ctr-runtime run --bundle "$bundle" small </dev/null
        mv "$bundle/kept" "$bundle/config.json"
        return "$status"
}

smallest="" hung=""
for kib in 512000 65536 16384 4096 1024 512 384 256; do
        if starts "$kib"; then
                smallest=$kib
        else
                echo "# $kib KiB: exit code $status: $stderr"
                ((status != 124)) || hung+=" $kib"
        fi
        [[ ! -e /run/ctr-runtime/small && ! -e /sys/fs/cgroup/ctr-runtime/small ]] || hung+=" $kib (left)"
done
echo "# the smallest limit: $smallest KiB"
check_equal "too little memory is an end, and leaves nothing" "" "$hung"
check "/bin/true starts within 1 MiB" test "${smallest:-512000}" -le 1024
jq '.process.terminal = false | .linux.resources.memory = {limit: 1048576, swap: 1048576} |
        .process.args = ["/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]' \
        "$bundle/config.json" >"$bundle/new"
mv "$bundle/new" "$bundle/config.json"
check_exit "and more than that is not to be had" 137 timeout 60 ctr-runtime run --bundle "$bundle" small

# --- the same for containers that other runtimes make (A4.5)
for runtime in crun runc; do
        check_exit "$runtime: too little memory" 137 timeout 60 ctrctl run --name=big --runtime=$runtime --memory-max=16M \
                "$image" dd if=/dev/zero of=/dev/null bs=64M count=1
        check_equal "$runtime: and it is known why" true "$(property big Task OOMKilled)"
        check "$runtime: limits of a task" ctrctl run -d --name=limited --runtime=$runtime --memory-max=64M --tasks-max=20 \
                --cpu-weight=77 --device "$disk" "$image" sleep 1000
        scope=/sys/fs/cgroup/ctr.slice/ctr-limited.scope
        check_equal "$runtime: are its scope's" "67108864 20 77" \
                "$(cat $scope/memory.max) $(cat $scope/pids.max) $(cat $scope/cpu.weight)"
        check_equal "$runtime: and nobody else's" "max max" \
                "$(cat $scope/payload/container/memory.max) $(cat $scope/payload/container/pids.max)"
        check "$runtime: so that they can be changed" ctrctl update --memory-max=96M limited
        check_within "$runtime: in one place" 10 has $scope/memory.max 100663296
        check_exit "$runtime: exec" 4 ctrctl exec limited sh -c "head -c 1 $disk >/dev/null && exit 4"
        check_fails "$runtime: a device that nobody allowed" 'not permitted' ctrctl run --rm --runtime=$runtime "$image" \
                sh -c "mknod /disk b $major $minor && head -c 1 /disk"
        check "$runtime: clean up" ctrctl rm --force big limited
done

# --- a systemd inside manages the controllers that it was delegated (B26)
image_push systemd systemd:latest
check "pull" ctrctl pull --quiet localhost:5000/systemd:latest
check "a container whose init is systemd" ctrctl run -d --name=system localhost:5000/systemd:latest
booted() {
        [[ $(ctrctl exec system systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]
}
check_within "boots" 120 booted
check_equal "and all of it runs" running "$(ctrctl exec system systemctl is-system-running)"
payload=/sys/fs/cgroup/ctr.slice/ctr-system.scope/payload
check_match "it hands controllers on" 'memory.*pids' "$(cat $payload/cgroup.subtree_control)"
check "it limits a service of its own" ctrctl exec system systemctl set-property --runtime ctr-test.service MemoryMax=32M
check_within "which the kernel knows" 10 has $payload/system.slice/ctr-test.service/memory.max 33554432
check "it halts" ctrctl stop --time=120 system
check_equal "by itself" 0 "$(ctrctl wait system)"
check "clean up" ctrctl rm system
