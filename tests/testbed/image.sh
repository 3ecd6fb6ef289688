# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The image of the virtual machine: root file system, kernel and initial RAM disk, made from Debian packages
#
# Only packages of the distribution and a few lines of configuration are in it. The fresh build is not: it comes on a
# second disk at each boot (see vm.sh), so the image stays the same while our code changes.
# Invariant: $image_dir is named after a hash of everything it is made from, and complete whenever it exists.

image_packages=(
        # what boots
        systemd systemd-sysv udev dbus dbus-broker polkitd linux-image-cloud-amd64 initramfs-tools zstd iproute2 procps
        # what our programs link
        libsystemd0 libcurl4 libssl3 libjansson4 libyaml-0-2 libarchive13 libseccomp2 libmount1 libsqlite3-0 libisal2 libzstd1
        zlib1g ca-certificates
        # the programs to compare with, and those that the tests use
        podman crun runc conmon containerd skopeo umoci docker-registry busybox-static criu containernetworking-plugins
        netavark slirp4netns fuse-overlayfs sqlite3 curl attr libcap2-bin jq python3 python3-dbus python3-gi python3-jsonschema
)

# Services that these packages enable, and that the test bed has no use for.
image_disabled=(
        containerd.service docker-registry.service podman.service podman.socket podman-auto-update.service
        podman-auto-update.timer podman-restart.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer
        e2scrub_reap.service fstrim.timer dpkg-db-backup.timer dbus-broker.service networking.service
)

# The distribution's release, and the files that say where this machine gets its packages.
image_read_sources() {
        local file

        # shellcheck source=/dev/null
        image_suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
        image_sources=()
        for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
                if [[ -f $file ]] && grep -Eq "^[^#]*\b$image_suite\b" "$file"; then
                        image_sources+=("$file")
                fi
        done
        ((${#image_sources[@]})) || fail "no package source for $image_suite in /etc/apt"
}

# Runs with the new root as its argument before the kernel is installed: an initial RAM disk with the few modules that
# find the root disk is small, and emulation unpacks it fast.
image_configure_early() {
        local root=$1

        mkdir -p "$root/etc/initramfs-tools/conf.d"
        printf 'MODULES=list\nCOMPRESS=zstd\n' >"$root/etc/initramfs-tools/conf.d/testbed"
        printf '%s\n' virtio_pci virtio_blk ext4 >"$root/etc/initramfs-tools/modules"
        : >"$root/etc/fstab"
}

# Runs after everything is installed.
image_configure() {
        local root=$1

        echo testbed >"$root/etc/hostname"
        printf '127.0.0.1 localhost testbed\n::1 localhost\n' >"$root/etc/hosts"
        # not emptied at boot: the source tree may lie there
        echo 'q /tmp 1777 root root -' >"$root/etc/tmpfiles.d/tmp.conf"
        chroot "$root" systemctl disable --quiet "${image_disabled[@]}" 2>/dev/null || :
        rm -f "$root/etc/systemd/system/dbus.service"
        chroot "$root" useradd --uid 60999 --home-dir /tmp --shell /bin/sh tester
        rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/usr/share/{doc,man,locale}
        # The kernel starts this first: it unpacks the second disk before systemd reads units and the bus its policy.
        # Without a machine id, systemd would take each boot for the first one of a new installation.
        cat >"$root/usr/lib/ctr-testbed-init" <<-'INIT'
		#!/bin/sh
		[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
		tar --extract --file=/dev/vdb --directory=/ --keep-directory-symlink --warning=no-timestamp
		exec /lib/systemd/systemd
		INIT
        chmod 0755 "$root/usr/lib/ctr-testbed-init"
}

image_build() {
        local work=$1 functions=$1/hook

        {
                echo 'set -eu'
                declare -p image_disabled
                declare -f image_configure_early image_configure
                # shellcheck disable=SC2016
                echo '"$@"'
        } >"$functions"
        # Proxies and certificates that this machine's apt needs, it needs here too.
        apt-config dump Acquire | grep -Ei '^Acquire::(https?|ftp|Check-|Retries)' >"$work/apt.conf" || :
        mmdebstrap --variant=minbase --mode=root --quiet \
                --include="$(
                        IFS=,
                        echo "${image_packages[*]}"
                )" --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io \
                --essential-hook="bash $functions image_configure_early \"\$1\"" \
                --customize-hook="bash $functions image_configure \"\$1\"" \
                "$image_suite" "$work/root" "${image_sources[@]}"
        cp "$work"/root/boot/vmlinuz-* "$work/vmlinuz"
        cp "$work"/root/boot/initrd.img-* "$work/initrd"
        rm -rf "$work"/root/boot/*
        mke2fs -q -t ext4 -O ^has_journal -d "$work/root" "$work/root.img" 6G
        rm -rf --one-file-system "$work/root"
}

# Set $image_dir to the image, made now if its inputs changed. Older images are removed: the shared lock that is left
# keeps others from doing that before this script and QEMU end.
image_prepare() {
        local key work log

        image_read_sources
        key=$({
                declare -p image_packages image_disabled
                declare -f image_configure_early image_configure image_build
                cat "${image_sources[@]}"
        } | sha256sum | cut -c1-16)
        image_dir=$cache_dir/vm-$key
        mkdir -p "$cache_dir"
        exec {image_lock}>"$cache_dir/vm.lock"
        flock -s "$image_lock"
        [[ ! -d $image_dir ]] || return 0
        flock "$image_lock"
        if [[ ! -d $image_dir ]]; then
                "$source_dir/tools/setup" vm
                rm -rf --one-file-system "$cache_dir"/vm-*
                work=$(mktemp -d "$cache_dir/vm-work.XXXXXX")
                log=$cache_dir/vm.log
                echo "testbed: making the image of the virtual machine, this takes a minute or two" >&2
                image_build "$work" >"$log" 2>&1 || {
                        tail -n 30 "$log" >&2
                        rm -rf --one-file-system "$work"
                        fail "making the image failed, see $log"
                }
                chmod 0755 "$work"
                mv "$work" "$image_dir"
                note "image made"
        fi
        flock -s "$image_lock"
}
