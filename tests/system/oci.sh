#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=600
#
# shellcheck disable=SC2016
#
# The OCI runtime's command line by itself: the life cycle of runtime.md, wrong states, wrong input, what `kill -9` leaves.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

rt=ctr-runtime
state=/run/ctr-runtime
cgroup=/sys/fs/cgroup/ctr-runtime

# bundle NAME CHANGE: a bundle with busybox, its document changed by the Python statements CHANGE on c.
bundle() {
        local dir=$test_dir/$1 name

        mkdir -p "$dir/rootfs/bin" "$dir/rootfs/etc"
        cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
        for name in sh true false cat echo sleep id ls tty mount grep touch mkfifo; do
                ln -sf busybox "$dir/rootfs/bin/$name"
        done
        echo 'root:x:0:0:root:/:/bin/sh' >"$dir/rootfs/etc/passwd"
        rm -f "$dir/config.json"
        $rt spec --bundle "$dir"
        python3 - "$dir/config.json" "$2" <<'PYTHON'
import json, sys
with open(sys.argv[1]) as f:
    c = json.load(f)
c["process"]["terminal"] = False
c["root"]["readonly"] = False
exec(sys.argv[2])
with open(sys.argv[1], "w") as f:
    json.dump(c, f)
PYTHON
}

args() {
        python3 -c 'import sys; print(f"c[\"process\"][\"args\"] = {sys.argv[1:]!r}")' "$@"
}

# words CMD...: its output on one line.
words() {
        "$@" | xargs
}

get() {
        $rt state "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}

# runs PID WORDS: what it executes.
runs() {
        [[ $(tr '\0' ' ' <"/proc/$1/cmdline") == "$2"* ]]
}

status_is() {
        [[ $(get "$1" status) == "$2" ]]
}

# all that a container is made of
left() {
        find "$state" "$cgroup" -mindepth 1 -type d ! -name .seccomp 2>/dev/null
        grep -zls -e '[m]arker-of-the-test' /proc/[0-9]*/cmdline
}

nothing_is_left() {
        [[ -z $(left) ]]
}

check_nothing_left() {
        if nothing_is_left; then
                ok "$1"
        else
                not_ok "$1"
                diagnose "$(left)"
        fi
}

# --- run
bundle hello "$(args echo hello)"
check_equal "run: its output" hello "$($rt run --bundle "$test_dir/hello" one)"
# CVE-2019-5736 costs one execution more: who is called puts the program on a mount of its own, or it does so itself
check "run: under strace" strace -qq -o "$test_dir/calls" -e trace=execve,execveat $rt run --bundle "$test_dir/hello" one
check_equal "run: from a mount that nobody else has" "execve execveat" "$(grep -o '^exec[a-z]*' "$test_dir/calls" | xargs)"
bundle code "$(args sh -c 'exit 7')"
check_exit "run: its exit status" 7 $rt run -b "$test_dir/code" one
bundle killed "$(args sh -c 'kill -9 $$')"
check_equal "run: the bundle is the working directory" hello "$(cd "$test_dir/hello" && $rt run one)"
check_nothing_left "run removes the container"

# --- create, start, kill, delete
bundle sleep "$(args sleep 100000)
c['annotations'] = {'a': 'b'}"
check "create" $rt create -b "$test_dir/sleep" --pid-file "$test_dir/pid" two
check_equal "it is created" created "$(get two status)"
check_equal "its pid is in the file" "$(get two pid)" "$(cat "$test_dir/pid")"
check_equal "and that has its document's bundle" "$test_dir/sleep" "$(get two bundle)"
check_equal "its annotations" "{'a': 'b'}" "$(get two annotations)"
check_match "init waits, with nothing of its program" "ctr-runtime" "$(tr '\0' ' ' <"/proc/$(get two pid)/cmdline")"
check_equal "and holds no descriptor but its streams and the socket" "0 1 2 3" "$(words ls "/proc/$(get two pid)/fd")"
capture $rt create -b "$test_dir/sleep" two
check_equal "create again fails" 1 "$status"
check_match "create again says why" "container with given ID already exists" "$stderr"
check "start" $rt start two
check_equal "it runs" running "$(get two status)"
check_within "its program" 10 runs "$(get two pid)" "sleep 100000"
capture $rt start two
check_match "start again" "cannot start an already running container" "$stderr"
check_match "list" "^two +$(get two pid) +running +$test_dir/sleep" "$($rt list | tail -n 1)"
check_equal "list, ids alone" two "$($rt list --quiet)"
check_equal "list as JSON" "two running" \
        "$($rt list -f json | python3 -c 'import json, sys; l = json.load(sys.stdin); print(l[0]["id"], l[0]["status"])')"
check_equal "ps as JSON" "[$(get two pid)]" "$($rt ps --format json two)"
check_match "ps" "sleep 100000" "$($rt ps two | tail -n 1)"
check_match "ps with options of ps" "PID COMMAND.* $(get two pid) sleep" "$($rt ps two -e -o pid,args)"
capture $rt delete two
check_match "delete of what runs" "cannot delete container two that is not stopped: running" "$stderr"

# --- exec
check_equal "exec: its output" in "$($rt exec two echo in)"
check_exit "exec: its exit status" 9 $rt exec two sh -c 'exit 9'
check_equal "exec: what can be changed" "b /etc 1 2" \
        "$($rt exec -e A=b --cwd /etc --user 1:2 two sh -c 'echo $A $PWD $(busybox id -u) $(busybox id -g)')"
check_exit "exec: no such program" 255 $rt exec two nosuch
check "exec in the background" $rt exec -d --pid-file "$test_dir/exec.pid" two sleep 90000
check_within "it runs" 10 runs "$(cat "$test_dir/exec.pid")" "sleep 90000"
echo '{"args": ["sh", "-c", "echo $B"], "cwd": "/", "env": ["PATH=/bin", "B=c"]}' >"$test_dir/process.json"
check_equal "exec of a document" c "$($rt exec --process "$test_dir/process.json" two)"
capture $rt exec --process "$test_dir/process.json" two echo
check_match "a document and a command" "either a command or --process" "$stderr"
check_equal "exec leaves no file" "config.json exec.profile state.json" "$(words ls "$state/two")"
check_match "exec with a terminal" /dev/pts/ "$(script -qec "$rt exec -t two tty" /dev/null)"

# --- pause
check "pause" $rt pause two
check_equal "it is paused" paused "$(get two status)"
capture $rt exec two true
check_match "exec in a paused container" "cannot exec in a paused container" "$stderr"
check "resume" $rt resume two
check_equal "it runs" running "$(get two status)"
capture $rt resume two
check_match "resume of what is not paused" "container not paused" "$stderr"

# --- kill
check "kill with a number" $rt kill two 0
capture $rt kill two NOSUCH
check_match "kill with no signal" 'unknown signal "NOSUCH"' "$stderr"
check "kill --all" $rt kill --all two KILL
check_within "it has ended" 10 status_is two stopped
check_equal "and has no pid" 0 "$(get two pid)"
capture $rt kill two TERM
check_match "kill of what has ended" "container not running" "$stderr"
capture $rt exec two true
check_match "exec in what has ended" "cannot exec in a stopped container" "$stderr"
capture $rt start two
check_match "start of what has ended" "cannot start a container that has stopped" "$stderr"
check "delete" $rt delete two
check_nothing_left "nothing is left"
capture $rt state two
check_match "state of what is not there" 'container "two" does not exist' "$stderr"
check "delete --force of what is not there" $rt delete --force two

# --- one that is never started
check "create" $rt create -b "$test_dir/sleep" three
check "delete of what was never started, as runc does" $rt delete three
check_nothing_left "nothing is left"

# --- a program that is not there
bundle nosuch "$(args nosuch)"
capture $rt create -b "$test_dir/nosuch" four
check_equal "create fails" 1 "$status"
check_match "in the words that callers look for" 'executable file not found in \$PATH' "$stderr"
check_nothing_left "and leaves nothing"

# --- the log
$rt --log "$test_dir/log" --log-format json state nosuch 2>/dev/null
check_equal "an error in the log, as JSON" "error container \"nosuch\" does not exist" \
        "$(python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); print(j["level"], j["msg"])' "$test_dir/log")"
rm "$test_dir/log"
$rt --log "$test_dir/log" state nosuch 2>/dev/null
check_match "and as text" '^time="[^"]*" level=error msg="container ' "$(cat "$test_dir/log")"

# --- descriptors
echo text >"$test_dir/text"
bundle descriptors "$(args sh -c 'cat <&3; ls /proc/self/fd')"
check_equal "preserved descriptors, and no other" "text 0 1 2 3 4" \
        "$(words $rt run --preserve-fds 1 -b "$test_dir/descriptors" five 3<"$test_dir/text" 7<"$test_dir/text")"
bundle tty "$(args sh -c 'tty; exit 3')
c['process']['terminal'] = True"
capture script -qec "$rt run -b $test_dir/tty six" /dev/null
check_match "run with a terminal" /dev/pts/0 "$stdout"
check_equal "and its exit status" 3 "$status"
capture $rt create -b "$test_dir/tty" six
check_match "a terminal needs a console socket" "without setting console socket" "$stderr"
capture $rt create --console-socket /nosuch -b "$test_dir/hello" six
check_match "and a console socket needs a terminal" "cannot use console socket" "$stderr"
check "the console socket gets the terminal" python3 - "$rt" "$test_dir" <<'PYTHON'
import array, os, socket, subprocess, sys
rt, directory = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(directory + "/console")
listener.listen()
subprocess.run([rt, "create", "--console-socket", directory + "/console", "-b", directory + "/tty", "six"], check=True)
data, control, _, _ = listener.accept()[0].recvmsg(100, 100)
master = array.array("i", control[0][2])[0]
subprocess.run([rt, "start", "six"], check=True)
assert os.read(master, 100).startswith(b"/dev/pts/"), "no terminal"
subprocess.run([rt, "delete", "--force", "six"], check=True)
PYTHON

check "a console socket that nobody accepts from is not waited for without end" timeout 60 python3 - "$rt" "$test_dir" <<'PYTHON'
import socket, subprocess, sys
rt, directory = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(directory + "/full")
listener.listen(0)
waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
for s in waiting:
    s.setblocking(False)
    s.connect_ex(directory + "/full")
made = subprocess.run([rt, "create", "--console-socket", directory + "/full", "-b", directory + "/tty", "six"],
                      capture_output=True, text=True)
assert made.returncode == 1 and "Failed to connect to the console socket" in made.stderr, made
PYTHON
check_nothing_left "nothing is left"

# --- a pid file replaces a file, and nothing else
mkfifo "$test_dir/fifo"
for file in / "" .. "$test_dir" "$test_dir/fifo" "$test_dir/no/pid"; do
        capture $rt create -b "$test_dir/sleep" --pid-file "$file" six
        check_equal "a pid file that cannot be: '$file'" "1 ctr-runtime: Failed to write the pid file $file" "$status ${stderr%: *}"
done
check "what was there is there" test -p "$test_dir/fifo"
check_nothing_left "nothing is left"

# --- a state that is none
check "a container" $rt run -d -b "$test_dir/sleep" six </dev/null
cp "$state/six/state.json" "$test_dir/state.json"
for damaged in '{' '[]' '{}' '{"pid": -1, "bundle": "/"}'; do
        echo "$damaged" >"$state/six/state.json"
        capture $rt delete --force six
        check_match "a state that is damaged: $damaged" "The state of container six is damaged: " "$stderr"
        check "hides no other: $damaged" $rt list
done
rm "$state/six/state.json"
capture $rt state six
check_match "one that its maker did not come to write" '"status": "stopped"' "$stdout"
check "is deleted" $rt delete six
kill -9 "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["pid"])' "$test_dir/state.json")"
check_within "what it left ends" 10 rmdir "$cgroup/six"
check_nothing_left "nothing is left"

# --- other ways to set it up
check_equal "no pivot_root" hello "$($rt run --no-pivot -b "$test_dir/hello" seven)"
check_equal "no new keyring" hello "$($rt run --no-new-keyring -b "$test_dir/hello" seven)"
check_equal "another root" hello "$($rt --root "$test_dir/state/deep" run -b "$test_dir/hello" seven)"
check "--help of a verb" sh -c "$rt checkpoint --help | grep -q image-path"
check_match "--version" "^ctr-runtime version" "$($rt --version)"

# --- cgroups
bundle scoped "$(args sleep 100000)
c['linux']['cgroupsPath'] = 'system.slice:ctrtest:eight'
c['linux']['resources'] = {'memory': {'limit': 67108864}, 'pids': {'limit': 50}, 'cpu': {'quota': 50000, 'period': 100000}}"
if grep -q memory /sys/fs/cgroup/cgroup.controllers; then
        check "a scope of systemd's with limits" $rt --systemd-cgroup run -d -b "$test_dir/scoped" eight
        check_equal "systemd knows them" "CPUQuotaPerSecUSec=500ms MemoryMax=67108864 TasksMax=50" \
                "$(words systemctl show --property=MemoryMax,TasksMax,CPUQuotaPerSecUSec ctrtest-eight.scope)"
        check "it is deleted" $rt delete --force eight
else
        capture $rt --systemd-cgroup run -d -b "$test_dir/scoped" eight
        check_match "a limit without its controller" "memory.limit: the cgroup has no memory.max" "$stderr"
fi
check_nothing_left "nothing is left"
bundle scoped "$(args sleep 100000)
c['linux']['cgroupsPath'] = 'system.slice:ctrtest:eight'"
check "a scope of systemd's" $rt --systemd-cgroup run -d -b "$test_dir/scoped" eight
check_equal "it is active" active "$(systemctl is-active ctrtest-eight.scope)"
check_match "its process is there" "system.slice/ctrtest-eight.scope" "$(cat "/proc/$(get eight pid)/cgroup")"
check_equal "exec is there, too" in "$($rt exec eight echo in)"
capture $rt --systemd-cgroup run -b "$test_dir/scoped" nine
check_match "another container with that scope" "already" "$stderr"
check_equal "which lives on" running "$(get eight status)"
check "it is deleted" $rt --systemd-cgroup delete --force eight
check_equal "its scope is gone" "" "$(systemctl list-units --plain --no-legend ctrtest-eight.scope)"
bundle path "$(args sleep 100000)
c['linux']['cgroupsPath'] = '/oci-test/deep/one'"
mkdir /sys/fs/cgroup/killed
echo 1 >/sys/fs/cgroup/killed/cgroup.kill
# killed_in CMD...: out of there some kernels kill what is cloned into another cgroup
killed_in() {
        (
                echo "$BASHPID" >/sys/fs/cgroup/killed/cgroup.procs
                exec "$@"
        )
}
check "out of a cgroup that was once killed" killed_in $rt run -d -b "$test_dir/path" ten
check_match "it gets into its own" "/oci-test/deep/one$" "$(cat "/proc/$(get ten pid)/cgroup")"
check "so does an exec" killed_in $rt exec ten true
check "delete" $rt delete --force ten
check "nobody is there any more" rmdir /sys/fs/cgroup/killed
check "a cgroup's path" $rt run -d -b "$test_dir/path" ten
check_match "is where it is" "/oci-test/deep/one$" "$(cat "/proc/$(get ten pid)/cgroup")"
capture $rt run -b "$test_dir/path" eleven
check_match "another container in that cgroup" "container's cgroup is not empty" "$stderr"
check_equal "which lives on" running "$(get ten status)"
check "it is deleted" $rt delete --force ten
check "and its cgroup" test ! -e /sys/fs/cgroup/oci-test/deep/one
check "run --detach" $rt run --detach --pid-file "$test_dir/run.pid" -b "$test_dir/path" ten
check_equal "returns while it runs" running "$(get ten status)"
check_equal "its pid is in the file" "$(get ten pid)" "$(cat "$test_dir/run.pid")"
check "it is deleted, too" $rt delete --force ten

# --- devices
bundle devices "$(args sh -c 'busybox mknod /dev/m c 1 1 && ! cat /dev/m 2>/dev/null && cat /dev/null && echo refused')
for s in ('bounding', 'effective', 'permitted'): c['process']['capabilities'][s].append('CAP_MKNOD')"
check_equal "a device that is not allowed" refused "$($rt run -b "$test_dir/devices" twelve)"
bundle devices "$(args sh -c 'busybox mknod /dev/k c 10 229 && : </dev/k && echo opened')
for s in ('bounding', 'effective', 'permitted'): c['process']['capabilities'][s].append('CAP_MKNOD')
c['linux']['resources']['devices'].append({'allow': True, 'type': 'c', 'major': 10, 'minor': 229, 'access': 'r'})"
check_equal "one that is" opened "$($rt run -b "$test_dir/devices" twelve)"

# --- an agent for system calls: create and start are two processes, and init's parent is gone when the filter is loaded
bundle notify "$(args sh -c 'busybox mkdir /x 2>/dev/null; echo $?')
c['annotations'] = {'a': 'b'}
c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '$test_dir/agent', 'listenerMetadata': 'meta',
                         'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': 'SCMP_ACT_NOTIFY'}]}"
check "create, with nobody to listen yet" sh -c "$rt create -b $test_dir/notify notify </dev/null >$test_dir/notified"
capture $rt start notify
check_match "start says who is missing" "linux.seccomp.listenerPath: Failed to connect to $test_dir/agent" "$stderr"
check_equal "it can still be started" created "$(get notify status)"
check "the agent gets the descriptor and the state, and decides" python3 - "$rt" "$test_dir" "$(get notify pid)" <<'PYTHON'
import array, fcntl, json, socket, struct, subprocess, sys
rt, directory, pid = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(directory + "/agent")
listener.listen()
start = subprocess.Popen([rt, "start", "notify"])
connection = listener.accept()[0]
data, control, _, _ = connection.recvmsg(65536, 100)
fd = array.array("i", control[0][2])[0]
while more := connection.recv(65536):
    data += more
told = json.loads(data)
assert told["fds"] == ["seccompFd"] and told["metadata"] == "meta", told
assert told["pid"] == int(pid) and told["state"]["pid"] == int(pid), told
assert told["state"]["id"] == "notify" and told["state"]["bundle"] == directory + "/notify", told
assert told["state"]["status"] == "created" and told["state"]["annotations"] == {"a": "b"}, told
request = bytearray(80)
fcntl.ioctl(fd, 0xc0502100, request)  # SECCOMP_IOCTL_NOTIF_RECV
answer = struct.pack("QqiI", struct.unpack_from("Q", request)[0], 0, -18, 0)
fcntl.ioctl(fd, 0xc0182101, answer)  # SECCOMP_IOCTL_NOTIF_SEND
assert start.wait(30) == 0
PYTHON
check_within "it has ended" 10 status_is notify stopped
check_equal "with what was decided" 1 "$(cat "$test_dir/notified")"
check "delete" $rt delete notify

# --- wrong input
refused() {
        bundle wrong "$2"
        capture $rt create -b "$test_dir/wrong" wrong
        check_equal "$1: fails" 1 "$status"
        check_match "$1: says why" "$3" "$stderr"
}

refused "a negative period" 'c["linux"]["resources"] = {"cpu": {"period": -1}}' "linux.resources.cpu.period: is negative"
refused "a limit that is no number" 'c["linux"]["resources"] = {"memory": {"limit": "1"}}' "linux.resources.*limit: expected"
refused "less swap than memory" 'c["linux"]["resources"] = {"memory": {"limit": 9, "swap": 8}}' "memory.swap: is less than"
refused "kernel memory" 'c["linux"]["resources"] = {"memory": {"kernel": 1}}' "linux.resources.memory.kernel is not supported"
refused "realtime" 'c["linux"]["resources"] = {"cpu": {"realtimeRuntime": 1}}' "realtimeRuntime: cgroup v2 has no"
refused "a file that is not a limit" 'c["linux"]["resources"] = {"unified": {"cgroup.procs": "1"}}' "unified.cgroup.procs: not a file"
refused "a path as a file" 'c["linux"]["resources"] = {"unified": {"../x.y": "1"}}' "not a file of a controller"
refused "a device's access" 'c["linux"]["resources"] = {"devices": [{"allow": True, "access": "x"}]}' 'devices\[0\].access'
refused "a cgroup that leads away" 'c["linux"]["cgroupsPath"] = "/../x"' "cgroupsPath: .* leads away"
refused "the root of all cgroups" 'c["linux"]["cgroupsPath"] = "/"' "cgroupsPath: .* is everybody's"
refused "no process" 'del c["process"]' "process is missing"
if ! grep -q ' resctrl ' /proc/self/mounts; then
        refused "shares of a cache that nobody shares out" 'c["linux"]["intelRdt"] = {"closID": "x"}' \
                "linux.intelRdt: no resctrl file system is mounted"
fi
echo '{' >"$test_dir/wrong/config.json"
capture $rt create -b "$test_dir/wrong" wrong
check_match "no JSON" "config.json, line 2" "$stderr"
capture $rt create -b "$test_dir/nosuch-bundle" wrong
check_match "no bundle" "No such file or directory" "$stderr"
for id in ../x .x 'a b' '' "$(printf 'x%.0s' {1..300})"; do
        capture $rt create -b "$test_dir/sleep" "$id"
        check_match "an id that is none: '${id:0:8}'" "invalid container ID format" "$stderr"
done
capture $rt nosuch
check_match "a verb that is none" 'unknown verb "nosuch"' "$stderr"
capture $rt create --nosuch x
check_match "an option that is none" "unknown option" "$stderr"
capture $rt create
check_match "no id" "requires at least 1 argument" "$stderr"
check_nothing_left "wrong input leaves nothing"

# --- kill -9 at every stage: strace kills it at each of its system calls, from the first directory on
bundle marked "$(args sleep 100000 marker-of-the-test)"
check "a create, step by step" strace -o "$test_dir/calls" $rt create -b "$test_dir/marked" k
check "its container is deleted" $rt delete k
failures="" points=0
while read -r name n; do
        ((++points))
        capture bash -c 'strace -o /dev/null -e inject="$0" "$@" || exit' "$name:signal=KILL:when=$n" \
                $rt create -b "$test_dir/marked" k </dev/null
        $rt delete --force k || failures+=" $name $n: delete failed;"
        wait_until 10 nothing_is_left || failures+=" $name $n: $(left);"
done < <(awk -F '(' '/^[a-z0-9_]+\(/ { n[$1]++; if ($1 == "mkdirat") on = 1; if (on && $1 != "exit_group") print $1, n[$1] }' \
        "$test_dir/calls")
check_equal "a create that is killed anywhere leaves what delete --force removes" "" "$failures"
check "there were many points to kill it at" test "$points" -gt 50
