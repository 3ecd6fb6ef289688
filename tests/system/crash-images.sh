#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=1800
#
# shellcheck disable=SC2016,SC2034
#
# The manager and its workers are killed by SIGKILL at the steps of everything that is done with images. Which steps
# there are is found out by running each operation once under strace(1): they are the system calls that change something
# or talk to somebody. After each kill the client must have had success or an error that says what happened, what is
# seen must be as before or as after the operation, and nothing may be left in the store but what a pull that is tried
# again goes on from. Then the same operation must succeed, and fetch nothing that is there.
#
# By default three steps of each operation are tried. CRASH_STRIDE=N tries every Nth of all; CRASH_ONLY=REGEX those
# operations alone.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

. "$(dirname "${BASH_SOURCE[0]}")/images-lib"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
steps_max=3
manager_calls=sendmsg,pwrite64,fdatasync,renameat,renameat2,unlinkat,mkdirat,clone3,write,sendto
worker_calls=openat,mkdirat,pwrite64,write,renameat,renameat2,unlinkat,linkat,fsync,syncfs,sendto,fchmod,utimensat
errors='went away before it answered|ended unexpectedly|does not exist|NoReply|ServiceUnknown|there is no image'
export PATH=$here:$PATH images_dir test_dir

# Both programs start by way of a script that looks for a file which says how: "count LOG CALLS", or "kill CALL N".
wrap() {
        cat <<END
#!/bin/sh
if [ "\$1" != "$3" ] && read -r how a b 2>/dev/null <$1; then
        rm $1
        case \$how in
        count) exec strace $2 -D -qq -o "\$a" -e trace="\$b" -e signal=none $4 "\$@" ;;
        kill) exec strace $2 -D -q -o /run/crash-log -e trace="\$a" -e inject="\$a:signal=SIGKILL:when=\$b" $4 "\$@" ;;
        esac
fi
exec $4 "\$@"
END
}

mkdir /usr/lib/ctr/real
mv /usr/lib/ctr/ctr-worker /usr/lib/ctr/real/
wrap /run/crash-worker -f remove /usr/lib/ctr/real/ctr-worker >/usr/lib/ctr/ctr-worker
wrap /run/crash-manager "" none /usr/lib/ctr/ctr-manager >/usr/local/bin/crash-manager
chmod +x /usr/lib/ctr/ctr-worker /usr/local/bin/crash-manager
mkdir -p /run/systemd/system/ctr.service.d
printf '[Service]\nExecStart=\nExecStart=/usr/local/bin/crash-manager\n' >/run/systemd/system/ctr.service.d/crash.conf
systemctl daemon-reload

# arm WHO WORD...
arm() {
        systemctl stop ctr.service
        rm -f /run/crash-manager /run/crash-worker /run/crash-log
        echo "${*:2}" >"/run/crash-$1"
}

# What is seen: images with their trees, what a registry and a file have got.
state() {
        local id

        sqlite3 $db "SELECT name, CASE WHEN name LIKE 'localhost/made%' THEN '' ELSE digest END, unpacked,
                (SELECT count(*) FROM image_blobs b WHERE b.namespace = i.namespace AND b.name = i.name)
                FROM images i ORDER BY 1; SELECT damaged_at FROM blobs WHERE damaged_at <> 0"
        for id in $(sqlite3 $db "SELECT id FROM snapshots WHERE namespace = '' ORDER BY key"); do
                tar --sort=name --numeric-owner --mtime=@0 -C "$store/snapshots/overlayfs/$id/fs" -c . | sha256sum
        done
        curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
                "http://localhost:5000/v2/pushed$number/x/manifests/1" | sha256sum
        (cd "$test_dir/exports" && find . -type f -exec sha256sum {} +)
        version_state
}

# The container with versions runs, and what it has is consistent. How many versions there are is asked in versions.sh:
# one that a killed manager has made is there although nobody was told.
version_state() {
        [[ $(sqlite3 $db "SELECT count(*) FROM containers WHERE id = 'web'") == 1 ]] || return 0
        wait_until 30 ctrctl exec web true && echo "web runs"
        sqlite3 $db "SELECT operation FROM containers WHERE operation IS NOT NULL;
                SELECT 'root is not active' FROM containers c LEFT JOIN snapshots s ON s.id = c.snapshot
                        WHERE s.kind IS NOT 1 OR s.key <> c.snapshot_key;
                SELECT 'left: ' || key FROM snapshots WHERE namespace <> '' AND kind = 1
                        AND id NOT IN (SELECT snapshot FROM containers)"
}

complain() {
        diagnose "$1: $who killed at $step: $2"
        bad=1
}

was_killed() {
        if [[ $who == worker ]]; then
                grep -q 'killed by SIGKILL' /run/crash-log 2>/dev/null
        else
                [[ ! -e /run/crash-manager && $(systemctl show --property=NRestarts --value ctr.service) != "$restarts" ]]
        fi
}

run() {
        capture timeout 60 bash -c "$1"
}

# blobs fetched again although they were there, see request-log.
fetched_again() {
        grep -o '^GET .*/blobs/sha256:[0-9a-f]*' "$test_dir/requests" | sed 's/.*://' | sort |
                comm -12 - <(tr ' ' '\n' <<<"$1" | sort)
}

# attempt NAME PREPARE COMMAND
attempt() {
        local there got

        export number=$((number + 1))
        run "$2" || die "$1: cannot prepare: $stderr"
        settle
        before=$(state)
        arm "$who" kill "${step% *}" "${step#* }"
        restarts=$(systemctl show --property=NRestarts --value ctr.service)
        run "$3"
        if ((status != 0)) && [[ ! $stderr =~ $errors ]]; then
                complain "$1" "exit code $status: $stderr"
        fi
        settle
        was_killed && ((++killed))
        wait_until 20 nothing_left between || complain "$1" "left behind: $(leftovers between)"
        got=$(state)
        if [[ $got != "$before" && $got != "$wanted" ]] || ((status == 0)) && [[ $got != "$wanted" ]]; then
                complain "$1" "neither before nor after (exit code $status): $(diff <(echo "$wanted") <(echo "$got"))"
        fi
        there=$(find $store/content/sha256 -type f -printf '%f ')
        : >"$test_dir/requests"
        if ((status != 0)); then
                [[ $got == "$before" ]] || run "$2"
                [[ $got == "$before" ]] || there=
                run "$3"
                ((status == 0)) || complain "$1" "the next one fails: $stderr"
                settle
                wait_until 20 nothing_left after || complain "$1" "the next one leaves: $(leftovers after)"
                [[ $(state) == "$wanted" ]] ||
                        complain "$1" "the next one: $(diff <(echo "$wanted") <(state))"
                got=$(fetched_again "$there")
                [[ -z $got ]] || complain "$1" "fetched again: $got"
        else
                wait_until 20 nothing_left after || complain "$1" "left behind: $(leftovers after)"
        fi
}

# count_steps WHO PREPARE COMMAND: all steps, "WHO CALL N".
count_steps() {
        local log=/run/crash-count calls=${1}_calls

        export number=$((number + 1))
        run "$2" || die "cannot prepare: $stderr"
        settle
        arm "$1" count $log "${!calls}"
        run "$3"
        ((status == 0)) || die "an undisturbed one fails: $stderr"
        settle
        wanted=$(state)
        systemctl stop ctr.service
        [[ -e $log ]] || return 0 # it needs no worker
        # the log of one process has no pid at the beginning of its lines
        awk -v who="$1" '{ pid = $1 ~ /^[0-9]+$/ ? $1 : 0; sub(/^[0-9]+ +/, ""); sub(/\(.*/, "") }
                /^[a-z0-9_]+$/ { n[pid, $0]++; if (n[pid, $0] > most[$0]) most[$0] = n[pid, $0] }
                END { for (call in most) for (i = 1; i <= most[call]; i++) print who, call, i }' $log | sort -k 2,2 -k 3n
        rm $log
}

# sweep NAME PREPARE COMMAND: both are shell code.
sweep() {
        local who step bad=0 killed=0 tried=0 stride i
        local -a steps

        [[ $1 =~ ${CRASH_ONLY:-.} ]] || return 0
        count_steps manager "${@:2}" >"$test_dir/steps"
        count_steps worker "${@:2}" >>"$test_dir/steps"
        mapfile -t steps <"$test_dir/steps"
        stride=${CRASH_STRIDE:-$(((${#steps[@]} + steps_max - 1) / steps_max))}
        wanted=$(state)
        for ((i = sweeps++ % stride; i < ${#steps[@]}; i += stride)); do
                who=${steps[i]%% *}
                step=${steps[i]#* }
                attempt "$@"
                ((++tried))
        done
        # one that has not come to its step yet
        systemctl stop ctr.service
        rm -f /run/crash-manager /run/crash-worker
        check_equal "$1: before or after it, nothing is left, and the next one succeeds" 0 "$bad"
        check "$1: killed $killed times, of $tried tries and ${#steps[@]} steps" test "$killed" -gt 0
}

sweeps=0
number=0
export image=localhost:5010/layers:1
mkdir "$test_dir/exports"
registry_start
image_push layers layers:1
image_push demo demo:latest
"$here/request-log" 5010 5000 >>"$test_dir/requests" 2>/dev/null &
wait_until 30 port_is_open 5010 || die "the relay does not listen"
skopeo copy --quiet "oci:$images_dir/layers:latest" "oci-archive:$test_dir/layers.tar:localhost/loaded:1" || die "no archive"

sweep pull 'ctrctl rmi "$image" 2>/dev/null; true' 'ctrctl pull --quiet "$image"'
sweep push true 'ctrctl push --quiet "$image" "localhost:5000/pushed$number/x:1"'
sweep export 'rm -f "$test_dir"/exports/*' 'ctrctl save --quiet --output="$test_dir/exports/out.tar" "$image"'
sweep rmi 'ctrctl pull --quiet "$image"' 'ctrctl rmi "$image"'
sweep import 'ctrctl rmi localhost/loaded:1 2>/dev/null; true' 'ctrctl load --quiet --input="$test_dir/layers.tar"'
sweep prune 'ctrctl load --quiet --input="$test_dir/layers.tar" && ctrctl pull --quiet "$image"' 'ctrctl prune --all --force'

ctrctl pull --quiet localhost:5000/demo:latest && ctrctl run --name box localhost:5000/demo:latest \
        sh -c 'mkdir /made; dd if=/dev/zero of=/made/file bs=64k count=10; rm -r /home' >/dev/null 2>&1
sweep commit 'ctrctl rmi localhost/made:1 2>/dev/null; true' 'ctrctl commit --quiet box localhost/made:1'
ctrctl rm box >/dev/null

for snapshotter in overlayfs native; do
        busctl --timeout=60 -- call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager CreateContainer 'ssa{sv}' web \
                localhost:5000/demo:latest 2 Snapshotter s $snapshotter Command as 3 sh -c \
                'trap "exit 0" TERM; while :; do sleep 0.1; done' >/dev/null || die "no container with versions"
        ctrctl start web >/dev/null || die "it does not start"
        ctrctl version create web >/dev/null || die "no version"
        # each takes long: where not all is wanted, one with each
        [[ -z ${CRASH_STRIDE:-} && $snapshotter == native ]] ||
                sweep "version create, $snapshotter" true 'ctrctl version create web'
        [[ -z ${CRASH_STRIDE:-} && $snapshotter == overlayfs ]] ||
                sweep "version rollback, $snapshotter" true 'ctrctl version rollback web 1'
        busctl call org.example.Ctr /org/example/Ctr/container/default/web org.example.Ctr.Container Delete 'a{sv}' 2 \
                CleanupVersions b true Force b true >/dev/null || die "the container stays"
done
