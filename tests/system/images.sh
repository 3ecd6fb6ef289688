#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Pulls that meet: what a registry is asked for when several want the same, who waits for whom, and how long a pull takes
# that finds nothing new. What each method and option does is in tests/api/walk_transfers.py.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

manager=(org.example.Ctr /org/example/Ctr org.example.Ctr.Manager)
log=$test_dir/requests

# pull NAMESPACE REFERENCE: prints the job's path.
pull() {
        busctl call "${manager[@]}" PullImage 'sa{sv}' "$2" 1 Namespace s "$1" | cut -d'"' -f2
}

# wait_job PATH: what it brings, or its error.
wait_job() {
        busctl --timeout=120 call org.example.Ctr "$1" org.example.Ctr.Job Wait 'a{sv}' 0
}


# each_once REGEX: nothing that matches was fetched twice, and something was.
each_once() {
        journalctl --unit=test-relay.service --output=cat | grep -E "$1" | sort | uniq -c >"$log"
        [[ -s $log ]] && ! awk '$1 > 1 { bad = 1 } END { exit !bad }' "$log"
}

registry_start
image_push layers layers:1
# a relay in front of the registry that writes down what it is asked
systemd-run --quiet --unit=test-relay.service "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/request-log" 5010 5000 ||
        die "no relay"
wait_until 30 port_is_open 5010 || die "the relay does not listen"

jobs=()
for namespace in a b c d e f; do
        jobs+=("$(pull "$namespace" localhost:5010/layers:1)")
done
for job in "${jobs[@]}"; do
        check "a pull of several ends" wait_job "$job"
done
check "no blob was fetched twice" each_once "^GET .*/blobs/"
check "and no manifest" each_once "^GET .*/manifests/"
check_equal "all have it" 6 "$(busctl call "${manager[@]}" ListImages 'a{sv}' 1 AllNamespaces b true | grep -o '"Unpacked"' | wc -l)"
check_equal "its layers were extracted once" "$(sqlite3 /var/lib/ctr/ctr.db 'SELECT count(*) FROM snapshots')" \
        "$(find /var/lib/ctr/snapshots/overlayfs -mindepth 1 -maxdepth 1 -name '[0-9]*' | wc -l)"

before=$(journalctl --unit=test-relay.service --output=cat | grep -c '^GET .*/\(manifests\|blobs\)/')
start=$(date +%s%N)
check "once more" wait_job "$(pull a localhost:5010/layers:1)"
echo "# a pull that finds nothing new took $((($(date +%s%N) - start) / 1000)) us, with two calls of busctl"
check_equal "nothing is fetched" "$before" "$(journalctl --unit=test-relay.service --output=cat | grep -c '^GET .*/\(manifests\|blobs\)/')"
check_match "the registry was asked" "HEAD /v2/layers/manifests/1" \
        "$(journalctl --unit=test-relay.service --output=cat | tail -n 3)"
