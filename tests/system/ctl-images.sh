#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# What a person does with images: private registries, archives, names, history, and getting rid of them.

# Commands with redirections stand in single quotes, for eval.
# shellcheck disable=SC2016

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
secret='p:ss "w0rd"'
image=localhost:5000/team/busybox:1
hash=$(python3 -W ignore -c 'import crypt, sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH)))' "$secret")
registry_start_private team "$hash"
image_push busybox team/busybox:1 --dest-creds "team:$secret"

# Who we are
check_fails "a private registry wants a password" 'wants a user name and a password' ctrctl pull "$image"
check_fails "a wrong one is refused" 'refuses access' ctrctl pull --creds=team:wrong "$image"
check_equal "and not told" "" "$(grep wrong <<<"$stderr")"
check "one on standard input opens it" eval 'ctrctl pull --creds-stdin "$image" <<<"team:$secret"'
check "it runs" ctrctl run --rm --pull=never "$image" true
check "login keeps it" eval 'ctrctl login -u team --password-stdin localhost:5000/team <<<"$secret"'
check_equal "for root alone" 600 "$(stat -c %a /run/containers/0/auth.json)"
check_equal "where skopeo has it" 0 "$(skopeo inspect --tls-verify=false "docker://$image" >/dev/null; echo $?)"
check "pull finds it" ctrctl pull -q "$image"
check_match "resolve, too" '^sha256:[0-9a-f]{64}$' "$(ctrctl resolve "$image")"
check_match "search, too, and asks for the catalog" '^localhost:5000/team/busybox +0 *$' \
        "$(ctrctl search --no-legend localhost:5000/team/busy)"
check_equal "finds nothing else" "[]" "$(ctrctl search --json=short localhost:5000/team/nothing)"
mkdir -p /etc/containers/registries.conf.d
echo 'unqualified-search-registries = ["localhost:5000"]' >/etc/containers/registries.conf.d/99-search.conf
check_fails "the catalog of a private registry is not for everybody" 'refuses access|wants a user name' ctrctl search --limit=1 busy
rm /etc/containers/registries.conf.d/99-search.conf
check_equal "with a password it is told" localhost:5000/team/busybox \
        "$(ctrctl search -q --creds-stdin localhost:5000/busy <<<"team:$secret")"
check_fails "which is for one registry" 'must begin with its host' ctrctl search --creds=team:x busy
check_match "a result is JSON on demand" '"Digest":"sha256:' "$(ctrctl pull -q --json=short "$image")"
check "logout forgets it" ctrctl logout localhost:5000/team
check_fails "which can be done once" 'no login for' ctrctl logout localhost:5000/team
check_fails "and pull knows nothing" 'wants a user name' ctrctl pull -q "$image"
check_exit "a password is asked for on the terminal and not shown" 0 timeout 180 "$here/on-terminal" \
        'expect(b"User name: "); send(b"team\n"); expect(b"Password: "); send(b"hidden\n")' ctrctl login localhost:5000
check_equal "not even there" "" "$(grep hidden <<<"$stdout")"
check "a name that nobody fetches" ctrctl pull -q --policy=never "$image"
check_fails "or that is not there" 'localhost:5000/none' ctrctl pull -q --policy=never localhost:5000/none
check_fails "a bad policy" 'is not always, missing or never' ctrctl pull --policy=perhaps "$image"

# Push
check "an image has more names" ctrctl tag "$image" localhost:5000/team/copy:2 localhost:5000/team/copy:3
echo '{}' >"$test_dir/no-auth.json"
check_fails "push without a password" 'refuses access' \
        ctrctl push -q --authfile="$test_dir/no-auth.json" localhost:5000/team/copy:2
check_match "push tells the digest" '^sha256:[0-9a-f]{64}$' \
        "$(ctrctl push -q --creds-stdin localhost:5000/team/copy:2 <<<"team:$secret")"
check_match "as another name" '^sha256:' "$(ctrctl push -q --creds-stdin "$image" localhost:5000/team/other:1 <<<"team:$secret")"
check "skopeo finds it" skopeo inspect --tls-verify=false --creds "team:$secret" docker://localhost:5000/team/other:1

# Listings
check_match "history has its layers" 'CREATED +SIZE +CREATED BY' "$(ctrctl history "$image")"
check_equal "each step is JSON" 0 "$(ctrctl history --json=short "$image" | python3 -c 'import json, sys
assert sum(s["Digest"] is not None for s in json.load(sys.stdin)) >= 1'; echo $?)"
check_match "digests in full" '[0-9a-f]{64}' "$(ctrctl images --full)"
check_match "inspect tells use" '"SharedBytes"' "$(ctrctl inspect "$image")"

# Archives
check_exit "no archive goes to a terminal" 1 timeout 180 "$here/on-terminal" \
        'expect(b"standard output is a terminal")' ctrctl save "$image"
check "save to a file" ctrctl save -q -o "$test_dir/oci.tar" "$image" localhost:5000/team/copy:2
check "which skopeo reads" skopeo inspect "oci-archive:$test_dir/oci.tar:$image"
check_equal "one that is named twice is there once" 1 "$(ctrctl save -q "$image" "$image" | tar -xO index.json | jq '.manifests | length')"
check_equal "under each name" 2 "$(ctrctl save -q "$image" localhost:5000/team/copy:2 "$image" | tar -xO index.json | jq '.manifests | length')"
check "save for docker, through a pipe" eval 'ctrctl save -q --format=docker-archive "$image" | cat >"$test_dir/docker.tar"'
check "which skopeo reads" skopeo inspect "docker-archive:$test_dir/docker.tar:$image"
check "over what is there" ctrctl save -q --format=docker-archive -o "$test_dir/oci.tar" "$image"
check "which it is then" skopeo inspect "docker-archive:$test_dir/oci.tar:$image"
check "and over that" ctrctl save -q -o "$test_dir/oci.tar" "$image" localhost:5000/team/copy:2
mkdir "$test_dir/killed"
stands_still() {
        grep '^State:.*stopped' "/proc/$(manager_pid)/status"
}
# one that is idle may have gone
stop_manager() {
        stands_still && return
        timeout 5 ctrctl version
        systemctl kill --signal=STOP ctr.service
        stands_still
}
check_within "the service stands still" 60 stop_manager
ctrctl save -q -o "$test_dir/killed/file" "$image" &
saver=$!
check_within "a file is being written" 60 eval 'find "/proc/$saver/fd" -lname "$test_dir/killed/*" | grep -q .'
kill -KILL "$saver"
wait "$saver"
systemctl kill --signal=CONT ctr.service
check_equal "a client that is killed leaves nothing of it" "" "$(ls -A "$test_dir/killed")"
check "save as a directory" ctrctl save -q --format=oci-dir -o "$test_dir/layout/" "$image" localhost:5000/team/copy:2
check "which skopeo reads, too" skopeo inspect "oci:$test_dir/layout:$image"
check_equal "as the archive" "$(tar -tf "$test_dir/oci.tar" | grep -v '/$' | sort)" "$(cd "$test_dir/layout" && find . -type f | cut -c3- | sort)"
check_fails "but not over what is there" 'not empty' ctrctl save -q --format=oci-dir -o "$test_dir/layout" "$image"
mkdir "$test_dir/empty"
check "an empty one will do" ctrctl save -q --format=oci-dir -o "$test_dir/empty" "$image"
check "and is complete" skopeo inspect "oci:$test_dir/empty"
check_fails "a directory is no stream" 'needs --output' ctrctl save -q --format=oci-dir "$image"
check_fails "nor made for what is not there" 'none' ctrctl save -q --format=oci-dir -o "$test_dir/none" localhost:5000/none
check "it is not there" test ! -e "$test_dir/none"
check "nothing else is left there" test -z "$(find "$test_dir" -name '.#*')"
check_fails "save of what is not there" 'none' ctrctl save -q -o "$test_dir/none.tar" localhost:5000/none
check "leaves no file" test ! -e "$test_dir/none.tar"
check "names go" ctrctl untag "$image" localhost:5000/team/copy:2 localhost:5000/team/copy:3
check_equal "all of them" "" "$(ctrctl images -q)"
check "load from standard input" eval 'ctrctl load -q <"$test_dir/oci.tar"'
check_match "says the names" 'localhost:5000/team/busybox:1' "$stdout"
check "and it runs" ctrctl run --rm --pull=never "$image" true
check "load what docker wrote" ctrctl load -q -i "$test_dir/docker.tar"
check "the directory of a layout" ctrctl load -q --name=localhost/layout "$images_dir/busybox"
check "and the one that was saved" ctrctl load -q "$test_dir/layout"
check_match "with its names" 'localhost:5000/team/copy:2' "$stdout"
check_fails "what is no archive" '.' ctrctl load -q /etc/passwd
mkdir "$test_dir/root" && cp "$(command -v busybox)" "$test_dir/root/sh" && tar -C "$test_dir/root" -cf "$test_dir/root.tar" .
check "a root file system becomes an image" eval 'ctrctl import -q - localhost/root:1 <"$test_dir/root.tar"'
check_exit "which runs" 3 ctrctl run --rm --pull=never localhost/root:1 /sh -c 'exit 3'
check "one that says what it executes" eval 'ctrctl import -q -m "by hand" -c "CMD [\"/sh\", \"-c\", \"exit \$N\"]" --change="ENV N=4" \
        --change "LABEL from=tar" - localhost/root:2 <"$test_dir/root.tar"'
check_exit "does that" 4 ctrctl run --rm --pull=never localhost/root:2
check_match "with a label" '"from": *"tar"' "$(ctrctl inspect localhost/root:2)"
check_match "and a comment" 'by hand' "$(ctrctl history --full localhost/root:2)"
check_fails "an instruction that is none" 'The change "RUN x"' eval 'ctrctl import -q -c "RUN x" - localhost/root:3 <"$test_dir/root.tar"'
check_fails "makes nothing" 'localhost/root:3' ctrctl inspect localhost/root:3

# Getting rid of them
check "a container keeps its image" ctrctl create --name=keeper "$image" true
check_fails "prune asks" 'use --force' ctrctl prune --all </dev/null
check "prune leaves tags" ctrctl prune --force
check_equal "all of them" "" "$stdout"
check "prune --all takes the others" ctrctl prune --all --force
check_match "and tells" 'localhost/root:1' "$stdout"
check_equal "but for one" "$image" "$(ctrctl images -q)"
check "one more container" ctrctl create --name=other --label=team=a -v /data "$image" true
check "and one that runs" ctrctl run -d --name=runs "$image" sleep 1000000
check_fails "pruning containers asks" 'use --force' ctrctl container prune </dev/null
check_equal "nothing is pruned that is too young" "" "$(ctrctl container prune --force --until=1h)"
check_equal "nor what does not match" "" "$(ctrctl container prune --force --filter label=team=b)"
check_equal "but what does" '["other"]' "$(ctrctl container prune --force --filter label=team=a --json=short)"
check_fails "pruning it all asks" 'use --force' ctrctl system prune --all </dev/null
check_match "the container that does not run goes" '^container +keeper$' "$(ctrctl system prune --force --no-legend --full)"
check_equal "and nothing that has a name" "$image" "$(ctrctl images -q)"
check "one with a tag" ctrctl tag "$image" localhost:5000/team/copy:2
check "all of it" ctrctl system prune --all --volumes --force --json=short
check_equal "volumes and images" '["volume","image:localhost:5000/team/copy:2"]' \
        "$(jq -c '[.[] | if .Kind == "volume" then .Kind else .Kind + ":" + .Name end]' <<<"$stdout")"
check_equal "but for what runs" runs "$(ctrctl ps -q)"
check_equal "and its image" "$image" "$(ctrctl images -q)"
check "it goes, too" ctrctl rm --force runs
check_fails "a command line that is wrong" 'save needs IMAGE' ctrctl save
