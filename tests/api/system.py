# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service as systemd sees it: for the tests that kill it."""

import contextlib
import pathlib
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


@contextlib.contextmanager
def small(target, size):
    """A file system of this size on the directory, and the service on it: a function that fills it."""
    filler = pathlib.Path(target) / "filler"
    systemctl("stop", "ctr.service")
    pathlib.Path(target).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", target], check=True)

    def fill():
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(4096))

    try:
        yield fill, filler
    finally:
        filler.unlink(missing_ok=True)
        systemctl("stop", "ctr.service")
        subprocess.run(["umount", "--lazy", target], check=True)
