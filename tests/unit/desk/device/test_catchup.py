# SPDX-License-Identifier: MIT
"""What the console did not show is asked for: after attaching, after a closed port, and after a gap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from koboshi.wire import line, records

from koboshi_desk.console.decoder import Item, Record
from koboshi_desk.device.catchup import QUIET_S, TRIES
from koboshi_desk.device.observed import Device
from koboshi_desk.fleet.metrics import Metrics

RESTART = {"component": "gps", "gen": 1, "level": "warm", "cause": "error", "latency_us": 143}


@dataclass
class Board:
    """A device: it writes records, and answers requests from its log and its states."""

    boot: str = "1a2b3c4d"
    log: list[str] = field(default_factory=list)
    state: str = "ready"
    warm: int = 0
    time: float = 1.0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = line.Line(lambda: self.time, self.answer)
        self.write("boot", id=self.boot, kernel="6.12", rfork="kernel")
        self.write("declared", component="gps", needs="-", budget="cold:5/120")

    def write(self, event: str, **keys: object) -> bytes:
        """A record, and its line on the console."""
        self.time += 0.5
        self.log.append(records.encode(len(self.log) + 1, self.time, event, keys))
        self.warm += event == "restart"
        return self.log[-1].encode() + b"\r\n"

    def answer(self, command: str, name: str | None) -> dict[str, Any]:
        """As the supervisor does."""
        self.asked.append(command)
        if command == "events":
            return {"ok": True, "events": self.log[max(0, int(name or 0) - 1) :], "last": len(self.log)}
        gps = {"state": self.state, "generation": self.warm, "pid": 7, "since": self.time, "out_ms": 250}
        gps |= {"restarts": {"warm": self.warm, "cold": 0}, "left": {"cold": 4}}
        status = {"boot_id": self.boot, "time": self.time, "supervisor": {"start": 1}}
        return {"ok": True, **status, "components": {"gps": gps}}


class Desk:
    """A device at the desk, and the line between it and a board, with a clock of its own."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.time = 1000.0
        self.device = Device("x")
        self.device.control.now = self.device.catchup.now = self.device.clock.host = lambda: self.time
        self.device.catchup.attach()
        self.sent: list[str] = []
        self.items: list[Item] = []
        self.answers = True

    def hear(self, data: bytes) -> None:
        """Something comes on the console."""
        self.items += self.device.take(data)

    def run(self, seconds: float = 60.0) -> None:
        """Let time pass; requests are answered as they come."""
        end = self.time + seconds
        while self.time < end:
            self.time += 0.5
            self.device.catchup.step()
            data = self.device.control.step().decode()
            for text in data.split("\n"):
                if text:
                    self.sent.append(text)
                    lines = self.board.line.answer(text.removeprefix("koboshictl line "))
                    self.hear("".join(f"{reply}\r\n" for reply in lines if self.answers).encode())

    def seqs(self) -> list[int]:
        """The numbers of the records in the log, in its order."""
        return [item.seq for _, item, _ in self.device.log if isinstance(item, Record)]


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """A metric's value."""
    return metrics.registry.get_sample_value(name, {"device": "x", "component": "gps"} | labels)


def test_attached_to_a_quiet_device() -> None:
    """Components, their counts and the last records are there, though nothing is written on the console."""
    board = Board()
    board.write("ready", component="gps", pid=7)
    board.write("restart", **RESTART)
    desk = Desk(board)
    desk.run()
    model = desk.device.model
    assert (model.boot_id, model.kernel) == ("1a2b3c4d", "6.12")
    gps = model.components["gps"]
    assert (gps.state, gps.restart_count, gps.pid, gps.generation) == ("ready", 1, 7, 1)
    assert gps.left(0) == {"cold": 4}
    assert desk.seqs() == [1, 2, 3, 4]
    assert model.timeline.lines["gps"].down_s(board.time) == pytest.approx(0.25)
    assert desk.device.clock.now() == pytest.approx(board.time + 60, abs=QUIET_S + 2)
    metrics = Metrics()
    for item in desk.items:
        metrics.take(desk.device, item)
    metrics.look(desk.device)
    assert sample(metrics, "koboshi_component_state", state="ready") == 1
    assert sample(metrics, "koboshi_component_given_up_total") == 0
    assert sample(metrics, "koboshi_restart_latency_seconds_count") == 0  # it was before the bridge began
    assert not desk.device.control.done


def test_attached_in_the_middle() -> None:
    """A record that comes makes the desk ask at once; older records are in front of it, and count once."""
    board = Board()
    board.write("restart", **RESTART)
    desk = Desk(board)
    desk.hear(board.write("ready", component="gps", pid=8, downtime_us=1000))
    desk.run(3.0)
    assert desk.seqs() == [1, 2, 3, 4]
    assert desk.device.model.components["gps"].restart_count == 1
    assert desk.device.decoder.counts.lost == 0


@pytest.mark.parametrize(("whys", "safe"), [(["x"], "x"), (["x", "ended by operator"], "")])
def test_attached_in_the_safe_state(whys: list[str], safe: str) -> None:
    """The safe state is known from an older record too, and its end from the newest one."""
    board = Board()
    for why in whys:
        board.write("safe-state", why=why)
    desk = Desk(board)
    desk.hear(board.write("ready", component="gps", pid=8, downtime_us=1000))
    desk.run(3.0)
    assert desk.device.model.safe == safe


def test_gap_is_filled() -> None:
    """Records that the line lost are asked for; they are counted, and the newest state stays."""
    board = Board()
    desk = Desk(board)
    metrics = Metrics()
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    board.write("restart", **RESTART)
    board.write("restart", **RESTART | {"gen": 2})
    desk.hear(board.write("ready", component="gps", pid=9))
    assert desk.device.decoder.counts.lost == 2
    desk.run()
    counts = desk.device.decoder.counts
    assert (counts.lost, counts.filled) == (0, 2)
    gps = desk.device.model.components["gps"]
    assert (gps.state, gps.restart_count, gps.latencies) == ("ready", 2, [143, 143])
    assert desk.seqs() == [1, 2, 3, 4, 5]
    for item in desk.items:
        metrics.take(desk.device, item)
    assert sample(metrics, "koboshi_component_restarts_total", level="warm", cause="error") == 2


def test_many_missing_records_come_in_pages() -> None:
    """More than one reply holds are asked for again; what the device no longer has is asked for once."""
    board = Board()
    desk = Desk(board)
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    for _ in range(100):
        board.write("restart", **RESTART)
    desk.hear(board.write("ready", component="gps"))
    board.log[10] = "rotated away"
    desk.run()
    assert desk.device.decoder.counts.lost == 1
    assert desk.device.decoder.counts.filled == 99
    sent = len(desk.sent)
    desk.hear(board.write("ready", component="gps"))
    desk.run()
    assert len(desk.sent) == sent


def test_restarts_that_were_filled_in_do_not_count_twice() -> None:
    """A record that stands for restarts which came on request counts the others."""
    board = Board()
    desk = Desk(board)
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    board.write("restart", **RESTART)
    desk.hear(board.write("ready", component="other"))
    desk.run()
    assert desk.device.model.components["gps"].restart_count == 1
    board.warm += 1
    desk.hear(board.write("restarts", component="gps", count=2, covers="3", ready=1))
    assert desk.device.model.components["gps"].restart_count == 2


def test_device_that_rebooted_while_its_cable_was_out() -> None:
    """Its records are of another boot, though their numbers were there before; no old state is shown."""
    board = Board()
    desk = Desk(board)
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    for _ in range(20):
        desk.hear(board.write("ready", component="gps", pid=9))
    desk.run()
    desk.device.lost()
    assert desk.device.model.components["gps"].state == "unknown"
    desk.device.reopened()
    desk.board = other = Board(boot="5e6f7a8b", state="stopped")
    other.write("stopped", component="gps", by="operator")
    desk.run()
    model = desk.device.model
    assert (model.boot_id, model.components["gps"].state) == ("5e6f7a8b", "stopped")
    assert model.components["gps"].restart_count == 0
    desk.hear(other.write("ready", component="gps", pid=3))
    assert model.components["gps"].state == "ready"
    assert desk.device.decoder.counts.repeated == 0


def test_cable_back_in_the_same_boot() -> None:
    """What happened meanwhile is filled in, in order."""
    board = Board()
    desk = Desk(board)
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    desk.run()
    desk.device.lost()
    desk.device.reopened()
    board.write("restart", **RESTART)
    board.write("given-up", component="gps")
    board.state = "given-up"
    desk.run()
    model = desk.device.model
    assert (model.components["gps"].state, model.components["gps"].restart_count) == ("given-up", 1)
    assert model.given_up == 1
    assert desk.device.decoder.counts.lost == 0


def test_nobody_answers_after_the_cable_was_out() -> None:
    """Without a reply, states are unknown until records say them; a smaller number is another boot."""
    board = Board()
    desk = Desk(board)
    desk.answers = False
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    for _ in range(20):
        desk.hear(board.write("ready", component="gps", pid=9))
    desk.device.lost()
    desk.device.reopened()
    desk.run()
    assert desk.device.model.components["gps"].state == "unknown"
    other = Board(boot="5e6f7a8b")
    desk.hear(other.write("ready", component="tide", pid=3))
    assert list(desk.device.model.components) == ["tide"]
    assert desk.device.decoder.counts.repeated == 0


def test_boot_loader_is_left_alone() -> None:
    """Nothing is sent while something without records comes, nor when a boot begins on the console."""
    desk = Desk(Board())
    for count in range(60):
        desk.hear(b"\rHit any key to stop autoboot: %d" % count)
        desk.run(QUIET_S - 1)
    for text in desk.board.log:
        desk.hear(text.encode() + b"\n")
    desk.run()
    assert not desk.sent


def test_silent_device_is_not_asked_for_ever() -> None:
    """A device that nobody answers for is asked twice, and not because of gaps."""
    desk = Desk(Board())
    desk.answers = False
    desk.run()
    assert len(desk.sent) == TRIES
    for number in (5, 9, 20):
        desk.hear(records.encode(number, number, "ready", {"component": "gps"}).encode() + b"\n")
        desk.run()
    assert len(desk.sent) == TRIES
    assert not desk.device.control.done  # the operator has not asked, and is not told


def test_component_that_the_device_no_longer_has() -> None:
    """After a reload that was missed, a removed component is not shown."""
    board = Board()
    desk = Desk(board)
    for text in board.log:
        desk.hear(text.encode() + b"\n")
    desk.hear(board.write("ready", component="old"))
    desk.device.lost()
    desk.device.reopened()
    desk.run()
    assert list(desk.device.model.components) == ["gps"]
