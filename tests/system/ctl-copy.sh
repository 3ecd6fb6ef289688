#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl cp, diff, export and commit: files of containers that run, do not run, and mean no good, of both snapshotters.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"
ctrctl run -d --name=live "$image" sleep 1000 >/dev/null || die "no container"
ctrctl create --name=idle "$image" true >/dev/null || die "no container"
ctrctl run -d --snapshotter=native --name=copied "$image" sleep 1000 >/dev/null || die "no container"
ctrctl create --snapshotter=native --name=tree "$image" true >/dev/null || die "no container"
cd "$test_dir" || die "no directory"
mkdir -p tree/sub
echo one >tree/one
echo two >tree/sub/two
ln -s /etc/passwd tree/link
ln tree/one tree/second
chmod 4755 tree/one

for c in live idle copied tree; do
        check "$c: a tree goes in" ctrctl cp -q tree "$c:/data"
        check "$c: into what is there under its name" ctrctl cp -q tree "$c:/data"
        check "$c: only what is in it" ctrctl cp -q tree/. "$c:/data/plain/"
        check "$c: a file under another name" ctrctl cp -q tree/one "$c:/data/renamed"
        check_fails "$c: not into a directory that is not there" 'does not exist' ctrctl cp -q tree/one "$c:/no/"
        check_fails "$c: no tree over a file" 'is not a directory' ctrctl cp -q tree "$c:/data/renamed"
        check "$c: comes out" ctrctl cp -q "$c:/data" "out-$c"
        check_equal "$c: all of it" "$(cd tree && find . -exec stat -c '%n %F' {} + | sort)" \
                "$(cd "out-$c/tree" && find . -exec stat -c '%n %F' {} + | sort)"
        check_equal "$c: with what is in it" "one two one one" \
                "$(cat "out-$c/one" "out-$c/plain/sub/two" "out-$c/tree/second" "out-$c/renamed" | xargs)"
        check_equal "$c: links stay links" /etc/passwd "$(readlink "out-$c/link")"
        check_equal "$c: nothing is set-user-ID" "" "$(find "out-$c" -perm /6000)"
        mkdir "in-$c"
        check "$c: into a directory" ctrctl cp -q "$c:/data/sub/two" "in-$c"
        check_equal "$c: under its name" two "$(cat "in-$c/two")"
        check "$c: what is in a directory" ctrctl cp -q "$c:/data/sub/." "in-$c/"
        check "$c: over what is there" ctrctl cp -q "$c:/data/one" "in-$c/two"
        check_equal "$c: it is replaced" one "$(cat "in-$c/two")"
        check "$c: through a pipe" eval "ctrctl cp -q $c:/data - | tar -t | grep '^data/sub/two$'"
        check "$c: and back" eval "tar -C tree -c sub | ctrctl cp -q - $c:/tmp"
        check_equal "$c: has come" two "$(ctrctl cp -q "$c:/tmp/sub/two" - | tar -xO)"
        check_fails "$c: what is not there" '/none' ctrctl cp -q "$c:/none" .
        check_match "$c: diff tells" 'A /data/one' "$(ctrctl diff "$c")"
        check "$c: export" eval "ctrctl export -q $c | tar -t >list-$c"
        check "$c: has it all" grep -q 'data/sub/two$' "list-$c"
        check "$c: commit" ctrctl commit -q -m 'a test' -c 'CMD ["cat", "/data/one"]' "$c" "localhost/$c:1"
        check_match "$c: tells the digest" '^sha256:' "$stdout"
        check_equal "$c: the image has the files and the command" one "$(ctrctl run --rm --pull=never "localhost/$c:1")"
        check_match "$c: and a history" 'a test' "$(ctrctl history --full "localhost/$c:1")"
done
for snapshotter in overlayfs native; do
        check "$snapshotter: a task with mounts where the image has nothing" ctrctl run -q --name="mounts-$snapshotter" --snapshotter=$snapshotter \
                --dns=192.0.2.9 --tmpfs=/some/where -v "$test_dir:/else/where" "$image" sh -c 'echo x >/else/where/x; test -d /some/where'
        check_equal "$snapshotter: has changed nothing that it did not write" "" \
                "$(ctrctl diff "mounts-$snapshotter" | grep -vx 'C /etc')"
        check "$snapshotter: a file beside them" ctrctl cp -q tree/one "mounts-$snapshotter:/else/one"
        check_equal "$snapshotter: is a change" "A /else/one" "$(ctrctl diff "mounts-$snapshotter" | grep -vx 'C /etc')"
        check "$snapshotter: away" ctrctl rm "mounts-$snapshotter"
done
check_fails "no container to export" 'container "none" does not exist' ctrctl export -q -o "$test_dir/none.tar" none
check_equal "both snapshotters tell the same changes" "$(ctrctl diff idle)" "$(ctrctl diff tree)"
check_equal "and two are whole trees" 2 "$(find /var/lib/ctr/snapshots/native -mindepth 1 -maxdepth 1 ! -name ".doomed-*" | wc -l)"
check_fails "a snapshotter that is none" 'no snapshotter' ctrctl create --snapshotter=zfs "$image" true
check_fails "nor is it for a pull" 'no snapshotter' ctrctl pull -q --snapshotter=zfs "$image"
check "a pull for one" ctrctl pull -q --snapshotter=native "$image"
check "what runs has seen them" ctrctl exec live test -u /data/one -o -f /data/one
check_equal "as root's" 0:0 "$(ctrctl exec live stat -c %u:%g /data/one)"
check "its root as a whole" eval 'ctrctl cp -q live:/ - >root.tar'
check_equal "and of what the kernel makes up the directories" "proc/ sys/" \
        "$(tar -tf root.tar | sed "s,^[.]/,," | grep -E "^(proc|sys)/" | xargs)"
check_fails "a container that is not there" 'nobody' ctrctl cp -q nobody:/etc .
check_fails "between two of them" 'exactly one' ctrctl cp -q live:/etc idle:/etc
check_fails "a local file that is not there" 'does not exist' ctrctl cp -q ./none live:/data

# Nothing is written through a link that the container has put there.
mkdir outside target
ctrctl exec live sh -c 'mkdir -p /evil; ln -s ../outside /evil/door; ln -s /etc/passwd /evil/file'
check "links of the container are taken" ctrctl cp -q live:/evil target
check_equal "as links" ../outside "$(readlink target/evil/door)"
ctrctl exec live sh -c 'rm /evil/door; mkdir /evil/door; echo evil >/evil/door/evil'
check_fails "and never followed" 'is there and no directory' ctrctl cp -q live:/evil target
check_equal "nothing is out there" "" "$(ls outside)"
