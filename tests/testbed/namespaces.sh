# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The test bed in namespaces
#
# A systemd boots as PID 1 of new namespaces, on an overlay whose lower layer is this machine's root and whose upper
# layer is a tmpfs that only those namespaces know, in a cgroup of its own. inside.sh sets that up from within. CMD
# enters the namespaces with the caller's standard input, output and error.
#
# Invariant: everything that needs removing is below $bed_state (a directory) and $bed_cgroup, and both are named after
# the test bed; a test bed that is alive holds the lock $bed_state/lock.

bed_state_parent=/var/tmp
bed_prefix=ctr-testbed.
bed_boot_tries=3
bed_boot_seconds=120

# On a machine that runs systemd the cgroups are systemd's: ask it for a delegated scope, and start again inside.
bed_enter_scope() {
        if [[ -d /run/systemd/system && -z ${CTR_TESTBED_SCOPE:-} ]]; then
                CTR_TESTBED_SCOPE=1 exec systemd-run --scope --quiet --collect -p Delegate=yes \
                        -- "$testbed_dir/testbed" "${bed_arguments[@]}"
        fi
        unset CTR_TESTBED_SCOPE
}

# Find the cgroup to make ours in: that scope, or where no systemd runs the root of the cgroup v2 tree.
bed_cgroup_parent() {
        local mount=/sys/fs/cgroup own

        if [[ $(stat -f -c %T "$mount" 2>/dev/null) != cgroup2fs ]]; then
                mount=$(findmnt -rn -t cgroup2 -o TARGET | head -n1)
        fi
        [[ -n $mount ]] || fail "no cgroup v2 tree is mounted: mount -t cgroup2 cgroup2 DIRECTORY"

        if [[ -d /run/systemd/system ]]; then
                own=$(sed -n 's/^0:://p' /proc/self/cgroup)
                mount=$mount$own
                mkdir "$mount/caller"
                echo $$ >"$mount/caller/cgroup.procs"
        fi
        bed_cgroup_root=$mount
}

bed_make_cgroup() {
        local controller

        bed_cgroup_parent
        bed_cgroup=$bed_cgroup_root/$(basename "$bed_state")
        for controller in $(<"$bed_cgroup_root/cgroup.controllers"); do
                echo "+$controller" 2>/dev/null >"$bed_cgroup_root/cgroup.subtree_control" || :
        done
        mkdir "$bed_cgroup"
}

# Remove a cgroup and all below it. Its processes are dead or dying: they may take a moment to leave it.
bed_remove_cgroup() {
        local cgroup=$1 try

        for ((try = 0; try < 500; try++)); do
                [[ -d $cgroup ]] || return 0
                echo 1 2>/dev/null >"$cgroup/cgroup.kill" || :
                find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && return 0
                sleep 0.01
        done
        echo "testbed: cannot remove the cgroup $cgroup" >&2
        return 1
}

# Remove what test beds left whose script was killed: nobody holds their lock. Called with the lock of bed_make_state.
bed_sweep() {
        local state fd

        for state in "$bed_state_parent/$bed_prefix"*; do
                [[ -f $state/lock ]] || continue
                exec {fd}<"$state/lock" || continue
                if flock -n "$fd"; then
                        if [[ -f $state/cgroup ]]; then
                                bed_remove_cgroup "$(<"$state/cgroup")" || :
                        fi
                        rm -rf --one-file-system "$state"
                fi
                exec {fd}<&-
        done
}

# Make $bed_state. The lock on the cache keeps others from taking it for a left one before it is locked itself.
bed_make_state() {
        local lock

        mkdir -p "$cache_dir"
        exec {lock}>"$cache_dir/lock"
        flock "$lock"
        bed_sweep
        bed_state=$(mktemp -d "$bed_state_parent/${bed_prefix}XXXXXXXX")
        exec {bed_lock}>"$bed_state/lock"
        flock "$bed_lock"
        exec {lock}>&-
        mkdir "$bed_state"/{fs,var,share}
        mkfifo "$bed_state/share/ready"
}

# What inside.sh needs to know, as one file of shell assignments.
bed_write_config() {
        local config=$bed_state/share/config

        {
                declare -p source_dir testbed_dir cache_dir bed_state opt_bus opt_binds
                [[ $opt_install == none ]] || declare -p install_dir
        } >"$config"
}

bed_start() {
        # The shell below is the one that moves into the cgroup; setpriv takes everything down when this script dies.
        (
                echo "$BASHPID" >"$bed_cgroup/cgroup.procs"
                install_release
                exec setpriv --pdeathsig KILL \
                        unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child --propagation private \
                        "$testbed_dir/inside.sh" "$bed_state/share/config"
        ) </dev/null >"$bed_state/console.log" 2>&1 {bed_lock}>&- &
        bed_unshare=$!
}

# Wait until the systemd has booted. 1 when it has ended, 2 when it takes too long.
bed_wait_ready() {
        local ready= deadline=$((EPOCHSECONDS + bed_boot_seconds))

        while ((EPOCHSECONDS < deadline)); do
                if read -r -t 1 -u "$bed_ready" ready && [[ $ready == ready ]]; then
                        return
                fi
                [[ -d /proc/$bed_unshare ]] || return 1
        done
        return 2
}

# What hangs, for whoever reads the output.
bed_show_processes() {
        local pid

        find "$bed_cgroup" -name cgroup.procs -exec cat {} + | while read -r pid; do
                echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline") $(cut -d' ' -f3 "/proc/$pid/stat") $(<"/proc/$pid/wchan")"
        done 2>/dev/null
}

# Start the systemd and wait until it has booted. On a loaded machine it hangs in this now and then: it is started again.
bed_boot() {
        local try r

        # Opened for reading and writing, so that neither side waits for the other.
        exec {bed_ready}<>"$bed_state/share/ready"
        for ((try = 1; try <= bed_boot_tries; try++)); do
                bed_start
                r=0
                bed_wait_ready || r=$?
                ((r == 2)) || break
                echo "testbed: the systemd did not boot in $bed_boot_seconds s (try $try):" >&2
                bed_show_processes >&2
                kill -KILL "$bed_unshare"
                wait "$bed_unshare" 2>/dev/null || :
                bed_remove_cgroup "$bed_cgroup"
                mkdir "$bed_cgroup"
        done
        exec {bed_ready}<&-
        if ((r != 0)); then
                tail -n 40 "$bed_state/console.log" >&2
                fail "the systemd in the test bed did not start"
        fi
        bed_pid=$(ps -o pid= --ppid "$bed_unshare" | tr -d ' ')
        install_release
        note "systemd booted"
}

# Become a command in the test bed. From its own cgroup, as no process may enter a cgroup namespace's tree from outside
# where the tree is mounted with nsdelegate. The root is named for callers in a chroot.
bed_enter() {
        echo "$BASHPID" >"$bed_cgroup/init.scope/cgroup.procs"
        exec nsenter --all --target "$bed_pid" --root --wd -- "$@"
}

bed_save_journal() {
        [[ -n $opt_journal && -n ${bed_pid:-} && -d /proc/$bed_pid ]] || return 0
        (bed_enter journalctl --no-pager --output=short-precise) </dev/null >"$opt_journal" 2>/dev/null || :
        note "journal saved"
}

bed_stop() {
        trap '' INT TERM HUP
        bed_save_journal
        if [[ -n ${bed_pid:-} ]]; then
                kill -KILL "$bed_pid" 2>/dev/null || :
        elif [[ -n ${bed_unshare:-} ]]; then
                kill -KILL "$bed_unshare" 2>/dev/null || :
        fi
        [[ -z ${bed_timer:-} ]] || kill "$bed_timer" 2>/dev/null || :
        wait 2>/dev/null || :
        [[ -z ${bed_cgroup:-} ]] || bed_remove_cgroup "$bed_cgroup" || :
        if [[ -n ${bed_state:-} ]]; then
                rm -rf --one-file-system "$bed_state"
        fi
        note "test bed removed"
}

# Wait for CMD, the end of the time, or the end of the test bed, whichever is first. A terminal's Ctrl-C goes to CMD as
# well, and CMD decides what it means; the same signal sent to this script alone ends the test bed.
bed_wait() {
        local r ended

        while :; do
                r=0
                ended=
                # The shell would report a command that died of a signal; its exit code says so already.
                wait -n -p ended "$bed_command" "$bed_timer" "$bed_unshare" 2>/dev/null || r=$?
                case $ended in
                "$bed_command") return "$r" ;;
                "$bed_timer")
                        echo "testbed: the time of $opt_timeout s is over" >&2
                        return 124
                        ;;
                "$bed_unshare")
                        echo "testbed: the systemd in the test bed ended" >&2
                        return 125
                        ;;
                esac
        done
}

bed_interrupted() {
        if [[ ! -t 0 ]] || ((++bed_interrupts > 3)); then
                exit 130
        fi
}

namespaces_run() {
        local r=0

        bed_enter_scope
        [[ $opt_install == none ]] || install_build
        bed_interrupts=0
        trap bed_stop EXIT
        trap bed_interrupted INT
        trap 'exit 143' TERM
        trap 'exit 129' HUP
        bed_make_state
        bed_make_cgroup
        echo "$bed_cgroup" >"$bed_state/cgroup"
        bed_write_config
        bed_boot

        # Signals are reset because a shell starts its background jobs with SIGINT and SIGQUIT ignored.
        (
                bed_enter /usr/lib/ctr-testbed/enter "$PWD" \
                        env -i --default-signal "${bed_environment[@]}" "${opt_command[@]}"
        ) <&0 {bed_lock}>&- &
        bed_command=$!
        sleep "$opt_timeout" >/dev/null 2>&1 {bed_lock}>&- &
        bed_timer=$!
        bed_wait || r=$?
        note "command ended with $r"
        exit "$r"
}
