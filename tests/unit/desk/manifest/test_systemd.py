# SPDX-License-Identifier: MIT
"""systemd's units as components, and what is said of the rest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from koboshi.manifest.check import parse

from koboshi_desk.manifest import systemd as manifest_systemd
from koboshi_desk.manifest import units
from koboshi_desk.manifest.units import UnitError
from workbench.core.repository import REPOSITORY

FILES = [
    REPOSITORY / "tests/data/units" / name for name in ("broker.service", "broker.socket", "store.service")
]


def unit(name: str, text: str) -> units.Unit:
    """A unit of this text."""
    stem, _, kind = name.partition(".")
    return units.parse(text, stem, kind, name)


def converted(*found: units.Unit) -> dict[str, dict[str, Any]]:
    """The components, as a device would read them; what it would refuse is an error."""
    made = manifest_systemd.text(found)
    parse(made, "x")
    components: dict[str, dict[str, Any]] = tomllib.loads(made)["component"]
    return components


def test_what_is_carried_over() -> None:
    """Program, rights, limits, readiness, heartbeat, needs and sockets are the manifest's."""
    made = converted(*map(units.read, FILES))
    assert made["broker"] == {
        "command": ["/usr/sbin/broker", "-c", "/etc/my broker.conf", "--verbose"],
        "environment": {"A": "1 2", "B": "3"},
        "user": "broker",
        "groups": ["dialout"],
        "capabilities": ["net_bind_service"],
        "no_new_privileges": True,
        "access": {"read": ["/"], "write": ["/var/lib/broker", "/dev", "/proc", "/run", "/tmp"]},
        "mounts": {"read_only": ["/etc/ssl", "/usr/share"], "private_tmp": True},
        "limits": {"memory_mb": 64, "files": 1024},
        "cgroup": {"memory_mb": 1024, "cpu_percent": 50},
        "listen": ["tcp:1883", "unix:/run/broker.sock", "udp:127.0.0.1:99"],
        "needs": ["store"],
        "on_restart": {"store": "restart"},
        "ready": "notify",
        "ready_timeout_s": 90,
        "stored_descriptors": 13,
        "heartbeat_s": 20,
        "stop_timeout_s": 10,
        "restart": {"on": ["request", "error", "signal", "status"]},
        "cold": {"delay_s": 0.5, "window_s": 400},
    }
    assert made["store"]["cold"] == {"attempts": 3, "window_s": 3600}
    assert made["store"]["restart"] == {"on": ["request", "error", "signal", "status", "exit"]}


def test_what_is_not() -> None:
    """Every setting that has no counterpart is named above its component, and nothing else is."""
    made = manifest_systemd.text([units.read(file) for file in FILES])
    remarks = [line.removeprefix("# ") for line in made.splitlines() if line.startswith("# ")][1:]
    assert remarks == [
        "ReadOnlyPaths=: what is there with a '-' has to exist here",
        "ListenStream=[::]:5: no IPv6 and no abstract sockets",
        "Needs what is not among the files: other.service",
        "FileDescriptorStoreMax=40: 13 is as much as there is",
        "cold.window_s is 400: else 5 hangs were never too many",
        "Not carried over: ExecReload=, KillSignal=",
        "$VARIABLES and %specifiers are not replaced: write what they stand for",
        "ExecStart= had no absolute path: is it in /usr/bin?",
        "Type=forking is not known: it must stay in the foreground, for which daemons have an option",
    ]


def test_the_signal_of_the_watchdog() -> None:
    """It is carried over, and the limits still trip with the time that it takes."""
    text = "[Service]\nExecStart=/a\nWatchdogSec=20\nTimeoutStopSec=90\nWatchdogSignal="
    made = converted(unit("a.service", text + "SIGABRT\n"))["a"]
    assert (made["heartbeat_signal"], made["cold"]["window_s"]) == ("SIGABRT", 1300)
    assert "heartbeat_signal" not in converted(unit("a.service", text + "SIGKILL\n"))["a"]


def test_an_empty_value_forgets() -> None:
    """As in a drop-in, an empty value takes back what stood before it."""
    made = converted(unit("a.service", "[Service]\nExecStart=/a\nExecStart=\nExecStart=/b\n"))
    assert made["a"]["command"] == ["/b"]


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5.0), ("1min 30s", 90.0), ("100ms", 0.1), ("2h", 7200.0), ("infinity", None)]
)
def test_times(text: str, value: float | None) -> None:
    """Spans are seconds, or none."""
    assert units.seconds(text) == value


def test_what_is_no_unit(tmp_path: Path) -> None:
    """An invalid unit file is rejected with the number of the line."""
    with pytest.raises(UnitError, match="x:2"):
        units.parse("[Service]\nhello\n", "x", "service", "x")
    with pytest.raises(UnitError, match="timer"):
        units.read(tmp_path / "x.timer")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files in, a manifest out; what the device would refuse is told, and is status 1."""
    assert manifest_systemd.run(FILES[2:]) == 0
    assert "[component.store]" in capsys.readouterr().out
    (tmp_path / "bad.service").write_text("[Service]\nExecStart=/a\nUser=%i\n")
    assert manifest_systemd.run([tmp_path / "bad.service"]) == 1
    assert "user" in capsys.readouterr().err
