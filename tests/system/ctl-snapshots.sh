#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl snapshot, version and volume: trees to mount without a container, states of one to come back to, and what stays
# when it goes.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

tree=$test_dir/tree
mkdir "$tree" || die "no directory"
check "a snapshot is prepared" ctrctl snapshot prepare --label=a=b work
check "its mounts are commands" eval "ctrctl snapshot mounts work $tree >$test_dir/mounts"
check "that a shell runs" bash -e "$test_dir/mounts"
check "it is mounted" mountpoint -q "$tree"
check "it can be written to" eval "echo hello >$tree/file"
check "it is unmounted" umount "$tree"
check "it is committed" ctrctl snapshot commit made work
check_match "and listed" 'made +.*Committed +overlayfs' "$(ctrctl snapshot ls)"
check_match "with its labels" '"a": *"b"' "$(ctrctl snapshot info --json=short made)"
check_match "it takes some space" '^made +[1-9][0-9.]* ?.* +[1-9]' "$(ctrctl snapshot usage --no-legend made)"
check "labels are replaced" ctrctl snapshot label made c=d
check_match "all of them" '"Labels": *\{"c": *"d"\}' "$(ctrctl snapshot info --json=short made)"
check "a view is made of it" ctrctl snapshot view look made
check "and mounted" eval "ctrctl snapshot mounts look $tree | bash -e"
check_equal "with what was written" hello "$(cat "$tree/file")"
check_fails "to be read only" 'Read-only' touch "$tree/other"
check "it is unmounted, too" umount "$tree"
check_fails "what has children stays" 'ctrctl: ' ctrctl snapshot rm made
check "views go" ctrctl snapshot rm look
check "and then what they were made of" ctrctl snapshot rm made
check_fails "once" 'ctrctl: ' ctrctl snapshot rm made

check "a container runs" ctrctl run -d --stop-timeout=1 --name=box "$image" sleep 1000
check "it writes" ctrctl exec box sh -c 'echo one >/state'
check_equal "a version is made" 1 "$(ctrctl version create box)"
check_match "and listed" '^ *1 ' "$(ctrctl version ls --no-legend box)"
check "it runs again, and writes" ctrctl exec box sh -c 'echo two >/state'
check "it goes back" ctrctl version rollback box 1
check_equal "to what it was" one "$(ctrctl exec box cat /state)"
check_fails "a version that is none" 'is not the number' ctrctl version rollback box x
check_fails "or not there" 'ctrctl: ' ctrctl version rollback box 7
check "a version goes" ctrctl version rm box 1
check_equal "from the list" "" "$(ctrctl version ls --no-legend box)"

check "a volume is made" ctrctl volume create kept
check "and written to" ctrctl run --rm -v kept:/data "$image" sh -c 'head -c 100000 /bin/sh >/data/file'
check_match "its usage is told" '^kept +[0-9.]+K +2$' "$(ctrctl volume usage --no-legend kept)"
check_fails "of one that is there" '"none"' ctrctl volume usage none
