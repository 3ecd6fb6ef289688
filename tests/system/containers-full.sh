#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# A file system that is full at any write of what is done with containers, their files, versions and volumes: see
# full-lib.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/full-lib"

export test_dir image=localhost:5000/demo:latest

# What is seen: containers, volumes with what is in them, versions, and that what ran runs.
state() {
        local id

        sqlite3 $db "SELECT id, snapshot, (SELECT count(*) FROM container_mounts m WHERE m.container = c.id)
                        FROM containers c ORDER BY id;
                SELECT volume FROM snapshots WHERE volume IS NOT NULL ORDER BY volume;
                SELECT container, version FROM snapshots WHERE version IS NOT NULL ORDER BY 1, 2"
        for id in $(sqlite3 $db "SELECT snapshotter || '/' || snapshot FROM containers WHERE id = 'box' UNION
                        SELECT 'native/' || id FROM snapshots WHERE volume = 'box'"); do
                [[ ! -e $store/snapshots/$id/fs/copied ]] || cmp "$store/snapshots/$id/fs/copied" "$test_dir/file" 2>&1
        done
        [[ ! -e /run/ctr/tasks/default/web ]] || { wait_until 30 ctrctl exec web true && echo "web runs"; }
}

registry_start
image_push demo demo:latest
store_limit
ctrctl pull --quiet $image || die "no image"
head -c 3000000 /dev/urandom >"$test_dir/file"
mkdir "$test_dir/archive"
cp "$test_dir/file" "$test_dir/archive/copied"
tar -C "$test_dir/archive" -cf "$test_dir/file.tar" copied

sweep "create" 'ctrctl rm -v made 2>/dev/null; true' \
        'ctrctl create --name made --snapshotter native -v /etc $image true'
sweep_records "rm" 'ctrctl rm -v made; ctrctl create --name made --snapshotter overlayfs -v /etc $image true' 'ctrctl rm -v made'
sweep "copy in" 'ctrctl rm box 2>/dev/null; ctrctl create --name box $image true' 'ctrctl cp "$test_dir/file" box:/copied'
ctrctl rm box >/dev/null
sweep "volume import" 'ctrctl volume prune -af; ctrctl volume create box' 'ctrctl volume import box "$test_dir/file.tar"'
sweep_records "volume prune" 'ctrctl volume create box; true' 'ctrctl volume prune -af'
sweep_records "volume create" 'ctrctl volume prune -af' 'ctrctl volume create box'

for snapshotter in overlayfs native; do
        ctrctl create --name web --snapshotter $snapshotter $image \
                sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null || die "no container with versions"
        ctrctl start web >/dev/null || die "it does not start"
        ctrctl version create web >/dev/null || die "no version"
        sweep=sweep
        [[ $snapshotter == native ]] || sweep=sweep_records
        $sweep "version create, $snapshotter" true 'ctrctl version create web'
        $sweep "version rollback, $snapshotter" true 'ctrctl version rollback web 1'
        [[ $snapshotter == overlayfs ]] ||
                sweep_records "version rm" 'ctrctl version create web >"$test_dir/newest"' \
                        'ctrctl version rm web "$(cat "$test_dir/newest")"'
        busctl call org.example.Ctr /org/example/Ctr/container/default/web org.example.Ctr.Container Delete 'a{sv}' 2 \
                CleanupVersions b true Force b true >/dev/null || die "the container stays"
done
check "where only records are missing it failed $records_failures times" test "$records_failures" -gt 9
