# SPDX-License-Identifier: MIT
"""Which process a line of the kernel's log is about, whatever that process calls itself."""

from __future__ import annotations

import pytest
from koboshi.system.kmsg import Crashes, parse

REST = "ip 0000000000401000 sp 00007ffc error 4 in prog[0,401000+1000]"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("gps[71]: segfault at 8 " + REST, (71, "prog+0x0")),
        ("gps[71]: segfault at 0000000000000008 rip 0000000000401a2b rsp 00007fff error 6", (71, "0x401a2b")),
        ("gps[71] general protection rip:401a2b rsp:7fff error:0", (71, "0x401a2b")),
        ("gps[71] trap divide error rip:401a2b rsp:7fff error:0", (71, "0x401a2b")),
        (
            "traps: gps[71] general protection fault ip:401a2b sp:7ffc error:0 in gps[1a2b,401000+1000]",
            (71, "gps+0x1a2b"),
        ),
        (
            "traps: gps[71] trap invalid opcode ip:401a2b sp:7ffc error:0 in gps[1a2b,401000+1000]",
            (71, "gps+0x1a2b"),
        ),
        ("x[71]: trap[200]: segfault at 0 " + REST, (200, "prog+0x0")),
        ("[71]: segfault [200]: segfault at 0 " + REST, (200, "prog+0x0")),
        (
            "traps: x[71] trap a [200] trap divide error ip:401000 sp:7ffc error:0 in prog[0,401000+1000]",
            (200, "prog+0x0"),
        ),
        ("a component says: gps[71]: segfault at 8 " + REST, None),
    ],
)
def test_the_pid_is_the_kernels(line: str, found: tuple[int, str] | None) -> None:
    """The last PID counts; a name has at most 15 bytes."""
    assert (parse(line) or (None,))[:2] == (found or (None,))


def test_registers_belong_to_the_process_that_the_kernel_names() -> None:
    """A process whose name looks like the kernel's line about an owner takes no registers to another one."""
    crashes = Crashes()
    crashes.take(
        [
            (1.0, line)
            for line in (
                "x: potentially unexpected fatal signal 11.",
                "PID: 71 Comm: [200]: segfault at 0 " + REST,
                "RAX: 0000000041414141 RBX: 0000000000000000 RCX: 0000000000000000",
            )
        ]
    )
    assert crashes.registers == {}
    crashes.take(
        [
            (1.0, line)
            for line in (
                "x: potentially unexpected fatal signal 11.",
                "CPU: 0 UID: 0 PID: 200 Comm: PID: 71 Comm:  Not tainted 6.12.117 #1",
                "RAX: 0000000000000001 RBX: 0000000000000000 RCX: 0000000000000000",
            )
        ]
    )
    assert list(crashes.registers) == [200]
