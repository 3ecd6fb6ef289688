#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=600
#
# shellcheck disable=SC2016
#
# Snapshots of both snapshotters: their rules (A1.29 to A1.32), mounts that mount(8) takes, long chains, usage, what a
# container makes of them (A1.16 to A1.18, A1.22, A1.35), and who may be refused.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
db=/var/lib/ctr/ctr.db

# call MEMBER SIGNATURE ARGUMENT...
call() {
        busctl --timeout=60 -- call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager "$@"
}

json() {
        busctl --timeout=60 --json=short -- call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager "$@"
}

# mount_it SNAPSHOTTER KEY DIRECTORY: as SnapshotMounts says, with mount(8).
mount_it() {
        local answer

        answer=$(json SnapshotMounts 'sa{sv}' "$2" 1 Snapshotter s "$1" | jq -c '.data[0][0]') || return
        mkdir -p "$3"
        mount -t "$(jq -r '.[0]' <<<"$answer")" -o "$(jq -r '.[2] | join(",")' <<<"$answer")" \
                "$(jq -r '.[1]' <<<"$answer")" "$3"
}

kind() {
        json StatSnapshot 'sa{sv}' "$2" 1 Snapshotter s "$1" | jq -r '.data[0].Kind.data'
}

trees() {
        find /var/lib/ctr/snapshots/native /var/lib/ctr/snapshots/overlayfs -mindepth 1 -maxdepth 1 -printf '%f\n' | sort
}

same_as_rows() {
        [[ $(trees) == "$(sqlite3 $db 'SELECT id FROM snapshots' | sort)" ]]
}

registry_start
image_push demo demo:latest
check "an image" ctrctl pull --quiet $image
layer=$(sqlite3 $db "SELECT s.key FROM images i JOIN snapshots s ON s.id = i.snapshot")

check_equal "both can be used here" '[["overlayfs",true,""],["native",true,""]]' \
        "$(json ListSnapshotters 'a{sv}' 0 | jq -c '.data[0]')"
check_fails "another is none" "no snapshotter" call PrepareSnapshot 'ssa{sv}' x "" 1 Snapshotter s zfs

for s in overlayfs native; do
        place=(1 Snapshotter s "$s")

        check_fails "$s: an empty name" "is empty" call PrepareSnapshot 'ssa{sv}' "" "" "${place[@]}"
        check_fails "$s: an unknown parent" "no snapshot" call PrepareSnapshot 'ssa{sv}' a none "${place[@]}"
        check "$s: upon a layer of an image" call PrepareSnapshot 'ssa{sv}' a "$layer" "${place[@]}"
        check_equal "$s: it is active" Active "$(kind $s a)"
        check_fails "$s: a name is taken once" "exists already" call PrepareSnapshot 'ssa{sv}' a "" "${place[@]}"
        check_fails "$s: the parent must be committed" "not committed" call PrepareSnapshot 'ssa{sv}' b a "${place[@]}"

        check "$s: mount(8) takes the mounts" mount_it $s a /run/a
        check "$s: the image is in there" test -x /run/a/bin/busybox
        echo first >/run/a/first
        rm /run/a/etc/passwd
        umount /run/a

        check "$s: Commit" call CommitSnapshot 'ssa{sv}' one a "${place[@]}"
        check_equal "$s: it is committed" Committed "$(kind $s one)"
        check_fails "$s: the key is gone" "no snapshot" call StatSnapshot 'sa{sv}' a "${place[@]}"
        check_fails "$s: what is committed has no mounts" "is committed" call SnapshotMounts 'sa{sv}' one "${place[@]}"
        check_fails "$s: and is not committed again" "not active" call CommitSnapshot 'ssa{sv}' two one "${place[@]}"
        check_match "$s: bytes and inodes" '^tt [1-9][0-9]* [1-9]' "$(call SnapshotUsage 'sa{sv}' one "${place[@]}")"

        check "$s: a view" call ViewSnapshot 'ssa{sv}' v one "${place[@]}"
        check "$s: is mounted" mount_it $s v /run/v
        check_equal "$s: what was written" first "$(cat /run/v/first)"
        check_fails "$s: what was removed" "No such file" cat /run/v/etc/passwd
        check_fails "$s: read-only" "Read-only" touch /run/v/x
        umount /run/v
        check_fails "$s: a view is not committed" "it is View" call CommitSnapshot 'ssa{sv}' two v "${place[@]}"
        check_fails "$s: not with children" "has children" call RemoveSnapshot 'sa{sv}' one "${place[@]}"

        check "$s: labels" call SetSnapshotLabels 'sa{ss}a{sv}' one 1 a.b c "${place[@]}"
        check_equal "$s: filters" '["one"]' "$(json ListSnapshots 'a{sv}' 2 Snapshotter s $s Filters as 1 \
                'kind==committed,labels."a.b"==c' | jq -c '[.data[0][][0]]')"
        check "$s: Remove of the view" call RemoveSnapshot 'sa{sv}' v "${place[@]}"
        check "$s: and of what has no child any more" call RemoveSnapshot 'sa{sv}' one "${place[@]}"
        check_fails "$s: which is gone" "no snapshot" call RemoveSnapshot 'sa{sv}' one "${place[@]}"
done
check_fails "a layer belongs to its images" "layer of images" call RemoveSnapshot 'sa{sv}' "$layer" 0
check_within "no tree without a row" 30 same_as_rows

# 128 layers: the names of all of them must fit into the options of one mount
chain() {
        local i parent=$layer

        for ((i = 0; i < 127; i++)); do
                call PrepareSnapshot 'ssa{sv}' "a$i" "$parent" 0 >/dev/null &&
                        call CommitSnapshot 'ssa{sv}' "c$i" "a$i" 0 >/dev/null || return
                parent=c$i
        done
        call PrepareSnapshot 'ssa{sv}' top "$parent" 0
}
check "a chain of 128 layers" chain
check "mount(8) takes its mounts" mount_it overlayfs top /run/top
check "and the lowest is seen" test -x /run/top/bin/busybox
umount /run/top
check "a container on top of it" call CreateContainerFromSnapshot 'sssa{sv}' long $image top 1 Command as 1 true
check "runs" ctrctl start long
check_equal "and ends well" 0 "$(ctrctl wait long)"

# containers
check_fails "its root is not removed below it" 'root of the container "long"' call RemoveSnapshot 'sa{sv}' top 0
check_fails "one root, one container" 'root of the container "long"' \
        call CreateContainerFromSnapshot 'sssa{sv}' other $image top 0
check_fails "A1.35: the snapshot must be there" "no snapshot" call CreateContainerFromSnapshot 'sssa{sv}' x $image none 0
check_fails "and active" "not active" call CreateContainerFromSnapshot 'sssa{sv}' x $image c0 0
check_fails "A1.18: a container that exists keeps its root" "exists already" \
        call CreateContainer 'ssa{sv}' long $image 2 SnapshotID s top Snapshotter s overlayfs
check "which is there" test -x "/var/lib/ctr/snapshots/overlayfs/$(sqlite3 $db "SELECT snapshot FROM containers WHERE
        id = 'long'")/fs"

check "a snapshot that nobody uses" call PrepareSnapshot 'ssa{sv}' left "$layer" 0
check_fails "A1.17: is in the way" "exists already" call CreateContainer 'ssa{sv}' c $image 1 SnapshotID s left
check "A1.16: but for an explicit snapshotter" call CreateContainer 'ssa{sv}' c $image 2 SnapshotID s left \
        Snapshotter s overlayfs
check "A1.30: its root is committed" call CommitSnapshot 'ssa{sv}' kept left 0
check_fails "then it has none" "has no root" busctl --timeout=60 -- call org.example.Ctr \
        /org/example/Ctr/container/default/c org.example.Ctr.Container CreateTask 'a{sv}' 0
check_fails "ctrctl passes that sentence on" "has no root: its snapshot" ctrctl start c
check "until there is another one" call PrepareSnapshot 'ssa{sv}' left kept 0
check "A1.22: the container goes without its snapshot" busctl --timeout=60 -- call org.example.Ctr \
        /org/example/Ctr/container/default/c org.example.Ctr.Container Delete 'a{sv}' 1 CleanupSnapshot b false
check "A6.9: which can still be mounted" mount_it overlayfs left /run/left
umount /run/left
check "and after a restart of the service and a collection" manager_kill
check "too" mount_it overlayfs left /run/left
umount /run/left

# the namespace's choice
check "a default of the namespace" call CreateNamespace 'sa{ss}a{sv}' native 1 containerd.io/defaults/snapshotter native 0
check "an image there" call PullImage 'sa{sv}' $image 1 Namespace s native
pulled() {
        call GetImage 'sa{sv}' $image 1 Namespace s native && [[ $(json ListJobs 'a{sv}' 1 AllNamespaces b true |
                jq '.data[0] | length') == 0 ]]
}
check_within "is pulled" 30 pulled
check "a container on a copy" call CreateContainer 'ssa{sv}' n $image 2 Namespace s native Command as 3 sh -c \
        'echo x >/new && test -x /bin/busybox && test -e /etc/passwd'
check "starts" ctrctl --namespace=native start n
check_equal "and has the image" 0 "$(ctrctl --namespace=native wait n)"
check_equal "its snapshotter" native "$(sqlite3 $db "SELECT snapshotter FROM containers WHERE namespace = 'native'")"
check "goes" ctrctl --namespace=native rm n
check "the long one, too" ctrctl rm long
check_within "no tree without a row after all" 30 same_as_rows

# the service's choice
configure() {
        mkdir -p /run/systemd/system/ctr.service.d
        printf '[Service]\nEnvironment=CTR_SNAPSHOTTER=%s\n' "$1" >/run/systemd/system/ctr.service.d/snapshotter.conf
        systemctl daemon-reload && systemctl restart ctr.service
}
check "a default of the service" configure native
check "a container of it" ctrctl create --name d $image true
check_equal "is a copy" native "$(sqlite3 $db "SELECT snapshotter FROM containers WHERE id = 'd'")"
check "unless the call has another one" ctrctl create --name e --snapshotter=overlayfs $image true
check_equal "which it has then" overlayfs "$(sqlite3 $db "SELECT snapshotter FROM containers WHERE id = 'e'")"
check "both go" ctrctl rm d e
check_fails "what is none stops the service" "." configure zfs
check_match "with a sentence" 'There is no snapshotter "zfs"' "$(journal_wait 10 'no snapshotter "zfs"' -u ctr.service)"
check "as before" configure ""

# who may
check_fails "a user may not mount" "denied|authentication" runuser -u tester -- busctl --timeout=120 -- call \
        org.example.Ctr /org/example/Ctr org.example.Ctr.Manager SnapshotMounts 'sa{sv}' left 0
check "but look" runuser -u tester -- busctl --timeout=120 -- call org.example.Ctr /org/example/Ctr \
        org.example.Ctr.Manager StatSnapshot 'sa{sv}' left 0
