# SPDX-License-Identifier: MIT
"""The tide component: computes a year's table, checkpoints, and answers questions on a Unix socket.

Computing the table takes seconds on a small device. After the checkpoint a crash comes back with the table
in memory, and a question that arrives meanwhile waits in the socket's queue.

A question is a line with a time (`2026-06-01T12:00:00Z`); the answer is a JSON object in a line, with `error`
in it where the time is not one of the table's.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

from . import service
from .table import TideError, TideTable, default_station, iso, parse_iso

LINE_MAX = 256
CLIENTS_MAX = 32


def answer(table: TideTable, question: str) -> dict[str, object]:
    """Return height, trend and the next high or low water at the requested time."""
    try:
        seconds = parse_iso(question.strip())
        turn = table.next_turn(seconds)
        height = table.height(seconds)
    except ValueError as error:
        return {"error": str(error)}
    kind = "high" if turn.high else "low"
    return {
        "station": table.station.name,
        "time": iso(seconds),
        "height_m": round(height, 3),
        "trend": "rising" if turn.high else "falling",
        "next": {"kind": kind, "time": iso(turn.seconds), "height_m": round(turn.height_m, 3)},
    }


class Server:
    """A single-threaded server that never blocks on a client."""

    def __init__(self, table: TideTable, listener: socket.socket, generation: int) -> None:
        self.table, self.listener, self.generation = table, listener, generation
        self.clients: dict[int, tuple[socket.socket, bytes]] = {}
        self.poll = select.poll()  # not epoll: Linux 2.6.23 has another one
        self.poll.register(listener, select.POLLIN)

    def _accept(self) -> None:
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        client.setblocking(False)
        if len(self.clients) >= CLIENTS_MAX:
            client.close()
            return
        self.clients[client.fileno()] = (client, b"")
        self.poll.register(client, select.POLLIN)

    def _drop(self, number: int) -> None:
        client, _ = self.clients.pop(number)
        self.poll.unregister(number)
        client.close()

    def _read(self, number: int) -> None:
        client, buffer = self.clients[number]
        try:
            data = client.recv(4096)
            *lines, rest = (buffer + data).split(b"\n")
            for line in lines:
                reply = answer(self.table, line.decode("ascii", "replace"))
                reply["generation"] = self.generation
                client.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:  # it has gone, or it asks and does not read
            self._drop(number)
            return
        if not data or len(rest) > LINE_MAX:
            self._drop(number)
        else:
            self.clients[number] = (client, rest)

    def step(self, seconds: float | None) -> None:
        """Wait for work for at most `seconds` (None: no limit), and do it."""
        for number, _ in self.poll.poll(None if seconds is None else int(seconds * 1000) + 1):
            if number == self.listener.fileno():
                self._accept()
            else:
                self._read(number)


def main(arguments: list[str] | None = None) -> None:
    """`tide [SOCKET [YEAR]]`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    path = arguments[0] if arguments else "/run/tide/tide.sock"
    year = int(arguments[1]) if len(arguments) > 1 else time.gmtime().tm_year
    begun = time.monotonic()
    table = TideTable(default_station(), year)
    took = time.monotonic() - begun
    service.say(f"{table.station.name} {year}: {len(table.turns)} high and low waters in {took:.2f} s")
    listener = service.listen(path)
    generation = service.checkpoint()
    if generation:
        service.say(f"back with the table in memory, generation {generation}")
    server, heartbeat = Server(table, listener, generation), service.Heartbeat()
    service.notify("READY=1")
    while True:
        server.step(heartbeat.beat())


if __name__ == "__main__":
    try:
        main()
    except (TideError, ValueError, OSError) as error:
        service.say(f"tide: {error}")
        sys.exit(111)
