#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# A file system that is full at any write of a pull, an import and a commit: the store is given less and less room, in
# large steps and, where only the records are missing, in small ones. Each time there must be an error that says so,
# nothing half done to be seen and nothing left behind; and with room again the same must succeed.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/images-lib"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
export PATH=$here:$PATH image=localhost:5000/layers:1 test_dir

# resize KIB
resize() {
        mount -o "remount,size=${1}k" $store
}

used() {
        df --output=used $store | tail -n 1
}

images() {
        ctrctl images -q
        sqlite3 $db 'SELECT namespace, name, digest, unpacked FROM images'
}

# attempt NAME ROOM PREPARE COMMAND: with so many KiB besides what is used. False when it did not fail any more.
attempt() {
        local before failed

        resize 65536
        bash -c "$3" >/dev/null 2>&1 || die "$1: cannot prepare"
        settle
        before=$(images)
        sqlite3 $db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
        resize $(($(used) + $2))
        capture timeout 60 bash -c "$4"
        failed=$status
        if ((failed != 0)) && [[ ! $stderr =~ [Nn]o\ space|full ]]; then
                diagnose "$1 with $2 KiB: exit code $failed: $stderr"
                bad=1
        fi
        if ((failed != 0)) && [[ $(images) != "$before" ]]; then
                diagnose "$1 with $2 KiB: the images are others: $(images)"
                bad=1
        fi
        resize 65536
        settle
        if ! wait_until 20 nothing_left between; then
                diagnose "$1 with $2 KiB: left behind: $(leftovers between)"
                bad=1
        fi
        ((failed != 0)) || return 1
        capture timeout 60 bash -c "$4"
        settle
        if ((status != 0)) || ! wait_until 20 nothing_left after; then
                diagnose "$1 with $2 KiB: with room again: exit code $status: $stderr; left behind: $(leftovers after)"
                bad=1
        fi
}

# sweep NAME PREPARE COMMAND
sweep() {
        local need part bad=0 failures=0

        bash -c "$2" >/dev/null 2>&1
        settle
        need=$(used)
        bash -c "$3" >/dev/null 2>&1 || die "$1 fails with all the room"
        need=$(($(used) - need))
        # thousandths of what it needs: large steps through the data, small ones where only records are missing
        for part in 0 40 500 950 990 1004 1050 1200; do
                attempt "$1" "$((need * part / 1000 + 8))" "${@:2}" || break
                ((++failures))
        done
        check_equal "$1: an error, nothing half done, and with room again it succeeds" 0 "$bad"
        check "$1: it failed $failures times" test "$failures" -gt 3
        check "$1: with enough room it does not" test "$failures" -lt 8
}

registry_start
image_push layers layers:1
skopeo copy --quiet "oci:$images_dir/layers:latest" "oci-archive:$test_dir/layers.tar:localhost/loaded:1" || die "no archive"
systemctl stop ctr.service
mount -t tmpfs -o size=65536k,mode=0700 tmpfs $store || die "no tmpfs"
check "the service has a store of its own" ctrctl images

sweep pull 'ctrctl rmi "$image" 2>/dev/null; true' 'ctrctl pull --quiet "$image"'
ctrctl rmi "$image" >/dev/null
sweep import 'ctrctl rmi localhost/loaded:1 2>/dev/null; true' 'ctrctl load --quiet --input="$test_dir/layers.tar"'
head -c 3000000 /dev/urandom >"$test_dir/random"
ctrctl create --name=box localhost/loaded:1 true >/dev/null || die "no container"
ctrctl cp "$test_dir/random" box:/random >/dev/null || die "no file"
sweep commit 'ctrctl rmi localhost/made:1 2>/dev/null; true' 'ctrctl commit --quiet box localhost/made:1'
