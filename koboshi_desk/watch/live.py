# SPDX-License-Identifier: MIT
"""`koboshi watch`: the components of one or many devices, live, from consoles or from a console's log."""

from __future__ import annotations

import json
import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from rich.console import Console as Terminal
from rich.live import Live

from koboshi_desk.console.decoder import Item, Record
from koboshi_desk.console.feed import Feed, News, Opener
from koboshi_desk.console.findings import judge
from koboshi_desk.console.guest import GuestConsole
from koboshi_desk.console.notes import running_guest
from koboshi_desk.console.recording import new_path
from koboshi_desk.console.text import harmless, show
from koboshi_desk.console.times import stamp
from koboshi_desk.console.transport import LogFile, open_port
from koboshi_desk.core import outfile
from koboshi_desk.core.keys import Keys
from koboshi_desk.device.observed import Device
from koboshi_desk.device.view import View
from koboshi_desk.watch.desk import Desk
from koboshi_desk.watch.screen import Screen

SVG_WIDTH = 120
REFRESH_S = 0.15
Each = Callable[[Device, Item], None]
Source = tuple[str, Opener, bool, bool]  # name, how to open it, whether again, whether it is live


@dataclass(frozen=True)
class Consoles:
    """What is to be read: ports, their speed, and recorded consoles."""

    ports: Sequence[str] = ()
    replays: Sequence[Path] = ()
    baud: int = 115200
    pace: float = 0.0  # of the replays: 1 for as fast as they were recorded, 0 for at once

    def sources(self) -> list[Source]:
        """Nothing said: the guest that has its console open on this machine."""
        chosen: list[Source] = [
            (str(log), partial(LogFile, log, None, self.pace), False, False) for log in self.replays
        ]
        for port in self.ports:
            chosen.append((port, partial(open_port, port, self.baud), not port.startswith("unix:"), True))
        if not chosen:
            running = running_guest()
            chosen.append((str(running.log), partial(GuestConsole, running), False, True))
        return chosen


def watch(
    consoles: Consoles,
    *,
    plain: bool = False,
    json_lines: bool = False,
    svg: Path | None = None,
    record_to: Path | None = None,
    asks: bool = True,
    out: TextIO | None = None,
) -> int:
    """Watch until Ctrl-C, `q` or the end of all logs. Returns 0, or 1 where a kernel log has a finding.

    `plain`: a line per record, also on a terminal; `json_lines`: the same as JSON objects; `svg`: write a
    picture of the first device's last view there; `record_to`: a folder for what comes, byte for byte;
    `asks`: ask a device for what its console did not show.
    """
    out = out or sys.stdout
    watcher = Watcher(consoles.sources(), record_to, asks=asks)
    many = len(watcher.devices) > 1
    lines = plain or json_lines or not out.isatty() or os.environ.get("TERM") == "dumb"
    with suppress(KeyboardInterrupt):
        if lines:
            watcher.noted = print_note
            printed = _print_json if json_lines else _print_plain
            watcher.run(lambda device, item: printed(device, item, out, many))
        else:
            _live(watcher, out)
    if svg is not None:
        export_svg(watcher.devices[0], svg)
    incomplete = [
        device.recording for device in watcher.devices if device.recording and device.recording.missing
    ]
    for recording in incomplete:
        print(f"koboshi: {recording.path}: {recording.missing} bytes are missing", file=sys.stderr)
    return 1 if incomplete or any(device.findings for device in watcher.devices) else 0


class Watcher:
    """Reads many consoles, each in a thread, and understands them in one."""

    def __init__(self, chosen: Sequence[Source], record_to: Path | None = None, *, asks: bool = True) -> None:
        self._asks = asks
        self._news: queue.Queue[News] = queue.Queue(maxsize=1000)
        self.noted: Callable[[Device], None] = lambda device: None  # what became of its port
        self.devices: list[Device] = []
        self.feeds: list[Feed] = []
        for index, (name, open_it, again, live) in enumerate(chosen):
            self.feeds.append(Feed(index, open_it, again, self._news))
            device = Device(name, live, new_path(record_to, name) if record_to else None)
            device.writable = self.feeds[-1].transport.writable
            self.devices.append(device)

    def run(self, each: Each, tick: Callable[[], bool] = lambda: True) -> None:
        """Until the end of all, or until `tick` says False; it is called several times a second."""
        for feed in self.feeds:
            feed.start()
        try:
            while (
                self.send()
                and tick()
                and not (all(device.over for device in self.devices) and self._news.empty())
            ):
                with suppress(queue.Empty):
                    self._take(self._news.get(timeout=REFRESH_S), each)
        finally:
            for feed, device in zip(self.feeds, self.devices, strict=True):
                feed.stop()
                device.close()
        for feed in self.feeds:
            if feed.failure:
                raise feed.failure

    def send(self) -> bool:
        """Send the requests that are due, those of the desk itself too; return True."""
        for feed, device in zip(self.feeds, self.devices, strict=True):
            if self._asks and device.live and device.writable and not device.note:
                device.catchup.step()
            if (data := device.control.step()) and not feed.write(data):
                device.control.refuse("the port is closed")
        return True

    def _take(self, news: News, each: Each) -> None:
        device = self.devices[news.index]
        before = device.warning
        if news.note is not None:
            if news.note:
                device.lost()
            elif device.note:
                device.reopened()
            device.note = news.note
        if news.reopened:
            device.reopened()
        for item in device.end() if news.over else device.take(news.data, news.at):
            each(device, item)
        if device.warning != before:
            self.noted(device)


def _live(watcher: Watcher, out: TextIO) -> None:
    """On a screen of its own, with keys; a recorded console stays there until `q`."""
    terminal = Terminal(file=out)
    desk = Desk(watcher.devices, interactive=sys.stdin.isatty())
    last = 0.0
    with Keys() as keys, Live(Screen(desk), console=terminal, auto_refresh=False, screen=True) as live:

        def tick() -> bool:
            nonlocal last
            for name in (pressed := keys.pressed()):
                desk.key(name)
            desk.news()
            if pressed or time.monotonic() - last >= REFRESH_S:
                live.refresh()
                last = time.monotonic()
            return not desk.quit

        watcher.run(lambda device, item: None, tick)
        while desk.interactive and not desk.quit:
            tick()
            time.sleep(REFRESH_S / 3)
    desk.interactive = False
    terminal.print(Screen(desk), height=min(terminal.height, 30))


def print_note(device: Device) -> None:
    """Beside the records, not among them."""
    print(f"koboshi: {device.name}: {device.warning or 'all is well again'}", file=sys.stderr, flush=True)


def _print_plain(device: Device, item: Item, out: TextIO, many: bool) -> None:
    name = f"{device.name} " if many else ""
    name = name if device.received is None else f"{stamp(device.received)} {name}"
    if isinstance(item, Record):
        print(name + show(item), file=out, flush=True)
    elif finding := judge(item):
        print(f"{name}KERNEL {harmless(str(finding))}", file=out, flush=True)


def _print_json(device: Device, item: Item, out: TextIO, many: bool) -> None:
    line: dict[str, object] = {"port": device.name} if many else {}
    line |= {} if device.received is None else {"received": stamp(device.received)}
    if isinstance(item, Record):
        line |= {"seq": item.seq, "time": item.time, "event": item.event, "boot": item.boot, **item.fields}
    elif finding := judge(item):
        line |= {"event": "kernel-finding", "kind": finding.kind, "text": finding.text}
    else:
        return
    print(json.dumps(line), file=out, flush=True)


def export_svg(device: Device, path: Path, width: int = SVG_WIDTH) -> None:
    """Write the view as an SVG picture (for the README)."""
    with Path("/dev/null").open("w") as nowhere:
        terminal = Terminal(
            file=nowhere, record=True, width=width, force_terminal=True, color_system="truecolor"
        )
        terminal.print(View(device.model, device.decoder.counts, device.name))
        outfile.write(path, terminal.export_svg(title="koboshi watch"), "--svg")
