# SPDX-License-Identifier: MIT
"""Names that processes give themselves, within lines of the kernel's.

A name is up to 15 characters of anything. The console shows one with a newline as two lines, each with the
kernel's stamp. What a name holds says nothing about the kernel.
"""

from __future__ import annotations

import re

# The kernel's words, then a name that goes on in the next line.
_OPEN = re.compile(
    r"(?:[kK]ill(?:ed)? process \d+ \(|^traps: |\b[Cc]omm: |\bcomm=\"?|\btask=|\bprocess [`'\"]|INFO: task )"
    r".{0,14}$",
    re.DOTALL,
)
_AFTER = (
    r"(?:\[\d+\]:? (?:segfault at |trap |general protection |bad frame )| invoked oom-killer:"
    r"|: page allocation failure|: potentially unexpected fatal signal| \(\d+\): drop_caches"
    r"| \(\d+\) used greatest stack)"
)
_BEGINS = re.compile(r"^.{0,15}" + _AFTER)
_OWN_LINE = re.compile(r"^(?:traps: |(?:[\w ()=]+: )?[kK]ill(?:ed)? process \d+ \()")
# The kernel's own word on the taint is the last one.
_COMM_TAINT = re.compile(r"\b([Cc]omm): .*(?= (?:Not tainted|Tainted: ))")
_COMM = re.compile(r"\b([Cc]omm): .{0,15}")


def goes_on(before: str, text: str) -> bool:
    """Whether a kernel line only goes on with a name that the line before it has begun."""
    return bool(_OPEN.search(before) or (len(before) < 15 and _BEGINS.search(text)))


def of_user_space(text: str) -> bool:
    """Whether a kernel line is about a program that crashed or was killed, with its name at the beginning."""
    return bool(_OWN_LINE.search(text) or _BEGINS.search(text))


def without_comm(text: str) -> str:
    """A kernel line without the name after `Comm:`."""
    taint = _COMM_TAINT.sub(r"\1:", text)
    return taint if taint != text else _COMM.sub(r"\1:", text)
