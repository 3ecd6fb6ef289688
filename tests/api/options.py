# SPDX-License-Identifier: LGPL-2.1-or-later
"""The options of each method with their types, as the comments of the XML name them.

A key with several types has them separated by a bar; the value decides which one is meant.
"""

NAMESPACE = {"Namespace": "s"}
LIST = {"Namespace": "s", "AllNamespaces": "b"}
SNAPSHOT = {"Namespace": "s", "Snapshotter": "s"}
STREAMS = {"Stdin": "s|h", "Stdout": "s|h", "Stderr": "s|h"}
LIMITS = {"MemoryMax": "t", "MemoryHigh": "t", "MemoryLow": "t", "MemorySwapMax": "t", "TasksMax": "t",
          "CPUWeight": "t", "IOWeight": "t", "CPUQuotaPerSecUSec": "t", "AllowedCPUs": "s", "AllowedMemoryNodes": "s"}

OPTIONS = {
    "Manager.PullImage": {
        "Namespace": "s", "Unpack": "b", "Policy": "s", "Platform": "s", "AllPlatforms": "b", "KeepLayers": "b",
        "Credentials": "h", "Snapshotter": "s", "Lease": "s", "Labels": "a{ss}", "Limits": "a{st}"},
    "Manager.PushImage": {
        "Namespace": "s", "Target": "s", "Platform": "s", "AllPlatforms": "b", "ChunkSize": "t", "Credentials": "h"},
    "Manager.ImportImages": {
        "Namespace": "s", "Name": "s", "Rootfs": "b", "Unpack": "b", "Platform": "s", "KeepLayers": "b",
        "Snapshotter": "s", "Lease": "s", "Labels": "a{ss}", "Limits": "a{st}"},
    "Manager.ExportImages": {"Namespace": "s", "Format": "s", "Platform": "s", "AllPlatforms": "b"},
    "Manager.ResolveRemoteDigest": {"Namespace": "s", "Credentials": "h"},
    "Manager.TagImage": NAMESPACE,
    "Manager.PruneImages": {"Namespace": "s", "Filters": "as", "Before": "t", "Synchronous": "b"},
    "Manager.ListContent": {**LIST, "Filters": "as"},
    "Manager.ListIngests": LIST,
    "Manager.GetContent": NAMESPACE,
    "Manager.DeleteContent": NAMESPACE,
    "Manager.SetContentLabels": NAMESPACE,
    "Manager.VerifyContent": {"Namespace": "s", "Quarantine": "b"},
    "Manager.ListQuarantine": NAMESPACE,
    "Manager.CollectGarbage": {"Namespace": "s", "Quarantine": "b"},
    "Manager.DiskUsage": LIST,
    "Manager.CreateLease": {"Namespace": "s", "Labels": "a{ss}", "Expires": "t"},
    "Manager.DeleteLease": {"Namespace": "s", "Synchronous": "b"},
    "Manager.ListLeases": LIST,
    "Manager.AddLeaseResource": NAMESPACE,
    "Manager.RemoveLeaseResource": NAMESPACE,
    "Manager.ListLeaseResources": NAMESPACE,
    "Manager.PrepareSnapshot": {**SNAPSHOT, "Labels": "a{ss}", "Lease": "s"},
    "Manager.ViewSnapshot": {**SNAPSHOT, "Labels": "a{ss}", "Lease": "s"},
    "Manager.CommitSnapshot": {**SNAPSHOT, "Labels": "a{ss}", "Lease": "s"},
    "Manager.RemoveSnapshot": SNAPSHOT,
    "Manager.SetSnapshotLabels": SNAPSHOT,
    "Manager.SnapshotMounts": SNAPSHOT,
    "Manager.StatSnapshot": SNAPSHOT,
    "Manager.ListSnapshots": {**LIST, "Snapshotter": "s", "Filters": "as"},
    "Manager.SnapshotUsage": SNAPSHOT,
    "Manager.ListSnapshotters": {},
    # the others are those of CreateContainer, and read by the same code
    "Manager.CreateContainerFromSnapshot": {"Namespace": "s", "Labels": "a{ss}", "Command": "as"},
    "Manager.GetImage": NAMESPACE,
    "Manager.ListImages": {**LIST, "Filters": "as"},
    "Manager.DeleteImage": {"Namespace": "s", "Synchronous": "b"},
    "Manager.CreateContainer": {
        "Namespace": "s", "Pull": "s", "Labels": "a{ss}", "Command": "as", "Entrypoint": "as", "Arguments": "as",
        "Environment": "as", "WorkingDirectory": "s", "User": "s", "Terminal": "b", "Hostname": "s", "Network": "s",
        "Mounts": "a(sssas)", "ReadOnly": "b", "AutoRemove": "b", "Volatile": "b", "CapabilitiesAdd": "as",
        "CapabilitiesDrop": "as", "NoNewPrivileges": "b", "Devices": "a(ss)", "StopSignal": "i", "StopTimeoutUSec": "t",
        **LIMITS, "Rlimits": "a(stt)", "OOMScoreAdjust": "i", "SnapshotID": "s", "Snapshotter": "s", "RestartPolicy": "s",
        "Runtime": "s", "Systemd": "s", "BlockIOClass": "s", "RDTClass": "s", "Lease": "s",
        "UserNamespace": "s", "UserNamespaceSize": "u", "UIDMappings": "a(uuu)", "GIDMappings": "a(uuu)"},
    "Manager.GetContainer": NAMESPACE,
    "Manager.ListContainers": {**LIST, "Labels": "a{ss}", "Filters": "as"},
    "Manager.GetTask": NAMESPACE,
    "Manager.ListTasks": {**LIST, "Filters": "as"},
    "Manager.Metrics": {**LIST, "Filters": "as"},
    "Manager.ListEvents": {**LIST, "After": "t", "Since": "t", "Until": "t", "Limit": "u", "Filters": "as"},
    "Manager.ListJobs": LIST,
    "Manager.ListNamespaces": NAMESPACE,
    "Manager.CreateNamespace": NAMESPACE,
    "Manager.SetNamespaceLabels": NAMESPACE,
    "Manager.DeleteNamespace": NAMESPACE,
    "Image.Inspect": {},
    "Image.SetLabels": {},
    "Image.Usage": {},
    "Container.CreateTask": {**STREAMS, "Checkpoint": "s", "CheckpointPath": "s"},
    "Container.Delete": {"Force": "b", "CleanupSnapshot": "b"},
    "Container.GetSpec": {},
    "Container.Diff": {"Limit": "u"},
    "Container.Commit": {
        "Pause": "b", "Author": "s", "Comment": "s", "Changes": "as", "Compression": "s", "Unpack": "b", "Lease": "s"},
    "Container.Export": {},
    "Container.CopyOut": {"FollowLink": "b"},
    "Container.CopyIn": {"NoOverwriteDirNonDir": "b", "CopyUIDGID": "b"},
    "Container.StatPath": {"FollowLink": "b"},
    "Container.CreateVersion": {"Start": "b", "StopTimeoutUSec": "t", "Labels": "a{ss}"},
    "Container.ListVersions": {},
    "Container.Rollback": {"Start": "b", "StopTimeoutUSec": "t"},
    "Container.DeleteVersion": {},
    "Task.Stop": {"Signal": "i", "TimeoutUSec": "t", "Force": "b"},
    "Task.Pause": {},
    "Task.Resume": {},
    "Task.Exec": {
        "Terminal": "b", "Environment": "as", "WorkingDirectory": "s", "User": "s", "CapabilitiesAdd": "as",
        "CapabilitiesDrop": "as", "NoNewPrivileges": "b", "Rlimits": "a(stt)", "Width": "u", "Height": "u", **STREAMS,
        "Start": "b", "AutoRemove": "b"},
    "Task.Update": {},
    "Task.Pids": {},
    "Task.Stats": {},
    "Task.Checkpoint": {
        "Path": "s", "Image": "s", "Exit": "b", "AllowTCP": "b", "AllowUnixSockets": "b", "AllowTerminal": "b",
        "FileLocks": "b", "EmptyNamespaces": "as", "ParentPath": "s"},
    "Task.GetSpec": {},
    "Process.Start": {},
    "Process.Wait": {},
    "Process.Kill": {"All": "b", "Pid": "u"},
    "Process.ResizePty": {},
    "Process.Attach": {"Stdin": "h", "Stdout": "h", "Stderr": "h"},
    "Process.CloseIO": {"Stdin": "b"},
    "Process.Delete": {"Force": "b"},
    "Job.Wait": {},
    "Job.Cancel": {},
}

# The details of each topic: what must be in them, with their types. containerd's topics.
EXIT = {"Id": "s", "ContainerId": "s", "Pid": "u", "ExitStatus": "u", "ExitStatusKnown": "b", "ExitedAt": "t"}
IMAGE = {"Name": "s", "Labels": "a{ss}"}
CONTAINER = {"Id": "s", "Image": "s", "Runtime": "s"}

TOPICS = {  # topic: (signal of its own, the detail that is its name, details)
    "/tasks/create": ("TaskCreated", "Id", {"Id": "s", "Bundle": "s", "Pid": "u", "Terminal": "b", "Stdin": "s",
                                            "Stdout": "s", "Stderr": "s", "Checkpoint": "s"}),
    "/tasks/start": ("TaskStarted", "Id", {"Id": "s", "Pid": "u"}),
    "/tasks/oom": ("TaskOOM", "Id", {"Id": "s", "Cgroup": "s"}),
    "/tasks/exit": ("TaskExited", "ContainerId", EXIT),
    "/tasks/delete": ("TaskDeleted", "ContainerId", EXIT),
    "/tasks/exec-added": ("TaskExecAdded", "Id", {"Id": "s", "ExecId": "s"}),
    "/tasks/exec-started": ("TaskExecStarted", "Id", {"Id": "s", "ExecId": "s", "Pid": "u"}),
    "/tasks/paused": ("TaskPaused", "Id", {"Id": "s"}),
    "/tasks/resumed": ("TaskResumed", "Id", {"Id": "s"}),
    "/tasks/checkpointed": ("TaskCheckpointed", "Id", {"Id": "s", "Checkpoint": "s"}),
    "/containers/create": ("ContainerCreated", "Id", CONTAINER),
    "/containers/update": ("ContainerUpdated", "Id", CONTAINER),
    "/containers/delete": ("ContainerDeleted", "Id", {"Id": "s"}),
    "/images/create": ("ImageCreated", "Name", IMAGE),
    "/images/update": ("ImageUpdated", "Name", IMAGE),
    "/images/delete": ("ImageDeleted", "Name", {"Name": "s"}),
    "/snapshot/prepare": ("SnapshotPrepared", "Key", {"Key": "s", "Parent": "s", "Snapshotter": "s"}),
    "/snapshot/commit": ("SnapshotCommitted", "Name", {"Key": "s", "Name": "s", "Snapshotter": "s"}),
    "/snapshot/remove": ("SnapshotRemoved", "Key", {"Key": "s", "Snapshotter": "s"}),
    "/content/create": ("ContentCreated", "Digest", {"Digest": "s", "Size": "t"}),
    "/content/delete": ("ContentDeleted", "Digest", {"Digest": "s"}),
    "/namespaces/create": ("NamespaceCreated", "Name", {"Name": "s", "Labels": "a{ss}"}),
    "/namespaces/update": ("NamespaceUpdated", "Name", {"Name": "s", "Labels": "a{ss}"}),
    "/namespaces/delete": ("NamespaceDeleted", "Name", {"Name": "s"}),
}
