#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hundred tasks, with execs and attached clients among them, while the manager, systemd and the bus die around them.

Prints assertions as client.py does. The tasks read from fifos when to end, so that they can end at the moment that a
case is about: while there is no manager. Needs localhost:5000/walk:latest.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import bus
import contract
import options
import walk
import walk_events
from system import kill_manager, manager_pid, supervisors, systemctl, scopes

COUNT = 100
GATES = pathlib.Path("/run/recover-gates")
TASKS = pathlib.Path("/run/ctr/tasks/default")
UNTIL_GATE = ["sh", "-c", "read status </gates/$0; exit $status"]


def name(number):
    return f"t{number}"


def open_gate(gate, status):
    """Let the process that reads this gate end."""
    with open(GATES / gate, "w") as f:
        f.write(f"{status}\n")


class Population:
    """The tasks, every fifth with an exec, every tenth with an attached client; none with both."""

    def __init__(self, w):
        self.walk = w
        self.tasks, self.execs, self.clients = {}, {}, {}
        self.waiting = {}
        GATES.mkdir()
        for number in range(COUNT):
            self.start(number)
        self.pids = {key: thing.get("Process.Pid") for key, thing in self.things().items()}

    def start(self, number):
        attach = number % 10 == 0
        os.mkfifo(GATES / name(number))
        command = UNTIL_GATE + [name(number)]
        if attach:
            command = ["sh", "-c", "while :; do echo .; sleep 0.1; done & read status </gates/$0; exit $status",
                       name(number)]
        _, task = self.walk.running(name(number), *command, Mounts=[(str(GATES), "/gates", "bind", ["rbind", "rw"])],
                                    streams={"Stdout": "attach"} if attach else None)
        self.tasks[name(number)] = task
        if attach:
            reader, writer = os.pipe()
            task.call("Process.Attach", Stdout=writer)
            os.close(writer)
            os.set_blocking(reader, False)
            self.clients[name(number)] = reader
        if number % 5 == 4:
            gate = f"e{number}"
            os.mkfifo(GATES / gate)
            self.execs[gate] = self.walk.thing(task.call("Task.Exec", gate, UNTIL_GATE + [gate], Start=True))

    def things(self):
        return {**self.tasks, **self.execs}

    def rebind(self, w):
        """The same things on another connection."""
        self.walk = w
        self.tasks = {key: w.thing(thing.path) for key, thing in self.tasks.items()}
        self.execs = {key: w.thing(thing.path) for key, thing in self.execs.items()}

    def heard(self):
        """Whether every attached client is sent something from now on."""
        for reader in self.clients.values():
            with contextlib.suppress(BlockingIOError):
                while os.read(reader, 65536):
                    pass

        def one(reader):
            with contextlib.suppress(BlockingIOError):
                return bool(os.read(reader, 1))
            return False

        left = set(self.clients)
        return self.walk.bus.wait(lambda: not left.difference_update({k for k in left if one(self.clients[k])})
                                  and not left)

    def unharmed(self, text):
        """Everything is as it was before."""
        w = self.walk
        wrong = {}
        for key, thing in self.things().items():
            now = thing.get("Process.Status"), thing.get("Process.Pid")
            if now != ("RUNNING", self.pids[key]):
                wrong[key] = now, self.pids[key]
        w.equal(f"{text}: {len(self.things())} tasks and execs run with their pids", {}, wrong)
        w.check(f"{text}: {len(self.clients)} attached clients go on reading", self.heard())

    def end(self, key, status):
        self.pids.pop(key)
        self.tasks.pop(key, None)
        self.execs.pop(key, None)
        if key in self.clients:
            os.close(self.clients.pop(key))
        open_gate(key, status)


def record_of(key):
    return TASKS / (f"t{key[1:]}/exit-{key}.json" if key[0] == "e" else f"{key}/exit.json")


def ends_meanwhile(w, population, text, keys, down, up, damage=None):
    """Some end while there is no manager: their true status and time are told, once."""
    things = {key: population.things()[key] for key in keys}
    pids = {key: population.pids[key] for key in keys}
    before = w.root.call("Manager.ListEvents", Limit=10000)[-1][0]
    down()
    started = time.time_ns() // 1000
    for number, key in enumerate(keys):
        population.end(key, number + 3)
    w.check(f"{text}: {len(keys)} exits are recorded without a manager",
            w.bus.wait(lambda: all(record_of(key).exists() for key in keys), 60), *keys)
    w.equal(f"{text}: there was none", 0, manager_pid())
    ended = time.time_ns() // 1000
    for path in (damage or {}).values():
        path.write_text('{"exit_status": "garb')
    time.sleep(0.3)  # so that the time of the exit and that of the next manager differ
    up()
    wrong, times = {}, {}
    for number, (key, thing) in enumerate(things.items()):
        status, at = thing.call("Process.Wait")
        expected = 255 if key in (damage or {}) else number + 3
        if status != expected:
            wrong[key] = status, expected
        if key not in (damage or {}) and not started <= at <= ended:
            times[key] = started, at, ended
    w.equal(f"{text}: the statuses are true", {}, wrong)
    w.equal(f"{text}: the times too", {}, times)
    events = [e[4] for e in w.root.call("Manager.ListEvents", After=before, Limit=10000) if e[2] == "/tasks/exit"]
    w.equal(f"{text}: each exit is told once", sorted(keys), sorted(d["Id"] for d in events))
    w.equal(f"{text}: with its pid", [], [d for d in events if d["Id"] not in (damage or {}) and
                                          d["Pid"] != pids.get(d["Id"])])
    return things


def no_restart():
    pathlib.Path("/run/systemd/system/ctr.service.d").mkdir(parents=True, exist_ok=True)
    pathlib.Path("/run/systemd/system/ctr.service.d/recover.conf").write_text("[Service]\nRestart=no\n")
    systemctl("daemon-reload")


def upgrade():
    """Another binary in the place of the one that ran."""
    program = pathlib.Path("/usr/lib/ctr/ctr-manager")
    shutil.copy2(program, "/usr/lib/ctr/.ctr-manager.new")
    os.rename("/usr/lib/ctr/.ctr-manager.new", program)
    systemctl("start", "ctr.service")


def manager_dies(w, population):
    ends_meanwhile(w, population, "kill -9", ["t1", "t2", "t3", "e4", "e9", "t10"], kill_manager,
                   lambda: systemctl("start", "ctr.service"))
    population.unharmed("after kill -9")
    for _ in range(3):
        kill_manager()
        systemctl("start", "ctr.service")
    population.unharmed("after three more")


def manager_is_upgraded(w, population):
    ends_meanwhile(w, population, "upgrade", ["t5", "t6", "e14", "t20"], lambda: systemctl("stop", "ctr.service"),
                   upgrade)
    population.unharmed("after an upgrade")


def systemd_is_upgraded(w, population):
    for command in ("daemon-reload", "daemon-reexec"):
        pid = manager_pid()
        for _ in range(3):
            systemctl(command)
        population.unharmed(f"after {command}")
        w.equal(f"{command} leaves the manager alone", pid, manager_pid())
        ends_meanwhile(w, population, f"kill -9 and {command}", {"daemon-reload": ["t7", "e19"], "daemon-reexec": [
            "t8", "e24"]}[command], lambda: (kill_manager(), systemctl(command)),
                       lambda: systemctl("start", "ctr.service"))


def bus_dies(w, population):
    systemctl("kill", "--signal=KILL", "dbus.service")
    deadline = time.monotonic() + 60
    connection = None
    while not connection and time.monotonic() < deadline:
        with contextlib.suppress(Exception):  # until there is a bus again, everything may fail
            attempt = bus.Bus(w.contract)
            attempt.root.get("Manager.Version")
            connection = attempt
    w.check("there is a bus again", connection)
    w.bus, w.root = connection, connection.root
    population.rebind(w)
    population.unharmed("after another bus")
    population.end("t15", 77)
    w.equal("who ends then has its status", 77, w.thing(f"{bus.ROOT}/task/default/t15").call("Process.Wait")[0])


def damaged_records(w, population):
    keys = ["t11", "t12", "t13", "e34"]
    damage = {"t11": TASKS / "t11/exit.json", "e34": TASKS / "t34/exit-e34.json"}
    stray = TASKS / "not-ours"
    stray.mkdir()
    (stray / "exit.json").write_text("\0\1\2")
    (pathlib.Path("/run/ctr/tasks") / "..odd").mkdir()
    things = ends_meanwhile(w, population, "damaged records", keys, kill_manager,
                            lambda: systemctl("start", "ctr.service"), damage)
    for key in damage:
        w.property(f"what a damaged record said is not known: {key}", things[key], "Process.ExitStatusKnown", False)
        aside = sorted(p.name for p in damage[key].parent.iterdir() if p.name.startswith(damage[key].name) or
                       "damaged" in p.name)
        w.check(f"the damaged record is set aside: {key}", any(n != damage[key].name for n in aside), aside)
    w.check("and reported", w.bus.wait(lambda: "damaged" in subprocess.run(
        ["journalctl", "-u", "ctr.service", "--output=cat"], stdout=subprocess.PIPE, text=True, check=True).stdout.lower()))
    population.unharmed("with damaged records beside them")


def damaged_state(w, population):
    """What the manager itself had saved of a task is gone."""
    kill_manager()
    (TASKS / "t16/state.json").write_text("{")
    systemctl("start", "ctr.service")
    w.check("a task whose state file is damaged is found, or at least listed",
            w.bus.wait(lambda: population.tasks["t16"].get("Process.Status") == "RUNNING", 60),
            population.tasks["t16"].get("Process.Status"))
    population.unharmed("with a damaged state file")


@contextlib.contextmanager
def kept_scope(unit):
    """systemd does not see that the scope gets empty meanwhile, and keeps it."""
    seen = pathlib.Path("/run/recover-cgroup-events")
    seen.write_text("populated 1\nfrozen 0\n")
    events = f"/sys/fs/cgroup/ctr.slice/{unit}/cgroup.events"
    subprocess.run(["mount", "--bind", seen, events], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", events], check=True)


def is_empty(unit):
    with contextlib.suppress(FileNotFoundError):  # one that is being removed
        return not any(p.read_text() for p in pathlib.Path(f"/sys/fs/cgroup/ctr.slice/{unit}").rglob("cgroup.procs"))
    return False


def empty_scopes(w, population):
    """Scopes that systemd keeps though nobody is in them: one has ended with a record, one without."""
    lost = int(pathlib.Path("/sys/fs/cgroup/ctr.slice/ctr-t18.scope/supervisor/cgroup.procs").read_text().split()[0])
    with kept_scope("ctr-t17.scope"), kept_scope("ctr-t18.scope"):
        kill_manager()
        task = population.tasks["t17"]
        population.end("t17", 9)
        population.pids.pop("t18")
        population.tasks.pop("t18")
        os.kill(lost, signal.SIGKILL)
        w.check("two scopes are empty", w.bus.wait(lambda: is_empty("ctr-t17.scope") and is_empty("ctr-t18.scope")))
    w.check("and there all the same", {"ctr-t17.scope", "ctr-t18.scope"} <= set(scopes()), scopes())
    systemctl("start", "ctr.service")
    w.equal("what has a record ended as that says", 9, task.call("Process.Wait")[0])
    w.property("what has none as nobody knows", w.thing(f"{bus.ROOT}/task/default/t18"), "Process.ExitStatusKnown", False)
    population.unharmed("with empty scopes beside them")
    for key in ("t17", "t18"):
        task = w.thing(f"{bus.ROOT}/task/default/{key}")
        task.call("Process.Delete")
        w.thing(f"{bus.ROOT}/container/default/{key}").call("Container.CreateTask", Stdout="null", Stderr="null")
        task.call("Process.Start")
        w.property(f"{key} starts again, in a scope of that name", task, "Process.Status", "RUNNING")
        task.call("Process.Delete", Force=True)


def reboot(w, population):
    """As after a reboot: nothing in /run, no process, no mount, and another boot."""
    containers = {path for path, _ in w.root.call("Manager.ListContainers")}
    policy = w.container("comes-back", RestartPolicy="always")
    policy_task = w.thing(policy.call("Container.CreateTask", Stdout="null", Stderr="null"))
    policy_task.call("Process.Start")
    kill_manager()
    for scope in scopes():
        subprocess.run(["systemctl", "kill", "--signal=KILL", scope], check=False)  # it may have gone already
    w.bus.wait(lambda: not supervisors() and not scopes())
    shutil.rmtree("/run/ctr")
    boot_id = pathlib.Path("/run/recover-boot-id")
    boot_id.write_text("11111111-2222-4333-8444-555555555555\n")
    subprocess.run(["mount", "--bind", boot_id, "/proc/sys/kernel/random/boot_id"], check=True)
    systemctl("start", "ctr.service")
    now = {path for path, _ in w.root.call("Manager.ListContainers")}
    w.equal("after a reboot the containers are there", containers | {policy.path}, now)
    w.equal("and no task", [], [p["Id"] for _, p in w.root.call("Manager.ListTasks") if p["Id"] != "comes-back"])
    w.bus.wait(w.thing(policy_task.path).exists, 60)
    w.becomes("but the one that is to come back", w.thing(policy_task.path), "Process.Status", "RUNNING")
    again = w.thing(w.thing(f"{bus.ROOT}/container/default/t50").call("Container.CreateTask", Stdout="null",
                                                                     Stderr="null"))
    w.check("a container can be started again", again.call("Process.Start") > 0)


def clean(w):
    for path, _ in w.root.call("Manager.ListContainers"):
        w.thing(path).call("Container.Delete", Force=True)
    w.check("all goes away", w.bus.wait(lambda: not list(TASKS.glob("*/control")) and not supervisors(), 60))
    w.check("with its scopes", w.bus.wait(lambda: not scopes()), scopes())
    told = w.root.call("Manager.ListEvents", AllNamespaces=True, Limit=10000)
    w.equal("and everything was told in order", [], walk_events.disorder(told))
    w.equal("every start has one exit", [], uneven(told))


def uneven(told):
    """Lives with more or fewer exits than starts."""
    count = {}
    for event in told:
        who = walk_events.subject(event)
        if who and event[2] in ("/tasks/start", "/tasks/exec-started", "/tasks/exit"):
            count[who] = count.get(who, 0) + (-1 if event[2] == "/tasks/exit" else 1)
    return [who for who, left in count.items() if left]


def main():
    c = contract.Contract(options.OPTIONS)
    w = walk.Walk(c, bus.Bus(c), set())
    w.pull()
    no_restart()
    started = time.monotonic()
    population = Population(w)
    print(f"# {COUNT} tasks, {len(population.execs)} execs, {len(population.clients)} attached clients: "
          f"{time.monotonic() - started:.1f} s")
    population.unharmed("before anything")
    for case in (manager_dies, manager_is_upgraded, systemd_is_upgraded, bus_dies, damaged_records, damaged_state,
                 empty_scopes, reboot):
        w.chapter(case.__name__.replace("_", " "), lambda w, case=case: case(w, population))
    w.chapter("the end", clean)
    print("# walked")
    sys.exit(1 if w.failed else 0)


main()
