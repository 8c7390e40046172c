# SPDX-License-Identifier: MIT
"""A guest whose console another process has open: its log is read, requests go over a line of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from koboshi.wire import line

from koboshi_desk.console.decoder import Decoder, Item, Record, Reply
from koboshi_desk.console.guest import GuestConsole
from koboshi_desk.console.notes import Running, running_guest
from koboshi_desk.core.errors import ConsoleClosedError, PortError
from koboshi_desk.device.observed import Device
from koboshi_desk.watch import ask
from koboshi_desk.watch.desk import Desk
from koboshi_desk.watch.live import Consoles, Watcher
from tests.unit.desk.console.test_control import Supervisor
from tests.unit.desk.console.test_transport import poll, record


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Answers on the line for requests as the guest's koboshictl does, one client at a time, with an echo."""
    made, server = Supervisor(), socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "requests"))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                for line in file:
                    lines = made.line.answer(line.decode().strip().removeprefix("koboshictl line "))
                    file.write(line + "".join(f"{text}\r\n" for text in lines).encode())
                    file.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield made
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


def running(folder: Path, *, requests: bool = True) -> Running:
    """A guest of this process, with a log in which a prompt is the last line."""
    (folder / "log").write_bytes(record(1, "boot", id="1a2b3c4d") + record(2) + b"koboshi# ")
    return Running(folder / "log", os.getpid(), folder / "requests" if requests else None)


def test_log_and_replies_are_merged_in_whole_lines(tmp_path: Path, supervisor: Supervisor) -> None:
    """A reply comes between lines of the log, never within one; after the close the line is free again."""
    guest = running(tmp_path)
    for _ in range(2):
        console, decoder = GuestConsole(guest), Decoder()
        items: list[Item] = []
        half = record(3)
        with guest.log.open("ab") as log:
            log.write(b"\r\n" + half[:20])

        console.write(f"{line.encode(7, 'desk', 'hello')}\n".encode())

        def read(
            console: GuestConsole = console, decoder: Decoder = decoder, items: list[Item] = items
        ) -> list[Item]:
            items += decoder.feed(console.read(0.1))
            return items

        poll(lambda: any(isinstance(item, Reply) for item in read()), "reply")
        with guest.log.open("ab") as log:
            log.write(half[20:])
        poll(lambda: [i.seq for i in read() if isinstance(i, Record)] == [1, 2, 3], "record")
        assert decoder.counts.garbled == 0
        console.close()
        guest = running(tmp_path)


def test_end_of_the_log_is_read(tmp_path: Path) -> None:
    """What the guest wrote last is handed out before the end, also without a newline."""
    console = GuestConsole(Running(running(tmp_path).log, 2**22 + 1))
    data: list[bytes] = []
    with contextlib.suppress(ConsoleClosedError):
        data += iter(lambda: console.read(0), None)
    assert b"".join(data).endswith(b"koboshi# ")


def noted(folder: Path, monkeypatch: pytest.MonkeyPatch, guest: Running) -> None:
    """The guest is the one that runs on this machine."""
    monkeypatch.setenv("KOBOSHI_CACHE", str(folder / "cache"))
    notes = folder / "cache/running"
    notes.mkdir(parents=True)
    note = {"pid": guest.pid, "log": str(guest.log)}
    note |= {"requests": str(guest.requests)} if guest.requests else {}
    (notes / "1.json").write_text(json.dumps(note))
    assert running_guest() == guest


def test_control_finds_the_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor
) -> None:
    """`koboshi control` without --port asks the guest that runs here."""
    noted(tmp_path, monkeypatch, running(tmp_path))
    out = io.StringIO()
    assert ask.ask("", "restart", "gps", out=out) == 0
    assert out.getvalue() == "result=ok state=starting\n"


def test_guest_without_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a line for requests, `control` and the keys of `watch` say so."""
    noted(tmp_path, monkeypatch, running(tmp_path, requests=False))
    with pytest.raises(PortError, match="no line for requests"):
        ask.ask("", "hello")
    watcher = Watcher(Consoles().sources())
    (device,) = watcher.devices
    device.take(record(1, "boot", id="1a2b3c4d") + record(2))
    desk = Desk([device])
    for key in "j" + "sarceiy":
        desk.key(key)
        assert key in "jy" or "no line for requests" in desk.note
    assert not device.control.busy
    for feed in watcher.feeds:
        feed.transport.close()


def test_keys_reach_the_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor
) -> None:
    """In the quick start's own set-up, a key is answered."""
    noted(tmp_path, monkeypatch, running(tmp_path))
    watcher = Watcher(Consoles().sources())
    (device,) = watcher.devices
    desk, pressed = Desk([device]), iter(["j", "r", "y"])

    def tick() -> bool:
        if device.model.components and (key := next(pressed, "")):
            desk.key(key)
        watcher.send()
        desk.news()
        return "restart gps: starting" not in desk.note

    watcher.run(lambda device, item: None, tick)
    assert ("restart", "gps") in supervisor.asked


def test_closed_port_refuses_a_request() -> None:
    """A request that cannot be sent is refused at once, instead of with `no reply` after a while."""
    device = Device("x")
    device.control.ask("stop", "gps")
    assert device.control.step()
    device.control.refuse("the port is closed")
    assert [str(outcome) for outcome in device.control.done] == ["stop gps: the port is closed"]
