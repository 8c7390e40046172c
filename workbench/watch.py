# SPDX-License-Identifier: MIT
"""`./dev watch`: the components of a device, live, from its console or from a console's log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console as Terminal
from rich.live import Live

from workbench.console import Console, show
from workbench.decoder import Item, Record
from workbench.errors import ConsoleClosedError, PortError
from workbench.findings import judge
from workbench.model import Model
from workbench.notes import running_log
from workbench.transport import LogFile, Transport, open_port
from workbench.view import View

RECONNECT_S = 1.0
SVG_WIDTH = 110
Opener = Callable[[], Transport]


def opener(port: str | None, replay: Path | None) -> tuple[Opener, bool]:
    """How to open what is to be watched, and whether to open it again after it was closed."""
    if replay is not None:
        return lambda: LogFile(replay), False
    if port is not None:
        return lambda: open_port(port), not port.startswith("unix:")
    log, pid = running_log()
    return lambda: LogFile(log, pid), False


def watch(
    port: str | None = None,
    *,
    plain: bool = False,
    json_lines: bool = False,
    replay: Path | None = None,
    svg: Path | None = None,
    out: TextIO | None = None,
) -> int:
    """Watch until Ctrl-C or the end of a log. Returns 0, or 1 where the kernel log has a finding.

    `plain`: a line per record, also without a terminal; `json_lines`: the same as JSON objects;
    `svg`: write a picture of the last view there.
    """
    out = out or sys.stdout
    open_it, again = opener(port, replay)
    watcher = Watcher(open_it, again)
    with suppress(KeyboardInterrupt):
        if json_lines:
            watcher.run(lambda item: _print_json(item, out))
        elif plain or not out.isatty():
            watcher.run(lambda item: _print_plain(item, out))
        else:
            _live(watcher, out)
    if svg is not None:
        export_svg(watcher.view, svg)
    return 1 if watcher.console.findings else 0


class Watcher:
    """Reads one console, opening it again where that makes sense, into one model."""

    def __init__(self, open_it: Opener, again: bool) -> None:
        self._open = open_it
        self._again = again
        self.console = Console(open_it())
        self.model = Model()
        self.console.listen(self.model.take)
        self.view = View(self.model, self.console.decoder.counts, self.console.transport.name)

    def run(self, each: Callable[[Item], None], tick: Callable[[], None] = lambda: None) -> None:
        """Until the end; `each` gets the items, `tick` is called at least four times a second."""
        self.console.listen(each)
        try:
            while True:
                try:
                    self.console.pump()
                except ConsoleClosedError:
                    if not self._again:
                        return
                    self._reconnect(tick)
                tick()
        finally:
            self.console.close()

    def _reconnect(self, tick: Callable[[], None]) -> None:
        """A board's adapter was unplugged, or the server is restarted: come back to it when it is there."""
        self.console.transport.close()
        self.view.note = "the port is closed; opening it again"
        while True:
            tick()
            time.sleep(RECONNECT_S)
            with suppress(PortError):
                self.console.reopen(self._open())
                self.view.note = ""
                return


def _live(watcher: Watcher, out: TextIO) -> None:
    terminal = Terminal(file=out)
    with Live(watcher.view, console=terminal, auto_refresh=False) as live:
        watcher.run(lambda item: None, live.refresh)


def _print_plain(item: Item, out: TextIO) -> None:
    if isinstance(item, Record):
        print(show(item), file=out, flush=True)
    elif finding := judge(item):
        print(f"KERNEL {finding}", file=out, flush=True)


def _print_json(item: Item, out: TextIO) -> None:
    if isinstance(item, Record):
        line = {"seq": item.seq, "time": item.time, "event": item.event, "boot": item.boot, **item.fields}
        print(json.dumps(line), file=out, flush=True)
    elif finding := judge(item):
        print(
            json.dumps({"event": "kernel-finding", "kind": finding.kind, "text": finding.text}),
            file=out,
            flush=True,
        )


def export_svg(view: View, path: Path, width: int = SVG_WIDTH) -> None:
    """Write the view as a picture (for the README)."""
    with Path("/dev/null").open("w") as nowhere:
        terminal = Terminal(
            file=nowhere, record=True, width=width, force_terminal=True, color_system="truecolor"
        )
        terminal.print(view)
        terminal.save_svg(str(path), title="./dev watch")
