# SPDX-License-Identifier: MIT
"""The keeper component: what it acknowledges is kept, once, whatever was cut off."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from components.koboshi_demo import keeper
from components.koboshi_demo.keeper import Keeper, Store

BOOT = "0123abcd"


def record(number: int) -> str:
    """A record as the supervisor writes it."""
    return f"koboshi/1 {number} 1.000000 ready component=gps *00000000"


def kept(folder: Path) -> list[str]:
    """All lines of the store, oldest first."""
    return [line for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_what_is_kept_stays(tmp_path: Path) -> None:
    """Another store on the same folder goes on where the first ended, and knows the boot's last record."""
    Store(str(tmp_path)).keep([f"{BOOT} {record(1)}", f"{BOOT} {record(2)}"])
    store = Store(str(tmp_path))
    assert (store.last(BOOT), store.last("another0")) == (2, 0)
    store.keep([f"another0 {record(1)}"])
    assert (store.last(BOOT), store.last("another0")) == (2, 1)
    assert len(kept(tmp_path)) == 3


def test_a_torn_line_goes(tmp_path: Path) -> None:
    """Half a line, which was never acknowledged, is cut off, and what was whole before it stays."""
    Store(str(tmp_path)).keep([f"{BOOT} {record(1)}"])
    with (tmp_path / "00000000").open("a") as file:
        file.write(f"{BOOT} koboshi/1 2 1.0")
    store = Store(str(tmp_path))
    store.keep([f"{BOOT} {record(2)}"])
    assert kept(tmp_path) == [f"{BOOT} {record(number)}" for number in (1, 2)]


def test_nothing_but_a_torn_line(tmp_path: Path) -> None:
    """A segment that was begun and not finished is empty afterwards."""
    (tmp_path / "00000000").write_text("0123")
    assert Store(str(tmp_path)).last(BOOT) == 0
    assert kept(tmp_path) == []


def test_the_store_is_bounded(tmp_path: Path) -> None:
    """The oldest segments go; the newest records are there without a gap."""
    store = Store(str(tmp_path), segment_bytes=500, segments=3)
    for number in range(1, 101):
        store.keep([f"{BOOT} {record(number)}"])
    numbers = [keeper.sequence(line.split(" ", 1)[1]) for line in kept(tmp_path)]
    assert numbers == list(range(numbers[0], 101))
    assert numbers[0] > 1
    assert len(list(tmp_path.iterdir())) <= 4


@pytest.mark.parametrize(("text", "number"), [(record(17), 17), ("", 0), ("koboshi/1 x 1.0 ready", 0)])
def test_number_of_a_record(text: str, number: int) -> None:
    """What is no record has no number."""
    assert keeper.sequence(text) == number


def test_records_are_taken_once_and_acknowledged(tmp_path: Path) -> None:
    """The log comes first, and again after a reconnection; a record is kept once, the last acknowledged."""
    log, told = tmp_path / "log", tmp_path / "told"
    one = Keeper("nowhere", Store(str(log)), str(told), BOOT)
    one.take([{"ok": True, "events": [record(1), record(2)]}])
    one.take(
        [
            {"ok": True, "events": [record(1), record(2), record(3)]},
            {"record": record(3)},
            {"record": record(4)},
        ]
    )
    assert told.read_text() == f"{BOOT} 4\n"
    assert [line.split()[2] for line in kept(log)] == ["1", "2", "3", "4"]
    two = Keeper("nowhere", Store(str(log)), str(told), BOOT)
    two.take([{"record": record(4)}, {"record": record(5)}])
    assert [line.split()[2] for line in kept(log)] == ["1", "2", "3", "4", "5"]


def test_it_follows_the_supervisors_socket(tmp_path: Path) -> None:
    """It asks for the log and what follows, takes replies that come in pieces, and returns at the end."""
    ours, its = socket.socketpair()
    one = Keeper("nowhere", Store(str(tmp_path)), None, BOOT)
    thread = threading.Thread(target=one.follow, args=(its,))
    thread.start()
    asked = json.loads(ours.makefile().readline())
    answer = json.dumps({"ok": True, "events": [record(1)]}) + "\n" + json.dumps({"record": record(2)}) + "\n"
    for part in (answer[:40], answer[40:-10], answer[-10:]):
        ours.sendall(part.encode())
    ours.shutdown(socket.SHUT_RDWR)
    thread.join(60)
    assert not thread.is_alive()
    assert (asked["cmd"], asked["follow"]) == ("events", True)
    assert one.kept == 2
    for each in (ours, its):
        each.close()
