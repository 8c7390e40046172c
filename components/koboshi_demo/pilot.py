# SPDX-License-Identifier: MIT
"""The pilot component: needs the GPS daemon and the tide, and survives the restarts of both.

Each second it writes where the boat is, how far the Golden Gate Bridge is, what the tide does there, and how
much room there is under the bridge. What it has not heard of lately it leaves out and says so: old data is
worse than none.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

from . import service
from .geometry import distance_bearing

BRIDGE = (37.8199, -122.4783)  # middle of the Golden Gate Bridge
# The bridge's district gives 220 feet above mean higher high water, and NOAA gives 5.84 feet for that water
# above chart zero at station 9414290; so from chart zero to the deck:
DECK_M = (220 + 5.84) * 0.3048
STALE_S = 3.0
PERIOD_S = 1.0


class Peer:
    """A line-oriented connection to another component that may go and come back at any time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connects = 0
        self._socket: socket.socket | None = None
        self._buffer = b""

    def connect(self) -> bool:
        """Connect unless connected; return False if the peer does not listen."""
        if self._socket is not None:
            return True
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.setblocking(False)
        try:
            channel.connect(self.path)
        except OSError:
            channel.close()
            return False
        self._socket, self._buffer = channel, b""
        self.connects += 1
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def fileno(self) -> int | None:
        """Return the descriptor for poll, or None while not connected."""
        return None if self._socket is None else self._socket.fileno()

    def send(self, line: str) -> None:
        """Send a line; close the connection if the peer cannot take it."""
        if self._socket is not None:
            try:
                self._socket.sendall(line.encode() + b"\n")
            except OSError:
                self.close()

    def receive(self) -> list[dict[str, object]]:
        """Return the JSON objects that have arrived."""
        if self._socket is None:
            return []
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.close()
            return []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [value for value in map(_object, lines) if value is not None]


def _object(line: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Heard:
    """The last value from a peer, and its time."""

    def __init__(self) -> None:
        self.value: dict[str, object] | None = None
        self.at = 0.0

    def hear(self, values: list[dict[str, object]]) -> None:
        """Keep the newest value."""
        if values:
            self.value, self.at = values[-1], time.monotonic()

    def fresh(self) -> dict[str, object] | None:
        """Return the last value, or None if it is stale."""
        return self.value if self.value is not None and time.monotonic() - self.at < STALE_S else None


def _number(source: dict[str, object] | None, key: str) -> float | None:
    value = source.get(key) if source else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def advise(gps: dict[str, object] | None, tide: dict[str, object] | None) -> dict[str, object]:
    """Return the pilot's advice from the peers' data; a value is None if it is unknown."""
    advice: dict[str, object] = {"position": None, "bridge": None, "tide": None, "clearance_m": None}
    latitude, longitude = _number(gps, "latitude"), _number(gps, "longitude")
    missing = []
    if gps is not None and gps.get("valid") is True and latitude is not None and longitude is not None:
        advice["position"] = gps
        miles, bearing = distance_bearing(latitude, longitude, *BRIDGE)
        advice["bridge"] = {"distance_nm": round(miles, 2), "bearing": round(bearing)}
    else:
        missing.append("gps")
    height = _number(tide, "height_m")
    if tide is not None and height is not None:
        advice["tide"] = tide
        advice["clearance_m"] = round(DECK_M - height, 1)
    else:
        missing.append("tide")
    advice["missing"] = missing
    return advice


def write_atomically(path: str, value: dict[str, object]) -> None:
    """A reader sees the old file or the new one."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.rename(path + ".new", path)


class Pilot:
    """The loop: listen to the peers, and once a second write the advice."""

    def __init__(self, gps_path: str, tide_path: str, file: str, generation: int) -> None:
        self.gps, self.tide = Peer(gps_path), Peer(tide_path)
        self.heard_gps, self.heard_tide = Heard(), Heard()
        self.file, self.generation = file, generation
        self._next = 0.0

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        for peer in (self.gps, self.tide):
            number = peer.fileno()
            if number is not None:
                poll.register(number, select.POLLIN)
        poll.poll(int(seconds * 1000) + 1)
        self.heard_gps.hear(self.gps.receive())
        self.heard_tide.hear(self.tide.receive())

    def _tick(self) -> None:
        self.gps.connect()
        gps = self.heard_gps.fresh()
        if gps is not None and gps.get("time") and self.tide.connect():
            self.tide.send(str(gps["time"]))
        advice = advise(gps, self.heard_tide.fresh())
        advice.update(generation=self.generation, uptime_s=round(time.monotonic(), 1))
        write_atomically(self.file, advice)

    def step(self, longest: float | None) -> None:
        """Wait for a peer or the next second, whichever comes first, and do what is due."""
        now = time.monotonic()
        if now >= self._next:
            self._tick()
            self._next = now + PERIOD_S
        wait = max(0.0, self._next - time.monotonic())
        self._wait(wait if longest is None else min(wait, longest))


def main(arguments: list[str] | None = None) -> None:
    """`pilot [GPS-SOCKET TIDE-SOCKET FILE]`."""
    arguments = (sys.argv[1:] if arguments is None else arguments) or [
        "/run/gps/gps.sock",
        "/run/tide/tide.sock",
        "/run/pilot/pilot.json",
    ]
    gps_path, tide_path, file = arguments
    os.makedirs(os.path.dirname(file) or ".", exist_ok=True)
    generation = service.checkpoint()
    pilot, heartbeat = Pilot(gps_path, tide_path, file, generation), service.Heartbeat()
    service.notify("READY=1")
    while True:
        pilot.step(heartbeat.beat())


if __name__ == "__main__":
    main()
