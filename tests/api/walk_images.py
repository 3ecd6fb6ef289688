# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images and the jobs that bring them; namespaces."""

import hashlib
import json
import pathlib
import socket

import bus
from walk import IMAGE

LAYOUTS = pathlib.Path("/run/testbed-images")


def layout(image):
    """Digest and media type of the manifest, size of all blobs, and the texts of manifest and configuration."""
    descriptor = json.loads((LAYOUTS / image / "index.json").read_text())["manifests"][0]

    def blob(digest):
        return (LAYOUTS / image / "blobs/sha256" / digest.removeprefix("sha256:")).read_text()

    manifest = json.loads(blob(descriptor["digest"]))
    size = descriptor["size"] + manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])
    return (descriptor["digest"], descriptor["mediaType"], size, blob(descriptor["digest"]),
            blob(manifest["config"]["digest"]))


def refusals(walk):
    root = walk.root
    walk.refused("an image that is not there", "NotFound", "no image", root.call, "Manager.GetImage", "nothere")
    walk.refused("a reference that is none", "InvalidArgument", "white space", root.call, "Manager.GetImage", "a b")
    walk.refused("no reference", "InvalidArgument", ".", root.call, "Manager.GetImage", "")
    walk.refused("the empty namespace", "FailedPrecondition", "namespace is required", root.call, "Manager.GetImage",
                 IMAGE, Namespace="")
    walk.refused("deleting what is not there", "NotFound", "nothere", root.call, "Manager.DeleteImage", "nothere")
    walk.refused("an unknown policy", "InvalidArgument", "Policy.*sometimes", root.call, "Manager.PullImage", IMAGE,
                 Policy="sometimes")
    walk.refused("a registry where nobody listens", "Unavailable", "localhost:5999", walk.pull, "localhost:5999/demo")
    walk.refused("a tag that is not there", "NotFound", "notag", walk.pull, "localhost:5000/walk:notag")


def jobs(walk):
    """A pull from a registry that never answers stands still, and can be looked at."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reference = f"localhost:{silent.getsockname()[1]}/silent:latest"
        job = walk.thing(walk.root.call("Manager.PullImage", reference))
        number = int(job.path.rsplit("/", 1)[1])
        walk.signal("a job is announced", "Manager.JobNew", bus.ROOT, lambda a: a == (number, job.path))
        walk.property("with its number", job, "Job.Id", number)
        walk.property("its namespace", job, "Job.Namespace", "default")
        walk.property("what it is", job, "Job.Type", "pull")
        walk.property("what it works on", job, "Job.Description", reference)
        walk.property("since when", job, "Job.StartedAt", walk.recent)
        walk.property("what it does", job, "Job.Phase", "resolve")
        walk.property("how far it is: nowhere", job, "Job.Progress", [])
        walk.property("the manager counts it", walk.root, "Manager.NJobs", 1)
        walk.equal("and lists it", [(job.path, job.get_all("Job"))], walk.root.call("Manager.ListJobs"))
        walk.equal("not in another namespace", [], walk.root.call("Manager.ListJobs", Namespace="other"))
        walk.equal("but in all", 1, len(walk.root.call("Manager.ListJobs", AllNamespaces=True)))
        waiting = job.send("Job.Wait")
        job.call("Job.Cancel")
        walk.refused("it can be canceled", "Canceled", ".", walk.answer, waiting)
        walk.signal("and is gone as such", "Manager.JobRemoved", bus.ROOT,
                    lambda a: a[:4] == (number, job.path, "canceled", "Canceled"))
        walk.gone("its object too", job)


def pulling(walk):
    digest, media_type, size, manifest, config = layout("busybox")
    job = walk.pull(Unpack=False)
    number = int(job.path.rsplit("/", 1)[1])
    walk.signal("a pull ends", "Manager.JobRemoved", bus.ROOT, lambda a: a == (number, job.path, "done", "", ""))
    told = walk.bus.values.get((job.path, "Job", "Progress"), [])
    walk.check("and has told before how far each blob came", told and all(phase == "done" for _, phase, _, _ in told), told)
    image = walk.thing(walk.root.call("Manager.GetImage", "localhost:5000/walk"))
    walk.equal("the image has its place", f"{bus.ROOT}/image/default/{bus.element(IMAGE)}", image.path)
    walk.event("it is told", "/images/create", IMAGE, Labels={})
    walk.event("and each blob of it, which belongs to all namespaces", "/content/create", digest, namespace="")
    walk.property("namespace", image, "Image.Namespace", "default")
    walk.property("normalised name", image, "Image.Name", IMAGE)
    walk.property("digest", image, "Image.Digest", digest)
    walk.property("media type", image, "Image.MediaType", media_type)
    walk.property("size", image, "Image.Size", size)
    walk.property("labels", image, "Image.Labels", {})
    walk.property("made now", image, "Image.CreatedAt", walk.recent)
    walk.property("changed now", image, "Image.UpdatedAt", walk.recent)
    walk.property("not unpacked, as asked", image, "Image.Unpacked", False)
    walk.equal("manifest and configuration byte for byte", (manifest, config), image.call("Image.Inspect"))
    walk.equal("the manifest is what the digest says", digest,
               "sha256:" + hashlib.sha256(image.call("Image.Inspect")[0].encode()).hexdigest())
    walk.pull(Unpack=True)
    walk.property("unpacked by another pull", image, "Image.Unpacked", True)
    layers = walk.bus.wait(lambda: walk.events(None, "/snapshot/commit"), walk.patience)
    if walk.check("and tells its layers", layers):
        walk.event("each of them", "/snapshot/commit", layers[-1][4]["Key"], namespace=layers[-1][3])

    walk.push("layers", "walk:latest", "--format=v2s2")
    walk.pull(Policy="missing")
    walk.property("an image that is there is not pulled again", image, "Image.Digest", digest)
    walk.pull(Policy="always")
    walk.property("unless that is asked", image, "Image.Digest", lambda d: d != digest)
    walk.property("the media type follows", image, "Image.MediaType",
                  "application/vnd.docker.distribution.manifest.v2+json")
    walk.event("the change is told", "/images/update", IMAGE)
    walk.push("busybox", "walk:latest")
    walk.pull()
    walk.property("and back", image, "Image.Digest", digest)


def listing(walk):
    def names(*filters, **more):
        return [p["Name"] for _, p in walk.root.call("Manager.ListImages", Filters=list(filters), **more)]

    image = walk.thing(walk.root.call("Manager.GetImage", IMAGE))
    walk.equal("a listing is objects with their properties", [(image.path, image.get_all("Image"))],
               walk.root.call("Manager.ListImages"))
    digest = image.get("Image.Digest")
    for wanted, filters in ((1, ['name=="localhost:5000/walk:latest"']), (0, ["name==other"]), (1, ["name~=walk"]),
                            (1, ["name==other", "target.digest==" + json.dumps(digest)]), (1, ["namespace==default"]),
                            (0, ["name~=walk,namespace==other"]), (1, ["name!=other"]), (1, [""]), (0, ["labels.x"]),
                            (1, ["target.mediatype~=manifest"])):
        walk.equal(f"filters {filters}", wanted, len(names(*filters)))
    walk.refused("a filter that is none", "InvalidArgument", "[0-9]", names, "name=")
    walk.refused("an expression that is none", "InvalidArgument", ".", names, "name~=[")
    walk.equal("nothing in another namespace", [], names(Namespace="blue"))


def namespaces(walk):
    root = walk.root
    root.call("Manager.CreateNamespace", "blue", {"team": "sky"}, Namespace="default")
    walk.event("a namespace is told", "/namespaces/create", "blue", "blue", Labels={"team": "sky"})
    walk.refused("a second one of that name", "AlreadyExists", "blue", root.call, "Manager.CreateNamespace", "blue", {})
    walk.refused("a name that is none", "InvalidArgument", "a/b", root.call, "Manager.CreateNamespace", "a/b", {})
    walk.refused("the reserved name", "InvalidArgument", "reserved", root.call, "Manager.CreateNamespace", "version",
                 {})
    walk.check("it is listed", ("blue", {"team": "sky"}) in root.call("Manager.ListNamespaces", Namespace="default"))
    root.call("Manager.SetNamespaceLabels", "blue", {"team": "sea"}, Namespace="default")
    walk.event("new labels are told", "/namespaces/update", "blue", "blue", Labels={"team": "sea"})
    walk.check("and listed", ("blue", {"team": "sea"}) in root.call("Manager.ListNamespaces"))
    walk.refused("not of what is not there", "NotFound", "red", root.call, "Manager.SetNamespaceLabels", "red", {})
    walk.pull(Namespace="blue", Policy="missing")
    blue = walk.thing(root.call("Manager.GetImage", IMAGE, Namespace="blue"))
    walk.equal("the same name is another image there", f"{bus.ROOT}/image/blue/{bus.element(IMAGE)}", blue.path)
    walk.check("all namespaces are listed on demand", {"default", "blue"} <= {
        p["Namespace"] for _, p in root.call("Manager.ListImages", AllNamespaces=True)})
    walk.refused("a namespace in use", "FailedPrecondition", "image", root.call, "Manager.DeleteNamespace", "blue")
    container = walk.thing(root.call("Manager.CreateContainer", "twin", IMAGE, Namespace="blue", Command=["true"]))
    other = walk.container("twin", "true")
    walk.check("the same id is another container there", container.path != other.path and
               root.call("Manager.GetContainer", "twin", Namespace="blue") == container.path)
    tasks = [walk.thing(c.call("Container.CreateTask")) for c in (container, other)]
    walk.equal("the same id is another task there", [f"{bus.ROOT}/task/blue/twin", f"{bus.ROOT}/task/default/twin"],
               [root.call("Manager.GetTask", "twin", Namespace=n) for n in ("blue", "default")])
    walk.equal("which ends by itself", ["STOPPED", "CREATED"],
               [tasks[0].call("Process.Start") and tasks[0].call("Process.Wait") and tasks[0].get("Process.Status"),
                tasks[1].get("Process.Status")])
    walk.refused("a namespace with containers", "FailedPrecondition", "container", root.call,
                 "Manager.DeleteNamespace", "blue")
    walk.remove(container, other)
    root.call("Manager.DeleteImage", IMAGE, Namespace="blue", Synchronous=True)
    root.call("Manager.DeleteNamespace", "blue", Namespace="default")
    walk.event("an empty one goes", "/namespaces/delete", "blue", "blue")
    walk.refused("once", "NotFound", "blue", root.call, "Manager.DeleteNamespace", "blue")


def removal(walk):
    """The last chapter: nothing needs the image any more."""
    image = walk.thing(walk.root.call("Manager.GetImage", IMAGE))
    digest = image.get("Image.Digest")
    walk.root.call("Manager.DeleteImage", "localhost:5000/walk", Synchronous=True)
    walk.event("an image goes", "/images/delete", IMAGE)
    walk.event("with its content", "/content/delete", digest, namespace="")
    walk.check("and its layers", len(walk.events(None, "/snapshot/remove")) > 0)
    walk.gone("the object", image)
    walk.refused("and is not found any more", "NotFound", "walk", walk.root.call, "Manager.GetImage", IMAGE)
    walk.equal("nothing is listed", [], walk.root.call("Manager.ListImages", AllNamespaces=True))


CHAPTERS = [("images: what is refused", refusals), ("jobs", jobs), ("pulling", pulling), ("listing images", listing),
            ("namespaces", namespaces)]
LAST = [("removing an image", removal)]
