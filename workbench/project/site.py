# SPDX-License-Identifier: MIT
"""Build the documentation as a site, and reject broken links."""

from __future__ import annotations

import sys
from pathlib import Path

from koboshi_desk.core import places
from workbench.core.command import output
from workbench.core.repository import REPOSITORY


def build(to: Path | None = None, checkout: Path = REPOSITORY) -> Path:
    """Build the site and return its folder. A broken link or a page missing from the menu is an error."""
    to = to or places.cache_folder() / "site"
    # Not with --quiet: mkdocs would then drop its warnings before --strict counts them.
    output([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)], cwd=checkout)
    return to
