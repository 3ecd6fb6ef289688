# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ctr-worker pull against a real registry, with images made by umoci and skopeo: the layers, mounted as overlayfs, are
# what umoci unpacks from the same image, in all that an image can say about a file.
#
# testbed: run

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/pull-lib"

layout=$test_dir/layout

# add_layer CMD...: unpack the image, change it with CMD ROOT, add the difference as a layer.
add_layer() {
        local bundle

        bundle=$(mktemp -d "$test_dir/bundle.XXXXXX")
        umoci unpack --image "$layout:latest" "$bundle" >/dev/null
        "$@" "$bundle/rootfs" || die "cannot change the image with $1"
        umoci repack --image "$layout:latest" "$bundle" >/dev/null
        rm -rf "$bundle"
}

rich_files() {
        local root=$1

        mkdir -p "$root"/{a/b/c,etc,shared,bin,hidden,gone,opaque}
        echo hello >"$root/a/file"
        ln "$root/a/file" "$root/shared/hard"
        ln -s ../a/file "$root/shared/soft"
        mkfifo "$root/a/fifo"
        mknod "$root/a/null" c 1 3
        mknod "$root/a/disk" b 8 300
        cp "/bin/true" "$root/bin/suid"
        chown 1000:1001 "$root/bin/suid"
        chmod 6755 "$root/bin/suid"
        cp "/bin/true" "$root/bin/capable"
        setcap cap_net_raw+ep "$root/bin/capable"
        setfattr -n user.binary -v 0x00ff0a00 "$root/a/file"
        setfattr -n user.directory -v yes "$root/a/b"
        truncate -s 10M "$root/a/sparse"
        echo end >>"$root/a/sparse"
        touch "$root/a/ä ö € $(printf 'x%.0s' {1..150})"
        mkdir -p "$root/$(printf 'long%.0s/' {1..40})"
        touch -h -d 1965-03-04T05:06:07 "$root/a/b/c"
        touch -d 2001-02-03T04:05:06.789 "$root/a/b"
        chmod 1777 "$root/shared"
        chmod 0700 "$root/hidden"
        chown 5:6 "$root/hidden"
        touch "$root"/{hidden,gone,opaque}/{one,two}
}

# A layer that names hardly any directory, removes, replaces, and makes a hard link across directories.
change_files() {
        local root=$1

        touch "$root/hidden/three"
        rm -r "$root/gone" "$root/a/fifo" "$root/opaque"
        mkdir "$root/opaque" "$root/a/fifo"
        touch "$root/opaque/new"
        rm "$root/shared/soft"
        mkdir "$root/shared/soft"
        echo inside >"$root/shared/soft/file"
        echo linked >"$root/a/b/c/linked"
        ln "$root/a/b/c/linked" "$root/etc/linked"
}

registry_start

umoci init --layout "$layout"
umoci new --image "$layout:latest"
add_layer rich_files
add_layer change_files
skopeo copy --quiet --dest-tls-verify=false "oci:$layout:latest" docker://localhost:5000/rich:latest ||
        die "cannot push the image"
compare rich localhost:5000/rich "$layout"

skopeo copy --quiet --dest-compress-format zstd "oci:$layout:latest" "oci:$test_dir/zstd:latest" ||
        die "cannot make a zstd image"
skopeo copy --quiet --dest-tls-verify=false "oci:$test_dir/zstd:latest" docker://localhost:5000/zstd:latest ||
        die "cannot push the zstd image"
rm -rf "$store"
compare zstd localhost:5000/zstd "$layout"
check_match "zstd: the layers are" "tar\+zstd" "$(cat "$test_dir/result.zstd")"

skopeo copy --quiet --dest-tls-verify=false --format v2s2 "oci:$layout:latest" docker://localhost:5000/docker:latest ||
        die "cannot make a Docker image"
rm -rf "$store"
compare docker localhost:5000/docker "$layout"
check_match "docker: the manifest is" "docker.distribution.manifest.v2" "$(cat "$test_dir/result.docker")"

rm -rf "$store"
image_push busybox busybox:1
compare busybox localhost:5000/busybox:1 "$images_dir/busybox"
image_push layers layers:1
compare layers localhost:5000/layers:1 "$images_dir/layers"

check_fails "an unknown tag is NotFound" "NotFound: localhost:5000/layers has no manifest" \
        "$worker" pull --root="$store" localhost:5000/layers:none
check_fails "an unknown repository is NotFound" "NotFound: localhost:5000/nothing has no manifest" \
        "$worker" pull --root="$store" localhost:5000/nothing
registry_stop
check_fails "a stopped registry is Unavailable" "Unavailable: .*localhost:5000" \
        "$worker" pull --root="$store" localhost:5000/layers
