#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Pulls that meet: what a registry is asked for when several want the same, who waits for whom, and how long a pull takes
# that finds nothing new. What each method and option does is in tests/api/walk_transfers.py.

# shellcheck disable=SC2016
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
        journalctl --sync
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

# asked: how often the relay was asked for a manifest or a blob.
asked() {
        journalctl --sync
        journalctl --unit=test-relay.service --output=cat | grep -c '^GET .*/\(manifests\|blobs\)/'
}
before=$(asked)
start=$(date +%s%N)
check "once more" wait_job "$(pull a localhost:5010/layers:1)"
echo "# a pull that finds nothing new took $((($(date +%s%N) - start) / 1000)) us, with two calls of busctl"
check_equal "nothing is fetched" "$before" "$(asked)"
check_match "the registry was asked" "HEAD /v2/layers/manifests/1" \
        "$(journalctl --unit=test-relay.service --output=cat | tail -n 3)"

# Who waits for the same, and does not want it any more: a registry that stands still in the middle of blobs
gate=$test_dir/gate
"$(dirname "$(realpath "${BASH_SOURCE[0]}")")/request-log" 5011 5000 "$gate" >"$test_dir/gated" 2>/dev/null &
wait_until 30 port_is_open 5011 || die "the other relay does not listen"

# the phase of a job
phase_is() {
        [[ $(busctl get-property org.example.Ctr "$1" org.example.Ctr.Job Phase) == "s \"$2\"" ]]
}

cancel() {
        busctl call org.example.Ctr "$1" org.example.Ctr.Job Cancel 'a{sv}' 0
}

jobs_left() {
        busctl --json=short call "${manager[@]}" ListJobs 'a{sv}' 1 AllNamespaces b true | jq '.data[0] | length'
}

# two NAME: begins two pulls of an image whose blobs nothing else has, which come as far as they can.
two() {
        head -c 1000000 /dev/urandom >"$test_dir/random"
        tar -C "$test_dir" -cf "$test_dir/root.tar" random
        ctrctl import -q "$test_dir/root.tar" "localhost:5000/$1:1" >/dev/null || die "no image"
        ctrctl push -q "localhost:5000/$1:1" >/dev/null || die "no image in the registry"
        ctrctl rmi "localhost:5000/$1:1" >/dev/null || die "the image stays"
        busctl call "${manager[@]}" CollectGarbage 'a{sv}' 0 >/dev/null
        touch "$gate"
        first=$(pull default "localhost:5011/$1:1")
        second=$(pull b "localhost:5011/$1:1")
        check_within "one pulls" 20 phase_is "$first" download
        check_within "the other one waits" 20 phase_is "$second" wait
        check_within "some of a blob is there" 20 eval '[[ -n $(find /var/lib/ctr/content/ingest -type f -size +0) ]]'
        manifest=$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://localhost:5000/v2/$1/manifests/1" |
                sha256sum | cut -d ' ' -f 1)
        check_equal "what the first one needs is in a lease" 1 \
                "$(sqlite3 /var/lib/ctr/ctr.db "SELECT count(*) FROM lease_resources WHERE type = 'content' AND key = 'sha256:$manifest'")"
}

# sent NAME: how often a layer was asked for.
sent() {
        local layer

        layer=$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://localhost:5000/v2/$1/manifests/1" |
                jq -r '.layers[0].digest')
        grep -c "^GET .*/blobs/$layer" "$test_dir/gated"
}

images_of() {
        busctl call "${manager[@]}" ListImages 'a{sv}' 1 AllNamespaces b true | grep -o "\"localhost:5011/$1:1\"" | wc -l
}

two other
runuser -u tester -- busctl call org.example.Ctr "$first" org.example.Ctr.Job Cancel 'a{sv}' 0 2>/dev/null
check_equal "a user does not cancel root's" 1 "$?"
check "who waits is canceled" cancel "$second"
check_fails "and hears it" "canceled" wait_job "$second"
check "the other one is not disturbed" phase_is "$first" download
rm "$gate"
check "and ends" wait_job "$first"
check_equal "what it fetched, once" 1 "$(sent other)"

two second
check "who pulls is canceled" cancel "$first"
check_fails "and hears it" "canceled" wait_job "$first"
check_within "the other one goes on" 20 phase_is "$second" download
rm "$gate"
check "and ends" wait_job "$second"
check_equal "where the first one stopped" 2 "$(sent second)"
check_equal "nobody else has the image" 1 "$(images_of second)"

two third
check "both are canceled" eval 'cancel "$second" && cancel "$first"'
check_fails "one hears it" "canceled" wait_job "$first"
check_fails "the other one, too" "canceled" wait_job "$second"
rm "$gate"
check_equal "no job is left" 0 "$(jobs_left)"
check_equal "no image" 0 "$(images_of third)"
check_within "no worker" 10 eval '! pgrep -x ctr-worker'
check_equal "what was fetched stays" 1 "$(find /var/lib/ctr/content/ingest -type f | wc -l)"
check "a pull after that" wait_job "$(pull default localhost:5011/third:1)"
check_equal "goes on from there" 0 "$(find /var/lib/ctr/content/ingest -type f | wc -l)"
check_equal "by one more request" 2 "$(sent third)"
