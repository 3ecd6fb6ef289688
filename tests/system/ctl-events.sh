#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# ctrctl events and logs: history and what comes, without gap or repetition, over restarts of the service.

# Scripts for others stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

# topics_of ID FILE: the topics of its events, in the order of the file of JSON lines
topics_of() {
        python3 -c 'import json, sys
for line in open(sys.argv[2]):
    e = json.loads(line)
    if e["Topic"].startswith("/tasks/") and e["Details"].get("ContainerId", e["Details"]["Id"]) == sys.argv[1]:
        print(e["Topic"].removeprefix("/tasks/"), end=" ")' "$@"
}

before=$(date +%s.%N)
check_exit "a container" 3 ctrctl run --name=first "$image" sh -c 'exit 3'
check_within "its events" 10 eval 'ctrctl events | grep -q "/tasks/exit Id=first"'
ctrctl events --json=short >"$test_dir/all"
check_equal "stand in their order" "create start exit " "$(topics_of first "$test_dir/all")"
check_match "with the exit status" '^[0-9]{4}-[0-9-]+T[0-9:.]+[+-][0-9:]+ /tasks/exit Id=first .*ExitStatus=3 ' \
        "$(ctrctl events --filter='topic==/tasks/exit')"
ctrctl events --json=short --since="@$before" >"$test_dir/since"
check_equal "since a time" "create start exit " "$(topics_of first "$test_dir/since")"
check_equal "until a time" "" "$(ctrctl events --until="@$before" --filter='topic~=/tasks/.*')"
last=$(tail -n 1 "$test_dir/all" | sed 's/.*"Sequence":\([0-9]*\).*/\1/')
check_equal "after a number" "" "$(ctrctl events --after="$last")"
check_match "as indented JSON" '^        "Sequence": [0-9]+,' "$(ctrctl events --json=pretty | sed -n 2p)"
check_fails "a wrong filter" 'ilter' ctrctl events --filter='topic=='

# Containers come and go while the service is killed again and again.
ctrctl events --follow --json=short --all-namespaces --after="$last" >"$test_dir/followed" 2>"$test_dir/errors" &
follower=$!
for i in $(seq 1 20); do
        ctrctl run --rm --name="c$i" "$image" sh -c "exit $i"
        (($? == i)) || die "run $i failed"
        ((i % 4)) || systemctl kill --kill-whom=main --signal=KILL ctr.service
done
check_within "the last one is seen" 20 eval '[[ $(topics_of c20 "$test_dir/followed") == *delete* ]]'
kill "$follower"
wait "$follower"
wrong=0
for i in $(seq 1 20); do
        [[ $(topics_of "c$i" "$test_dir/followed") == "create start exit delete " ]] || {
                wrong=$((wrong + 1))
                diagnose "c$i: $(topics_of "c$i" "$test_dir/followed")"
        }
done
check_equal "each event of 20 containers once, in order, over 5 kills" 0 "$wrong"
check_equal "nothing is complained about" "" "$(cat "$test_dir/errors")"
sed 's/.*"Sequence":\([0-9]*\).*/\1/' "$test_dir/followed" >"$test_dir/numbers"
check "sequence numbers only grow" sort -ncu "$test_dir/numbers"
check_equal "the history says the same" "$(cat "$test_dir/followed")" \
        "$(ctrctl events --json=short --all-namespaces --after="$last" | head -n "$(wc -l <"$test_dir/followed")")"
check "with an end" timeout 120 ctrctl events --follow --until="@$(($(date +%s) + 2))"

check "a container that writes" ctrctl run -d --name=writer "$image" \
        sh -c 'echo one; while ! test -e /go; do sleep 0.05; done; echo two >&2; sleep 1000'
check "its lines" journal_wait 10 '^one$' -u ctr-writer.scope
# the journal may read two streams in any order
check "on both streams" ctrctl exec writer touch /go
check "are in the journal" journal_wait 10 '^two$' -u ctr-writer.scope
check_equal "in order" "one two" "$(ctrctl logs writer | xargs)"
check_match "with their times" '^[0-9-]+T[0-9:.]+[+-][0-9:]+ one' "$(ctrctl logs -t writer)"
check_equal "the last" two "$(ctrctl logs -n 1 writer)"
since=@$(date +%s.%N)
timeout 120 ctrctl logs -f writer >"$test_dir/logs" &
follower=$!
check "an exec in the background writes, too" ctrctl exec -d writer echo three
check "before the end" journal_wait 10 '^three$' -u ctr-writer.scope
check "and the end" ctrctl kill -s KILL writer
wait "$follower"
check_equal "logs -f ends with it" "0 one two three" "$? $(xargs <"$test_dir/logs")"
check_equal "since a time there is less" three "$(ctrctl logs --since="$since" writer)"
