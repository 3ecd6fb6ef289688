#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# ctrctl of a user without rights, and with no service to talk to: an error that says what to do, and the right status.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/busybox:1
registry_start
image_push busybox busybox:1
ctrctl pull -q "$image" || die "no image"
ctrctl run -d --name=busy "$image" sleep 1000 >/dev/null || die "no container"

as_user() {
        runuser -u tester -- ctrctl "$@"
}

for verb in "pull $image" "rmi $image" "create $image" "stop busy" "kill busy" "rm -f busy"; do
        # shellcheck disable=SC2086
        check_fails "$verb is refused" $'not allowed.*\nHint: Run it as root' as_user $verb
done
check_exit "run is refused" 125 as_user run "$image" true
check_match "with the same hint" 'Hint: Run it as root' "$stderr"
check_equal "nothing has happened" busy "$(ctrctl ps -q)"

systemctl stop ctr.service
chmod 000 /usr/lib/ctr/ctr-manager
check_fails "no service" 'cannot be reached' ctrctl ps
rm -f /usr/share/dbus-1/system-services/org.example.Ctr.service
busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
check_within "none installed" 10 bash -c 'ctrctl ps 2>&1 | grep -q "Hint: Is Ctr installed"'
check_exit "run fails as itself" 125 ctrctl run "$image" true
check_fails "no bus" 'Failed to connect' env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent ctrctl ps
