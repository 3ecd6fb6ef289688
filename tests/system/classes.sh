#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
# testbed: vm --timeout=900
#
# Classes of block I/O and RDT from configuration files (A5.2): what is wrong in them is logged and the service starts.
# Disks are there only in the virtual machine, and hardware with RDT in neither.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
destination=org.example.Ctr
root=/org/example/Ctr
disk=$(findmnt --noheadings --output SOURCE /)

# configure VARIABLE=FILE...: start the manager with these.
configure() {
        mkdir -p /run/systemd/system/ctr.service.d
        {
                echo '[Service]'
                printf 'Environment="%s"\n' "$@"
        } >/run/systemd/system/ctr.service.d/50-classes.conf
        systemctl daemon-reload && systemctl restart ctr.service
}

# create ID KEY CLASS
create() {
        busctl call $destination $root $destination.Manager CreateContainer 'ssa{sv}' "$1" "$image" 1 "$2" s "$3"
}

start() {
        busctl call $destination "$root/container/default/$1" $destination.Container CreateTask 'a{sv}' 0
}

# check_error TEXT NAME KEY CLASS: a container in that class is refused with an error of that name.
check_error() {
        if command -v gdbus >/dev/null; then
                check_match "$1" "Error.$2" "$(gdbus call --system --dest $destination --object-path $root \
                        --method $destination.Manager.CreateContainer refused $image "{'$3': <'$4'>}" 2>&1)"
        else
                skip "there is no gdbus" "$1"
        fi
}

cat >/run/blockio.yaml <<YAML
Classes:
  low:
    - Weight: 100
    - Devices: ["$disk", /dev/disk/by-id/nothing*]
      ThrottleReadBps: 50M
      ThrottleWriteIOPS: 1.5k
      Weight: 1000
  broken:
    - Weight: 5
YAML
echo 'partitions: {shared: {l3Allocation: "50%", classes: {gold: {l3Allocation: "100%"}}}}' >/run/rdt.yaml

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- nothing configured
check_fails "without configuration there is no class" 'no block I/O class "low": no configuration' create none BlockIOClass low
check_fails "of either kind" 'no RDT class "gold": no configuration' create none RDTClass gold

# --- files that are wrong
check "the service starts without the files" configure CTR_BLOCKIO_CONFIG=/run/missing CTR_RDT_CONFIG=/run/missing
check_match "and says so" 'No block I/O classes: Failed to read /run/missing' "$(journal_wait 10 'No block I/O' -u ctr)"
echo 'Classes: {low: [' >/run/bad.yaml
check "it starts with what is no YAML" configure CTR_BLOCKIO_CONFIG=/run/bad.yaml CTR_RDT_CONFIG=/run/bad.yaml
check_match "and names the line" '/run/bad.yaml: line' "$(journal_wait 10 'bad.yaml: line' -u ctr)"
check "and with nothing" configure CTR_BLOCKIO_CONFIG= CTR_RDT_CONFIG=
check "a container is made as ever" ctrctl create --name plain "$image" true

# --- block I/O
check "with classes" configure CTR_BLOCKIO_CONFIG=/run/blockio.yaml CTR_RDT_CONFIG=/run/rdt.yaml
check_match "one with a mistake is left out" 'leaving a class out: broken\[0\].Weight: expected 10 to 1000' \
        "$(journal_wait 10 'leaving a class out' -u ctr)"
check_fails "and not there" 'There is no block I/O class "broken"' create broken BlockIOClass broken
check_error "which is an invalid argument" InvalidArgument BlockIOClass broken
check "a container in a class" create low BlockIOClass low
check "and its task" start low
check_equal "has the weight of the class" 910 "$(systemctl show -P IOWeight ctr-low.scope)"
check_equal "and the document, too" '"910"' "$(busctl --json=short call $destination "$root/container/default/low" \
        $destination.Container GetSpec 'a{sv}' 0 | jq -r '.data[0]' | jq -c '.linux.resources.unified["io.weight"]')"
if [[ -b $disk ]]; then
        check_equal "the bandwidth" "$disk 50000000" "$(systemctl show -P IOReadBandwidthMax ctr-low.scope)"
        check_equal "the number of operations" "$disk 1500" "$(systemctl show -P IOWriteIOPSMax ctr-low.scope)"
        check_equal "the weight of the device" "$disk 10000" "$(systemctl show -P IODeviceWeight ctr-low.scope)"
        check_match "and the kernel has them" 'rbps=50000000 wbps=max riops=max wiops=1500' \
                "$(cat /sys/fs/cgroup/ctr.slice/ctr-low.scope/io.max)"
        number=$(lsblk --noheadings --nodeps --output MAJ:MIN "$disk" | tr -d ' ')
        check_match "the document says the same to who reads it" \
                "\"throttleReadBpsDevice\":\[\{\"major\":${number%:*},\"minor\":${number#*:},\"rate\":50000000\}\]" \
                "$(busctl --json=short call $destination "$root/container/default/low" $destination.Container GetSpec 'a{sv}' 0 |
                        jq -r '.data[0]' | jq -c .linux.resources.blockIO)"
        check "daemon-reload" systemctl daemon-reload
        check_match "keeps them" 'rbps=50000000' "$(cat /sys/fs/cgroup/ctr.slice/ctr-low.scope/io.max)"
else
        skip "no disk in this test bed" "limits of devices"
fi

# --- RDT
if [[ -e /sys/fs/resctrl/schemata ]]; then
        skip "resctrl is mounted" "a class without resctrl"
else
        check_fails "a class that the machine cannot have" \
                'The RDT class "gold" cannot be used: no resctrl file system is mounted at /sys/fs/resctrl' \
                create gold RDTClass gold
        check_error "is unavailable" Unavailable RDTClass gold
fi
check_fails "an unknown one" 'There is no RDT class "silver"' create silver RDTClass silver
check_equal "nothing was made of them" "" "$(ctrctl ps --all | grep -E 'gold|silver|broken|refused')"

check "clean up" ctrctl rm --force low plain
