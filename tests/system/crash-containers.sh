#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# shellcheck disable=SC2016
#
# The manager and its workers are killed by SIGKILL at the steps of everything that is done with containers, their files,
# their versions and volumes: see crash-lib.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/crash-lib"

export test_dir store image=localhost:5000/demo:latest

# copied DIRECTORY: whether all that was copied to it is there. A copy that was ended leaves what came before, and none
# of that is incomplete; only directories get their times at the end.
copied() {
        local file there=0

        for file in one two three/four; do
                [[ -e $1/$file ]] || continue
                ((++there))
                cmp "$1/$file" "$test_dir/files/$file" 2>&1
        done
        ((there < 3)) || tar --numeric-owner -C "$1" -c one two three/four | sha256sum
}

# What is wrong in the database, in which a container has a root to write to, and whoever made a version is done.
inconsistent() {
        sqlite3 $db "SELECT operation FROM containers WHERE operation IS NOT NULL;
                SELECT c.id || ' has no active root' FROM containers c LEFT JOIN snapshots s ON s.id = c.snapshot
                        WHERE s.kind IS NOT 1 OR s.key <> c.snapshot_key;
                SELECT 'left: ' || key FROM snapshots WHERE namespace <> '' AND kind <> 0 AND volume IS NULL
                        AND id NOT IN (SELECT snapshot FROM containers WHERE snapshot IS NOT NULL)"
        find /run/ctr/tasks -mindepth 2 -maxdepth 2 ! -name web 2>/dev/null
}

# What a killed manager had begun with a version, the next one has done.
operations_over() {
        [[ -z $(sqlite3 $db "SELECT 1 FROM containers WHERE operation IS NOT NULL") ]]
}

# What is seen: containers with their mounts, volumes with what is in them, versions, and that what ran runs.
state() {
        local id

        wait_until 60 operations_over
        inconsistent
        sqlite3 $db "SELECT id, snapshotter, (SELECT count(*) FROM container_mounts m WHERE m.container = c.id)
                FROM containers c ORDER BY id"
        ctrctl volume ls --quiet | sed -E 's/^[0-9a-f]{64}$/anonymous/' | sort
        for id in $(sqlite3 $db "SELECT id FROM snapshots WHERE volume IS NOT NULL AND volume <> 'box'"); do
                find "$store/snapshots/native/$id/fs" | wc -l
        done | sort
        for id in $(sqlite3 $db "SELECT snapshotter || '/' || snapshot FROM containers WHERE id = 'box' UNION
                        SELECT 'native/' || id FROM snapshots WHERE volume = 'box'"); do
                copied "$store/snapshots/$id/fs/copied"
        done
        ctrctl version ls web --no-legend >"$test_dir/versions" 2>&1 || return 0
        comm -23 <(awk '{ print $1 }' "$test_dir/versions" | sort) <(sort "$test_dir/had") | sed 's/.*/a version/'
        wait_until 30 ctrctl exec web true && echo "web runs"
        ctrctl exec web test -e /since && echo "with what was written since version 1"
        copied "$store/snapshots/$(sqlite3 $db "SELECT snapshotter || '/' || snapshot FROM containers WHERE id = 'web'")/fs/copied"
}

# Versions that there were.
had() {
        ctrctl version ls web --no-legend >"$test_dir/versions" && awk '{ print $1 }' "$test_dir/versions" >"$test_dir/had"
}

# The container "web" with version 1 and nothing else, running; each version more would make it slower.
back_to_one() {
        ctrctl version rollback web 1 >/dev/null || return
        had || return
        grep -vx 1 "$test_dir/had" | xargs -r -n 1 ctrctl version rm web && had
}
export -f had back_to_one

registry_start
image_push demo demo:latest
ctrctl pull --quiet $image || die "no image"
mkdir -p "$test_dir/files/three"
seq 100000 >"$test_dir/files/one"
seq 7 >"$test_dir/files/two"
seq 20000 >"$test_dir/files/three/four"
mkdir "$test_dir/archive"
cp -a "$test_dir/files" "$test_dir/archive/copied"
tar -C "$test_dir/archive" -cf "$test_dir/files.tar" copied

# sweep_*: each once for each of the snapshotters, with which other programs and transactions do it.
sweep_create() {
        sweep "create, $snapshotter" 'ctrctl rm -v made 2>/dev/null; ctrctl volume rm data 2>/dev/null; true' \
                'ctrctl create --name made --snapshotter $snapshotter -v data:/etc -v /usr $image true'
}

sweep_rm() {
        sweep "rm, $snapshotter" 'ctrctl rm made 2>/dev/null; ctrctl volume prune -af >/dev/null &&
                ctrctl create --name made --snapshotter $snapshotter -v data:/etc -v /usr $image true' 'ctrctl rm -v made'
        ctrctl rm made 2>/dev/null
        ctrctl volume prune -af >/dev/null
}

sweep_copy() {
        sweep "copy in, $snapshotter" \
                'ctrctl rm box 2>/dev/null; ctrctl create --name box --snapshotter $snapshotter $image true' \
                'ctrctl cp "$test_dir/files" box:/copied'
        ctrctl rm box 2>/dev/null
}

# versions_start, versions_end: the container "web" with a version, which runs.
versions_start() {
        ctrctl create --name web --snapshotter "$snapshotter" $image \
                sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null || die "no container with versions"
        ctrctl start web >/dev/null || die "it does not start"
        ctrctl version create web >/dev/null || die "no version"
        had
}

versions_end() {
        busctl call org.example.Ctr /org/example/Ctr/container/default/web org.example.Ctr.Container Delete 'a{sv}' 2 \
                CleanupVersions b true Force b true >/dev/null || die "the container stays"
}

sweep_version_create() {
        sweep "copy into a running one, $snapshotter" 'ctrctl exec web rm -rf /copied' 'ctrctl cp "$test_dir/files" web:/copied'
        ctrctl exec web rm -rf /copied
        sweep "version create, $snapshotter" back_to_one 'ctrctl version create web'
}

sweep_version_rollback() {
        sweep "version rollback, $snapshotter" 'ctrctl exec web touch /since' 'ctrctl version rollback web 1'
        sweep "version rm, $snapshotter" 'back_to_one && ctrctl version create web >"$test_dir/newest"' \
                'ctrctl version rm web "$(cat "$test_dir/newest")"'
}

export snapshotter=overlayfs
all && sweep_create
sweep_rm
sweep_copy
versions_start
sweep_version_create
all && sweep_version_rollback
versions_end

snapshotter=native
sweep_create
all && sweep_rm
all && sweep_copy
versions_start
all && sweep_version_create
sweep_version_rollback
versions_end

volume='ctrctl volume prune -af >/dev/null; ctrctl volume create box && ctrctl volume import box "$test_dir/files.tar"'
all && sweep "volume create" 'ctrctl volume rm box 2>/dev/null; true' 'ctrctl volume create box'
sweep "volume import" 'ctrctl volume prune -af >/dev/null; ctrctl volume create box' \
        'ctrctl volume import box "$test_dir/files.tar"'
all && sweep "volume rm" "$volume" 'ctrctl volume rm box'
sweep "volume prune" "$volume && ctrctl volume create other" 'ctrctl volume prune -af'
