# SPDX-License-Identifier: MIT
"""Renders the report as one self-contained HTML page: no script, no picture, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from koboshi_desk.console.decoder import Record
from koboshi_desk.console.times import stamp
from koboshi_desk.core.histogram import bucket_of, buckets
from koboshi_desk.device.model import spread
from koboshi_desk.device.timeline import WORST_FIRST, Line
from koboshi_desk.device.view import duration
from koboshi_desk.report.figures import Boot, Crash, Figures, Report, latencies

CSS = Path(__file__).with_name("style.css")
SLICES = 400  # of a timeline with more spans than these: more could not be told apart
LONGEST = 20  # rows of a table of single events; the rest is counted
LEGEND = {
    "ready": "ready",
    "running": "starting",
    "down": "down, given up; thin: a restart",
    "waiting": "waiting, stopped",
}


def page(reports: Sequence[Report], title: str, made: str = "") -> str:
    """Return the whole page; `made` says when and by what."""
    body = [f"<h1>{escape(title)}</h1>", _tiles(reports)]
    for report in reports:
        body.append(_report(report, many=len(reports) > 1))
    body.append(_distributions(latencies(reports)))
    body.append(
        f"<footer>Made by <code>koboshi report</code> {escape(made)}"
        " from the records on the serial console.</footer>"
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS.read_text()}</style>"
    )
    text = "\n".join(body)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{text}\n</body></html>\n'


def seconds(value: float) -> str:
    """Return a time span as text."""
    return duration(round(value * 1e6))


def _tiles(reports: Sequence[Report]) -> str:
    boots = [boot for report in reports for boot in report.boots]
    given_up = sum(boot.given_up for boot in boots)
    lost, garbled = (sum(getattr(report.counts, key) for report in reports) for key in ("lost", "garbled"))
    tiles = [
        (str(len(boots)), "boots", False),
        (str(sum(report.restarts for report in reports)), "restarts", False),
        (str(sum(boot.count(rehearsed=False) for boot in boots)), "crashes", False),
        (str(sum(len(boot.rehearsals) for boot in boots)), "rehearsed faults", False),
        (str(given_up), "given up", given_up > 0),
        (
            str(sum(len(report.findings) for report in reports)),
            "kernel findings",
            any(r.findings for r in reports),
        ),
        (f"{lost} / {garbled}", "records lost / garbled", lost + garbled > 0),
    ]
    made = (
        f'<div class="tile"><b{" class=bad" if bad else ""}>{value}</b><span>{what}</span></div>'
        for value, what, bad in tiles
    )
    return f'<div class="tiles">{"".join(made)}</div>'


def _report(report: Report, *, many: bool) -> str:
    parts = [f"<h2>{escape(report.name)}</h2>"] if many else []
    parts.append(f'<p class="soft">{escape(report.about)}</p>')
    if not report.boots:
        parts.append("<p>There is no record of a device in it.</p>")
    parts += [_boot(report, boot) for boot in report.boots]
    ended = [boot for boot in report.boots if boot.ended]
    if ended:
        rows = [[str(boot.number or "-"), seconds(boot.timeline.now), escape(boot.ended)] for boot in ended]
        parts.append("<h2>Reboots</h2>" + _table(["boot", "n after", "w how it ended"], rows))
    if report.elsewhere:
        parts.append(_elsewhere(report))
    return "\n".join(parts)


def _boot(report: Report, boot: Boot) -> str:
    model, figures = boot.model, report.figures(boot)
    title = title_of(boot)
    about = f"Linux {model.kernel or '?'}, rfork {model.rfork or '?'}, {boot.records} records in "
    about += f"{seconds(boot.seconds)}, times since the kernel began"
    about += f"; it began at {stamp(boot.began)}" if boot.began is not None else ""
    parts = [f"<h2>{escape(title)}</h2>", f'<p class="soft">{escape(about)}</p>']
    if figures:
        parts += [
            "<h3>Timeline</h3>",
            _timeline(boot, figures),
            "<h3>Components</h3>",
            _components(report, figures),
        ]
    if boot.crashes:
        parts += ["<h3>Crashes</h3>", _crashes(boot.crashes)]
    if boot.exceeded:
        parts += ['<h3 class="bad">Downtime budgets used up</h3>', _exceeded(boot.exceeded)]
    if boot.rehearsals:
        parts += ["<h3>Rehearsal</h3>", _rehearsals(boot.rehearsals)]
    if boot.findings:
        items = "".join(f"<li><code>{escape(str(finding))}</code></li>" for finding in boot.findings)
        parts += ['<h3 class="bad">What the kernel should not have said</h3>', f"<ul>{items}</ul>"]
    return "\n".join(parts)


def title_of(boot: Boot) -> str:
    """Return a heading; the first boot of a recording may have begun before it."""
    name = f"Boot {boot.number}" if boot.number else "Boot that was already running"
    return f"{name} {boot.model.boot_id}".rstrip()


def _timeline(boot: Boot, figures: Sequence[Figures]) -> str:
    begin, end = boot.timeline.begin, max(boot.timeline.now, boot.timeline.begin + 1e-3)
    rows = "".join(
        f'<div class="row"><span>{escape(one.component.name)}</span>'
        f'<div class="track">{"".join(_track(one.line, begin, end))}</div></div>'
        for one in figures
    )
    axis = f'<div class="axis"><span>{begin:.1f} s</span><span>{end:.1f} s</span></div>'
    legend = "".join(f'<span><i class="{state}"></i>{what}</span>' for state, what in LEGEND.items())
    return f'{rows}<div class="row"><span></span>{axis}</div><div class="legend">{legend}</div>'


def _track(line: Line, begin: float, end: float) -> Iterable[str]:
    scale = 100 / (end - begin)
    for state, first, last in _pieces(line, begin, end):
        left, width = (first - begin) * scale, (last - first) * scale
        tip = f"{state}, {first:.3f} s to {last:.3f} s"
        yield f'<i class="{state}" style="left:{left:.3f}%;width:{width:.3f}%" title="{tip}"></i>'
    for index, (time, level) in enumerate(line.marks):
        if index >= SLICES:
            break
        left, tip = (time - begin) * scale, f"{escape(level)} restart, {time:.3f} s"
        yield f'<i class="mark" style="left:{left:.3f}%" title="{tip}"></i>'


def _pieces(line: Line, begin: float, end: float) -> Iterable[tuple[str, float, float]]:
    if len(line.spans) <= SLICES:
        for span in line.spans:
            yield span.state, max(span.begin, begin), span.end if span.end is not None else end
        return
    step = (end - begin) / SLICES
    worst = [""] * SLICES
    for span in line.spans:  # each span once, however many there are
        last = span.end if span.end is not None else end
        for index in range(
            max(0, int((span.begin - begin) / step)), min(SLICES, int((last - begin) / step) + 1)
        ):
            worst[index] = _worse(worst[index], span.state)
    for index, state in enumerate(worst):
        if state:
            yield state, begin + index * step, begin + (index + 1) * step


def _worse(one: str, other: str) -> str:
    return next(state for state in WORST_FIRST if state in (one, other))


def _components(report: Report, figures: Sequence[Figures]) -> str:
    head = [
        "component",
        "state at the end",
        "n restarts",
        "n cold starts",
        "last cause",
        "n median",
        "n 99 %",
        "n worst",
    ]
    head += ["n down", "n longest", "n ready"] + (["n over budget"] if report.budget_s is not None else [])
    rows = []
    for one in figures:
        c, latency = one.component, one.latency
        row = [f"<b>{escape(c.name)}</b>", _state(c.state), str(c.restart_count), str(c.cold_starts)]
        row.append(escape(f"{c.cause} {c.status.removeprefix('signal:').replace('exit:', 'exit ')}".strip()))
        row += [duration(v) for v in (latency.p50, latency.p99, latency.max)] if latency else ["", "", ""]
        row += [seconds(one.down_s) if one.down_s else "0", seconds(one.longest_s) if one.longest_s else ""]
        row.append(f"{one.ready_share * 100:.4g} %" if one.ready_share is not None else "")
        if report.budget_s is not None:
            row.append(f'<span class="bad">{one.over_budget}</span>' if one.over_budget else "0")
        rows.append(row)
    return _table(head, rows)


def _state(state: str) -> str:
    return f'<span class="bad">{escape(state)}</span>' if state == "given-up" else escape(state)


def _crashes(crashes: Sequence[Crash]) -> str:
    rows = []
    for crash in crashes[:LONGEST]:
        where = f"<br><code>{escape(crash.where)}</code>" if crash.where else ""
        where += _kept(crash.record) if crash.record else ""
        rows.append(
            [f"{crash.time:.3f} s", escape(crash.component), escape(crash.answer), escape(crash.what) + where]
        )
    more = len(crashes) - LONGEST
    note = f'<p class="soft">and {more} more</p>' if more > 0 else ""
    return _table(["n time", "component", "answer", "w what"], rows) + note


def _kept(lines: Sequence[str]) -> str:
    text = "\n".join(escape(line) for line in lines)
    return f"<details><summary>the device's record</summary><pre>{text}</pre></details>"


def _elsewhere(report: Report) -> str:
    """Crash records of boots that this console has not seen."""
    rows = [
        [escape(one.boot), f"{one.time:.3f} s", escape(one.component), escape(one.fault) + _kept(lines)]
        for one, lines in report.elsewhere
    ]
    return "<h2>Crash records of other boots</h2>" + _table(["boot", "n time", "component", "w what"], rows)


def _exceeded(told: Sequence[Record]) -> str:
    rows = []
    for one in told:
        spans = [seconds((one.number(key) or 0) / 1000) for key in ("out_ms", "used_ms", "budget_ms")]
        window = escape(one.fields.get("window_s", "?"))
        rows.append([f"{one.time:.3f} s", escape(one.component), *spans, f"{window} s"])
    return _table(["n time", "component", "n this outage", "n used", "n of", "n in each"], rows)


def _rehearsals(results: Sequence[Record]) -> str:
    rows = []
    for one in results:
        fields, result = one.fields, escape(one.fields.get("result", ""))
        cells = [f"{one.time:.3f} s", escape(one.component or "supervisor"), escape(fields.get("fault", ""))]
        cells.append(f'<span class="bad">{result}</span>' if result == "failed" else result)
        rows.append(
            [*cells, escape(fields.get("expected", "")), escape(fields.get("saw") or fields.get("why", ""))]
        )
    return _table(["n time", "component", "fault", "result", "w what had to follow", "w what followed"], rows)


def _distributions(found: dict[str, list[int]]) -> str:
    if not found:
        return ""
    edges = buckets(value for values in found.values() for value in values)
    rows = "".join(_histogram(name, values, edges) for name, values in found.items())
    axis = f'<div class="axis"><span>{duration(edges[0])}</span><span>{duration(edges[-1])}</span></div>'
    return (
        '<h2>Restart latency</h2><p class="soft">From the failure to the start of the new instance; '
        "the scale is logarithmic, a bar is counted within its component.</p>"
        f'{rows}<div class="row"><span></span>{axis}</div>'
    )


def _histogram(name: str, values: Sequence[int], edges: Sequence[int]) -> str:
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[bucket_of(value, edges)] += 1
    tallest = max(counts)
    bars = "".join(
        f'<i style="height:{100 * n / tallest:.1f}%" title="{n} from {duration(a)} to {duration(b)}"></i>'
        for n, a, b in zip(counts, edges, edges[1:], strict=False)
    )
    s = spread(values)
    text = f"{len(values)}× · median {duration(s.p50)} · 99 % {duration(s.p99)} · worst {duration(s.max)}"
    return (
        f'<div class="row"><span>{escape(name)}</span><div><div class="hist">{bars}</div>'
        f'<span class="soft">{text}</span></div></div>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Titles that begin with `n ` are of numbers, with `w ` of text that wraps; cells are HTML."""
    classes = {"n": ' class="n"', "w": ' class="wrap"'}
    kinds = [classes.get(title.partition(" ")[0], "") for title in head]
    titles = [title[2:] if kind else title for title, kind in zip(head, kinds, strict=True)]
    top = "".join(f"<th{k}>{t}</th>" for k, t in zip(kinds, titles, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
