#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Streams for whoever attaches: clients come and go, and the process never sees it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

task=$(path_of box)

# detach: as a client that is killed does it.
detach() {
        kill -KILL "$client_pid"
        wait "$client_pid" 2>/dev/null
        exec {in}>&-
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- an init that is attached to
check "a container that echoes" ctrctl create --name box "$image" sh -c 'while read line; do echo "got $line"; done; echo end; exit 3'
check "D26: with streams to attach to" call "$root/container/default/box" Container.CreateTask 'a{sv}' 3 \
        Stdin s attach Stdout s attach Stderr s null
check_equal "A5.13: which it tells" "attach attach null" "$(for s in Stdin Stdout Stderr; do property "$task" "Process.$s"; done | xargs)"
check "start" call "$task" Process.Start 'a{sv}' 0
for i in 1 2 3 4 5; do
        attach "client$i" box
        echo "line $i" >&"$in"
        check_within "D26: client $i is heard, and hears" 5 grep -qx "got line $i" "$out"
        check_equal "and no other line" 2 "$(wc -l <"$out")"
        detach
        check_equal "its end is not that of the input" RUNNING "$(property "$task" Process.Status)"
done

attach first box
first=$out
first_in=$in
attach second box
echo both >&"$in"
check_within "both hear" 5 grep -qx "got both" "$out"
check_within "the same" 5 grep -qx "got both" "$first"
check "A5.20: CloseIO without a stream" call "$task" Process.CloseIO 'a{sv}' 0
check_equal "does nothing" RUNNING "$(property "$task" Process.Status)"
check "D26: CloseIO while clients write" call "$task" Process.CloseIO 'a{sv}' 1 Stdin b true
detach
exec {first_in}>&-
check_equal "the end comes when all have gone" 3 "$(timeout 120 busctl --timeout=120 call $destination "$task" $destination.Process Wait 'a{sv}' 0 | cut -d' ' -f2)"
check_fails "nothing to attach to after the end" "cannot attach to a stopped process" "$client" attach box < <(:)
check "remove it" ctrctl rm box

# --- the last output
check "a container that ends" ctrctl create --name box "$image" sh -c 'read x; echo last words; exit 4'
check "whose streams are attached to" call "$root/container/default/box" Container.CreateTask 'a{sv}' 2 Stdin s attach Stdout s attach
attach last box
check "before it starts" call "$task" Process.Start 'a{sv}' 0
echo >&"$in"
check_equal "its status" 4 "$(wait_status "$task")"
check_within "D31: its last output arrives" 5 grep -qx "last words" "$out"
check "and then the end, which the client sees" wait "$client_pid"
exec {in}>&-
check "remove it" ctrctl rm box

# --- nobody listens
check "a container that talks without end" ctrctl create --name box "$image" sh -c 'i=0; while :; do i=$((i+1)); echo "line $i"; done'
check "to whoever attaches" call "$root/container/default/box" Container.CreateTask 'a{sv}' 1 Stdout s attach
check "start" call "$task" Process.Start 'a{sv}' 0
verb=watch
attach late box
check_within "A2.9: is not held up when nobody does" 10 bash -c "((\$(sed -n '/^line /s///p' '$out' | tail -n 1) > 1000))"
detach
attach later box
check_within "nor by a client that left" 10 grep -q '^line ' "$out"
detach
verb=attach
check "force" ctrctl rm --force box

# --- an exec, a terminal, and what cannot be attached to
check "a container" ctrctl run -d --name box "$image" sleep 1000
check "an exec on a terminal" exec_add box sh "2 Terminal b true Start b true" sh
for i in 1 2; do
        attach "tty$i" box sh
        echo "echo \$((6 * 7 * $i))" >&"$in"
        check_within "D25: is attached to, time $i" 5 grep -q "^$((42 * i))" "$out"
        detach
done
check "resized" call "$task/exec/sh" Process.ResizePty 'uua{sv}' 120 50 0
attach tty3 box sh
echo "stty size" >&"$in"
check_within "as its program sees" 5 grep -q "^50 120" "$out"
echo "exit 8" >&"$in"
check_equal "it ends when it wants" 8 "$(wait_status "$task/exec/sh")"
check "and so do its clients" wait "$client_pid"
exec {in}>&-
check_fails "the journal is none to attach to" "FailedPrecondition" "$client" attach box < <(:)
check_fails "garbage is refused" "neither a pipe nor a socket" "$client" attach box </dev/null
check "remove it" ctrctl rm --force box
