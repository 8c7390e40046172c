# SPDX-License-Identifier: MIT
"""systemd's units as components, and what is said of the rest."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestRefusedError

from koboshi_desk.manifest import from_unit, unit_words, units
from koboshi_desk.manifest import systemd as manifest_systemd
from koboshi_desk.manifest.units import UnitError
from workbench.core.repository import REPOSITORY

SOURCE = Path(from_unit.__file__).read_text()
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
    """Every setting that has no counterpart is named above its component."""
    made = manifest_systemd.text([units.read(file) for file in FILES])
    remarks = [line.removeprefix("# ") for line in made.splitlines() if line.startswith("# ")][1:]
    assert remarks == [
        "A message broker",
        "ReadOnlyPaths=: what is there with a '-' has to exist here",
        "LimitNOFILE=1024:4096 is not carried over: 1024 is the hard limit too",
        "ListenStream=[::]:5: no IPv6 and no abstract sockets",
        "Needs what is not among the files: network.target, other.service",
        "FileDescriptorStoreMax=40: 13 is as much as there is",
        "cold.window_s is 400: else 5 hangs were never too many",
        "Not carried over: ExecReload=, KillSignal=, WantedBy=",
        "ExecStart=- is not carried over: a failure counts",
        "ExecStart= had no absolute path: is it in /usr/bin?",
        "$VARIABLES and %specifiers are not replaced: write what they stand for",
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
    assert unit_words.seconds(text) == value


def test_what_is_no_unit(tmp_path: Path) -> None:
    """What is not a unit's file is rejected; a line that systemd ignores is named with its number."""
    found = units.parse("A=1\n[Service]\nhello\n=2\nExecStart=/a\n[Torn\n", "x", "service", "x")
    assert [remark.split(" ")[0] for remark in found.remarks] == ["x:1", "x:3", "x:4", "x:6"]
    assert found.settings == {"Service.ExecStart": ["/a"]}
    with pytest.raises(UnitError, match="timer"):
        units.read(tmp_path / "x.timer")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files in, a manifest out; what the device would refuse is told, and is status 1."""
    assert manifest_systemd.run(FILES[2:]) == 0
    assert "[component.store]" in capsys.readouterr().out
    (tmp_path / "bad.service").write_text("[Service]\nExecStart=/a\nUser=%i\n")
    assert manifest_systemd.run([tmp_path / "bad.service"]) == 1
    assert "user" in capsys.readouterr().err


def command(text: str) -> list[str]:
    """The program of a unit with these lines."""
    found: list[str] = converted(unit("a.service", f"[Service]\n{text}"))["a"]["command"]
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# old: \\\nExecStart=/a 1\n", ["/a", "1"]),
        ("ExecStart=/a \\\n  --one \\\n# remark\n; another \\\n  --two\n", ["/a", "--one", "--two"]),
        ("ExecStart=/a \\\n\nUser=u\n", ["/a"]),
        ("ExecStart=/a 1 \\", ["/a", "1"]),
        ("ExecStart=/a \\\r\n 1\r\n", ["/a", "1"]),
        ("ExecStart=/a x\\\\\nUser=u\n", ["/a", "x\\"]),
        ("ExecStart=/a \\x41\\x20b \\073 \\u00e9 \\U0001F600 \\s\\t\n", ["/a", "A b", ";", "é", "😀", " \t"]),
        ("ExecStart=/a \\xc3\\xa9 \\q \\x00 \\ud800\n", ["/a", "é", "\\q", "\\x00", "\\ud800"]),
        ('ExecStart=/a \'b "c\' "d \'e" f"g h"\n', ["/a", 'b "c', "d 'e", "fg h"]),
        ("ExecStart=/a b;c \\; ';'\n", ["/a", "b;c", ";", ";"]),
        ("ExecStart=@/a name b\n", ["/a", "b"]),
        ("ExecStart=/a 50%% $$HOME\n", ["/a", "50%", "$HOME"]),
        ("ExecStart=/a\x0b\u2028b\n", ["/a\x0b\u2028b"]),
        ("\n  [Service]\n ExecStart = /a  \n", ["/a"]),
    ],
)
def test_lines_are_read_as_systemd_reads_them(text: str, words: list[str]) -> None:
    """Comments, continuations, quotes and escapes (systemd.syntax(7), systemd.service(5))."""
    assert command(text) == words


def test_second_program_is_named() -> None:
    """A `;` that is a word of its own begins another program, which a component has not."""
    made = manifest_systemd.text([unit("a.service", "[Service]\nExecStart=/a 1 ; /b 2\n")])
    assert 'command = ["/a", "1"]' in made
    assert "# ExecStart= has 2 programs" in made
    assert "# ExecStart=/b 2 is not carried over" in made


@pytest.mark.parametrize(
    "line",
    [
        *(
            "TimeoutStartSec=infinity",
            "TimeoutStopSec=infinity",
            "MemoryMax=50%",
            "TasksMax=80%",
            "KillMode=process",
        ),
        *("CPUQuota=much", "LimitNOFILE=infinity", "LimitNOFILE=1:2", "LimitAS=50%", "RestartSec=infinity"),
        *("WatchdogSec=often", "StartLimitIntervalSec=infinity", "StartLimitBurst=x", "Restart=maybe"),
        *("WorkingDirectory=~", "ReadWritePaths=/x", "ProtectSystem=full", "PrivateTmp=disconnected"),
        *("StandardOutput=journal", "StandardError=null", "Environment=A", 'Environment="A=1', "Type=dbus"),
        *("ExecStartPre=/x", "RemainAfterExit=yes", "PIDFile=/x", "SyslogIdentifier=x", "LimitNPROC=5:6"),
        *("FileDescriptorStoreMax=x", "NotifyAccess=none", "InaccessiblePaths=-/x", "ReadOnlyPaths=+/x"),
        *("TasksMax=99999999999999", "TimeoutStopSec=99999999999d", "CapabilityBoundingSet=~CAP_KILL"),
    ],
)
def test_value_without_a_counterpart_is_named(line: str) -> None:
    """The setting is named above the component, and the device takes the rest."""
    made = manifest_systemd.text([unit("a.service", f"[Service]\nType=notify\nExecStart=/a\n{line}\n")])
    parse(made, "x")
    remarks = "".join(text for text in made.splitlines(keepends=True) if text.startswith("#"))
    named = {
        "TasksMax": "cgroup.processes",
        "TimeoutStopSec": "stop_timeout_s",
        "CapabilityBoundingSet": "CAP_",
    }
    key = line.partition("=")[0]
    assert f"{key}=" in remarks or named.get(key, "?") in remarks


def test_no_limit_of_starts() -> None:
    """An interval of 0 switches systemd's limit off, whatever the burst is, and so does 0 attempts."""
    text = "[Unit]\nStartLimitIntervalSec=0\nStartLimitBurst=3\n[Service]\nExecStart=/a\nWatchdogSec=30\n"
    made = converted(unit("a.service", text))["a"]
    assert made["cold"] == {"attempts": 0}


def test_units_of_one_name() -> None:
    """Names that become the same are told apart; two files of one name are refused."""
    text = "[Service]\nExecStart=/a\n"
    made = converted(unit("a_b.service", text), unit("a-b.service", text + "[Unit]\nRequires=a_b.service\n"))
    assert made["a-b-2"]["needs"] == ["a-b"]
    with pytest.raises(UnitError, match=r"a\.service: there are two files"):
        manifest_systemd.text([unit("a.service", text), unit("a.service", text)])


def test_lost_user_is_no_remark() -> None:
    """Without its user a component would run as root: that is refused, not left out."""
    made = manifest_systemd.text([unit("a.service", "[Service]\nExecStart=/a\nUser=no such\n")])
    with pytest.raises(ManifestRefusedError, match="user"):
        parse(made, "x")


def test_drop_ins_are_named(tmp_path: Path) -> None:
    """A folder of drop-ins beside a unit is not read, and that is said."""
    (tmp_path / "a.service").write_bytes(b"\xef\xbb\xbf[Service]\nExecStart=/a\nUser=\xff\n")
    (tmp_path / "a.service.d").mkdir()
    made = manifest_systemd.text([units.read(tmp_path / "a.service")])
    assert f"# {tmp_path}/a.service.d is not read" in made
    assert f"# {tmp_path}/a.service:3 is ignored, as by systemd: it is not UTF-8" in made
    assert "user" not in made


SERVICE_KEYS = sorted(set(re.findall(r'"Service\.(\w+)"|_(?:paths|switch)\(.*"(\w+)"\)', SOURCE)))
KEYS = [f"Service.{first or second}" for first, second in SERVICE_KEYS] + [
    *(
        "Service.LimitAS",
        "Service.LimitCORE",
        "Service.LimitNOFILE",
        "Service.LimitNPROC",
        "Service.KillMode",
    ),
    *("Unit.Requires", "Unit.After", "Unit.PartOf", "Unit.BindsTo", "Unit.Before", "Install.WantedBy"),
    *(
        "Unit.StartLimitBurst",
        "Unit.StartLimitIntervalSec",
        "Service.StartLimitInterval",
        "Unit.ConditionUser",
    ),
    *("Service.StandardOutput", "Service.StandardError", "X-Own.Key"),
]
VALUES = st.one_of(
    st.sampled_from(
        [
            "infinity",
            "50%",
            "0",
            "7",
            "5min",
            "1G",
            "yes",
            "no",
            "-/x",
            "/x y",
            "~",
            "a b",
            "notify",
            "always",
        ]
    ),
    st.sampled_from(
        ["\\", '"a', "\\x41", "a ; b", "%i", "$X", "b.service", "CAP_KILL", "1:2", "strict", "null"]
    ),
    st.text(max_size=12),
)
# These say the same as nothing: what they switch off is off, what they choose is so in any case.
NEUTRAL = re.compile(
    r"Restart=no|(NoNewPrivileges|PrivateTmp|ProtectSystem)=(0|n|no|f|false|off)|Type=(simple|exec|oneshot)|"
    r"StandardError=inherit|WatchdogSec=[0 ]+\w*|NotifyAccess=(main|exec|all)|FileDescriptorStoreMax=0+|.*=",
    re.IGNORECASE,
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=6), st.text(max_size=20))
def test_anything_becomes_a_manifest(lines: list[tuple[str, str]], junk: str) -> None:
    """Whatever a unit holds, there is a TOML file and no traceback."""
    text = "".join("[{}]\n{}={}\n".format(*key.split("."), value) for key, value in lines)
    made = manifest_systemd.text([unit("a.service", f"{junk}\n{text}[Service]\nExecStart=/a\n")])
    assert "a" in tomllib.loads(made)["component"]


@settings(deadline=None)
@given(st.sampled_from(KEYS), VALUES)
def test_no_line_is_lost_silently(place: str, value: str) -> None:
    """A line changes the component, or its setting is named, or it says the same as nothing."""
    section, key = place.split(".")
    assume(not re.search(r"[\n\r\0]", value) and not value.endswith("\\"))
    before = "[Service]\nExecStart=/a\n"
    line = f"{key}={value.strip(units.WHITESPACE)}"
    made = manifest_systemd.text([unit("a.service", f"{before}[{section}]\n{line}\n")])
    without = manifest_systemd.text([unit("a.service", before)])
    assume(not NEUTRAL.fullmatch(line))
    changed = tomllib.loads(made) != tomllib.loads(without)
    new = [text for text in made.splitlines() if text.startswith("#") and text not in without]
    assert changed or new, made
