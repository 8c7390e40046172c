# SPDX-License-Identifier: MIT
"""The pictures in the documentation show what there is now, and the report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi_desk.report import html as report_html
from koboshi_desk.report.figures import read
from workbench.core.repository import REPOSITORY
from workbench.project import browser, screens
from workbench.project.browser import DARK, LIGHT, Browser

LOGS = REPOSITORY / "tests/data/console"
MOST_BYTES = 100_000
needs_browser = pytest.mark.skipif(browser.find() is None, reason="no Chromium is installed")


def test_watch_picture_is_of_now(tmp_path: Path) -> None:
    """docs/watch.svg is what `./dev screens` makes of the recorded demo today."""
    made = screens.watch_picture(tmp_path / "watch.svg")
    assert (REPOSITORY / "docs/watch.svg").read_text() == made.read_text(), "./dev screens makes it anew"


def test_report_picture_is_of_now() -> None:
    """docs/report.png was made from the report of today, and is small."""
    png = (REPOSITORY / "docs/report.png").read_bytes()
    assert screens.made_from(png) == screens.digest(screens.report_page()), "./dev screens makes it anew"
    assert len(png) < MOST_BYTES


def test_both_pictures_are_shown() -> None:
    """README shows the live view, and the guide of the desk a report."""
    assert "](docs/watch.svg)" in (REPOSITORY / "README.md").read_text()
    assert "](report.png)" in (REPOSITORY / "docs/desk.md").read_text()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with a report of two consoles."""
    page = tmp_path_factory.mktemp("page") / "report.html"
    reports = [read(LOGS / "quick-6.12-user.log"), read(LOGS / "handmade-oops.log")]
    page.write_text(report_html.page(reports, "x"))
    with Browser() as made:
        made.open(page)
        yield made


@needs_browser
@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize(("scheme", "paper"), [(LIGHT, "rgb(255, 255, 255)"), (DARK, "rgb(20, 23, 27)")])
def test_report_in_a_browser(window: Browser, width: int, scheme: str, paper: str) -> None:
    """In Chromium the page has the colours asked for, is no wider than the window, and is a picture."""
    window.look(width, 800, scheme)
    assert window.value("innerWidth") == width
    assert window.value("document.documentElement.scrollWidth <= innerWidth")
    assert window.value("getComputedStyle(document.body).backgroundColor") == paper
    data = window.screenshot()
    assert data.startswith(screens.SIGNATURE)
    assert int.from_bytes(data[16:20]) == width
    assert len(data) > 10_000  # an empty page compresses to next to nothing


@needs_browser
def test_text_can_be_read(window: Browser) -> None:
    """In both schemes text stands out from its background, by the contrast that WCAG asks for."""
    for scheme in (LIGHT, DARK):
        window.look(1200, 800, scheme)
        ink, paper, soft = (
            str(window.value(f"getComputedStyle(document.querySelector('{what}')).{key}"))
            for what, key in (("body", "color"), ("body", "backgroundColor"), (".soft", "color"))
        )
        assert contrast(ink, paper) > 7
        assert contrast(soft, paper) > 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, `rgb(r, g, b)` each (WCAG 2.2, 1.4.3)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance, 0 to 1."""
    values = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
