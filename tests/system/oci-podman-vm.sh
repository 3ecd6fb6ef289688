#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
#
# shellcheck disable=SC2016
#
# podman and its conmon drive ctr-runtime as they drive crun: unchanged, but for the program's path.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

runtime=$(command -v ctr-runtime)
counter='i=0; while :; do i=$((i+1)); echo $i >/count.new; mv /count.new /count; sleep 0.1; done'

pod() {
        podman --runtime "$runtime" "$@"
}

running() {
        pod inspect --format '{{.State.Status}}' "$1"
}

is() {
        [[ $(running "$1") == "$2" ]]
}

count() {
        cat "/proc/$(pod inspect --format '{{.State.Pid}}' "$1")/root/count"
}

counts_beyond() {
        local n

        n=$(count "$1") && ((n > $2))
}

cgroup_of() {
        echo "/sys/fs/cgroup$(sed -n s/^0:://p "/proc/$(pod inspect --format '{{.State.Pid}}' "$1")/cgroup")"
}

# --- an image, from packages alone
mkdir -p "$test_dir/root/bin" "$test_dir/root/etc"
cp "$(command -v busybox)" "$test_dir/root/bin/busybox"
for name in sh true false cat echo sleep id ls ps tty stty mount grep env touch mv nproc; do
        ln -s busybox "$test_dir/root/bin/$name"
done
echo 'root:x:0:0:root:/:/bin/sh' >"$test_dir/root/etc/passwd"
check "an image is imported" sh -c "tar -C '$test_dir/root' -c . | podman import - demo"

# --- run
check_equal "run: its output" hello "$(pod run --rm --network=none demo echo hello)"
check_exit "run: its exit status" 7 pod run --rm --network=none demo sh -c 'exit 7'
check_exit "run: a command that is not there is 127" 127 pod run --rm --network=none demo nosuch
check_exit "run: a command that is not executable is 126" 126 pod run --rm --network=none demo /etc/passwd
check_match "run: with a terminal" /dev/pts/0 "$(script -qec "podman --runtime $runtime run --rm -t --network=none demo tty" /dev/null)"
check_equal "run: standard input" text "$(echo text | pod run --rm -i --network=none demo cat)"
check_equal "run: a user" '5 6' "$(pod run --rm --network=none --user 5:6 demo sh -c 'echo $(id -u) $(id -g)')"
check_equal "run: a read-only root" 1 "$(pod run --rm --network=none --read-only --read-only-tmpfs=false demo sh -c 'touch /x 2>/dev/null; echo $?')"

# --- limits
check "run: a container in the background" pod run -d --name box --network=none --memory=64m --cpus=0.5 --pids-limit=50 \
        --cpu-shares=512 demo sh -c "$counter"
check_within "it runs" 60 is box running
check_equal "its memory" 67108864 "$(cat "$(cgroup_of box)/memory.max")"
check_equal "its CPU time" "50000 100000" "$(cat "$(cgroup_of box)/cpu.max")"
check_equal "its processes" 50 "$(cat "$(cgroup_of box)/pids.max")"
check_equal "its weight" 20 "$(cat "$(cgroup_of box)/cpu.weight")"
check_match "the scope is systemd's" "MemoryMax=67108864" \
        "$(systemctl show --property=MemoryMax "$(basename "$(cgroup_of box)")")"
check "the limits live through a daemon-reload" systemctl daemon-reload
check_equal "as they were" 67108864 "$(cat "$(cgroup_of box)/memory.max")"
check "update" "$runtime" --systemd-cgroup --root /run/ctr-runtime update --memory 33554432 \
        --memory-swap 33554432 "$(pod inspect --format '{{.Id}}' box)"
check_equal "has changed it" 33554432 "$(cat "$(cgroup_of box)/memory.max")"
check_exit "a device that is not allowed cannot be opened" 1 \
        pod exec box sh -c 'busybox mknod /dev/m c 1 1; cat /dev/m >/dev/null'

# --- exec
check_equal "exec: its output" in "$(pod exec box echo in)"
check_exit "exec: its exit status" 9 pod exec box sh -c 'exit 9'
check_exit "exec: a command that is not there is 127" 127 pod exec box nosuch
check_match "exec: with a terminal" /dev/pts/ "$(script -qec "podman --runtime $runtime exec -t box tty" /dev/null)"
check "exec in the background" pod exec -d box sleep 1000
check_match "top shows both" "sleep 1000" "$(pod top box args)"
check_match "stats" '[0-9.]+[kM]B / ' "$(pod stats --no-stream box)"

# --- pause
check_within "it counts" 30 counts_beyond box 3
check "pause" pod pause box
check_equal "it is paused" paused "$(running box)"
before=$(count box)
check_exit "an exec is refused" 255 pod exec box true
check_equal "and does not count" "$before" "$(count box)"
check "unpause" pod unpause box
check_within "it counts again" 30 counts_beyond box "$before"

# --- checkpoint
check "checkpoint" pod container checkpoint box
check_within "it has ended" 30 is box exited
check "restore" pod container restore box
check_within "it runs again" 60 is box running
check_within "and counts on from where it was" 30 counts_beyond box "$before"

# --- end
check "kill with a signal" pod kill --signal USR1 box
check "stop" pod stop -t 2 box
check_equal "its exit status is that of a kill" 137 "$(pod inspect --format '{{.State.ExitCode}}' box)"
check "start again" pod start box
check_within "it runs" 60 is box running
check "rm --force" pod rm --force --time 0 box
check_equal "nothing is left" "" "$("$runtime" list -q)"
check_equal "no scope either" "" "$(systemctl list-units --plain --no-legend 'libpod-*.scope' | grep -v conmon)"

# --- without systemd
check_equal "cgroups made by hand" hello \
        "$(podman --cgroup-manager=cgroupfs --runtime "$runtime" run --rm --memory=32m --network=none demo echo hello)"
