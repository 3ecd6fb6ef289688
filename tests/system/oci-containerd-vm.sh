#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=1500
#
# shellcheck disable=SC2016
#
# containerd's shim drives ctr-runtime as it drives runc, by the program's path.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

runtime=$(command -v ctr-runtime)
image=docker.io/library/demo:latest

task_is() {
        [[ $(ctr task ls | awk -v id="$1" '$1 == id { print $3 }') == "$2" ]]
}

run() {
        timeout 120 ctr run --runc-binary "$runtime" "$@"
}

mkdir -p "$test_dir/root/bin" "$test_dir/root/etc"
cp "$(command -v busybox)" "$test_dir/root/bin/busybox"
for name in sh true false cat echo sleep id ls ps tty stty mount grep env touch; do
        ln -s busybox "$test_dir/root/bin/$name"
done
echo 'root:x:0:0:root:/:/bin/sh' >"$test_dir/root/etc/passwd"
umoci init --layout "$test_dir/oci"
umoci new --image "$test_dir/oci:latest"
umoci insert --image "$test_dir/oci:latest" "$test_dir/root" /
umoci config --image "$test_dir/oci:latest" --config.env PATH=/bin
tar -C "$test_dir/oci" -cf "$test_dir/oci.tar" .
check "containerd runs" systemctl start containerd
check "an image is imported" ctr image import --base-name docker.io/library/demo "$test_dir/oci.tar"

check_equal "run: its output" hello "$(run --rm "$image" one echo hello)"
check_exit "run: its exit status" 7 run --rm "$image" two sh -c 'exit 7'
capture run --rm "$image" three nosuch
check_match "run: a command that is not there" "executable file not found" "$stderr"
check_match "run: with a terminal" /dev/pts/0 \
        "$(script -qec "ctr run --runc-binary $runtime --rm -t $image four tty" /dev/null)"

check "a container in the background" run -d --memory-limit 67108864 "$image" box sleep 1000
check_within "it runs" 60 task_is box RUNNING
cgroup=/sys/fs/cgroup$(sed -n s/^0:://p "/proc/$(ctr task ls | awk '$1 == "box" { print $2 }')/cgroup")
check_equal "its memory" 67108864 "$(cat "$cgroup/memory.max")"
check_equal "exec" in "$(ctr task exec --exec-id x1 box echo in)"
check_exit "exec: its exit status" 9 ctr task exec --exec-id x2 box sh -c 'exit 9'
check_match "exec: with a terminal" /dev/pts/ "$(script -qec "ctr task exec -t --exec-id x3 box tty" /dev/null)"
check "pause" ctr task pause box
check_within "it is paused" 30 task_is box PAUSED
check "resume" ctr task resume box
check_within "it runs on" 30 task_is box RUNNING
check_match "ps" "[0-9]" "$(ctr task ps box)"
check_match "metrics" "memory" "$(ctr task metrics box)"
check "kill" ctr task kill --signal SIGKILL box
check_within "it has ended" 60 task_is box STOPPED
check "its task is deleted" ctr task delete box
check "and the container" ctr container delete box

check "a container whose cgroup is a scope of systemd's" \
        run -d --runc-systemd-cgroup --cgroup system.slice:ctrtest:scoped "$image" scoped sleep 1000
check_within "it runs" 60 task_is scoped RUNNING
check_match "in its scope" "ctrtest-scoped.scope" \
        "$(cat "/proc/$(ctr task ls | awk '$1 == "scoped" { print $2 }')/cgroup")"
check "a task is deleted by force" ctr task delete --force scoped
check_equal "nothing is left" "" "$("$runtime" --root /run/containerd/runc/default list -q)"
