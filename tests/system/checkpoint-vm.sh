#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
#
# shellcheck disable=SC2016
#
# Checkpoint and restore with CRIU, which needs a kernel that it knows: A2.10, A3.5, A3.7, A3.10, A3.15, A5.21, D21, D22.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
destination=org.example.Ctr
root=/org/example/Ctr
counter='i=0; while :; do i=$((i+1)); echo $i; echo $i >/count; sleep 0.1; done'
images=$test_dir/images

property() {
        busctl get-property "$destination" "$root/task/default/$1" "$destination.$2" "$3" | cut -d' ' -f2- | tr -d '"'
}

# count ID: how far its counter is. The file is empty for a moment when it is written.
count() {
        local n file

        file=/proc/$(property "$1" Process Pid)/root/count
        for _ in {1..600}; do
                n=$(cat "$file") || return 1
                [[ -z $n ]] || break
                sleep 0.1
        done
        echo "$n"
}

counts_beyond() {
        local n

        n=$(count "$1") && ((n > $2))
}

status_is() {
        [[ $(property "$1" Process Status) == "$2" ]]
}

frozen() {
        cat "/sys/fs/cgroup/ctr.slice/ctr-$1.scope/payload/cgroup.freeze"
}

create_task() {
        busctl call --timeout=120 "$destination" "$root/container/default/$1" "$destination.Container" CreateTask 'a{sv}' \
                "${@:2}"
}

start_task() {
        busctl call --timeout=120 "$destination" "$root/task/default/$1" "$destination.Process" Start 'a{sv}' 0
}

# pauses_idle: paused while its shell has no file open, which another root would have to have, too.
pauses_idle() {
        ctrctl pause one || return
        [[ $(readlink "/proc/$pid"/fd/*) == */count* ]] || return 0
        ctrctl resume one
        return 1
}

mkdir -p "$images"
registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- a checkpoint of a task that goes on
check "a task that counts" ctrctl run -d --name one "$image" sh -c "$counter"
check_within "it counts" 10 counts_beyond one 3
pid=$(property one Process Pid)
check_equal "a checkpoint says where it is" "$images/a" "$(ctrctl checkpoint --path="$images/a" --leave-running one)"
check_equal "the task runs" RUNNING "$(property one Process Status)"
check_equal "as the same process" "$pid" "$(property one Process Pid)"
before=$(count one)
check_within "and goes on" 10 counts_beyond one "$before"
check "CRIU's images are there" test -s "$images/a/inventory.img"
check "and no log of success" test ! -e "$images/a/dump.log"
check_fails "no second one in the same directory" 'already' ctrctl checkpoint --path="$images/a" --leave-running one
check_within "paused" 60 pauses_idle
check "an incremental one (A3.7)" ctrctl checkpoint --path="$images/b" --parent-path="$images/a" --leave-running one
check "resumed" ctrctl resume one
check_equal "refers to the first" ../a "$(readlink "$images/b/parent")"
check_fails "one before it that is not there" 'before this one' ctrctl checkpoint --path="$images/n" --parent-path="$images/none" one
check_fails "nor in the same directory" 'same directory' ctrctl checkpoint --path="$images/n" --parent-path="$images/n" one
check_fails "an image is complete without others" 'ParentPath needs Path' \
        ctrctl checkpoint --image=localhost/n --parent-path="$images/a" one
check_fails "a relative path is refused" 'absolute' busctl call "$destination" "$root/task/default/one" \
        "$destination.Task" Checkpoint 'a{sv}' 1 Path s relative

# --- paused before, paused after
check_within "paused" 60 pauses_idle
paused=$(count one)
check "a checkpoint of a paused task" ctrctl checkpoint --path="$images/paused" --leave-running one
check_equal "which stays paused (A3.15)" PAUSED "$(property one Process Status)"
check_equal "and frozen" 1 "$(frozen one)"
check "resumed" ctrctl resume one

# --- one that ends the task
check "a checkpoint that ends the task" ctrctl checkpoint --path="$images/c" one
check_within "it has ended" 10 status_is one STOPPED
check_equal "killed" 137 "$(property one Process ExitStatus)"
last=$(ctrctl logs one 2>/dev/null | tail -n 1)
check "it can be deleted (D22)" busctl call "$destination" "$root/task/default/one" "$destination.Process" Delete 'a{sv}' 0

# --- restored: CREATED without a process until it is started
check "a task from the checkpoint" create_task one 1 CheckpointPath s "$images/c"
check_equal "is created (D21)" CREATED "$(property one Process Status)"
check_equal "with pid 0" 0 "$(property one Process Pid)"
busctl call --timeout=300 "$destination" "$root/task/default/one" "$destination.Process" Wait 'a{sv}' 0 >"$test_dir/wait" &
waiter=$!
check "start restores it (A3.10)" start_task one
check_equal "it runs" RUNNING "$(property one Process Status)"
check_match "as a process" '^[1-9][0-9]*$' "$(property one Process Pid)"
pid=$(property one Process Pid)
check_match "in the payload" '/ctr-one.scope/payload$' "$(grep ^0:: "/proc/$pid/cgroup")"
check_match "a child of the supervisor" ctr-supervisor \
        "$(cat "/proc/$(awk '/^PPid/{print $2}' "/proc/$pid/status")/comm")"
check_match "that gains no privileges" '1$' "$(grep NoNewPrivs "/proc/$pid/status")"
check_match "with its filter" '2$' "$(grep '^Seccomp:' "/proc/$pid/status")"
check_equal "nothing of its mounts is in the host's" "" "$(grep lowerdir=/var/lib/ctr /proc/1/mountinfo)"
check_within "it goes on" 10 counts_beyond one "$last"
check_within "in the journal too" 10 eval "ctrctl logs one | grep -qx $((last + 1))"
check_equal "from where it was" 1 "$(ctrctl logs one | grep -cx "$((last + 1))")"
check "and can be written down again" ctrctl checkpoint --path="$images/d" --leave-running one
check "exec works in it" ctrctl exec one true
check "it is killed" ctrctl kill -s KILL one
wait "$waiter"
check_match "who waited before the start is told (A3.5)" '^ut 137 ' "$(cat "$test_dir/wait")"

# --- with ctrctl, into another root
check "a container with another root" ctrctl create --name two "$image" sh
check_equal "restored with ctrctl" two "$(ctrctl restore --path="$images/paused" two)"
check_within "it goes on there" 10 counts_beyond two "$paused"

# --- from an incremental one: it finds the one before, also where both were moved to
mkdir "$test_dir/moved"
mv "$images/a" "$images/b" "$test_dir/moved"
check "a container for an incremental one" ctrctl create --name parts "$image" sh
check "restored from two directories (A3.7)" ctrctl restore --path="$test_dir/moved/b" parts
check_within "it goes on" 10 counts_beyond parts 3
check "clean up" ctrctl rm --force one two parts

# --- terminals and files
check "a task with a terminal" ctrctl run -d -t --name tty "$image" sh -c "$counter"
check_within "it counts" 10 counts_beyond tty 2
check "its checkpoint" ctrctl checkpoint --path="$images/tty" tty
check "is restored" ctrctl restore --path="$images/tty" tty
before=$(count tty)
check_within "and goes on" 10 counts_beyond tty "$before"
check_match "with a terminal" '^/dev/pts/' "$(readlink "/proc/$(property tty Process Pid)/fd/0")"
check_fails "not into a container without one" 'with a terminal' eval "ctrctl create --name plain $image sh >/dev/null &&
        ctrctl restore --path=$images/tty plain"
check "clean up" ctrctl rm --force tty plain

check "a container" ctrctl create --name file "$image" sh -c "$counter"
check "writes to a file" create_task file 1 Stdout s "file:$test_dir/out"
check "runs" start_task file
check_within "it counts" 10 counts_beyond file 3
check "its checkpoint" ctrctl checkpoint --path="$images/file" file
last=$(tail -n 1 "$test_dir/out")
check "delete" busctl call "$destination" "$root/task/default/file" "$destination.Process" Delete 'a{sv}' 0
check "a task from it, with the file" create_task file 2 Stdout s "file:$test_dir/out" CheckpointPath s "$images/file"
check "restored" start_task file
check_within "goes on in the file" 10 grep -qx "$((last + 2))" "$test_dir/out"
check_equal "without a gap" "$(seq "$((last + 2))" | md5sum)" "$(head -n "$((last + 2))" "$test_dir/out" | md5sum)"
check "clean up" ctrctl rm --force file

# what it has opened itself is no stream of the host's, wherever it stands
check "a task that has put its output elsewhere" ctrctl run -d --name own "$image" sh -c "exec >/own; $counter"
check_within "it counts" 10 counts_beyond own 3
check "its checkpoint" ctrctl checkpoint --path="$images/own" own
check "delete" busctl call "$destination" "$root/task/default/own" "$destination.Process" Delete 'a{sv}' 0
check "a task from it" create_task own 1 CheckpointPath s "$images/own"
check "restored" start_task own
last=$(count own)
check_within "goes on there" 20 eval 'grep -qx $((last + 2)) "/proc/$(property own Process Pid)/root/own"'
check "clean up" ctrctl rm --force own

# --- in the content store
check "a task that counts" ctrctl run -d --name stored "$image" sh -c "$counter"
check_within "it counts" 10 counts_beyond stored 3
check "a checkpoint as an image" ctrctl checkpoint --image=localhost/checkpoint:1 --leave-running stored
check_equal "the task goes on" RUNNING "$(property stored Process Status)"
check_fails "the name is taken now" 'already' ctrctl checkpoint --image=localhost/checkpoint:1 stored
index=/var/lib/ctr/content/sha256/$(ctrctl inspect localhost/checkpoint:1 | grep -o 'sha256:[0-9a-f]*' | head -n 1 | cut -d: -f2)
check_equal "the index has what it should, in order (A3.16)" "application/vnd.containerd.container.criu.checkpoint.criu.tar
application/vnd.containerd.container.checkpoint.config.v1+proto
application/vnd.oci.image.manifest.v1+json
application/vnd.oci.image.layer.v1.tar" "$(jq -r '.manifests[].mediaType' "$index")"
check_equal "three of them with a platform" 3 "$(jq '[.manifests[] | select(.platform.os == "linux")] | length' "$index")"
check_equal "and the name of the image" "$image" "$(jq -r '.annotations["image.name"]' "$index")"
layer=/var/lib/ctr/content/sha256/$(jq -r '.manifests[3].digest' "$index" | cut -d: -f2)
check_match "the layer has what was written" '(^|\n)count' "$(tar tf "$layer")"
check "another container" ctrctl create --name again "$image" sh
check_fails "an image that is no checkpoint (A3.20)" 'checkpoint not found in index' ctrctl restore --image="$image" again
check "goes on from the image" ctrctl restore --image=localhost/checkpoint:1 again
check_within "counting" 10 counts_beyond again 3
check_within "no directory is left (A5.5)" 20 eval '[[ -z $(find /var/lib/ctr/snapshots/overlayfs -maxdepth 1 -name ".*" -type d) ]]'
check "clean up" ctrctl rm --force stored again

# --- with the files that the container had written
restore_directories() {
        find /var/lib/ctr/snapshots/overlayfs -maxdepth 1 -name '.new-restore-*'
}

# of ID FILE: a file as the container sees it.
of() {
        cat "/proc/$(property "$1" Process Pid)/root/$2"
}

writer='mkdir -p /made/deep; echo kept >/made/deep/file; ln /made/deep/file /made/link; rm /bin/ash; echo more >>/etc/group
        i=0; while :; do i=$((i+1)); cat /made/deep/file >/read; echo $i >>/read; echo $i >/count; sleep 0.1; done'
check "a task that writes files" ctrctl run -d --name files "$image" sh -c "$writer"
check_within "and reads them" 10 counts_beyond files 3
check "its checkpoint as an image" ctrctl checkpoint --image=localhost/checkpoint:2 files
index=/var/lib/ctr/content/sha256/$(ctrctl inspect localhost/checkpoint:2 | grep -o 'sha256:[0-9a-f]*' | head -n 1 | cut -d: -f2)
check "is all that stays of it" ctrctl rm --force files
check "a container of the image that the checkpoint names" \
        ctrctl create --name fresh "$(jq -r '.annotations["image.name"]' "$index")" sh
check "a task from it" create_task fresh 1 Checkpoint s localhost/checkpoint:2
check_equal "waits in one directory" 1 "$(restore_directories | wc -l)"
check "the service restarts" systemctl restart ctr.service
check_within "the task is created still" 10 status_is fresh CREATED
check "the service is killed" systemctl kill --signal=KILL --kill-whom=main ctr.service
check_within "and the directory is there (A5.5)" 10 eval '[[ $(property fresh Process Status) == CREATED && -n $(restore_directories) ]]'
check "it is restored after that" start_task fresh
check_within "it goes on" 10 counts_beyond fresh 3
check "forget what it has read" ctrctl exec fresh rm /read
check_within "a file from before is read after" 10 eval '[[ $(of fresh read | head -n 1) == kept ]]'
check_equal "under its other name" kept "$(of fresh made/link)"
check_equal "which is the same file" 2 "$(stat -c %h "/proc/$(property fresh Process Pid)/root/made/deep/file")"
check "what was removed is not there" test ! -L "/proc/$(property fresh Process Pid)/root/bin/ash"
check "and what was not is" test -L "/proc/$(property fresh Process Pid)/root/bin/cat"
check_equal "what was changed is changed" more "$(of fresh etc/group | tail -n 1)"
check_equal "no directory is left" "" "$(restore_directories)"
check "clean up" ctrctl rm --force fresh

check "a container with a file of its own" ctrctl run --name own "$image" sh -c 'echo own >/own; echo own >/made'
check "its task is deleted" busctl call "$destination" "$root/task/default/own" "$destination.Process" Delete 'a{sv}' 0
upper=$(dirname "$(find /var/lib/ctr/snapshots/overlayfs -path '*/fs/own')")
check_fails "a restore that cannot be set up" 'no-such' create_task own 2 Checkpoint s localhost/checkpoint:2 Stdout s file:/proc/no-such/file
check_equal "leaves it as it was" own "$(cat "$upper/own")"
check_equal "and no directory" "" "$(restore_directories)"
check "one that can" create_task own 1 Checkpoint s localhost/checkpoint:2
check_equal "has the files of the checkpoint" kept "$(cat "$upper/made/link")"
check "and nothing else" test ! -e "$upper/own"
check "a second task is refused" eval '! create_task own 1 Checkpoint s localhost/checkpoint:2'
check_equal "without touching the first" 1 "$(restore_directories | wc -l)"
check "deleted before its start" busctl call "$destination" "$root/task/default/own" "$destination.Process" Delete 'a{sv}' 0
check_equal "no directory is left" "" "$(restore_directories)"
check "clean up" ctrctl rm --force own

# --- the manager killed in the middle: what is to come after is done by the next one
slow=$test_dir/slow
mkdir -p "$slow" /run/systemd/system/ctr.service.d
cat >"$slow/criu" <<EOF
#!/bin/sh
: >$slow/begun
while [ ! -e $slow/go ]; do /bin/sleep 0.1; done
exec $(command -v criu) "\$@"
EOF
chmod +x "$slow/criu"
printf '[Service]\nEnvironment=PATH=%s:%s\n' "$slow" "$PATH" >/run/systemd/system/ctr.service.d/path.conf
systemctl daemon-reload
systemctl restart ctr.service

# killed_during ID ARGUMENT...: a checkpoint whose CRIU waits while the manager is killed, and then goes on.
killed_during() {
        local id=$1

        rm -f "$slow/begun" "$slow/go"
        ctrctl checkpoint "${@:2}" "$id" >/dev/null 2>&1 &
        wait_until 20 test -e "$slow/begun" && manager_kill && wait_until 10 status_is "$id" PAUSED && touch "$slow/go"
}

checkpoints_told() {
        ctrctl events --json=short | jq -r 'select(.Topic == "/tasks/checkpointed") | .Details.Id' | grep -cx "$1"
}

check "a task that counts" ctrctl run -d --name killed "$image" sh -c "$counter"
check_within "it counts" 60 counts_beyond killed 3
check "the manager is killed while its checkpoint is made" killed_during killed --path="$images/killed" --leave-running
check_within "the task is resumed by the next one (A3.15)" 60 status_is killed RUNNING
check_equal "it is not frozen" 0 "$(frozen killed)"
check_within "and goes on" 60 counts_beyond killed "$(count killed)"
check "the checkpoint is there" test -s "$images/killed/inventory.img"
check_within "and told, once" 10 eval '[[ $(checkpoints_told killed) == 1 ]]'
check "another restart of the service" systemctl restart ctr.service
check_within "changes nothing" 10 status_is killed RUNNING
check_equal "and tells nothing" 1 "$(checkpoints_told killed)"
check "the same with one that ends it, as an image" killed_during killed --image=localhost/checkpoint:3
check_within "it has ended" 60 status_is killed STOPPED
check_within "the image is stored by the next one" 60 ctrctl inspect localhost/checkpoint:3
check_within "no directory is left" 20 eval '[[ -z $(find /var/lib/ctr/snapshots/overlayfs -maxdepth 1 -name ".*" -type d) ]]'
check "another container" ctrctl create --name after "$image" sh
check "is restored from it" ctrctl restore --image=localhost/checkpoint:3 after
check_within "it goes on" 10 counts_beyond after 3
check "clean up" ctrctl rm --force killed after
rm /run/systemd/system/ctr.service.d/path.conf
systemctl daemon-reload
systemctl restart ctr.service

# --- what fails
connection='sleep 1000 | nc -l -p 7000 & until grep -q ":1B58 .* 0A " /proc/net/tcp*; do sleep 0.1; done
        sleep 1000 | nc 127.0.0.1 7000'
check "a task with a connection" ctrctl run -d --name tcp "$image" sh -c "$connection"
check_within "that is established" 20 eval "cat /proc/\$(property tcp Process Pid)/net/tcp* | grep -q ':1B58 .* 01 '"
check_fails "is not written down unasked" 'CRIU failed: Error \(.*/run/ctr/tasks/default/tcp/criu-dump.log' \
        ctrctl checkpoint --path="$images/tcp" tcp
check_match "CRIU's log is kept (A2.10)" 'tcp' "$(cat /run/ctr/tasks/default/tcp/criu-dump.log)"
check_equal "the task runs on" RUNNING "$(property tcp Process Status)"
check_equal "not frozen" 0 "$(frozen tcp)"
cp -a "$images/c" "$images/damaged"
: >"$images/damaged/core-1.img"
check "a container for damaged images" ctrctl create --name damaged "$image" sh
check_fails "what was left is no checkpoint" 'no checkpoint' ctrctl restore --path="$images/tcp" damaged
check_fails "a directory that is not there" 'No such file' ctrctl restore --path="$images/none" damaged
check_fails "damaged ones cannot be restored" 'CRIU failed: Error \(' ctrctl restore --path="$images/damaged" damaged
check_equal "the task has ended" STOPPED "$(property damaged Process Status)"
check_equal "with 125" 125 "$(property damaged Process ExitStatus)"
check "clean up" ctrctl rm --force damaged

mkdir -p /run/systemd/system/ctr.service.d "$test_dir/empty"
printf '[Service]\nEnvironment=PATH=%s\n' "$test_dir/empty" >/run/systemd/system/ctr.service.d/path.conf
systemctl daemon-reload
systemctl restart ctr.service
check_fails "without CRIU it is said so" 'CRIU is not installed' ctrctl checkpoint --path="$images/nocriu" tcp
check_within "and nothing has changed" 10 status_is tcp RUNNING
check "not even the directory is there" test ! -e "$images/nocriu"
check "clean up" ctrctl rm --force tcp
check_equal "nothing is left" "" "$(systemctl list-units --no-legend 'ctr-*.scope'; find /run/ctr/tasks -mindepth 2)"
