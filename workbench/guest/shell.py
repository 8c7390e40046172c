# SPDX-License-Identifier: MIT
"""Commands in the guest's console shell, on a line that records and kernel messages share.

A command's output is kept in a file in the guest and printed with a mark before each line, so that others'
lines fall out and a damaged print can be asked for again. The command itself is never typed twice.
"""

from __future__ import annotations

import re
import secrets
import shlex
from dataclasses import dataclass

from koboshi_desk.console.decoder import Item, Text
from koboshi_desk.console.session import Console
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleTimeoutError
from workbench.guest.errors import ShellError

PROBE_S = 2.0
REPRINT_S = 5.0
# Neither prompt nor line editing nor echo from here on; a command cannot eat the lines after it.
LOOP = b'stty -echo; while IFS= read -r l; do eval "$l"; done\n'


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed (standard output and error together)."""

    status: int
    output: str


class Shell:
    """One at a time per console; waits in `deadline` seconds (multiplied by KOBOSHI_SLOW)."""

    def __init__(self, console: Console, directory: str = "/run") -> None:
        self._console = console
        self.directory = directory  # for what commands print: only root may write there
        self._lines: list[str] = []
        self._wanted = ""
        self._looping = False
        console.listen(self._take)

    def _take(self, item: Item) -> None:
        """Keep the lines that carry the mark of the command under way."""
        if self._wanted and isinstance(item, Text) and (at := item.text.find(self._wanted)) >= 0:
            self._lines.append(item.text[at + len(self._wanted) :])

    def attach(self, deadline: Deadline) -> None:
        """Find a shell at the other end and make it read commands without echo."""
        while not self._looping:
            if deadline.expired:
                raise ConsoleTimeoutError("shell", deadline.seconds, self._console.last_lines())
            self._console.write(b"\n" + LOOP)
            self._looping = self._probe(deadline.within(PROBE_S))

    def _probe(self, deadline: Deadline) -> bool:
        token = self._begin()
        self._console.write(f"echo @sh-''{token}'|'alive\n".encode())
        try:
            self._console.until(lambda: "alive" in self._lines, deadline, "shell")
        except ConsoleTimeoutError:
            return False
        finally:
            self._wanted = ""
        return True

    def _begin(self) -> str:
        """A token for a new command. The typed text has '' in the mark, so that its echo does not match."""
        token = secrets.token_hex(4)
        self._lines = []
        self._wanted = f"@sh-{token}|"
        return token

    def forget(self) -> None:
        """The guest was reset: the next command looks for a shell again."""
        self._looping = False

    def run(self, command: str, seconds: float = 30.0, *, check: bool = True) -> Result:
        """Run `command` with /bin/sh and return its end; ShellError for a status other than 0 if `check`."""
        deadline = Deadline(seconds, command)
        if not self._looping:
            self.attach(deadline)
        token = self._begin()
        try:
            self._console.write(self._typed(command, token).encode())
            result = self._collect(command, token, deadline)
        finally:
            self._wanted = ""
        if check and result.status != 0:
            raise ShellError(command, result.status, result.output)
        return result

    def send(self, command: str) -> None:
        """Type a command whose end cannot be seen (a reboot); do not wait."""
        self._console.write(command.encode() + b"\n")

    def _typed(self, command: str, token: str) -> str:
        """At most 4095 bytes can be typed in a line of a terminal."""
        out = f"{self.directory}/.sh-{token}"
        line = f"sh -c {shlex.quote(command)} </dev/null >{out} 2>&1; echo $? >{out}.s; "
        line += f"{self._print(token)}\n"
        if len(line.encode()) > 4000 or "\n" in line[:-1]:
            raise ValueError("a command must be one line of at most about 3800 bytes: put it in a script")
        return line

    def _print(self, token: str) -> str:
        """Marked lines `|:LINE`, then `|= STATUS BYTES`; may be typed again at any time."""
        out = f"{self.directory}/.sh-{token}"
        mark = f"@sh-''{token}'|'"
        return f'sed "s/^/"{mark}:/ {out}; echo; echo {mark}= $(cat {out}.s) $(wc -c <{out})'

    def _collect(self, command: str, token: str, deadline: Deadline) -> Result:
        attempt = deadline.within(deadline.seconds / 2)
        while True:
            result = self._attempt(attempt)
            if result is not None:
                out = f"{self.directory}/.sh-{token}"
                self._console.write(f"rm -f {out} {out}.s\n".encode())
                return result
            if deadline.expired:
                raise ShellError(command, None, "\n".join(self._console.last_lines()))
            self._lines = []
            self._console.write(f"\n{self._print(token)}\n".encode())
            attempt = deadline.within(REPRINT_S)

    def _attempt(self, deadline: Deadline) -> Result | None:
        try:
            self._console.until(self._ended, deadline, "end of a command")
        except ConsoleTimeoutError:
            return None
        return self._whole()

    def _ended(self) -> bool:
        return bool(self._lines) and self._lines[-1].startswith("=")

    def _whole(self) -> Result | None:
        """The result, or None where a line of it is missing or was broken up."""
        end = re.fullmatch(r"= (\d+) (\d+)", self._lines[-1].strip())
        body = [line[1:] for line in self._lines[:-1] if line.startswith(":")]
        if end is None or not _right_size("\n".join(body), int(end.group(2))):
            return None
        return Result(int(end.group(1)), "\n".join(body))


def _right_size(text: str, size: int) -> bool:
    """Return whether `text`, with or without a last newline, is `size` bytes; accept invalid UTF-8."""
    return "\ufffd" in text or size - len(text.encode()) in (0, 1)
