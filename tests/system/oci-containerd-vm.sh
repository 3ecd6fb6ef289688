#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
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

# --- checkpoint and restore, by the command line itself
counter='i=0; while [ ! -e /end ]; do i=$((i+1)); echo $i >/count.new; mv /count.new /count; sleep 0.1; done; exit 7'
box=$test_dir/box
mkdir -p "$box"
cp -a "$test_dir/root" "$box/rootfs"
ln -s busybox "$box/rootfs/bin/mv"
"$runtime" spec --bundle "$box"
python3 - "$box/config.json" "$counter" <<'PYTHON'
import json, sys
with open(sys.argv[1]) as f:
    c = json.load(f)
c["process"].update(terminal=False, args=["sh", "-c", sys.argv[2]])
c["root"]["readonly"] = False
c["annotations"] = {"of": "before"}
with open(sys.argv[1], "w") as f:
    json.dump(c, f)
PYTHON

# quiet ARGUMENT...: with streams that are nobody's
quiet() {
        local r=0

        "$runtime" "$@" </dev/null >/dev/null 2>"$test_dir/errors" || r=$?
        cat "$test_dir/errors" >&2
        return "$r"
}

count() {
        cat "$box/rootfs/count"
}

counts_beyond() {
        local n

        n=$(count) && ((n > $1))
}

state_of() {
        "$runtime" state "$1" | jq -r ".$2"
}

check "a container that counts" quiet run -d -b "$box" counter
check_within "it counts" 30 counts_beyond 3
check_fails "lazy pages are refused" '--lazy-pages is not supported' \
        "$runtime" checkpoint --lazy-pages --image-path "$test_dir/images/x" counter
check "a checkpoint that lets it go on" \
        quiet checkpoint --leave-running --image-path "$test_dir/images/first" counter
check_equal "it runs" running "$(state_of counter status)"
check_within "and counts on" 30 counts_beyond "$(count)"
check "one that ends it, with its log in a directory of its own" \
        quiet checkpoint --image-path "$test_dir/images/second" --work-path "$test_dir/work" counter
check "the images are there" test -s "$test_dir/images/second/inventory.img"
check_fails "the container is gone" 'does not exist' "$runtime" state counter
check "and so is its cgroup" test ! -e /sys/fs/cgroup/ctr-runtime/counter
before=$(count)
check_fails "what is no checkpoint cannot be restored" 'checkpoint' \
        "$runtime" restore -d -b "$box" --image-path "$box" counter
check_fails "that leaves nothing" 'does not exist' "$runtime" state counter
check "restore" quiet restore -d -b "$box" --image-path "$test_dir/images/second" --work-path "$test_dir/work" \
        --pid-file "$test_dir/pid" counter
check_equal "it runs" running "$(state_of counter status)"
check_equal "its pid is in the file" "$(state_of counter pid)" "$(cat "$test_dir/pid")"
check_equal "its annotations" before "$(state_of counter annotations.of)"
check_within "it counts on from where it was" 30 counts_beyond "$before"
check_match "in its own cgroup" '/ctr-runtime/counter$' "$(cat "/proc/$(cat "$test_dir/pid")/cgroup")"
check_equal "exec" in "$("$runtime" exec counter echo in)"
check "pause" "$runtime" pause counter
before=$(count)
check "a paused one can be checkpointed" quiet checkpoint --image-path "$test_dir/images/third" counter
check_equal "and has not counted" "$before" "$(count)"
touch "$box/rootfs/end"
check_exit "restore stays until the end, and has its exit status" 7 \
        quiet restore -b "$box" --image-path "$test_dir/images/third" counter
check_fails "the container is gone then" 'does not exist' "$runtime" state counter
check_equal "nothing is left" "" "$("$runtime" list -q)"
