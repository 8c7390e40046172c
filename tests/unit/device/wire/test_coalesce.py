# SPDX-License-Identifier: MIT
"""Records that wait for a slow console: put together, and none of them lost."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from koboshi.journal import Console
from koboshi.wire import coalesce, records

from koboshi_desk.console.decoder import Decoder, Record
from koboshi_desk.device.observed import Device
from tests.unit.desk.console.test_transport import corrupted


class SlowSystem:
    """A console that takes some bytes at a time."""

    def __init__(self) -> None:
        self.loop = self
        self.out = b""
        self.room = 0

    def console_write(self, data: bytes) -> int:
        """As Loop's."""
        taken = data[: self.room]
        self.out += taken
        self.room -= len(taken)
        return len(taken)


def storm(rng: random.Random, count: int) -> list[str]:
    """Records of three components that restart again and again, and some that are about nothing of it."""
    lines = [records.encode(1, 0.0, "boot", {"id": "1a2b3c4d"})]
    gens = dict.fromkeys(("gps", "tide", "pilot"), 0)
    while len(lines) < count:
        name = rng.choice(list(gens))
        gens[name] += 1
        seq, now = len(lines) + 1, len(lines) / 100
        keys = {
            "component": name,
            "gen": gens[name],
            "level": "warm",
            "cause": "error",
            "status": "signal:SIGSEGV",
        }
        times = {"pid": 1000 + seq, "fail_us": seq * 10000, "start_us": seq * 10000 + 143, "latency_us": 143}
        lines.append(records.encode(seq, now, "restart", keys | times))
        ready = {"component": name, "pid": 1000 + seq, "gen": gens[name], "downtime_us": 900}
        lines.append(records.encode(seq + 1, now, "ready", ready))
        if rng.random() < 0.05:
            lines.append(records.encode(seq + 2, now, "manifest", {"result": "loaded"}))
    return lines


def sent_at(lines: list[str], bytes_a_record: int) -> tuple[Device, int]:
    """What a host makes of these records on a line that takes so many bytes in a record's time."""
    system: Any = SlowSystem()
    console = Console(system)
    for text in lines:
        console.put(text)
        system.room += bytes_a_record
        console.flush()
    system.room = 10**9
    console.flush()
    device = Device("x", live=False)
    device.take(system.out)
    return device, console.lost


def test_storm_on_a_slow_line() -> None:
    """Of a storm that the line cannot carry nothing is lost: a record came, or another stands for it."""
    lines = storm(random.Random(1), 1500)
    device, lost = sent_at(lines, 24)  # a fifth of what they have
    counts = device.decoder.counts
    assert (lost, counts.lost, counts.garbled, counts.repeated) == (0, 0, 0, 0)
    assert counts.records + counts.coalesced == len(lines)
    assert counts.coalesced > len(lines) / 2
    last = device.model.components
    quick, _ = sent_at(lines, 10**6)
    for name, component in quick.model.components.items():
        assert last[name].restart_count == component.restart_count
        assert (last[name].generation, last[name].pid) == (component.generation, component.pid)
        assert last[name].state == component.state == "ready"


BAUD_9600 = 960  # bytes a second: ten bits a byte


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1])
def test_storm_at_9600_baud(share: float) -> None:
    """Half a minute of a hundred restarts a second, wrong bytes among them: each record is accounted for."""
    rng = random.Random(9600)
    system: Any = SlowSystem()
    console, lines = Console(system), storm(rng, 30 * 200)
    for seq, text in enumerate(lines):
        console.put(text)
        if seq % 20 == 0:  # ten times a second
            system.room += BAUD_9600 // 10
            console.flush()
    system.room = 10**9
    console.flush()
    guard = (records.encode(len(lines) + 1, 30.0, "all-ready", {"components": 3}) + "\n").encode()
    first = system.out.index(b"\n") + 1
    device = Device("x", live=False)
    device.take(system.out[:first] + corrupted(system.out[first:], share, rng) + b"\n" + guard)
    counts = device.decoder.counts
    assert counts.records + counts.coalesced + counts.lost == len(lines) + 1
    sent = {line.strip() for line in system.out.decode().splitlines()} | {guard.decode().strip()}
    found = [item for _, item, _ in device.log if isinstance(item, Record)]
    assert {records.encode(i.seq, i.time, i.event, dict(i.fields)) for i in found} <= sent
    if not share:
        assert counts.lost == console.lost
        assert len(system.out) < 30 * BAUD_9600 + 64 * 1024 + 4096  # what the line took, and what waited


def test_line_that_keeps_up_has_every_record() -> None:
    """Where nothing waits nothing is put together."""
    lines = storm(random.Random(2), 500)
    device, _ = sent_at(lines, 1000)
    assert device.decoder.counts.records == len(lines)
    assert device.decoder.counts.coalesced == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(8, 120))
def test_whatever_the_speed(seed: int, speed: int) -> None:
    """At any speed each record came, is stood for, or is counted as lost by the device."""
    lines = storm(random.Random(seed), 300)
    device, lost = sent_at(lines, speed)
    counts = device.decoder.counts
    assert counts.records + counts.coalesced + lost == len(lines)
    assert counts.lost <= lost


def test_other_events_keep_their_place() -> None:
    """Restarts are put together up to another event of the component's; worst and sum add up."""
    first = records.encode(1, 1.0, "restart", {"component": "gps", "latency_us": 10, "gen": 1})
    again = records.encode(2, 2.0, "restart", {"component": "gps", "latency_us": 30, "gen": 2})
    queue = deque([b"being written\n", first.encode() + b"\n"])
    assert coalesce.merge(queue, again) is not None
    found = records.find(queue[-1].decode())
    assert found is not None
    assert (found.event, found.seq, found.keys["covers"], found.keys["count"]) == ("restarts", 2, "1", "2")
    assert (found.keys["latency_max_us"], found.keys["latency_sum_us"], found.keys["gen"]) == (
        "30",
        "40",
        "2",
    )
    queue.append(records.encode(3, 3.0, "poisoned", {"component": "gps"}).encode() + b"\n")
    assert coalesce.merge(queue, records.encode(4, 4.0, "restart", {"component": "gps"})) is None


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60, unique=True))
def test_covers_is_a_list_of_numbers(numbers: list[int]) -> None:
    """What is written as covered is read as the same numbers."""
    text = ""
    for number in sorted(numbers):
        text = coalesce._with(text, number)
    assert coalesce.covered(text) == sorted(numbers)


@given(st.text("0123456789-,", max_size=20))
def test_wrong_covers_cover_nothing(text: str) -> None:
    """Whatever stands in `covers`, the count of the lost is never below none."""
    decoder = Decoder()
    data = records.encode(5, 1.0, "restarts", {"component": "gps", "covers": text})
    decoder.feed(f"{records.encode(1, 0.5, 'boot', {})}\n{data}\n".encode())
    assert decoder.counts.lost >= 0
    assert decoder.counts.lost + decoder.counts.coalesced == 3
    assert [type(item) for item in [*Decoder().feed(data.encode() + b"\n")]] == [Record]
