# SPDX-License-Identifier: MIT
"""The keys of the manifest and what each may hold (docs/manifest.md); schema.json says the same.

A rule takes a value and returns it in its normal form, or raises RuleError.
"""

from __future__ import annotations

import re

from koboshi.manifest.capabilities import CAPABILITIES

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
# The supervisor's own files in /run/koboshi, where each component has a folder.
RESERVED = ("control", "events", "poke")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENTRY_POINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?", re.ASCII)
PORT = re.compile(r"[1-9][0-9]{0,4}")

FATES = ("leave", "notify", "restart")
MAX_LISTEN = 16  # as many as rfork-run takes
CAUSES = ("request", "error", "signal", "status", "exit")
USUAL_CAUSES = CAUSES[:4]
# To a component that hangs: a program can catch them, and they end one that does not.
HANG_SIGNALS = (
    "SIGABRT",
    "SIGQUIT",
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGSEGV",
    "SIGBUS",
    "SIGTRAP",
    "SIGXCPU",
    "SIGALRM",
)
BACKENDS = ("auto", "kernel", "user")
# Times become milliseconds in an unsigned int on their way to rfork-run.
MAX_SECONDS = 1_000_000
STOP_TIMEOUT_S = 5.0
MAX_COUNT = 2**31 - 1
MAX_VARIABLES = 64  # as many as rfork-run takes


class RuleError(Exception):
    """A value breaks a rule: what is wrong, what would be right, and where inside the value."""

    def __init__(self, problem: str, expected: str, *inside: str | int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.expected = expected
        self.inside = inside


def shown(value: object) -> str:
    """A value for a message: short, on one line."""
    kind = kind_of(value)
    if kind in ("a table", "an array"):
        return kind
    text = ("true" if value else "false") if isinstance(value, bool) else ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: object) -> str:
    """What TOML calls the type of a value."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string"}
    names.update({list: "an array", dict: "a table"})
    return names.get(type(value), "a date or time")


def text(value: object, expected: str = "a string") -> str:
    """A string without NUL (no argument, variable or path can hold one)."""
    if not isinstance(value, str):
        raise RuleError(f"{kind_of(value)} where a string belongs", expected)
    if "\0" in value:
        raise RuleError("holds a NUL character", expected)
    return value


def path(value: object, expected: str = "an absolute path") -> str:
    """An absolute path."""
    if not text(value, expected).startswith("/"):
        raise RuleError(f"{shown(value)} is no absolute path", expected)
    return str(value)


def matching(pattern: re.Pattern[str], expected: str) -> object:
    """A rule: a string that the pattern matches wholly."""

    def rule(value: object) -> str:
        if not pattern.fullmatch(text(value, expected)):
            raise RuleError(f"{shown(value)} is not allowed", expected)
        return str(value)

    return rule


def one_of(names: tuple[str, ...]) -> object:
    """A rule: one of some names."""
    expected = "one of " + ", ".join(names)

    def rule(value: object) -> str:
        if text(value, expected) not in names:
            raise RuleError(f"{shown(value)} is unknown{suggestion(str(value), names)}", expected)
        return str(value)

    return rule


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """Text like " (did you mean burst?)" if a known word is close, else nothing."""
    import difflib  # only a wrong manifest pays for it

    close = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def number(low: float, above: bool = False, high: float = MAX_SECONDS) -> object:
    """A rule: an integer or a float within a range, which nan never is."""
    expected = f"a number {'>' if above else '>='} {low:g} and <= {high:g}"

    def rule(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RuleError(f"{kind_of(value)} where a number belongs", expected)
        # Written so that nan is refused too.
        if not (low <= value <= high) or (above and value == low):
            raise RuleError(f"{shown(value)} is out of range", expected)
        return float(value)

    return rule


def integer(low: int, high: int = MAX_COUNT) -> object:
    """A rule: an integer within a range; 5.0 is one, as in JSON Schema."""
    expected = f"an integer from {low} to {high}"

    def rule(value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise RuleError(f"{kind_of(value)} where an integer belongs", expected)
        if not low <= value <= high:
            raise RuleError(f"{shown(value)} is out of range", expected)
        return value

    return rule


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise RuleError(f"{kind_of(value)} where a boolean belongs", "true or false")
    return value


def strings(value: object, expected: str = "an array of strings") -> tuple[str, ...]:
    """An array of strings, as a tuple."""
    if not isinstance(value, list):
        raise RuleError(f"{kind_of(value)} where an array belongs", expected)
    for index, item in enumerate(value):
        try:
            text(item)
        except RuleError as wrong:
            raise RuleError(wrong.problem, expected, index) from None
    return tuple(value)


def command(value: object) -> tuple[str, ...]:
    """A program with its arguments."""
    expected = 'as ["/bin/program", "-x"]: an absolute path, then arguments'
    words = strings(value, expected)
    if not words:
        raise RuleError("is empty", expected)
    if not words[0].startswith("/"):
        raise RuleError(f"{shown(words[0])} is no absolute path", expected, 0)
    return words


def needs(value: object) -> tuple[str, ...]:
    """Names of other components; whether these exist is checked with all of them at hand."""
    expected = "an array of names of other components, each once"
    names = strings(value, expected)
    for index, name in enumerate(names):
        if not NAME.fullmatch(name):
            raise RuleError(f"{shown(name)} is no component's name", expected, index)
        if name in names[:index]:
            raise RuleError(f"{name} is there twice", expected, index)
    return names


def causes(value: object) -> tuple[str, ...]:
    """What a restart follows on."""
    expected = "request and error, and of signal, status and exit those that apply"
    names = strings(value, expected)
    for index, name in enumerate(names):
        if name not in CAUSES:
            raise RuleError(f"{shown(name)} is unknown{suggestion(name, CAUSES)}", expected, index)
        if name in names[:index]:
            raise RuleError(f"{name} is there twice", expected, index)
    for name in ("request", "error"):
        if name not in names:
            raise RuleError(f"{name} is missing: every rebootable process restarts on it", expected)
    return names


def some_of(known: tuple[str, ...] | list[str], what: str) -> object:
    """A rule: an array of some names, each once."""

    def rule(value: object) -> tuple[str, ...]:
        expected = f"an array of {what}, each once"
        names = strings(value, expected)
        for index, name in enumerate(names):
            if name not in known:
                raise RuleError(f"{shown(name)} is unknown{suggestion(name, tuple(known))}", expected, index)
            if name in names[:index]:
                raise RuleError(f"{name} is there twice", expected, index)
        return names

    return rule


def each(rule: object, expected: str, most: int) -> object:
    """A rule: an array of which each element follows another rule."""

    def of_array(value: object) -> tuple[str, ...]:
        items = strings(value, expected)
        if len(items) > most:
            raise RuleError(f"has {len(items)} elements", f"at most {most}")
        for index, item in enumerate(items):
            try:
                assert callable(rule)
                rule(item)
            except RuleError as wrong:
                raise RuleError(wrong.problem, expected, index) from None
        return items

    return of_array


def fates(value: object) -> dict[str, object]:
    """What becomes of a component when one that it needs has restarted."""
    expected = 'a table of names of needs, as { gps = "restart" }; leave, notify or restart'
    if not isinstance(value, dict):
        raise RuleError(f"{kind_of(value)} where a table belongs", expected)
    for key, item in value.items():
        if item not in FATES:
            raise RuleError(f"{shown(item)} is unknown", expected, key)
    return dict(value)


def environment(value: object) -> dict[str, str]:
    """Environment variables."""
    expected = 'a table of strings, as { TZ = "UTC" }'
    if not isinstance(value, dict):
        raise RuleError(f"{kind_of(value)} where a table belongs", expected)
    if len(value) > MAX_VARIABLES:
        raise RuleError(f"has {len(value)} variables", f"at most {MAX_VARIABLES}")
    for key, item in value.items():
        if not VARIABLE.fullmatch(key):
            raise RuleError(
                f"{shown(key)} is no name of an environment variable", "letters, digits and _", key
            )
        try:
            text(item)
        except RuleError as wrong:
            raise RuleError(wrong.problem, expected, key) from None
    return dict(value)


def ready(value: object) -> str:
    """A way of being ready."""
    expected = '"none", "notify", "file:/absolute/path", "port:1..65535" or "fd:3..15"'
    kind, colon, rest = text(value, expected).partition(":")
    if kind == "file" and colon and rest.startswith("/"):
        return str(value)
    if kind == "port" and PORT.fullmatch(rest) and int(rest) <= 65535:
        return str(value)
    if kind == "fd" and rest in DESCRIPTORS:
        return str(value)
    if value not in ("none", "notify"):
        raise RuleError(f"{shown(value)} is no way of being ready", expected)
    return str(value)


def output(value: object) -> str:
    """A place for standard output and error."""
    expected = 'an absolute path, "console" or "discard"'
    if value in ("console", "discard"):
        return str(value)
    return path(value, expected)


LISTEN = re.compile(r"(tcp|udp):(\d{1,3}(\.\d{1,3}){3}:)?[1-9][0-9]{0,4}|(unix|unixgram):/[^\0]{1,100}")
DESCRIPTORS = tuple(str(number) for number in range(3, 16))
# key: (rule, default); a dict in place of the pair is a table with keys of its own.
LIMITS = {
    "memory_mb": (integer(1), None),
    "files": (integer(1), None),
    "core_mb": (integer(0), None),
    "processes": (integer(1), None),
}
_PATHS = each(path, "an array of absolute paths", 32)
_BELOW = each(
    matching(re.compile(r"/[^\0]+"), "an absolute path below /"), "an array of absolute paths below /", 32
)
MOUNTS = {
    "hide": (_BELOW, ()),
    "read_only": (_BELOW, ()),
    "private_tmp": (boolean, False),
}
ACCESS = {
    "read": (_PATHS, ()),
    "write": (_PATHS, ()),
}
CGROUP = {
    "memory_mb": (integer(1), None),
    "processes": (integer(1), None),
    "cpu_percent": (integer(1, 100000), None),
}
RESTART = {
    "on": (causes, USUAL_CAUSES),
    "burst": (integer(1), 5),
    "window_s": (number(0, above=True), 10.0),
    "probation_s": (number(0), 1.0),
    "backend": (one_of(BACKENDS), "auto"),
    "spare": (boolean, True),
    "checkpoint": (boolean, True),
}
COLD = {
    "attempts": (integer(0, 1000), 5),
    "window_s": (number(0, above=True), 120.0),
    "delay_s": (number(0), 0.5),
    "delay_max_s": (number(0), 8.0),
}
LADDER = {
    "same_fault": (integer(0, 1000), 5),
    "good_run_s": (number(0, above=True), 60.0),
    "dependents": (integer(0, 1000), 1),
    "group": (integer(0, 1000), 1),
    "window_s": (number(0, above=True), 3600.0),
}
DOWNTIME = {
    "budget_s": (number(0, above=True), None),
    "window_s": (number(0, above=True), 86400.0),
}
# What reads the console's line: a root shell, or only the requests of koboshictl line.
CONSOLES = ("shell", "records")
REQUESTS = (
    *("hello", "status", "crashes", "events"),
    *("start", "stop", "restart", "rehearse", "lock", "steal", "unlock"),
)
DEVICE: dict[str, object] = {
    "record": (path, None),
    "reboots": (integer(0, 1000), 3),
    "reboot_window_s": (number(0, above=True), 86400.0),
    "vital_s": (number(1), 300.0),
    "registers": (boolean, False),
    "stacks": (boolean, False),
    "watchdog": (path, None),
    "watchdog_s": (integer(5, 3600), 30),
    "console": (one_of(CONSOLES), "shell"),
    "control": (some_of(REQUESTS, "requests, as status"), None),
}
COMPONENT: dict[str, object] = {
    "command": (command, None),
    "python": (matching(ENTRY_POINT, '"module" or "module:function"'), None),
    "arguments": (strings, ()),
    "environment": (environment, {}),
    "directory": (path, "/"),
    "user": (matching(USER, "a user's name, as in /etc/passwd"), "root"),
    "groups": (each(matching(USER, "a group's name"), "an array of groups, as in /etc/group", 32), ()),
    "capabilities": (some_of(CAPABILITIES, "capabilities, as net_bind_service"), None),
    "no_new_privileges": (boolean, False),
    "access": ACCESS,
    "mounts": MOUNTS,
    "root": (path, None),
    "limits": LIMITS,
    "cgroup": CGROUP,
    "listen": (
        each(matching(LISTEN, "a socket"), "as tcp:80, udp:127.0.0.1:53 or unix:/run/x", MAX_LISTEN),
        (),
    ),
    "stored_descriptors": (integer(0, MAX_LISTEN), 0),
    "output": (output, None),
    "output_bytes_s": (integer(1), None),
    "needs": (needs, ()),
    "on_restart": (fates, {}),
    "group": (matching(NAME, "a name, at most 32 of a-z, 0-9 and -"), None),
    "vital": (boolean, False),
    "safe": (boolean, False),
    "ready": (ready, "none"),
    "ready_timeout_s": (number(0, above=True), 30.0),
    "heartbeat_s": (number(0.1), None),
    "heartbeat_signal": (one_of(HANG_SIGNALS), None),
    "stop_timeout_s": (number(0, above=True), STOP_TIMEOUT_S),
    "extend_max_s": (number(0), 300.0),
    "restart": RESTART,
    "cold": COLD,
    "ladder": LADDER,
    "downtime": DOWNTIME,
}


def defaults(known: dict[str, object]) -> dict[str, object]:
    """What a table without keys means."""
    return {key: rule[1] for key, rule in known.items() if isinstance(rule, tuple)}
