#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Containers become images: run at once, read by skopeo, umoci and podman, pushed and pulled again; and a commit that
# is killed leaves no task paused.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
task=$(path_of box)

files() {
        "$here/files-client" "$@"
}

# tree DIRECTORY: type, mode, owner, size, time, links and name of all that is in it.
tree() {
        (cd "$1" && find . -mindepth 1 \( -type d -printf '%y %m %U:%G %T@ %p\n' -o -type l -printf '%y %U:%G %T@ %l %p\n' \
                -o -type f -printf '%y %m %U:%G %s %T@ %n %p\n' -o -printf '%y %m %U:%G %T@ %p\n' \) | sort -k 6 | sort)
}

push() {
        local job

        job=$(call "$root" Manager.PushImage 'sa{sv}' "$1" 0) && call "$(cut -d '"' -f 2 <<<"$job")" Job.Wait 'a{sv}' 0
}

snapshots() {
        find /var/lib/ctr/snapshots/overlayfs -mindepth 1 -maxdepth 1 -name '.*' ! -name '.doomed-*'
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
check "a container" ctrctl create --name box "$image" sh -c '
        mkdir -p /made/deep; echo data >/made/deep/file; ln /made/deep/file /made/second; ln -s /made/second /link
        chmod 4750 /made/deep/file; chown 5:6 /made/second; mkfifo /made/fifo; rm -rf /home; rm -rf /var; mkdir /var
        echo new >/var/new; touch /ready; trap "exit 0" TERM; while :; do sleep 0.1; done'
check "its task" call "$root/container/default/box" Container.CreateTask 'a{sv}' 0
check "start" call "$task" Process.Start 'a{sv}' 0
check_within "it works" 10 eval 'files stat box /ready'

# --- of a running one
bus_record changes "type='signal',path='$task',member='PropertiesChanged'"
digest=$(files commit box localhost:5000/made:1 'CMD ["cat", "/made/second"]' 'ENV MADE=here')
check_match "commit" '^sha256:' "$digest"
check_match "pauses it" PAUSED "$(bus_expect changes 5 PAUSED)"
check_within "and lets it go on" 10 property_is "$task" Process.Status RUNNING
check_equal "the new image runs at once" data "$(ctrctl run --rm localhost:5000/made:1)"
check_equal "with its environment" here "$(ctrctl run --rm localhost:5000/made:1 sh -c 'echo $MADE')"
check_equal "what was removed is not there" "ls: /home: No such file or directory" "$(ctrctl run --rm localhost:5000/made:1 ls /home 2>&1)"
check_equal "nor what was hidden" new "$(ctrctl run --rm localhost:5000/made:1 ls /var)"
again=$(files commit box localhost:5000/made:2)
check_equal "the layer of equal trees is the same" 1 "$(
        for d in "$digest" "$again"; do
                python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["layers"][-1]["digest"])' "/var/lib/ctr/content/sha256/${d#sha256:}"
        done | uniq | wc -l
)"
check_fails "a bad change" "InvalidArgument: The change" files commit box localhost:5000/made:3 "RUN true"
check_equal "leaves it running" RUNNING "$(property "$task" Process.Status)"
check_equal "and nothing behind" "" "$(snapshots)"

# --- what others make of it
check "push" push localhost:5000/made:1
mkdir "$test_dir/export" "$test_dir/oci"
check "stop" call "$task" Task.Stop 'a{sv}' 0
files export box | tar --extract --same-owner --numeric-owner --directory="$test_dir/export"
check "skopeo fetches it" skopeo copy --quiet --src-tls-verify=false docker://localhost:5000/made:1 "oci:$test_dir/oci:made"
check_equal "under its digest" "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://localhost:5000/made:1)"
check "umoci unpacks it" umoci unpack --image "$test_dir/oci:made" "$test_dir/bundle"
check_match "not an empty one" "made/deep/file" "$(tree "$test_dir/bundle/rootfs")"
check_equal "to the container's tree" "$(tree "$test_dir/export")" "$(tree "$test_dir/bundle/rootfs")"
check "podman pulls it" podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" pull \
        --quiet --tls-verify=false localhost:5000/made:1
check "it goes away" ctrctl rmi localhost:5000/made:1 localhost:5000/made:2
check "and comes again" ctrctl pull --quiet localhost:5000/made:1
check_equal "as it was" data "$(ctrctl run --rm localhost:5000/made:1)"

# --- kill -9 at work
check "remove it" ctrctl rm --force box
check "a container with more to read" ctrctl run --detach --name box "$image" sh -c '
        dd if=/dev/urandom of=/large bs=1M count=200 2>/dev/null; touch /ready; while :; do sleep 1; done'
check_within "it has it" 60 eval 'files stat box /ready'
files commit box localhost:5000/large:1 >/dev/null 2>&1 &
check_within "a commit pauses it" 10 property_is "$task" Process.Status PAUSED
check_within "and reads" 10 pgrep -x ctr-worker
check "kill -9 of the manager" manager_kill
check_within "the next one lets it go on" 10 property_is "$task" Process.Status RUNNING
check_within "the worker ends" 10 eval '! pgrep -x ctr-worker'
files commit box localhost:5000/large:1 >/dev/null 2>"$test_dir/killed" &
client=$!
check_within "another one pauses it" 10 property_is "$task" Process.Status PAUSED
check_within "and reads" 10 pgrep -x ctr-worker
check "kill -9 of the worker" pkill -KILL -x ctr-worker
wait "$client"
check_match "is told" "ended unexpectedly" "$(cat "$test_dir/killed")"
check_within "and it goes on" 10 property_is "$task" Process.Status RUNNING
check_match "the third one is through" '^sha256:' "$(files commit box localhost:5000/large:1)"
check_within "nothing is left of the others" 10 eval '[[ -z $(snapshots)$(ls /var/lib/ctr/content/ingest) ]]'
check "remove it" ctrctl rm --force box
