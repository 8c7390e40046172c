# SPDX-License-Identifier: MIT
"""Makes the pictures in docs/ anew, from recorded consoles."""

from __future__ import annotations

import tempfile
from pathlib import Path

from workbench import browser, progress, report, report_html, watch
from workbench.device import Device
from workbench.repository import REPOSITORY

DOCS = REPOSITORY / "docs"
LOGS = REPOSITORY / "tests/data/console"
REPORT_SIZE = (1060, 640)


def make() -> None:
    """docs/watch.svg and docs/report.png."""
    for picture in (watch_picture(DOCS / "watch.svg"), report_picture(DOCS / "report.png")):
        progress.note(f"{picture}: {picture.stat().st_size // 1024} KB")


def watch_picture(to: Path) -> Path:
    """The watch view at the end of the demo's console."""
    device = Device("tests/data/console/demo.log", live=False)
    device.take((LOGS / "demo.log").read_bytes())
    watch.export_svg(device, to)
    return to


def report_picture(to: Path) -> Path:
    """The top of a demo's report."""
    with tempfile.TemporaryDirectory(prefix="koboshi-screens-") as folder:
        page = Path(folder) / "report.html"
        page.write_text(report_html.page([report.read(LOGS / "quick-6.12-kernel.log")], "A demo's report"))
        browser.screenshot(page, to, width=REPORT_SIZE[0], height=REPORT_SIZE[1])
    return to
