# SPDX-License-Identifier: MIT
"""Remakes the pictures in docs/ from recorded consoles."""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from koboshi_desk.device.observed import Device
from koboshi_desk.report import figures as report
from koboshi_desk.report import html as report_html
from koboshi_desk.watch import live as watch
from workbench.core import progress
from workbench.core.repository import REPOSITORY
from workbench.project import browser

DOCS = REPOSITORY / "docs"
LOGS = REPOSITORY / "tests/data/console"
REPORT_SIZE = (1060, 640)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MADE_FROM = b"koboshi-page"  # the picture's own word on what it shows: browsers differ in its pixels


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


def report_page() -> str:
    """The demo's report."""
    return report_html.page([report.read(LOGS / "quick-6.12-kernel.log")], "A demo's report")


def report_picture(to: Path) -> Path:
    """Its top, in a browser."""
    text = report_page()
    with tempfile.TemporaryDirectory(prefix="koboshi-screens-") as folder, browser.Browser() as window:
        page = Path(folder) / "report.html"
        page.write_text(text)
        window.look(*REPORT_SIZE)
        window.open(page)
        to.write_bytes(_labelled(window.screenshot(), digest(text)))
    return to


def digest(page: str) -> str:
    """What stands in the picture of a page."""
    return hashlib.sha256(page.encode()).hexdigest()


def made_from(png: bytes) -> str:
    """The digest of the page that a picture was made from; "" if it does not say."""
    texts = (data.partition(b"\0") for kind, data in _chunks(png) if kind == b"tEXt")
    return next((text.decode() for key, _, text in texts if key == MADE_FROM), "")


def _labelled(png: bytes, text: str) -> bytes:
    """With a tEXt chunk before the last one (ISO/IEC 15948, 11.3.4.3)."""
    body = b"tEXt" + MADE_FROM + b"\0" + text.encode()
    chunk = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk + png[end:]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(png):
        size = int.from_bytes(png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12
