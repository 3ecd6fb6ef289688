# SPDX-License-Identifier: LGPL-2.1-or-later
"""A connection to the system bus: calls by what the XML says, signals as they come.

Members are named "Interface.Member". Arguments are converted by the signatures of the XML, options by the table in
options.py; an integer for an option that may be a descriptor is one. Every answer and every signal is compared with its
signature in the XML, and what succeeded is noted in the contract's account.
"""

import time

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

import options as option_table  # noqa: E402

SERVICE = "org.example.Ctr"
ROOT = "/org/example/Ctr"
ERROR = "org.example.Ctr.Error."
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
PROPERTIES = "org.freedesktop.DBus.Properties"
TIMEOUT = 300  # seconds for an answer: an emulated machine is slow


class Refused(Exception):
    """An answer that is an error: its name without our prefix, and its sentence."""

    def __init__(self, error):
        self.name = Gio.DBusError.get_remote_error(error) or error.domain
        self.name = self.name.removeprefix(ERROR)
        Gio.DBusError.strip_remote_error(error)
        self.text = error.message
        super().__init__(f"{self.name}: {self.text}")


class Mismatch(Exception):
    """The service does not keep to the XML."""


class Signal:
    def __init__(self, path, interface, member, parameters):
        self.path, self.member, self.parameters = path, f"{interface.removeprefix(SERVICE + '.')}.{member}", parameters
        self.arguments = parameters.unpack()

    def __repr__(self):
        return f"{self.path} {self.member}{self.arguments}"


class Pending:
    """A call whose answer comes later."""

    def __init__(self):
        self.answer = self.error = None

    @property
    def done(self):
        return self.answer is not None or self.error is not None


def element(text):
    """One element of an object path, escaped as sd_bus_path_encode(3) does."""
    if not text:
        return "_"
    return "".join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else
                   "".join(f"_{b:02x}" for b in c.encode()) for i, c in enumerate(text))


class Bus:
    def __init__(self, contract):
        self.contract = contract
        # one of our own each time, which may be lost: the bus may be killed
        self.connection = Gio.DBusConnection.new_for_address_sync(
            Gio.dbus_address_get_for_bus_sync(Gio.BusType.SYSTEM, None),
            Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)
        self.signals = []
        self.values = {}  # of properties, as signals told them
        self.mismatches = []  # signals that are not what the XML says
        self.jobs_removed = set()
        self.connection.signal_subscribe(SERVICE, None, None, None, None, Gio.DBusSignalFlags.NONE, self.on_signal)
        self.root = Object(self, ROOT)

    def on_signal(self, _connection, _sender, path, interface, member, parameters):
        signal = Signal(path, interface, member, parameters)
        self.signals.append(signal)
        if interface.startswith(SERVICE):
            name = interface.removeprefix(SERVICE + ".")
            promised = self.contract.interfaces[name].signals.get(member)
            expected = f"({''.join(t for _, t in promised)})" if promised is not None else "no such signal"
            if parameters.get_type_string() != expected:
                self.mismatches.append(f"{signal} has the type {parameters.get_type_string()}, not {expected}")
            elif member == "JobNew":  # the numbers start again with the service
                self.jobs_removed.discard(signal.arguments[1])
            elif member == "JobRemoved":
                self.jobs_removed.add(signal.arguments[1])
        elif f"{interface}.{member}" == f"{PROPERTIES}.PropertiesChanged":
            self.note_changes(path, *signal.arguments)
            if path in self.jobs_removed:
                self.mismatches.append(f"{signal} comes after the end of its job")
        elif member == "InterfacesAdded":
            for name, properties in signal.arguments[1].items():
                self.note_changes(signal.arguments[0], name, properties, [])

    def note_changes(self, path, name, changed, invalidated):
        """A property has changed when it was told with another value than before."""
        short = name.removeprefix(SERVICE + ".")
        for key, value in changed.items():
            if self.values.get((path, short, key), value) != value:
                self.contract.changed.add(f"{short}.{key}")
            self.values[path, short, key] = value
        self.contract.changed.update(f"{short}.{key}" for key in invalidated)

    def pump(self):
        """Take in what has arrived."""
        context = GLib.MainContext.default()
        while context.iteration(False):
            pass

    def wait(self, what, seconds=120):
        """What the function what returns as soon as that is true; None when it never is."""
        context = GLib.MainContext.default()
        deadline = time.monotonic() + seconds
        wake = GLib.timeout_add(50, lambda: True)  # for what is no message: a file, a process
        try:
            while True:
                found = what()
                if found or time.monotonic() > deadline:
                    return found or None
                context.iteration(True)
        finally:
            GLib.source_remove(wake)

    def raw(self, path, interface, member, parameters, fds=(), reply=None, callback=None, with_fds=False):
        """One call; with a callback it only sends."""
        fd_list = Gio.UnixFDList.new()
        for fd in fds:
            fd_list.append(fd)
        arguments = (SERVICE, path, interface, member, parameters, reply, Gio.DBusCallFlags.NONE, TIMEOUT * 1000,
                     fd_list, None)
        if callback:
            self.connection.call_with_unix_fd_list(*arguments, callback)
            return None
        try:
            answer = self.connection.call_with_unix_fd_list_sync(*arguments)
            return answer if with_fds else answer[0]
        except GLib.Error as error:
            raise Refused(error) from None

    def introspect(self, path):
        return self.raw(path, "org.freedesktop.DBus.Introspectable", "Introspect", None).unpack()[0]


class Object:
    """An object of the service."""

    def __init__(self, bus, path):
        self.bus, self.path = bus, path

    def __eq__(self, other):
        return isinstance(other, Object) and other.path == self.path

    def build(self, member, arguments, options):
        """The message's body and its descriptors."""
        interface, name = member.split(".")
        method = self.bus.contract.method(interface, name)
        fds = []

        def option(key, value):
            for signature in option_table.OPTIONS[member][key].split("|"):
                if signature == "h" and isinstance(value, int):
                    fds.append(value)
                    return GLib.Variant("h", len(fds) - 1)
                if signature != "h" and (signature != "s" or isinstance(value, str)):
                    return GLib.Variant(signature, value)
            raise TypeError(f"{member}: {key}={value!r}")

        def argument(signature, value):
            if signature != "h":
                return value
            fds.append(value)
            return len(fds) - 1

        values = [argument(signature, value) for (_, signature), value in zip(method.inputs, arguments)]
        if method.has_options:
            values.append({key: value if isinstance(value, GLib.Variant) else option(key, value)
                           for key, value in options.items()})
        return GLib.Variant("(" + "".join(t for _, t in method.inputs) + ")", tuple(values)), fds

    def checked(self, member, options, answer):
        """The answer's values. Noted as used."""
        interface, name = member.split(".")
        expected = "(" + "".join(t for _, t in self.bus.contract.method(interface, name).outputs) + ")"
        if answer.get_type_string() != expected:
            raise Mismatch(f"{member} answers {answer.get_type_string()}, the XML says {expected}")
        self.bus.contract.use(member)
        for key in options:
            self.bus.contract.use(f"{member}:{key}")
        values = answer.unpack()
        return values[0] if len(values) == 1 else values or None

    def call(self, member, *arguments, **options):
        """The answer: nothing, the value, or a tuple of them. Raises Refused."""
        interface, name = member.split(".")
        body, fds = self.build(member, arguments, options)
        return self.checked(member, options, self.bus.raw(self.path, f"{SERVICE}.{interface}", name, body, fds))

    def fetch(self, member, *arguments, **options):
        """The descriptor that a call answers."""
        interface, name = member.split(".")
        body, fds = self.build(member, arguments, options)
        answer, fd_list = self.bus.raw(self.path, f"{SERVICE}.{interface}", name, body, fds, with_fds=True)
        return fd_list.get(self.checked(member, options, answer))

    def send(self, member, *arguments, **options):
        """Call without waiting: a Pending."""
        interface, name = member.split(".")
        body, fds = self.build(member, arguments, options)
        pending = Pending()

        def on_reply(connection, result):
            try:
                answer = connection.call_with_unix_fd_list_finish(result)[0]
                pending.answer = self.checked(member, options, answer), time.time_ns() // 1000
            except GLib.Error as error:
                pending.error = Refused(error)

        self.bus.raw(self.path, f"{SERVICE}.{interface}", name, body, fds, callback=on_reply)
        return pending

    def get(self, member):
        """A property, whose type must be that of the XML."""
        interface, name = member.split(".")
        answer = self.bus.raw(self.path, PROPERTIES, "Get", GLib.Variant("(ss)", (f"{SERVICE}.{interface}", name)))
        value = answer.get_child_value(0).get_variant()
        expected = self.bus.contract.interfaces[interface].properties[name].signature
        if value.get_type_string() != expected:
            raise Mismatch(f"{member} is a {value.get_type_string()}, the XML says {expected}")
        return value.unpack()

    def get_all(self, interface):
        body = GLib.Variant("(s)", (f"{SERVICE}.{interface}",))
        return self.bus.raw(self.path, PROPERTIES, "GetAll", body).unpack()[0]

    def exists(self):
        try:
            self.bus.raw(self.path, PROPERTIES, "GetAll", GLib.Variant("(s)", (SERVICE,)))
        except Refused as refusal:
            return refusal.name != UNKNOWN_OBJECT
        return True
