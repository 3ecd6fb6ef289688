# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What ctr-worker exports is read by skopeo, podman and umoci.
#
# testbed: run

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

worker=/usr/lib/ctr/ctr-worker
store=/var/lib/ctr/test-export

# export_image FORMAT FILE: the image that was imported last.
export_image() {
        "$worker" export --root="$store" --format="$1" --name="example.com/$image:1" "$digest" --fd=9 9>"$2"
}

run_podman() {
        podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" "$@"
}

digest_of() {
        skopeo inspect --format '{{.Digest}}' "$1"
}

diff_ids() {
        skopeo inspect --config "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["rootfs"]["diff_ids"])'
}

for image in busybox layers; do
        skopeo copy --quiet "oci:$images_dir/$image:latest" "oci-archive:$test_dir/$image.tar" || die "skopeo cannot copy"
        check "$image is imported" "$worker" import --root="$store" --no-unpack "$test_dir/$image.tar"
        digest=$(digest_of "oci:$images_dir/$image:latest")
        ids=$(diff_ids "oci:$images_dir/$image:latest")
        [[ $digest == sha256:* && $ids == *sha256:* ]] || die "skopeo says nothing of $image"

        check "it is exported as an OCI archive" export_image oci-archive "$test_dir/$image.oci"
        check_equal "skopeo finds its digest there" "$digest" "$(digest_of "oci-archive:$test_dir/$image.oci")"
        check "and all that belongs to it" skopeo copy --quiet "oci-archive:$test_dir/$image.oci" "dir:$test_dir/$image.dir"
        mkdir "$test_dir/$image.layout"
        tar --extract --file="$test_dir/$image.oci" --directory="$test_dir/$image.layout" || die "tar cannot extract"
        check "umoci reads it, too" umoci stat --image "$test_dir/$image.layout:example.com/$image:1"
        check "podman loads it" run_podman load --quiet -i "$test_dir/$image.oci"
        check "under its name" run_podman image exists "example.com/$image:1"
        check "and it goes again" run_podman rmi "example.com/$image:1"

        check "it is exported as a Docker archive" export_image docker-archive "$test_dir/$image.docker"
        check_equal "with the same layers for skopeo" "$ids" "$(diff_ids "docker-archive:$test_dir/$image.docker")"
        check "which finds all of it" skopeo copy --quiet "docker-archive:$test_dir/$image.docker" "dir:$test_dir/$image.dir2"
        check "podman loads that as well" run_podman load --quiet -i "$test_dir/$image.docker"
        check "under its name" run_podman image exists "example.com/$image:1"
        export_image oci-archive "$test_dir/$image.again" >"$test_dir/out"
        check "the same bytes every time" cmp "$test_dir/$image.oci" "$test_dir/$image.again"
done
