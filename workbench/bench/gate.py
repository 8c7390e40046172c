# SPDX-License-Identifier: MIT
"""The gate: instructions from the fault to the first of the next instance may not grow by more than 2 %.

Counted under QEMU's -icount on one CPU, where the same programs give the same counts on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.bench.run import BENCH, Place, Row, run
from workbench.kernel import build as kernel
from workbench.kernel import lines

FILE = BENCH / "gate.json"
ALLOWED = 1.02
MEMORY_MB = 320
COMMAND = "latency --sizes 1,64 --count 60 --rounds 1 --causes segv --no-yardsticks"


@dataclass(frozen=True)
class Counts:
    """Of one kernel line: medians by variant, and what they depend on besides this repository."""

    made_with: dict[str, str]
    medians: dict[str, int]


def measure(line: str) -> Counts:
    """The counts as they are now."""
    done = run(COMMAND.split(), Place(line, memory_mb=MEMORY_MB, icount=0))
    return Counts(depends_on(line), medians(done.rows))


def depends_on(line: str) -> dict[str, str]:
    """What is not this repository's and changes the counts: compiler, linker, the kernel's release."""
    return {**kernel.tool_versions(), "kernel": kernel.build(line).release}


def medians(rows: Sequence[Row]) -> dict[str, int]:
    """By `kernel paced segv 1 MB`."""
    return {f"{row['variant']} {row['load']} {row['cause']} {row['mb']} MB": row["p50"] for row in rows}


def recorded(file: Path = FILE) -> dict[str, Counts]:
    """What was recorded, by kernel line."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {line: Counts(**counts) for line, counts in found.items()}


def record(line: str, counts: Counts, file: Path = FILE) -> None:
    """Keep these."""
    every = {**recorded(file), line: counts}
    text = json.dumps({name: vars(every[name]) for name in sorted(every)}, indent=1)
    file.write_text(text + "\n")


def incomparable(old: Counts, new: Counts) -> str:
    """Why the two can't be compared; "" if they can."""
    differing = [name for name, version in new.made_with.items() if old.made_with.get(name) != version]
    return "; ".join(f"{name}: recorded with {old.made_with.get(name)}" for name in differing)


def grown(old: Mapping[str, int], new: Mapping[str, int]) -> list[str]:
    """What became slower by more than is allowed, or is missing, a line each."""
    found = []
    for name, before in old.items():
        if name not in new:
            found.append(f"{name}: {before} instructions recorded, none measured")
        elif new[name] > before * ALLOWED:
            found.append(f"{name}: {new[name]} instructions, {before} recorded ({new[name] / before:.3f})")
    return found


def table(old: Mapping[str, int], new: Mapping[str, int]) -> str:
    """Each count beside the recorded one."""
    width = max(map(len, new), default=0)
    rows = []
    for name, count in new.items():
        before = old.get(name)
        ratio = f"{before:>10} recorded  {count / before:.3f}" if before else "  none recorded"
        rows.append(f"{name:<{width}}{count:>10} {ratio}")
    return "\n".join(rows)


def check(line: str, *, keep: bool) -> int:
    """Measure a line, print, and compare or (`keep`) record; 1 if something has grown."""
    new = measure(lines.find(line).name)
    old = recorded().get(line, Counts({}, {}))
    print(f"{line}: instructions from fault to first instruction\n{table(old.medians, new.medians)}")
    if keep:
        record(line, new)
        return 0
    if reason := incomparable(old, new):
        print(f"not compared: {reason}; ./dev bench gate --record keeps today's")
        return 0
    failures = grown(old.medians, new.medians)
    print("\n".join(failures) if failures else "nothing has grown")
    return 1 if failures else 0
