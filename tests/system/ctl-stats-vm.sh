#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
#
# ctrctl stats where all controllers are: what is shown is what is used.

# Scripts for others stand in single quotes.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

# number JSON-TEXT EXPRESSION: what Python makes of the only row
number() {
        python3 -c 'import json, sys; row, = json.loads(sys.argv[1]); print(eval(sys.argv[2]))' "$@"
}

check "a container that computes" ctrctl run -d --name=busy --memory-max=64M --tasks-max=20 "$image" \
        sh -c 'while :; do :; done'
check "and one that holds memory" ctrctl run -d --name=full --memory-max=256M "$image" \
        sh -c 'x=$(head -c 30000000 /dev/zero | tr "\0" x); echo ready; sleep 1000; echo "$x"'
journal_wait 300 '^ready$' -u ctr-full.scope >/dev/null || die "it is not ready"

check "both at once" ctrctl stats --no-stream
check_match "with headings" 'CONTAINER +CPU +MEMORY / LIMIT +MEMORY % +NET IN / OUT +DISK READ / WRITTEN +TASKS' "$stdout"
check_match "limits" 'busy +[0-9.]+% +[0-9.]+[KM] / 64\.0M .* [12] / 20'$'\n' "$stdout"$'\n'

# One that has to share its CPU for a moment is asked again.
uses_one() {
        [[ $(number "$(ctrctl stats --no-stream --interval=3 --json=short busy)" '50 < row["CPUPercent"] < 110') == True ]]
}
check_within "one CPU is used up" 60 uses_one
full=$(ctrctl stats --no-stream --json=short full)
check_equal "no CPU is used" True "$(number "$full" 'row["CPUPercent"] < 20')"
check_equal "but memory" True "$(number "$full" '30e6 < row["MemoryWithoutCache"] <= row["MemoryCurrent"] < 256 << 20')"
check_equal "of its limit" True "$(number "$full" 'abs(row["MemoryPercent"] - 100 * row["MemoryWithoutCache"] / (256 << 20)) < 0.1')"

check "a limit is changed" ctrctl update --memory-max=128M --tasks-max=30 busy
shows_limits() {
        [[ $(number "$(ctrctl stats --no-stream --json=short busy)" 'row["MemoryMax"], row["TasksMax"]') == "(134217728, 30)" ]]
}
check_within "and seen" 10 shows_limits
check "a paused container" ctrctl pause busy
check_equal "uses no CPU" True "$(number "$(ctrctl stats --no-stream --interval=2 --json=short busy)" 'row["CPUPercent"] < 5')"
check "goes on" ctrctl resume busy

first_match 60 '"Id":"busy"' ctrctl stats --json=short >/dev/null
check_equal "live figures come" 0 $?
check "top shows who it is" ctrctl top busy
check_match "and how much" 'root .* R .* [0-9]+\.[0-9]% .* sh -c' "$(xargs -0 <<<"$stdout")"
