#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl on a terminal: what the container sees of it, keys, sizes, signals, and the terminal afterwards.

# Scripts for the container stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

# on_terminal STATEMENTS ARGS...: run ctrctl on a new terminal.
on_terminal() {
        timeout 180 "$(dirname "${BASH_SOURCE[0]}")/on-terminal" "$1" ctrctl "${@:2}"
}

check "with -t the container has a terminal" on_terminal '' run --rm -t "$image" sh -c 'tty && test -t 0 && test -t 2'
check_match "of its own" '/dev/(console|pts/0)' "$stdout"
check "without -t it has none" on_terminal 'send(b"x\n")' run --rm -i "$image" \
        sh -c 'read x; test $x = x && ! test -t 0 && ! test -t 1 && ! test -t 2'
check "the size is passed" on_terminal '' run --rm -t "$image" stty size
check_match "columns and lines" '40 100' "$stdout"
check "and its changes" on_terminal 'expect(b"ready"); resize(77, 33); expect(b"33 77")' run --rm -it "$image" \
        sh -c 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.1; done'
check_exit "keys go to the container" 5 on_terminal 'expect(b"# "); send(b"echo $((6 * 7))\n"); expect(b"42"); send(b"exit 5\n")' \
        run --rm -it "$image" sh
check_exit "Ctrl-C is a key there" 9 on_terminal 'expect(b"ready"); send(b"\x03")' run --rm -it "$image" \
        sh -c 'trap "exit 9" INT; echo ready; while :; do sleep 0.1; done'
check_exit "and a signal without -t" 8 on_terminal 'expect(b"ready"); send(b"\x03")' run --rm "$image" \
        sh -c 'trap "exit 8" INT; echo ready; while :; do sleep 0.1; done'
check_exit "SIGTERM is passed on" 6 on_terminal 'expect(b"ready"); p.send_signal(signal.SIGTERM)' run --rm "$image" \
        sh -c 'trap "exit 6" TERM; echo ready; while :; do sleep 0.1; done'
check_exit "the terminal is restored after a failure" 127 on_terminal '' run --rm -it "$image" nosuch
check_exit "the end of input" 4 on_terminal 'send(b"line\n\x04")' run --rm -i "$image" sh -c 'cat; exit 4'
check_match "the end of a pipe is the end for a terminal" 'abc' \
        "$(echo abc | timeout 120 ctrctl run --rm -it "$image" cat || echo "exit code $?")"
check_match "also within a line" '^abcabc[^0-9]*$' "$(printf abc | timeout 120 ctrctl run --rm -it "$image" cat || echo "exit code $?")"
check "much output" on_terminal '' run --rm -t "$image" sh -c 'seq 1 20000; echo the end'
check_match "comes to its end" $'\n20000\nthe end\n$' "$stdout"$'\n'
check "a progress bar" on_terminal '' --namespace=bars pull "$image"
check_match "is drawn" 'layer [0-9a-f]{12} +\[=+' "$stdout"
check_equal "nothing is left" "" "$(ctrctl ps -aq)"
