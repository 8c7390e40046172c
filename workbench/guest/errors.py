# SPDX-License-Identifier: MIT
"""Errors of a guest: each says how far it came, or what it refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError


class BootError(KoboshiError):
    """A guest did not come as far as it should have.

    `phase` says how far it was to come (qemu, kernel, all-ready, ...), `log` is the console's log with every
    byte, `last_lines` are its last lines.
    """

    def __init__(self, phase: str, log: Path | None, last_lines: Sequence[str], reason: str = "") -> None:
        self.phase = phase
        self.log = log
        self.last_lines = list(last_lines)
        self.reason = reason
        super().__init__(self._text())

    def _text(self) -> str:
        head = f"boot failed in phase '{self.phase}'" + (f": {self.reason}" if self.reason else "")
        tail = [f"  | {line}" for line in self.last_lines] or ["  | (nothing on the console)"]
        return "\n".join([head, *tail, f"the whole console: {self.log}"])


class ShellError(KoboshiError):
    """A command in the guest's shell failed, or its end was never seen (`status` None)."""

    def __init__(self, command: str, status: int | None, output: str, reason: str = "") -> None:
        self.command = command
        self.status = status
        self.output = output
        what = reason or (f"exit status {status}" if status is not None else "its end was never seen")
        super().__init__(f"in the guest: {command}: {what}\n{output}".rstrip())


class QmpError(KoboshiError):
    """QEMU refused a QMP command."""

    def __init__(self, command: str, reason: str) -> None:
        self.command = command
        self.reason = reason
        super().__init__(f"QMP {command}: {reason}")
