# SPDX-License-Identifier: MIT
"""The desk: several devices, its keys, and terminals of every kind."""

from __future__ import annotations

import io
import os
import pty
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire import records
from rich.console import Console as Terminal
from rich.live import Live

from koboshi_desk.core.keys import Keys, names
from koboshi_desk.device.observed import Clock, Device
from koboshi_desk.watch.desk import Desk
from koboshi_desk.watch.screen import HELP, Screen, shares
from tests.unit.desk.device.test_model import BACK, BOOT, READY, RESTART


def device(name: str = "/dev/ttyUSB0") -> Device:
    """A device with one restarted component, a kernel line and a line of the shell's."""
    made = Device(name, live=False)
    events = enumerate([*BOOT, READY, RESTART, BACK], 1)
    lines = [records.encode(seq, seq / 10, event, keys) for seq, (event, keys) in events]
    text = "\n".join([*lines, "[    9.000000] usb 1-1: new device", "koboshi# ls", ""])
    made.take(text.encode())
    return made


def shown(desk: Desk, width: int = 120, height: int = 30, **options) -> str:
    """The desk as text."""
    terminal = Terminal(file=io.StringIO(), record=True, width=width, height=height, **options)
    terminal.print(Screen(desk), height=height)
    return terminal.export_text()


def press(desk: Desk, *keys: str) -> str:
    """The desk after some keys."""
    for key in keys:
        desk.key(key)
    return shown(desk)


def test_devices_are_shown_together() -> None:
    """Two devices have a table each, and the log's lines say whose they are."""
    text = shown(Desk([device("left"), device("right")]))
    assert text.count("gps") > 4
    assert [line for line in text.splitlines() if line.startswith("left ") and "restart" in line]
    assert [line for line in text.splitlines() if line.startswith("right ") and "restart" in line]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("height", [10, 24, 50])
def test_every_size_fits(width: int, height: int) -> None:
    """No line is wider than the terminal, and a screen is not longer than it."""
    lines = shown(Desk([device()]), width, height).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    assert any("gps" in line for line in lines)


def many(count: int, name: str = "x") -> Device:
    """A device with so many components."""
    made = Device(name, live=False)
    keys = [{"component": f"c{at:02}", "pid": at + 1} for at in range(count)]
    lines = [records.encode(seq, seq / 10, "ready", dict(key)) for seq, key in enumerate(keys, 1)]
    made.take("\n".join([*lines, ""]).encode())
    return made


@pytest.mark.parametrize("height", [10, 14, 24])
@pytest.mark.parametrize("devices", [1, 3, 9])
def test_what_is_selected_stays_in_sight(height: int, devices: int) -> None:
    """However many components and devices there are, the marked row, its device and the keys are shown."""
    desk = Desk([many(15, f"device{at}") for at in range(devices)])
    for at in range(15 * devices):
        desk.key("down")
        if at % 4 and at < 15 * devices - 1:
            continue  # not each one: a picture takes its time
        text = shown(desk, 80, height)
        assert len(text.splitlines()) <= height
        assert f"c{at % 15:02}  " in text
        assert f"device{at // 15}" in text
        assert "q quit" in "".join(text.splitlines()[-max(1, height // 4) :])


def test_confirmation_is_seen_on_a_small_terminal() -> None:
    """On 40 by 10 a question is not below the terminal's end."""
    made = many(15)
    made.live = True
    desk = Desk([made])
    desk.key("down")
    desk.key("s")
    assert "y or n" in shown(desk, 40, 10).splitlines()[-1]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=9), st.integers(0, 60))
def test_shares(wanted: list[int], room: int) -> None:
    """Nobody gets more than is wanted, or nothing, and no room is left unused."""
    given_out = shares(wanted, room)
    assert all(min(1, want) <= got <= want for got, want in zip(given_out, wanted, strict=True))
    least = sum(min(1, want) for want in wanted)
    assert sum(given_out) == max(least, min(sum(wanted), room))


def test_filter_shows_only_the_selected() -> None:
    """f leaves the lines about the selected component, and again all of them."""
    desk = Desk([device()])
    assert "supervisor pid=60" in " ".join(press(desk).split())
    only = press(desk, "down", "f")
    assert "of gps" in only
    assert "start=1" not in only
    assert "latency_us=143" in only
    assert "start=1" in press(desk, "f")


def test_filter_needs_a_selection() -> None:
    """f without a component selected filters nothing."""
    assert "of gps" not in press(Desk([device()]), "f")


def test_search() -> None:
    """/ takes words as they are typed, with backspace; escape forgets them."""
    desk = Desk([device()])
    text = press(desk, "/", *"sigsegx", "backspace", "v", "enter")
    assert "latency_us=143" in text
    assert "declared" not in text
    assert "declared" in press(desk, "escape")


def test_log_may_show_everything() -> None:
    """l adds the kernel's lines, then what the shell printed, and comes back to the records."""
    desk = Desk([device()])
    assert "usb 1-1" not in shown(desk)
    assert "usb 1-1" in press(desk, "l")
    assert "koboshi# ls" in press(desk, "l")
    assert "usb 1-1" not in press(desk, "l")


def test_selection_goes_around() -> None:
    """Down and up go through all components of all devices, and around."""
    desk = Desk([device("a"), device("b")])
    desk.key("down")
    assert desk.selected() == (desk.devices[0], "gps")
    desk.key("j")
    assert desk.selected() == (desk.devices[1], "gps")
    desk.key("down")
    assert desk.selected() == (desk.devices[0], "gps")
    desk.key("up")
    assert desk.selected() == (desk.devices[1], "gps")


def test_time_is_zoomed_within_bounds() -> None:
    """+ and - change the span of the timeline, and stop at the ends."""
    desk = Desk([device()])
    assert "last 10 min" in press(desk, "+")
    assert "last 60 min" in press(desk, *"+++++")
    assert "last 30 s" in press(desk, *"---------")


def test_quit() -> None:
    """q quits, but not while it is a letter of a search."""
    desk = Desk([device()])
    press(desk, "/", "q", "enter")
    assert not desk.quit
    press(desk, "q")
    assert desk.quit


def test_unknown_keys_do_nothing() -> None:
    """Any other key changes nothing."""
    desk = Desk([device()])
    assert shown(desk) == press(desk, "x", "é", "tab")


def test_ascii_terminal_gets_ascii() -> None:
    """Where the terminal has no Unicode, the frame and the timeline have none."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    terminal = Terminal(file=stream, width=120, height=30)
    terminal.print(Screen(Desk([device()])))
    stream.flush()
    text = stream.buffer.getvalue().decode()
    assert "?" not in text.split("records")[0].replace("linux ?", "")
    assert "x" in text


def test_names_of_keys() -> None:
    """Arrows have names, unknown escape sequences are nothing, a lone escape is one."""
    assert names("a\x1b[A\x1b[5~\x1bOBq") == ["a", "up", "down", "q"]
    assert names("\x1b[200") == []
    assert names("\x1b") == ["escape"]
    assert names("\x7f\r\t") == ["backspace", "enter", "tab"]


def test_keys_come_without_enter_and_the_terminal_is_given_back() -> None:
    """Inside, one key is enough; afterwards the terminal is as it was."""
    import select
    import termios

    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with Keys(slave) as keys:
        assert keys.pressed() == []
        os.write(master, b"q")
        assert select.select([slave], [], [], 10)[0]
        assert keys.pressed() == ["q"]
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_no_terminal_has_no_keys(tmp_path) -> None:
    """With something else as standard input no key ever comes."""
    with (tmp_path / "empty").open("w+") as file, Keys(file.fileno()) as keys:
        assert keys.pressed() == []


def test_clock_runs_on_between_records() -> None:
    """The device's time goes on with the host's, never back, and a recorded console has none."""
    host = [1000.0]
    clock = Clock(lambda: host[0])
    made = Device("x", clock=clock)
    made.take((records.encode(1, 5.0, "supervisor", {"pid": 1}) + "\n").encode())
    host[0] = 1003.0
    assert clock.now() == 8.0
    made.take((records.encode(2, 9.0, "supervisor", {"pid": 1}) + "\n").encode())
    assert clock.now() == 9.0  # it had been on its way for less long
    assert device().clock.now() is None


def frame(desk: Desk, width: int, height: int) -> list[str]:
    """The lines that rich's Live puts on a terminal of this size, as `koboshi watch` uses it."""
    out = io.StringIO()
    terminal = Terminal(file=out, width=width, height=height, force_terminal=True, color_system=None)
    with Live(Screen(desk), console=terminal, auto_refresh=False, screen=True) as live:
        live.refresh()
        drawn = out.getvalue()
    return re.sub(r"\x1b\[[0-?]*[@-~]", "", drawn.rpartition("\x1b[H")[2]).splitlines()


@pytest.mark.parametrize("height", [4, 6, 10, 16, 24, 25, 39, 40, 60])
@pytest.mark.parametrize("width", [20, 40, 80, 132])
def test_live_view_fits_the_terminal(width: int, height: int) -> None:
    """Through Live, the table, the newest record and the keys are on the screen, and no line is cut off."""
    lines = frame(Desk([many(6)]), width, height)
    assert len(lines) == height
    assert "q quit" in " ".join(lines)
    if height >= 16:
        assert "0.600" in " ".join(lines)  # the newest record
        assert any("c05" in line for line in lines)
    if height >= 24 and width >= 40:
        keys = " ".join(lines)
        assert all(word in keys for word in (*HELP[2:], "q quit", "select"))


@given(st.integers(1, 60), st.integers(10, 140), st.integers(1, 4), st.integers(0, 20))
def test_any_live_view_has_the_last_line(height: int, width: int, devices: int, components: int) -> None:
    """Whatever the terminal and the devices are, what is asked of the operator is on the screen."""
    desk = Desk([many(components, f"d{at}") for at in range(devices)], note="stop?")
    lines = frame(desk, width, height)
    assert "stop?" in lines[-1] or "stop?" in "".join(lines)
