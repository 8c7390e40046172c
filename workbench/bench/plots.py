# SPDX-License-Identifier: MIT
"""Plots of a results file: how latency is distributed, how it grows with memory, and the peers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.bench import goals
from workbench.bench.run import Row

COLOURS = {
    "kernel": "#1b6ca8",
    "user": "#2a9d5c",
    "early": "#d9a400",
    "naive": "#c8553d",
    "exec": "#8a6fb0",
}
LABELS = {
    "kernel": "kernel level",
    "user": "user level",
    "early": "user level, early",
    "naive": "N: waitpid, fork",
    "exec": "X: vfork, exec",
}
SIZE = (7.5, 4.2)  # inches
# The same results give the same file.
mpl.rcParams.update({"svg.hashsalt": "koboshi", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3})


def draw(parts: Mapping[str, Any], stem: Path) -> dict[str, Path]:
    """Those that the results are there for, by title."""
    plots = {}
    for part in ("latency-1", "latency-instructions", "latency-host"):
        if part in parts:
            plots[f"Distribution, 1 MB, {part}"] = _save(
                distribution(parts, part), stem, f"distribution-{part}"
            )
    for part in ("latency-1", "latency-2"):
        if part in parts:
            plots[f"Latency by size, {part}"] = _save(by_size(parts, part), stem, f"size-{part}")
    for part in ("closing", "closing-host"):
        if part in parts:
            plots[f"Latency by descriptors, {part}"] = _save(by_descriptors(parts, part), stem, part)
    if "peers" in parts:
        plots["Peers"] = _save(peers(parts["peers"]["rows"]), stem, "peers")
    return plots


def _save(figure: Figure, stem: Path, name: str) -> Path:
    path = stem.parent / f"{stem.name}-{name}.svg"
    figure.savefig(path, format="svg", metadata={"Date": None})
    return path


def _axes(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    return figure, axes


def _wanted(parts: Mapping[str, Any], part: str, variant: str, **more: object) -> list[Row]:
    """Paced, by SIGSEGV; the yardsticks fail by the first cause asked for."""
    found = goals.rows(parts, part, variant=variant, load="paced", **more)
    return [row for row in found if row["n"] and (row["cause"] == "segv" or variant in ("naive", "exec"))]


def distribution(parts: Mapping[str, Any], part: str) -> Figure:
    """The share of restarts that took no longer, at 1 MB."""
    figure, axes = _axes(f"1 MB, a crash every few milliseconds ({part})")
    for variant, colour in COLOURS.items():
        for row in _wanted(parts, part, variant, mb=1):
            xs, ys = cumulative(row.get("histogram", []))
            axes.step(xs, ys, where="post", color=colour, label=LABELS[variant])
    axes.set_xscale("log")
    axes.set_xlabel("microseconds from the failure to the first statement")
    axes.set_ylabel("share of restarts")
    axes.legend()
    return figure


def cumulative(histogram: list[list[int]]) -> tuple[list[float], list[float]]:
    """Microseconds, and the share that is not above."""
    total, so_far = sum(count for _, count in histogram), 0
    xs, ys = [], []
    for lower, count in histogram:
        so_far += count
        xs.append(lower / 1000)
        ys.append(so_far / total)
    return xs, ys


def by_size(parts: Mapping[str, Any], part: str) -> Figure:
    """Medians against resident memory, both logarithmic."""
    figure, axes = _axes(f"Median latency against resident memory ({part})")
    _medians(axes, parts, part, "mb")
    axes.set_xscale("log", base=2)
    return _with_medians(figure, axes, "MB")


def by_descriptors(parts: Mapping[str, Any], part: str) -> Figure:
    """Medians against how many descriptors what failed had to close, none among them."""
    figure, axes = _axes(f"Median latency against open sockets ({part})")
    _medians(axes, parts, part, "descriptors")
    axes.set_xscale("symlog", linthresh=10)
    return _with_medians(figure, axes, "descriptors")


def _medians(axes: Axes, parts: Mapping[str, Any], part: str, by: str) -> None:
    for variant, colour in COLOURS.items():
        found = sorted((row.get(by, 0), row["p50"] / 1000) for row in _wanted(parts, part, variant))
        if found:
            axes.plot(*zip(*found, strict=True), "o-", color=colour, label=LABELS[variant])


def _with_medians(figure: Figure, axes: Axes, what: str) -> Figure:
    """The rest of such a plot."""
    axes.set_yscale("log")
    axes.set_xlabel(what)
    axes.set_ylabel("microseconds")
    axes.legend()
    return figure


def peers(rows: list[Row]) -> Figure:
    """Medians, a bar each, logarithmic: a component that had been healthy, and one in a crash loop."""
    figure, axes = _axes("From the crash to the component's first statement")
    names = list(dict.fromkeys(row["peer"] for row in rows))
    for offset, (case, colour) in enumerate((("healthy", COLOURS["kernel"]), ("loop", COLOURS["naive"]))):
        medians = {row["peer"]: row["p50"] / 1e6 for row in rows if row["case"] == case and row["n"]}
        places = [i + 0.4 * offset - 0.2 for i, name in enumerate(names) if name in medians]
        axes.barh(
            places, [medians[name] for name in names if name in medians], 0.38, color=colour, label=case
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds, median")
    axes.legend()
    return figure
