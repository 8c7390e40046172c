# SPDX-License-Identifier: MIT
"""Findings in the kernel log: the lines that report a fault of the kernel itself.

A program of user space that crashes ("segfault at", "traps: ...") is what this product is for, and no
finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from koboshi_desk.console import names
from koboshi_desk.console.decoder import Item, KernelLine, Text

RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("panic", re.compile(r"Kernel panic")),
    ("bug", re.compile(r"\bBUG:|kernel BUG at|^Bad page state|^slab error in")),
    ("warning", re.compile(r"\bWARNING: ")),
    ("oops", re.compile(r"\bOops\b")),
    ("general-protection", re.compile(r"general protection")),
    ("rcu-stall", re.compile(r"rcu: INFO|INFO: rcu_")),
    ("hung-task", re.compile(r"INFO: task ")),
    ("lockdep", re.compile(r"INFO: trying to register non-static key")),
    ("leak", re.compile(r"kmemleak: \d+ new suspected memory leaks")),
    ("initramfs", re.compile(r"Initramfs unpacking failed")),
    ("sanitizer", re.compile(r"\bUBSAN: |\bKASAN: |\bKCSAN: ")),
    ("tainted", re.compile(r"\bTainted: ")),
)
# For grep -E in the guest: more than RULES, never less.
GREP = "panic|BUG|Bad page|slab error|WARNING|Oops|general protection|INFO:|kmemleak:|SAN:|Tainted:|Initramfs"

# include/linux/panic.h of 6.12; an out-of-tree or staging module taints too, and the image has none
TAINT_BITS = "PFSRMBUDAWCIOELKXTN"


@dataclass(frozen=True)
class Finding:
    """A kernel log line that reports a fault of the kernel."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def judge(item: Item) -> Finding | None:
    """What a line of the console says about the kernel's health."""
    if not isinstance(item, KernelLine | Text) or item.continued or names.of_user_space(item.text):
        return None
    if isinstance(item, Text) and "|" in item.text and item.text.split("'")[0] in GREP:
        return None  # the echo of our own search for such lines, as a narrow terminal breaks it up
    text = names.without_comm(item.text)
    for kind, pattern in RULES:
        # Without a stamp it may be anybody's text, so there the line must begin with it.
        found = pattern.search(text) if isinstance(item, KernelLine) else pattern.match(text)
        if found:
            return Finding(kind, item.text.strip())
    return None


def judge_taint(mask: int) -> Finding | None:
    """Return a finding for a nonzero /proc/sys/kernel/tainted."""
    if mask == 0:
        return None
    letters = "".join(letter for bit, letter in enumerate(TAINT_BITS) if mask >> bit & 1)
    return Finding("tainted", f"/proc/sys/kernel/tainted is {mask} ({letters})")
