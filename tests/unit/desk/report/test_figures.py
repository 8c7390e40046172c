# SPDX-License-Identifier: MIT
"""The report of recorded consoles: its figures, its page, and the page in a real browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire import line as wire
from koboshi.wire import records

from koboshi_desk import cli
from koboshi_desk.console.times import tool_version
from koboshi_desk.core.histogram import bucket_of, buckets
from koboshi_desk.device.crashes import CrashRecord
from koboshi_desk.device.observed import Device
from koboshi_desk.report import html as report_html
from koboshi_desk.report import markdown as report_markdown
from koboshi_desk.report.figures import NO_WARNING, Report, read
from tests.unit.desk.device.test_model import BACK, BOOT, READY, RESTART
from workbench.core.repository import REPOSITORY

LOGS = REPOSITORY / "tests/data/console"
BANNER = ["[    0.000000] Linux version 6.12.1 (x)", "[    0.000000] Command line: quiet"]


def written(path: Path, *boots: list[str]) -> Path:
    """A console's log of these boots, each with the kernel's first lines."""
    path.write_text("".join(f"{line}\r\n" for boot in boots for line in [*BANNER, *boot]))
    return path


def boot(*more: object, events=(*BOOT, READY, RESTART, BACK)) -> list[str]:
    """The lines of a boot: records of events, and other lines as they are."""
    lines = [records.encode(seq, seq / 10, event, keys) for seq, (event, keys) in enumerate(events, 1)]
    return lines + [str(line) for line in more]


def test_figures_of_a_recorded_demo() -> None:
    """Boots, restarts, causes and latencies are those of the recorded demo."""
    found = read(LOGS / "quick-6.12-kernel.log")
    assert [one.number for one in found.boots] == [1, 2]
    assert found.restarts == 7
    assert found.boots[0].ended == "Restarting system"
    first = {one.component.name: one for one in found.figures(found.boots[0])}
    assert first["pilot"].component.cause == "heartbeat"
    assert first["syslogd"].latency is not None
    assert first["syslogd"].latency.n == 2
    assert [crash.component for crash in found.boots[0].crashes][:2] == ["syslogd", "httpd"]
    assert not found.boots[1].crashes


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], NO_WARNING),
        (["[    9.000000] Kernel panic - not syncing: x"], "kernel panic: Kernel panic - not syncing: x"),
        (["[    9.000000] reboot: Restarting system"], "Restarting system"),
        ([records.encode(9, 1, "stopping", {"component": "gps", "by": "shutdown"})], "orderly shutdown"),
        ([records.encode(9, 1, "ladder", {"rung": "reboot", "why": "gps"})], "the ladder's reboot: gps"),
    ],
)
def test_how_a_boot_ended(tmp_path: Path, lines: list[str], why: str) -> None:
    """Each reboot has its reason, as far as the console told it; the end of the log is no reboot."""
    found = read(written(tmp_path / "log", boot(*lines), boot()))
    assert [one.ended for one in found.boots] == [why, ""]


def test_rehearsal_is_told(tmp_path: Path) -> None:
    """A rehearsal's results have a table, and the crashes it made are told from others."""
    keys = {"component": "gps", "fault": "segv"}
    events = [
        *BOOT, READY, ("rehearsal", keys | {"result": "begun"}), RESTART, BACK,
        ("rehearsal", keys | {"result": "failed", "expected": "a restart by error", "saw": "<nothing>"}),
        ("rehearsal", {"result": "done", "failed": 1}), RESTART, BACK,
    ]  # fmt: skip
    found = read(written(tmp_path / "log", boot(events=events)))
    assert [crash.answer for crash in found.boots[0].crashes] == [
        "restarted warm (rehearsed)",
        "restarted warm",
    ]
    page = page_of(found)
    assert "&lt;nothing&gt;" in page
    assert '<span class="bad">failed</span>' in page
    assert "| gps | segv | failed | a restart by error | <nothing> |" in report_markdown.summary([found], "x")


def test_used_up_downtime_is_told(tmp_path: Path) -> None:
    """A component that was out of service for longer than its manifest allows is named, with the figures."""
    keys = {"component": "gps", "out_ms": 700, "used_ms": 2100, "budget_ms": 2000, "window_s": 86400}
    found = read(written(tmp_path / "log", boot(events=[*BOOT, READY, ("downtime", keys)])))
    assert "Downtime budgets used up" in page_of(found)
    assert '<td class="n">2.10 s</td>' in page_of(found)
    assert "gps has used 2100 ms of the 2000 ms" in report_markdown.summary([found], "x")


def test_reboots_of_a_recorded_ladder() -> None:
    """A device that climbed its ladder to the safe state: why each boot ended, and who was given up."""
    found = read(LOGS / "ladder-6.12.log")
    assert [one.ended for one in found.boots] == [
        "orderly shutdown: the ladder's reboot: crashing given-up",
        "orderly shutdown: the ladder's reboot: leaving given-up",
        "",
    ]
    assert [one.model.given_up for one in found.boots] == [1, 2, 0]
    assert not found.findings
    text = report_markdown.summary([found], "x")
    assert "Ended: orderly shutdown: the ladder's reboot: crashing given-up." in text


def test_reset_reason_is_told_by_the_next_boot(tmp_path: Path) -> None:
    """Where the console was silent, what the next boot found of the hardware counts."""
    after = boot(records.encode(9, 1, "reset", {"reason": "watchdog", "reboots": 1, "of": 3}))
    assert read(written(tmp_path / "log", boot(), after)).boots[0].ended == "watchdog"


def test_boot_whose_first_record_was_lost(tmp_path: Path) -> None:
    """The kernel's banner alone begins a boot, so that no outage spans two."""
    found = read(written(tmp_path / "log", boot(), boot()[1:]))
    assert [one.number for one in found.boots] == [1, 2]


def test_budget_counts_longer_outages(tmp_path: Path) -> None:
    """Outages longer than the budget are counted, shorter ones are not."""
    log = written(tmp_path / "log", boot())
    for budget, over in ((0.5, 1), (1.0, 0)):
        found = read(log, budget_s=budget)
        assert [one.over_budget for one in found.figures(found.boots[0])] == [over]


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=50))
def test_every_value_has_a_bucket(values: list[int]) -> None:
    """Whatever the latencies are, each falls between the edges of its bucket."""
    edges = buckets(values)
    assert edges == sorted(set(edges))
    for value in values:
        at = bucket_of(value, edges)
        assert edges[at] <= max(1, value) < edges[at + 1] or at == len(edges) - 2


class Checker(HTMLParser):
    """Notes what does not belong into a page that needs nothing else, and tags that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        if tag in ("script", "link", "img", "iframe", "object") or any(
            k in ("src", "href") for k, _ in attrs
        ):
            self.foreign.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """A tag ends, the last one that was opened."""
        assert self.open.pop() == tag


def page_of(*reports: Report) -> str:
    """The page, checked for what it must not have."""
    page = report_html.page(reports, "A <title> & more")
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    assert not checker.foreign
    assert not re.search(r"url\(|@import|https?:", page)
    return page


@pytest.mark.parametrize("log", sorted(LOGS.glob("*.log")), ids=lambda log: log.stem)
def test_page_needs_nothing_else(log: Path) -> None:
    """Of each recorded console there is a well-formed page without script and without external resource."""
    assert "A &lt;title&gt; &amp; more" in page_of(read(log))


def test_console_cannot_inject_into_the_page(tmp_path: Path) -> None:
    """What a component or the kernel says is text, whatever it looks like."""
    evil = "<script>alert(1)</script>"
    events = [*BOOT[:2], ("started", {"component": evil}), ("end", {"component": evil, "reason": evil})]
    lines = boot(f"[    9.000000] BUG: {evil}", events=events)
    assert evil not in page_of(read(written(tmp_path / "log", lines)))


def test_console_cannot_reach_the_terminal(tmp_path: Path) -> None:
    """What the device says moves no cursor where the summary is printed, and begins no line of its own."""
    evil = "\x1b[2J\x1b]0;owned\x07\x9bc"
    rise = ("restart", {**RESTART[1], "cause": f"{evil}\n# forged"})
    lines = boot(f"[    9.000000] BUG: {evil}", events=[*BOOT, READY, rise, BACK])
    text = report_markdown.summary([read(written(tmp_path / "log", lines))], "title")
    assert "owned" in text
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "\n# forged" not in text


def test_storm_does_not_make_an_endless_page(tmp_path: Path) -> None:
    """Three thousand restarts make a page of bounded size, with all of them counted."""
    events: list[tuple[str, dict[str, object]]] = [*BOOT, READY]
    for gen in range(1, 3001):
        events += [
            (RESTART[0], RESTART[1] | {"gen": gen, "fail_us": gen * 200000, "start_us": gen * 200000 + 9})
        ]
        events += [BACK]
    page = page_of(read(written(tmp_path / "log", boot(events=events))))
    assert len(page) < 400_000
    assert "3000×" in page
    assert "2980 more" in page


@pytest.mark.parametrize("text", ["", "nothing\n", "U-Boot 2023.01\n"])
def test_empty_log(tmp_path: Path, text: str) -> None:
    """A log without a record is a report that says so, not a failure, and not a boot."""
    (tmp_path / "log").write_text(text)
    found = read(tmp_path / "log")
    summary = report_markdown.summary([found], "x")
    assert "0 boots, 0 crashes, 0 restarts" in summary
    assert "no record of a device" in summary
    assert "Boot 0" not in summary + page_of(found)
    assert "no record of a device" in page_of(found)


def test_rehearsed_crashes_are_counted_apart(tmp_path: Path) -> None:
    """Crashes, restarts, outages and surrenders of a rehearsal are not those of the component's own life."""
    keys = {"component": "gps", "fault": "burst"}
    tide = ("restart", RESTART[1] | {"component": "tide", "gen": 1})
    events = [
        *BOOT, READY, ("rehearsal", keys | {"result": "begun"}), RESTART, BACK, tide,
        ("cold", {"component": "gps"}), ("started", READY[1] | {"runner": 9}),
        ("given-up", {"component": "gps"}),
        ("rehearsal", keys | {"result": "passed"}), RESTART, BACK,
    ]  # fmt: skip
    kept = [CrashRecord(7, "1a2b3c4d", 0.8, "gps", 99), CrashRecord(8, "1a2b3c4d", 90.0, "gps", 98)]
    found = read(written(tmp_path / "log", boot(events=events)), kept=kept)
    (one,) = found.boots
    assert [one.count(rehearsed=kind) for kind in (False, True)] == [3, 2]
    assert (found.restarts, found.rehearsed_restarts) == (2, 2)
    assert one.given_up == 0
    page = page_of(found)
    assert "<b>3</b><span>crashes</span>" in page
    assert "<b>1</b><span>rehearsed faults</span>" in page
    assert "3 crashes and 2 rehearsed ones, 2 restarts" in report_markdown.summary([found], "x")


@pytest.mark.parametrize("how", ["started", "reply"])
def test_crash_records_of_a_boot_that_was_running(tmp_path: Path, how: str) -> None:
    """A recording that began within a boot knows the boot's ID from other records, or from a reply."""
    started = ("started", {"component": "gps", "pid": 71, "runner": 70, "boot": "1a2b3c4d"})
    reply = wire.reply("7", "desk", "ok", {"boot": "1a2b3c4d", "parts": 0})
    lines = boot(events=[READY, started] if how == "started" else [READY])
    (tmp_path / "log").write_text("\n".join([*lines, *([reply] if how == "reply" else []), ""]))
    found = read(tmp_path / "log", kept=[CrashRecord(7, "1a2b3c4d", 0.8, "gps", 99)])
    assert not found.elsewhere
    assert [crash.pid for crash in found.boots[0].crashes] == [0]
    assert found.boots[0].crashes[0].record
    assert "Boot that was already running 1a2b3c4d" in page_of(found)
    assert "Boot 0" not in report_markdown.summary([found], "x")


def test_records_that_were_asked_for_count(tmp_path: Path) -> None:
    """What the line lost and the desk asked for while it recorded is in the report."""
    first, second, third = boot(events=[("boot", {"id": "1a2b3c4d"}), RESTART, BACK])
    reply = wire.reply("7", "desk", "part", {"record": second}, records.MAX_LINE)
    (tmp_path / "log").write_text("\n".join([first, third, reply, ""]))
    found = read(tmp_path / "log")
    assert (found.counts.lost, found.restarts, len(found.boots[0].crashes)) == (0, 1, 1)


def test_date_device_and_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says when and from which port it was recorded, and when and by what it was made."""
    device = Device("/dev/ttyUSB0", record_to=tmp_path / "x.log")
    device.take("\n".join([*boot(), ""]).encode(), 1764587601.25)
    device.close()
    assert cli.main(["report", str(tmp_path / "x.log"), "--html", str(tmp_path / "x.html")]) == 0
    page, summary = (tmp_path / "x.html").read_text(), capsys.readouterr().out
    for text in (page, summary):
        assert "Recorded from 2025-12-01T11:13:21.250Z to 2025-12-01T11:13:21.250Z on /dev/ttyUSB0" in text
        assert re.search(r"it began at 2025-12-01T11:13:2\d\.\d{3}Z", text)
        assert f"{tool_version()} at 20" in text
    assert "is not known" in report_markdown.summary([read(LOGS / "demo.log")], "x")


def test_markdown_has_the_figures() -> None:
    """The summary has a line for each component, and each crash."""
    text = report_markdown.summary([read(LOGS / "quick-6.12-user.log")], "Demo")
    assert text.startswith("# Demo\n")
    assert re.search(r"\| syslogd \| ready \| 2 \| 0 \| .* ms \|", text)
    assert "heartbeat SIGKILL" in text
    assert "Ended: Restarting system." in text


def test_command_writes_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`koboshi report` writes the page, and the summary to a file or to standard output."""
    page, text = tmp_path / "r.html", tmp_path / "r.md"
    log = str(LOGS / "demo.log")
    assert cli.main(["report", log, log, "--html", str(page), "--markdown", str(text)]) == 0
    assert page.read_text().startswith("<!doctype html>")
    assert text.read_text().count("## demo.log") == 2
    assert capsys.readouterr().out.strip() == str(page)
    assert cli.main(["report", log, "--html", str(page)]) == 0
    assert "# Koboshi report" in capsys.readouterr().out


def test_log_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is a line, and nothing is written."""
    assert cli.main(["report", str(tmp_path / "none"), "--html", str(tmp_path / "r.html")]) == 1
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
