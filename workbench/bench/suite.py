# SPDX-License-Identifier: MIT
"""The whole benchmark, part by part, into one results file: what is in it already is not measured again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koboshi_desk.core.errors import KoboshiError
from workbench.bench import goals as bench_goals
from workbench.bench.run import BENCH
from workbench.core import progress

RESULTS = BENCH / "results" / "tcg.json"
SEEDS = "none: nothing is drawn by chance; where instructions are counted, addresses are fixed (norandmaps)"


@dataclass(frozen=True)
class Part:
    """A benchmark with its arguments, as on the command line."""

    what: str
    options: dict[str, Any]

    @property
    def command(self) -> str:
        """What repeats it by itself."""
        words = [
            f"--{key.replace('_', '-')}" + ("" if value is True else f" '{value}'")
            for key, value in self.options.items()
        ]
        return " ".join(["./dev bench", self.what, *words])


_SEGV = "--causes segv --rounds 2 --histogram"
PARTS = {
    "latency-instructions": Part(
        "latency", {"icount": True, "sizes": "1", "count": 40, "more": "--rounds 2 --histogram"}
    ),
    "latency-instructions-1024": Part(
        "latency", {"icount": True, "sizes": "1,1024", "count": 8, "more": _SEGV}
    ),
    "latency-1": Part(
        "latency",
        {"smp": 1, "sizes": "1,16,256,1024", "count": 200, "more": "--rounds 2 --budget-s 6 --histogram"},
    ),
    "latency-2": Part(
        "latency",
        {
            "smp": 2,
            "sizes": "1,1024",
            "count": 200,
            "more": "--rounds 2 --budget-s 6 --causes segv --histogram",
        },
    ),
    "latency-host": Part(
        "latency",
        {
            "line": "host",
            "sizes": "1",
            "count": 400,
            "more": "--rounds 4 --pin --causes exit,segv --histogram",
        },
    ),
    # The same pause at both sizes: what has slept for long finds cold caches, whatever its size.
    "latency-host-1024": Part(
        "latency",
        {
            "line": "host",
            "sizes": "1,1024",
            "count": 80,
            "more": "--rounds 2 --pin --pause-us 130000 --causes segv --histogram",
        },
    ),
    "latency-linux-2.6.23": Part(
        "latency", {"line": "linux-2.6.23", "icount": True, "sizes": "1,64", "count": 40, "more": _SEGV}
    ),
    "closing": Part("closing", {"icount": True, "count": 20}),
    "closing-host": Part("closing", {"line": "host", "count": 200}),
    "paper-linux-6.12": Part("paper", {"line": "linux-6.12", "icount": True}),
    "paper-linux-2.6.23": Part("paper", {"line": "linux-2.6.23", "icount": True}),
    "memory": Part("memory", {"icount": True}),
    "components": Part("components", {}),
    "boot": Part("boot", {}),
    "footprint": Part("footprint", {}),
    "peers": Part("peers", {}),
    "cost": Part("cost", {}),
}
Measure = Callable[[Part], dict[str, Any]]


def run(file: Path, names: Sequence[str], measure: Measure) -> int:
    """Measure these parts (none: those that the file has not got), then the goals; 1 if a must is not met."""
    if unknown := [name for name in names if name not in PARTS]:
        raise KoboshiError(f"bench all: no part {', '.join(unknown)}; there is {', '.join(PARTS)}")
    results = load(file)
    for name in names or [name for name in PARTS if name not in results["parts"]]:
        progress.note(f"bench: part {name}")
        part = PARTS[name]
        results["parts"][name] = {"repeat": part.command, **measure(part)}
        save(file, results)  # a part takes minutes: none is lost because a later one fails
    save(file, results)
    goals = bench_goals.compute(results["parts"])
    print(
        bench_goals.table(
            goals,
            lambda cells: f"{cells[0]:<62}{cells[1]:>9}{cells[2]:>10}{cells[3]:>10}  {cells[4]:<5}{cells[5]}",
        )
    )
    return 0 if all(goal.met for goal in goals) else 1


def load(file: Path) -> dict[str, Any]:
    """What the file has, or nothing yet."""
    if not file.exists():
        return {"parts": {}}
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise KoboshiError(f"{file}: {error}; not a valid results file") from error
    return found


def save(file: Path, results: dict[str, Any]) -> None:
    """Write the results file with recomputed goals: parts in order, one row per line."""
    parts = {name: results["parts"][name] for name in PARTS if name in results["parts"]}
    goals = [goal.as_json() for goal in bench_goals.compute(parts)]
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(as_text({"seeds": SEEDS, "goals": goals, "parts": parts}) + "\n")
    new.replace(file)


def as_text(value: object, depth: int = 0) -> str:
    """JSON, with what holds only plain values on a line of its own."""
    plain = json.dumps(value)
    if (depth and len(plain) < 100) or not isinstance(value, dict | list) or _is_row(value):
        return plain
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        inner = [f"{pad}{json.dumps(key)}: {as_text(each, depth + 1)}" for key, each in value.items()]
        return "{\n" + ",\n".join(inner) + "\n" + " " * depth + "}"
    inner = [pad + as_text(each, depth + 1) for each in value]
    return "[\n" + ",\n".join(inner) + "\n" + " " * depth + "]"


def _is_row(value: object) -> bool:
    return isinstance(value, dict) and ("bench" in value or "must" in value)
