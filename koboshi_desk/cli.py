# SPDX-License-Identifier: MIT
"""`koboshi`: the desk's commands, which need no checkout of the repository. `./dev` hands them on to here."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from koboshi.wire import line

from koboshi_desk.core import ending
from koboshi_desk.core.errors import KoboshiError

if TYPE_CHECKING:  # else it is imported where a command wants it
    from koboshi_desk.watch.live import Consoles

Handler = Callable[[argparse.Namespace], int]
# The first words of the commands and what they do; ./dev lists them too, and `dev` names them once more.
COMMANDS = {
    "watch": "Live view of a console (--port /dev/ttyUSB0 or URL).",
    "control": "Ask a device over its console ([--port PORT] status|start|stop|restart NAME).",
    "report": "Recorded consoles as a page and a summary (LOG...).",
    "bridge": "Publish devices to MQTT and Prometheus (--port PORT --mqtt URL --metrics PORT).",
    "manifest": "A component manifest: new, check, explain, graph.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 on a failure or finding, 2 on wrong usage, 128 + N after signal N."""
    program = "./dev" if Path(sys.argv[0]).name == "cli.py" else "koboshi"
    if list(arguments or sys.argv[1:]) == ["--list"]:
        return _run(argparse.Namespace(handler=_list))
    ending.open_standard_streams()
    chosen = parser(program).parse_args(arguments)
    ending.unwind_on_signals()
    try:
        return _run(chosen)
    except (KoboshiError, OSError) as error:
        print(f"{Path(program).name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{Path(program).name}: interrupted", file=sys.stderr)
        return ending.INTERRUPTED


def _list(_: argparse.Namespace) -> int:
    print("The commands that `koboshi` has too:\n")
    print("".join(f"  {name:<13} {what}\n" for name, what in COMMANDS.items()))
    return 0


def _run(chosen: argparse.Namespace) -> int:
    handler: Handler = chosen.handler
    try:
        status = handler(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has closed it
        ending.discard_output()
        return 0
    except OSError:
        ending.discard_output()  # if that was what could not be written, it cannot at exit either
        raise
    return status


def parser(program: str) -> argparse.ArgumentParser:
    """Return the parser of all commands and their options."""
    top = argparse.ArgumentParser(prog=program, description="The desk of a device that runs Koboshi.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _watch(commands.add_parser("watch", help=COMMANDS["watch"]))
    _control(commands.add_parser("control", help=COMMANDS["control"]))
    _report(commands.add_parser("report", help=COMMANDS["report"]))
    _bridge(commands.add_parser("bridge", help=COMMANDS["bridge"]))
    _manifest(commands.add_parser("manifest", help=COMMANDS["manifest"]))
    return top


def _watch(command: argparse.ArgumentParser) -> None:
    command.description = "Without --port and --replay: the console that ./dev boot or demo has open."
    _consoles(command)
    add = command.add_argument
    add("--record", type=Path, metavar="FOLDER", help="keep what comes there, a file a port")
    add("--plain", action="store_true", help="a line a record, also on a terminal")
    add("--json", action="store_true", help="an object a record")
    add("--svg", type=Path, metavar="FILE", help="write a picture of the last view")
    command.set_defaults(handler=_run_watch)


def _run_watch(chosen: argparse.Namespace) -> int:
    from koboshi_desk.watch import live as watch

    return watch.watch(
        _chosen_consoles(chosen),
        plain=chosen.plain,
        json_lines=chosen.json,
        svg=chosen.svg,
        record_to=chosen.record,
        asks=not chosen.listen,
    )


def _consoles(command: argparse.ArgumentParser) -> None:
    """Add the options of the commands that read several consoles."""
    add = command.add_argument
    add(
        "--port",
        action="append",
        default=[],
        metavar="PORT",
        help="/dev/ttyUSB0, socket://HOST:PORT, rfc2217://HOST:PORT, unix:PATH; repeat it for many devices",
    )
    add("--replay", action="append", default=[], type=Path, metavar="LOG", help="a recorded console; repeats")
    add(
        "--pace",
        type=_positive,
        default=0.0,
        metavar="N",
        help="replay N times as fast as it was recorded; default: at once",
    )
    add("--listen", action="store_true", help="never ask a device for records that the console did not show")
    _baud(command)


def _baud(command: argparse.ArgumentParser) -> None:
    command.add_argument("--baud", type=_speed, default=115200, help="of a serial port; %(default)s")


def _chosen_consoles(chosen: argparse.Namespace) -> Consoles:
    from koboshi_desk.watch.live import Consoles

    return Consoles(chosen.port, chosen.replay, chosen.baud, chosen.pace)


def _speed(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: must be a baud rate such as 115200")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be a number greater than 0")
    return value


def _control(command: argparse.ArgumentParser) -> None:
    command.description = (
        "A shell, or koboshictl line, must read the device's end of the line."
        " Without --port: the guest of ./dev boot."
    )
    add = command.add_argument
    add("--port", default="", metavar="PORT", help="as of watch")
    _baud(command)
    add("--seconds", type=_positive, default=20.0, help="how long to wait for a reply; %(default)s")
    verbs = [*line.READING, *line.CHANGING, *line.LOCKING]
    add("verb", choices=verbs, metavar="VERB", help=f"one of {', '.join(verbs)}")
    add("component", nargs="?", default="", metavar="NAME", help="component; for events: a record's number")
    command.set_defaults(handler=_run_control)


def _run_control(chosen: argparse.Namespace) -> int:
    from koboshi_desk.watch import ask

    return ask.ask(chosen.port, chosen.verb, chosen.component, baud=chosen.baud, seconds=chosen.seconds)


def _report(command: argparse.ArgumentParser) -> None:
    command.description = "Writes an HTML page that needs nothing else, and a summary in Markdown."
    add = command.add_argument
    add("logs", nargs="+", type=Path, metavar="LOG", help="a recorded console (koboshi watch --record)")
    add("--html", type=Path, default=Path("koboshi-report.html"), metavar="FILE", help="default: %(default)s")
    add("--markdown", type=Path, metavar="FILE", help="default: standard output")
    add("--elf", action="append", default=[], type=Path, metavar="FILE", help="a program's symbols; repeats")
    add(
        "--crashes",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="crash records: what koboshictl --json crashes printed; repeats",
    )
    add(
        "--budget-ms",
        type=_positive,
        metavar="MS",
        help="count the times that a component was down for longer",
    )
    add("--title", default="Koboshi report", metavar="TEXT", help="heading of the page; %(default)s")
    command.set_defaults(handler=_run_report)


def _run_report(chosen: argparse.Namespace) -> int:
    from koboshi_desk.console import times
    from koboshi_desk.core import outfile
    from koboshi_desk.device import crashes
    from koboshi_desk.report import html as report_html
    from koboshi_desk.report import markdown as report_markdown
    from koboshi_desk.report.figures import elsewhere_once, read

    budget = chosen.budget_ms / 1000 if chosen.budget_ms is not None else None
    kept = [record for path in chosen.crashes for record in crashes.from_file(path)]
    reports = [read(log, chosen.elf, budget, kept) for log in chosen.logs]
    elsewhere_once(reports)
    made = f"{times.tool_version()} at {times.stamp(times.now())}"
    text = report_markdown.summary(reports, chosen.title, made)
    outfile.write(chosen.html, report_html.page(reports, chosen.title, made), "--html")
    if chosen.markdown:
        outfile.write(chosen.markdown, text, "--markdown")
    print(f"{chosen.html}" if chosen.markdown else text, end="\n" if chosen.markdown else "")
    return 0


def _bridge(command: argparse.ArgumentParser) -> None:
    command.description = "Needs --mqtt, --metrics, or both."
    _consoles(command)
    add = command.add_argument
    add(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="of the device at each --port; default: the port's",
    )
    add(
        "--mqtt",
        default="",
        metavar="URL",
        help="mqtt://[USER@]HOST[:PORT] (password in KOBOSHI_MQTT_PASSWORD)",
    )
    add("--prefix", default="koboshi", help="of the MQTT topics; %(default)s")
    add("--metrics", default="", metavar="[HOST:]PORT", help="for Prometheus; HOST is 127.0.0.1 if not given")
    command.set_defaults(handler=_run_bridge)


def _run_bridge(chosen: argparse.Namespace) -> int:
    from koboshi_desk.fleet import bridge

    return bridge.bridge(
        _chosen_consoles(chosen),
        names=chosen.name,
        mqtt=chosen.mqtt,
        prefix=chosen.prefix,
        metrics=chosen.metrics,
        asks=not chosen.listen,
    )


def _manifest(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="FILE:LINE: KEY: what is wrong; what would be right")
    check.add_argument("file", type=Path, help="component manifest")
    check.set_defaults(handler=_check_manifest)

    new = actions.add_parser("new", help="asks what is needed, and writes a commented manifest")
    new.add_argument("file", type=Path, help="file to write")
    new.set_defaults(handler=_new_manifest)
    explain = actions.add_parser("explain", help="what will happen, in words")
    explain.add_argument("file", type=Path, help="component manifest")
    explain.add_argument("component", nargs="?", default="", help="only this one")
    explain.set_defaults(handler=_explain_manifest)
    schema = actions.add_parser("schema", help="the JSON Schema, for completion in an editor")
    schema.set_defaults(handler=_manifest_schema)
    systemd = actions.add_parser("from-systemd", help="from units; says what could not be carried over")
    systemd.add_argument("unit", nargs="+", type=Path, help="NAME.service or NAME.socket")
    systemd.set_defaults(handler=_from_systemd)
    graph = actions.add_parser("graph", help="what needs what, as an SVG picture")
    graph.add_argument("file", type=Path, help="component manifest")
    graph.add_argument("--svg", type=Path, metavar="FILE", help="default: standard output")
    graph.set_defaults(handler=_graph_manifest)


def _new_manifest(chosen: argparse.Namespace) -> int:
    from koboshi_desk.manifest import new as manifest_new

    return manifest_new.new(chosen.file)


def _explain_manifest(chosen: argparse.Namespace) -> int:
    from koboshi_desk.manifest import check as manifest

    return manifest.explain(chosen.file, chosen.component)


def _manifest_schema(_: argparse.Namespace) -> int:
    from koboshi_desk.manifest import check as manifest

    return manifest.schema()


def _from_systemd(chosen: argparse.Namespace) -> int:
    from koboshi_desk.manifest import systemd as manifest_systemd

    return manifest_systemd.run(chosen.unit)


def _graph_manifest(chosen: argparse.Namespace) -> int:
    from koboshi_desk.manifest import check as manifest

    return manifest.graph(chosen.file, chosen.svg)


def _check_manifest(chosen: argparse.Namespace) -> int:
    from koboshi_desk.manifest import check as manifest

    return manifest.check(chosen.file)


if __name__ == "__main__":
    sys.exit(main())
