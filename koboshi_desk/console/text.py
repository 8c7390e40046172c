# SPDX-License-Identifier: MIT
"""Turns output of a device into text that is safe for a terminal."""

from __future__ import annotations

import re

from koboshi_desk.console.decoder import Item, KernelLine, Record, Reply

SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # ECMA-48, 5.4: colours, and where the cursor goes
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Replace control characters in a device's text, so that it cannot move the terminal's cursor."""
    return CONTROL.sub("?", SEQUENCE.sub("", text))


def show(item: Item) -> str:
    """Return an item as one line of plain text."""
    return harmless(_shown(item))


def _shown(item: Item) -> str:
    if isinstance(item, Record):
        pairs = " ".join(f"{key}={value}" for key, value in item.fields.items())
        return f"{item.time:12.6f} {item.event} {pairs}".rstrip()
    if isinstance(item, KernelLine):
        return f"[{item.time:12.6f}] {item.text}"
    if isinstance(item, Reply):
        pairs = " ".join(f"{key}={value}" for key, value in item.fields.items())
        return f"reply {item.number} to {item.master}: {item.result} {pairs}".rstrip()
    return item.text
