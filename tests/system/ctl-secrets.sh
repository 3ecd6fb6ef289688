#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# ctrctl secret, and secrets in containers: files that nobody but the container gets, in nothing that is made of it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
store=/var/lib/ctr/secrets
# what is looked for where it may not be
word=Xyzzy-7319-plugh
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

check_equal "from standard input" key "$(printf %s $word | ctrctl secret create -l team=a key)"
printf '%s\n' "$word" >"$test_dir/file"
check_equal "from a file" other "$(ctrctl secret create other "$test_dir/file")"
check_fails "once" 'exists already' ctrctl secret create key "$test_dir/file"
check_fails "not nothing" '1 to 524288 bytes' ctrctl secret create empty /dev/null
check_fails "not too much" 'more than 524288' eval 'head -c 524289 /dev/zero | ctrctl secret create big -'
check "but as much as may be" eval 'head -c 524288 /dev/zero | ctrctl secret create big -'
check_fails "no path" 'name of the secret' ctrctl secret create ../key "$test_dir/file"
check_match "is listed" '^key +0 .*ago$' "$(ctrctl secret ls --no-legend | grep key)"
check_equal "by a label" key "$(ctrctl secret ls -q --filter label=team=a)"
check_equal "shows what may be shown" '["Containers","CreatedAt","Labels","Name","Namespace"]' "$(ctrctl secret inspect key | jq -c '.[0] | keys')"
check_equal "is for root only" "700 600 600 600" "$(stat -c %a $store $store/* | xargs)"

show='cat /run/secrets/key; echo; stat -c "%a %u:%g" /run/secrets/key'
check_equal "in a container" "$word 444 0:0" "$(ctrctl run --rm --secret key "$image" sh -c "$show" | xargs)"
check_equal "as it was asked for" "400 3:4 $word" \
        "$(ctrctl run --rm --secret other,target=/etc/my.key,mode=0400,uid=3,gid=4,type=mount "$image" sh -c 'stat -c "%a %u:%g" /etc/my.key; cat /etc/my.key' | xargs)"
check_equal "several" "a b" "$(ctrctl run --rm --secret key,target=a --secret other,target=/run/secrets/b "$image" ls /run/secrets | xargs)"
check_equal "by another user" "$word" "$(ctrctl run --rm -u 1000 --secret key "$image" cat /run/secrets/key)"
check_fails "who may not, if it says so" 'denied' ctrctl run --rm -u 1000 --cap-drop all --secret key,mode=0400 "$image" cat /run/secrets/key
check_fails "not to be written to" 'Read-only' ctrctl run --rm --secret key "$image" sh -c 'echo x >/run/secrets/new'
no_sysfs=(--mount "type=tmpfs,target=/sys")
check_equal "with ids of its own" "$word 444 0:0" \
        "$(ctrctl run --rm --userns=auto "${no_sysfs[@]}" --secret key "$image" sh -c "$show" | xargs)"
check_equal "and those of a user of it" "400 5:6" \
        "$(ctrctl run --rm --userns=auto "${no_sysfs[@]}" -u 5:6 --secret key,uid=5,gid=6,mode=0400 "$image" sh -c 'cat /run/secrets/key >/dev/null && stat -c "%a %u:%g" /run/secrets/key')"
check_fails "but not of one that it does not have" 'does not have the owner 70000:0' \
        ctrctl create --userns=auto --secret key,uid=70000 "$image" true
check_fails "none that is not there" 'no secret "none"' ctrctl create --secret none "$image" true
check_fails "nor as a variable" 'not given as a variable' ctrctl create --secret key,type=env "$image" true
check_fails "nor twice at one place" 'two secrets at "a"' ctrctl create --secret key,target=a --secret other,target=a "$image" true
check_fails "nor over everything" 'no place for a secret' ctrctl create --secret key,target=/run "$image" true
check_fails "nor upwards" 'no place for a secret' ctrctl create --secret key,target=/etc/../x "$image" true
check_fails "nor below a directory of it" 'is not the name of a file' ctrctl create --secret key,target=/run/secrets/a/b "$image" true

# while a container names it
check "a container" ctrctl create --name box --secret key "$image" sleep 1000000
check_equal "is told" box "$(ctrctl secret inspect key | jq -r '.[0].Containers[]')"
check_fails "what is used stays" 'used by the container "box"' ctrctl secret rm key
check "others go" ctrctl secret rm big
check_equal "with their files" 2 "$(find $store -type f | wc -l)"
check "it starts" ctrctl start box
ctrctl_task_dir=/run/ctr/tasks/default/box
check "its file is on a tmpfs" test "$(stat -f -c %T $ctrctl_task_dir/secrets/key)" = tmpfs
manager_kill
check_equal "another manager knows it" "key other" "$(ctrctl secret ls -q | sort | xargs)"
check_equal "and the container has it" $word "$(ctrctl exec box cat /run/secrets/key)"

# where it must not be
check "a commit" ctrctl commit -q box localhost/made:1
check_equal "is without it" "" "$(ctrctl run --rm --pull=never localhost/made:1 sh -c 'find / -xdev -name key' 2>/dev/null)"
check_equal "so are its changes" "" "$(ctrctl diff box | grep -E 'secret|key')"
check_equal "an archive of its files" 0 "$(ctrctl export -q box | grep -c -a $word)"
check_equal "what is told of it" 0 "$(ctrctl inspect box | grep -c $word)"
check_equal "events" 0 "$(ctrctl events --json=short | grep -c $word)"
check_equal "the database" 0 "$(cat /var/lib/ctr/ctr.db* | grep -c -a $word)"
check_equal "the layers" "" "$(grep -r -l -a $word /var/lib/ctr/snapshots)"
check_equal "the documents of the task" "" "$(grep -r -l -a $word $ctrctl_task_dir --include='*.json')"
check_equal "the service's log" 0 "$(journalctl -q -o cat | grep -c $word)"
check "a version" ctrctl version create box
check_equal "is without it" "" "$(grep -r -l -a $word /var/lib/ctr/snapshots)"
check "its task ends" ctrctl rm -f box
check "and its file with it" test ! -e $ctrctl_task_dir

# tasks that have ended and are still told of
check "a task that ends" ctrctl run -d --name ended --secret key --secret other,target=/etc/other "$image" true
check_within "... has an exit" 60 test -e /run/ctr/tasks/default/ended/exit.json
check_within "... leaves no file of them" 60 test ! -e /run/ctr/tasks/default/ended/secrets
check_within "... nor one elsewhere" 60 test ! -e /run/ctr/tasks/default/ended/secret-files
check "... while it is still there" test -e /run/ctr/tasks/default/ended/exit.json
check "removal" ctrctl rm -f ended
check "one that is killed" ctrctl run -d --name killed --secret key "$image" sleep 1000000
check "... is there" test -e /run/ctr/tasks/default/killed/secrets/key
check "... and so is its supervisor, the service first" pkill -KILL -x 'ctr-manager|ctr-supervisor'
check_within "... leaves none either" 60 test ! -e /run/ctr/tasks/default/killed/secrets
check "removal" ctrctl rm -f killed

# one that is lost
check "a container" ctrctl create --name box --secret key --secret other "$image" true
file=$store/$(sqlite3 /var/lib/ctr/ctr.db "SELECT id FROM secrets WHERE name = 'other'")
: >"$file"
check_fails "does not start with an empty file" 'file of the secret "other" is damaged' ctrctl start box
rm -f "$file"
check_fails "does not start without its secrets" 'file of the secret "other" is gone' ctrctl start box
check "and nothing of it is left" test ! -e $ctrctl_task_dir
manager_kill
check_within "the next start tells of it" 60 eval \
        'journalctl -q -o cat -u ctr.service | grep "file of the secret other in namespace default is missing"'
ln -s /etc/shadow "$file"
check_fails "nothing else is taken for it" 'Failed to open the secret "other"' ctrctl start box
check "removal" ctrctl rm box
check_equal "pruning leaves them" "key other" "$(ctrctl system prune -f --volumes >/dev/null; ctrctl secret ls -q | sort | xargs)"
check "another namespace" eval 'printf x | ctrctl --namespace=elsewhere secret create key -'
check_fails "stays with its secrets" 'still has secrets' busctl call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager DeleteNamespace 'sa{sv}' elsewhere 0
check "removal" ctrctl --namespace=elsewhere secret rm key
touch $store/777
check "removal" ctrctl secret rm key other
manager_kill
check_equal "nothing is left" "" "$(ctrctl secret ls -q; ls -A $store)"
