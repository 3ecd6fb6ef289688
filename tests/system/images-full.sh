#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# A file system that is full at any write of what is done with images: see full-lib.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/full-lib"

export image=localhost:5000/layers:1 test_dir

state() {
        ctrctl images -q
        sqlite3 $db 'SELECT namespace, name, digest, unpacked FROM images'
}

registry_start
image_push layers layers:1
skopeo copy --quiet "oci:$images_dir/layers:latest" "oci-archive:$test_dir/layers.tar:localhost/loaded:1" || die "no archive"
store_limit

sweep pull 'ctrctl rmi "$image" 2>/dev/null; true' 'ctrctl pull --quiet "$image"'
ctrctl rmi "$image" >/dev/null
sweep import 'ctrctl rmi localhost/loaded:1 2>/dev/null; true' 'ctrctl load --quiet --input="$test_dir/layers.tar"'
head -c 3000000 /dev/urandom >"$test_dir/random"
ctrctl create --name=box localhost/loaded:1 true >/dev/null || die "no container"
ctrctl cp "$test_dir/random" box:/random >/dev/null || die "no file"
sweep commit 'ctrctl rmi localhost/made:1 2>/dev/null; true' 'ctrctl commit --quiet box localhost/made:1'

# what writes nothing but records, if anything
sweep_records tag 'ctrctl untag localhost/other:1; true' 'ctrctl tag localhost/loaded:1 localhost/other:1'
sweep_records rmi 'ctrctl pull --quiet "$image"' 'ctrctl rmi "$image"'
sweep_records prune 'ctrctl pull --quiet "$image"' 'ctrctl prune --all --force'
check "where only records are missing it failed $records_failures times" test "$records_failures" -gt 3
check "with no room at all" resize "$(used)"
check "an image goes out" ctrctl save --quiet --output="$test_dir/out.tar" localhost/loaded:1
check "and to a registry" ctrctl push --quiet localhost/loaded:1 localhost:5000/full:1
