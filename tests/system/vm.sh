#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm
#
# The virtual machine: what makes it different from the test bed in namespaces.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

check_equal "systemd has booted without a failed unit" running "$(systemctl is-system-running --wait)"
check_match "cgroup v2 has all controllers" "cpuset cpu io memory .*pids" "$(cat /sys/fs/cgroup/cgroup.controllers)"
# shellcheck disable=SC2016
check_equal "the memory limit of a scope is in its cgroup" 33554432 "$(systemd-run --scope --quiet -p MemoryMax=32M \
        sh -c 'cat "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/memory.max"')"
check_exit "a process over its memory limit is killed" 137 systemd-run --scope --quiet -p MemoryMax=32M \
        -p MemorySwapMax=0 python3 -c 'b"x" * (64 << 20)'
check "criu works here" criu check
check_exit "a test bed in namespaces boots on a machine with systemd and cgroup v2 alone" 7 \
        "$(dirname "${BASH_SOURCE[0]}")/../testbed/testbed" run --no-build -- \
        sh -c 'grep -q memory /sys/fs/cgroup/cgroup.controllers && exit 7'
