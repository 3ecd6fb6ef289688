#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# shellcheck disable=SC2016
#
# Versions of a container (A6.5 to A6.7, A6.9), with both snapshotters. What a crash leaves of one is in
# crash-containers.sh.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
db=/var/lib/ctr/ctr.db

# version CONTAINER MEMBER SIGNATURE ARGUMENT...
version() {
        busctl --timeout=90 -- call org.example.Ctr "/org/example/Ctr/container/default/$1" org.example.Ctr.Container "${@:2}"
}

# versions CONTAINER: "number parent" of each.
versions() {
        busctl --timeout=90 --json=short -- call org.example.Ctr "/org/example/Ctr/container/default/$1" \
                org.example.Ctr.Container ListVersions 'a{sv}' 0 | jq -r '.data[0][] | "\(.[0])"' | tr '\n' ' '
}

snapshot_of() {
        busctl get-property org.example.Ctr "/org/example/Ctr/container/default/$1" org.example.Ctr.Container SnapshotID
}

# counter CONTAINER N: its program has seen that it was started N times before, as its root says.
counter() {
        [[ $(ctrctl exec "$1" cat /count 2>/dev/null | wc -l) == "$2" ]]
}

create() {
        busctl --timeout=60 -- call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager CreateContainer 'ssa{sv}' \
                "$1" $image 2 Snapshotter s "$2" Command as 3 sh -c \
                'trap "exit 0" TERM; echo run >>/count; while :; do sleep 0.1; done'
}

registry_start
image_push demo demo:latest
check "an image" ctrctl pull --quiet $image

for s in overlayfs native; do
        c=web$s
        check "$s: a container" create $c $s
        check "$s: runs" ctrctl start $c
        check_within "$s: for the first time" 30 counter $c 1
        before=$(snapshot_of $c)
        check_equal "$s: version 1" "us 1 \"$c-v1\"" "$(version $c CreateVersion 'a{sv}' 1 Labels 'a{ss}' 1 why test)"
        check "$s: another root" test "$before" != "$(snapshot_of $c)"
        check_within "$s: it runs again, upon what was there" 30 counter $c 2
        check_equal "$s: version 2" "us 2 \"$c-v2\"" "$(version $c CreateVersion 'a{sv}' 0)"
        check_within "$s: a third time" 30 counter $c 3
        check_equal "$s: both are listed" "1 2 " "$(versions $c)"
        check "$s: Rollback" version $c Rollback 'ua{sv}' 1 0
        check_within "$s: to what there was then" 30 counter $c 2
        check_equal "$s: versions stay" "1 2 " "$(versions $c)"
        check_fails "$s: to no version" "no version 7" version $c Rollback 'ua{sv}' 7 0
        check_within "$s: disturbs nothing" 30 counter $c 2
        check "$s: without a start" version $c Rollback 'ua{sv}' 2 1 Start b false
        check_fails "$s: there is no task" "" ctrctl exec $c true
        check "$s: a version of a stopped container" version $c CreateVersion 'a{sv}' 0
        check_fails "$s: is not started" "" ctrctl exec $c true
        check "$s: DeleteVersion" version $c DeleteVersion 'ua{sv}' 1 0
        check_fails "$s: once" "no version 1" version $c DeleteVersion 'ua{sv}' 1 0
        check_equal "$s: the others stay" "2 3 " "$(versions $c)"
        check "$s: the container goes" ctrctl rm $c
        check_equal "$s: A6.9: its versions stay" 2 \
                "$(sqlite3 $db "SELECT count(*) FROM snapshots WHERE container = '$c' AND version IS NOT NULL")"
        check "$s: for the next of its id" create $c $s
        check_equal "$s: which finds them" "2 3 " "$(versions $c)"
        check "$s: and goes back" version $c Rollback 'ua{sv}' 2 0
        check "$s: it goes with its versions" version $c Delete 'a{sv}' 1 CleanupVersions b true
done
nothing_left() {
        [[ $(sqlite3 $db "SELECT count(*) FROM snapshots WHERE namespace <> ''") == 0 ]] &&
                [[ $(sqlite3 $db 'SELECT id FROM snapshots' | sort) == "$(find /var/lib/ctr/snapshots/native \
                        /var/lib/ctr/snapshots/overlayfs -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)" ]]
}
check_within "nothing is left of them" 30 nothing_left

# what a kill between the last row of one and the end of its file leaves
check "a container" create after overlayfs
systemctl stop ctr.service
touch /var/lib/ctr/version:default:after
check "the next manager" ctrctl inspect after
check_within "has no use for the file of an operation that is over" 10 test ! -e /var/lib/ctr/version:default:after
check "the container goes" ctrctl rm after
check "an AutoRemove container" busctl --timeout=60 -- call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager \
        CreateContainer 'ssa{sv}' auto $image 1 AutoRemove b true
check_fails "has no versions" "nobody wants to keep" version auto CreateVersion 'a{sv}' 0
check "it goes" ctrctl rm auto
