# SPDX-License-Identifier: MIT
"""A page in headless Chromium: its picture, and what its document became."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from workbench.errors import WorkbenchError

NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT_S = 120.0
LIGHT, DARK = 1, 0  # Blink's numbers


def find() -> str | None:
    """A Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def run(page: Path, *options: str, width: int, height: int, scheme: int = LIGHT) -> str:
    """Open a file in a browser that knows nobody, and nothing of the network; its standard output."""
    program = find()
    if program is None:
        raise WorkbenchError("no Chromium on this machine; Debian's package chromium has it")
    with tempfile.TemporaryDirectory(prefix="koboshi-browser-") as profile:
        command = [program, "--headless", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]
        command += [
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "--proxy-server=127.0.0.1:9",
        ]
        command += [f"--blink-settings=preferredColorScheme={scheme}", *options, page.resolve().as_uri()]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium refuses to run as root with one
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise WorkbenchError(f"{program}: {page}: nothing within {LIMIT_S:.0f} s") from error
    if done.returncode:
        raise WorkbenchError(f"{program}: {page}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def screenshot(page: Path, picture: Path, *, width: int, height: int, scheme: int = LIGHT) -> None:
    """A PNG of the page's top in a window of that size."""
    run(page, f"--screenshot={picture.resolve()}", width=width, height=height, scheme=scheme)
    if not picture.exists():
        raise WorkbenchError(f"{page}: the browser made no picture")


def document(page: Path, *, width: int, height: int, scheme: int = LIGHT) -> str:
    """The document as HTML, after its scripts have run."""
    return run(page, "--dump-dom", width=width, height=height, scheme=scheme)
