#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Policies that skopeo, podman and we read: all of us let the same in, and nothing else. What signatures can be like
# otherwise is in tests/unit/worker/test-signatures.py (B15). Debian 12 builds both without sigstore: where that is so they
# are compared by what needs no signature.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/pull-lib"

host=localhost:5000
policy=$test_dir/policy.json
accept='[{"type": "insecureAcceptAnything"}]'
reject='[{"type": "reject"}]'

# signed [KEY [IDENTITY]]: the requirement.
signed() {
        echo "[{\"type\": \"sigstoreSigned\", \"keyPath\": \"$test_dir/${1:-ours}.pub\"${2:+, \"signedIdentity\": $2}}]"
}

# policy DEFAULT [TRANSPORT SCOPE REQUIREMENTS]...
policy() {
        local transports=""

        for ((i = 2; i < $#; i += 3)); do
                transports+="${transports:+, }\"${!i}\": {\"${*:i+1:1}\": ${*:i+2:1}}"
        done
        echo "{\"default\": $1, \"transports\": {$transports}}" >"$policy"
}

# verdict CMD...: is the image let in?
verdict() {
        capture "$@"
        if ((status == 0)); then
                echo yes
        elif grep -q 'sigstore disabled' <<<"$stderr"; then
                echo unknown
        elif grep -qE 'does not accept|rejected|signature was required|Signature .* is not accepted' <<<"$stderr"; then
                echo no
        else
                echo "error: $stderr"
        fi
}

# peer TEXT yes|no CMD...: what another program says.
peer() {
        local said

        said=$(verdict "${@:3}")
        if [[ $said == unknown ]]; then
                skip "no sigstore in this build" "$1 says $2"
        else
                check_equal "$1 says $2" "$2" "$said"
        fi
}

# agree TEXT yes|no REFERENCE
agree() {
        rm -rf "$test_dir/copy"
        peer "$1: skopeo" "$2" skopeo copy --quiet --policy="$policy" --src-tls-verify=false "docker://$3" "dir:$test_dir/copy"
        check_equal "$1: we say $2" "$2" \
                "$(CTR_SIGNATURE_POLICY=$policy verdict "$worker" pull --root="$store" --no-unpack "$3")"
}

podman_here() {
        podman --storage-driver=vfs --root="$test_dir/podman" --runroot="$test_dir/podman-run" "$@"
}

mkdir -p /etc/containers/registries.d
echo 'default-docker: {use-sigstore-attachments: true}' >/etc/containers/registries.d/test.yaml
registry_start
for name in ours other; do
        openssl ecparam -name prime256v1 -genkey -noout -out "$test_dir/$name.key" || die "no key"
        openssl pkey -in "$test_dir/$name.key" -pubout -out "$test_dir/$name.pub" || die "no public key"
done

image_push busybox a/unsigned:1
# another digest: the signature of an image is found by that
image_push demo a/signed:1
image_push demo a/signed:2
image_push layers a/docker:1 --format=v2s2
image_push foreign a/index:1 --all
for name in signed docker index; do
        "$here/sigstore-sign" "$test_dir/ours.key" "$host/a/$name:1" || die "no signature"
done
image_push demo b/copy:1
"$here/sigstore-sign" "$test_dir/ours.key" "$host/b/copy:1" "$host/a/signed:1" || die "no signature"
digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$host/a/signed:1")

policy "$reject"
agree "nothing is wanted" no $host/a/signed:1
policy "$reject" docker $host "$accept"
agree "a registry is trusted" yes $host/a/unsigned:1
policy "$accept" docker $host/a "$(signed)"
agree "a signature by our key" yes $host/a/signed:1
agree "by digest" yes "$host/a/signed@$digest"
agree "of Docker's kind of manifest" yes $host/a/docker:1
agree "of one platform's image" yes $host/a/index:1
agree "none" no $host/a/unsigned:1
agree "one for another tag" no $host/a/signed:2
agree "outside of the scope" yes $host/b/copy:1
policy "$accept" docker $host/a "$(signed other)"
agree "a signature by another key" no $host/a/signed:1
policy "$reject" docker $host/a "$(signed ours '{"type": "matchRepository"}')"
agree "one for the repository" yes $host/a/signed:2
agree "another repository by default" no $host/b/copy:1
policy "$reject" docker $host/b "$(signed)"
agree "one for another repository" no $host/b/copy:1
policy "$reject" docker $host/b/copy "$(signed ours "{\"type\": \"exactRepository\", \"dockerRepository\": \"$host/a/signed\"}")"
agree "one for a repository that is named" yes $host/b/copy:1
policy "$reject" docker $host/b/copy:1 "$(signed ours "{\"type\": \"exactReference\", \"dockerReference\": \"$host/a/signed:1\"}")"
agree "one for a reference that is named" yes $host/b/copy:1
policy "$reject" docker "$host/b/copy@$digest" \
        "$(signed ours "{\"type\": \"remapIdentity\", \"prefix\": \"$host/b/copy\", \"signedPrefix\": \"$host/a/signed\"}")"
agree "one for a name that is mapped" yes "$host/b/copy@$digest"
agree "a tag that no scope names" no $host/b/copy:1
policy "$reject" docker "" "$(signed ours '{"type": "matchExact"}')"
agree "one for the exact name" yes $host/a/signed:1
agree "and not for a digest" no "$host/a/signed@$digest"

# Archives
for kind in oci docker; do
        skopeo copy --quiet "oci:$images_dir/busybox:latest" "$kind-archive:$test_dir/$kind.tar:test:1" || die "no $kind archive"
        for wanted in yes no; do
                if [[ $wanted == yes ]]; then
                        policy "$reject" "$kind-archive" "" "$accept"
                else
                        policy "$accept" "$kind-archive" "" "$(signed)"
                fi
                rm -rf "$test_dir/copy"
                peer "an archive of $kind: skopeo" "$wanted" \
                        skopeo copy --quiet --policy="$policy" "$kind-archive:$test_dir/$kind.tar" "dir:$test_dir/copy"
                check_equal "an archive of $kind: we say $wanted" "$wanted" \
                        "$(CTR_SIGNATURE_POLICY=$policy verdict "$worker" import --root="$store" --no-unpack "$test_dir/$kind.tar")"
        done
done

# By way of the service, and of podman, with the policy in its place
policy "$accept" docker $host "$(signed)"
cp "$policy" /etc/containers/policy.json
check_fails "the service pulls nothing without a signature" \
        "policy.json does not accept $host/a/unsigned:1: .* needs a signature and has none" ctrctl pull -q $host/a/unsigned:1
check_equal "nothing of it is there" "" "$(ctrctl images -q)"
peer "without one podman" no podman_here pull -q --tls-verify=false $host/a/unsigned:1
check "it pulls what is signed" ctrctl pull -q $host/a/signed:1
peer "with one podman" yes podman_here pull -q --tls-verify=false $host/a/signed:1
check "once more" ctrctl pull -q $host/a/signed:1
check "what runs is that" ctrctl run --rm --pull=never $host/a/signed:1 true
policy "$accept" docker $host "$(signed other)"
cp "$policy" /etc/containers/policy.json
check_fails "an image that has not changed is looked at again" "none of the policy's keys" ctrctl pull -q $host/a/signed:1
check_fails "also by digest" "none of the policy's keys" ctrctl pull -q "$host/a/signed@$digest"
check "what is here can be used" ctrctl pull -q --policy=missing $host/a/signed:1
check_match "and its digest be asked for" "$digest" "$(ctrctl resolve $host/a/signed:1)"
policy "$accept" docker $host '[{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/pki/key.gpg"}]'
cp "$policy" /etc/containers/policy.json
check_fails "what we cannot check is refused" 'GPG signatures .signedBy., which cannot be checked here' ctrctl pull -q $host/a/signed:1
echo '{"default": []}' >/etc/containers/policy.json
check_fails "a damaged policy refuses all" 'policy.json is damaged' ctrctl pull -q $host/a/signed:1
check_fails "archives, too" 'policy.json is damaged' ctrctl load "$test_dir/oci.tar"
rm /etc/containers/policy.json
check "without one all is accepted" ctrctl pull -q $host/a/unsigned:1
