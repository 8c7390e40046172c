# SPDX-License-Identifier: MIT
"""koboshi-publish: a component that tells an MQTT broker what happens on this device (docs/fleet.md).

Topics and payloads are those of the bridge on a host. What the broker has not confirmed is said again after a
new connection, out of the supervisor's log; `seq` and `boot` tell a repetition.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

from koboshi.publish import mqtt
from koboshi.wire.records import find

USAGE = "usage: koboshi-publish mqtt://[USER@]HOST[:PORT] DEVICE [PREFIX]\n"
RECORDS = 2000  # of the supervisor's log, at each connection
WINDOW = 50  # messages on their way at once
PING_S = mqtt.KEEP_ALIVE_S / 3
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)


class Supervisor:
    """A connection to the supervisor's control socket that follows its records."""

    def __init__(self, run: str, request: dict[str, object]) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(run + "/control")
            self.socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            self.socket.close()
            raise
        self._input = b""

    def replies(self) -> list[dict[str, object]]:
        """Those that are whole, after waiting for some bytes."""
        data = self.socket.recv(65536)
        if not data:
            raise OSError("the supervisor has gone away")
        *lines, self._input = (self._input + data).split(b"\n")
        return [reply for line in lines if isinstance(reply := json.loads(line), dict)]

    def close(self) -> None:
        """The end."""
        self.socket.close()


def asked(run: str, command: str) -> dict[str, object]:
    """One request's reply."""
    connection = Supervisor(run, {"cmd": command})
    try:
        while not (replies := connection.replies()):
            pass
        return replies[0]
    finally:
        connection.close()


class Publisher:
    """What was said, over all connections."""

    def __init__(self, address: mqtt.Address, device: str, prefix: str, run: str) -> None:
        self.address = address
        self.base = f"{prefix}/{device}"
        self.name = f"koboshi-{device}"
        self.run = run
        self.boot = ""
        self.done = 0  # the last number of which the broker has confirmed all before
        self.states: dict[str, str] = {}

    def session(self) -> None:
        """Until something fails, which is an OSError."""
        broker = mqtt.Broker(self.address, self.name, f"{self.base}/online")
        try:
            broker.publish(f"{self.base}/online", "true", retain=True)
            self.states.clear()  # what was retained may be of long ago
            self._see_states(broker)
            follower = Supervisor(self.run, {"cmd": "events", "n": RECORDS, "follow": True})
            try:
                self._carry(broker, follower)
            finally:
                follower.close()
        finally:
            broker.close()

    def _carry(self, broker: mqtt.Broker, follower: Supervisor) -> None:
        waiting: list[str] = []
        under_way: dict[int, int] = {}
        heard = time.monotonic()
        poll = select.poll()
        poll.register(broker.socket, select.POLLIN)
        while True:
            room = len(under_way) < WINDOW
            # A supervisor that is not read for long drops us; its log has the rest at the next connection.
            poll.register(follower.socket, select.POLLIN if room and len(waiting) < RECORDS else 0)
            ready = {descriptor for descriptor, _ in poll.poll(PING_S * 1000)}
            if follower.socket.fileno() in ready:
                waiting += _lines(follower.replies())
            if broker.socket.fileno() in ready:
                heard = time.monotonic()
                for number in broker.acknowledged():
                    self.done = max(self.done, under_way.pop(number, 0))
            if time.monotonic() - heard > 2 * mqtt.KEEP_ALIVE_S:
                raise OSError("the broker has not answered")
            if not ready:
                broker.ping()
            while waiting and len(under_way) < WINDOW:
                self._say(broker, waiting.pop(0), under_way)
                if not waiting:
                    self._see_states(broker)

    def _say(self, broker: mqtt.Broker, line: str, under_way: dict[int, int]) -> None:
        record = find(line)
        if record is None or record.seq <= self.done:
            return
        event = {"seq": record.seq, "time": record.time, "event": record.event, "boot": self.boot}
        number = broker.publish(f"{self.base}/event/{record.event}", json.dumps({**event, **record.keys}))
        under_way[number] = record.seq

    def _see_states(self, broker: mqtt.Broker) -> None:
        """Say each component's state that has changed; it is kept for who comes later."""
        status = asked(self.run, "status")
        if status.get("boot_id") != self.boot:
            self.boot, self.done = str(status.get("boot_id")), 0
        components = status.get("components")
        for name, values in components.items() if isinstance(components, dict) else ():
            state = str(values.get("state"))
            if self.states.get(name) != state:
                self.states[name] = state
                told = {"state": state, "generation": values.get("generation"), "time": status.get("time")}
                broker.publish(f"{self.base}/component/{name}", json.dumps(told), retain=True)


def _lines(replies: list[dict[str, object]]) -> list[str]:
    found: list[str] = []
    for reply in replies:
        events = reply.get("events")
        found += [str(line) for line in events] if isinstance(events, list) else []
        if "record" in reply:
            found.append(str(reply["record"]))
    return found


def main(words: list[str]) -> int:
    """Publishes until it is ended. 100 for wrong use; failures are told once, and tried again."""
    try:
        url, device, *rest = words
        (prefix,) = rest or ["koboshi"]
        address = mqtt.Address(url)
    except ValueError as wrong:
        reason = f"koboshi-publish: {wrong}\n" if isinstance(wrong, mqtt.AddressError) else ""
        sys.stderr.write(reason + USAGE)
        return 100
    if set("+#/") & set(device) or set("+#") & set(prefix):
        sys.stderr.write(f"koboshi-publish: + # and / have a meaning in topics\n{USAGE}")
        return 100
    publisher = Publisher(address, device, prefix, os.environ.get("KOBOSHI_RUN", "/run/koboshi"))
    said, pause = "", 0
    while True:
        begun = time.monotonic()
        try:
            publisher.session()
        except (OSError, ValueError) as error:  # ValueError: no JSON
            if str(error) != said:
                said = str(error)
                sys.stderr.write(f"koboshi-publish: {said}\n")
        pause = 0 if time.monotonic() - begun > PAUSES_S[-1] else min(pause + 1, len(PAUSES_S) - 1)
        time.sleep(PAUSES_S[pause])
