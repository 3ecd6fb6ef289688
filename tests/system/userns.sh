#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# A container with a user namespace: its ids are mapped by mounts, so what is on the disk, and with it changes, archives
# and images of it, has the ids that the container has.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
db=/var/lib/ctr/ctr.db
registry_start
image_push demo demo:latest
check "an image" ctrctl pull --quiet $image

# give_namespace ID: no option of the service makes one, so its document gets one here.
give_namespace() {
        python3 - "$db" "$1" <<'EOF'
import json, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=10)
db.create_function("now_usec", 0, lambda: time.time_ns() // 1000)  # of the triggers
[[spec]] = db.execute("SELECT spec FROM containers WHERE id = ?", sys.argv[2:])
document = json.loads(spec)
for kind in ("uidMappings", "gidMappings"):
    document["linux"][kind] = [{"containerID": 0, "hostID": 300000, "size": 65536}]
document["linux"]["namespaces"].append({"type": "user"})
# a new sysfs would show more than that of the bed does, and the kernel refuses it
document["mounts"] = [m for m in document["mounts"] if not m["destination"].startswith("/sys")]
with db:
    db.execute("UPDATE containers SET spec = ? WHERE id = ?", (json.dumps(document), sys.argv[2]))
EOF
}

# owners FILE: uid:gid of each name in an archive.
owners() {
        tar --numeric-owner -tvf "$1" | awk '$6 ~ /^(\.\/)?(bin\/busybox|made|tmp\/one|plain)$/ { print $6, $2 }' | sort
}

check "a container" ctrctl create --name box $image sh -c 'echo x >/made; chown 5:6 /made; echo y >/plain; sleep 1000'
check "gets a user namespace" give_namespace box
check "starts" ctrctl start box
is_made() {
        [[ $(ctrctl exec box stat -c %u:%g /made /plain /bin/busybox 2>/dev/null | xargs) == "5:6 0:0 0:0" ]]
}
check_within "it has ids of its own" 20 is_made
pid=$(ctrctl inspect box | jq -r '.. | .Pid? // empty' | head -n 1)
check_equal "which are others on the host" 300000 "$(stat -c %u "/proc/$pid")"
upper=/var/lib/ctr/snapshots/overlayfs/$(sqlite3 $db "SELECT snapshot FROM containers WHERE id = 'box'")/fs
check_equal "the disk has those of the container" "5:6 0:0" "$(stat -c %u:%g "$upper/made" "$upper/plain" | xargs)"

check_match "diff tells what was made" 'A /made' "$(ctrctl diff box)"
check "export" eval 'ctrctl export -q -o "$test_dir/export.tar" box'
check_equal "has the container's ids" "bin/busybox 0/0 made 5/6 plain 0/0" "$(owners "$test_dir/export.tar" | xargs)"
check "commit" ctrctl commit -q box localhost/made:1
check_equal "whose image is for everybody" "5:6 0:0" \
        "$(ctrctl run --rm --pull=never localhost/made:1 stat -c %u:%g /made /plain | xargs)"

# a version is a layer, too, and is mapped like one
check "a version" ctrctl version create box
check_within "upon which it goes on" 20 is_made
check "it stops" ctrctl stop -t 1 box
echo one >"$test_dir/one"
check "a file goes in" ctrctl cp -q "$test_dir/one" box:/tmp/one
check "and out, as it is there" eval 'ctrctl cp -q box:/tmp/one - | tar --numeric-owner -tv >"$test_dir/list"'
check_match "of its root" ' 0/0 ' "$(cat "$test_dir/list")"
check "removal" ctrctl rm -f box
