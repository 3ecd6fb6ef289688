#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl content, lease, gc, verify and system df: what the store holds, why, and whether it is whole.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"

check_match "blobs are listed" '^DIGEST +SIZE +IMAGES +CREATED +MEDIA TYPE' "$(ctrctl content ls)"
digest=$(ctrctl images --full --no-legend | grep -o 'sha256:[0-9a-f]*' | head -n 1)
check_match "the image's manifest is among them" "$digest" "$(ctrctl content ls -q)"
check "a blob comes out" ctrctl content get "$digest"
check_equal "as it is" "$digest" "sha256:$(sha256sum <"$test_dir/stdout" | cut -d ' ' -f 1)"
check_fails "one that is not there" 'ctrctl: ' ctrctl content get "sha256:$(printf %064d 0)"
check_fails "what is needed stays" "$image" ctrctl content rm "$digest"
check "labels are set" ctrctl content label "$digest" a=b c
check_match "and shown" '"a":"b"' "$(ctrctl content ls --json=short)"
check_fails "a label without a name is none" 'is not a label' ctrctl content label "$digest" =x
check_equal "nothing is being fetched" "[]" "$(ctrctl content ls --ingests --json=short)"

check_equal "a lease is made" keep "$(ctrctl lease create --label=why=test --expires=1h keep)"
check_match "or one with a name of its own" '.' "$(ctrctl lease create)"
check_match "they are listed" '^keep +.* ago +in ' "$(ctrctl lease ls | grep keep)"
check "it keeps a blob" ctrctl lease add keep content "$digest"
check_match "which it shows" "content +$digest" "$(ctrctl lease show keep)"
check "the image goes" ctrctl rmi "$image"
check "what nothing needs is collected" ctrctl gc
check_match "and told" '^Removed [0-9]+ blobs' "$stdout"
check "but for what the lease keeps" eval "ctrctl content get $digest >/dev/null"
check "it keeps it no longer" ctrctl lease drop keep content "$digest"
check "leases go" ctrctl lease rm keep
check_fails "once" 'ctrctl: ' ctrctl lease rm keep
check "and with them what they kept" ctrctl gc -q
check_equal "without a word" "" "$stdout"
check_fails "it is gone" 'ctrctl: ' ctrctl content get "$digest"

ctrctl pull -q "$image" || die "no image"
check_match "use of the disk is a table" 'Blobs +[1-9][0-9]* +[0-9.]+' "$(ctrctl df)"
check_match "or JSON" '"ContentBytes":[1-9]' "$(ctrctl system df --json=short)"
check_equal "the store is whole" "" "$(ctrctl verify -q)"
blob=/var/lib/ctr/content/sha256/${digest#sha256:}
chmod u+w "$blob" && printf x >>"$blob"
check_fails "what is damaged is told" '1 blobs are damaged' ctrctl verify -q
check_match "by its digest" "${digest#sha256:}" "$stdout"
check_fails "and put aside on demand" 'were put aside' ctrctl verify -q --quarantine
check "a pull brings it back" ctrctl pull -q "$image"
check "and all is well" ctrctl verify -q
check_fails "a verb that is none" "ctrctl help lease" ctrctl lease make
check_match "the group says what there is" 'lease create' "$(ctrctl help lease)"
