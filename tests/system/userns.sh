#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Containers with user namespaces: their ids are mapped by mounts, so what is on the disk, and with it changes, archives
# and images of it, has the ids that the container has; and so has what is copied out of one that runs. A range of ids
# is one container's from its creation to its removal.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
db=/var/lib/ctr/ctr.db
# a new sysfs would show more than that of the bed does, and the kernel refuses it
no_sysfs=(--mount "type=tmpfs,target=/sys")
registry_start
image_push demo demo:latest
check "an image" ctrctl pull --quiet $image

# owners FILE: uid:gid of each name in an archive.
owners() {
        tar --numeric-owner -tvf "$1" | awk '$6 ~ /^(\.\/)?(bin\/busybox|made|tmp\/one|plain)$/ { print $6, $2 }' | sort
}

pid_of() {
        ctrctl inspect "$1" | jq -r '.[0].Task.Pid // empty'
}

# range_of CONTAINER: first id on the host, and number.
range_of() {
        ctrctl inspect "$1" | jq -r '.[0] | select(.UIDMappings == .GIDMappings) | .UIDMappings[0] | "\(.[1]) \(.[2])"'
}

loop='echo x >/made; chown 5:6 /made; echo y >/plain; trap exit TERM; sleep 1000 & wait'
for name in box other; do
        check "a container with ids of its own" ctrctl create --name $name --userns=auto "${no_sysfs[@]}" $image sh -c "$loop"
        check "starts" ctrctl start $name
done
read -r first size <<<"$(range_of box)"
read -r second _ <<<"$(range_of other)"
check "its range is a piece of those for containers" test "$size" = 65536 -a "$((first % 65536))" = 0 \
        -a "$first" -ge 524288 -a "$first" -le 1878982656
check "and nobody else's" test "$second" -ge $((first + size)) -o $((second + size)) -le "$first"
is_made() {
        [[ $(ctrctl exec box stat -c %u:%g /made /plain /bin/busybox 2>/dev/null | xargs) == "5:6 0:0 0:0" ]]
}
check_within "it has the ids of its image" 60 is_made
pid=$(pid_of box)
check_equal "which are others on the host" "$first $second" "$(stat -c %u "/proc/$pid" "/proc/$(pid_of other)" | xargs)"
check_match "as everybody sees" "^ *$first +$pid\$" "$(ps -o uid=,pid= -p "$pid")"
check "an exec" ctrctl exec -d -u 1000:5 box sleep 999
check_within "has them, too" 10 pgrep -u $((first + 1000)) -x sleep
upper=/var/lib/ctr/snapshots/overlayfs/$(sqlite3 $db "SELECT snapshot FROM containers WHERE id = 'box'")/fs
check_equal "the disk has those of the container" "5:6 0:0" "$(stat -c %u:%g "$upper/made" "$upper/plain" | xargs)"
check_match "a user that it does not have is told" "user 70000, which the user namespace does not have" \
        "$(ctrctl exec -u 70000 box true 2>&1)"

# while it runs
echo one >"$test_dir/one"
chown 7:8 "$test_dir/one"
check "a file goes in" ctrctl cp -q -a "$test_dir/one" box:/tmp/one
check_equal "with its owner" "7:8" "$(ctrctl exec box stat -c %u:%g /tmp/one)"
check_equal "of the container's ids" "7:8" "$(stat -c %u:%g "$upper/tmp/one")"
check "files come out" eval 'ctrctl cp -q box:/made - >"$test_dir/made.tar" && ctrctl cp -q box:/tmp/one - >"$test_dir/one.tar"'
check_match "with their owners in it" 'one 7/8' "$(tar --numeric-owner -tvf "$test_dir/one.tar" | awk '{ print $6, $2 }')"
check_equal "whoever made them" 'made 5/6' "$(owners "$test_dir/made.tar")"
check "what has another owner is replaced" ctrctl cp -q "$test_dir/one" box:/made
check_equal "and is root's" "0:0" "$(ctrctl exec box stat -c %u:%g /made)"
ctrctl exec box chown 5:6 /made

check_match "diff tells what was made" 'A /made' "$(ctrctl diff box)"
check "export" eval 'ctrctl export -q -o "$test_dir/export.tar" box'
check_equal "has the container's ids" "bin/busybox 0/0 made 5/6 plain 0/0 tmp/one 7/8" "$(owners "$test_dir/export.tar" | xargs)"
check "commit" ctrctl commit -q box localhost/made:1
for options in "" "--userns=auto" "--uidmap=0:1000:10 --gidmap=0:2000:7"; do
        # shellcheck disable=SC2086 # words
        check_equal "whose image is for everybody: ${options:-host}" "5:6 0:0" \
                "$(ctrctl run --rm --pull=never $options "${no_sysfs[@]}" localhost/made:1 stat -c %u:%g /made /plain | xargs)"
done

# a range is kept
manager_kill
check_equal "a new manager knows the range" "$first $size" "$(range_of box)"
check "nobody else gets it" ctrctl create --name third --userns=auto:size=10 "${no_sysfs[@]}" $image true
read -r third size_of_third <<<"$(range_of third)"
check "not in any part" test "$size_of_third" = 10 -a \( "$third" -ge $((first + size)) -o $((third + 10)) -le "$first" \)
# a version is a layer, too, and is mapped like one
check "a version" ctrctl version create box
check_within "upon which it goes on" 60 is_made
check_equal "with its range" "$first" "$(stat -c %u "/proc/$(pid_of box)")"
check "back to the version" ctrctl version rollback box 1
check_within "what it was" 60 is_made
check_equal "with its range" "$first" "$(stat -c %u "/proc/$(pid_of box)")"

check "it stops" ctrctl stop -t 1 box
check "a file goes into the layers" ctrctl cp -q -a "$test_dir/one" box:/tmp/two
check_equal "and out, as it is there" '7/8' "$(ctrctl cp -q box:/tmp/two - | tar --numeric-owner -tv | awk '{ print $2 }')"
check "it starts again" ctrctl start box
check_equal "as before" "$first" "$(stat -c %u "/proc/$(pid_of box)")"
check "removal" ctrctl rm -f box
check "frees the range: the name leads there again" ctrctl create --name box --userns=auto $image true
check_equal "to the same one" "$first $size" "$(range_of box)"
check "removal" ctrctl rm -f box other third

# what is bound into it has the host's ids, unless it is mapped, too
mkdir "$test_dir/data"
touch "$test_dir/data/theirs"
check_equal "a directory of the host" "65534:65534" \
        "$(ctrctl run --rm --userns=auto "${no_sysfs[@]}" -v "$test_dir/data:/data" $image stat -c %u:%g /data/theirs)"
check_equal "that is mapped" "0:0" "$(ctrctl run --rm --userns=auto "${no_sysfs[@]}" -v "$test_dir/data:/data:idmap" $image \
        sh -c 'touch /data/ours; stat -c %u:%g /data/theirs')"
check_equal "gets files of root's" "0:0" "$(stat -c %u:%g "$test_dir/data/ours")"

check_equal "a volume has its ids" "7:8 0:0" "$(ctrctl run --rm --userns=auto "${no_sysfs[@]}" -v ids:/bin $image \
        sh -c 'touch /bin/new; chown 7:8 /bin/new; stat -c %u:%g /bin/new /bin/busybox' | xargs)"
check_equal "and so have others" "7:8 0:0" "$(ctrctl run --rm -v ids:/mnt/x $image stat -c %u:%g /mnt/x/new /mnt/x/busybox | xargs)"
check "no longer" ctrctl volume rm ids
check_fails "an image cannot be mounted, which is said first" 'ids of its own' ctrctl create --userns=auto "${no_sysfs[@]}" \
        -v begun:/bin --mount "type=image,src=$image,dst=/image" $image true
check_equal "and no volume is made" "" "$(ctrctl volume ls -q | grep -x begun)"
check_equal "a tree as root" "0:0 0:0" "$(ctrctl run --rm --userns=auto --snapshotter=native "${no_sysfs[@]}" $image \
        sh -c 'touch /file; stat -c %u:%g /file /bin/busybox' | xargs)"
check_match "a terminal is root's" '^0 5' "$(ctrctl run --rm -t --userns=auto "${no_sysfs[@]}" $image sh -c 'stat -c "%u %g" $(tty)')"
check_equal "the host's network has its devices" "lo" \
        "$(ctrctl run --rm --userns=auto --network=host $image sh -c 'touch /sys/file 2>/dev/null || ls /sys/class/net | grep -x lo')"
check "who runs a systemd has a cgroup" ctrctl run --rm --userns=auto --network=host --systemd=always $image \
        sh -c 'mkdir /sys/fs/cgroup/init.scope && echo 0 >/sys/fs/cgroup/init.scope/cgroup.procs'
check_fails "and nobody else" "Read-only" ctrctl run --rm --userns=auto --network=host $image mkdir /sys/fs/cgroup/init.scope
check_match "another runtime has none of this" "NotImplemented|can have no user namespace" \
        "$(ctrctl create --userns=auto --runtime=crun $image true 2>&1)"

check "a container" ctrctl run -d --name=box --userns=auto "${no_sysfs[@]}" $image sleep 1000
check_fails "has no checkpoints" "has a user namespace, which CRIU cannot save" ctrctl checkpoint --path="$test_dir/images" box
check_equal "and runs on" RUNNING "$(ctrctl inspect box | jq -r '.[0].Task.Status')"
check "removal" ctrctl rm -f box

# an overlay on a directory of the host: owners are the container's there, too
mkdir "$test_dir/lower"
echo old >"$test_dir/lower/file"
chown -R 5:6 "$test_dir/lower"
check "an overlay on a directory" ctrctl create --name over --userns=auto "${no_sysfs[@]}" -v "$test_dir/lower:/data:O" $image \
        sh -c 'stat -c %u:%g /data /data/file; echo new >/data/file; echo new >/data/made; chown 5:6 /data/made; cat /data/file'
check_equal "has the ids of the directory, and is written to" "5:6 5:6 new" "$(ctrctl start -a over | xargs)"
check_equal "which is as it was" "old 5:6" "$(xargs <"$test_dir/lower/file") $(stat -c %u:%g "$test_dir/lower/file")"
upper=/var/lib/ctr/snapshots/overlayfs/$(sqlite3 $db "SELECT id FROM snapshots WHERE key = 'overlay/over/1'")/fs
check_equal "on the disk are the container's" "5:6 5:6" "$(stat -c %u:%g "$upper/file" "$upper/made" | xargs)"
check "removal" ctrctl rm over

# several at once
ids=()
for i in {1..8}; do
        ctrctl create --quiet --name "many$i" --userns=auto $image true >/dev/null &
        ids+=($!)
done
check "containers made at once" wait "${ids[@]}"
check_equal "have nothing in common" 8 "$(for i in {1..8}; do range_of "many$i"; done | sort -u | wc -l)"
check "removal" ctrctl rm many{1..8}

# ranges that the administrator gives
echo "containers:200000:100" | tee -a /etc/subuid >>/etc/subgid
check "ids of a user" ctrctl create --name box --userns=auto:size=60 $image true
check_equal "from where they begin" "200000 60" "$(range_of box)"
check_match "are not more than they are" "No 60 ids in a row are free for a user namespace" \
        "$(ctrctl create --name more --userns=auto:size=60 $image true 2>&1)"
check "until they are free" ctrctl rm box
check "again" ctrctl create --name more --userns=auto:size=60 $image true
check_equal "for the next one" "200000 60" "$(range_of more)"
check "removal" ctrctl rm more
