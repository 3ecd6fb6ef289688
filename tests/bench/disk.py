# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk of their own for measurements that write much: ext4 in a file, mounted over the state directory.

So what is measured is the same everywhere: a file system with a journal, as machines have it, and empty. On the
machine's own, syncs also write what everybody else has written; and where that has no journal, ext4 skips the inodes
that were removed in the last minutes one by one, which takes longer than all else after the trees of the turn before.
"""

import contextlib
import os
import subprocess

from common import say

STATE = "/var/lib/ctr"
IMAGE = f"{STATE}/bench-disk"
SIZE = 40 << 30  # sparse
INODES = 2000000
LOOPS = 32


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def make_nodes():
    """The test bed in namespaces has the control device alone."""
    for number in range(LOOPS):
        if not os.path.exists(f"/dev/loop{number}"):
            os.mknod(f"/dev/loop{number}", 0o060600, os.makedev(7, number))


def mount():
    with open(IMAGE, "wb") as f:
        f.truncate(SIZE)
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(INODES), "-E", "lazy_itable_init=0,lazy_journal_init=0", IMAGE)
    make_nodes()
    run("mount", "-o", "loop", IMAGE, STATE)


@contextlib.contextmanager
def own_disk():
    """The manager's state is empty inside, and what it was before afterwards. Gives what is told about the disk."""
    run("systemctl", "stop", "ctr.service")
    try:
        mount()
    except (OSError, subprocess.CalledProcessError) as error:
        say("no disk of its own:", error, getattr(error, "stderr", ""))
        yield "the machine's file system"
        return
    finally:
        if not os.path.ismount(STATE) and os.path.exists(IMAGE):
            os.unlink(IMAGE)
    try:
        yield "ext4 of its own, with a journal"
    finally:
        run("systemctl", "stop", "ctr.service")
        run("umount", STATE)
        os.unlink(IMAGE)
