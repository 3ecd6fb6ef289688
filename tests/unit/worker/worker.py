# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker as the tests run it: with a store of its own and a registry of the tests."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import registry

WORKER = os.environ.get("CTR_WORKER", "ctr-worker")
TIMEOUT = 60


class Failed(Exception):
    """The worker reported an error: its code and its sentence."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class Session:
    """A job under way, with its control socket."""

    def __init__(self, root, *arguments, wrap=(), env=None, verb="pull", fds=()):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(TIMEOUT)
        self.progress = []
        self.n_parts = 0
        self.process = subprocess.Popen(
            [*wrap, WORKER, verb, *([f"--root={root}"] if root else []), f"--control-fd={theirs.fileno()}", *arguments],
            pass_fds=[theirs.fileno(), *fds], stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        theirs.close()

    def next(self, kind=None):
        """The next packet that is no progress (or of that kind); None when the worker closed."""
        while True:
            data = self.socket.recv(1 << 18)
            if not data:
                return None
            packet = json.loads(data)
            if packet["type"] == "progress":
                self.progress.append(packet)
            if packet["type"] == (kind or packet["type"]) and (kind or packet["type"] != "progress"):
                return packet

    def send(self, packet):
        self.socket.send(json.dumps(packet).encode())

    def next_whole(self):
        """The next packet; a long one comes in pieces."""
        parts = {}
        packet = self.next()
        while packet and packet["type"] == "part":
            assert len(packet) == 2, packet.keys()
            for key in packet.keys() - {"type"}:
                parts.setdefault(key, []).extend(packet[key])
            self.n_parts += 1
            packet = self.next()
        for key, items in parts.items():
            packet[key] = items + packet[key]
        return packet

    def finish(self, have=None):
        """Answer the plan and wait for the end: the result, or Failed."""
        packet = self.next_whole()
        # an import asks once for each of its images
        while packet and packet["type"] == "plan":
            self.plan = packet
            self.send({"type": "have", "layers": have or [None] * len(packet["layers"])})
            packet = self.next_whole()
        code = self.wait()
        if packet is None:
            raise AssertionError(f"the worker ended with {code} and without a packet")
        if packet["type"] == "error":
            assert code == 1, code
            raise Failed(packet["code"], packet["text"])
        assert packet["type"] == "result" and code == 0, (packet["type"], code)
        return packet

    def wait(self):
        code = self.process.wait(TIMEOUT)
        self.socket.close()
        return code

    def signal(self, number):
        self.process.send_signal(number)


def bytes_in_pipe(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


class TestCase(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="test-worker-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.registry = registry.Registry()
        self.addCleanup(self.registry.close)
        self.reference = f"{self.registry.host}/test/image"
        self.content = self.root / "content"
        self.snapshots = self.root / "snapshots" / "overlayfs"
        self.env = {"CONTAINERS_REGISTRIES_CONF": "/dev/null"}

    def start(self, *arguments, reference=None, **more):
        return Session(self.root, *arguments, reference or self.reference, env=self.env, **more)

    def pull(self, *arguments, have=None, **more):
        session = self.start(*arguments, **more)
        self.addCleanup(session.socket.close)
        self.last = session
        return session.finish(have)

    def run_verb(self, verb, *arguments, root=True, **more):
        """Another verb, to its end."""
        session = Session(self.root if root else None, *arguments, env=self.env, verb=verb, **more)
        self.addCleanup(session.socket.close)
        self.last = session
        return session.finish()

    def assert_fails(self, code, regex, *arguments, **more):
        """The pull fails with that code and sentence, and leaves no tree behind."""
        before = self.trees()
        with self.assertRaises(Failed) as context:
            if "verb" in more:
                self.run_verb(more.pop("verb"), *arguments, **more)
            else:
                self.pull(*arguments, **more)
        self.assertEqual((context.exception.code, bool(context.exception.text)), (code, True), context.exception)
        self.assertRegex(context.exception.text, regex)
        self.assertEqual(self.trees(), before)

    def wait_for(self, condition):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def trees(self):
        return {p.name for p in self.snapshots.iterdir()} if self.snapshots.exists() else set()

    def assert_no_trees(self):
        self.assertEqual(self.trees(), set())

    def tree(self, result, index=-1):
        return self.snapshots / result["layers"][index]["directory"] / "fs"

    def stored(self):
        return {p.name for p in (self.content / "sha256").iterdir()}

    def partial(self):
        return {p.name: p.stat().st_size for p in (self.content / "ingest").iterdir()}


def main():
    if os.geteuid() != 0:
        print("extracting layers needs root", file=sys.stderr)
        sys.exit(77)
    signal.alarm(600)
    unittest.main(verbosity=1)
