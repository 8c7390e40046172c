# SPDX-License-Identifier: MIT
"""The manifest's reference page."""

from __future__ import annotations

from koboshi.manifest import rules as manifest_rules

from workbench.core.repository import REPOSITORY
from workbench.project import manifest_reference


def test_the_page_is_current() -> None:
    """The page is what `python3 -m workbench.project.manifest_reference` makes of the schema."""
    assert (REPOSITORY / "docs/manifest-reference.md").read_text() == manifest_reference.page()


def test_every_key_is_there() -> None:
    """What the code knows is on the page, and on the page written by hand."""
    page = manifest_reference.page()
    by_hand = (REPOSITORY / "docs/manifest.md").read_text()
    for key, rule in {**manifest_rules.COMPONENT, **manifest_rules.DEVICE}.items():
        for name in [f"{key}.{inner}" for inner in rule] if isinstance(rule, dict) else [key]:
            assert f"| `{name}` |" in page
            assert name.partition(".")[0] in by_hand
