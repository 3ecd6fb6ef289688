#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# shellcheck disable=SC2016
#
# The manager is killed by SIGKILL at the steps of a task's and an image's life: for each kind of system call that
# changes something or talks to somebody at its 1st, 2nd, 3rd ... call, until a run gets through without. Each time the
# client must get the true result all the same, and nothing may be left behind. By default every 9th step is tried, each
# time another one of them; CRASH_STRIDE=1 tries all.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
stride=${CRASH_STRIDE:-9}
changes=(sendmsg pwrite64 fdatasync renameat renameat2 unlinkat mkdirat clone3 write)

# A start of the manager under strace(1) dies at the call that /run/crash-at names, at its Nth time.
cat >/usr/local/bin/crash-manager <<END
#!/bin/sh
if read -r call n 2>/dev/null </run/crash-at; then
        rm /run/crash-at
        exec strace -D -qq -o /dev/null -e "trace=\$call" -e "inject=\$call:signal=SIGKILL:when=\$n" /usr/lib/ctr/ctr-manager
fi
exec /usr/lib/ctr/ctr-manager
END
chmod +x /usr/local/bin/crash-manager
mkdir -p /run/systemd/system/ctr.service.d
cat >/run/systemd/system/ctr.service.d/crash.conf <<END
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart=/usr/local/bin/crash-manager
END
systemctl daemon-reload

arm() {
        systemctl stop ctr.service
        echo "$1 $2" >/run/crash-at
}

restarts() {
        systemctl show --property=NRestarts --value ctr.service
}

# How the snapshots' directories differ from their rows.
wrong_directories() {
        diff <(sqlite3 /var/lib/ctr/ctr.db 'SELECT id FROM snapshots' | sort) \
                <(find /var/lib/ctr/snapshots/overlayfs -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)
}

# What is there that should not be, in one line; "" when nothing is. What containers needed is gone, and what
# is on disk is what has a row.
leftovers() {
        local db=/var/lib/ctr/ctr.db left=

        left+=$(systemctl list-units --no-legend --plain 'ctr-*.scope' | awk '{ print $1 }')
        left+=$(find /run/ctr/tasks -mindepth 2 2>/dev/null)
        left+=$(find /run/systemd/units -name 'log-extra-fields:ctr-*')
        left+=$(sqlite3 $db 'SELECT id FROM containers; SELECT key FROM snapshots WHERE kind <> 0')
        left+=$(find /sys/fs/cgroup/ctr.slice -mindepth 1 -type d 2>/dev/null)
        left+=$(pgrep -x ctr-supervisor; pgrep -x ctr-worker)
        left+=$(wrong_directories)
        left+=$(diff <(sqlite3 $db 'SELECT substr(digest, 8) FROM blobs' | sort) \
                <(find /var/lib/ctr/content/sha256 -type f -printf '%f\n' | sort))
        echo "$left"
}

# The directories go last, and a second later: all of it is looked for only when they are gone.
nothing_left() {
        if [[ -n $(wrong_directories) ]]; then
                sleep 0.1
                return 1
        fi
        [[ -z $(leftovers) ]]
}

remove_all() {
        ctrctl ps --all --quiet 2>/dev/null | xargs -r -n 1 ctrctl rm --force >/dev/null 2>&1
}

# attempt NAME EXPECTED-CODE PREPARE COMMAND CALL N: false when the manager was not killed any more.
attempt() {
        local name=$1 expected=$2 prepare=$3 command=$4 step="$5 $6" before

        bash -c "$prepare" >/dev/null 2>&1 || die "$name: cannot prepare"
        arm "$5" "$6"
        before=$(restarts)
        capture timeout 180 bash -c "$command"
        wanted=${wanted:-$stdout}
        if [[ $status != "$expected" || $stdout != "$wanted" ]]; then
                diagnose "$name: killed at $step: exit code $status, output: $stdout"
                diagnose "$stderr"
                bad=1
        fi
        remove_all
        if ! wait_until 15 nothing_left; then
                diagnose "$name: killed at $step: left behind: $(leftovers)"
                bad=1
        fi
        [[ ! -e /run/crash-at && $(restarts) != "$before" ]]
}

# sweep NAME EXPECTED-CODE PREPARE COMMAND: both are shell code; PREPARE runs undisturbed, COMMAND is disturbed once,
# one step further each time. What COMMAND prints must always be the same.
sweep() {
        local call n bad=0 tried=0 wanted=

        for call in "${changes[@]}"; do
                for ((n = 1 + offset++ % stride; n < 1000; n += stride)); do
                        attempt "$@" "$call" "$n" || break
                        ((++tried))
                done
        done
        rm -f /run/crash-at
        check_equal "$1: the same result and nothing left" 0 "$bad"
        check "$1: the manager was killed, $tried times" test "$tried" -gt 0
}

offset=0
registry_start
image_push demo demo:latest
export image

sweep "pull" 0 'ctrctl rmi $image || :' \
        'ctrctl pull --quiet $image && ctrctl run --rm $image cat /etc/passwd'
sweep "run --rm" 7 : 'ctrctl run --rm $image sh -c "echo out; exit 7"'
sweep "create, start, wait" 0 : \
        'ctrctl create --name c $image sh -c "exit 5" && ctrctl start c && ctrctl wait c'
sweep "stop" 0 'ctrctl run -d --name c $image sh -c "trap \"exit 3\" TERM; while :; do sleep 0.05; done"' \
        'ctrctl stop c && ctrctl wait c'
sweep "kill" 0 'ctrctl run -d --name c $image sleep 1000' 'ctrctl kill --signal=KILL c; ctrctl wait c'
sweep "rm --force" 0 'ctrctl run -d --name c $image sleep 1000' 'ctrctl rm --force c; ctrctl ps --all --no-legend'
sweep "rmi" 0 'ctrctl pull --quiet $image' 'ctrctl rmi $image; ctrctl images --no-legend'

systemctl stop ctr.service
rm -rf /run/systemd/system/ctr.service.d
systemctl daemon-reload
check "every step of all these lives was told once, and in order" "$(dirname "${BASH_SOURCE[0]}")/event-history" --check
