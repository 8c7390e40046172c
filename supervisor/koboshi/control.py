# SPDX-License-Identifier: MIT
"""The control socket: each line is a JSON object; koboshictl sends one and gets one or more."""

from __future__ import annotations

import json

from koboshi.rehearsed import Rehearsed
from koboshi.state import transitions
from koboshi.supervisor import Supervisor
from koboshi.system.calls import System
from koboshi.wire.line import READING, Line

_LINE_BYTES = 64 << 10
# A client that follows the records but does not read them is dropped at this backlog.
_BACKLOG_BYTES = 1 << 20
# The server closes the connection of any further client, to keep descriptors and to stay responsive.
_CLIENTS = 32
_WISHES = {"start": "start", "stop": "stop", "restart": "restart-now"}


class _Client:
    def __init__(self) -> None:
        self.input = b""
        self.output = b""
        self.follows = False


class Server:
    """Serves all clients, and never waits for one."""

    def __init__(self, system: System, supervisor: Supervisor) -> None:
        self.system = system
        self.supervisor = supervisor
        self.clients: dict[int, _Client] = {}
        self.rehearsed = Rehearsed(supervisor)
        self.line = Line(supervisor.system.now, self._carry_out, self._allows)

    def turn(self, happened: list[tuple[str, int]]) -> None:
        """Serve the clients that `Loop.wait` has named, and send new records to those that follow."""
        for kind, number in happened:
            if kind == "accept":
                self._accept()
            elif kind == "client" and number in self.clients:
                self._read(number)
            elif kind == "writable" and number in self.clients:
                self._write(number, b"")
        self._publish()

    def _accept(self) -> None:
        client = self.system.loop.accept()
        if client >= 0 and len(self.clients) >= _CLIENTS:
            self.system.loop.close(client)
        elif client >= 0:
            self.clients[client] = _Client()

    def _publish(self) -> None:
        lines, self.supervisor.committed.published = self.supervisor.committed.published, []
        for line in lines:
            for number in [n for n, client in self.clients.items() if client.follows]:
                self._reply(number, {"record": line})

    def _read(self, number: int) -> None:
        client = self.clients[number]
        data = self.system.loop.receive(number)
        if data is None or len(client.input) + len(data) > _LINE_BYTES:
            self._drop(number)
            return
        *lines, client.input = (client.input + data).split(b"\n")
        for line in lines:
            reply = self._answer(client, line) if number in self.clients else None
            if reply is not None and number in self.clients:  # still: a slow follower is dropped
                self._reply(number, reply)

    def _answer(self, client: _Client, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _refusal("the request is no JSON object")
        if not isinstance(request, dict):
            return _refusal("the request is no JSON object")
        command = request.get("cmd")
        if command == "events":
            count = request.get("n", 20)
            if type(count) is not int or count < 0:
                return _refusal("n is no number of records")
            # Records that wait here are in the log already: send them to the earlier followers only.
            self._publish()
            client.follows = request.get("follow") is True
            return {"ok": True, "events": self.supervisor.journal.recent(count)}
        if command == "line":
            return {"ok": True, "lines": self.line.answer(request.get("text"))}
        if command == "rehearsal":
            if not self.rehearsed.note(request.get("keys")):
                return _refusal("these are no keys of a rehearsal's record")
            self.supervisor.settle()
            return {"ok": True}
        return self._carry_out(command, request.get("component"))

    def _allows(self, verb: str) -> bool:
        """Return whether a serial line may make this request. Without a manifest, it may only read."""
        device = self.supervisor.device.table
        listed = device.get("control")
        if isinstance(listed, tuple):
            return verb in listed
        return device.get("console") == "shell" or verb in READING

    def _carry_out(self, command: object, name: object) -> dict[str, object]:
        if command == "events":
            journal = self.supervisor.journal
            return {"ok": True, "events": journal.since(int(str(name) or 0)), "last": journal.next - 1}
        if command == "rehearse":
            wrong = self.rehearsed.start(name)
            return _refusal(wrong) if wrong else {"ok": True, "state": "begun"}
        return answer(self.supervisor, command, name)

    def _reply(self, number: int, reply: dict[str, object]) -> None:
        self._write(number, json.dumps(reply).encode() + b"\n")

    def _write(self, number: int, data: bytes) -> None:
        client = self.clients[number]
        client.output += data
        sent = self.system.loop.send(number, client.output) if client.output else 0
        if sent < 0 or len(client.output) - sent > _BACKLOG_BYTES:
            self._drop(number)
            return
        client.output = client.output[sent:]

    def _drop(self, number: int) -> None:
        del self.clients[number]
        self.system.loop.close(number)


def answer(supervisor: Supervisor, command: object, name: object) -> dict[str, object]:
    """Carry out one request. What an operator orders is committed before the reply."""
    if command == "status":
        return {"ok": True, **supervisor.committed.status()}
    if command == "reload":
        errors = supervisor.reload()
        supervisor.settle()
        if errors:
            return {"ok": False, "error": "the manifest is refused", "errors": errors}
        return _held(supervisor) or {"ok": True}
    if command == "crashes":
        return {"ok": True, "crashes": supervisor.evidence.records()}
    if command == "resume":
        if not supervisor.device.resume():
            return _refusal("the device is not in the safe state")
        supervisor.settle()
        return _held(supervisor) or {"ok": True}
    if not isinstance(command, str) or command not in _WISHES:
        known = ", ".join(("status", "events", "crashes", "reload", "resume", "rehearse", *_WISHES))
        return _refusal(f"unknown command {command!r}; one of {known}")
    component = supervisor.components.get(name) if isinstance(name, str) else None
    if component is None:
        return _refusal(f"no component {name!r}; there are " + ", ".join(supervisor.components))
    wish = _WISHES[command]
    if command == "stop" and component.state == "stopping" and component.by == "operator":
        wish = "stop-now"
    if command != "start":
        component.by = "operator"
    if wish == "restart-now" and wish not in transitions.TABLE[component.state]:
        return _refusal(f"{component.name} is {component.state}")
    transitions.handle(component, wish)
    supervisor.settle()
    return _held(supervisor) or {"ok": True, "state": component.state}


def _held(supervisor: Supervisor) -> dict[str, object] | None:
    """Return the reply to an order that could not be committed."""
    if supervisor.committed.retry_at is None:
        return None
    text = f"{supervisor.paths.state} cannot be written (is /run full?): held, and lost with this supervisor"
    return {**_refusal(text), "held": True}


def _refusal(text: str) -> dict[str, object]:
    return {"ok": False, "error": text}
