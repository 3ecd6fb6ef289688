#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --timeout=900
#
# Events that need a memory controller: oom comes before the exit (D11, D20), also if the manager was killed in between;
# and a restart after it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(dirname "${BASH_SOURCE[0]}")
image=localhost:5000/demo:latest
registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"

oom_exit() {
        [[ $("$here/event-history" --name="$1" | grep -oE ' /tasks/(oom|exit) ' | tr -d ' \n') == */tasks/oom/tasks/exit ]]
}

check "a task with too little memory" ctrctl run -d --name=big --memory-max=16M "$image" \
        dd if=/dev/zero of=/dev/null bs=64M count=1
check_equal "is killed" 137 "$(timeout 60 ctrctl wait big)"
check_within "oom is published before the exit" 20 oom_exit big
check_match "with the cgroup whose limit was hit" '"Cgroup": ".*ctr-big.scope' \
        "$("$here/event-history" --name=big | grep ' /tasks/oom ')"

check "another one" ctrctl run -d --name=late --memory-max=16M "$image" \
        sh -c 'sleep 5; exec dd if=/dev/zero of=/dev/null bs=64M count=1'
kill -KILL "$(manager_pid)"
check_within "its supervisor sees it alone" 60 test -e /run/ctr/tasks/default/late/exit.json
check_within "and the next manager says so, in order" 20 oom_exit late

check "out of memory is a failure" ctrctl run -d --name=again --restart=on-failure:1 --memory-max=16M "$image" \
        dd if=/dev/zero of=/dev/null bs=64M count=1
restarted() {
        [[ $("$here/event-history" --name=again | grep -c ' /tasks/exit ') == 2 ]]
}
check_within "and a reason to restart" 60 restarted
check "the history is in order" "$here/event-history" --check
