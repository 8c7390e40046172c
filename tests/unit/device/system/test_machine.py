# SPDX-License-Identifier: MIT
"""What happens just before a reset."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from koboshi.system import machine
from koboshi.system.machine import Machine


def queued(monkeypatch: pytest.MonkeyPatch, trigger: Path, sizes: list[int]) -> None:
    """A console with so many bytes to send, at each look; no reset comes before the last look."""

    def ioctl(_fd: int, request: int, _argument: bytes) -> bytes:
        assert request == 0x5411
        assert trigger.read_bytes() == b""
        return sizes.pop(0).to_bytes(4, "little") if len(sizes) > 1 else sizes[0].to_bytes(4, "little")

    monkeypatch.setattr(fcntl, "ioctl", ioctl)


@pytest.fixture
def trigger(tmp_path: Path) -> Path:
    """What stands for /proc/sysrq-trigger."""
    path = tmp_path / "trigger"
    path.touch()
    return path


def test_a_reset_comes_after_the_last_records(monkeypatch: pytest.MonkeyPatch, trigger: Path) -> None:
    """Not while the console has something to send."""
    sizes = [300, 100, 0]
    queued(monkeypatch, trigger, sizes)
    Machine().reboot(str(trigger), 1)
    assert sizes == [0]
    assert trigger.read_bytes() == b"b"


def test_a_console_that_is_held_up_holds_up_no_reset(monkeypatch: pytest.MonkeyPatch, trigger: Path) -> None:
    """It comes although nothing is sent."""
    monkeypatch.setattr(machine, "_SEND_S", 0.05)
    queued(monkeypatch, trigger, [100])
    Machine().reboot(str(trigger), 1)
    assert trigger.read_bytes() == b"b"


def test_no_console_holds_up_no_reset(trigger: Path) -> None:
    """Nor does one that is no terminal."""
    Machine().reboot(str(trigger), -1)
    assert trigger.read_bytes() == b"b"
