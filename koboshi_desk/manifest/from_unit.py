# SPDX-License-Identifier: MIT
"""What the settings of a systemd unit become in a manifest. What is not carried over is a remark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from koboshi.manifest.capabilities import CAPABILITIES
from koboshi.manifest.rules import COLD, HANG_SIGNALS, LADDER, MAX_LISTEN, STOP_TIMEOUT_S

from koboshi_desk.manifest.converted import Converted
from koboshi_desk.manifest.unit_words import boolean, count, mebibytes, percent, seconds
from koboshi_desk.manifest.units import Unit

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
PREFIXES = {
    "-": "a failure counts",
    "@": "the program's own name is its path",
    ":": "variables are never replaced",
    "+": "give it the user root, if it needs it",
    "!": "give it what it needs in capabilities",
    "|": "there is no shell",
}
_SPECIFIER = re.compile(r"%[A-Za-z]")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


def component(unit: Unit, sockets: Sequence[Unit], names: Mapping[str, str]) -> Converted:
    """The component of a service with its sockets. `names` has the component's name for each service."""
    title = ". ".join([unit.last("Unit.Description"), *unit.take("Unit.Documentation")])
    made = Converted(names[unit.name], title.strip(". "))
    _program(unit, made)
    _surroundings(unit, made)
    _rights(unit, made)
    _mounts(unit, made)
    _limits(unit, made)
    for socket in sockets:
        _listen(socket, made)
    _needs(unit, made, names)
    _readiness(unit, made)
    _heartbeat(unit, made)
    _restarts(unit, made)
    _hangs(made)
    for other in (unit, *sockets):
        made.remarks += other.remarks
    _specifiers(made)
    left = [_shown(key, values) for other in (unit, *sockets) for key, values in other.settings.items()]
    if left:
        made.say(f"Not carried over: {', '.join(left)}")
    return made


def _shown(key: str, values: Sequence[str]) -> str:
    section, _, name = key.rpartition(".")
    where = "" if section in ("Unit", "Service", "Socket", "Install") else f"[{section}] "
    return f"{where}{name}=" + (f" ({len(values)} lines)" if len(values) > 1 else "")


def _program(unit: Unit, made: Converted) -> None:
    commands = [words for value in unit.take("Service.ExecStart") for words in _commands(unit, value)]
    if len(commands) != 1:
        made.say(f"ExecStart= has {len(commands)} programs; a component has one")
    for more in commands[1:]:
        made.lost("ExecStart", " ".join(more))
    command = list(commands[0]) if commands else ["/bin/false"]
    program = command[0].lstrip("-@:+!|")
    prefixes = command[0][: len(command[0]) - len(program)]
    for prefix in dict.fromkeys(prefixes):
        made.lost("ExecStart", prefix, PREFIXES[prefix])
    if "@" in prefixes:
        del command[1:2]
    if not program.startswith("/"):
        program = f"/usr/bin/{program}"
        made.say("ExecStart= had no absolute path: is it in /usr/bin?")
    made.set("command", [program, *(word.replace("$$", "$") for word in command[1:])])
    if any(_VARIABLE.search(word.replace("$$", "")) for word in command[1:]) and ":" not in prefixes:
        made.say("$VARIABLES and %specifiers are not replaced: write what they stand for")


def _commands(unit: Unit, value: str) -> list[list[str]]:
    """Split ExecStart= at each `;` that is a word of its own; an escaped one is an argument."""
    commands: list[list[str]] = [[]]
    for raw, word in unit.split("Service.ExecStart", value):
        if raw == ";":
            commands.append([])
        else:
            commands[-1].append(";" if raw == "\\;" else word)
    return [words for words in commands if words]


def _surroundings(unit: Unit, made: Converted) -> None:
    environment = {}
    for word in unit.words("Service.Environment"):
        name, equals, value = word.partition("=")
        if equals:
            environment[name] = value
        else:
            made.lost("Environment", word, "it is not NAME=VALUE")
    made.set("environment", environment)
    directory = unit.last("Service.WorkingDirectory")
    if directory.startswith("-"):
        made.lost("WorkingDirectory", directory, "the '-' has no counterpart, so the folder must exist")
    made.carry("directory", "WorkingDirectory", directory.removeprefix("-"), _path)
    for name in ("StandardOutput", "StandardError"):
        kind, _colon, path = (target := unit.last(f"Service.{name}")).partition(":")
        others = {"null": "discard", "tty": "console"}
        found = path if kind in ("file", "append", "truncate") else others.get(kind, "")
        if not found or (name == "StandardError" and found != made.values.get("output")):
            if target and (name, target) != ("StandardError", "inherit"):
                made.lost(name, target, "output and errors go to one place, by default the component's file")
            continue
        made.set("output", found)


def _path(text: str) -> str | None:
    return text if text.startswith("/") else None


def _rights(unit: Unit, made: Converted) -> None:
    made.set("user", unit.last("Service.User"))
    made.set("groups", list(dict.fromkeys(unit.words("Service.SupplementaryGroups"))))
    ambient = unit.words("Service.AmbientCapabilities")
    bounding = unit.words("Service.CapabilityBoundingSet")
    names = list(dict.fromkeys(word.lower().removeprefix("cap_") for word in ambient or bounding))
    if any(name not in CAPABILITIES for name in names):
        name = "AmbientCapabilities" if ambient else "CapabilityBoundingSet"
        made.lost(name, " ".join(ambient or bounding), "capabilities are taken by name only")
    else:
        made.set("capabilities", names)
    if ambient and bounding and set(ambient) != set(bounding):
        made.lost("CapabilityBoundingSet", " ".join(bounding), "it is the same set as AmbientCapabilities=")
    _switch(unit, made, "no_new_privileges", "NoNewPrivileges")
    made.set("root", unit.last("Service.RootDirectory"))


def _switch(unit: Unit, made: Converted, key: str, name: str) -> None:
    if text := unit.last(f"Service.{name}"):
        value = boolean(text)
        if value is None:
            made.lost(name, text)
        made.set(key, value or None)


def _mounts(unit: Unit, made: Converted) -> None:
    writable = _paths(unit, made, "ReadWritePaths")
    protected = unit.last("Service.ProtectSystem")
    if protected == "strict":
        made.set("access.read", ["/"])
        made.set("access.write", [*writable, "/dev", "/proc", "/run", "/tmp"])
    else:
        if protected and boolean(protected) is not False:
            made.lost("ProtectSystem", protected, "use mounts.read_only")
        if writable:
            made.lost("ReadWritePaths", " ".join(writable), "everything is writable without strict")
    made.set("mounts.hide", _paths(unit, made, "InaccessiblePaths"))
    made.set("mounts.read_only", _paths(unit, made, "ReadOnlyPaths"))
    _switch(unit, made, "mounts.private_tmp", "PrivateTmp")


def _paths(unit: Unit, made: Converted, name: str) -> list[str]:
    words = unit.words(f"Service.{name}")
    if any(word.lstrip("+").startswith("-") for word in words):
        made.say(f"{name}=: what is there with a '-' has to exist here")
    if any(word.lstrip("-").startswith("+") for word in words):
        made.lost(name, "+", "paths begin at the device's root")
    return [word.lstrip("-+") for word in words]


def _limits(unit: Unit, made: Converted) -> None:
    for key, name, read in (
        ("limits.memory_mb", "LimitAS", mebibytes),
        ("limits.core_mb", "LimitCORE", lambda text: 0 if text == "0" else mebibytes(text)),
        ("limits.files", "LimitNOFILE", count),
        ("limits.processes", "LimitNPROC", count),
    ):
        soft, _colon, hard = (text := unit.last(f"Service.{name}")).partition(":")
        if hard and hard != soft:
            made.lost(name, text, f"{soft} is the hard limit too")
        made.carry(key, name, soft or text, read)
    made.carry("cgroup.memory_mb", "MemoryMax", unit.last("Service.MemoryMax"), mebibytes)
    made.carry("cgroup.processes", "TasksMax", unit.last("Service.TasksMax"), count)
    made.carry("cgroup.cpu_percent", "CPUQuota", unit.last("Service.CPUQuota"), percent)


def _listen(socket: Unit, made: Converted) -> None:
    before = made.values.get("listen")
    listen = list(before) if isinstance(before, list) else []
    for key, network, local in (("ListenStream", "tcp", "unix"), ("ListenDatagram", "udp", "unixgram")):
        for where in socket.take(f"Socket.{key}"):
            if where.startswith("/"):
                listen.append(f"{local}:{where}")
            elif re.fullmatch(r"([0-9]{1,3}(\.[0-9]{1,3}){3}:)?[1-9][0-9]{0,4}", where):
                listen.append(f"{network}:{where}")
            else:
                made.say(f"{key}={where}: no IPv6 and no abstract sockets")
    for where in listen[MAX_LISTEN:]:
        made.lost("Listen", where, f"{MAX_LISTEN} sockets are as many as there are")
    made.set("listen", listen[:MAX_LISTEN])
    accept = socket.last("Socket.Accept")
    if accept and boolean(accept) is not False:
        made.say(f"Accept={accept}: one process a connection is not done; the component accepts by itself")


def _needs(unit: Unit, made: Converted, names: Mapping[str, str]) -> None:
    relations = {
        # Escapes stay, as in the names of files.
        key: [word for value in unit.take(f"Unit.{key}") for word in re.split(r"[ \t]+", value)]
        for key in ("Requires", "Wants", "BindsTo", "Requisite", "After", "PartOf")
    }
    here = {f"{name}.service": component for name, component in names.items() if component != made.name}
    after, parts = relations.pop("After"), relations.pop("PartOf")
    wanted = [word for words in relations.values() for word in words]
    found = {here[word] for word in [*wanted, *after] if word in here}
    made.set("needs", sorted(found))
    for words, remark in (
        (wanted, "Needs what is not among the files"),
        ([word for word in after if word not in wanted], "Starts after what is not among the files"),
        ([word for word in parts if here.get(word) not in found], "Is part of what it does not need"),
    ):
        if away := sorted({word for word in words if here.get(word) not in found}):
            made.say(f"{remark}: {', '.join(away)}")
    bound = [here[word] for word in [*parts, *relations["BindsTo"]] if here.get(word) in found]
    made.set("on_restart", dict.fromkeys(bound, "restart"))


def _readiness(unit: Unit, made: Converted) -> None:
    kind = unit.last("Service.Type") or "simple"
    both = unit.last("Service.TimeoutSec")
    limit = unit.last("Service.TimeoutStartSec") or both
    if kind == "notify":
        made.set("ready", "notify")
        made.carry("ready_timeout_s", "TimeoutStartSec", limit or "90", seconds)
    elif limit:
        made.lost("TimeoutStartSec", limit, "it begins to count with ready")
    if kind == "forking":
        made.say(
            "Type=forking is not known: it must stay in the foreground, for which daemons have an option"
        )
    elif kind not in ("simple", "exec", "oneshot", "notify"):
        made.say(f"Type={kind} is not known")
    access = unit.last("Service.NotifyAccess")
    if access not in ("", "main", "exec", "all"):
        made.lost("NotifyAccess", access, "messages of the component's processes are heard")
    made.carry("stop_timeout_s", "TimeoutStopSec", unit.last("Service.TimeoutStopSec") or both, seconds)
    listen = made.values.get("listen")
    most = MAX_LISTEN - (len(listen) if isinstance(listen, list) else 0)
    text = unit.last("Service.FileDescriptorStoreMax")
    stored = count(text)
    if text and stored is None:
        made.lost("FileDescriptorStoreMax", text)
    made.set("stored_descriptors", min(stored or 0, most) or None)
    if stored and stored > most:
        made.say(f"FileDescriptorStoreMax={stored}: {most} is as much as there is")


def _heartbeat(unit: Unit, made: Converted) -> None:
    if (text := unit.last("Service.WatchdogSec")) and seconds(text) != 0:
        made.carry("heartbeat_s", "WatchdogSec", text, seconds)
    if (signal := unit.last("Service.WatchdogSignal")) in HANG_SIGNALS:
        made.set("heartbeat_signal", signal)
    elif signal:
        made.say(f"WatchdogSignal={signal}: one of {', '.join(HANG_SIGNALS)}")


def _restarts(unit: Unit, made: Converted) -> None:
    wish = unit.last("Service.Restart") or "no"
    if wish not in RESTART:
        made.lost("Restart", wish)
    made.set("restart.on", RESTART.get(wish, RESTART["on-failure"]))
    if wish in ("no", "on-success", "on-watchdog"):
        made.say(f"Restart={wish}: a crash is restarted here all the same")
    made.carry("cold.delay_s", "RestartSec", unit.last("Service.RestartSec"), seconds)
    delay = made.values.get("cold.delay_s")
    if isinstance(delay, float) and delay > COLD["delay_max_s"][1]:
        made.set("cold.delay_max_s", delay)
    for section in ("Unit", "Service"):
        text = unit.last(f"{section}.StartLimitBurst")
        made.carry("cold.attempts", "StartLimitBurst", text, count)
        _interval(unit, made, section)


def _interval(unit: Unit, made: Converted, section: str) -> None:
    """An interval of 0 means no limit, to systemd as well as cold.attempts = 0 here."""
    for name in ("StartLimitInterval", "StartLimitIntervalSec"):
        text = unit.last(f"{section}.{name}")
        if text and seconds(text) == 0:
            made.set("cold.attempts", 0)
            made.values.pop("cold.window_s", None)
        else:
            made.carry("cold.window_s", name, text, seconds)


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
        made.say(f"cold.window_s is {2 * ended * attempts:g}: else {attempts} hangs were never too many")
    if ended >= LADDER["good_run_s"][1]:
        made.set("ladder.good_run_s", 2 * ended)


def _specifiers(made: Converted) -> None:
    """%% is a percent sign; what other specifiers stand for is not known here."""
    found: list[bool] = []

    def plain(value: object) -> object:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, str):
            found.append(bool(_SPECIFIER.search(value.replace("%%", ""))))
            return value.replace("%%", "%")
        return value

    made.values = {key: plain(value) for key, value in made.values.items()}
    if any(found):
        made.say("$VARIABLES and %specifiers are not replaced: write what they stand for")
