#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Authorization by a real polkitd: what a user may do without any rule, with a rule about one container or image, and
# without polkit.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

manager=(org.example.Ctr /org/example/Ctr org.example.Ctr.Manager)
denied="org.freedesktop.DBus.Error.AccessDenied"
interactive="org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"

call() {
        busctl --timeout=120 call "${manager[@]}" "$@"
}

# As the unprivileged user, without a password prompt.
user_call() {
        runuser -u tester -- busctl --timeout=120 --allow-interactive-authorization=no call "${manager[@]}" "$@"
}

# Rules take the place of those before; polkitd reads them when the directory changes.
set_rule() {
        echo "polkit.addRule(function(action, subject) { $1 });" >/etc/polkit-1/rules.d/10-test.rules
        systemctl restart polkit.service
}

user_is_refused() {
        check_fails "a user may not call $1" "nteractive authentication|Access denied" user_call "$@"
}

bus_record errors "type='error'"

# The rule: what only shows is free, what changes something is not.
check "a user may list images" user_call ListImages 'a{sv}' 0
check "a user may list containers" user_call ListContainers 'a{sv}' 0
check "a user may list tasks" user_call ListTasks 'a{sv}' 0
check "a user may list jobs" user_call ListJobs 'a{sv}' 0
check "a user may list namespaces" user_call ListNamespaces 'a{sv}' 0
check_fails "a user may ask for an image" "not found|no image|No such|nothere" user_call GetImage 'sa{sv}' nothere 0
user_is_refused PullImage 'sa{sv}' busybox 0
check "... by the name that lets a client ask for a password" bus_expect errors 10 "\"error_name\":\"$interactive\""
user_is_refused DeleteImage 'sa{sv}' busybox 0
user_is_refused CreateContainer 'ssa{sv}' mine busybox 0
user_is_refused CreateNamespace 'sa{ss}a{sv}' mine 0 0
user_is_refused DeleteNamespace 'sa{sv}' default 0
user_is_refused RemoveSecret 'sa{sv}' key 0
user_is_refused StatSecret 'sa{sv}' key 0
user_is_refused ListSecrets 'a{sv}' 0
user_is_refused ListSecrets 'a{sv}' 1 AllNamespaces b true
check_fails "with interaction, but nobody to ask, access is denied" "Access denied" \
        runuser -u tester -- busctl call "${manager[@]}" PullImage 'sa{sv}' busybox 0
check "... by name" bus_expect errors 10 "\"error_name\":\"$denied\""
check_equal "nothing was done" "a(oa{sv}) 0" "$(call ListJobs 'a{sv}' 0)"

set_rule 'if (action.id == "org.example.Ctr.container-create" && subject.user == "tester" &&
        action.lookup("namespace") == "default" && action.lookup("container") == "mine" &&
        action.lookup("image") == "docker.io/library/busybox:latest") return polkit.Result.YES;'
check_fails "a rule about one container allows that (which fails for another reason)" \
        "docker.io/library/busybox:latest" user_call CreateContainer 'ssa{sv}' mine busybox 0
check "... the image is missing" bus_expect errors 10 '"error_name":"org.example.Ctr.Error.NotFound"'
user_is_refused CreateContainer 'ssa{sv}' other busybox 0
user_is_refused CreateContainer 'ssa{sv}' mine debian 0
user_is_refused CreateContainer 'ssa{sv}' mine busybox 1 Namespace s elsewhere
user_is_refused CreateContainer 'ssa{sv}' mine busybox 1 Pull s missing

# Rights for one image are none for another that the call is about.
client=$(realpath "$(dirname "${BASH_SOURCE[0]}")/content-client")
user_client() {
        runuser -u tester -- "$client" "$@"
}
set_rule 'if (action.id.match(/image-(pull|push|export|import)$/) && subject.user == "tester" &&
        action.lookup("image") == "docker.io/library/mine:latest") return polkit.Result.YES;'
check_fails "the one may be exported (and is not there)" 'NotFound.*mine' user_client ExportImages LIST:mine STDOUT
check_fails "not with another one" "nteractive" user_client ExportImages LIST:mine,other STDOUT
check_fails "nor more than there can be" "nteractive" user_client ExportImages "LIST:mine$(printf ',mine%.0s' {1..40})" STDOUT
check_fails "it may get a name that is its own" 'NotFound.*mine' user_client TagImage mine mine
check_fails "no other image may get its name" "nteractive" user_client TagImage other mine
check_fails "nor it the name of another" "nteractive" user_client TagImage mine other
check_fails "it may be pushed to where it is from" 'NotFound.*mine' user_client PushImage mine Target=mine
check_fails "and nowhere else" "nteractive" user_client PushImage mine Target=other
check "it may be made of a root file system, however its name is written" \
        user_client ImportImages STDIN Rootfs=true Name=library/mine </dev/null
check_fails "and no other image" "nteractive" user_client ImportImages STDIN Rootfs=true Name=other </dev/null
check_fails "nor of an archive that has names" "nteractive" user_client ImportImages STDIN Name=mine </dev/null

set_rule 'if (action.id == "org.example.Ctr.namespace-manage" && subject.user == "tester" &&
        action.lookup("namespace").indexOf("tester-") == 0) return polkit.Result.YES;'
check "a rule about names allows those" user_call CreateNamespace 'sa{ss}a{sv}' tester-1 0 0
user_is_refused CreateNamespace 'sa{ss}a{sv}' other-1 0 0
check_match "the one was made, the other was not" '^a\(sa\{ss\}\) [0-9]+ .*"tester-1"' "$(call ListNamespaces 'a{sv}' 0)"
check_exit "... (it is not in the list)" 1 grep -q other-1 <<<"$(call ListNamespaces 'a{sv}' 0)"

# Secrets: who may list them may not change them, and the right for one namespace is none for all of them.
check_fails "a user may not store a secret" "nteractive" user_client CreateSecret key STDIN </dev/null
set_rule 'if (action.id == "org.example.Ctr.secret-list" && subject.user == "tester" &&
        action.lookup("namespace") == "default") return polkit.Result.YES;'
check "secrets may be listed by a rule" user_call ListSecrets 'a{sv}' 0
check_fails "one may be looked for (and is not there)" 'no secret "key"' user_call StatSecret 'sa{sv}' key 0
user_is_refused ListSecrets 'a{sv}' 1 Namespace s elsewhere
user_is_refused ListSecrets 'a{sv}' 1 AllNamespaces b true
user_is_refused RemoveSecret 'sa{sv}' key 0
check_fails "nor stored by it" "nteractive" user_client CreateSecret key STDIN </dev/null

set_rule 'if (action.id == "org.example.Ctr.read") return polkit.Result.NO;'
check_fails "reading can be denied" "Access denied" user_call ListContainers 'a{sv}' 0
check "root is never asked" call ListContainers 'a{sv}' 0

rm /etc/polkit-1/rules.d/10-test.rules
systemctl mask --runtime --now polkit.service
check_fails "without polkit a user may do nothing" "Access denied|polkit" user_call ListContainers 'a{sv}' 0
check "... and is told why" bus_expect errors 30 'polkit cannot be reached'
check "... but root may" call ListContainers 'a{sv}' 0
systemctl unmask --runtime polkit.service
check "with polkit back, a user may read again" user_call ListContainers 'a{sv}' 0
