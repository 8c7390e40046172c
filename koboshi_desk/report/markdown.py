# SPDX-License-Identifier: MIT
"""Renders the report as Markdown, for a mail, an issue or a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from koboshi_desk.console.text import harmless
from koboshi_desk.console.times import stamp
from koboshi_desk.device.view import duration
from koboshi_desk.report.figures import Boot, Report
from koboshi_desk.report.html import title_of

LONGEST = 20  # rows of a table of single events; the rest is counted


def summary(reports: Sequence[Report], title: str, made: str = "") -> str:
    """Return the whole text; `made` says when and by what."""
    parts = [f"# {title}", "", f"Made by koboshi report {made}".rstrip() + ".", ""]
    for report in reports:
        parts += _report(report)
    # It is printed too, and what components said must not act on a terminal.
    return "\n".join(map(harmless, parts)).rstrip() + "\n"


def _report(report: Report) -> list[str]:
    counts = report.counts
    parts = [
        f"## {report.name}",
        "",
        report.about,
        "",
        f"{len(report.boots)} boots, {_crashed(report)}, {report.restarts} restarts, {counts.records} records"
        f" ({counts.lost} lost, {counts.garbled} garbled, {counts.repeated} repeated),"
        f" {len(report.findings)} kernel findings.",
        "",
    ]
    if not report.boots:
        parts += ["There is no record of a device in it.", ""]
    for boot in report.boots:
        parts += _boot(report, boot)
    for one, lines in report.elsewhere:
        parts += [f"Boot {one.boot}, which is not in this log:", "", *_kept(one.time, lines)]
    return parts


def _boot(report: Report, boot: Boot) -> list[str]:
    model = boot.model
    about = f"Linux {model.kernel or '?'}, rfork {model.rfork or '?'}, {duration(round(boot.seconds * 1e6))}"
    about += f"; it began at {stamp(boot.began)}" if boot.began is not None else ""
    parts = [f"### {title_of(boot)}", "", about + ".", ""]
    rows = []
    for one in report.figures(boot):
        c, latency = one.component, one.latency
        row = [c.name, c.state, str(c.restart_count), str(c.cold_starts)]
        row += [duration(latency.p50), duration(latency.max)] if latency else ["", ""]
        row.append(duration(round(one.down_s * 1e6)))
        row.append(f"{one.ready_share * 100:.4g} %" if one.ready_share is not None else "")
        rows.append([*row, str(one.over_budget)] if report.budget_s is not None else row)
    if rows:
        head = ["component", "state", "restarts", "cold starts", "median", "worst", "down", "ready"]
        parts += _table(head + (["over budget"] if report.budget_s is not None else []), rows)
    parts += _crashes(boot)
    parts += _exceeded(boot)
    parts += _rehearsals(boot)
    parts += [f"- kernel: `{finding}`" for finding in boot.findings] + ([""] if boot.findings else [])
    return [*parts, f"Ended: {boot.ended}.", ""] if boot.ended else parts


def _crashed(report: Report) -> str:
    real, rehearsed = (sum(boot.count(rehearsed=kind) for boot in report.boots) for kind in (False, True))
    return f"{real} crashes" + (f" and {rehearsed} rehearsed ones" if rehearsed else "")


def _crashes(boot: Boot) -> list[str]:
    rows = [
        [f"{crash.time:.3f} s", crash.component, crash.what, crash.where, crash.answer]
        for crash in boot.crashes[:LONGEST]
    ]
    more = len(boot.crashes) - LONGEST
    table = _table(["crash at", "component", "what", "where", "answer"], rows) if rows else []
    table += [f"and {more} more crashes.", ""] if more > 0 else []
    return table + [line for crash in boot.crashes[:LONGEST] for line in _kept(crash.time, crash.record)]


def _kept(time: float, lines: Sequence[str]) -> list[str]:
    """The device's own record, as it is."""
    return (
        [f"The device's record of the crash at {time:.3f} s:", "", *(f"    {line}" for line in lines), ""]
        if lines
        else []
    )


def _exceeded(boot: Boot) -> list[str]:
    lines = []
    for one in boot.exceeded:
        used, most, window = (one.fields.get(key, "?") for key in ("used_ms", "budget_ms", "window_s"))
        lines.append(f"- downtime: {one.component} has used {used} ms of the {most} ms in each {window} s")
    return [*lines, ""] if lines else []


def _rehearsals(boot: Boot) -> list[str]:
    rows = [
        [
            one.component or "supervisor",
            *(one.fields.get(key, "") for key in ("fault", "result", "expected", "saw")),
        ]
        for one in boot.rehearsals
    ]
    return _table(["rehearsed", "fault", "result", "had to follow", "followed"], rows) if rows else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]
