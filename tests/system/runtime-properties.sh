#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=600
#
# Nothing of a document is ignored: each member that the specification defines, with a value of another type, is refused
# by a sentence with its JSON path. What the runtime writes itself (state, features) has the members that the
# specification defines, with their types.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

list=$(dirname "${BASH_SOURCE[0]}")/../checks/runtime-properties.list
mkdir -p "$test_dir/bundle/rootfs/bin"
cp "$(command -v busybox)" "$test_dir/bundle/rootfs/bin/sh"
ctr-runtime spec --bundle "$test_dir/bundle"
sed -i 's/"terminal": true/"terminal": false/; s/"root": {/"annotations": {"a": "b"}, "root": {/' "$test_dir/bundle/config.json"
check "the document is accepted as it is" ctr-runtime create -b "$test_dir/bundle" base

cat >"$test_dir/walk" <<'PYTHON'
import copy, json, re, subprocess, sys

bundle, listed, state_of = sys.argv[1:]
with open(listed) as f:
    members = [line.split() for line in f if line.strip() and line[0] != "#"]
with open(bundle + "/config.json") as f:
    base = json.load(f)

# What stands beside a member where it needs company.
MAPPING = {"containerID": 0, "hostID": 1, "size": 1}
THROTTLE = {"major": 8, "minor": 0, "rate": 1}
HOOK = {"path": "/bin/true"}
COMPANY = {
    **{f"hooks.{point}[]": HOOK
       for point in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")},
    "mounts[]": {"destination": "/x", "type": "bind", "source": "/", "options": ["bind"]},
    "mounts[].uidMappings[]": MAPPING, "mounts[].gidMappings[]": MAPPING,
    "process.consoleSize": {"height": 1, "width": 1},
    "process.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1},
    "process.scheduler": {"policy": "SCHED_OTHER"},
    "process.rlimits[]": {"type": "RLIMIT_CORE", "soft": 1, "hard": 1},
    "linux.devices[]": {"path": "/dev/x", "type": "c", "major": 1, "minor": 3},
    "linux.uidMappings[]": MAPPING, "linux.gidMappings[]": MAPPING,
    "linux.namespaces[]": {"type": "mount"},
    "linux.resources.devices[]": {"allow": True},
    **{f"linux.resources.blockIO.throttle{what}Device[]": THROTTLE
       for what in ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")},
    "linux.resources.blockIO.weightDevice[]": {"major": 8, "minor": 0, "weight": 10},
    "linux.resources.hugepageLimits[]": {"pageSize": "2MB", "limit": 1},
    "linux.seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
    "linux.seccomp.syscalls[]": {"names": ["read"], "action": "SCMP_ACT_ERRNO"},
    "linux.seccomp.syscalls[].args[]": {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
    "linux.memoryPolicy": {"mode": "MPOL_LOCAL"},
    "linux.personality": {"domain": "LINUX"},
}


def steps(path):
    """["linux", "devices", "[]", "path"]"""
    return re.findall(r"\[\]|[^.\[\]]+", path)


def replace(document, path, value):
    """Sets what is at the path; on the way, lists get one element, maps the member x."""
    names, node, so_far = steps(path), document, ""
    for i, name in enumerate(names[:-1]):
        so_far += name if name == "[]" else ("." if so_far else "") + name
        empty = copy.deepcopy(COMPANY.get(so_far, [] if names[i + 1] == "[]" else {}))
        if name == "[]":
            node[:] = [empty]
            node = node[0]
        elif name == "*":
            node = node.setdefault("x", empty)
        else:
            if so_far in COMPANY or not node.get(name):
                node[name] = empty
            node = node[name]
    node[names[-1]] = value


def wrong_value(kind):
    return 7 if kind in ("object", "array") else {"wrong": 1}


def refusal(document):
    with open(bundle + "/config.json", "w") as f:
        json.dump(document, f)
    done = subprocess.run(["ctr-runtime", "run", "-b", bundle, "probe"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)
    return done.stderr.strip() if done.returncode != 0 else None


def names_it(text, path):
    """The member itself, or a whole above it that is not supported."""
    concrete = path.replace("[]", "[0]").replace("*", "x")
    if re.search(re.escape(concrete) + r"(?![A-Za-z])", text):
        return True
    parents = re.findall(r"\.", concrete)
    return any(text.endswith(concrete.rsplit(".", n)[0] + " is not supported")
               for n in range(1, len(parents) + 1))


def type_of(value):
    return {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}[type(value)]


def flatten(value, path):
    """(path, type) of every member."""
    for name, member in value.items():
        inner = f"{path}.{name}"
        yield inner, type_of(member)
        if isinstance(member, dict) and name != "annotations":
            yield from flatten(member, inner)


def say(good, text):
    print(("ok" if good else "not ok") + " - " + text)


for path, kind in members:
    if path.startswith(("state.", "processState.", "operation.", "features.")):
        continue
    document = copy.deepcopy(base)
    if path.startswith("process.consoleSize"):
        document["process"]["terminal"] = True
    replace(document, path, wrong_value(kind))
    text = refusal(document)
    good = text is not None and names_it(text, path)
    say(good, f"{path}: {'is ignored' if text is None else text}")
with open(bundle + "/config.json", "w") as f:
    json.dump(base, f)

for what, words in (("features", ["features"]), ("state", ["state", state_of])):
    document = json.loads(subprocess.run(["ctr-runtime", *words], capture_output=True, text=True, check=True).stdout)
    have = dict(flatten(document, what))
    want = {path: kind for path, kind in members if path.startswith(what + ".")}
    for path, kind in want.items():
        say(have.get(path) == kind, f"{path} is there, and {kind}: {have.get(path)}")
    if what == "features":
        say(not set(have) - set(want), f"features has nothing else: {sorted(set(have) - set(want))}")
print("# walked")
PYTHON
relay 250 python3 "$test_dir/walk" "$test_dir/bundle" "$list" base
check "clean up" ctr-runtime delete --force base
