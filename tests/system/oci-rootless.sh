#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# ctr-runtime for a user without rights, who has neither systemd nor a cgroup to himself.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

home=/var/tmp/rootless
bundle=$home/bundle
uid=$(id -u tester)
install -d -o tester -m 700 "$home" "$home/run"

# as COMMAND...: as tester, in the bundle.
as() {
        runuser -u tester -- env -C "$bundle" XDG_RUNTIME_DIR="$home/run" "$@" </dev/null
}

runtime() {
        as ctr-runtime "$@"
}

# change 'STATEMENTS': change the document c.
change() {
        python3 - "$bundle/config.json" "$1" <<'END'
import json, sys
with open(sys.argv[1]) as f:
    c = json.load(f)
exec(sys.argv[2])
with open(sys.argv[1], "w") as f:
    json.dump(c, f)
END
}

# program COMMAND...: what the container runs.
program() {
        change "c['process']['args'] = $(python3 -c 'import sys; print(sys.argv[1:])' "$@")"
}

many="[{'containerID': 0, 'hostID': $uid, 'size': 1}, {'containerID': 1, 'hostID': 100000, 'size': 65536}]"
mappings() {
        change "c['linux']['uidMappings'] = c['linux']['gidMappings'] = $1"
}

as_tester() {
        runuser -u tester -- "$@"
}
as_tester mkdir -p "$bundle"/rootfs/{bin,dev,etc,proc,sys,tmp}
cp /bin/busybox "$bundle/rootfs/bin/busybox"
for applet in $(busybox --list); do
        [[ $applet == busybox ]] || ln -s busybox "$bundle/rootfs/bin/$applet"
done
printf '%s\n' 'root:x:0:0:root:/:/bin/sh' 'user:x:1000:1000:user:/:/bin/sh' >"$bundle/rootfs/etc/passwd"
printf '%s\n' 'root:x:0:' 'user:x:1000:' >"$bundle/rootfs/etc/group"
chown -R tester: "$bundle"

check "a document for a user without rights" runuser -u tester -- env -C "$bundle" ctr-runtime spec --rootless
change "c['process']['terminal'] = c['root']['readonly'] = False"
check_fails "state needs a place" 'neither --root nor \$XDG_RUNTIME_DIR' \
        runuser -u tester -- env -C "$bundle" -u XDG_RUNTIME_DIR ctr-runtime run one

# --- one id, which takes no help
program sh -c 'id -u; cat /proc/self/uid_map; exit 7'
check_exit "run" 7 runtime run one
check_match "as root of a namespace of his own" "^0
 *0 *$uid *1\$" "$stdout"
program sh -c 'touch /file && mount -t tmpfs none /tmp && hostname other && hostname'
change "[s.extend(['CAP_SYS_ADMIN', 'CAP_CHOWN']) for s in c['process']['capabilities'].values()]"
check "with the capability it can do what root can" runtime run one
check_equal "in its own namespaces" other "$stdout"
check_equal "files are his who runs it" "tester" "$(stat -c %U "$bundle/rootfs/file")"
program sh -c 'cat /proc/1/comm; ls /sys/class/net; grep -c . /proc/self/mounts >/dev/null && ! touch /sys/x'
check "proc is the container's, and sys there to be read" runtime run one
program /nosuch
check_fails "a program that is not there" "nosuch" runtime run one

# --- the ranges of /etc/subuid, by newuidmap
mappings "$many"
program sh -c 'id; touch /tmp/f; chown 1000:1000 /tmp/f; cat /proc/self/uid_map'
check_fails "ids that he was not given" "newgidmap" runtime run one
echo "tester:100000:65536" | tee /etc/subuid >/etc/subgid
check "are mapped when he was" runtime run one
check_match "all of them" "1 *100000 *65536" "$stdout"
check_equal "files belong to them" "100999 100999" "$(stat -c '%u %g' "$bundle/rootfs/tmp/f")"
program sh -c 'trap "exit 3" TERM; echo ready; sleep 1000 & wait'
check "in the background" runtime run -d two
check_match "it is listed" 'two .*running' "$(runtime list)"
check_exit "exec" 4 runtime exec two sh -c 'id -u; exit 4'
check_equal "as root" 0 "$stdout"
check_exit "exec as another user" 5 runtime exec --user=1000:1000 two sh -c 'id -u; id -g; exit 5'
check_equal "of the container" "1000 1000" "$(xargs <<<"$stdout")"
check "exec with a terminal" timeout 120 runuser -u tester -- env -C "$bundle" XDG_RUNTIME_DIR="$home/run" \
        script -qec "ctr-runtime exec -t two tty" /dev/null
check_match "of the container's" '/dev/pts/' "$stdout"
check_match "its processes" "sleep 1000" "$(runtime ps two)"
check_fails "nobody else's" "does not exist|Permission" ctr-runtime --root="$home/other" state two
check_fails "a limit needs a cgroup" "has no cgroup" runtime update --memory=50000000 two
check_fails "a pause, too" "has no cgroup" runtime pause two
check "kill" runtime kill two TERM
stopped() {
        [[ $(runtime state two) == *'"stopped"'* ]]
}
check_within "ends it" 10 stopped
check "delete" runtime delete two
check "create" runtime create two
check_match "waits" '"created"' "$(runtime state two)"
check "start" runtime start two
check "delete --force" runtime delete --force two
check_equal "nothing is left" "" "$(runtime list -q; find "$home/run" -mindepth 2 -not -path '*/.seccomp*'; pgrep -u tester,100000 sleep)"

# --- what cannot work is said
change "c['linux']['resources'] = {'memory': {'limit': 50000000}}"
program true
check_fails "a limit without a cgroup" "cgroup" runtime run one
change "del c['linux']['resources']; c['linux']['namespaces'] = [n for n in c['linux']['namespaces'] if n['type'] != 'user']; del c['linux']['uidMappings'], c['linux']['gidMappings']"
check_fails "that only root can do without a user namespace" "only root can without linux.namespaces" runtime run one
check_equal "and leaves nothing" "" "$(runtime list -q)"
