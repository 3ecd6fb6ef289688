# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ctr-worker pull against private registries: a password, a token with and without credentials, an authority and a
# certificate of one's own, mirrors.
#
# testbed: run

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/private-lib"

worker=/usr/lib/ctr/ctr-worker
store=/var/lib/ctr/test-pull
secret='p:ss "w0rd"'

# pull REFERENCE OPTION...: from an empty store.
pull() {
        rm -rf "$store"
        "$worker" pull --root="$store" --no-unpack "${@:2}" "$1"
}

auth_file() {
        printf '{"auths": {"%s": {"auth": "%s"}}}' "$1" "$(printf '%s' "$2" | base64 -w 0)" >"$test_dir/auth.json"
        export REGISTRY_AUTH_FILE=$test_dir/auth.json
}

certificate_make server
certificate_make client

# Name and password
hash=$(python3 -W ignore -c 'import crypt, sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH)))' "$secret")
registry_start_private team "$hash"
image_push busybox busybox:1 --dest-creds "team:$secret"
check_fails "without a name a private registry is PermissionDenied" \
        "PermissionDenied: The registry localhost:5000 wants a user name and a password" pull localhost:5000/busybox:1
auth_file localhost:5000 "team:$secret"
check "a password of the configuration opens it" pull localhost:5000/busybox:1
auth_file localhost:5000/other "team:$secret"
check_fails "that of another path does not" "PermissionDenied" pull localhost:5000/busybox:1
auth_file localhost:5000 "team:wrong"
capture pull localhost:5000/busybox:1
check_equal "a wrong one fails" 1 "$status"
check_match "it is PermissionDenied" "PermissionDenied: The registry localhost:5000 refuses access" "$stderr"
check_equal "and in no error" "" "$(grep -e wrong -e "$(printf 'team:wrong' | base64)" <<<"$stderr")"
unset REGISTRY_AUTH_FILE

mkdir -p "$test_dir/home/.docker"
printf '{"auths": {"https://localhost:5000/v1/": {"auth": "%s"}}}' "$(printf 'team:%s' "$secret" | base64 -w 0)" \
        >"$test_dir/home/.docker/config.json"
check "so does one of Docker's configuration" env HOME="$test_dir/home" "$worker" pull --root="$store" --no-unpack \
        localhost:5000/busybox:1

python3 -c 'import json, sys; print(json.dumps({"username": "team", "password": sys.argv[1]}))' "$secret" \
        >"$test_dir/credentials"
check "and one that comes with the job" pull localhost:5000/busybox:1 --credentials-fd=9 9<"$test_dir/credentials"
check_fails "bad credentials are InvalidArgument" "InvalidArgument: The credentials need" \
        pull localhost:5000/busybox:1 --credentials-fd=9 9<<<'{"username": "team"}'
registry_stop

# A token
token_registry_start team "$secret" "refresh me"
for name in public/busybox private/busybox; do
        skopeo copy --quiet --dest-tls-verify=false --dest-creds "team:$secret" "oci:$images_dir/busybox:latest" \
                "docker://localhost:5001/$name" || die "cannot push $name"
done
check "everybody gets a token for what is public" pull localhost:5001/public/busybox
check_fails "but not for what is private" "PermissionDenied: The registry localhost:5001 refuses access" \
        pull localhost:5001/private/busybox
auth_file localhost:5001 "team:$secret"
check "with a password there is one for it" pull localhost:5001/private/busybox
check "the account is named" journal_wait 10 "account=team.* trusted" -u test-token-server.service
printf '{"auths": {"localhost:5001": {"identitytoken": "refresh me"}}}' >"$test_dir/auth.json"
check "and with an identity token" pull localhost:5001/private/busybox
check "by the form of OAuth2" journal_wait 10 "POST /token trusted" -u test-token-server.service
printf '{"auths": {"localhost:5001": {"identitytoken": "another"}}}' >"$test_dir/auth.json"
check_fails "a wrong one is PermissionDenied" "PermissionDenied: The token server .* refused" pull localhost:5001/private/busybox
unset REGISTRY_AUTH_FILE

# TLS with an authority of one's own, and a certificate that it asks for
registry_serve_as tls 5003 "http: {addr: '127.0.0.1:5003', tls: {certificate: $test_dir/server.crt, key: $test_dir/server.key, clientcas: [$test_dir/client.crt]}}"
export CTR_CERTS_DIR=$test_dir/certs.d
certs=$CTR_CERTS_DIR/localhost:5003
mkdir -p "$certs"
cp "$test_dir/client.crt" "$certs/client.cert"
cp "$test_dir/client.key" "$certs/client.key"
skopeo copy --quiet --dest-cert-dir="$certs" --dest-tls-verify=false "oci:$images_dir/busybox:latest" \
        docker://localhost:5003/busybox:1 || die "cannot push with TLS"
check_fails "an unknown authority is refused" "Unavailable: .*certificate" pull localhost:5003/busybox:1
cp "$test_dir/server.crt" "$certs/ca.crt"
check "a configured one is trusted" pull localhost:5003/busybox:1
if python3 -c 'import ctypes; raise SystemExit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 2)'; then # Landlock
        mkdir -p "$store/secrets"
        mv "$certs/ca.crt" "$store/secrets/ca.crt"
        ln -s "$store/secrets/ca.crt" "$certs/ca.crt"
        check_fails "of the store the worker reads content and snapshots only" "ca.crt.*Permission denied" \
                "$worker" pull --root="$store" --no-unpack localhost:5003/busybox:1
        mv "$store/secrets/ca.crt" "$certs/ca.crt"
fi
rm "$certs/client.key"
check_fails "a certificate without its key is InvalidArgument" "InvalidArgument: .*client.cert has no key" \
        pull localhost:5003/busybox:1
rm "$certs/client.cert"
check_fails "and without ours the registry refuses" "Unavailable: " pull localhost:5003/busybox:1

# Mirrors: one that is not there, one without the image, one that has it
registry_start
image_push busybox cache/busybox:1
mirrors_write "$test_dir/registries.conf" registry.invalid localhost:1 localhost:5000/empty localhost:5000/cache
export CONTAINERS_REGISTRIES_CONF=$test_dir/registries.conf
check "mirrors are asked in order" pull registry.invalid/busybox:1
check_match "the name stays" '"reference": ?"registry.invalid/busybox:1"' "$stdout"
check_fails "what none has is the registry's error" "Unavailable: .*registry.invalid" pull registry.invalid/none:1
