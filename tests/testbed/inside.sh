#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# First process of the test bed's namespaces: builds the root file system and becomes systemd
#
# Runs in private mount, PID, UTS, IPC, cgroup and network namespaces. Everything it mounts disappears with them. The
# upper layer is a tmpfs; /var/lib/ctr is a directory on a real file system, because an overlay can not have its upper
# layer on an overlay.

set -euo pipefail

bed_state="" install_dir="" opt_bus="" source_dir="" testbed_dir="" cache_dir=""
opt_binds=()
# shellcheck disable=SC1090
. "$1"

fs=$bed_state/fs
root=$fs/root

# Services of sysinit.target that would act on the machine's kernel, or look for hardware.
masked=(
        dev-hugepages.mount kmod-static-nodes.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount
        sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount
        systemd-binfmt.service systemd-modules-load.service systemd-random-seed.service systemd-sysctl.service
        systemd-udevd.service systemd-udev-trigger.service systemd-udev-settle.service
        systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-firstboot.service systemd-repart.service
        systemd-journald-audit.socket systemd-initctl.socket systemd-update-utmp.service
        systemd-update-utmp-runlevel.service systemd-pcrphase.service systemd-pcrphase-sysinit.service
        systemd-machine-id-commit.service systemd-sysusers.service systemd-hwdb-update.service
        systemd-ask-password-console.path systemd-ask-password-wall.path ldconfig.service
        systemd-tmpfiles-setup-dev.service systemd-journal-flush.service systemd-journal-catalog-update.service
        systemd-update-done.service systemd-boot-system-token.service rpcbind.service
)

make_root() {
        local package

        mount -t tmpfs -o mode=0755,size=4G tmpfs "$fs"
        mkdir "$fs"/{upper,work,root}
        if [[ -n $install_dir ]]; then
                cp -a "$install_dir/." "$fs/upper/"
        fi
        for package in "${cache_dir:?}"/packages/*/usr; do
                [[ ! -d $package ]] || cp -a "$package" "$fs/upper/"
        done
        mount -t overlay -o "lowerdir=/,upperdir=$fs/upper,workdir=$fs/work" overlay "$root"

        mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
        mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$root/sys"
        mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
        mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs "$root/run"
        mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/tmp"
        mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/var/tmp"
}

make_dev() {
        local node

        mount -t tmpfs -o nosuid,mode=0755 tmpfs "$root/dev"
        mkdir "$root"/dev/{pts,shm,net,mqueue}
        for node in null zero full random urandom tty fuse net/tun loop-control; do
                [[ -c /dev/$node ]] || continue
                cp -a "/dev/$node" "$root/dev/$node"
        done
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts "$root/dev/pts"
        mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
        ln -s pts/ptmx "$root/dev/ptmx"
        ln -s /proc/self/fd "$root/dev/fd"
        ln -s fd/0 "$root/dev/stdin"
        ln -s fd/1 "$root/dev/stdout"
        ln -s fd/2 "$root/dev/stderr"
}

# /etc: no units, file systems or drop-ins of the machine's own; one more user without any rights.
make_etc() {
        local unit system=$root/etc/systemd/system

        : >"$root/etc/fstab"
        echo testbed >"$root/etc/hostname"
        printf '127.0.0.1 localhost testbed\n::1 localhost\n' >"$root/etc/hosts"
        [[ -s $root/etc/machine-id ]] || tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
        rm -rf "$root/etc/systemd"
        mkdir -p "$system" "$root/etc/systemd/journald.conf.d"
        # The installed build may bring units of its own in /etc.
        if [[ -n $install_dir && -d $install_dir/etc/systemd ]]; then
                cp -a "$install_dir/etc/systemd/." "$root/etc/systemd/"
        fi
        printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\nRuntimeMaxUse=256M\n' \
                >"$root/etc/systemd/journald.conf.d/testbed.conf"
        for unit in "${masked[@]}"; do
                ln -s /dev/null "$system/$unit"
        done
        case $opt_bus in
        daemon) ln -s /lib/systemd/system/dbus.service "$system/dbus.service" ;;
        broker) ln -s /lib/systemd/system/dbus-broker.service "$system/dbus.service" ;;
        esac
        cp -a "$testbed_dir"/units/* "$system/"
        mkdir "$system/testbed.target.wants"
        ln -s ../testbed-ready.service "$system/testbed.target.wants/"

        if ! grep -q '^tester:' "$root/etc/passwd"; then
                echo 'tester:x:60999:60999:Test bed user:/tmp:/bin/sh' >>"$root/etc/passwd"
                echo 'tester:x:60999:' >>"$root/etc/group"
        fi
}

# Bring in what the caller named, and the trees that must be seen whatever is mounted over them.
make_binds() {
        local bind mode source target

        mkdir -p "$root/var/lib/ctr" "$root/run/testbed" "$root/usr/lib/ctr-testbed"
        mount --bind "$bed_state/var" "$root/var/lib/ctr"
        mount --bind "$bed_state/share" "$root/run/testbed"
        cp "$testbed_dir/enter" "$root/usr/lib/ctr-testbed/enter"

        for bind in "ro:$source_dir" "${opt_binds[@]}"; do
                mode=${bind%%:*}
                source=$(realpath "$(cut -d: -f2 <<<"$bind")")
                target=$(cut -d: -f3 <<<"$bind")
                target=$root${target:-$source}
                if [[ -d $source ]]; then
                        mkdir -p "$target"
                else
                        mkdir -p "$(dirname "$target")"
                        [[ -e $target ]] || : >"$target"
                fi
                mount --bind "$source" "$target"
                mount -o "remount,bind,$mode" "$target"
        done
}

hostname testbed
make_root
make_dev
make_etc
make_binds

mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
exec env -i container=unshare PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        /usr/lib/systemd/systemd --unit=testbed.target --log-target=journal-or-kmsg --show-status=no
