# SPDX-License-Identifier: MIT
"""What the demo shows while it runs: the live view on a terminal, a line per event anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console as Terminal
from rich.live import Live

from koboshi_desk.console.decoder import Counts, Item, Record
from koboshi_desk.console.text import show
from koboshi_desk.device.view import View
from workbench.guest.booted import Guest

REFRESH_S = 0.15


class PlainPresenter:
    """Prints what is done and every record, as plain lines."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def __enter__(self) -> PlainPresenter:
        self._guest.listen(self._print)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        sys.stdout.flush()

    def _print(self, item: Item) -> None:
        if isinstance(item, Record):
            print(show(item), flush=True)

    def say(self, text: str) -> None:
        """Announce the next step."""
        print(f"== {text}", flush=True)


class LivePresenter:
    """Keeps the live view up to date; the view stays on the screen at the end."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._view = View(guest.model, Counts(), guest.image.name)
        # No thread of rich's: the model changes under the view's feet otherwise.
        self._live = Live(self._view, console=Terminal(), auto_refresh=False)
        self._drawn = 0.0

    def __enter__(self) -> LivePresenter:
        self._live.start()
        self._guest.after_pump = self._tick
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._live.refresh()
        self._live.stop()

    def _tick(self) -> None:
        if time.monotonic() - self._drawn >= REFRESH_S:
            if self._guest.started:
                self._view.counts = self._guest.console.decoder.counts
            self._live.refresh()
            self._drawn = time.monotonic()

    def say(self, text: str) -> None:
        """Announce the next step."""
        self._view.note = f"▶ {text}"
        self._live.refresh()
