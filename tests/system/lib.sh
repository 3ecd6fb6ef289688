# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Common library of the system tests
#
# A system test is a bash script in this directory. A comment line says where it runs, and may add options of the test
# bed; with several such lines it runs several times:
#
#     # testbed: run
#     # testbed: run --bus=broker
#     # testbed: vm
#
# It sources this file and makes assertions, each of which prints one line "ok N - TEXT" or "not ok N - TEXT". The plan
# "1..N" is printed when the script gets to its end, so a script that dies in between has no plan and counts as failed.
# The test bed is fresh for every file: nothing needs cleaning up, and a test may break what it likes.
#
# testbed/registry.sh, which this sources, has the registry on loopback. Waiting is for events, never for time:
# wait_until, journal_wait, bus_expect and registry_start come back as soon as what they wait for is there, and fail the
# test when it does not come.

set -uo pipefail

# of busctl, systemctl and their like for an answer, where a call says nothing else; 25 s by default
export SYSTEMD_BUS_TIMEOUT=120

test_count=0
test_failures=0
test_dir=$(mktemp -d /tmp/system-test.XXXXXX)

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../testbed/registry.sh"

test_end() {
        local r=$?

        trap - EXIT
        if ((r == 0)); then
                echo "1..$test_count"
        else
                echo "# the test script ended with exit code $r"
        fi
        exit $((r || test_failures))
}
trap test_end EXIT

# Print text as diagnosis of the assertion before, at most 60 lines of it.
diagnose() {
        head -n 60 <<<"$*" | while IFS= read -r line; do
                printf '#   %s\n' "$line"
        done
}

ok() {
        echo "ok $((++test_count)) - $*"
}

not_ok() {
        echo "not ok $((++test_count)) - $*"
        test_failures=1
}

# skip REASON TEXT: for what the running kernel or this test bed cannot do. Counted as neither passed nor failed.
skip() {
        echo "ok $((++test_count)) - ${*:2} # SKIP $1"
}

# End the test script: without what failed here the rest makes no sense.
die() {
        echo "# $*"
        exit 1
}

# capture CMD...: run it and keep its exit code, output and errors in $status, $stdout and $stderr.
capture() {
        status=0
        "$@" >"$test_dir/stdout" 2>"$test_dir/stderr" || status=$?
        stdout=$(tr -d '\0' <"$test_dir/stdout")
        stderr=$(tr -d '\0' <"$test_dir/stderr")
}

# check TEXT CMD...: the command succeeds.
check() {
        check_exit "$1" 0 "${@:2}"
}

# check_exit TEXT CODE CMD...: the command ends with that exit code.
check_exit() {
        capture "${@:3}"
        if ((status == $2)); then
                ok "$1"
        else
                not_ok "$1"
                diagnose "exit code $status instead of $2: ${*:3}"
                diagnose "$stdout"
                diagnose "$stderr"
        fi
}

# check_fails TEXT REGEX CMD...: the command fails, and its standard error matches.
check_fails() {
        capture "${@:3}"
        if ((status != 0)) && [[ $stderr =~ $2 ]]; then
                ok "$1"
        else
                not_ok "$1"
                diagnose "exit code $status, no error that matches '$2': ${*:3}"
                diagnose "$stdout"
                diagnose "$stderr"
        fi
}

# check_equal TEXT EXPECTED ACTUAL
check_equal() {
        if [[ $2 == "$3" ]]; then
                ok "$1"
        else
                not_ok "$1"
                diagnose "expected: $2"
                diagnose "     got: $3"
        fi
}

# check_match TEXT REGEX ACTUAL
check_match() {
        if [[ $3 =~ $2 ]]; then
                ok "$1"
        else
                not_ok "$1"
                diagnose "no match for: $2"
                diagnose "$3"
        fi
}

# check_within TEXT SECONDS CMD...: the command succeeds before the time is over.
check_within() {
        if wait_until "$2" "${@:3}"; then
                ok "$1"
        else
                not_ok "$1"
                diagnose "not within $2 s: ${*:3}"
        fi
}

# relay MINIMUM CMD...: run a program that makes assertions of its own, as lines "ok - TEXT" and "not ok - TEXT" with
# "# walked" as its last one, and count them; there must be that many.
relay() {
        local line minimum=$1 before=$test_count walked=0

        shift
        while IFS= read -r line; do
                case $line in
                "ok - "*) ok "${line#ok - }" ;;
                "not ok - "*) not_ok "${line#not ok - }" ;;
                "# walked") walked=1 ;;
                *) printf '%s\n' "$line" ;;
                esac
        done < <(exec "$@" 2>&1)
        check_equal "${2##*/} came to its end" 1 "$walked"
        check "after at least $minimum assertions" test $((test_count - before)) -ge "$minimum"
}

# first_match SECONDS REGEX CMD...: wait until the output of a command that goes on has a line that matches; print it.
# SECONDS as for wait_until.
first_match() {
        local line r=0
        local deadline=$((EPOCHSECONDS + ($1 < 60 ? 60 : $1))) regex=$2

        shift 2
        exec {match_fd}< <(exec "$@" 2>/dev/null)
        match_pid=$!
        while :; do
                IFS= read -r -t $((deadline > EPOCHSECONDS ? deadline - EPOCHSECONDS : 0)).1 -u "$match_fd" line || {
                        r=1
                        break
                }
                [[ $line =~ $regex ]] || continue
                printf '%s\n' "$line"
                break
        done
        kill "$match_pid" 2>/dev/null
        exec {match_fd}<&-
        return "$r"
}

# journal_wait SECONDS REGEX [JOURNALCTL-OPTION...]: wait for a line in the journal of this boot, and print it.
journal_wait() {
        first_match "$1" "$2" journalctl --follow --lines=all --no-pager --output=cat "${@:3}"
}

# manager_kill: SIGKILL to the service, and wait for the next one: what was sent to the dying one is answered by nobody.
manager_kill() {
        local pid

        # one that was idle may have gone, and 0 would mean everybody here
        busctl call org.example.Ctr / org.freedesktop.DBus.Peer Ping >/dev/null
        pid=$(manager_pid)
        ((pid > 0)) && kill -KILL "$pid" || return
        wait_until 10 test ! -d "/proc/$pid" || return
        wait_until 60 busctl --timeout=10 call org.example.Ctr / org.freedesktop.DBus.Peer Ping
}

# bus_record NAME MATCH...: start to record the bus messages that match, as JSON lines.
bus_record() {
        local name=$1 match
        local -a options=()

        shift
        for match; do
                options+=("--match=$match")
        done
        stdbuf --output=L busctl monitor --json=short "${options[@]}" >"$test_dir/bus.$name" 2>"$test_dir/bus.$name.log" &
        wait_until 10 grep -q '^Monitoring' "$test_dir/bus.$name.log" || die "busctl monitor did not start"
}

# bus_expect NAME SECONDS REGEX: wait until a message of the record matches, and print it.
bus_expect() {
        first_match "$2" "$3" tail -n +1 -f "$test_dir/bus.$1"
}

# unit_is UNIT PROPERTY VALUE: for check_within and wait_until.
unit_is() {
        [[ $(systemctl show --property="$2" --value "$1") == "$3" ]]
}

# manager_pid: print the process id of the running manager.
manager_pid() {
        systemctl show --property=MainPID --value ctr.service
}
