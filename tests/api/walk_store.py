# SPDX-License-Identifier: LGPL-2.1-or-later
"""What images are made of: blobs, leases that keep them, and garbage."""

import json
import os
import pathlib
import time

from walk import IMAGE
from walk_images import layout
from walk_transfers import finish

STORE = pathlib.Path("/var/lib/ctr/content/sha256")
KEPT = "localhost:5000/kept:latest"


def content(walk, **more):
    return dict(walk.root.call("Manager.ListContent", **more))


def blobs(walk):
    """The blobs of a namespace."""
    root = walk.root
    walk.push("layers", "kept:latest")
    walk.pull(KEPT)
    _, _, _, text, _ = layout("layers")
    manifest = json.loads(text)
    config = manifest["config"]["digest"]
    listed = content(walk, Namespace="default")
    walk.check("all of an image is listed", {config, *(layer["digest"] for layer in manifest["layers"])} <= set(listed))
    one = listed[config]
    walk.equal("with its size and kind", (manifest["config"]["size"], manifest["config"]["mediaType"]),
               (one["Size"], one["MediaType"]))
    walk.check("who needs it, and since when it is there", one["Images"] >= 1 and walk.recent(one["CreatedAt"]) and
               one["Namespace"] == "default" and one["DamagedAt"] == 0 and one["Labels"] == {}, one)
    walk.equal("found by a filter", [config], list(content(walk, Filters=[f"digest=={config}"], AllNamespaces=True)))
    walk.refused("a filter that is none", "InvalidArgument", "Filters", content, walk, Filters=["digest="])
    fd = root.fetch("Manager.GetContent", config, Namespace="default")
    with open(fd, "rb") as stream:
        walk.equal("read through a descriptor", manifest["config"]["size"], len(stream.read()))
    walk.refused("another namespace has none of it", "NotFound", "sha256", root.call, "Manager.GetContent", config,
                 Namespace="other")
    walk.refused("what is needed stays", "FailedPrecondition", "kept", root.call, "Manager.DeleteContent", config,
                 Namespace="default")
    root.call("Manager.SetContentLabels", config, {"a": "b"}, Namespace="default")
    walk.equal("labels", {"a": "b"}, content(walk)[config]["Labels"])
    root.call("Manager.SetContentLabels", config, {})
    walk.equal("nothing is under way", [], root.call("Manager.ListIngests", Namespace="default", AllNamespaces=False))


def leases(walk):
    """What a lease holds stays, whatever else goes."""
    root = walk.root
    _, _, _, text, _ = layout("layers")
    config = json.loads(text)["config"]["digest"]
    soon = time.time_ns() // 1000 + 3600 * 1000000
    walk.equal("a lease of that name", "mine", root.call("Manager.CreateLease", "mine", Labels={"a": "b"}, Expires=soon,
                                                         Namespace="default"))
    walk.refused("a second one", "AlreadyExists", "mine", root.call, "Manager.CreateLease", "mine")
    random = root.call("Manager.CreateLease", "")
    listed = dict(root.call("Manager.ListLeases", Namespace="default", AllNamespaces=False))
    walk.check("they are listed", {"mine", random} <= set(listed), listed)
    walk.equal("with labels and end", ({"a": "b"}, soon), (listed["mine"]["Labels"], listed["mine"]["Expires"]))
    root.call("Manager.DeleteLease", random, Namespace="default")
    walk.refused("one that is gone", "NotFound", random, root.call, "Manager.ListLeaseResources", random)
    root.call("Manager.AddLeaseResource", "mine", "content", config, Namespace="default")
    walk.equal("what it holds", [("content", config)], root.call("Manager.ListLeaseResources", "mine",
                                                                 Namespace="default"))
    walk.refused("a type that is none", "InvalidArgument", "type", root.call, "Manager.AddLeaseResource", "mine", "x", "y")
    root.call("Manager.DeleteImage", KEPT, Synchronous=True)
    walk.check("it stays without its image", config in content(walk))
    walk.refused("and says who holds it", "FailedPrecondition", "mine", root.call, "Manager.DeleteContent", config)
    root.call("Manager.RemoveLeaseResource", "mine", "content", config, Namespace="default")
    root.call("Manager.DeleteLease", "mine", Synchronous=True)
    root.call("Manager.CollectGarbage", Namespace="default", Quarantine=False)
    walk.check("until nobody holds it", config not in content(walk))


def removal(walk):
    """A blob that only a label keeps may be taken away by hand."""
    root = walk.root
    walk.pull(KEPT)
    _, _, _, text, _ = layout("layers")
    config = json.loads(text)["config"]["digest"]
    root.call("Manager.SetContentLabels", config, {"containerd.io/gc.root": "yes"})
    root.call("Manager.DeleteImage", KEPT, Synchronous=True)
    walk.check("a root of the collection stays", config in content(walk))
    usage = root.call("Manager.DiskUsage", Namespace="default", AllNamespaces=False)
    walk.check("the use of the disk", usage["Blobs"] >= 1 and usage["ContentBytes"] > 0 and usage["Images"] >= 1 and
               set(usage) >= {"Containers", "Leases", "Snapshots", "SnapshotBytes", "IngestBytes", "QuarantineBytes",
                              "ReclaimableBytes"}, usage)
    root.call("Manager.DeleteContent", config, Namespace="default")
    walk.check("and goes when asked", config not in content(walk))
    walk.event("which is told", "/content/delete", config, "")


def verification(walk):
    """A blob that is not what its name says is set aside, and fetched again."""
    root = walk.root
    walk.pull(KEPT)
    image = walk.thing(root.call("Manager.GetImage", KEPT))
    _, _, _, text, _ = layout("layers")
    layer = json.loads(text)["layers"][-1]["digest"]
    path = STORE / layer.removeprefix("sha256:")
    with open(path, "r+b") as f:
        f.write(b"damage")
    result = finish(walk, root.call("Manager.VerifyContent", Namespace="default", Quarantine=True))
    walk.check("the damage is found", result["NDamaged"] == 1 and layer in result["Damaged"][0].replace("/", ":"), result)
    walk.becomes("the image says so", image, "Image.Damaged", True)
    moved = dict(root.call("Manager.ListQuarantine", Namespace="default"))
    walk.check("it was moved away", layer in moved and walk.recent(moved[layer]["QuarantinedAt"]), moved)
    walk.pull(KEPT)
    walk.becomes("and fetched again", image, "Image.Damaged", False)
    root.call("Manager.CollectGarbage", Quarantine=True)
    walk.equal("the quarantine is empty", [], root.call("Manager.ListQuarantine"))
    root.call("Manager.DeleteImage", KEPT, Synchronous=True)
    walk.equal("what others have stays", IMAGE, walk.thing(root.call("Manager.GetImage", IMAGE)).get("Image.Name"))
    walk.check("the file is gone", not os.path.exists(path))


CHAPTERS = [("store: blobs", blobs), ("store: leases", leases), ("store: removal", removal),
            ("store: verification", verification)]
