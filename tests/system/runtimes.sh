#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Tasks of other OCI runtimes: runc and crun as they are, and some that fail, hang or tell nonsense.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

task=$(path_of box)
waits='trap "exit 3" TERM; echo waiting; sleep 1000 & wait'

on_terminal() {
        timeout 180 "$(dirname "${BASH_SOURCE[0]}")/on-terminal" "$1" ctrctl "${@:2}"
}

# What is left of tasks that are gone, but for that of the container "late".
leftovers() {
        {
                systemctl list-units --no-legend --plain 'ctr-*.scope' | awk '{ print $1 }'
                find /run/ctr/tasks -mindepth 2
                find /sys/fs/cgroup/ctr.slice -mindepth 1 -type d
                findmnt --noheadings --output TARGET | grep /run/ctr/tasks
                pgrep -a 'ctr-supervisor|runc|crun'
        } | grep -v late
}

nothing_is_left() {
        [[ -z $(leftovers 2>/dev/null) ]]
}

check_nothing_left() {
        if wait_until 15 nothing_is_left; then
                ok "$1"
        else
                not_ok "$1"
                diagnose "$(leftovers)"
        fi
}

status_is() {
        property_is "$task" Process.Status "$1"
}

# fake NAME: a program in the way of runc, from standard input. It gets $verb, $log and "$@" from it, and is runc for
# whatever it does not do itself.
fake() {
        install -D -m 755 /dev/stdin "/etc/ctr/runtimes/$1" <<END
#!/bin/bash
log=\$4 verb=\$7
$(cat)
exec runc "\$@"
END
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- which
check_fails "a name that is no runtime's" 'no runtime "nosuch" in /etc/ctr/runtimes' \
        ctrctl create --runtime=nosuch "$image"
check_fails "nor a way to any other program" "neither a name nor an absolute" ctrctl create --runtime=../bin/runc "$image"
check_fails "none is looked up in PATH" "no runtime \"true\"" ctrctl create --runtime=true "$image"
check_fails "a path that is not there" "Failed to find the runtime /no/such" ctrctl create --runtime=/no/such "$image"
cp "$(command -v runc)" /usr/local/bin/own-runc
chmod 775 /usr/local/bin/own-runc
check_fails "one that others may write" "can be changed by others" ctrctl create --runtime=/usr/local/bin/own-runc "$image"
chmod 755 /usr/local/bin/own-runc
install -d -m 777 /usr/local/anybody
cp -p /usr/local/bin/own-runc /usr/local/anybody/runc
ln -s /usr/local/anybody/runc /usr/local/bin/linked-runc
check_fails "one that others may replace" "may write to /usr/local/anybody" \
        ctrctl create --runtime=/usr/local/anybody/runc "$image"
check_fails "also by a link" "may write to /usr/local/anybody" ctrctl create --runtime=/usr/local/bin/linked-runc "$image"
check_exit "A4.5: a path" 4 ctrctl run --rm --runtime=/usr/local/bin/own-runc "$image" sh -c 'exit 4'
cat >/etc/polkit-1/rules.d/10-test.rules <<END
polkit.addRule(function(action, subject) {
        if (action.id.indexOf("org.example.Ctr.") == 0)
                return polkit.Result.YES;
});
END
check_fails "which only root may give, whatever polkit says" "Only root may choose a runtime by its path" \
        runuser -u tester -- ctrctl create --runtime=/usr/local/bin/own-runc "$image"
check_exit "a name is for everybody who may create containers" 5 \
        runuser -u tester -- ctrctl run --rm --runtime=runc "$image" sh -c 'exit 5'
check "A5.7: containerd's names stand for our own" ctrctl run --rm --runtime=io.containerd.runc.v1 "$image" true
check "with a warning for the deprecated one" journal_wait 5 'io.containerd.runc.v1" is deprecated'

# --- the life of a task
life() {
        local runtime=$1

        check "$runtime: a task" ctrctl run -d --name=box --runtime="$runtime" --env WHO=me -v /etc/hostname:/name:ro \
                "$image" sh -c "$waits"
        check_equal "$runtime: runs" RUNNING "$(property "$task" Process.Status)"
        check_equal "$runtime: and says so" "$runtime" "$(property "$root/container/default/box" Container.Runtime)"
        check "$runtime: init is where its scope is" grep -q '^0::/ctr.slice/ctr-box.scope/payload/container$' \
                "/proc/$(property "$task" Process.Pid)/cgroup"
        check "$runtime: its output is logged" journal_wait 5 '^waiting$' _SYSTEMD_UNIT=ctr-box.scope
        check_exit "$runtime: exec" 6 ctrctl exec box sh -c 'echo "$WHO $(cat /name)"; exit 6'
        check_equal "$runtime: in the container" "me $(cat /etc/hostname)" "$stdout"
        check_exit "$runtime: exec of nothing" 127 ctrctl exec box nosuch
        check_exit "$runtime: of what is no program" 126 ctrctl exec box /etc/passwd
        check "$runtime: as another user" ctrctl exec --user=nobody box id
        check_match "$runtime: by name" 'uid=65534\(nobody\)' "$stdout"
        check "$runtime: on a terminal" on_terminal "expect(b'# '); send(b'stty size; exit 0\n'); expect(b'40 100')" \
                exec -it box sh
        check "$runtime: a longer one" ctrctl exec -d box sleep 500
        check "$runtime: pause" ctrctl pause box
        check "$runtime: freezes it" grep -qx "frozen 1" /sys/fs/cgroup/ctr.slice/ctr-box.scope/payload/container/cgroup.events
        check_fails "$runtime: no exec meanwhile" "paused" ctrctl exec box true
        check "$runtime: the manager is killed" manager_kill
        check_equal "$runtime: and finds it" PAUSED "$(property "$task" Process.Status)"
        check "$runtime: resume" ctrctl unpause box
        check_exit "$runtime: exec goes on" 0 ctrctl exec box true
        check_fails "$runtime: no checkpoint" "No checkpoint can be made of a task with the runtime" \
                ctrctl checkpoint --path="$test_dir/checkpoint" box
        check "$runtime: stop" ctrctl stop box
        check_equal "$runtime: with its own status" 3 "$(ctrctl wait box)"
        check "$runtime: again" ctrctl start box
        check_within "$runtime: it runs" 10 status_is RUNNING
        check "$runtime: rm -f" ctrctl rm --force box
        check_nothing_left "$runtime: leaves nothing"
}
life runc
life crun

# --- for one start
container=$root/container/default/box
checkpoint=$test_dir/images

# made_by NAME [PROGRAM]: the task has this runtime, and it was another program than ours that made the container.
made_by() {
        [[ $(property "$task" Task.Runtime) == "$1" ]] &&
                case ${2:-} in
                '') ! [[ -e /run/ctr/tasks/default/box/runtime ]] ;;
                *) grep -q "\"runtime\": *\"[^\"]*/$2\"" /run/ctr/tasks/default/box/launch.json &&
                        [[ -d /run/ctr/tasks/default/box/runtime ]] ;;
                esac
}

ours=org.example.Ctr.v1
check "a container of our own" ctrctl create --name=box "$image" sh -c "$waits"
check_fails "A5.6: its task may have another runtime, if there is one" 'no runtime "nosuch"' ctrctl start --runtime=nosuch box
check_fails "that is not any program" "can be replaced by others" ctrctl start --runtime=/usr/local/anybody/runc box
check_fails "and whose path root has given" "Only root may choose a runtime by its path" \
        runuser -u tester -- ctrctl start --runtime=/usr/local/bin/own-runc box
mkdir "$checkpoint"
touch "$checkpoint/inventory.img"
check_fails "or one to be restored" 'cannot be restored with the runtime "crun"' \
        call "$container" Container.CreateTask 'a{sv}' 2 Runtime s crun CheckpointPath s "$checkpoint"
check_fails "from an image, too" 'cannot be restored with the runtime "crun"' \
        call "$container" Container.CreateTask 'a{sv}' 2 Runtime s crun Checkpoint s "$image"
check_fails "none of which has left a task" "has no task" call "$root" Manager.GetTask 'sa{sv}' box 0
check "it starts with crun" ctrctl start --runtime=crun box
check "which has made it" made_by crun crun
check_equal "for this task" "$ours" "$(property "$container" Container.Runtime)"
check_fails "that keeps it" "status is RUNNING" ctrctl start --runtime=runc box
check "also when the manager is killed" manager_kill
check "which finds it" made_by crun crun
check_within "as it was" 60 status_is RUNNING
check_exit "exec" 6 ctrctl exec box sh -c 'exit 6'
check_fails "no checkpoint" "No checkpoint can be made of a task with the runtime" ctrctl checkpoint --path="$checkpoint" box
check "stop" ctrctl stop box
check_equal "with its own status" 3 "$(ctrctl wait box)"
check "the next start" ctrctl start box
check "is by our own" made_by "$ours"
check_exit "with exec" 6 ctrctl exec box sh -c 'exit 6'
check "stop" ctrctl stop box
check "a path for one" ctrctl start --runtime=/usr/local/bin/own-runc box
check "has made it" made_by /usr/local/bin/own-runc own-runc
check "rm" ctrctl rm --force box
check "a container of runc" ctrctl create --name=box --runtime=runc "$image" sh -c "$waits"
check "starts with our own" ctrctl start --runtime=$ours box
check "which has made it" made_by "$ours"
check "also when the manager is killed" manager_kill
check "which finds it" made_by "$ours"
check "stop" ctrctl stop box
check "and next" ctrctl start box
check "with runc" made_by runc runc
check "rm" ctrctl rm --force box
check "a container with ids of its own" ctrctl create --name=box --uidmap=0:100000:65536 "$image" true
check_fails "has only our own" 'runtime "crun" can have no user namespace' ctrctl start --runtime=crun box
check "rm" ctrctl rm --force box
check_nothing_left "nothing is left of those"

# --- an exec whose runtime does not come back is given up after 30 s, which the rest does not wait for
fake late <<'END'
[ "$verb" = exec ] && exec sleep 1357
END
check "a task" ctrctl run -d --name=late --runtime=late "$image" sleep 1000
ctrctl exec late true 2>"$test_dir/late" &
late_pid=$!
check_within "its exec hangs" 60 pgrep -fx "sleep 1357"

# --- how programs end
check_exit "runc: a status" 7 ctrctl run --rm --runtime=runc "$image" sh -c 'echo out; echo err >&2; exit 7'
check_equal "and both streams" "out err" "$stdout $stderr"
check_exit "input has an end" 0 eval "echo data | ctrctl run -i --rm --runtime=runc $image cat"
check_equal "and what is before it" data "$stdout"
check "a longer one" ctrctl run -d --name=box --runtime=runc "$image" sh -c "$waits"
check "that is killed" ctrctl kill --signal=KILL box
check_equal "ends with the signal" 137 "$(ctrctl wait box)"
check "rm" ctrctl rm box
check_exit "a program that is not there" 127 ctrctl run --rm --runtime=runc "$image" nosuch
check_match "in the runtime's own words" 'runc: .*"nosuch": executable file not found' "$stderr"
check_exit "one that is none" 126 ctrctl run --rm --runtime=runc "$image" /etc/passwd
check_fails "a user that is not there" "unable to find user|no such user|nosuch" ctrctl run --rm --user=nosuch --runtime=runc "$image" true
check_exit "a terminal" 9 on_terminal "expect(b'# '); send(b'test -t 0 && exit 9\n')" run -it --rm --runtime=runc "$image" sh
check "left by keys" on_terminal 'expect(b"# "); send(b"X=42\n"); forget(); expect(b"# "); send(b"\x10\x11")' \
        run -it --name=box --runtime=runc "$image" sh
check_exit "and found again" 8 on_terminal 'send(b"echo a$X; exit 8\n"); expect(b"a42")' attach box
check "rm" ctrctl rm box
check "limits are the unit's" ctrctl run -d --name=box --runtime=runc --memory-max=64M --ulimit=core=-1 "$image" sh -c "$waits"
check_equal "as for any other" 67108864 "$(systemctl show --property=MemoryMax --value ctr-box.scope)"
check_equal "and of processes' own there may be none" unlimited "$(ctrctl exec box sh -c 'ulimit -c')"
kill -KILL "$(pgrep -f 'ctr-supervisor /run/ctr/tasks/default/box')"
check_within "a supervisor that is killed" 10 status_is STOPPED
check_equal "takes all with it, and the status is not known" false "$(property "$task" Process.ExitStatusKnown)"
check "rm" ctrctl rm box

# --- runtimes that fail
fake fails <<'END'
if [ "$verb" = create ]; then
        echo '{"level":"warning","msg":"not this"}' >"$log"
        echo '{"level":"error","msg":"the moon is\nfull"}' >>"$log"
        sleep 1000 & # it has to end, too
        exit 1
fi
END
check_fails "a runtime that fails" "fails: the moon is full" ctrctl run --rm --runtime=fails "$image" true
check_nothing_left "leaves nothing"
fake mute <<'END'
[ "$verb" = create ] && head -c 100000 /dev/urandom >"$log" && exit 3
END
check_fails "one that talks nonsense" "mute create failed with status 3 and did not say why" \
        ctrctl run --rm --runtime=mute "$image" true
fake nothing <<'END'
exit 0
END
check_fails "one that does nothing" "Failed to read create.pid of /etc/ctr/runtimes/nothing" \
        ctrctl run --rm --runtime=nothing "$image" true
fake stranger <<'END'
if [ "$verb" = create ]; then
        pgrep -ox ctr-manager >"${11}"
        exit 0
fi
END
check_fails "one that names somebody else's process" "not a child" ctrctl run --rm --runtime=stranger "$image" true
fake astray <<'END'
if [ "$verb" = create ]; then
        sleep 1000 &
        echo $! >/sys/fs/cgroup/cgroup.procs
        echo $! >"${11}"
        exit 0
fi
END
check_fails "or one that is elsewhere" "into the container's cgroup" ctrctl run --rm --runtime=astray "$image" true
fake silent <<'END'
[ "$verb" = create ] && exec runc "${@:1:11}" --console-socket /nowhere "${@:14}"
END
check_fails "one that does not hand over the terminal" "." ctrctl run -t --rm --runtime=silent "$image" true
fake nostart <<'END'
[ "$verb" = start ] && echo '{"level":"error","msg":"not today"}' >"$log" && exit 1
END
check_fails "one that does not start it" "nostart: not today" ctrctl run --rm --runtime=nostart "$image" true
fake leaves <<'END'
if [ "$verb" = exec ]; then
        sleep 1234 &
        runc "$@"
        echo '{"level":"error","msg":"too bad"}' >"$log"
        exit 1
fi
END
check "a task of one" ctrctl run -d --name=box --runtime=leaves "$image" sleep 4321
check_fails "that does an exec and says that it did not" "leaves: too bad" ctrctl exec box sleep 1234
nothing_of_it() {
        ! pgrep -fx "sleep 1234"
}
check_within "ends what it has left" 60 nothing_of_it
check_exit "and the task goes on" 0 pgrep -fx "sleep 4321"
check "rm" ctrctl rm --force box
fake stays <<'END'
case $verb in
create)
        sleep 4322 &
        echo $! >"${11}"
        exit 0
        ;;
exec)
        echo '{"level":"error","msg":"no execs"}' >"$log"
        exit 1
        ;;
*) exit 0 ;;
esac
END
check "a task of one that makes no cgroup" ctrctl run -d --name=box --runtime=stays "$image" true
check_fails "and can do no execs" "stays: no execs" ctrctl exec box true
check_fails "nor later" "stays: no execs" ctrctl exec box true
check_equal "goes on" RUNNING "$(ctrctl inspect box | jq -r '.[0].Task.Status')"
check "rm" ctrctl rm --force box
fake nodelete <<'END'
[ "$verb" = delete ] && exit 1
END
check_exit "one that does not delete it" 2 ctrctl run --rm --runtime=nodelete "$image" sh -c 'exit 2'
check_nothing_left "none of them leaves anything"
check "script without a runtime" install -m 755 /dev/stdin /etc/ctr/runtimes/noscript <<<'#!/no/such'
check_fails "one that cannot be executed" "Failed to execute /etc/ctr/runtimes/noscript" \
        ctrctl run --rm --runtime=noscript "$image" true

# --- runtimes that hang
fake hangs <<'END'
[ "$verb" = "$(cat /run/hang-at)" ] && sleep 1000
END
echo create >/run/hang-at
ctrctl run --name=box --runtime=hangs "$image" true 2>"$test_dir/hang" &
client_pid=$!
check_within "one that hangs" 10 pgrep -f 'runtimes/hangs.*create'
check "can be ended all the same" ctrctl rm --force box
wait "$client_pid"
check_match "which is said" 'deleted while it was being created|"box" does not exist' "$(cat "$test_dir/hang")"
echo start >/run/hang-at
ctrctl run --name=box --runtime=hangs "$image" true 2>"$test_dir/hang" &
client_pid=$!
check_within "also in its start" 10 pgrep -f 'hangs.*start'
check "by a stop" ctrctl rm --force box
wait "$client_pid"
echo exec >/run/hang-at
check "also" ctrctl run -d --name=box --runtime=hangs "$image" sh -c "$waits"
ctrctl exec box true 2>"$test_dir/hang" &
client_pid=$!
check_within "in an exec" 10 pgrep -f 'hangs.*exec'
check "that the rest does not wait for" ctrctl pause box
check "nor the way on" ctrctl unpause box
check "nor the end" ctrctl rm --force box
wait "$client_pid"
check_nothing_left "nothing is left of those either"

# --- what has become of the exec
wait "$late_pid"
check_equal "it failed" 125 $?
check_match "which is said" "not started in time" "$(cat "$test_dir/late")"
check_exit "the runtime is ended" 1 pgrep -fx "sleep 1357"
check_equal "the task goes on" RUNNING "$(ctrctl inspect late | jq -r '.[0].Task.Status')"
check "rm" ctrctl rm --force late
