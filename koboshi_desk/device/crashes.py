# SPDX-License-Identifier: MIT
"""The device's crash records (docs/supervisor.md, Evidence): from its console, or from koboshictl's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from koboshi_desk.console.decoder import Reply
from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.device.symbols import Symbols

REGISTERS_A_LINE = 4


@dataclass(frozen=True)
class CrashRecord:
    """One of them; texts are empty and numbers 0 where the device had nothing to say."""

    number: int
    boot: str
    time: float
    component: str
    pid: int = 0
    fault: str = ""
    decision: str = ""
    kernel: str = ""
    output: str = ""
    skipped: int = 0
    registers: dict[str, str] = field(default_factory=dict)
    stack: tuple[str, ...] = ()
    memory_kb: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """Each is read again and again; this tells them apart."""
        return self.boot, self.number

    def lines(self, symbols: Symbols) -> Iterator[str]:
        """What it says, for people; addresses in files as functions and lines where the ELF file is there."""
        yield f"{self.component}, process {self.pid}: {symbols.named(self.fault) or 'an unknown fault'}"
        if self.decision:
            yield f"followed by: {self.decision}" + (
                f"; {self.skipped} like it before were not kept" if self.skipped else ""
            )
        if self.kernel:
            yield f"kernel: {self.kernel}"
        yield from _rows([f"{name:>6} {value}" for name, value in self.registers.items()])
        for depth, place in enumerate(self.stack):
            yield f"  #{depth:<2} {symbols.named(place)}"
        if self.memory_kb:
            yield "memory: " + ", ".join(f"{name} {value} kB" for name, value in self.memory_kb.items())
        for line in self.output.splitlines():
            yield f"said: {line}"


def _rows(words: list[str]) -> Iterator[str]:
    for at in range(0, len(words), REGISTERS_A_LINE):
        yield "  ".join(words[at : at + REGISTERS_A_LINE])


def from_reply(reply: Reply) -> CrashRecord | None:
    """Return the crash record in a part of the reply to `crashes`, or None for any other reply."""
    if reply.result != "part" or not {"number", "component", "boot"} <= reply.fields.keys():
        return None
    return _record(dict(reply.fields))


def from_file(path: Path) -> list[CrashRecord]:
    """Read the output of `koboshictl --json crashes`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content["crashes"]
        return [_record({str(key): value for key, value in one.items()}) for one in found]
    except OSError as error:
        raise KoboshiError(f"{path}: {error.strerror}; --crashes names a file") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = "what koboshictl --json crashes prints is needed"
        raise KoboshiError(f"{path}: no crash records; {expected}") from error


def _record(values: dict[str, object]) -> CrashRecord:
    def text(key: str) -> str:
        value = values.get(key)
        return "" if value is None else str(value)

    return CrashRecord(
        number=int(_number(text("number"))),
        boot=text("boot"),
        time=_number(text("time")),
        component=text("component"),
        pid=int(_number(text("pid"))),
        fault=text("fault"),
        decision=text("decision"),
        kernel=text("kernel"),
        output=text("output"),
        skipped=int(_number(text("skipped"))),
        registers=_table(values.get("registers")),
        stack=tuple(_list(values.get("stack"))),
        memory_kb=_table(values.get("memory_kb")),
    )


def _number(text: str) -> float:
    try:
        return max(0.0, min(float(text), 1e15))
    except ValueError:
        return 0.0


def _table(value: object) -> dict[str, str]:
    """A table as JSON has it, or as a reply does: `name:value,name:value`."""
    if isinstance(value, dict):
        return {str(name): str(one) for name, one in value.items()}
    pairs = (word.partition(":") for word in _list(value))
    return {name: one for name, _, one in pairs if name}


def _list(value: object) -> Iterable[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    return [word for word in value.split(",") if word] if isinstance(value, str) else []
