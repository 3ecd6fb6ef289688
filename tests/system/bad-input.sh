#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Bad input: each kind gets its named error with a sentence that says what and where, and leaves nothing half done.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
manager=(org.example.Ctr /org/example/Ctr org.example.Ctr.Manager)
container=org.example.Ctr.Container

# call_named TEXT ERROR REGEX MEMBER ARGUMENT...: the call fails with org.example.Ctr.Error.ERROR and a sentence.
# Arguments are GVariant text.
call_named() {
        capture gdbus call --system --dest org.example.Ctr --object-path "${path:-/org/example/Ctr}" --method "${@:4}"
        check_match "$1" "^Error: GDBus\.Error:org\.example\.Ctr\.Error\.$2: .*$3" "$stderr"
}

# create TEXT ERROR REGEX ID IMAGE [OPTION]
create() {
        call_named "$1" "$2" "$3" org.example.Ctr.Manager.CreateContainer "'$4'" "'$5'" "@a{sv} {${6:-}}"
}

state() {
        ctrctl ps --all --quiet
        ctrctl images --no-legend | awk '{ print $1, $2 }'
        find /var/lib/ctr/snapshots/overlayfs -mindepth 1 -maxdepth 1 ! -name '.doomed-*'
        find /run/ctr/tasks -mindepth 2
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
check "an existing container" ctrctl create --name taken "$image" true
before=$(state)

# --- names and ids
create "an empty id" InvalidArgument "must not be empty" "" "$image"
create "an id with a slash" InvalidArgument '"a/b" is not valid' a/b "$image"
create "an id that climbs" InvalidArgument 'not valid' .. "$image"
create "an id of 77 characters" InvalidArgument 'longer than 76' "$(printf 'x%.0s' $(seq 77))" "$image"
create "a duplicate id" AlreadyExists '"taken" exists already' taken "$image"
create "a missing image" NotFound 'no image "localhost:5000/none:latest"' new localhost:5000/none
create "an image name in upper case" InvalidArgument 'localhost:5000/UPPER' new localhost:5000/UPPER
create "an unknown option" InvalidArgument 'Nonsense' new "$image" "'Nonsense': <true>"
create "an option of the wrong type" InvalidArgument 'User' new "$image" "'User': <true>"
create "an empty namespace" FailedPrecondition 'namespace is required' new "$image" "'Namespace': <''>"
create "a bad namespace" InvalidArgument 'namespace' new "$image" "'Namespace': <'a/b'>"
create "the reserved namespace" InvalidArgument 'reserved' new "$image" "'Namespace': <'version'>"
create "a limit below its minimum" InvalidArgument 'MemoryMax' new "$image" "'MemoryMax': <uint64 1>"
create "a list of CPUs that is none" InvalidArgument 'AllowedCPUs' new "$image" "'AllowedCPUs': <'3-1'>"
create "a relative working directory" InvalidArgument '"here" is not an absolute path' new "$image" "'WorkingDirectory': <'here'>"
call_named "an image that is not there" NotFound 'no image' org.example.Ctr.Manager.GetImage \"'nothere'\" '@a{sv} {}'
call_named "an image reference that is none" InvalidArgument 'white space' org.example.Ctr.Manager.GetImage "'a b'" '@a{sv} {}'
call_named "an unknown pull policy" InvalidArgument 'sometimes' org.example.Ctr.Manager.PullImage "'x'" "@a{sv} {'Policy': <'sometimes'>}"
call_named "a container that is not there" NotFound '"none"' org.example.Ctr.Manager.GetContainer "'none'" '@a{sv} {}'
call_named "a task that is not there" NotFound '"taken".* has no task' org.example.Ctr.Manager.GetTask "'taken'" '@a{sv} {}'

# --- tasks
path=/org/example/Ctr/container/default/taken
call_named "a stream that is none" InvalidArgument 'nowhere' $container.CreateTask "@a{sv} {'Stdout': <'nowhere'>}"
call_named "a file that is a directory" InvalidArgument '/tmp' $container.CreateTask "@a{sv} {'Stdout': <'file:/tmp'>}"
call_named "a fifo that is not there" NotFound '/tmp/nothere' $container.CreateTask "@a{sv} {'Stdin': <'fifo:/tmp/nothere'>}"
call_named "a file that is not there" NotFound '/tmp/nothere' $container.CreateTask "@a{sv} {'Stdin': <'file:/tmp/nothere'>}"
# mount ERROR REGEX MOUNT: fails when the task is made
mount_fails() {
        unset path
        busctl call "${manager[@]}" CreateContainer 'ssa{sv}' mounted "$image" 1 Mounts 'a(sssas)' 1 "${@:4}" >/dev/null
        path=/org/example/Ctr/container/default/mounted
        call_named "$1" "$2" "$3" $container.CreateTask '@a{sv} {}'
        ctrctl rm mounted
}
mount_fails "a source that is not there, by name" NotFound '/no/such/source' /no/such/source /mnt bind 0
mount_fails "an unknown file system" InvalidArgument 'nosuchfs' none /mnt nosuchfs 0
mount_fails "a size that is none" InvalidArgument 'size=abc' tmpfs /mnt tmpfs 1 size=abc
mount_fails "a name of 300 characters" InvalidArgument 'xxx' tmpfs "/$(printf 'x%.0s' $(seq 300))" tmpfs 0
unset path
check_fails "a command that is not there" 'no-such-command' ctrctl run --rm "$image" no-such-command
check_fails "a user who is not there" 'nobody-knows' ctrctl run --rm -u nobody-knows "$image" true
check_fails "a group that is not there" 'no-group' ctrctl run --rm -u root:no-group "$image" true
check_fails "a uid out of range" '4294967295' ctrctl run --rm -u 4294967295 "$image" true
check_fails "a source that is not there" '/no/such/source' ctrctl run --rm -v /no/such/source:/mnt "$image" true
check_fails "a device that is not there" '/dev/nothere' ctrctl run --rm --device /dev/nothere "$image" true
check_fails "a signal that is none" 'SIGNONE' ctrctl kill --signal=SIGNONE taken

# --- registries
check_fails "nobody listens" 'localhost:5999' ctrctl pull localhost:5999/demo:latest
check_fails "an unknown repository" 'nothere' ctrctl pull localhost:5000/nothere:latest
check_fails "an unknown tag" 'notag' ctrctl pull localhost:5000/demo:notag
check_fails "an unknown digest" '1111' ctrctl pull "localhost:5000/demo@sha256:$(printf '1%.0s' $(seq 64))"
check_fails "a registry without HTTPS that nobody declared insecure" 'registry.test' ctrctl pull registry.test/demo:latest

check_equal "nothing has changed through all this" "$before" "$(state)"

# --- two at once
check "a container to delete" ctrctl create --name twice "$image" true
ctrctl rm twice >/dev/null 2>"$test_dir/first" &
ctrctl rm twice >/dev/null 2>"$test_dir/second"
second=$?
wait $!
check_equal "of two who delete it one succeeds" 1 $((second + $?))
check_match "the other hears that it is not there" 'does not exist|no container "twice"' \
        "$(cat "$test_dir/first" "$test_dir/second")"
for i in $(seq 10); do
        ctrctl create --name race "$image" true >/dev/null 2>>"$test_dir/race.$i" && touch "$test_dir/won.$i" &
done
wait
check_equal "of ten who create it one succeeds" 1 "$(find "$test_dir" -name 'won.*' | wc -l)"
check "remove it" ctrctl rm race

# --- a caller that vanishes
busctl call "${manager[@]}" PullImage 'sa{sv}' "$image" 0 >"$test_dir/job"
check "a pull goes on when its caller is gone" grep -q /job/ "$test_dir/job"
check_within "to its end" 20 bash -c '[[ $(busctl get-property org.example.Ctr /org/example/Ctr org.example.Ctr.Manager NJobs) == "u 0" ]]'
check "a task with a waiter" ctrctl run -d --name waited "$image" sleep 1000
timeout --signal=KILL 0.3 ctrctl wait waited 2>/dev/null
check "whose waiter is killed" ctrctl kill --signal=KILL waited
check_equal "ends all the same" 137 "$(ctrctl wait waited)"
check "and goes" ctrctl rm waited

# --- a full disk
mkdir -p /run/small
mount -t tmpfs -o size=3M tmpfs /run/small
systemctl stop ctr.service
mount --bind /run/small /var/lib/ctr
head -c 2800K /dev/zero >/run/small/filler
check_fails "a full disk" 'No space left|space' ctrctl pull "$image"
check_equal "leaves no image" "" "$(ctrctl images --no-legend)"
check_within "and no tree" 10 eval '[[ -z $(ls -A /var/lib/ctr/snapshots/overlayfs) ]]'
systemctl stop ctr.service
umount /var/lib/ctr
mount -o remount,ro /run/small
mount --bind /run/small /var/lib/ctr
check_fails "a store that cannot be written" 'Read-only|read-only|Failed|failed' ctrctl pull "$image"
systemctl stop ctr.service
umount /var/lib/ctr
systemctl reset-failed ctr.service 2>/dev/null
check_equal "the real store is as it was" "taken" "$(ctrctl ps --all --quiet)"
