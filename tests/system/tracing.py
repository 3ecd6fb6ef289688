# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run a program and all that it clones, and do something at one of its system calls.

What strace can inject, it injects into every process alike; a test that makes each call of a set-up fail in turn needs
the n-th call of the n-th process. Processes are numbered in the order in which they were cloned, 0 is the program
itself. A process that executes another program is of no interest any more: its calls are not seen.

Invariant: when run() returns, nothing of the program lives; who had to be killed for that is in its result.
"""

import ctypes
import dataclasses
import errno
import os
import platform
import signal
import struct
import time

SUPPORTED = platform.machine() == "x86_64"

SEIZE, LISTEN, GET_SYSCALL_INFO = 0x4206, 0x4208, 0x420E
CONT, POKEUSER, SYSCALL, DETACH = 7, 6, 24, 17
OPTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x100000  # SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL
EVENT_EXEC, EVENT_STOP = 4, 128
EVENTS_CLONE = (1, 2, 3)
ALL_THREADS = 0x40000000  # __WALL: clones that send no signal, too
OWN_ONLY = 0x20000000  # __WNOTHREAD: a caller's other threads have children of their own
ORIG_RAX, RAX = 15 * 8, 10 * 8
ARCHITECTURE = 0xC000003E

# which argument names a file
PATHS = {"open": 0, "openat": 1, "openat2": 1, "mkdirat": 1, "unlinkat": 1, "renameat2": 3, "newfstatat": 1,
         "open_tree": 1, "mount": 1, "umount2": 0, "chdir": 0, "execve": 0, "readlink": 0, "readlinkat": 1,
         "symlinkat": 2, "mknodat": 1, "faccessat2": 1, "access": 0, "fsopen": 0, "mount_setattr": 1, "chroot": 0}

# and which one is a descriptor, of those that name no file
DESCRIPTORS = {"read": 0, "pread64": 0, "write": 0, "pwrite64": 0, "getdents64": 0, "fstat": 0, "newfstatat": 0, "fcntl": 0, "flock": 0,
               "fchdir": 0, "ioctl": 0, "fstatfs": 0, "lseek": 0, "fchown": 0, "ftruncate": 0, "open_tree": 0}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
libseccomp = ctypes.CDLL("libseccomp.so.2")
libseccomp.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
info = ctypes.create_string_buffer(88)
names = {}


def call_name(number):
    if number not in names:
        text = libseccomp.seccomp_syscall_resolve_num_arch(ctypes.c_uint32(ARCHITECTURE), number)
        names[number] = ctypes.string_at(text).decode() if text else str(number)
        libc.free(ctypes.c_void_p(text))
    return names[number]


def ptrace(request, pid, address=0, data=0):
    r = libc.ptrace(request, pid, address, data)
    if r < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return r


@dataclasses.dataclass(frozen=True)
class Call:
    """A system call that is about to be made."""

    process: int
    n: int  # of this process, from 0
    name: str
    path: str  # "" if it names no file
    pid: int = dataclasses.field(compare=False)

    def __str__(self):
        return f"{self.process}:{self.n} {self.name}({self.path})"


@dataclasses.dataclass
class Result:
    status: int  # exit status of the program, or minus its signal
    stdout: str
    stderr: str
    seconds: float
    left: list  # processes that outlived the program, by number


class Tracee:
    def __init__(self, number):
        self.number = number
        self.calls = 0
        self.inside = False
        self.injected = 0
        self.followed = True


class Trace:
    """on_call(call) is called before each call and returns an errno to inject, or None. on_exec(process, pid) is
    called when a process has become another program, before that does anything."""

    def __init__(self, on_call, seconds=60, grace=20, on_exec=None):
        self.on_call = on_call
        self.on_exec = on_exec
        self.seconds = seconds
        self.grace = grace  # for what ends by itself after the program
        self.tracees = {}
        self.seen = set()
        self.numbers = 0
        self.done = False

    def stop_looking(self):
        """No call is of interest any more: the rest runs at full speed."""
        self.done = True

    @staticmethod
    def path_of(pid, name, args):
        path = ""
        try:
            if name in PATHS and args[PATHS[name]] != 0:
                with open(f"/proc/{pid}/mem", "rb", buffering=0) as f:
                    f.seek(args[PATHS[name]])
                    path = f.read(256).split(b"\0", 1)[0].decode(errors="replace")
            if not path and name in DESCRIPTORS:
                path = os.readlink(f"/proc/{pid}/fd/{args[DESCRIPTORS[name]] & 0xFFFFFFFF}")
        except (OSError, ValueError):
            pass
        return path

    def at_call(self, pid, t):
        ptrace(GET_SYSCALL_INFO, pid, len(info), ctypes.addressof(info))
        if info.raw[0] == 1:
            number, *args = struct.unpack_from("=Q6Q", info.raw, 24)
            name = call_name(number)
            call = Call(t.number, t.calls, name, self.path_of(pid, name, args), pid)
            t.calls += 1
            t.injected = self.on_call(call) or 0
            if t.injected:
                ptrace(POKEUSER, pid, ORIG_RAX, ctypes.c_void_p(-1 & (1 << 64) - 1))
        elif info.raw[0] == 2 and t.injected:
            ptrace(POKEUSER, pid, RAX, ctypes.c_void_p(-t.injected & (1 << 64) - 1))
            t.injected = 0

    def resume(self, pid, t, signo=0):
        look = t.followed and (not self.done or t.injected)
        ptrace(SYSCALL if look else CONT, pid, 0, signo)

    def tracee(self, pid):
        if pid not in self.tracees:
            self.seen.add(pid)
            self.tracees[pid] = Tracee(self.numbers)
            self.numbers += 1
        return self.tracees[pid]

    def at_stop(self, pid, status):
        t = self.tracee(pid)
        signo, event = os.WSTOPSIG(status), status >> 16
        if signo == signal.SIGTRAP | 0x80:
            self.at_call(pid, t)
        elif event in EVENTS_CLONE:
            new = ctypes.c_ulong()
            ptrace(0x4201, pid, 0, ctypes.addressof(new))
            if new.value not in self.seen:  # it may have been faster, and be gone
                self.tracee(new.value)
        elif event == EVENT_EXEC:
            if self.on_exec:
                self.on_exec(t.number, pid)
            t.followed = t.number == 0  # it executes itself, and nothing else
        elif event == EVENT_STOP:
            if signo not in (signal.SIGTRAP,):
                ptrace(LISTEN, pid)
                return
        elif event == 0:
            self.resume(pid, t, signo)
            return
        self.resume(pid, t)

    def spawn(self, arguments, environment, files):
        release, wait = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                os.close(wait)
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                for target, fd in enumerate(files):
                    os.dup2(fd, target)
                os.read(release, 1)
                os.execvpe(arguments[0], arguments, environment)
            finally:
                os._exit(127)
        os.close(release)
        ptrace(SEIZE, pid, 0, OPTIONS)
        self.tracee(pid)
        os.close(wait)
        return pid

    def wait_one(self, deadline):
        """One event, or None when the time is up."""
        while time.monotonic() < deadline:
            pid, status = os.waitpid(-1, ALL_THREADS | OWN_ONLY | os.WNOHANG)
            if pid != 0:
                return pid, status
            signal.sigtimedwait([signal.SIGCHLD], max(0.0, deadline - time.monotonic()))
        return None

    def loop(self, program):
        deadline = time.monotonic() + self.seconds
        status, left = None, []
        while self.tracees:
            event = self.wait_one(deadline)
            if event is None:
                left += [t.number for t in self.tracees.values()]
                for pid in self.tracees:
                    os.kill(pid, signal.SIGKILL)
                deadline = time.monotonic() + 10
                continue
            pid, value = event
            if os.WIFSTOPPED(value):
                try:
                    self.at_stop(pid, value)
                except ProcessLookupError:
                    pass  # killed meanwhile: its end is the next that is heard of it
                continue
            self.tracees.pop(pid, None)
            if pid == program:
                status = os.waitstatus_to_exitcode(value)
                deadline = time.monotonic() + self.grace
        return status, left

    def run(self, arguments, environment=None):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        out, err = os.memfd_create("stdout"), os.memfd_create("stderr")
        null = os.open("/dev/null", os.O_RDWR)
        started = time.monotonic()
        try:
            program = self.spawn(arguments, environment or os.environ, (null, out, err))
            status, left = self.loop(program)
            texts = [os.pread(fd, 1 << 20, 0).decode(errors="replace") for fd in (out, err)]
            return Result(status, *texts, time.monotonic() - started, left)
        finally:
            for fd in (out, err, null):
                os.close(fd)


def exchange(first, second):
    """Two names change their files, in one step."""
    if libc.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), 2) < 0:
        code = ctypes.get_errno()
        if code != errno.ENOENT:
            raise OSError(code, os.strerror(code), first)
