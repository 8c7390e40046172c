# SPDX-License-Identifier: MIT
"""Builds the documentation as a site, and refuses broken links."""

from __future__ import annotations

import sys
from pathlib import Path

from koboshi_desk.core import places
from workbench.core.command import output
from workbench.core.repository import REPOSITORY


def build(to: Path | None = None) -> Path:
    """The site's folder; a broken link or a page that is in no menu is an error."""
    to = to or places.cache_folder() / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(to)]
    output(command, cwd=REPOSITORY)
    return to
