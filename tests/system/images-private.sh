#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# Private registries by way of the service: a password, a token, an authority and a client's certificate of one's own,
# mirrors. What we push is what skopeo and umoci find and podman and containerd pull; a secret is nowhere but where it
# was put. What the worker alone does is in pull-private.sh and push.sh.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/private-lib"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
secret='p:ss "w0rd"-c4e1'
wrong='wr0ng-9d2b'
refresh='refresh-77aa'

# What workers are given: their arguments and environment.
mkdir /usr/lib/ctr/real
mv /usr/lib/ctr/ctr-worker /usr/lib/ctr/real/
cat >/usr/lib/ctr/ctr-worker <<END
#!/bin/sh
tr '\\0' '\\n' <"/proc/\$\$/cmdline" >>/run/worker-arguments
env >>/run/worker-arguments
exec /usr/lib/ctr/real/ctr-worker "\$@"
END
chmod +x /usr/lib/ctr/ctr-worker
bus_record service "type='signal',path_namespace='/org/example/Ctr'"

hash=$(python3 -W ignore -c 'import crypt, sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))' "$secret")
registry_start_private team "$hash"
certificate_make server
certificate_make client
token_registry_start team "$secret" "$refresh"
registry_serve_as tls 5003 "auth: {htpasswd: {realm: test, path: $test_dir/htpasswd}}" \
        "http: {addr: '127.0.0.1:5003', tls: {certificate: $test_dir/server.crt, key: $test_dir/server.key, clientcas: [$test_dir/client.crt]}}"
registry_serve_as open 5004 "http: {addr: ':5004'}"

# it takes as long as all that follows
"$here/credentials-client" localhost:5000/team/unclosed:1 team "$secret" 2>"$test_dir/unclosed" &
unclosed=$!

# An image of ours that no registry has
check "an image" ctrctl load --quiet --name=localhost/ours "$images_dir/layers"
ours=$(ctrctl images -q | head -n 1)
digest=$(skopeo inspect --format '{{.Digest}}' "oci:$images_dir/layers:latest")
umoci unpack --image "$images_dir/layers:latest" "$test_dir/bundle" >/dev/null || die "umoci cannot unpack"
"$here/pull-compare" "$test_dir/bundle/rootfs" >"$test_dir/tree"

podman_here() {
        podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" "$@"
}

mkdir -p "$test_dir/containerd"
printf '%s\n' 'version = 2' "root = \"$test_dir/containerd\"" "state = \"$test_dir/containerd-state\"" \
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]' '[grpc]' "address = \"$test_dir/containerd.sock\"" \
        >"$test_dir/containerd.toml"
systemd-run --quiet --unit=test-containerd.service -p KillSignal=SIGKILL containerd --config "$test_dir/containerd.toml" ||
        die "containerd cannot be started"
wait_until 30 ctr --address "$test_dir/containerd.sock" version || die "containerd does not answer"

# others HOST CTR-OPTION...: what was pushed there as team/ours:1 is what they find.
others() {
        local host=$1

        check_equal "$host: skopeo finds our digest" "$digest" "$(skopeo inspect --cert-dir="$certs" --tls-verify=false \
                --creds "team:$secret" --format '{{.Digest}}' "docker://$host/team/ours:1" 2>&1)"
        rm -rf "$test_dir/copy" "$test_dir/copy-bundle"
        check "$host: and all of it" skopeo copy --quiet --src-cert-dir="$certs" --src-tls-verify=false \
                --src-creds "team:$secret" "docker://$host/team/ours:1" "oci:$test_dir/copy:1"
        umoci unpack --image "$test_dir/copy:1" "$test_dir/copy-bundle" >/dev/null 2>&1
        check_equal "$host: which umoci unpacks to the same" "" \
                "$(diff "$test_dir/tree" <("$here/pull-compare" "$test_dir/copy-bundle/rootfs") 2>&1 | head -n 5)"
        podman_here rmi --all --force >/dev/null 2>&1
        check "$host: podman pulls it" podman_here pull --quiet --tls-verify=false --cert-dir="$certs" --creds "team:$secret" \
                "$host/team/ours:1"
        check_equal "$host: as ours" "$digest" "$(podman_here image inspect --format '{{.Digest}}' "$host/team/ours:1")"
        check "$host: so does containerd" ctr --address "$test_dir/containerd.sock" content fetch "${@:2}" \
                --user "team:$secret" "$host/team/ours:1"
        check_match "$host: as ours" "$host/team/ours:1 .*$digest" "$(ctr --address "$test_dir/containerd.sock" image list)"
}

# registry HOST CTR-OPTION...: everything that one does with a private registry.
registry() {
        local host=$1 image=$1/team/ours:1

        check_fails "$host: nobody pushes without a password" 'PermissionDenied|ctrctl login' ctrctl push -q "$ours" "$image"
        check_match "$host: and hears what to do" "ctrctl login $host" "$stderr"
        check "$host: login" eval 'ctrctl login -u team --password-stdin "$host" <<<"$wrong"'
        check_fails "$host: a wrong password does not push" 'refuse' ctrctl push -q "$ours" "$image"
        check_fails "$host: nor pull" 'refuse' ctrctl pull -q "$image"
        check "$host: login with the right one" eval 'ctrctl login -u team --password-stdin "$host" <<<"$secret"'
        check_equal "$host: push" "$digest" "$(ctrctl push -q "$ours" "$image" 2>&1)"
        others "$@"
        check "$host: pull" ctrctl pull -q "$image"
        check "$host: it goes" ctrctl rmi "$image"
        check "$host: logout" ctrctl logout "$host"
        check_fails "$host: nobody pulls without a password" "ctrctl login $host" ctrctl pull -q "$image"
        check "$host: one may come with the call" eval 'ctrctl pull -q --creds-stdin "$image" <<<"team:$secret"'
        check_equal "$host: what came is what was sent" "$digest" "$(ctrctl resolve "$ours" --creds-stdin <<<"team:$secret" 2>/dev/null ||
                sqlite3 /var/lib/ctr/ctr.db "SELECT digest FROM images WHERE name = '$image'")"
        check "$host: also for a push" eval 'ctrctl push -q --creds-stdin "$ours" "$host/team/again:1" <<<"team:$secret"'
        check_fails "$host: a wrong one is refused" 'refuse' eval 'ctrctl pull -q --creds-stdin "$image" <<<"team:$wrong"'
        check "$host: it goes again" ctrctl rmi "$image"
}

certs=$test_dir/no-certs
mkdir -p "$certs"
registry localhost:5000 --plain-http
registry localhost:5001 --plain-http

mkdir -p /run/containers/0
printf '{"auths": {"localhost:5001": {"identitytoken": "%s"}}}' "$refresh" >/run/containers/0/auth.json
check "an identity token of auth.json" ctrctl pull -q localhost:5001/team/ours:1
printf '{"auths": {"localhost:5001": {"identitytoken": "%s"}}}' "$wrong" >/run/containers/0/auth.json
check_fails "a wrong one is refused" 'token server .* refused' ctrctl pull -q localhost:5001/team/ours:1
rm /run/containers/0/auth.json

# An authority and a certificate of one's own
certs=/etc/containers/certs.d/localhost:5003
check_fails "an unknown authority is refused" 'certificate' ctrctl pull -q localhost:5003/team/ours:1
mkdir -p "$certs"
cp "$test_dir/server.crt" "$certs/ca.crt"
check_fails "a registry that wants a certificate does not speak to who has none" 'localhost:5003' \
        ctrctl pull -q localhost:5003/team/ours:1
cp "$test_dir/client.crt" "$certs/client.cert"
cp "$test_dir/client.key" "$certs/client.key"
mkdir -p "$test_dir/hosts/localhost:5003"
cat >"$test_dir/hosts/localhost:5003/hosts.toml" <<END
server = "https://localhost:5003"
[host."https://localhost:5003"]
  capabilities = ["pull", "resolve"]
  ca = "$certs/ca.crt"
  client = [["$certs/client.cert", "$certs/client.key"]]
END
registry localhost:5003 --hosts-dir "$test_dir/hosts"

# Mirrors, and registries without TLS that are not on loopback
check "an image for the mirror" ctrctl push -q "$ours" localhost:5004/cache/ours:1
mkdir -p /etc/containers/registries.conf.d
mirrors_write /etc/containers/registries.conf.d/50-test.conf registry.invalid \
        localhost:1 localhost:5000/empty localhost:5004/empty localhost:5004/cache
check "mirrors are asked in their order" ctrctl pull -q registry.invalid/ours:1
check_equal "the name stays" "$digest" "$(sqlite3 /var/lib/ctr/ctr.db "SELECT digest FROM images WHERE name = 'registry.invalid/ours:1'")"
check_fails "what none has is the registry's error" 'registry.invalid' ctrctl pull -q registry.invalid/none:1
ip address add 192.0.2.1/32 dev lo
check_fails "elsewhere nobody is spoken to without TLS" '192.0.2.1' ctrctl pull -q 192.0.2.1:5004/cache/ours:1
printf '[[registry]]\nlocation = "192.0.2.1:5004"\ninsecure = true\n' >>/etc/containers/registries.conf.d/50-test.conf
check "but where the configuration says so" ctrctl pull -q 192.0.2.1:5004/cache/ours:1
check "push as well" ctrctl push -q "$ours" 192.0.2.1:5004/cache/ours:2

# Where secrets are not
wait "$unclosed"
check_match "credentials that do not end are not waited for" "DeadlineExceeded.*close the pipe" "$(cat "$test_dir/unclosed")"
check_equal "no job is left of it" 0 "$(busctl --json=short call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager ListJobs 'a{sv}' 0 2>/dev/null | jq '.data[0] | length')"
# without the token server, which has them as arguments
journalctl --output=export --unit=ctr.service --unit=dbus.service --unit=polkit.service >"$test_dir/journal"
for s in "$secret" "$wrong" "$refresh" "$(printf 'team:%s' "$secret" | base64 -w 0)" "$(printf 'team:%s' "$wrong" | base64 -w 0)"; do
        check_equal "a secret is not in the journal, on the bus, in arguments, in the store" "" \
                "$(grep -rlaF -e "$s" "$test_dir/journal" "$test_dir/bus.service" /run/worker-arguments /var/lib/ctr /run/ctr 2>/dev/null)"
done
check "all of which is there" test -s "$test_dir/journal" -a -s "$test_dir/bus.service" -a -s /run/worker-arguments
