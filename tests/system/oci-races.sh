#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=600
#
# Those who share a volume, a pid namespace or a /proc with a container get at nothing while it is set up.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

races=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/oci-races

race() {
        if [[ $(uname -m) == x86_64 || -n ${3:-} ]]; then
                check "$2" "$races" "$1"
        else
                skip "the tracer knows x86_64" "$2"
        fi
}

race mounts "mount points of a shared volume that become links (CVE-2021-30465, CVE-2024-45310)"
race masks "a null device that becomes a link does not mask less (CVE-2025-31133)"
race console "a console that becomes a link (CVE-2025-52565)"
race no-console "a console that is made where a link appears (CVE-2025-52565)"
race own-binary "a script that becomes our own binary cannot lead to writing it (CVE-2019-5736)"
race proc "a false /proc is not written to (CVE-2019-16884, CVE-2025-52881)" always
race created "a container that waits for its start is closed to its neighbours" always
