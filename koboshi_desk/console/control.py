# SPDX-License-Identifier: MIT
"""The master's side of the control channel: one request at a time, asked again until its reply has come.

Nothing waits here: `step` is called often, and says what is to be written (docs/console.md, Control).
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from koboshi.wire import line

from koboshi_desk.console.decoder import Item, Reply

AGAIN_S = 3.0  # a line at 9600 baud that is busy with a storm takes its time
TRIES = 4
MOST_PARTS = 1024  # of one reply: more is no device of ours
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")  # of a component, as the manifest has it
MACHINE_ID = Path("/etc/machine-id")
_UNFIT = re.compile(r"[^a-z0-9-]+")


@dataclass
class Outcome:
    """How a request ended: `result` is ok, error or silence; `parts` are the lines of a longer reply."""

    verb: str
    component: str
    result: str
    fields: dict[str, str]
    parts: list[dict[str, str]]

    def __str__(self) -> str:
        """Return the outcome as one line for a person."""
        what = f"{self.verb} {self.component}".strip()
        if self.result == "ok":
            return f"{what}: {self.fields.get('state') or 'done'}"
        if self.result == "error":
            return f"{what}: {self.fields.get('error', 'refused')}"
        return f"{what}: no reply; does a shell, or koboshictl line, read this line?"


Then = Callable[[Outcome], None]


@dataclass(frozen=True)
class _Request:
    verb: str
    component: str
    then: Then | None
    tries: int


def master_name() -> str:
    """Return a name for this person on this machine, the same in each program: user, machine, digits.

    The digits tell machines and users apart whose names look alike once they are shortened.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    host = socket.gethostname()
    with suppress(OSError):
        host += MACHINE_ID.read_text(encoding="utf-8", errors="replace")
    digits = hashlib.sha256(f"{user}@{host}".encode("utf-8", "replace")).hexdigest()[:6]
    plain = _UNFIT.sub("-", f"{user}-{socket.gethostname().split('.')[0]}".lower()).strip("-")
    return f"{plain[:25].strip('-') or 'desk'}-{digits}"


@dataclass
class Control:
    """One device's channel; `done` holds the outcomes that the caller has not taken yet."""

    master: str = field(default_factory=master_name)
    now: Callable[[], float] = time.monotonic
    done: deque[Outcome] = field(default_factory=deque)
    _wanted: deque[_Request] = field(default_factory=deque)
    _current: _Request | None = None
    _number: int = field(default_factory=lambda: secrets.randbelow(10**8))
    _parts: list[dict[str, str]] = field(default_factory=list)
    _tries: int = 0
    _at: float = 0.0

    @property
    def busy(self) -> bool:
        """Return whether a request is in progress or queued."""
        return self._current is not None or bool(self._wanted)

    def ask(self, verb: str, component: str = "", then: Then | None = None, tries: int = TRIES) -> None:
        """Have a request sent after those before it. A shell may read it: only a name is let through.

        `then` gets the outcome instead of `done`.
        """
        if component and not NAME.fullmatch(component):  # the number of a record fits too
            expected = "small letters, digits and dashes, at most 32"
            self.done.append(Outcome(verb, component, "error", {"error": f"no name: {expected}"}, []))
            return
        self._wanted.append(_Request(verb, component, then, tries))

    def step(self) -> bytes:
        """Return the bytes to write now, or b"" for none."""
        if self._current is None:
            if not self._wanted:
                return b""
            self._current = self._wanted.popleft()
            self._number, self._tries = (self._number + 1) % 10**9, 0
        elif self.now() < self._at:
            return b""
        if self._tries == self._current.tries:
            self._finish("silence", {})
            return b""
        self._tries, self._at, self._parts = self._tries + 1, self.now() + AGAIN_S, []
        # The leading newline ends a line that a user began to type, and the rest of a broken line.
        request = line.encode(self._number, self.master, self._current.verb, self._current.component)
        return f"\n{request}\n".encode()

    def refuse(self, why: str) -> None:
        """End the request that could not be sent."""
        if self._current is not None:
            self._finish("error", {"error": why})

    def take(self, item: Item) -> None:
        """Handle an item from the device."""
        if not isinstance(item, Reply) or self._current is None:
            return
        if (item.number, item.master) != (self._number, self.master):
            return
        if item.result == "part":
            self._take_part(item)
        elif item.result == "error" or item.fields.get("parts", "0") == str(len(self._parts)):
            self._finish(item.result, item.fields)
        else:
            self._at = self.now()  # some parts were lost on the way: ask again at once

    def _take_part(self, item: Reply) -> None:
        if len(self._parts) == MOST_PARTS:
            self._finish("error", {"error": f"the reply has more than {MOST_PARTS} parts"})
            return
        self._parts.append(item.fields)
        self._at = self.now() + AGAIN_S  # a long reply takes its time: more of it comes

    def _finish(self, result: str, fields: dict[str, str]) -> None:
        assert self._current is not None
        request, parts, self._current, self._parts = self._current, self._parts, None, []
        outcome = Outcome(request.verb, request.component, result, fields, parts)
        if request.then:
            request.then(outcome)
        else:
            self.done.append(outcome)
