#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# The busctl commands in the README do the main job as they are written there, but for the registry's name.

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
