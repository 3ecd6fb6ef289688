#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# ctrctl does the main job: every verb against the real service.

# Scripts for the container stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1

run() {
        ctrctl run --rm "${@:2}" "$image" sh -c "$1"
}

check_match "version activates the service" $'^Client: .+\nService: .+$' "$(ctrctl version)"

# pull, images
check "pull" ctrctl pull "$image"
check_match "pull tells what it did, line by line" $'layer [0-9a-f]{12}: done' "$stderr"
check_equal "and prints nothing else" "" "$stdout"
check_match "images" '^localhost:5000/busybox +1 +[0-9a-f]{12} .* ago +[0-9.]+[KM]$' "$(ctrctl images --no-legend)"
check_equal "images -q" "$image" "$(ctrctl images -q)"
check_fails "an unknown tag" 'manifest' ctrctl pull localhost:5000/busybox:nosuch
check_fails "a registry that nobody serves" 'Hint: ' ctrctl pull localhost:5001/busybox

# run: what goes in and comes out
check_exit "run passes the exit status on" 7 run 'exit 7'
check "run passes output on" run 'echo out; echo err >&2'
check_equal "standard output" out "$stdout"
check_equal "standard error" err "$stderr"
check_equal "standard input with -i" hello "$(echo hello | run cat -i)"
check_equal "no standard input without" "" "$(echo hello | run cat)"
check_equal "a megabyte comes through whole" "$(head -c 1000000 /dev/zero | sha256sum)" \
        "$(run 'head -c 1000000 /dev/zero' | sha256sum)"
check_equal "--rm leaves nothing" "" "$(ctrctl ps -aq)"
check_equal "no scope is left" "" "$(systemctl list-units --all --no-legend 'ctr-*.scope')"
check_equal "no directory is left" "" "$(ls /run/ctr/tasks/default)"

# run: what describes the container
check_equal "environment" "1 2" "$(A=1 run 'echo $A $B' -e A -e B=2)"
check_equal "working directory" /tmp "$(run pwd -w /tmp)"
check_equal "user and group" 5:6 "$(run 'echo $(id -u):$(id -g)' -u 5:6)"
check_equal "host name" somewhere "$(run hostname --hostname=somewhere)"
mkdir /tmp/shared
echo content >/tmp/shared/file
check_equal "a volume" content "$(run 'cat /mnt/file' -v /tmp/shared:/mnt)"
check_equal "a volume relative to here" content "$(cd /tmp && run 'cat /mnt/file' -v ./shared:/mnt)"
check_fails "a read-only volume" 'Read-only' run 'touch /mnt/file' -v /tmp/shared:/mnt:ro
check_match "a tmpfs" '^tmpfs /scratch tmpfs' "$(run 'grep scratch /proc/mounts' --tmpfs /scratch)"
check_fails "a read-only root" 'Read-only' run 'touch /file' --read-only
check_match "capabilities dropped" '0000000000000000' "$(run 'grep CapEff /proc/self/status' --cap-drop ALL)"
check_match "a capability alone" '0000000000001000' \
        "$(run 'grep CapEff /proc/self/status' --cap-drop all --cap-add net_admin)"
check_equal "a resource limit" 77 "$(run 'ulimit -n' --ulimit nofile=77)"
check_equal "an entrypoint" "/bin/sh given" "$(ctrctl run --rm --entrypoint '["/bin/sh","-c","echo $0 $1","/bin/sh"]' "$image" given)"
check "limits become unit properties" ctrctl run -d --name=limited --memory-max=64M --tasks-max=33 --cpu-weight=50 \
        --cpu-quota=25% --label role=test "$image" sleep 1000
check_equal "MemoryMax=" 67108864 "$(systemctl show --property=MemoryMax --value ctr-limited.scope)"
check_equal "TasksMax=" 33 "$(systemctl show --property=TasksMax --value ctr-limited.scope)"
check_equal "CPUWeight=" 50 "$(systemctl show --property=CPUWeight --value ctr-limited.scope)"
check_equal "CPUQuota=" 250ms "$(systemctl show --property=CPUQuotaPerSecUSec --value ctr-limited.scope)"

# ps, inspect
check_match "ps shows what runs" '^limited +localhost:5000/busybox:1 +Up .* +[0-9]+ +' "$(ctrctl ps --no-legend)"
check_equal "ps finds labels" limited "$(ctrctl ps -q --filter label=role=test)"
check_equal "ps finds only those" "" "$(ctrctl ps -q --filter label=role=other)"
check_equal "inspect tells of the task" RUNNING "$(ctrctl inspect limited | python3 -c '
import json, sys
c = json.load(sys.stdin)[0]
assert c["Spec"]["process"]["args"] == ["sleep", "1000"]
print(c["Task"]["Status"])')"
check_match "inspect shows an image" '"Config"' "$(ctrctl inspect "$image")"
check_fails "inspect of nothing" 'no container and no image.*' ctrctl inspect nosuch

# kill, stop, wait, start, rm
check_fails "a running container is not removed" 'Hint: Stop it first' ctrctl rm limited
check "kill" ctrctl kill -s KILL limited
check_equal "wait prints the exit status" 137 "$(ctrctl wait limited)"
check_match "ps -a shows the exit" 'Exited \(137\)' "$(ctrctl ps -a)"
check_fails "what has ended cannot be killed" 'is not running' ctrctl kill limited
check "stop of what has ended" ctrctl stop limited
check "start once more" ctrctl start limited
check_match "it runs" 'Up ' "$(ctrctl ps)"
check "start of what runs" ctrctl start limited
check "stop with a limit of time" ctrctl stop -t 1 limited
check "rm" ctrctl rm limited
check_fails "wait for nothing" 'no container "limited"' ctrctl wait limited
check_equal "create prints the id" waiting "$(ctrctl create --name=waiting "$image" sh -c 'echo here; exit 4')"
check_exit "start -a waits" 4 ctrctl start -a waiting
check_equal "start -a shows the output" here "$stdout"
check_exit "start -a again" 4 ctrctl start -a waiting
check "two are removed at once" bash -c 'ctrctl create --name=second '"$image"' && ctrctl rm waiting second'
check "rm --force" bash -c 'ctrctl run -d --name=forced '"$image"' sleep 1000 && ctrctl rm --force forced'
check_equal "nothing is left" "" "$(ctrctl ps -aq)"

# logs
check "output of a detached container" ctrctl run -d --name=logged "$image" \
        sh -c 'echo first; while ! test -e /go; do sleep 0.05; done; echo second >&2; exec sleep 1000'
# the journal may read two streams in any order
check "with a first line" journal_wait 10 '^first$' CTR_CONTAINER=logged
check "and a second one" ctrctl exec logged touch /go
check_within "goes to the journal" 10 bash -c '[[ $(ctrctl logs logged) == $'"'first\nsecond'"' ]]'
check_equal "logs -n" second "$(ctrctl logs -n 1 logged)"
check_equal "logs --since" "" "$(ctrctl logs --since 2100-01-01 logged)"
check "follow" first_match 10 second ctrctl logs -f logged
ctrctl rm --force logged
ctrctl run -d --name=logged "$image" sh -c 'echo other; sleep 0.1; echo last' >/dev/null
check_equal "logs -f ends with the container and shows this one's lines only" $'other\nlast' "$(timeout 120 ctrctl logs -f logged)"
check_fails "logs of nothing" '"nosuch" does not exist' ctrctl logs nosuch

# failures
check_exit "a command that is not there" 127 ctrctl run --name=failing "$image" nosuch
check_match "says what and where" 'nosuch.*not found' "$stderr"
check_exit "a command that cannot be executed" 126 ctrctl run --name=failing "$image" /etc/passwd
check_exit "our own failure" 125 ctrctl run -u nosuch --name=failing "$image" true
check_equal "leaves no container" logged "$(ctrctl ps -aq)"
check_exit "a name that is taken" 125 ctrctl run --name=logged "$image" true
check_match "comes with a hint" 'Hint: .*--name' "$stderr"
check_exit "an id that is none" 125 ctrctl run --name=a/b "$image" true
check_fails "an empty namespace" 'namespace is required' ctrctl --namespace= ps
check_exit "an image that is not there" 125 ctrctl run --pull=never localhost:5000/nosuch true
ctrctl rm --force logged

# namespaces, rmi
check "another namespace" ctrctl --namespace=other pull -q "$image"
check_equal "run in it" x "$(ctrctl run --namespace=other --rm "$image" echo x)"
check "the same id in two" bash -c 'ctrctl create --name=same '"$image"' && ctrctl --namespace=other create --name=same '"$image"
check_equal "ps of one" same "$(ctrctl ps -aq --namespace=other)"
check_match "ps of all" $'default +same.*\n.*other +same' "$(ctrctl ps -a --all-namespaces)"
check "rmi" ctrctl rmi "$image"
check_equal "it is gone" "" "$(ctrctl images -q)"
check_equal "but not in the other one" "$image" "$(ctrctl --namespace=other images -q)"
check_exit "run fetches what is missing" 3 run 'exit 3'
check_match "and says so" "Pulling $image" "$stderr"
