#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=600
#
# Content, leases and garbage collection (D48, A1.6, A1.9, A1.14, B31, C23, C24): what is held by what, what goes and
# when, what a damaged store says and how it heals, and that a killed manager leaves nothing behind.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
store=/var/lib/ctr
demo=localhost:5000/demo:latest
layers=localhost:5000/layers:latest

# content MEMBER ...: see content-client.
content() {
        "$here/content-client" "$@"
}

# ask EXPRESSION MEMBER ...: a Python expression over the answer a.
ask() {
        content "${@:2}" | python3 -c 'import json, sys; a = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

# files: how many blobs there are on the disk.
files() {
        find "$store/content/sha256" -type f | wc -l
}

# trees: how many snapshots there are on the disk.
trees() {
        find "$store/snapshots/overlayfs" -mindepth 1 -maxdepth 1 | wc -l
}

# same_as_rows: every blob and every tree has its row, and the other way round.
same_as_rows() {
        [[ $(files) == "$(ask 'a["Blobs"]' DiskUsage AllNamespaces=true)" &&
                $(trees) == "$(ask 'a["Snapshots"]' DiskUsage AllNamespaces=true)" ]]
}

registry_start
image_push busybox demo:latest
image_push layers layers:latest
check "an image is pulled" ctrctl pull "$demo"

# --- Content ---
check_equal "its blobs are the content of its namespace" "$(files)" "$(ask 'len(a)' ListContent)"
check_equal "and not of another one" 0 "$(ask 'len(a)' ListContent Namespace=other)"
check_equal "each says how many images need it" "{1}" "$(ask 'set(e["Images"] for d, e in a)' ListContent)"
manifest=$(ask '[d for d, e in a if "manifest" in e["MediaType"]][0]' ListContent)
check_equal "filters select" "$manifest" "$(ask 'a[0][0]' ListContent "Filters=LIST:digest==$manifest")"
check_equal "by media type" 1 "$(ask 'len(a)' ListContent 'Filters=LIST:mediatype~=manifest')"
check_fails "a bad filter says where" "InvalidArgument.*Filters" content ListContent 'Filters=LIST:=='
check_equal "GetContent gives the blob" "${manifest#sha256:}" "$(content GetContent "$manifest" | sha256sum | cut -d' ' -f1)"
check_fails "not to another namespace" "NotFound" content GetContent "$manifest" Namespace=other
check_fails "what is no digest" "InvalidArgument" content GetContent sha256:beef
check_fails "content that is needed stays, and says who needs it" "FailedPrecondition.*$demo" content DeleteContent "$manifest"
check_equal "nothing is damaged" "0 []" "$(ask 'str(a["NDamaged"]) + " " + str(a["Damaged"])' VerifyContent)"
check_equal "the disk's usage adds up" "1 $(files)" "$(ask '" ".join((str(a["Images"]), str(a["Blobs"])))' DiskUsage)"
check_equal "all of it can be had back, as no container needs it" True \
        "$(ask 'a["ReclaimableBytes"] == a["ContentBytes"] + a["SnapshotBytes"] > 0' DiskUsage)"

# --- Namespaces share blobs ---
check "the same image in another namespace" ctrctl --namespace=other pull "$demo"
before=$(files)
check_equal "needs no more blobs (C23)" "$(ask 'len(a)' ListContent)" "$before"
check_equal "but has them" "$before" "$(ask 'len(a)' ListContent Namespace=other)"
check "one name is removed" content DeleteImage "$demo" Namespace=other Synchronous=true
check_equal "its namespace has no content any more" 0 "$(ask 'len(a)' ListContent Namespace=other)"
check_equal "the other one has all of it" "$before" "$(files)"

# --- Labels ---
check "a label makes a root" content SetContentLabels "$manifest" '{containerd.io/gc.root=now}'
check_equal "which is shown" now "$(ask 'a[0][1]["Labels"]["containerd.io/gc.root"]' ListContent "Filters=LIST:labels.\"containerd.io/gc.root\"")"
check "the image is removed, and waited for (A1.9)" content DeleteImage "$demo" Synchronous=true
check_equal "the root stays" "['$manifest']" "$(ask '[d for d, e in a]' ListContent)"
check_equal "alone" "1 0" "$(files) $(trees)"
check "without the label" content SetContentLabels "$manifest" '{}'
check "it is collected" content CollectGarbage
check_equal "and nothing is left" "0 0" "$(files) $(trees)"

# --- Leases ---
lease=$(ask a CreateLease "")
check_match "a lease without a name gets one" "^lease-[0-9a-f]{32}$" "$lease"
check "one with a name" content CreateLease keep 'Labels={purpose=test}'
check_fails "only once" "AlreadyExists.*keep" content CreateLease keep
check_fails "a bad name" "InvalidArgument" content CreateLease a/b
check_fails "a bad time" "InvalidArgument.*gc.expire" content CreateLease late 'Labels={containerd.io/gc.expire=tomorrow}'
check_equal "they are listed" "['keep', '$lease']" "$(ask '[i for i, e in a]' ListLeases)"
check_equal "with their labels" test "$(ask 'a[0][1]["Labels"]["purpose"]' ListLeases)"
check "the image again" ctrctl pull "$demo"
check_equal "no lease of the pull is left" 2 "$(ask 'len(a)' ListLeases AllNamespaces=true)"
check "the lease holds its manifest" content AddLeaseResource keep content "$manifest"
check_fails "no lease holds what has no type" "InvalidArgument.*no type" content AddLeaseResource keep blobs "$manifest"
check_fails "nor does one that is not there" "NotFound" content AddLeaseResource none content "$manifest"
check_equal "and says so" "[['content', '$manifest']]" "$(ask a ListLeaseResources keep)"
check "the image is removed" content DeleteImage "$demo" Synchronous=true
check_equal "what the lease holds stays" 1 "$(files)"
check_fails "and is not to be removed" "FailedPrecondition.*lease.*keep" content DeleteContent "$manifest"
check "the lease is removed, and waited for" content DeleteLease keep Synchronous=true
check_equal "so it goes" 0 "$(files)"
check "a lease for a pull" content CreateLease pulled
check_fails "which must be there" "NotFound.*lease.*none" content PullImage "$demo" Lease=none
check "the image is pulled under it (A1.14)" content PullImage "$demo" Lease=pulled
check_equal "and is what it holds" "['content', 'images', 'snapshots/overlayfs']" "$(ask 'sorted({t for t, k in a})' ListLeaseResources pulled)"
check "a container, too" content CreateContainer c1 "$demo" Lease=pulled
check "the container is removed" ctrctl rm c1
check "and the image" content DeleteImage "$demo" Synchronous=true
check_equal "nothing of it has gone" "$before" "$(files)"
check "until the lease is" content DeleteLease pulled Synchronous=true
check_equal "with all it held" "0 0" "$(files) $(trees)"
check "a lease that ends soon" content CreateLease short "Expires=$(($(date +%s) * 1000000 + 8000000))"
no_short() {
        [[ $(ask '"short" in [i for i, e in a]' ListLeases) == False ]]
}
check_within "by itself" 20 no_short

# --- Damage ---
check "the image of several layers" ctrctl pull "$layers"
blob=$(ask 'max((e["Size"], d) for d, e in a)[1]' ListContent)
chmod u+w "$store/content/sha256/${blob#sha256:}"
printf 'damage' | dd of="$store/content/sha256/${blob#sha256:}" conv=notrunc status=none
check_equal "a damaged blob is found" "['$blob']" "$(ask 'a["Damaged"]' VerifyContent)"
check_equal "and put aside" "['$blob']" "$(ask 'a["Damaged"]' VerifyContent Quarantine=true)"
check_equal "where it is listed" "['$blob']" "$(ask '[d for d, e in a]' ListQuarantine)"
path=$(busctl --json=short call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager GetImage 'sa{sv}' "$layers" 0 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["data"][0])')
damaged() {
        busctl get-property org.example.Ctr "$path" org.example.Ctr.Image Damaged
}
check_equal "the image says so" "b true" "$(damaged)"
check_fails "the blob cannot be read" "DataLoss" content GetContent "$blob"
manager_kill
check_equal "also to the next manager" "b true" "$(damaged)"
check "a pull heals it" ctrctl pull "$layers"
check_equal "as it says" "b false" "$(damaged)"
check_equal "the blob is what it should be" "${blob#sha256:}" "$(content GetContent "$blob" | sha256sum | cut -d' ' -f1)"
check "the quarantine is emptied" content CollectGarbage Quarantine=true
check_equal "of all there was" 0 "$(ask 'len(a)' ListQuarantine)"
rm "$store/content/sha256/${blob#sha256:}"
manager_kill
check_equal "what is missing at the start is damage, too" "b true" "$(damaged)"
check "and healed" ctrctl pull "$layers"
check_equal "likewise" "b false" "$(damaged)"

# --- What is on its way ---
check "the layers are gone" content DeleteImage "$layers" Synchronous=true
cat >"$test_dir/slow.py" <<'END'
"""A registry that stands still in the middle of each layer: what comes before goes to the real one."""
import http.server
import threading
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        request = urllib.request.Request("http://localhost:5000" + self.path, method=self.command,
                                         headers={"Accept": self.headers.get("Accept", "*/*")})
        try:
            with urllib.request.urlopen(request) as answer:
                body = answer.read()
                self.send_response(answer.status)
                for name in ("Content-Type", "Docker-Content-Digest"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
        except urllib.error.HTTPError as e:
            body = e.read()
            self.send_response(e.code)
        self.send_header("Content-Length", str(len(body) or answer.headers["Content-Length"]))
        self.end_headers()
        if self.command == "HEAD":
            return
        if len(body) < 100000:
            self.wfile.write(body)
            return
        self.wfile.write(body[:50000])
        self.wfile.flush()
        threading.Event().wait()

    do_HEAD = do_GET


http.server.ThreadingHTTPServer(("127.0.0.1", 5001), Handler).serve_forever()
END
python3 "$test_dir/slow.py" 2>/dev/null &
slow_pid=$!
wait_until 20 port_is_open 5001 || die "the slow registry does not start"
ctrctl pull localhost:5001/demo:latest >/dev/null 2>&1 &
pull_pid=$!
standing() {
        [[ $(ask '[e["Offset"] for d, e in a if e["Total"] > e["Offset"]]' ListIngests) == "[50000]" ]]
}
check_within "a pull that stands still is listed (A1.6)" 20 standing
check_equal "not in another namespace (A1.6)" 0 "$(ask 'len(a)' ListIngests Namespace=other)"
check_equal "what it needs is in a lease" pull "$(ask '[e["Labels"]["org.example.Ctr/job"] for i, e in a if "org.example.Ctr/job" in e["Labels"]][0]' ListLeases)"
check_equal "meanwhile garbage is collected" 0 "$(ask 'a["Blobs"]' CollectGarbage)"
# nobody tries it again
kill -KILL "$pull_pid"
manager_kill
kill "$slow_pid"
check_within "the next manager keeps what was fetched (C24)" 20 standing
check_equal "and the lease" 1 "$(ask 'len([i for i, e in a if "org.example.Ctr/job" in e["Labels"]])' ListLeases)"
check "which can be removed" content DeleteLease "$(ask '[i for i, e in a if "org.example.Ctr/job" in e["Labels"]][0]' ListLeases)" Synchronous=true
check "a blob without a record" touch "$store/content/sha256/$(printf 'a%.0s' {1..64})"
check "is what a lease holds" content AddLeaseResource "$lease" content "sha256:$(printf 'a%.0s' {1..64})"
manager_kill
busctl call org.example.Ctr / org.freedesktop.DBus.Peer Ping
check_equal "so the next manager keeps it" 1 "$(files)"
check "without the lease" content DeleteLease "$lease" Synchronous=true
check_equal "it goes" 0 "$(files)"
rm -f "$store"/content/ingest/*
check "the layers again" ctrctl pull "$layers"

# --- What a crash leaves ---
printf x >"$store/content/sha256/$(printf 'e%.0s' {1..64})"
mkdir "$store/snapshots/overlayfs/4711"
touch --date='2 days ago' "$store/content/ingest/$(printf 'd%.0s' {1..64})"
touch "$store/content/ingest/$(printf 'c%.0s' {1..64})"
manager_kill
check_within "a blob and a tree without a record go at the start" 20 same_as_rows
check_equal "a partial blob stays for a day (C24)" "$(printf 'c%.0s' {1..64})" "$(ls "$store/content/ingest")"

# --- Killed in the middle of a collection ---
check "strace is there" command -v strace
cat >/run/collect-and-die <<'END'
#!/bin/bash
# The Nth call of a kind kills the manager while a collection is under way.
pid=$(systemctl show --property=MainPID --value ctr.service)
exec strace --quiet=all -f -p "$pid" -o /run/strace.out -e trace="$1" -e inject="$1:signal=KILL:when=$2"
END
chmod +x /run/collect-and-die
tracing() {
        grep -qv '^TracerPid:[[:space:]]*0$' <(grep TracerPid "/proc/$(manager_pid)/status")
}
kills=0
for step in fdatasync:1 fdatasync:2 pwrite64:1 pwrite64:3 pwrite64:6 unlinkat:1 unlinkat:2 unlinkat:4 renameat2:1 renameat2:2; do
        ctrctl pull "$demo" >/dev/null 2>&1 || die "cannot pull"
        /run/collect-and-die "${step%:*}" "${step#*:}" &
        strace_pid=$!
        wait_until 10 tracing || die "strace does not attach"
        content DeleteImage "$demo" Synchronous=true >/dev/null 2>&1 && kill "$strace_pid" 2>/dev/null || kills=$((kills + 1))
        wait "$strace_pid" 2>/dev/null
        wait_until 20 busctl --timeout=10 call org.example.Ctr / org.freedesktop.DBus.Peer Ping >/dev/null 2>&1 || die "no manager"
        if ! wait_until 20 same_as_rows; then
                not_ok "killed at $step: rows and files are the same"
                diagnose "files $(files), trees $(trees): $(content DiskUsage AllNamespaces=true)"
        fi
        [[ $(damaged) == "b false" ]] || not_ok "killed at $step: nothing that is needed is missing"
        [[ $(ask 'a["NDamaged"]' VerifyContent) == 0 ]] || not_ok "killed at $step: no blob is damaged"
done
check "the manager was killed in the middle, $kills times" test "$kills" -ge 6
check "and what is needed is all there" ctrctl run --rm "$layers" /bin/true
