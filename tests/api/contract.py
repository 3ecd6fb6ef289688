# SPDX-License-Identifier: LGPL-2.1-or-later
"""The contract as the XML file states it, and the account of what of it was used.

Invariant: a member counts as used only where its effect was looked at. Calls that are refused on purpose use nothing.
"""

import dataclasses
import pathlib
import re
import xml.etree.ElementTree

XML = pathlib.Path(__file__).resolve().parents[2] / "dbus/org.example.Ctr.xml"
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
SHORT = "org.example.Ctr."


@dataclasses.dataclass
class Method:
    inputs: list  # of (name, signature)
    outputs: list

    @property
    def has_options(self):
        return bool(self.inputs) and self.inputs[-1] == ("options", "a{sv}")


@dataclasses.dataclass
class Property:
    signature: str
    emits: str  # "true", "const" or "false"


@dataclasses.dataclass
class Interface:
    methods: dict
    properties: dict
    signals: dict  # name: list of (name, signature)


def read_arguments(element, direction=None):
    return [(arg.get("name"), arg.get("type")) for arg in element.findall("arg")
            if direction is None or arg.get("direction", "in") == direction]


def read_property(element):
    emits = [a.get("value") for a in element.findall("annotation") if a.get("name") == EMITS]
    return Property(element.get("type"), emits[0] if emits else "true")


def read_interface(element):
    return Interface(
        {m.get("name"): Method(read_arguments(m, "in"), read_arguments(m, "out")) for m in element.findall("method")},
        {p.get("name"): read_property(p) for p in element.findall("property")},
        {s.get("name"): read_arguments(s) for s in element.findall("signal")})


def read(text):
    """Interfaces by their last name, of the XML file or of what a service says about itself."""
    root = xml.etree.ElementTree.fromstring(text)
    return {i.get("name").removeprefix(SHORT): read_interface(i) for i in root.findall("interface")
            if i.get("name").startswith(SHORT)}


def differences(promised, said):
    """What is not the same in two interfaces, member by member."""
    if not said:
        return ["is not there"]
    pairs = [(kind, getattr(promised, kind), getattr(said, kind)) for kind in ("methods", "properties", "signals")]
    return [f"{kind} {name}: {ours.get(name)} in the XML, {theirs.get(name)} in the service"
            for kind, ours, theirs in pairs for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)]


class Contract:
    """What is promised, and what of it was used: "Task.Pause", "Task.Exec:Terminal", "Process.Exited" ..."""

    def __init__(self, options):
        self.text = XML.read_text()
        self.interfaces = read(self.text)
        self.options = options
        self.used = set()
        self.changed = set()  # properties that were seen to change

    def method(self, interface, name):
        return self.interfaces[interface].methods[name]

    def words(self, member):
        """The words of a method's comment that could be the name of an option."""
        interface, name = member.split(".")
        body = self.text.split(f'<interface name="{SHORT}{interface}">')[1].split("</interface>")[0]
        before = body.split(f'<method name="{name}">')[0]
        comment = before.rpartition("<!--")[2] if before.rstrip().endswith("-->") else ""
        return set(re.findall(r"\b[A-Z]\w+", comment))

    def use(self, what):
        self.used.add(what)

    def members(self):
        """Everything that must be used."""
        for name, interface in self.interfaces.items():
            for kind in (interface.methods, interface.properties, interface.signals):
                yield from (f"{name}.{member}" for member in kind)
        for member, keys in self.options.items():
            yield from (f"{member}:{key}" for key in keys)

    def changing(self):
        """The properties whose changes are told."""
        for name, interface in self.interfaces.items():
            yield from (f"{name}.{p}" for p, told in interface.properties.items() if told.emits == "true")

    def unused(self):
        return sorted(set(self.members()) - self.used)

    def unchanged(self):
        return sorted(set(self.changing()) - self.changed)

    def undocumented_options(self):
        """Keys of our table that the XML does not mention, and methods with options that our table forgets."""
        words = set(self.text.replace(",", " ").replace("(", " ").replace(":", " ").replace(".", " ").split())
        found = [f"{member}:{key}" for member, keys in self.options.items() for key in keys if key not in words]
        for name, interface in self.interfaces.items():
            found += [f"{name}.{m}" for m, method in interface.methods.items()
                      if method.has_options and f"{name}.{m}" not in self.options]
        return found
