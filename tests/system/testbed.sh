#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: run --bus=broker
#
# The test bed itself: what the other tests stand on.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check_equal "systemd has booted without a failed unit" running "$(systemctl is-system-running)"
check_equal "systemd is process 1" systemd "$(cat /proc/1/comm)"
check_equal "the root of the cgroup tree is the test bed's own" "/" "$(sed -n 's/^0:://p' /proc/1/cgroup | xargs dirname)"
check_match "the command is in a scope of its own" '^0::/system.slice/testbed-command.scope$' \
        "$(grep ^0:: /proc/self/cgroup)"
check "the message bus answers" busctl --no-pager list
check "polkit is activated and answers" busctl call org.freedesktop.PolicyKit1 /org/freedesktop/PolicyKit1/Authority \
        org.freedesktop.PolicyKit1.Authority EnumerateActions s ""
check_fails "an unprivileged user may not stop a unit" "authentication required|Access denied" \
        runuser -u tester -- busctl --allow-interactive-authorization=no call org.freedesktop.systemd1 \
        /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StopUnit ss polkit.service replace
check "no interface but loopback exists" test "$(ls /sys/class/net)" = lo
check "loopback is up" bash -c 'ip -o link show dev lo | grep -q LOWER_UP'
check_exit "the source tree is read-only" 1 touch "$(dirname "${BASH_SOURCE[0]}")/written"
check "overlays can have their upper directory on the store" bash -c '
        mkdir -p /var/lib/ctr/try/{lower,upper,work,merged} &&
        mount -t overlay -o lowerdir=/var/lib/ctr/try/lower,upperdir=/var/lib/ctr/try/upper,workdir=/var/lib/ctr/try/work \
                overlay /var/lib/ctr/try/merged &&
        touch /var/lib/ctr/try/merged/file && umount /var/lib/ctr/try/merged && test -f /var/lib/ctr/try/upper/file'
# shellcheck disable=SC2016
check "a delegated scope gets a cgroup it may divide" systemd-run --scope --quiet -p Delegate=yes \
        bash -c 'cgroup=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)
                mkdir $cgroup/payload && echo $$ >$cgroup/payload/cgroup.procs'

bus_record jobs "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'"
check "a transient service ends" systemd-run --quiet --wait --unit=test-transient.service \
        bash -c 'echo "hello from the service"'
check "its job is seen on the bus" bus_expect jobs 10 '"test-transient.service","done"'
check "its output is in the journal" journal_wait 10 'hello from the service' -u test-transient.service

registry_start
image_push busybox demo:latest
check_equal "the registry has what was pushed" '{"repositories":["demo"]}' \
        "$(curl -s http://localhost:5000/v2/_catalog)"
