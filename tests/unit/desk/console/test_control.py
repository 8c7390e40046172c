# SPDX-License-Identifier: MIT
"""The control channel on the console's line, both sides of it."""

from __future__ import annotations

import getpass
import re
import shlex
import socket
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire import line, records

from koboshi_desk.console.control import AGAIN_S, TRIES, Control, master_name
from koboshi_desk.console.decoder import Decoder, Reply


class Supervisor:
    """Two components, and what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.time = 100.0
        self.crash: dict[str, object] = {"number": 1, "component": "gps", "memory_kb": {"MemFree": 9}}
        self.line = line.Line(lambda: self.time, self.ask)

    def ask(self, command: str, name: object) -> dict[str, Any]:
        """As koboshi.control answers."""
        self.asked.append((command, name))
        if command == "status":
            values = {"state": "ready", "generation": 3, "left": {"cold": 5, "group": 1}, "error": "a b*"}
            status = {"boot_id": "1a2b3c4d", "time": 5.0, "supervisor": {"start": 2}}
            return {"ok": True, **status, "components": {"gps": values, "tide": {"state": "stopped"}}}
        if command == "events":
            return {"ok": True, "events": [records.encode(1, 1.0, "boot", {"id": "1a2b3c4d"})], "last": 1}
        if command == "crashes":
            return {"ok": True, "crashes": [self.crash, {"number": 2, "component": "tide", "fault": None}]}
        if name == "gps":
            return {"ok": True, "state": "stopping" if command == "stop" else "starting"}
        return {"ok": False, "error": f"no component {name!r}"}

    def say(self, text: str) -> list[Reply]:
        """The reply to a line, as a host reads it."""
        data = "".join(f"{reply}\r\n" for reply in self.line.answer(text.removeprefix("koboshictl line ")))
        return [item for item in Decoder().feed(data.encode()) if isinstance(item, Reply)]


def test_request_and_reply() -> None:
    """A request is carried out, and its reply says what became of it."""
    device = Supervisor()
    (reply,) = device.say(line.encode(7, "desk", "stop", "gps"))
    assert (reply.number, reply.master, reply.result, reply.fields) == (
        7,
        "desk",
        "ok",
        {"state": "stopping"},
    )
    assert device.asked == [("stop", "gps")]


def test_request_that_comes_again_is_not_carried_out_again() -> None:
    """The same number and words are answered from memory; a new number is a new request."""
    device = Supervisor()
    first = device.say(line.encode(7, "desk", "restart", "gps"))
    assert device.say(line.encode(7, "desk", "restart", "gps")) == first
    assert len(device.asked) == 1
    device.say(line.encode(8, "desk", "restart", "gps"))
    assert len(device.asked) == 2


def test_second_master_is_refused_until_the_first_is_silent() -> None:
    """Two masters do not change things at once: the second is told who has the line, and for how long."""
    device = Supervisor()
    device.say(line.encode(1, "one", "stop", "gps"))
    (refused,) = device.say(line.encode(1, "two", "start", "gps"))
    assert (refused.result, refused.fields["code"], refused.fields["by"]) == ("error", "locked", "one")
    assert refused.fields["for_s"] == "60"
    assert [asked for asked in device.asked if asked[0] == "start"] == []
    device.time += line.LEASE_S + 1
    assert device.say(line.encode(2, "two", "start", "gps"))[0].result == "ok"


@pytest.mark.parametrize("refused", ["stop nobody", "fly gps", "restart"])
def test_refused_request_takes_no_lock(refused: str) -> None:
    """Who is refused has not changed anything, and keeps nobody else from it, nor holds on to the line."""
    device = Supervisor()
    verb, _, name = refused.partition(" ")
    assert device.say(line.encode(1, "one", verb, name))[0].result == "error"
    assert device.say(line.encode(2, "two", "hello"))[0].fields["locked"] == "-"
    assert device.say(line.encode(3, "two", "stop", "gps"))[0].result == "ok"
    device.time += line.LEASE_S - 1
    device.say(line.encode(4, "two", verb, name))
    device.time += 2
    assert device.say(line.encode(5, "one", "stop", "gps"))[0].result == "ok"


def test_programs_of_one_person_share_the_line() -> None:
    """Two programs with one name do not lock each other out, nor forget each other's last request."""
    device, first, second = Supervisor(), Control(), Control()
    assert first.master == second.master == master_name()
    assert re.fullmatch(r"[a-z0-9-]{1,32}", first.master)
    one = line.encode(1, first.master, "restart", "gps")
    assert device.say(one)[0].result == "ok"
    assert device.say(line.encode(2, second.master, "stop", "gps"))[0].result == "ok"
    assert device.say(one)[0].result == "ok"
    assert device.asked == [("restart", "gps"), ("stop", "gps")]


@pytest.mark.parametrize(
    ("user", "host"), [("müller", "b"), ("x" * 80, "y" * 80), ("", ""), ("$(id)", "a.b")]
)
def test_any_user_has_a_name(monkeypatch: pytest.MonkeyPatch, user: str, host: str) -> None:
    """Whatever users and machines are called, the name fits the protocol, and another user has another."""
    monkeypatch.setattr(getpass, "getuser", lambda: user)
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    name = master_name()
    assert line.parse(line.encode(1, name, "hello").removeprefix("koboshictl line ")) is not None
    monkeypatch.setattr(getpass, "getuser", lambda: user + "2")
    assert master_name() != name


def test_lock_steal_and_unlock() -> None:
    """The line can be held without a change, given back, and taken from another on purpose."""
    device = Supervisor()
    assert device.say(line.encode(1, "one", "lock"))[0].result == "ok"
    assert device.say(line.encode(1, "two", "lock"))[0].result == "error"
    assert device.say(line.encode(2, "two", "unlock"))[0].fields["code"] == "locked"
    assert device.say(line.encode(3, "two", "steal"))[0].result == "ok"
    assert device.say(line.encode(2, "one", "stop", "gps"))[0].fields["by"] == "two"
    assert device.say(line.encode(4, "two", "unlock"))[0].result == "ok"
    assert device.say(line.encode(3, "one", "stop", "gps"))[0].result == "ok"


def test_status_needs_no_lock_and_has_parts() -> None:
    """Anybody may look: a part for each component, and how many there are."""
    device = Supervisor()
    device.say(line.encode(1, "one", "lock"))
    *parts, end = device.say(line.encode(1, "two", "status"))
    assert [part.fields["component"] for part in parts] == ["gps", "tide"]
    assert parts[0].fields["left"] == "cold:5,group:1"
    assert parts[0].fields["error"] == "a b*"
    assert (end.result, end.fields["parts"], end.fields["locked"]) == ("ok", "2", "one")
    assert device.say(line.encode(2, "two", "hello"))[0].fields["boot"] == "1a2b3c4d"


def test_crash_records() -> None:
    """Anybody may read the crash records, a part each; what is too long is cut, and can still be read."""
    device = Supervisor()
    device.crash |= {"output": "é \n" * 5000, "stack": ["gps+0x1a2f", "libc.so.6+0x27305"], "kernel": ""}
    lines = device.line.answer(line.encode(1, "one", "crashes").removeprefix("koboshictl line "))
    assert max(len(text) for text in lines) < records.MAX_LINE
    first, second, end = device.say(line.encode(1, "one", "crashes"))
    assert first.fields["stack"] == "gps+0x1a2f,libc.so.6+0x27305"
    assert first.fields["memory_kb"] == "MemFree:9"
    assert first.fields["output"].endswith("...")
    assert "kernel" not in first.fields
    assert second.fields == {"number": "2", "component": "tide"}
    assert (end.result, end.fields["parts"]) == ("ok", "2")


@given(st.text(max_size=600))
def test_any_text_survives_a_reply(text: str) -> None:
    """Whatever an error says, the reply that carries it is whole, and as long as it may be."""
    data = line.reply("1", "one", "error", {"error": text})
    (item,) = Decoder().feed(data.encode() + b"\n")
    assert isinstance(item, Reply)
    kept = item.fields["error"]
    assert kept == text or (kept.endswith("...") and text.startswith(kept.removesuffix("...")))


def test_refusals_say_why() -> None:
    """A verb or a component that is not there is an error with words."""
    device = Supervisor()
    assert "one of hello,status" in device.say(line.encode(1, "one", "fly"))[0].fields["error"]
    (reply,) = device.say(line.encode(2, "one", "stop", "nobody"))
    assert (reply.fields["code"], reply.fields["error"]) == ("refused", "no component 'nobody'")


@given(st.integers(0, 200), st.integers(1, 127))
def test_broken_request_is_not_carried_out(at: int, flip: int) -> None:
    """With any byte changed nothing is done; the master asks again."""
    text = line.encode(7, "desk", "stop", "gps").removeprefix("koboshictl line ")
    broken = bytearray(text.encode())
    broken[at % len(text)] ^= flip
    device = Supervisor()
    device.line.answer(broken.decode("latin-1"))
    assert device.asked in ([], [("stop", "gps")])
    if bytes(broken).strip() != text.encode():
        assert not device.asked


@given(st.text(max_size=60) | st.none() | st.integers())
def test_anything_as_a_request(text: object) -> None:
    """Whatever comes, there is no failure, and without a check no reply."""
    assert Supervisor().line.answer(text) == []


def test_request_is_a_command_of_the_shells() -> None:
    """A shell that reads the line hands the words on as they are."""
    text = line.encode(7, "desk-1", "restart", "gps")
    printed = subprocess.run(
        ["sh", "-c", f'koboshictl() {{ echo "$*"; }}; {text}'], capture_output=True, text=True
    )
    assert printed.stdout.strip() == text.removeprefix("koboshictl ")
    assert shlex.join(shlex.split(text)) == text


class Wire:
    """A master, its device, and a line that loses what it is told to lose."""

    def __init__(self, lose: list[int]) -> None:
        self.time = 0.0
        self.device = Supervisor()
        self.control = Control("desk", lambda: self.time)
        self.lose, self.count = lose, 0

    def run(self) -> None:
        """Until nothing is under way."""
        while self.control.busy:
            for reply in self.device.say(self.written()) if (self.written_now()) else []:
                self.control.take(reply)
            self.time += 1.0

    def written_now(self) -> bool:
        """Whether the master writes something that arrives."""
        self.data = self.control.step().decode()
        self.count += bool(self.data)
        return bool(self.data) and self.count not in self.lose

    def written(self) -> str:
        """What arrived."""
        return self.data.strip()


def test_master_asks_again() -> None:
    """A request that was lost is asked again with its number, and done once."""
    wire = Wire(lose=[1, 2])
    wire.control.ask("restart", "gps")
    wire.run()
    assert [str(outcome) for outcome in wire.control.done] == ["restart gps: starting"]
    assert wire.device.asked == [("restart", "gps")]
    assert wire.time >= 2 * AGAIN_S


def test_master_gives_up() -> None:
    """Without a reply, the outcome is silence, and the next request is sent."""
    wire = Wire(lose=list(range(1, TRIES + 1)))
    wire.control.ask("stop", "gps")
    wire.control.ask("status")
    wire.run()
    assert [outcome.result for outcome in wire.control.done] == ["silence", "ok"]
    assert "no reply" in str(wire.control.done[0])
    assert len(wire.control.done[1].parts) == 2


def test_lost_part_is_asked_for_again() -> None:
    """A longer reply counts only if all its parts have come."""
    wire = Wire(lose=[])
    wire.control.ask("status")
    replies = wire.device.say(wire.control.step().decode().strip())
    for reply in replies[1:]:
        wire.control.take(reply)
    assert not wire.control.done
    wire.run()
    assert len(wire.control.done[0].parts) == 2


def test_long_reply_has_its_time() -> None:
    """On a slow line a reply may take minutes: it is not asked for again while parts of it come."""
    wire = Wire(lose=[])
    wire.control.ask("status")
    *parts, end = wire.device.say(wire.control.step().decode().strip())
    for part in parts:
        wire.time += AGAIN_S - 1
        assert wire.control.step() == b""
        wire.control.take(part)
    wire.time += AGAIN_S - 1
    assert wire.control.step() == b""
    wire.control.take(end)
    assert [len(outcome.parts) for outcome in wire.control.done] == [2]


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "a\nreboot", "a;b", "-", "A", "x" * 33])
def test_only_names_go_to_the_shell(name: str) -> None:
    """A shell may read the request: only a valid component name is sent."""
    control = Control("desk")
    control.ask("stop", name)
    assert control.step() == b""
    assert control.done[0].result == "error"


def test_replies_to_others_are_not_ours() -> None:
    """A reply to another master, or to a former request, ends nothing."""
    control = Control("desk")
    control.ask("hello")
    number = int(control.step().split()[3])
    control.take(Reply(number, "other", "ok", {}))
    control.take(Reply(number - 1, "desk", "ok", {}))
    assert control.busy
    control.take(Reply(number, "desk", "ok", {}))
    assert not control.busy
