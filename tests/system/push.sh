# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ctr-worker push and resolve against Docker's registry: open, with a password, with a token, with TLS; and what others
# pull from there afterwards.
#
# testbed: run

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/private-lib"

worker=/usr/lib/ctr/ctr-worker
store=/var/lib/ctr/test-push
secret='p:ss "w0rd"'

# push REFERENCE OPTION...: what was pulled last.
push() {
        "$worker" push --root="$store" --from-digest="$digest" "${@:2}" "$1"
}

# field NAME: a member of the result on standard output.
field() {
        python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1" <<<"$stdout"
}

# blobs DIRECTORY: names and sizes of the blobs of a directory that skopeo has filled, the manifest included.
blobs() {
        (cd "$1" && find . -type f ! -name version -printf '%f %s\n' | sort)
}

# copy REFERENCE DIRECTORY OPTION...: what a registry has under that name, byte for byte.
copy() {
        skopeo copy --quiet --all --src-tls-verify=false "${@:3}" "docker://$1" "dir:$2"
}

raw() {
        skopeo inspect --raw --tls-verify=false "docker://$1"
}

registry_start
for image in busybox layers; do
        image_push "$image" "source/$image:1"
done
for image in busybox layers; do
        capture "$worker" pull --root="$store" --no-unpack "localhost:5000/source/$image:1"
        check_equal "$image is pulled" 0 "$status"
        digest=$(field digest)
        check "and pushed under another name" push "localhost:5000/copy/$image:2"
        check_equal "with the same digest" "$digest" "$(field digest)"
        copy "localhost:5000/source/$image:1" "$test_dir/$image.source" || die "skopeo cannot copy"
        copy "localhost:5000/copy/$image:2" "$test_dir/$image.copy" || die "skopeo cannot copy what was pushed"
        check_equal "byte for byte what was pulled" "$(blobs "$test_dir/$image.source")" "$(blobs "$test_dir/$image.copy")"
        check "the manifest, too" cmp "$test_dir/$image.source/manifest.json" "$test_dir/$image.copy/manifest.json"
        check "again: nothing is sent" push "localhost:5000/copy/$image:2"
        check_equal "no byte of a blob" "0 0" "$(field uploaded) $(field bytes)"
        check "into a repository that could take it over" push "localhost:5000/mounted/$image:2" --mount-from="copy/$image"
        check_equal "nothing is uploaded either" "0" "$(field uploaded)"
        check_match "all is mounted" '^[1-9]' "$(field mounted)"
        check "in pieces" push "localhost:5000/pieces/$image:2" --chunk-size=65536
        copy "localhost:5000/pieces/$image:2" "$test_dir/$image.pieces" || die "skopeo cannot copy what was pushed"
        check_equal "it arrives whole" "$(blobs "$test_dir/$image.source")" "$(blobs "$test_dir/$image.pieces")"
        check "the digest is resolved" "$worker" resolve "localhost:5000/copy/$image:2"
        check_equal "and right" "$digest" "$(field digest)"
done
check_fails "what is not there is NotFound" "NotFound: localhost:5000/copy/none has no manifest" \
        "$worker" resolve localhost:5000/copy/none:1

check "podman pulls what was pushed" podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" \
        pull --quiet --tls-verify=false localhost:5000/copy/layers:2
check_equal "with our digest" "$digest" \
        "$(podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" image inspect \
                --format '{{.Digest}}' localhost:5000/copy/layers:2)"

mkdir -p "$test_dir/containerd"
cat >"$test_dir/containerd.toml" <<CONF
version = 2
root = "$test_dir/containerd"
state = "$test_dir/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$test_dir/containerd.sock"
CONF
systemd-run --quiet --unit=test-containerd.service -p KillSignal=SIGKILL containerd --config "$test_dir/containerd.toml" ||
        die "containerd cannot be started"
wait_until 30 ctr --address "$test_dir/containerd.sock" version ||
        die "containerd does not answer: $(journalctl -u test-containerd.service)"
check "so does containerd" ctr --address "$test_dir/containerd.sock" content fetch --plain-http localhost:5000/copy/layers:2
check_match "with our digest as well" "$digest" "$(ctr --address "$test_dir/containerd.sock" image list)"
systemctl stop test-containerd.service

# An index of two platforms
raw localhost:5000/source/busybox:1 >"$test_dir/manifest.json"
python3 - "$test_dir/manifest.json" <<'PYTHON' >"$test_dir/index.json"
import hashlib, json, sys
data = open(sys.argv[1], "rb").read()
entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
print(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
    {**entry, "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "arm64")]}), end="")
PYTHON
check "an index is put into the registry" curl -fsS -X PUT -H "Content-Type: application/vnd.oci.image.index.v1+json" \
        --data-binary "@$test_dir/index.json" http://localhost:5000/v2/source/busybox/manifests/all
digest=sha256:$(sha256sum <"$test_dir/index.json" | cut -d ' ' -f 1)
check "it is pulled" "$worker" pull --root="$store" --no-unpack localhost:5000/source/busybox:all
check "and pushed with all of its platforms" push localhost:5000/copy/all:1 --all-platforms
check_equal "as it is" "$(cat "$test_dir/index.json")" "$(raw localhost:5000/copy/all:1)"
check "or without" push localhost:5000/copy/one:1 --platform=linux/arm64
check_equal "then it is the image alone" "$(cat "$test_dir/manifest.json")" "$(raw localhost:5000/copy/one:1)"
digest=sha256:$(sha256sum <"$test_dir/manifest.json" | cut -d ' ' -f 1)
registry_stop

# Name and password
hash=$(python3 -W ignore -c 'import crypt, sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH)))' "$secret")
rm -rf "$test_dir/registry"
registry_start_private team "$hash"
check_fails "without a name a private registry is PermissionDenied" "PermissionDenied: .* wants a user name" \
        push localhost:5000/busybox:1
python3 -c 'import json, sys; print(json.dumps({"username": "team", "password": sys.argv[1]}))' "$secret" \
        >"$test_dir/credentials"
check "a password opens it" push localhost:5000/busybox:1 --credentials-fd=9 9<"$test_dir/credentials"
check "skopeo finds it there" skopeo inspect --tls-verify=false --creds "team:$secret" docker://localhost:5000/busybox:1
check "and resolve needs the password, too" "$worker" resolve --credentials-fd=9 localhost:5000/busybox:1 \
        9<"$test_dir/credentials"
registry_stop

# A token
certificate_make server
token_registry_start team "$secret" "refresh me"
check_fails "everybody may pull what is public, but not push it" "PermissionDenied: " push localhost:5001/public/busybox
check "with a password there is a token for it" push localhost:5001/public/busybox --credentials-fd=9 9<"$test_dir/credentials"
check "which everybody can pull" "$worker" pull --root="$test_dir/other" --no-unpack localhost:5001/public/busybox
check "one token for two repositories" push localhost:5001/private/busybox --mount-from=public/busybox \
        --credentials-fd=9 9<"$test_dir/credentials"
check_equal "what is known there is mounted" "0" "$(field uploaded)"
printf '{"identity_token": "refresh me"}' >"$test_dir/credentials"
check "and with an identity token" push localhost:5001/private/again --mount-from=public/busybox \
        --credentials-fd=9 9<"$test_dir/credentials"
check_equal "that covers both repositories as well" "0" "$(field uploaded)"

# TLS with an authority of one's own
registry_serve_as tls 5003 "http: {addr: '127.0.0.1:5003', tls: {certificate: $test_dir/server.crt, key: $test_dir/server.key}}"
export CTR_CERTS_DIR=$test_dir/certs.d
mkdir -p "$CTR_CERTS_DIR/localhost:5003"
check_fails "an unknown authority is refused" "Unavailable: .*certificate" push localhost:5003/busybox:1
cp "$test_dir/server.crt" "$CTR_CERTS_DIR/localhost:5003/ca.crt"
check "a configured one is trusted" push localhost:5003/busybox:1
copy localhost:5003/busybox:1 "$test_dir/tls-copy" || die "skopeo cannot copy what was pushed"
check_equal "and what is there is right" "$(blobs "$test_dir/busybox.source")" "$(blobs "$test_dir/tls-copy")"
