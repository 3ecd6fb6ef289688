#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# The commands in the README do what it says as they are written there, but for the registry's name.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

registry_start
image_push demo demo:latest

sed -n '/^Without our client/,/^Work on it/p' "$(dirname "${BASH_SOURCE[0]}")/../../README" |
        grep -E '^ {8}' | sed 's|docker.io/library/busybox:latest|localhost:5000/demo:latest|' >"$test_dir/commands"
check_equal "the README has six commands" 6 "$(grep -c '^        busctl ' "$test_dir/commands")"
check "they succeed" bash -e "$test_dir/commands"
check_match "the last says the exit code" $'\nut 7 [0-9]+$' $'\n'"$stdout"
check "the container's output is in the journal of its scope" journal_wait 10 '^hello$' -u ctr-hello.scope

# commands_of FROM TO: the commands between two lines of the README
commands_of() {
        sed -n "/^$1/,/^$2/p" "$(dirname "${BASH_SOURCE[0]}")/../../README" | sed -n 's/^ \{8\}\(sudo \)\{0,1\}//p' |
                sed 's|docker.io/library/busybox:latest|localhost:5000/demo:latest|'
}

on_terminal() {
        timeout 180 "$(dirname "${BASH_SOURCE[0]}")/on-terminal" "$@"
}

commands_of 'Look after it' 'Images, and files' >"$test_dir/commands"
check_equal "the README has 14 commands to look after containers" 14 "$(grep -c '^ctrctl ' "$test_dir/commands")"
while read -r -u 3 command; do
        # shellcheck disable=SC2086
        case $command in
        *exec*'exit 7'*)
                check_exit "$command" 7 bash -c "$command"
                check_equal "says where it is" / "$stdout"
                ;;
        *exec*-it*) check_exit "$command" 5 on_terminal 'expect(b"# "); send(b"exit 5\n")' $command ;;
        *run*-it*) check "$command" on_terminal 'expect(b"# "); send(b"\x10\x11")' $command ;;
        *attach*) check_exit "$command" 4 on_terminal 'send(b"exit 4\n")' $command ;;
        *--follow) check "$command" first_match 10 'Id=tty .*ExitStatus=4' bash -c "exec $command" ;;
        *'ctrctl ps') check "$command" eval "$command | grep -q 'box .* Paused'" ;;
        *logs*)
                bus_record logs "type='method_call',member='Wait'"
                timeout 120 $command >"$test_dir/logs" &
                follower=$!
                check "somebody follows" bus_expect logs 10 Wait
                check "the end of logs" ctrctl rm -f box
                wait "$follower"
                check_equal "$command" 0 $?
                ;;
        *) check "$command" bash -c "$command" ;;
        esac
done 3<"$test_dir/commands"

# The private registry of the README is ours, with its user's password.
registry_stop
hash=$(python3 -W ignore -c 'import crypt; print(crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH)))')
registry_start_private team "$hash"
image_push demo team/web:1 --dest-creds team:secret
commands_of 'Images, and files' 'Without our client' | sed 's|registry.example.com|localhost:5000|' >"$test_dir/commands"
check_equal "the README has 18 commands about images and files" 18 "$(grep -c '^ctrctl ' "$test_dir/commands")"
cd "$test_dir" || die "no directory"
while read -r -u 3 command; do
        # shellcheck disable=SC2086
        case $command in
        *login*) check "$command" on_terminal 'expect(b"Password: "); send(b"secret\n")' $command ;;
        *) check "$command" bash -c "$command" ;;
        esac
done 3<"$test_dir/commands"
check "what was copied out" cmp name /etc/hostname
