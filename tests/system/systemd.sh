#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# shellcheck disable=SC2016
#
# A container whose init is a systemd: it boots, manages its cgroup, and halts when it shall stop (B26).

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/process-lib"

image=localhost:5000/systemd:latest
task=$(path_of box)
payload=/sys/fs/cgroup/ctr.slice/ctr-box.scope/payload

state() {
        ctrctl exec box systemctl is-system-running 2>/dev/null
}

booted() {
        [[ $(state) =~ ^(running|degraded)$ ]]
}

registry_start
image_push systemd systemd:latest
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
check "pull" ctrctl pull --quiet localhost:5000/demo:latest

check "a container whose init is systemd" ctrctl run -d --name=box "$image"
check_within "boots" 60 booted
check_equal "and all of it runs" running "$(state)"
check_equal "no unit failed" "" "$(ctrctl exec box systemctl --failed --no-legend --plain)"
check_equal "it knows what it is in" container-other "$(ctrctl exec box systemd-detect-virt --container)"
check_match "by the variable of the interface" 'container=ctr' "$(ctrctl exec box sh -c 'tr "\0" "\n" </proc/1/environ')"
check "it has cgroups of its own" test -d $payload/init.scope -a -d $payload/system.slice
check_equal "init is in one of them" /init.scope \
        "$(ctrctl exec box grep '^0::' /proc/1/cgroup | cut -d: -f3)"
check "and so is a service" grep -q . $payload/system.slice/ctr-test.service/cgroup.procs
for dir in /run /run/lock /tmp /var/log/journal; do
        check_equal "$dir is a tmpfs" tmpfs "$(ctrctl exec box stat -f -c %T "$dir")"
done
check_match "its machine id is its own" '^[0-9a-f]{32}$' "$(ctrctl exec box cat /etc/machine-id)"
check_within "which logs to its journal" 10 eval \
        "ctrctl exec box journalctl --no-pager --output=cat -u ctr-test | grep -qx 'from a unit'"
check "it can be restarted" ctrctl exec box systemctl restart ctr-test
check_equal "its stop signal is systemd's" 37 "$(systemctl show --property=KillSignal --value ctr-box.scope)"
check "so it is stopped in an orderly way" ctrctl stop --time=60 box
check_equal "and halts by itself" "0 true" \
        "$(property "$task" Process.ExitStatus) $(property "$task" Process.ExitStatusKnown)"
check "once more, by systemctl" ctrctl start box
check_within "it boots" 60 booted
check "stop of the scope" systemctl stop ctr-box.scope
check_within "ends it as well" 20 property_is "$task" Process.Status STOPPED
check "rm" ctrctl rm box

# a sysfs of its own network the bed refuses
check "one with ids of its own" ctrctl run -d --name=box --userns=auto --network=host "$image"
check_within "boots" 60 booted
check_equal "and all of it runs" running "$(state)"
check_equal "as somebody else" "$(ctrctl inspect box | jq '.[0].UIDMappings[0][1]')" \
        "$(stat -c %u "/proc/$(property "$task" Process.Pid)" $payload/system.slice | uniq)"
check "it stops" ctrctl stop --time=60 box
check "rm" ctrctl rm box

check "runc makes such a container, too" ctrctl run -d --name=box --runtime=runc "$image"
check_within "that boots" 60 booted
check "and stops" ctrctl stop --time=60 box
check "rm" ctrctl rm box

# --- who gets it
spec_of() {
        ctrctl create --name=spec "$@" >/dev/null || return
        ctrctl inspect spec
        ctrctl rm spec >/dev/null
}
check_match "any program called systemd" 'container=ctr' "$(spec_of localhost:5000/demo:latest /opt/systemd)"
check_match "none that is called otherwise" '^[^@]*$' \
        "$(spec_of localhost:5000/demo:latest /opt/systemd-like | sed 's/container=ctr/@/')"
check_match "unless it is said" 'container=ctr' "$(spec_of --systemd=always localhost:5000/demo:latest sh)"
check_match "and not if that is said" '^[^@]*$' "$(spec_of --systemd=never "$image" | sed 's/container=ctr/@/')"
check_fails "a mode that is none" "none of auto, always, never" ctrctl create --systemd=perhaps "$image"
