# SPDX-License-Identifier: MIT
"""Which kernel lines are findings."""

from __future__ import annotations

import pytest

from koboshi_desk.console.decoder import KernelLine, Text
from koboshi_desk.console.findings import judge, judge_taint


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("BUG: unable to handle page fault for address: 0000000000001000", "bug"),
        ("BUG: sleeping function called from invalid context at mm/mmap.c:1", "bug"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:1]", "bug"),
        ("kernel BUG at kernel/rfork.c:100!", "bug"),
        ("WARNING: CPU: 0 PID: 1 at kernel/exit.c:900 do_exit+0x1/0x2", "warning"),
        ("WARNING: possible circular locking dependency detected", "warning"),
        ("Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
        ("Oops: general protection fault, probably for non-canonical address 0x1", "oops"),
        ("general protection fault, probably for non-canonical address 0x1", "general-protection"),
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu-stall"),
        ("INFO: task gps:71 blocked for more than 122 seconds.", "hung-task"),
        ("Kernel panic - not syncing: Attempted to kill init!", "panic"),
        ("WARNING: at kernel/rfork.c:100 rfork_begin()", "warning"),
        ("Oops: 0000 [1] SMP ", "oops"),
        ("general protection fault: 0000 [1] SMP ", "general-protection"),
        ("Bad page state in process 't_burst'", "bug"),
        ("slab error in kmem_cache_destroy(): cache `rfork': Can't free all objects", "bug"),
        ("CPU: 0 UID: 0 PID: 7 Comm: x Tainted: G        W          6.12.1 #1", "tainted"),
    ],
)
def test_kernel_trouble_is_a_finding(line: str, kind: str) -> None:
    """Each way in which the kernel says that it is in trouble is found and named."""
    finding = judge(KernelLine(1.0, line))
    assert finding is not None
    assert finding.kind == kind


@pytest.mark.parametrize(
    "line",
    [
        "gps[71]: segfault at 0 ip 0000000000401000 sp 00007ffc error 4 in koboshi-gps[401000+1000]",
        "traps: gps[71] general protection fault ip:401000 sp:7ffc error:0 in koboshi-gps[401000+1000]",
        "gps[71] general protection rip:401000 rsp:7ffc error:0",
        "Out of memory: Killed process 71 (gps) total-vm:1kB",
        "CPU: 0 UID: 0 PID: 7 Comm: x Not tainted 6.12.1 #1",
        "input: AT Translated Set 2 keyboard",
    ],
)
def test_user_space_trouble_is_none(line: str) -> None:
    """Programs that crash, and what the kernel says of them, are what the image is for."""
    assert judge(KernelLine(1.0, line)) is None


def test_text_must_begin_with_it() -> None:
    """Without a kernel's stamp only a line that begins like trouble is one."""
    assert judge(Text("Kernel panic - not syncing")) is not None
    assert judge(Text("echo grep BUG: here")) is None


def test_taint_is_spelled_out() -> None:
    """The taint mask is a finding unless it is 0, with the kernel's letters."""
    assert judge_taint(0) is None
    assert "(DW)" in str(judge_taint(1 << 7 | 1 << 9))
