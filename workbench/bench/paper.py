# SPDX-License-Identifier: MIT
"""The paper's table beside ours: 1,000 restarts at each level, mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.bench.run import Row

# Shimada, Ishikawa, Nakajima: Linux 2.6.23, Debian lenny, Core2 Quad; microseconds.
PAPER = {"user": (310.4, 64.84), "kernel": (295.63, 20.63)}


def ratios(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Kernel by user level: of the means, and of the deviations."""
    found = {row["level"]: row for row in rows}
    if len(found) < 2:
        return None
    kernel, user = found["kernel"], found["user"]
    return kernel["mean"] / user["mean"], kernel["stddev"] / max(user["stddev"], 1)


def table(rows: Sequence[Row]) -> str:
    """In microseconds, the paper's figures first."""
    found = {row["level"]: row for row in rows}
    text = ["                     paper: mean  deviation        here: mean  deviation     median    restarts"]
    for level, (mean, deviation) in PAPER.items():
        if level in found:
            row = found[level]
            own = [row["mean"] / 1000, row["stddev"] / 1000, row["p50"] / 1000]
            text.append(
                f"{level + ' level':<16}{mean:>16.2f}{deviation:>11.2f}"
                f"{own[0]:>18.2f}{own[1]:>11.2f}{own[2]:>11.2f}{row['n']:>12}"
            )
    if both := ratios(rows):
        paper = [PAPER["kernel"][i] / PAPER["user"][i] for i in range(2)]
        text.append(
            f"{'kernel / user':<16}{paper[0]:>16.3f}{paper[1]:>11.3f}{both[0]:>18.3f}{both[1]:>11.3f}"
        )
    return "\n".join(text)
