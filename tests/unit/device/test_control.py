# SPDX-License-Identifier: MIT
"""The control socket, over real sockets; and koboshictl's table."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from koboshi import control, ctl
from koboshi.control import Server
from koboshi.manifest import rules
from koboshi.system.calls import System
from koboshi.wire import line, records

from koboshi_desk.console.decoder import Decoder, Reply
from tests.unit.device.fake_system import ETC, World, boot, pump
from workbench.core.repository import REPOSITORY

ONE = 'version = 1\n[component.a]\ncommand = ["/a"]'


class Desk:
    """A supervisor on a made-up system, with a control socket that is real."""

    def __init__(self, path: Path) -> None:
        self.world = World()
        self.clients: list[socket.socket] = []
        self.supervisor = boot(self.world, ONE + "\nladder = { same_fault = 0 }")
        self.system = System("/dev/null")
        self.path = str(path / "control")
        self.system.loop.listen(str(path / "poke"), self.path)
        self.server = Server(self.system, self.supervisor)

    def close(self) -> None:
        """Nothing is left open."""
        self.system.close_all()
        for client in self.clients:
            client.close()

    def connect(self) -> socket.socket:
        """A client."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        self.clients.append(client)
        client.connect(self.path)
        self.turn()
        return client

    def turn(self) -> None:
        """Let the supervisor and the server do what there is to do now."""
        pump(self.supervisor)
        self.server.turn(self.system.loop.wait(0))

    def ask(self, client: socket.socket, data: bytes) -> dict[str, Any]:
        """A request as it is, and the reply."""
        client.sendall(data)
        self.turn()
        reply: dict[str, Any] = json.loads(client.recv(1 << 20))
        return reply


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A supervisor with one component."""
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_status(desk: Desk) -> None:
    """A request is a line, and so is its reply."""
    reply = desk.ask(desk.connect(), b'{"cmd": "status"}\n')
    assert reply["ok"] is True
    assert reply["components"]["a"]["state"] == "ready"


def test_requests_in_pieces_and_in_a_row(desk: Desk) -> None:
    """A request may arrive in pieces, and several may arrive at once."""
    client = desk.connect()
    client.sendall(b'{"cmd": "sta')
    desk.turn()
    assert desk.ask(client, b'tus"}\n')["ok"] is True
    client.sendall(b'{"cmd": "status"}\n{"cmd": "status"}\n')
    desk.turn()
    assert client.recv(1 << 20).count(b'"ok": true') == 2


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"hello", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b"[" * 20000, "no JSON object"),
        (b'{"cmd": ["a"]}', "unknown command"),
        (b'{"cmd": "stop", "component": ["a"]}', "no component"),
        (b'{"cmd": "events", "n": -1}', "n is no number"),
        (b"{}", "unknown command"),
    ],
)
def test_nonsense_is_answered(desk: Desk, text: bytes, word: str) -> None:
    """Whatever a client sends, it is told what is wrong with it, and the supervisor goes on."""
    client = desk.connect()
    client.sendall(text + b"\n")
    for _ in range(10):
        desk.turn()
    assert word in json.loads(client.recv(1 << 20))["error"]
    assert desk.ask(client, b'{"cmd": "status"}\n')["ok"] is True


def test_follow(desk: Desk) -> None:
    """A client that follows gets the last records, and then each new one."""
    client = desk.connect()
    reply = desk.ask(client, b'{"cmd": "events", "n": 2, "follow": true}\n')
    assert [line.split()[3] for line in reply["events"]] == ["ready", "all-ready"]
    desk.world.runner("a").crash()
    desk.turn()
    records = [json.loads(line)["record"] for line in client.recv(1 << 20).splitlines()]
    assert [record.split()[3] for record in records] == ["restart", "ready"]


def test_follow_as_something_happens(desk: Desk) -> None:
    """What happened just before is among the last records, and does not come again as a new one."""
    earlier, client = desk.connect(), desk.connect()
    desk.ask(earlier, b'{"cmd": "events", "n": 0, "follow": true}\n')
    desk.world.runner("a").crash()
    client.sendall(b'{"cmd": "events", "n": 2, "follow": true}\n')
    desk.turn()
    (reply,) = client.recv(1 << 20).splitlines()
    assert [line.split()[3] for line in json.loads(reply)["events"]] == ["restart", "ready"]
    assert [json.loads(line)["record"].split()[3] for line in earlier.recv(1 << 20).splitlines()] == [
        "restart",
        "ready",
    ]


def test_a_client_that_leaves(desk: Desk) -> None:
    """A client that goes away, in the middle of a request or of a reply, is forgotten."""
    for data in (b"", b'{"cmd"', b'{"cmd": "events", "follow": true}\n'):
        client = desk.connect()
        client.sendall(data)
        client.close()
        desk.world.runner("a").crash()
        desk.turn()
        desk.turn()
    assert desk.server.clients == {}


def test_a_client_that_does_not_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that reads nothing is dropped before it costs memory; the others are served."""
    monkeypatch.setattr(control, "_BACKLOG_BYTES", 4096)
    lazy = desk.connect()
    desk.ask(lazy, b'{"cmd": "events", "n": 0, "follow": true}\n')
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(3000):
        if not desk.server.clients:
            break
        desk.world.runner("a").crash()
        desk.turn()
    assert desk.server.clients == {}
    assert desk.ask(desk.connect(), b'{"cmd": "status"}\n')["ok"] is True


def test_too_many_clients(desk: Desk) -> None:
    """A client beyond the limit is sent away, those before it are served, and one that leaves makes room."""
    clients = [desk.connect() for _ in range(32)]
    assert desk.connect().recv(1) == b""
    assert desk.ask(clients[31], b'{"cmd": "status"}\n')["ok"]
    clients[0].close()
    desk.turn()
    assert desk.ask(desk.connect(), b'{"cmd": "status"}\n')["ok"]


def test_an_endless_request(desk: Desk) -> None:
    """A request without an end is cut off."""
    client = desk.connect()
    client.setblocking(False)
    for _ in range(200):
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            client.send(b"x" * 4096)
        desk.turn()
    assert desk.server.clients == {}


def test_table() -> None:
    """The table has a line for each component, and under it what went wrong."""
    world = World()
    supervisor = boot(world, ONE)
    world.runner("a").crash()
    pump(supervisor)
    supervisor.components["a"].error = "rfork-run: no such user"
    head, line, error = ctl.table(supervisor.committed.status()).splitlines()
    assert head.split()[:3] == ["NAME", "STATE", "PID"]
    assert line.split()[:2] == ["a", "ready"]
    assert "143 us" in line
    assert "1 warm, 0 cold" in line
    assert error == "a: rfork-run: no such user"


@pytest.mark.parametrize(
    "words", [[], ["stop"], ["status", "x"], ["events", "-n"], ["events", "-x"], ["check", "a", "b"]]
)
def test_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong use is answered with the usage and status 100."""
    assert ctl.main(words) == 100
    assert capsys.readouterr().err.startswith("usage: koboshictl")


@pytest.mark.parametrize("installed", [False, True])
def test_the_commands_find_the_package(tmp_path: Path, installed: bool) -> None:
    """The commands run isolated, in the source tree and through a link, and refuse wrong use."""
    for name in ("koboshictl", "koboshi-supervisor", "koboshi-publish"):
        script = Path(__file__).resolve().parents[3] / "supervisor" / name
        if installed:
            (tmp_path / name).symlink_to(script)
            script = tmp_path / name
        words = [sys.executable, "-ISEB", str(script), "no-such-command"]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 100
        assert ended.stderr.startswith(f"usage: {name}")


def test_records_over_the_line(desk: Desk) -> None:
    """`events FROM` on the line gives the records from a number on, in pages, and the newest without one."""
    client = desk.connect()

    def replies(number: int, *words: str) -> list[Reply]:
        text = line.encode(number, "desk", "events", *words).removeprefix("koboshictl line ")
        reply = desk.ask(client, json.dumps({"cmd": "line", "text": text}).encode() + b"\n")
        data = "".join(f"{one}\n" for one in reply["lines"]).encode()
        return [item for item in Decoder().feed(data) if isinstance(item, Reply)]

    desk.supervisor.journal.record("status", {"component": "a", "text": "é * %" * 100})
    desk.supervisor.settle()
    log = desk.ask(client, b'{"cmd": "events", "n": 500}\n')["events"]
    *parts, end = replies(1, "2")
    assert [part.fields["record"] for part in parts] == log[1:][:32]
    assert end.fields == {"parts": str(len(parts)), "last": str(len(log))}
    assert [part.fields["record"] for part in replies(2)[:-1]] == log[-32:]
    assert replies(3, str(len(log) + 1))[0].fields["parts"] == "0"
    assert replies(4, "x")[0].result == "error"
    assert replies(5, "9" * 30)[0].fields["parts"] == "0"


def test_a_line_without_an_end(tmp_path: Path) -> None:
    """What reads the serial line stays small, whatever comes, and hears a request behind it."""
    program = [sys.executable, "-S", "-m", "koboshi.ctl", "line"]
    tree = {"PYTHONPATH": str(REPOSITORY / "supervisor"), "KOBOSHI_RUN": str(tmp_path)}
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **tree}
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(64):
            process.stdin.write(b"a" * (1 << 20))
        process.stdin.write(b"\xff" + line.encode(7, "m", "hello").encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"\n"
        assert process.stdout.readline().startswith(b"koboshi-reply/1 7 m error code=supervisor")
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.stdin.close()
    most_kb = int(status.split("VmHWM:")[1].split()[0])
    assert most_kb < 48 << 10


def asked(desk: Desk, verb: str, manifest: str) -> str:
    """How the device answers this request of a serial line, with this manifest."""
    desk.world.write(f"{ETC}/koboshi.toml", manifest.encode())
    desk.supervisor.reload()
    desk.turn()
    lines = desk.server.line.answer(line.encode(1, "m", verb, "a").removeprefix("koboshictl line "))
    return lines[-1]


@pytest.mark.parametrize(
    ("device", "allowed"),
    [
        ("", {*line.READING, *line.CHANGING, *line.LOCKING}),
        ('console = "shell"', {*line.READING, *line.CHANGING, *line.LOCKING}),
        ('console = "records"', set(line.READING)),
        ('console = "records"\ncontrol = ["hello", "stop"]', {"hello", "stop"}),
        ('control = ["status"]', {"status"}),
        ("control = []", set()),
    ],
)
def test_requests_of_a_serial_line(desk: Desk, device: str, allowed: set[str]) -> None:
    """device.control lists them; without it all are allowed, or those that change nothing."""
    for verb in (*line.READING, *line.CHANGING, *line.LOCKING):
        if verb == "rehearse" and verb in allowed:
            continue  # it would start a program
        reply = asked(desk, verb, f"{ONE}\n[device]\n{device}\n")
        refusal = records.quote(f"{verb} is not allowed by device.control")
        assert (refusal not in reply) == (verb in allowed), reply


def test_manifest_knows_the_requests() -> None:
    """Each verb of the line can be listed in device.control."""
    assert {*line.READING, *line.CHANGING, *line.LOCKING} <= set(rules.REQUESTS)


def test_without_a_manifest_nothing_changes(desk: Desk) -> None:
    """A device whose manifest has never been in effect takes no orders from a line."""
    desk.supervisor.device.table = {}
    assert desk.server._allows("status")
    assert not desk.server._allows("stop")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ('version = 1\n[device]\nconsole = "records"\n', "records"),
        ('version = 1\ndevice.console = "records"\n', "records"),
        ('version = 1\n[device]\n"\\u0063onsole" = "records"\n', "records"),
        ('version = 1\ndevice = { console = "record" }\n', "records"),
        ('version = 1\n[device]\nconsole = "records"\n[oops\n', "records"),
        ("version = 1\n[device]\nconsole = \n", "records"),
        ('version = 1\n[device]\n"\\u0063onsole" = "records"\n[oops\n', "records"),
        ('version = 1\n[device]\nconsole = "shell"\n', "shell"),
        ('version = 1\n[component.a]\ncommand = ["/a"]\noutput = "console"\n[oops\n', "shell"),
        ('version = 1\n[component.a]\nenvironment = { console = "records" }\n', "shell"),
        ("", "shell"),
    ],
)
def test_who_reads_the_console(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    printed: str,
) -> None:
    """`koboshictl console` ends with 0 only for a shell; a mistake in the manifest opens none."""
    monkeypatch.setenv("KOBOSHI_ETC", str(tmp_path))
    (tmp_path / "koboshi.toml").write_text(text)
    assert ctl.main(["console"]) == (printed == "records")
    assert capsys.readouterr().out == f"{printed}\n"
