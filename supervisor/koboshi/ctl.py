# SPDX-License-Identifier: MIT
"""koboshictl: ask the supervisor, or tell it (docs/supervisor.md)."""

from __future__ import annotations

import os
import sys

from koboshi.system import utf8
from koboshi.system.client import Connection, FailedError, ask, run_folder

USAGE = """\
usage: koboshictl [--json] status
       koboshictl [--json] start|stop|restart NAME
       koboshictl [--json] events [-n N] [-f]
       koboshictl [--json] crashes
       koboshictl [--json] reload|resume
       koboshictl [--json] rehearse [NAME]
       koboshictl check [FILE]
       koboshictl line [REQUEST]
       koboshictl console
"""
_COLUMNS = ("NAME", "STATE", "PID", "GEN", "LEVEL", "CAUSE", "STATUS", "LATENCY", "RESTARTS", "UP")
_LINE_BYTES = 4096
_WISHES = ("start", "stop", "restart")


class UsageError(Exception):
    """Wrong use: exit status 100."""


def main(argv: list[str]) -> int:
    """0 done, 1 refused or no supervisor, 100 wrong use."""
    utf8.tolerant_output()
    try:
        return _run(argv)
    except UsageError:
        sys.stderr.write(USAGE)
        return 100
    except FailedError as failed:
        sys.stderr.write(f"koboshictl: {failed}\n")
        return 1
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing more can be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        return 0


def _run(argv: list[str]) -> int:
    as_json = "--json" in argv
    words = [word for word in argv if word != "--json"]
    if not words:
        raise UsageError
    command, *rest = words
    if command == "check":
        return _check(rest)
    if command == "console" and not rest:
        return _console()
    if command == "line":
        return _line(rest)
    if command == "events":
        return _events(rest, as_json)
    if command == "rehearse" and len(rest) <= 1:
        return _rehearse(rest, as_json)
    return _simple(_request(command, rest), as_json)


def _request(command: str, rest: list[str]) -> dict[str, object]:
    if command in ("status", "crashes", "reload", "resume") and not rest:
        return {"cmd": command}
    if command in _WISHES and len(rest) == 1:
        return {"cmd": command, "component": rest[0]}
    raise UsageError


def _check(rest: list[str]) -> int:
    from koboshi.manifest import files
    from koboshi.system import places

    if len(rest) > 1:
        raise UsageError
    default = os.environ.get("KOBOSHI_ETC", "/etc/koboshi") + "/koboshi.toml"
    path = rest[0] if rest else default
    return files.main([path]) or places.main(path)


def _rehearse(names: list[str], as_json: bool) -> int:
    from koboshi.rehearsal import run as rehearse

    def show(result: dict[str, object]) -> None:
        if as_json:
            _print_json(result)
        else:
            what = result.get("saw") or result.get("why")
            name = result.get("component", "-")
            sys.stdout.write(f"{name:16} {result['fault']:12} {result['result']:10} {what}\n")
        sys.stdout.flush()

    return 1 if rehearse.run(run_folder(), names, show) else 0


def _simple(request: dict[str, object], as_json: bool) -> int:
    reply = ask(request)
    if as_json:
        _print_json(reply)
    elif request["cmd"] == "status":
        sys.stdout.write(table(reply))
    elif request["cmd"] == "crashes":
        sys.stdout.write(_crashes(reply["crashes"]))
    elif "state" in reply:
        sys.stdout.write(f"{request['component']}: {reply['state']}\n")
    return 0


def _console() -> int:
    """Print what may read the console's line: 0 for a shell, 1 where the manifest allows only requests."""
    import re
    import tomllib

    path = os.environ.get("KOBOSHI_ETC", "/etc/koboshi") + "/koboshi.toml"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    try:
        device = tomllib.loads(text).get("device")
        closed = isinstance(device, dict) and device.get("console", "shell") != "shell"
    except ValueError:
        # A mistake elsewhere in the manifest opens no shell.
        closed = re.search(r"console[\"']?\s*=(?!\s*[\"']+shell)|\\[uU]", text) is not None
    sys.stdout.write("records\n" if closed else "shell\n")
    return int(closed)


def _line(rest: list[str]) -> int:
    """One request from the arguments; without any, all that come on standard input, each in a line."""
    if rest:
        return _answer_line(" ".join(rest))
    before = b""
    # Anybody can write on the line: without a newline, only as much is kept as a request can have.
    while data := sys.stdin.buffer.readline(_LINE_BYTES):
        line = (before + data)[-_LINE_BYTES:]
        before = b"" if data.endswith(b"\n") else line
        command, _, text = line.decode("utf-8", "replace").strip().partition(" line ")
        # Half of what was typed before may stand in front of it.
        if not before and command.endswith("koboshictl"):
            _answer_line(text)
    return 0


def _answer_line(text: str) -> int:
    from koboshi.wire import line

    request = line.parse(text)
    if request is None:
        return 1
    try:
        lines = ask({"cmd": "line", "text": text}).get("lines")
    except FailedError as failed:
        keys: dict[str, object] = {"code": "supervisor", "error": str(failed)}
        lines = [line.reply(request.number, request.master, "error", keys)]
    # On a new line: a prompt or an echo may stand there.
    sys.stdout.write("\n" + "".join(f"{text}\n" for text in (lines if isinstance(lines, list) else [])))
    sys.stdout.flush()
    return 0


def _events(rest: list[str], as_json: bool) -> int:
    count, follow = 20, False
    words = iter(rest)
    for word in words:
        if word == "-f":
            follow = True
        elif word == "-n":
            value = next(words, "")
            if not value.isdecimal():
                raise UsageError
            count = int(value)
        else:
            raise UsageError
    connection = Connection({"cmd": "events", "n": count, "follow": follow})
    lines = connection.reply()["events"]
    for line in lines if isinstance(lines, list) else []:
        _print_record(str(line), as_json)
    while follow:
        _print_record(str(connection.next().get("record")), as_json)
    connection.close()
    return 0


def _print_record(line: str, as_json: bool) -> None:
    if as_json:
        from koboshi.wire.records import find

        record = find(line)
        if record is None:
            return
        _print_json({"seq": record.seq, "time": record.time, "event": record.event, **record.keys})
    else:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _print_json(value: object) -> None:
    import json

    sys.stdout.write(json.dumps(value) + "\n")


def table(status: dict[str, object]) -> str:
    """The reply to `status` as a table for people, one component a line."""
    components = status.get("components")
    now = status.get("time")
    assert isinstance(components, dict)
    assert isinstance(now, (int, float))
    rows = [_COLUMNS, *(_row(name, component, now) for name, component in components.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in rows)
    errors = [f"{name}: {c['error']}" for name, c in components.items() if c.get("error")]
    return "".join(_plain(line).rstrip() + "\n" for line in [*lines, *errors])


def _crashes(found: object) -> str:
    """Crash records for people: a line, and under it what the kernel and the component said last."""
    text = ""
    for crash in found if isinstance(found, list) else []:
        text += _plain("{number} {time:.3f} {component} {fault} -> {decision}".format_map(crash)) + "\n"
        registers = crash.get("registers") or {}
        told = " ".join(f"{name}={value}" for name, value in registers.items())
        said = [str(crash["kernel"]), told, *(crash.get("stack") or []), *str(crash["output"]).splitlines()]
        text += "".join(f"    {_plain(line)}\n" for line in said if line)
    return text


def _plain(line: str) -> str:
    """A line for a terminal: what a component has said must not move the cursor or change the title."""
    return "".join(c if c.isprintable() else "?" for c in line)


def _row(name: str, component: dict[str, object], now: float) -> tuple[str, ...]:
    restarts, since, latency = component["restarts"], component["since"], component["latency_us"]
    assert isinstance(restarts, dict)
    assert isinstance(since, (int, float))
    up = f"{max(0.0, now - since):.1f} s" if component["state"] in ("running", "ready") else "-"
    return (
        name,
        *(_word(component[key]) for key in ("state", "pid", "generation", "level", "cause", "status")),
        "-" if latency is None else f"{latency} us",
        f"{restarts['warm']} warm, {restarts['cold']} cold",
        up,
    )


def _word(value: object) -> str:
    return "-" if value in (None, "") else str(value)


if __name__ == "__main__":
    utf8.ensure()
    sys.exit(main(sys.argv[1:]))
