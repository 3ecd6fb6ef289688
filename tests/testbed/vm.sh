# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The test bed in a virtual machine
#
# QEMU emulates a machine (no KVM: that hangs on some build machines) that boots Debian's cloud kernel from the image of
# image.sh, writing to a throw-away copy. A second disk holds a tar file with the fresh build, the source tree, what
# --bind names, and the command; the image's init unpacks it and becomes systemd. The command's output, its errors, its
# exit code and the journal come back over virtio serial ports, each into a FIFO. The exit code's port tells before when
# the command begins: an emulated kernel may hang or panic in its boot on a loaded machine, and such a machine is started
# again.
#
# Invariant: everything that needs removing is below $bed_state, as in namespaces.sh.

vm_ports=(stdout stderr status journal)
vm_boot_tries=3
vm_boot_seconds=300
# no_timer_check: whether the timer ticks is found out by counting instructions, which a machine that has to wait for its
# turn fails; the kernel would panic.
vm_kernel_arguments="root=/dev/vda rw quiet console=ttyS0 panic=-1 mitigations=off no_timer_check \
net.ifnames=0 systemd.unit=testbed.target systemd.show_status=no init=/usr/lib/ctr-testbed-init"

# Stage what the guest needs besides the tree, and make the second disk.
vm_make_disk() {
        local stage=$bed_state/stage disk=$bed_state/disk.tar bind source target
        local -a trees=()

        mkdir -p "$stage/usr/lib/ctr-testbed" "$stage/etc/systemd/system/testbed.target.wants"
        cp "$testbed_dir"/{enter,vm-command} "$stage/usr/lib/ctr-testbed/"
        cp "$testbed_dir"/units/* "$stage/etc/systemd/system/"
        ln -s ../testbed-vm.service "$stage/etc/systemd/system/testbed.target.wants/"
        case $opt_bus in
        daemon) ln -s /lib/systemd/system/dbus.service "$stage/etc/systemd/system/dbus.service" ;;
        broker) ln -s /lib/systemd/system/dbus-broker.service "$stage/etc/systemd/system/dbus.service" ;;
        esac
        printf '%s\0' "$([[ -z $opt_journal ]] || echo 1)" "$PWD" "${bed_environment[@]}" "${opt_command[@]}" \
                >"$stage/usr/lib/ctr-testbed/command"

        [[ $opt_install == none ]] || trees+=(-C "$install_dir" .)
        trees+=(-C / "${source_dir#/}")
        for bind in "${opt_binds[@]}"; do
                [[ $bind == ro:* ]] || fail "--bind-rw is not possible in a virtual machine"
                source=$(realpath "$(cut -d: -f2 <<<"$bind")")
                target=$(cut -d: -f3 <<<"$bind")
                mkdir -p "$stage/$(dirname "${target:-$source}")"
                cp -a "$source" "$stage/${target:-$source}"
        done
        tar --create --file="$disk" --exclude-vcs --exclude-tag=build.ninja --keep-directory-symlink \
                "${trees[@]}" -C "$stage" .
}

vm_start() {
        local port
        local -a arguments=()

        [[ $opt_reboot == 1 ]] || arguments+=(-no-reboot)
        for port in "${vm_ports[@]}"; do
                rm -f "$bed_state/$port"
                mkfifo "$bed_state/$port"
                arguments+=(-chardev "file,id=$port,path=$bed_state/$port"
                        -device "virtserialport,chardev=$port,name=$port")
        done
        cat "$bed_state/stdout" &
        vm_readers=("$!")
        cat "$bed_state/stderr" >&2 &
        vm_readers+=("$!")
        cat "$bed_state/journal" >"${opt_journal:-/dev/null}" &
        vm_readers+=("$!")
        # Opened for reading and writing, so that the end of QEMU is not needed to notice the end of the command.
        exec {vm_status}<>"$bed_state/status"

        TMPDIR=$bed_state setpriv --pdeathsig KILL qemu-system-x86_64 -name ctr-testbed \
                -accel tcg,thread=multi -cpu max -smp 2 -m 4096 -display none -nic none \
                -kernel "$image_dir/vmlinuz" -initrd "$image_dir/initrd" -append "$vm_kernel_arguments" \
                -drive "file=$image_dir/root.img,format=raw,if=virtio,snapshot=on,cache=unsafe" \
                -drive "file=$bed_state/disk.tar,format=raw,if=virtio,readonly=on" \
                -device virtio-rng-pci -device virtio-serial-pci "${arguments[@]}" \
                -serial "file:$bed_state/console.log" -monitor none \
                </dev/null >"$bed_state/qemu.log" 2>&1 &
        bed_qemu=$!
}

# Read a line of the status port into $vm_line, for at most so many seconds. 124 when they are over, 125 without QEMU.
vm_read_status() {
        local deadline=$((EPOCHSECONDS + $1))

        while ((EPOCHSECONDS < deadline)); do
                if read -r -t 1 -u "$vm_status" vm_line; then
                        return
                fi
                if [[ ! -d /proc/$bed_qemu ]]; then
                        cat "$bed_state/qemu.log" >&2
                        tail -n 40 "$bed_state/console.log" >&2
                        echo "testbed: the virtual machine ended" >&2
                        return 125
                fi
        done
        tail -n 20 "$bed_state/console.log" >&2
        return 124
}

# Start the machine until its command begins.
vm_boot() {
        local try r=0

        for ((try = 1; try <= vm_boot_tries; try++)); do
                vm_start
                r=0
                vm_read_status "$vm_boot_seconds" || r=$?
                ((r != 0)) || break
                echo "testbed: the virtual machine did not boot in $vm_boot_seconds s, or ended (try $try)" >&2
                vm_end
        done
        ((r != 0)) || note "command begins"
        return "$r"
}

# Wait for the command's exit code, the end of the time, or the end of QEMU.
vm_wait() {
        local r=0

        vm_read_status "$opt_timeout" || r=$?
        # the machine has been rebooted
        while ((r == 0)) && [[ $vm_line == begin ]]; do
                vm_read_status "$opt_timeout" || r=$?
        done
        if ((r != 0)); then
                ((r != 124)) || echo "testbed: the time of $opt_timeout s is over" >&2
                return "$r"
        fi
        note "command ended with $vm_line"
        return "$vm_line"
}

vm_end() {
        kill -KILL "$bed_qemu" 2>/dev/null || :
        # The readers come to their end when QEMU has closed its ends.
        wait "$bed_qemu" "${vm_readers[@]}" 2>/dev/null || :
        exec {vm_status}>&-
        bed_qemu=
}

vm_stop() {
        trap '' INT TERM HUP
        [[ -z ${bed_qemu:-} ]] || vm_end
        rm -rf --one-file-system "$bed_state"
        note "virtual machine removed"
}

vm_run() {
        local r=0

        [[ $opt_install == none ]] || install_build
        image_prepare
        bed_make_state
        trap vm_stop EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        trap 'exit 129' HUP
        vm_make_disk
        install_release
        note "disk made"
        { vm_boot && vm_wait; } || r=$?
        exit "$r"
}
