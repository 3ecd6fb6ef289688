#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Registries that fail, by way of the service: see registry-faults.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir -p /run/systemd/system/ctr.service.d
printf '[Service]\nEnvironment=CTR_STALL_SEC=1\n' >/run/systemd/system/ctr.service.d/stall.conf
systemctl daemon-reload
relay 60 /usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/registry-faults"
