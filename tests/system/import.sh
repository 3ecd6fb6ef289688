# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ctr-worker import of what skopeo, umoci, podman and tar write.
#
# testbed: run

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

worker=/usr/lib/ctr/ctr-worker
store=/var/lib/ctr/test-import

# load OPTION...: into an empty store.
load() {
        rm -rf "$store"
        "$worker" import --root="$store" "$@"
}

# field EXPRESSION: of the result on standard output, as r.
field() {
        python3 -c 'import json, sys; r = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1" <<<"$stdout"
}

# tree DIRECTORY: everything in it that an image has, in one order.
tree() {
        (cd "$1" && find . -printf '%p %y %m %U %G %s %l\n' | sed 's/^\(. d [0-9]* [0-9]* [0-9]*\) [0-9]*/\1/; s/\( d [0-9]* [0-9]* [0-9]*\) [0-9]* $/\1/' | sort)
        (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

# check_against_umoci TEXT DIRECTORY: the trees of the image, stacked, are what umoci has unpacked there.
check_against_umoci() {
        local layers

        [[ $(tree "$2") == *" f "* ]] || die "umoci unpacked nothing"
        layers=$(field "':'.join('$store/snapshots/overlayfs/' + l['directory'] + '/fs' for l in reversed(r['images'][0]['layers']))")
        mkdir -p "$test_dir/merged" "$test_dir/none"
        mount -t overlay overlay -o "lowerdir=$layers:$test_dir/none" "$test_dir/merged" || die "cannot mount the layers"
        check_equal "$1" "$(tree "$2")" "$(tree "$test_dir/merged")"
        umount "$test_dir/merged"
}

for image in busybox layers; do
        umoci raw unpack --image "$images_dir/$image:latest" "$test_dir/$image" >/dev/null 2>&1 || die "umoci cannot unpack"
        digest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$images_dir/$image/index.json")

        check "the image layout of $image is imported" load "$images_dir/$image"
        check_equal "with its digest" "$digest" "$(field "r['images'][0]['digest']")"
        skopeo copy --quiet "oci:$images_dir/$image:latest" "oci-archive:$test_dir/$image.oci.tar:example.com/$image:1" ||
                die "skopeo cannot write an OCI archive"
        check "skopeo's OCI archive of $image is imported" load "$test_dir/$image.oci.tar"
        check_equal "with its digest" "$digest" "$(field "r['images'][0]['digest']")"
        check_equal "and its name" "['example.com/$image:1']" "$(field "r['images'][0]['names']")"
        check_against_umoci "its layers give what umoci unpacks" "$test_dir/$image"

        skopeo copy --quiet "oci:$images_dir/$image:latest" "docker-archive:$test_dir/$image.docker.tar:example.com/$image:2" ||
                die "skopeo cannot write a Docker archive"
        check "so is its Docker archive" load "$test_dir/$image.docker.tar"
        check_equal "with the name" "['example.com/$image:2']" "$(field "r['images'][0]['names']")"
        check_against_umoci "and the same files" "$test_dir/$image"

        gzip -k "$test_dir/$image.docker.tar"
        check "from a pipe, compressed" load --fd=9 9< <(cat "$test_dir/$image.docker.tar.gz")

        podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" load --quiet \
                -i "$test_dir/$image.docker.tar" >/dev/null || die "podman cannot load"
        for format in docker-archive oci-archive; do
                podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" save --quiet \
                        --format="$format" -o "$test_dir/$image.$format" "example.com/$image:2" || die "podman cannot save"
                check "podman's $format is imported" load "$test_dir/$image.$format"
                check_against_umoci "with the same files" "$test_dir/$image"
        done
done

tar --create --file="$test_dir/rootfs.tar" --directory="$test_dir/layers" .
check "a root file system is imported" load --rootfs "$test_dir/rootfs.tar"
check_against_umoci "as one layer" "$test_dir/layers"
check_fails "but not as an image" "InvalidArgument: " load "$test_dir/rootfs.tar"
