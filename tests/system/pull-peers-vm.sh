# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The same images in the hands of podman and containerd: equal trees from one registry, they pull what we pushed, and we
# pull what they pushed.
#
# testbed: vm --timeout=1800

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/pull-lib"

# list_ours NAME REFERENCE: pull into an empty store, and list the tree in $test_dir/ours.NAME.list
list_ours() {
        check "$1: we pull it" "$worker" pull --root="$store" "$2"
        cp "$test_dir/stdout" "$test_dir/result"
        mount_result "$test_dir/result" "$test_dir/ours" || die "the layers of $1 cannot be mounted"
        "$here/pull-compare" "$test_dir/ours" >"$test_dir/ours.$1.list" || die "our tree cannot be listed"
        umount "$test_dir/ours"
}

# list_podman NAME REFERENCE
list_podman() {
        local root

        check "$1: podman pulls it" podman pull --quiet --tls-verify=false "$2"
        root=$(podman image mount "$2") || die "podman cannot mount $2"
        "$here/pull-compare" "$root" --ignore-missing >"$test_dir/podman.$1.list" || die "podman's tree cannot be listed"
        podman image unmount "$2" >/dev/null
}

# list_containerd NAME REFERENCE
list_containerd() {
        check "$1: containerd pulls it" ctr images pull --plain-http "$2"
        mkdir -p "$test_dir/containerd"
        check "$1: containerd mounts it" ctr images mount "$2" "$test_dir/containerd"
        "$here/pull-compare" "$test_dir/containerd" --ignore-missing >"$test_dir/containerd.$1.list" ||
                die "containerd's tree cannot be listed"
        ctr images unmount --rm "$test_dir/containerd" >/dev/null
}

# equal_trees TEXT A B: but for the root directory itself, whose mode and time podman decides on
equal_trees() {
        check_match "$1: there are files" '^[1-9][0-9]+$' "$(wc -l <"$test_dir/$2.list")"
        check_equal "$1" "" "$(diff <(tail -n +2 "$test_dir/$2.list") <(tail -n +2 "$test_dir/$3.list") | cut -c1-300 | head -n 20)"
}

digest_of() {
        python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])' <"$1"
}

registry_start
systemctl start containerd.service
while read -r name; do
        image_push "$name" "$name:1" --multi-arch=all
        list_ours "$name" "localhost:5000/$name:1"
        list_podman "$name" "localhost:5000/$name:1"
        equal_trees "$name: podman's tree is ours" "ours.$name" "podman.$name"
        podman rmi --force "localhost:5000/$name:1" >/dev/null
        rm -rf "$store"
done <"$images_dir/set"

for name in special whiteouts foreign layers; do
        [[ $name != layers ]] || image_push layers layers:1
        list_ours "$name" "localhost:5000/$name:1"
        digest=$(digest_of "$test_dir/result")
        check "$name: we push it" "$worker" push --root="$store" --from-digest="$digest" "localhost:5000/ours/$name:1"
        rm -rf "$store"
        list_podman "$name" "localhost:5000/ours/$name:1"
        equal_trees "$name: podman has what we pushed" "ours.$name" "podman.$name"
        list_containerd "$name" "localhost:5000/ours/$name:1"
        equal_trees "$name: containerd has what we pushed" "ours.$name" "containerd.$name"

        cp "$test_dir/ours.$name.list" "$test_dir/before.list"
        check "$name: podman pushes it" podman push --quiet --tls-verify=false "localhost:5000/ours/$name:1" \
                "localhost:5000/podman/$name:1"
        list_ours "$name" "localhost:5000/podman/$name:1"
        equal_trees "$name: we have what podman pushed" before "ours.$name"
        rm -rf "$store"
        check "$name: containerd names it" ctr images tag "localhost:5000/ours/$name:1" "localhost:5000/containerd/$name:1"
        check "$name: containerd pushes it" ctr images push --plain-http "localhost:5000/containerd/$name:1"
        list_ours "$name" "localhost:5000/containerd/$name:1"
        equal_trees "$name: we have what containerd pushed" before "ours.$name"
        rm -rf "$store"
done
