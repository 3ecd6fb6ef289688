# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service as systemd sees it: for the tests that kill it."""

import subprocess
import time


def systemctl(*arguments):
    subprocess.run(["systemctl", *arguments], check=True)


def manager_pid():
    return int(subprocess.run(["systemctl", "show", "--property=MainPID", "--value", "ctr.service"], check=True,
                              stdout=subprocess.PIPE).stdout)


def kill_manager():
    """Returns when it is gone; systemd may have started the next one."""
    pid = manager_pid()
    systemctl("kill", "--signal=KILL", "ctr.service")
    while manager_pid() == pid != 0:
        time.sleep(0.01)


def scopes():
    """The names of all scopes of tasks."""
    output = subprocess.run(["systemctl", "list-units", "--plain", "--no-legend", "ctr-*.scope"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return [line.split()[0] for line in output.splitlines()]


def supervisors():
    return subprocess.run(["pgrep", "-x", "ctr-supervisor"], stdout=subprocess.PIPE, text=True,
                          check=False).stdout.split()
