#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# The service on the bus: activation, one instance only, errors by name, exit on idle without losing a call, restart.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

manager=(org.example.Ctr /org/example/Ctr org.example.Ctr.Manager)

call() {
        busctl --timeout=120 call "${manager[@]}" "$@"
}

# errors_named TEXT ERROR MESSAGE-REGEX METHOD...: the call fails, with that name on the bus and that message.
error_is() {
        check_fails "$1: refused with its sentence" "$3" call "${@:4}"
        check "$1: the name is $2" bus_expect errors 10 "\"error_name\":\"$2\".*\"data\":\\[\"[^]]*$3"
}

set_idle_timeout() {
        mkdir -p /run/systemd/system/ctr.service.d
        printf '[Service]\nEnvironment=CTR_IDLE_TIMEOUT_SEC=%s\n' "$1" >/run/systemd/system/ctr.service.d/idle.conf
        systemctl daemon-reload
        systemctl stop ctr.service
}

check "the service does not run before it is needed" unit_is ctr.service ActiveState inactive
check_equal "a call activates it" 's "0.1.0"' "$(busctl get-property "${manager[@]}" Version)"
check "systemd knows that it is ready" unit_is ctr.service ActiveState active
check_equal "nothing is there yet" "a(oa{sv}) 0" "$(call ListContainers 'a{sv}' 0)"
check_equal "the contract is installed and well-formed" "" \
        "$(busctl introspect --xml-interface "${manager[@]:0:2}" | grep -c . >/dev/null || echo empty)"
check_match "arguments have names" 'name="reference"' "$(busctl introspect --xml-interface "${manager[@]:0:2}")"
check_match "the kinds of objects are in the tree" '/org/example/Ctr/container' "$(busctl tree --list org.example.Ctr)"

check_fails "a second instance refuses to start" "Another manager is running" /usr/lib/ctr/ctr-manager
check_exit "... with exit code 1" 1 /usr/lib/ctr/ctr-manager
check_equal "... and does not disturb the first" "a(oa{sv}) 0" "$(call ListTasks 'a{sv}' 0)"

bus_record errors "type='error'"
error=org.example.Ctr.Error
error_is "an unknown option" $error.InvalidArgument "Unknown option Colour" ListContainers 'a{sv}' 1 Colour s red
error_is "an option of the wrong type" $error.InvalidArgument "Option Unpack: a value of type b" \
        PullImage 'sa{sv}' busybox 1 Unpack s yes
error_is "an invalid id" $error.InvalidArgument "container id .*\.\./x" GetContainer 'sa{sv}' ../x 0
error_is "an invalid reference" $error.InvalidArgument "UPPER" GetImage 'sa{sv}' UPPER 0
error_is "an empty namespace" $error.FailedPrecondition "namespace is required" ListImages 'a{sv}' 1 Namespace s ""
error_is "a missing container" $error.NotFound "nothere" GetContainer 'sa{sv}' nothere 0
error_is "a missing image" $error.NotFound "docker.io/library/nothere:latest" GetImage 'sa{sv}' nothere 0
error_is "a container from a missing image" $error.NotFound "docker.io/library/nothere:latest" \
        CreateContainer 'ssa{sv}' web nothere 0

check "a namespace is made" call CreateNamespace 'sa{ss}a{sv}' team 1 owner me 0
check_match "and listed with its labels" '"team" 1 "owner" "me"' "$(call ListNamespaces 'a{sv}' 0)"
check "it outlives the service" systemctl restart ctr.service
check_match "... as do its labels" '"team" 1 "owner" "me"' "$(call ListNamespaces 'a{sv}' 0)"
check "a namespace is removed" call DeleteNamespace 'sa{sv}' team 0

pid=$(manager_pid)
kill -KILL "$pid"
check_within "killed, it comes back by itself" 10 unit_is ctr.service ActiveState active
wait_until 10 busctl --timeout=10 call org.example.Ctr / org.freedesktop.DBus.Peer Ping
check_equal "and answers" "a(oa{sv}) 0" "$(call ListContainers 'a{sv}' 0)"
check "it is another process" test "$(manager_pid)" != "$pid"

check "it stops when asked to" systemctl stop ctr.service
check "... in order" unit_is ctr.service Result success

set_idle_timeout 1
check_equal "with a short idle time it is activated as well" "a(oa{sv}) 0" "$(call ListContainers 'a{sv}' 0)"
check_within "and exits when nobody needs it" 20 unit_is ctr.service ActiveState inactive
check "... in order" unit_is ctr.service Result success
# the bus sees its end by itself, and not when systemd does
no_owner() {
        ! busctl call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s org.example.Ctr
}
wait_until 10 no_owner
check_fails "... and gives its name back" "no such name|not have an owner|NameHasNoOwner" \
        busctl call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s org.example.Ctr

# It leaves as soon as it has answered: each of these calls meets it running, going or gone.
starts() {
        journalctl -u ctr.service --output=cat | grep -c '^Started ctr.service'
}

set_idle_timeout 0
lost=0
before=$(starts)
for ((i = 0; i < 2000; i++)); do
        ((i % 10 == 0 && $(starts) >= before + 8)) && break
        [[ $(call ListContainers 'a{sv}' 0 2>&1) == "a(oa{sv}) 0" ]] || ((++lost))
done
check "it comes and goes" test "$(starts)" -ge $((before + 8))
check_equal "and no call is lost ($i calls)" 0 "$lost"
