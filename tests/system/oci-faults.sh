#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# Each system call of a container's set-up fails in turn: an error that says what and why, and nothing is left. All of
# them with CTR_TEST_FAULTS=all, which takes some minutes.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

faults=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/oci-faults

for scenario in plain terminal hooks everything user-namespace; do
        if [[ $(uname -m) == x86_64 ]]; then
                check "$scenario: no system call fails unnoticed, and nothing is left" "$faults" "$scenario"
        else
                skip "the injector knows x86_64" "$scenario: no system call fails unnoticed, and nothing is left"
        fi
done
