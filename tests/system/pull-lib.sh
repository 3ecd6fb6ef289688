# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Pulling with the worker into a store of its own, and comparing what came of it with what others unpack

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
worker=/usr/lib/ctr/ctr-worker
store=/var/lib/ctr/test-pull

# mount_result FILE DIRECTORY: stack the layers of a result. By short names, as mount(2) takes no more than a page.
mount_result() {
        local lower

        rm -rf "$test_dir/links"
        mkdir -p "$2" "$test_dir/empty" "$test_dir/links"
        lower=$(python3 -c '
import json, os, sys
layers = json.load(sys.stdin)["layers"]
for n, layer in enumerate(layers):
    os.symlink(sys.argv[1] + "/" + layer["directory"] + "/fs", sys.argv[2] + f"/{n}")
print(":".join(str(n) for n in reversed(range(len(layers)))))' \
                "$store/snapshots/overlayfs" "$test_dir/links" <"$1") || return
        (cd "$test_dir/links" && mount -t overlay overlay -o "ro,lowerdir=$lower:$test_dir/empty" "$2")
}

# compare NAME REFERENCE LAYOUT: pull, mount, and compare with umoci's tree.
compare() {
        local ours=$test_dir/ours.$1 theirs=$test_dir/theirs.$1

        check "$1: is pulled" "$worker" pull --root="$store" "$2"
        cp "$test_dir/stdout" "$test_dir/result.$1"
        mount_result "$test_dir/result.$1" "$ours" || die "the layers of $1 cannot be mounted"
        umoci unpack --image "$3:latest" "$theirs" >/dev/null || die "umoci cannot unpack $3"
        "$here/pull-compare" "$theirs/rootfs" >"$theirs.list" || die "umoci's tree cannot be listed"
        "$here/pull-compare" "$ours" >"$ours.list" || die "our tree cannot be listed"
        check_match "$1: the tree has files" '^[1-9][0-9]+$' "$(wc -l <"$theirs.list")"
        check_equal "$1: the tree is umoci's" "" "$(diff "$theirs.list" "$ours.list" | cut -c1-300 | head -n 20)"
        umount "$ours"
        rm -rf "$theirs"
}
