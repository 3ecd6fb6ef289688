#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
#
# shellcheck disable=SC2016
#
# Figures of tasks (A2.4, A4.13, A5.23, D24, C28), and limits that change while they run (A3.19, C14) as the kernel
# enforces them: only the virtual machine has all cgroup controllers.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest
destination=org.example.Ctr
root=/org/example/Ctr

stats_json() {
        busctl --json=short call $destination "$root/task/default/$1" $destination.Task Stats 'a{sv}' 0
}

# stats TASK EXPRESSION: evaluates it with the figures as variables; nothing if one is not there.
stats() {
        stats_json "$1" | python3 -c 'import json, sys
figures = {key: value["data"] for key, value in json.load(sys.stdin)["data"][0].items()}
try:
        print(eval(sys.argv[1], {"figures": figures}, figures))
except NameError:
        pass' "$2"
}

stats_say() {
        [[ $(stats "$1" "$2") == True ]]
}

update() {
        busctl call $destination "$root/task/default/$1" $destination.Task Update 'a{sv}a{sv}' $((($# - 1) / 3)) "${@:2}" 0
}

# limits_are TEXT FILE...: of the scope of busy. systemd tells the kernel after it has answered that it will.
limits_are() {
        [[ $(cd "$scope" && cat "${@:2}" | xargs) == "$1" ]]
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

# --- one task
check "a task that uses a CPU" ctrctl run -d --name busy --memory-max=64M --tasks-max=50 --cpu-quota=20% "$image" \
        sh -c 'while :; do :; done'
check_within "its time is counted" 20 stats_say busy 'CPUUsageUSec > 100000 and CPUUserUSec > 0'
check_within "and how often it was throttled" 20 stats_say busy 'CPUThrottledPeriods > 0 and CPUThrottledUSec > 0 and CPUPeriods > 0'
check_equal "limits are the scope's" "$((64 << 20)) 50" "$(stats busy 'f"{MemoryMax} {TasksMax}"')"
check "memory is that of the container, without the supervisor" stats_say busy 'MemoryCurrent < 4 << 20'
check_equal "as are tasks" 1 "$(stats busy TasksCurrent)"
check "swap is known" stats_say busy 'MemorySwapCurrent >= 0 and MemorySwapMax == 2**64 - 1'
check "all figures of the kernel" stats_say busy 'MemoryStat["anon"] == MemoryAnonymous and MemoryEvents["oom_kill"] == 0'
check "pressure" stats_say busy '{(p[0], p[1]) for p in Pressure} >= {("cpu", "some"), ("memory", "full"), ("io", "some")} and len(Pressure[0]) == 6'
check "the network of the container, not the host's" stats_say busy '[n[0] for n in Network] == ["lo"] and Network[0][1]["rx_bytes"] == 0'
check "the time" stats_say busy "abs(Timestamp / 1000000 - $EPOCHSECONDS) < 60"
check "huge pages, where the kernel has them" stats_say busy "sorted(figures.get('Hugetlb', {})) == sorted('''$(cd /sys/fs/cgroup/ctr.slice/ctr-busy.scope/payload &&
        for f in hugetlb.*.current; do [[ -e $f ]] && f=${f#hugetlb.} && echo "${f%.current}"; done)'''.split())"

# --- page cache apart
check "a task that reads and writes a file" ctrctl run -d --name cache "$image" \
        sh -c 'dd if=/dev/zero of=/file bs=1M count=32 && sync && cat /file >/dev/null && echo written && sleep 1000'
check_match "has done it" written "$(journal_wait 60 written CTR_CONTAINER=cache)"
check "page cache is no use of memory" stats_say cache 'MemoryCache > 30 << 20 and MemoryCurrent > 30 << 20 and MemoryWithoutCache < 16 << 20'
check "the peak is known" stats_say cache 'MemoryPeak >= MemoryCurrent'
check "what is written reaches a device" stats_say cache 'sum(d[1]["wbytes"] for d in IO) >= 30 << 20 and ":" in IO[0][0]'

check "a task in the host's network" ctrctl run -d --name host --network=host "$image" sleep 1000
check_equal "has no figures of a network" "" "$(stats host Network)"

# --- no cgroup (D24)
check "a task that has ended" ctrctl run -d --name over "$image" true
check "ends" ctrctl wait over
check_fails "it has no cgroup" 'cgroup does not exist' stats_json over

# --- all tasks
check_equal "the metrics of those that run" "busy cache host" "$(busctl --json=short call $destination $root \
        $destination.Manager Metrics 'a{sv}' 0 | python3 -c 'import json, sys
print(*(path.split("/")[-1] for path, figures in json.load(sys.stdin)["data"][0] if figures["Timestamp"]["data"]))')"

# --- limits that change
scope=/sys/fs/cgroup/ctr.slice/ctr-busy.scope
check "an update" update busy MemoryMax t $((32 << 20)) TasksMax t 20 CPUQuotaPerSecUSec t 500000 CPUWeight t 33 \
        AllowedCPUs s 0 MemorySwapMax t 0 MemoryHigh t $((24 << 20))
check_within "reaches the kernel: memory" 10 limits_are "$((32 << 20)) $((24 << 20)) 0" memory.max memory.high memory.swap.max
check_within "tasks" 10 limits_are 20 pids.max
check_within "quota" 10 limits_are "50000 100000" cpu.max
check_within "weight" 10 limits_are 33 cpu.weight
check_within "CPUs" 10 limits_are 0 cpuset.cpus.effective
check_equal "and the figures" $((32 << 20)) "$(stats busy MemoryMax)"
check "daemon-reload" systemctl daemon-reload
check "keeps them (C14)" limits_are "$((32 << 20)) 20 50000 100000" memory.max pids.max cpu.max
check "a task that may use little memory" ctrctl run -d --name small "$image" sh -c 'while [ ! -e /go ]; do sleep 0.1; done
        exec dd if=/dev/zero of=/dev/null bs=64M count=1'
check "is given even less" update small MemoryMax t $((16 << 20)) MemorySwapMax t 0
check "goes on" ctrctl exec small touch /go
check_equal "and is killed for what it used" 137 "$(timeout 60 ctrctl wait small)"

# --- what it costs
for ((i = 0; i < 20; i++)); do
        ctrctl run -d --name "n$i" "$image" sleep 1000 >/dev/null || break
done
check_equal "twenty more tasks" 20 "$i"
check "how long figures take" python3 "$(dirname "${BASH_SOURCE[0]}")/stats-time" 23
diagnose "$stdout"

check "clean up" ctrctl rm --force busy cache host over small n{0..19}
