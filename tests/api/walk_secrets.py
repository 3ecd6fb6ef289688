# SPDX-License-Identifier: LGPL-2.1-or-later
"""Secrets: stored from a sealed file in memory, listed without what is in them, given to containers as files."""

import fcntl
import os
import socket

SEALED = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
WORD = b"Xyzzy-7319-plugh"


def memory(data, seals=SEALED):
    """A descriptor of a file in memory."""
    fd = os.memfd_create("secret", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def store(walk, name, data=WORD, seals=SEALED, **more):
    fd = memory(data, seals)
    try:
        walk.root.call("Manager.CreateSecret", name, fd, **more)
    finally:
        os.close(fd)


def names(walk, **more):
    return [name for name, _ in walk.root.call("Manager.ListSecrets", **more)]


def unusable(walk):
    """Descriptors and names that are none."""
    opened = [os.open(path, flags) for path, flags in (("/", os.O_RDONLY), ("/dev/zero", os.O_RDONLY), ("/etc/passwd", os.O_PATH))]
    pair = socket.socketpair()
    for fd in opened + [s.fileno() for s in pair]:
        walk.refused("what is not in memory", "InvalidArgument", "sealed", walk.root.call, "Manager.CreateSecret", "x", fd)
    for fd in opened:
        os.close(fd)
    for s in pair:
        s.close()
    for name in "", ".", "..", "a/b", "x" * 300, "a b":
        walk.refused("no name for one", "InvalidArgument", "secret", store, walk, name)
        walk.refused("nor to remove", "InvalidArgument", "secret", walk.root.call, "Manager.RemoveSecret", name)


def life(walk):
    """Stored, told of, removed."""
    root = walk.root
    store(walk, "key", Namespace="default", Labels={"a": "b"})
    walk.refused("taken", "AlreadyExists", "\"key\"", store, walk, "key")
    walk.refused("no name", "InvalidArgument", "secret", store, walk, "../key")
    walk.refused("nothing", "InvalidArgument", "1 to 524288", store, walk, "x", b"")
    walk.refused("too much", "InvalidArgument", "1 to 524288", store, walk, "x", b"x" * 524289)
    walk.refused("what can still change", "InvalidArgument", "sealed", store, walk, "x", WORD, fcntl.F_SEAL_GROW)
    source, sink = os.pipe()
    walk.refused("what would be waited for", "InvalidArgument", "sealed", root.call, "Manager.CreateSecret", "x", source)
    os.close(source)
    os.close(sink)
    unusable(walk)
    store(walk, "key", Namespace="other")
    one = root.call("Manager.StatSecret", "key", Namespace="default")
    walk.equal("what is told of it", ("default", "key", {"a": "b"}, []),
               tuple(one[k] for k in ("Namespace", "Name", "Labels", "Containers")))
    walk.check("since when", walk.recent(one["CreatedAt"]), one)
    walk.equal("and nothing else", 5, len(one))
    walk.equal("all of them", ["key"], names(walk, Namespace="default", AllNamespaces=False))
    walk.equal("in every namespace", 2, len(names(walk, AllNamespaces=True)))
    walk.equal("by a label", ["key"], names(walk, Filters=["labels.a==b,name==key,namespace==default"]))
    walk.equal("or none", [], names(walk, Filters=["labels.a==c"]))
    walk.refused("a namespace with secrets", "FailedPrecondition", "secrets", root.call, "Manager.DeleteNamespace", "other")
    root.call("Manager.RemoveSecret", "key", Namespace="other")
    root.call("Manager.DeleteNamespace", "other")
    walk.refused("one that is gone", "NotFound", "\"key\"", root.call, "Manager.StatSecret", "key", Namespace="other")


def given(walk):
    """In containers."""
    root = walk.root
    status, text = walk.output_of("sec-a", "sh", "-c", "cat /run/secrets/key /etc/other; stat -c ' %a %u:%g' /etc/other",
                                  Secrets=[("key", "", 0, 0, 0o444), ("key", "/etc/other", 3, 4, 0o440)])
    walk.equal("a secret is a file", (0, f"{WORD.decode() * 2} 440 3:4\n"), (status, text))
    container = walk.container("sec-b", Secrets=[("key", "/run/secrets/name", 0, 0, 0o400)])
    walk.equal("who has it", ["sec-b"], root.call("Manager.StatSecret", "key")["Containers"])
    walk.check("the document has no more than its name", WORD.decode() not in str(walk.spec(container)))
    walk.refused("in use", "FailedPrecondition", "sec-b", root.call, "Manager.RemoveSecret", "key")
    walk.remove(container)
    for secret in ("key", "a/b", 0, 0, 0o444), ("key", "/run", 0, 0, 0o444), ("key", "", 0, 0, 0o4755), ("", "", 0, 0, 0), \
            ("key", "..", 0, 0, 0), ("key", "/etc/../x", 0, 0, 0), ("key", "/run/secrets/../x", 0, 0, 0), \
            ("key", "a" * 256, 0, 0, 0), ("key", "", 2**32 - 1, 0, 0), ("key", "", 0, 2**32 - 1, 0):
        walk.refused("a secret that cannot be", "InvalidArgument", "Secrets", walk.container, "sec-c", Secrets=[secret])
    for same in ("", "/run/secrets/key"), ("/etc/a", "/etc//a"), ("/etc/a", "/etc/a/b"), ("/etc/a/b", "/etc/a"), ("", "/etc/./a"), ("", "//run/secrets/b"):
        walk.refused("two at one place", "InvalidArgument", "Secrets", walk.container, "sec-c",
                     Secrets=[("key", target, 0, 0, 0o444) for target in same])
    walk.refused("one that is not there", "NotFound", "none", walk.container, "sec-c", Secrets=[("none", "", 0, 0, 0)])
    root.call("Manager.RemoveSecret", "key")
    walk.equal("none is left", [], names(walk, AllNamespaces=True))


CHAPTERS = [("secrets", life), ("secrets in containers", given)]
