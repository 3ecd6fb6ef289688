#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# shellcheck disable=SC2016
#
# The manager and its workers are killed by SIGKILL at the steps of everything that is done with images: see crash-lib.
# What a pull that is tried again finds is not fetched again.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/crash-lib"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
steps_max=3
export PATH=$here:$PATH images_dir test_dir image=localhost:5010/layers:1

# What is seen: images with their trees, what a registry and a file have got.
state() {
        local id

        sqlite3 $db "SELECT name, CASE WHEN name LIKE 'localhost/made%' THEN '' ELSE digest END, unpacked,
                (SELECT count(*) FROM image_blobs b WHERE b.namespace = i.namespace AND b.name = i.name)
                FROM images i ORDER BY 1; SELECT damaged_at FROM blobs WHERE damaged_at <> 0"
        for id in $(sqlite3 $db "SELECT id FROM snapshots WHERE namespace = '' ORDER BY key"); do
                tar --sort=name --numeric-owner --mtime=@0 -C "$store/snapshots/overlayfs/$id/fs" -c . | sha256sum
        done
        curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
                "http://localhost:5000/v2/pushed$number/x/manifests/1" | sha256sum
        (cd "$test_dir/exports" && find . -type f -exec sha256sum {} +)
}

mkdir "$test_dir/exports"
registry_start
image_push layers layers:1
image_push demo demo:latest
"$here/request-log" 5010 5000 >>"$test_dir/requests" 2>/dev/null &
wait_until 30 port_is_open 5010 || die "the relay does not listen"
skopeo copy --quiet "oci:$images_dir/layers:latest" "oci-archive:$test_dir/layers.tar:localhost/loaded:1" || die "no archive"

sweep pull 'ctrctl rmi "$image" 2>/dev/null; true' 'ctrctl pull --quiet "$image"'
sweep push 'ctrctl pull --quiet "$image"' 'ctrctl push --quiet "$image" "localhost:5000/pushed$number/x:1"'
sweep export 'rm -f "$test_dir"/exports/*; ctrctl pull --quiet "$image"' 'ctrctl save --quiet --output="$test_dir/exports/out.tar" "$image"'
sweep rmi 'ctrctl pull --quiet "$image"' 'ctrctl rmi "$image"'
sweep import 'ctrctl rmi localhost/loaded:1 2>/dev/null; true' 'ctrctl load --quiet --input="$test_dir/layers.tar"'
sweep prune 'ctrctl load --quiet --input="$test_dir/layers.tar" && ctrctl pull --quiet "$image"' 'ctrctl prune --all --force'

ctrctl pull --quiet localhost:5000/demo:latest && ctrctl run --name box localhost:5000/demo:latest \
        sh -c 'mkdir /made; dd if=/dev/zero of=/made/file bs=64k count=10; rm -r /home' >/dev/null 2>&1
sweep commit 'ctrctl rmi localhost/made:1 2>/dev/null; true' 'ctrctl commit --quiet box localhost/made:1'
ctrctl rm box >/dev/null
