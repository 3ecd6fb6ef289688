#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: vm --reboot --timeout=900
#
# shellcheck disable=SC2016
#
# A machine that is rebooted, and one that loses its power: what was wanted runs again and nothing else, what was written
# is there, no trace is left of tasks of the boot before, and the history of events is whole (A4.17 to A4.19, D11).

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
image=localhost:5000/busybox:1
state=/var/lib/test-reboot

# boot_again CMD...: which ends this boot. The file is started again, and goes on with its count.
boot_again() {
        cat /proc/sys/kernel/random/boot_id >"$state/boot"
        echo "test_count=$test_count test_failures=$test_failures boot=$((boot + 1))" >"$state/count"
        touch /run/testbed-reboot
        trap - EXIT
        sync
        "$@"
        exec sleep infinity
}

# run_on NAME [OPTION...]: a container in the background that a stop does not wait for
run_on() {
        ctrctl run -d --stop-timeout=1 --name="$1" "${@:2}" "$image" sleep 100000
}

# running [-a]: the names, in one line
running() {
        ctrctl ps "$@" --no-legend | awk '{print $1}' | sort | xargs
}

first_boot() {
        registry_start
        image_push busybox busybox:1
        check "pull" ctrctl pull -q "$image"
        check "always" run_on always --restart=always
        check "unless-stopped" run_on unless --restart=unless-stopped
        check "another one" run_on stopped --restart=unless-stopped
        check "which is stopped" ctrctl stop stopped
        check "no policy" run_on plain
        check "which has written" ctrctl exec plain sh -c 'echo kept >/kept'
        check "one that goes with its task" run_on gone --rm
        check_exit "one that has ended" 3 ctrctl run --name=ended "$image" sh -c 'exit 3'
        check "with an exec" ctrctl exec -d plain sleep 100000
        check "a boot would look for them" test -e /var/lib/ctr/restart-at-boot
        # as "systemctl enable" does it for multi-user.target
        systemctl --quiet add-wants testbed.target ctr-boot.service
}

# later_boot: nobody has called the manager yet
later_boot() {
        check "this is another boot" eval '! cmp -s /proc/sys/kernel/random/boot_id "$state/boot"'
        check_within "the manager is started" 120 systemctl --quiet is-active ctr.service
        check_within "what was wanted runs" 120 eval '[[ $(running) == "always unless" ]]'
        check_within "all containers are there but one" 60 \
                eval '[[ $(running -a) == "always ended plain stopped unless" ]]'
        check_equal "with the two tasks' directories" "always unless" \
                "$(find /run/ctr/tasks/default -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)"
        check_equal "and their scopes" "ctr-always.scope ctr-unless.scope" \
                "$(systemctl list-units --no-legend --plain --all 'ctr-*.scope' | awk '{print $1}' | sort | xargs)"
        check_equal "no exec" "" "$(ctrctl ps --execs -aq)"
        check "every step is an event, once and in order" "$here/event-history" --check
}

boot=1
if [[ -e $state/count ]]; then
        # shellcheck source=/dev/null
        . "$state/count"
else
        mkdir -p "$state"
fi
echo "# boot $boot"
case $boot in
1)
        first_boot
        boot_again systemctl reboot
        ;;
2)
        later_boot
        check "what has no policy can be started" ctrctl start plain
        check_equal "and has what was written" kept "$(ctrctl exec plain cat /kept)"
        check "to be stopped" ctrctl stop plain
        check "one more of those that go" run_on gone --rm
        # all at once, without a word to anybody
        boot_again eval 'echo b >/proc/sysrq-trigger'
        ;;
*)
        later_boot
        check "a user's stop" ctrctl stop unless
        check "always is stopped for no boot, only removed" ctrctl rm -f always
        check_within "and nothing is to be looked for at boot" 10 test ! -e /var/lib/ctr/restart-at-boot
        ;;
esac
