# SPDX-License-Identifier: MIT
"""`koboshi manifest from-systemd UNIT...`: converts units to components and lists what is left out."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from koboshi.manifest.capabilities import CAPABILITIES
from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestRefusedError
from koboshi.manifest.rules import COLD, HANG_SIGNALS, LADDER, MAX_LISTEN, STOP_TIMEOUT_S

from koboshi_desk.manifest import units
from koboshi_desk.manifest.units import Unit, count, mebibytes, seconds, yes

# Restart= values and the closest causes for restart.on.
RESTART = {
    "no": ["request", "error"],
    "on-success": ["request", "error", "exit"],
    "on-failure": ["request", "error", "signal", "status"],
    "on-abnormal": ["request", "error", "signal"],
    "on-abort": ["request", "error", "signal"],
    "on-watchdog": ["request", "error"],
    "always": ["request", "error", "signal", "status", "exit"],
}
# These say nothing that a manifest would have to say.
WITHOUT_LOSS = re.compile(
    r"Unit\.(Description|Documentation|DefaultDependencies|Condition\w*|Assert\w*)|Install\..*|"
    r"Service\.(RemainAfterExit|KillMode|PIDFile|SyslogIdentifier|GuessMainPID)"
)
Values = dict[str, object]


class Converted:
    """One component: its keys in the manifest's order, and remarks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: Values = {}
        self.remarks: list[str] = []

    def set(self, key: str, value: object) -> None:
        """A key, unless there is nothing to say."""
        if value not in (None, "", [], {}):
            self.values[key] = value

    def toml(self) -> str:
        """Return the table, preceded by its remarks."""
        lines = [f"# {remark}" for remark in self.remarks] + [f"[component.{self.name}]"]
        return "\n".join(lines + [f"{key} = {_toml(value)}" for key, value in self.values.items()]) + "\n"


def text(found: Sequence[Unit]) -> str:
    """Return a manifest with one component per service; a socket belongs to the service of its name."""
    services = {unit.name: unit for unit in found if unit.kind == "service"}
    sockets = {_service_of(unit): unit for unit in found if unit.kind == "socket"}
    parts = ["# From systemd units. What is not carried over stands above each component.\nversion = 1\n"]
    for name, unit in services.items():
        parts.append(_component(unit, sockets.pop(name, None), {_name(other) for other in services}).toml())
    parts += [f"# {name}.socket: there is no {name}.service among the files\n" for name in sockets]
    return "\n".join(parts)


def _service_of(socket: Unit) -> str:
    return socket.last("Socket.Service").removesuffix(".service") or socket.name


def _name(unit: str) -> str:
    """Return the valid component name closest to the unit's name."""
    name = re.sub(r"[^a-z0-9-]+", "-", unit.removesuffix(".service").lower()).strip("-")
    return name[:32] or "component"


def _component(unit: Unit, socket: Unit | None, names: set[str]) -> Converted:
    made = Converted(_name(unit.name))
    _program(unit, made)
    _rights(unit, made)
    if socket is not None:
        _sockets(socket, made)
    _needs(unit, made, names)
    _readiness(unit, made)
    _restarts(unit, made)
    _hangs(made)
    left = [key for other in (unit, socket) if other is not None for key in other.settings]
    lost = [f"{key.partition('.')[2]}=" for key in left if not WITHOUT_LOSS.fullmatch(key)]
    if lost:
        made.remarks.append(f"Not carried over: {', '.join(lost)}")
    return made


def _program(unit: Unit, made: Converted) -> None:
    starts = unit.take("Service.ExecStart")
    if len(starts) != 1:
        made.remarks.append(f"ExecStart= is there {len(starts)} times; a component has one program")
    command = shlex.split(starts[0].lstrip("-@:+!|")) if starts else ["/bin/false"]
    if any("%" in word or "$" in word for word in command):
        made.remarks.append("$VARIABLES and %specifiers are not replaced: write what they stand for")
    if not command[0].startswith("/"):
        command[0] = f"/usr/bin/{command[0]}"
        made.remarks.append("ExecStart= had no absolute path: is it in /usr/bin?")
    made.set("command", command)
    pairs = [word.partition("=") for word in unit.words("Service.Environment")]
    made.set("environment", {key: value for key, equals, value in pairs if equals})
    directory = unit.last("Service.WorkingDirectory").removeprefix("-")
    made.set("directory", directory if directory.startswith("/") else None)
    kind, _colon, path = unit.last("Service.StandardOutput").partition(":")
    others = {"null": "discard", "tty": "console"}
    made.set("output", path if kind in ("file", "append", "truncate") else others.get(kind))
    unit.take("Service.StandardError")


def _rights(unit: Unit, made: Converted) -> None:
    made.set("user", unit.last("Service.User"))
    made.set("groups", unit.words("Service.SupplementaryGroups"))
    kept = unit.words("Service.AmbientCapabilities") or unit.words("Service.CapabilityBoundingSet")
    unit.take("Service.CapabilityBoundingSet")
    names = [word.lower().removeprefix("cap_") for word in kept]
    if any(name not in CAPABILITIES for name in names):
        made.remarks.append(f"Capabilities are taken by name only, not as {' '.join(kept)}")
    else:
        made.set("capabilities", names)
    made.set("no_new_privileges", yes(unit.last("Service.NoNewPrivileges")) or None)
    made.set("root", unit.last("Service.RootDirectory"))
    writable = [path.lstrip("-+") for path in unit.words("Service.ReadWritePaths")]
    if unit.last("Service.ProtectSystem") == "strict":
        made.set("access.read", ["/"])
        made.set("access.write", [*writable, "/dev", "/proc", "/run", "/tmp"])
    for key, paths in (("hide", "InaccessiblePaths"), ("read_only", "ReadOnlyPaths")):
        words = unit.words(f"Service.{paths}")
        made.set(f"mounts.{key}", [path.lstrip("-+") for path in words])
        if any(path.startswith("-") for path in words):
            made.remarks.append(f"{paths}=: what is there with a '-' has to exist here")
    made.set("mounts.private_tmp", yes(unit.last("Service.PrivateTmp")) or None)
    made.set("limits.memory_mb", mebibytes(unit.last("Service.LimitAS")))
    made.set("limits.files", count(unit.last("Service.LimitNOFILE")))
    made.set("limits.processes", count(unit.last("Service.LimitNPROC")))
    made.set("cgroup.memory_mb", mebibytes(unit.last("Service.MemoryMax")))
    made.set("cgroup.processes", count(unit.last("Service.TasksMax")))
    made.set("cgroup.cpu_percent", count(unit.last("Service.CPUQuota").removesuffix("%")))


def _sockets(socket: Unit, made: Converted) -> None:
    listen = []
    for key, network, local in (("ListenStream", "tcp", "unix"), ("ListenDatagram", "udp", "unixgram")):
        for where in socket.take(f"Socket.{key}"):
            if where.startswith("[") or where.startswith("@"):
                made.remarks.append(f"{key}={where}: no IPv6 and no abstract sockets")
            else:
                listen.append(f"{local if where.startswith('/') else network}:{where}")
    made.set("listen", listen)
    if yes(socket.last("Socket.Accept")):
        made.remarks.append(
            "Accept=yes: one process a connection is not done; the component accepts by itself"
        )


def _needs(unit: Unit, made: Converted, names: set[str]) -> None:
    wanted = [w for key in ("Requires", "Wants", "BindsTo", "Requisite") for w in unit.words(f"Unit.{key}")]
    after = unit.words("Unit.After")
    found = {_name(word) for word in [*wanted, *after] if word.endswith(".service")} & names - {made.name}
    made.set("needs", sorted(found))
    away = sorted({w for w in wanted if w.endswith(".service") and _name(w) not in names})
    if away:
        made.remarks.append(f"Needs what is not among the files: {', '.join(away)}")
    bound = [word for key in ("PartOf", "BindsTo") for word in unit.words(f"Unit.{key}")]
    fates = {_name(word): "restart" for word in bound if _name(word) in found}
    made.set("on_restart", fates)
    unit.take("Unit.Before")


def _readiness(unit: Unit, made: Converted) -> None:
    kind = unit.last("Service.Type") or "simple"
    unit.take("Service.NotifyAccess")
    limit = unit.last("Service.TimeoutStartSec") or unit.last("Service.TimeoutSec")
    if kind.startswith("notify"):
        made.set("ready", "notify")
        made.set("ready_timeout_s", seconds(limit or "90"))
    elif kind in ("forking", "dbus", "idle"):
        also = (
            ": it must stay in the foreground, for which daemons have an option" if kind == "forking" else ""
        )
        made.remarks.append(f"Type={kind} is not known{also}")
    listen = made.values.get("listen")
    most = MAX_LISTEN - (len(listen) if isinstance(listen, list) else 0)
    stored = count(unit.last("Service.FileDescriptorStoreMax")) or 0
    made.set("stored_descriptors", min(stored, most) or None)
    if stored > most:
        made.remarks.append(f"FileDescriptorStoreMax={stored}: {most} is as much as there is")
    made.set("heartbeat_s", seconds(unit.last("Service.WatchdogSec")) or None)
    if (signal := unit.last("Service.WatchdogSignal")) in HANG_SIGNALS:
        made.set("heartbeat_signal", signal)
    elif signal:
        made.remarks.append(f"WatchdogSignal={signal}: one of {', '.join(HANG_SIGNALS)}")
    made.set("stop_timeout_s", seconds(unit.last("Service.TimeoutStopSec")))


def _restarts(unit: Unit, made: Converted) -> None:
    wish = unit.last("Service.Restart") or "no"
    made.set("restart.on", RESTART.get(wish, RESTART["on-failure"]))
    if wish in ("no", "on-success", "on-watchdog"):
        made.remarks.append(f"Restart={wish}: a crash is restarted here all the same")
    delay = seconds(unit.last("Service.RestartSec"))
    made.set("cold.delay_s", delay)
    if delay is not None and delay > 8:
        made.set("cold.delay_max_s", delay)
    for section in ("Unit", "Service"):
        attempts = count(unit.last(f"{section}.StartLimitBurst"))
        interval = unit.last(f"{section}.StartLimitIntervalSec") or unit.last(f"{section}.StartLimitInterval")
        made.set("cold.attempts", attempts)
        made.set("cold.window_s", seconds(interval))


def _hangs(made: Converted) -> None:
    """Limits that would never trip are refused: a hang comes at most every two heartbeats, or later."""
    beat, attempts = made.values.get("heartbeat_s"), made.values.get("cold.attempts", COLD["attempts"][1])
    if not isinstance(beat, float):
        return
    assert isinstance(attempts, int)
    window = made.values.get("cold.window_s", COLD["window_s"][1])
    assert isinstance(window, float)
    ended = 2 * beat
    if "heartbeat_signal" in made.values:
        stop = made.values.get("stop_timeout_s", STOP_TIMEOUT_S)
        assert isinstance(stop, float)
        ended += stop
    if attempts and ended >= window / attempts:
        made.set("cold.window_s", 2 * ended * attempts)
        made.remarks.append(
            f"cold.window_s is {2 * ended * attempts:g}: else {attempts} hangs were never too many"
        )
    if ended >= LADDER["good_run_s"][1]:
        made.set("ladder.good_run_s", 2 * ended)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def run(paths: Sequence[Path]) -> int:
    """Print the manifest; if the device would reject it, print why to standard error and return 1."""
    made = text([units.read(path) for path in paths])
    print(made, end="")
    try:
        parse(made, "the manifest")
    except ManifestRefusedError as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0
