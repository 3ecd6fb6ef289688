#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl volume, and volumes and images on the command line of run.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

check_equal "a volume" data "$(ctrctl volume create -l team=a data)"
check_fails "once" 'exists already' ctrctl volume create data
check_match "is listed" '^data +0 .*ago$' "$(ctrctl volume ls --no-legend)"
check "shared by containers" ctrctl run --rm -v data:/data "$image" sh -c 'echo kept >/data/file'
check_equal "which see the same" kept "$(ctrctl run --rm --mount type=volume,src=data,dst=/mnt/x,ro "$image" cat /mnt/x/file)"
check_equal "its directory" kept "$(cat "$(ctrctl volume inspect data | jq -r '.[0].Mountpoint')/file")"
check_match "takes something" '^data .*[0-9]+$' "$(ctrctl volume usage --no-legend data)"
check "goes out" ctrctl volume export -o "$test_dir/data.tar" data
check "and into another" ctrctl volume create other
check "as an archive" ctrctl volume import other "$test_dir/data.tar"
check_equal "all of it" kept "$(ctrctl run --rm -v other:/data "$image" cat /data/file)"
check_fails "nothing from nothing" 'no volume "none"' ctrctl volume export -o "$test_dir/none.tar" none
check "and no file is left of that" test ! -e "$test_dir/none.tar"

check "one for a container" ctrctl create --name user -v /extra -v data:/data "$image" sleep 1000000
check_equal "has no name" 3 "$(ctrctl volume ls -q | wc -l)"
check_fails "what is used stays" 'used by the container "user"' ctrctl volume rm data other
check_equal "and the others go" "" "$(ctrctl volume ls -q | grep -x other)"
check "the container goes with it" ctrctl rm -v user
check_equal "and leaves the one with a name" data "$(ctrctl volume ls -q)"
check_equal "by a label" data "$(ctrctl volume ls -q --filter label=team=a --filter label!=team=b)"
check_equal "or not" "" "$(ctrctl volume ls -q --filter label=team=b)"
check_equal "nothing is pruned that has a name" "" "$(ctrctl volume prune -f)"
check_equal "nor what does not match" "" "$(ctrctl volume prune -af --filter label=team=b --filter until=1h)"
check_equal "nor what is too young" "" "$(ctrctl volume prune -af --filter until=1h)"
check_equal "but all at last" data "$(ctrctl volume prune -af --filter label=team)"

check "an image as a mount" ctrctl run --rm --mount "type=image,src=$image,dst=/image" "$image" test -x /image/bin/sh
check_fails "is not written to" 'Read-only' ctrctl run --rm --mount "type=image,src=$image,dst=/image" "$image" touch /image/x

# overlays on directories of the host
lower=$test_dir/lower
mkdir -m 0750 "$lower"
echo old >"$lower/kept"
echo old >"$lower/changed"
program='cat /data/kept; echo new >/data/changed; rm /data/kept; echo new >>/data/made; cat /data/made; stat -c %a /data'
check "an overlay on a directory" ctrctl create --name over -v "$lower:/data:O,noexec" "$image" sh -c "$program"
upper=$(ctrctl inspect over | jq -r '.[0].Spec.mounts[] | select(.destination == "/data").options[] | select(startswith("upperdir=")) | ltrimstr("upperdir=")')
check "has a directory of its own" test -d "$upper"
check_equal "shows it, with its mode, and can be written to" "old new 750" "$(ctrctl start -a over | xargs)"
check_equal "what is on the host is as it was" "old old" "$(cat "$lower/kept" "$lower/changed" | xargs)"
check "and has nothing more" test ! -e "$lower/made"
check_equal "what was written is there for the next task" "new new 750" "$(ctrctl start -a over 2>/dev/null | xargs)"
check_equal "and in no change of the container" "" "$(ctrctl diff over | grep -E 'data/|lower')"
check_equal "nor in its files" "" "$(ctrctl export over | tar -t | grep 'data/.')"
check_fails "its snapshot stays" 'over' ctrctl snapshot rm overlay/over/0
check "it goes with the container" ctrctl rm over
check "and its directory, too" test ! -e "$upper"
check_fails "not to be read only" '"O".* does not go together with "ro"' ctrctl create -v "$lower:/data:O,ro" "$image" true
check_fails "nor with directories from elsewhere" 'together with "upperdir=/' ctrctl create -v "$lower:/data:O,upperdir=/tmp" "$image" true
check_fails "nor on a volume" 'is of type volume' ctrctl create -v some:/data:O "$image" true
check_fails "nor on nothing" 'No such file' ctrctl create -v "$test_dir/none:/data:O" "$image" true
check_fails "nor on a file" 'Not a directory' ctrctl create -v "$lower/kept:/data:O" "$image" true
mkdir "$test_dir/a,upperdir=b"
check_fails "nor on what would be an option" 'can make no overlay' ctrctl create -v "$test_dir/a,upperdir=b:/data:O" "$image" true
check_equal "and nothing is left of those" "" "$(ctrctl snapshot ls -q | grep overlay/)"
