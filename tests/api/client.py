#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of org.example.Ctr that knows nothing but dbus/org.example.Ctr.xml, and uses all of it.

Usage: client.py [--have=memory,criu] [--patience=SECONDS] [CHAPTER...]

The walk goes through chapters, which are in walk_*.py. Every call, property, signal and option that worked is noted,
and the last chapter compares that with the XML: what was not used is a failure, as is a property that should tell its
changes and was never seen to. No code of the service is used, and no test of it: python3-gi, systemctl to look from the
other side, and skopeo to bring images into the registry, which the caller serves at localhost:5000.

Needs, in the environment, WALK_REGISTRY: the directory of that registry.
"""

import argparse
import collections
import sys

import bus
import contract
import options
import walk
import walk_checkpoint
import walk_containers
import walk_events
import walk_execs
import walk_files
import walk_images
import walk_refusals
import walk_resources
import walk_secrets
import walk_snapshots
import walk_store
import walk_streams
import walk_tasks
import walk_transfers
import walk_volumes

# What cannot be used, and why. Entries that are used all the same fail.
NOT_HERE = {
    "memory": {"Manager.TaskOOM"},
    "criu": {"Manager.TaskCheckpointed", "Task.Checkpoint", "Container.CreateTask:Checkpoint",
             "Container.CreateTask:CheckpointPath",
             *(f"Task.Checkpoint:{key}" for key in options.OPTIONS["Task.Checkpoint"])},
}
NEVER_CHANGES = {
    "Image.Platforms",  # all images of the test bed are for one
}
NOT_HERE_CHANGES = {"memory": {"Task.OOMKilled", "Task.OOMCgroup"}, "criu": set()}

CHAPTERS = [chapter for module in (walk_images, walk_transfers, walk_store, walk_containers, walk_tasks,
                                                       walk_execs, walk_files, walk_snapshots, walk_volumes, walk_secrets, walk_streams,
                                                       walk_resources, walk_checkpoint, walk_events, walk_refusals) for chapter in module.CHAPTERS]
LAST = walk_images.LAST + walk_events.LAST


def account(w):
    """Whether all of the contract was used."""
    c = w.contract
    w.equal("our table of options and the XML agree", [], c.undocumented_options())
    lacking = [what for what in NOT_HERE if what not in w.have]
    excused = set().union(*(NOT_HERE[what] for what in lacking))
    unused = set(c.unused())
    w.equal(f"all of {len(list(c.members()))} members and options was used", [], sorted(unused - excused))
    w.equal("nothing is excused that was used", [], sorted(excused - unused))
    unchanged = set(c.unchanged())
    excused = NEVER_CHANGES.union(*(NOT_HERE_CHANGES[what] for what in lacking))
    w.equal("properties told their changes", [], sorted(unchanged - excused))
    w.equal("no more than is said did", [], sorted(excused - unchanged))
    by_error = collections.Counter(w.errors)
    missing = sorted(set(ERRORS) - set(by_error))
    w.equal(f"error names, {sum(by_error.values())} refusals", [], missing)


# The error names of the XML but for those that only a defect or a broken kernel brings about: Unknown, NotImplemented,
# Conflict, DeadlineExceeded, PermissionDenied, ResourceExhausted (tests/system/faults.sh has a full disk).
ERRORS = ("InvalidArgument", "NotFound", "AlreadyExists", "FailedPrecondition", "Unavailable", "Timeout", "Canceled",
          "DataLoss", "CommandNotFound", "CommandNotExecutable")


def main():
    parser = argparse.ArgumentParser(description="Walk the whole D-Bus API")
    parser.add_argument("--have", default="", help="what this machine has: memory (cgroup controllers), criu")
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait for what should come")
    parser.add_argument("chapters", nargs="*", help="only chapters whose title has one of these words")
    arguments = parser.parse_args()
    c = contract.Contract(options.OPTIONS)
    w = walk.Walk(c, bus.Bus(c), set(filter(None, arguments.have.split(","))), arguments.patience)
    wanted = arguments.chapters
    if wanted:
        w.pull()
    for title, function in CHAPTERS if not wanted else [
            entry for entry in CHAPTERS + LAST if any(word in entry[0] for word in wanted)]:
        w.chapter(title, function)
    if not wanted:
        for title, function in [*LAST, ("the account", account)]:
            w.chapter(title, function)
    print("# walked")
    sys.exit(1 if w.failed else 0)


main()
