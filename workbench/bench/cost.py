# SPDX-License-Identifier: MIT
"""Cost of the patches for processes that do not use them: instructions against a stock kernel."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from workbench.bench.run import Place, Row, Run, run
from workbench.kernel import lines

GATE = 1.01  # of the stock kernel's instructions


@dataclass(frozen=True)
class Cost:
    """Instructions of one, median of the rounds, without and with the patches."""

    what: str
    stock: float
    patched: float

    @property
    def ratio(self) -> float:
        """1.0: none."""
        return self.patched / self.stock

    @property
    def within(self) -> bool:
        """Return whether the cost is within the bound."""
        return self.ratio <= GATE


def measure(line: str, rounds: int, count: int) -> tuple[list[Cost], list[Run]]:
    """Measure both kernels, in guests whose clock counts instructions."""
    command = ["cost", str(rounds), str(count)]
    runs = [run(command, Place(line=name, icount=0)) for name in (line + lines.STOCK, line)]
    return compare(runs[0].rows, runs[1].rows), runs


def compare(stock: list[Row], patched: list[Row]) -> list[Cost]:
    """In the order of the program."""
    names = list(dict.fromkeys(row["what"] for row in stock))
    return [Cost(name, _median(stock, name), _median(patched, name)) for name in names]


def _median(rows: list[Row], what: str) -> float:
    return float(median(row["each"] for row in rows if row["what"] == what))


def text(costs: list[Cost]) -> str:
    """A line each."""
    return "\n".join(
        f"{cost.what:15} {cost.stock:12.0f} {cost.patched:12.0f} instructions  {cost.ratio:.4f}"
        f"{'' if cost.within else f'  more than {GATE}'}"
        for cost in costs
    )
