# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The same images in the hands of podman and containerd: equal trees from one registry, they pull what we pushed, and we
# pull what they pushed (A1.5, A1.31).
#
# testbed: run --timeout=900

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/pull-lib"

peers=/var/lib/ctr/test-peers
tree=$test_dir/tree

podman() {
        command podman --root="$peers/podman" --runroot="$test_dir/podman" --storage-driver=overlay "$@"
}

ctr() {
        command ctr --address="$test_dir/containerd.sock" "$@"
}

containerd_start() {
        cat >"$test_dir/containerd.toml" <<EOF
version = 2
root = "$peers/containerd"
state = "$test_dir/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$test_dir/containerd.sock"
EOF
        systemd-run --quiet --unit=test-containerd containerd --config="$test_dir/containerd.toml"
        check_within "containerd runs" 30 ctr version
}

# list_tree LIST [OPTION]
list_tree() {
        "$here/pull-compare" "$tree" "${@:2}" >"$test_dir/$1.list" || die "the tree of $1 cannot be listed"
}

# list_ours NAME REFERENCE: pull into an empty store, and list the tree in ours.list
list_ours() {
        rm -rf "$store"
        check "$1: we pull it" "$worker" pull --root="$store" "$2"
        cp "$test_dir/stdout" "$test_dir/result"
        mount_result "$test_dir/result" "$tree" || die "the layers of $1 cannot be mounted"
        list_tree ours
        umount "$tree"
}

list_podman() {
        local root

        check "$1: podman pulls it" podman pull --quiet --tls-verify=false "$2"
        root=$(podman image mount "$2") || die "podman cannot mount $2"
        mkdir -p "$tree"
        mount --bind "$root" "$tree"
        list_tree podman --ignore-missing
        umount "$tree"
        podman image unmount "$2" >/dev/null
}

list_containerd() {
        check "$1: containerd pulls it" ctr images pull --plain-http "$2"
        mkdir -p "$tree"
        check "$1: containerd mounts it" ctr images mount "$2" "$tree"
        list_tree containerd --ignore-missing
        ctr images unmount --rm "$tree" >/dev/null
}

# comparable LIST: what podman and containerd do otherwise than umoci and we is left out: the mode and time of the root
# directory, times before 1970, and those of a directory that a layer needs and does not list.
comparable() {
        grep -v -e "^b'\.' " -e "^b'times/old' " -e "^b'data' " "$test_dir/$1.list"
}

# equal_trees TEXT A B
equal_trees() {
        check_match "$1: there are files" '^[1-9][0-9]*$' "$(comparable "$2" | wc -l)"
        check_equal "$1" "" "$(diff <(comparable "$2") <(comparable "$3") | cut -c1-300 | head -n 20)"
}

registry_start
containerd_start
while read -r name; do
        image_push "$name" "$name:1" --multi-arch=all
        # podman makes no hard link to a file of a lower layer, and fails
        [[ $name != hardlinks ]] || continue
        list_ours "$name" "localhost:5000/$name:1"
        list_podman "$name" "localhost:5000/$name:1"
        equal_trees "$name: podman's tree is ours" ours podman
        podman rmi --force "localhost:5000/$name:1" >/dev/null
done <"$images_dir/set"

# layers: three of them, compressed in three ways
image_push layers layers:1
for name in special whiteouts layers; do
        ours=localhost:5000/ours/$name:1
        list_ours "$name" "localhost:5000/$name:1"
        cp "$test_dir/ours.list" "$test_dir/before.list"
        digest=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])' <"$test_dir/result")
        check "$name: we push it" "$worker" push --root="$store" --from-digest="$digest" "$ours"
        list_podman "$name" "$ours"
        equal_trees "$name: podman has what we pushed" ours podman
        list_containerd "$name" "$ours"
        equal_trees "$name: containerd has what we pushed" ours containerd

        check "$name: podman pushes it" podman push --quiet --tls-verify=false "$ours" "localhost:5000/podman/$name:1"
        list_ours "$name" "localhost:5000/podman/$name:1"
        equal_trees "$name: we have what podman pushed" before ours
        check "$name: containerd names it" ctr images tag "$ours" "localhost:5000/containerd/$name:1"
        check "$name: containerd pushes it" ctr images push --plain-http "localhost:5000/containerd/$name:1"
        list_ours "$name" "localhost:5000/containerd/$name:1"
        equal_trees "$name: we have what containerd pushed" before ours
done
systemctl stop test-containerd.service
