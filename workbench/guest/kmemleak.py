# SPDX-License-Identifier: MIT
"""Objects of a guest's kernel that nothing points at (the kernel's Documentation/dev-tools/kmemleak)."""

from __future__ import annotations

from koboshi_desk.console.findings import Finding
from workbench.guest.shell import Shell

FILE = "/sys/kernel/debug/kmemleak"
SCAN_S = 300.0  # the whole memory, by an emulated CPU
# Objects younger than five seconds are not reported, nor those that changed since the scan before.
SCAN = f"echo scan >{FILE} && sleep 6 && echo scan >{FILE}"
_THERE = f"test -e {FILE} || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null; test -e {FILE}"
_REPORT_LINES = 16  # of the first object: its contents and where it was allocated


def forget(shell: Shell) -> None:
    """What is lost now is not reported later; nothing where the kernel has no kmemleak."""
    if _there(shell):
        shell.run(f"{SCAN} && echo clear >{FILE}", SCAN_S)


def find(shell: Shell) -> list[Finding]:
    """A finding where there are such objects now, with the report of the first."""
    if not _there(shell):
        return []
    shell.run(SCAN, SCAN_S)
    lines = shell.run(f"cat {FILE}", SCAN_S).output.splitlines()
    count = sum(line.startswith("unreferenced object") for line in lines)
    report = "; ".join(line.strip() for line in lines[:_REPORT_LINES])
    return [Finding("leak", f"{count} unreferenced objects, the first: {report}")] if count else []


def _there(shell: Shell) -> bool:
    return shell.run(_THERE, check=False).status == 0
