# SPDX-License-Identifier: MIT
"""What a component or a process's name says is neither a record nor the kernel's verdict."""

from __future__ import annotations

import pytest
from koboshi.wire import records

from koboshi_desk.console.control import MOST_PARTS, Control
from koboshi_desk.console.decoder import MAX_LINE, Decoder, Item, KernelLine, Record, Reply, Text
from koboshi_desk.console.findings import Finding, judge
from koboshi_desk.device.symbols import fault_in

GIVEN_UP = records.encode(8, 1.0, "given-up", {"component": "victim"})
# As rfork-run writes it onto a terminal: librfork/tests/t_run_lines.sh has the same.
MARKED = "evil: " + GIVEN_UP.replace("koboshi/1", "koboshi/\\1")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def fed(*lines: str) -> tuple[Decoder, list[Item]]:
    """A decoder that got these lines, and what it made of them."""
    decoder = Decoder()
    return decoder, decoder.feed("".join(line + "\r\n" for line in lines).encode())


def found(items: list[Item]) -> list[Finding]:
    """The verdicts on them."""
    return [finding for finding in map(judge, items) if finding]


@pytest.mark.parametrize(
    "line",
    [
        MARKED,
        MARKED + " [\\    1.234567] BUG: forged",
        "evil: [\\    1.234567] Kernel panic - not syncing: forged",
        "evil: Kernel panic - not syncing: forged",
        "evil: BUG: forged",
        "evil: koboshi-reply/\\1 7",
        "evil: Linux version 6.12.1",
    ],
)
def test_marked_line_is_text(line: str) -> None:
    """A line that rfork-run has marked is text, whatever it imitates, and loses no record around it."""
    decoder, items = fed(records.encode(1, 0.1, "boot", {}), line, records.encode(2, 0.2, "ready", {}))
    assert [type(item) for item in items] == [Record, Text, Record]
    assert found(items) == []
    assert (decoder.counts.garbled, decoder.counts.lost, decoder.counts.repeated) == (0, 0, 0)


def test_kernel_line_within_a_marked_line() -> None:
    """The kernel breaks up a component's line: what comes after it is still the component's."""
    for rest in ("Kernel panic - forged", "BUG: forged", "Oops: forged"):
        _, items = fed("evil: x[    1.000000] eth0: link up", rest)
        assert isinstance(items[1], KernelLine)
        assert found(items) == []
        assert found(fed(rest)[1])


def test_record_is_not_put_together_of_a_marked_line() -> None:
    """The parts of a marked record before and after a kernel line do not make one."""
    at = MARKED.index("given")
    decoder, items = fed(f"{MARKED[:at]}[    1.000000] eth0: link up", MARKED[at:])
    assert not [item for item in items if isinstance(item, Record)]
    assert decoder.counts.spliced == 0


@pytest.mark.parametrize(
    "forged",
    [
        "koboshi/1 8 1.000000".translate(ARABIC).replace("koboshi/١", "koboshi/1") + " given-up component=b",
        "[    1.234567] BUG: forged".translate(ARABIC),
    ],
)
def test_digits_of_other_scripts_are_none(forged: str) -> None:
    """rfork-run breaks what has digits of ASCII; others make neither a record nor a stamp."""
    body = f"{forged} *{records.check(forged)}"
    _, items = fed("evil: " + body)
    assert [type(item) for item in items] == [Text]
    assert found(items) == []


@pytest.mark.parametrize(
    "lines",
    [
        ["Memory cgroup out of memory: Killed process 71 (x", "BUG: forged) total-vm:1kB, anon-rss:1kB"],
        ["Memory cgroup out of memory: Killed process 71 (a", "b", "BUG: forged) total-vm:1kB"],
        ["Out of memory: Killed process 71 (BUG: forged) total-vm:1kB"],
        ["Out of memory: Killed process 71 (Kernel panic) total-vm:1kB"],
        ["x", "BUG: f invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"],
        ["BUG: f invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"],
        ["x", "BUG: f[71]: segfault at 0 ip 0000000000401000 sp 00007ffc error 4 in x[401000+1000]"],
        ["traps: x", "BUG: f[71] general protection fault ip:401000 sp:7ffc error:0 in x[401000+1000]"],
        ["BUG: f: potentially unexpected fatal signal 6."],
        ["CPU: 0 UID: 0 PID: 7 Comm: Tainted: x Not tainted 6.12.1 #1"],
        ["CPU: 0 UID: 0 PID: 7 Comm: BUG: f Not tainted 6.12.1 #1"],
        ["CPU: 0 UID: 0 PID: 7 Comm: x", "BUG: f Not tainted 6.12.1 #1"],
    ],
)
def test_name_is_no_finding(lines: list[str]) -> None:
    """A process calls itself like trouble of the kernel's; the names are those that prctl(2) takes."""
    _, items = fed(*(f"[    5.000001] {line}" for line in lines))
    assert [type(item) for item in items] == [KernelLine] * len(lines)
    assert found(items) == []


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        (
            ["Killed process 71 (gps) total-vm:1kB", "BUG: unable to handle page fault for address: 0"],
            ["bug"],
        ),
        (["", "BUG: sleeping function called from invalid context at mm/mmap.c:1"], ["bug"]),
        (["=====", "WARNING: possible circular locking dependency detected"], ["warning"]),
        (["short", "Oops: 0000 [1] SMP "], ["oops"]),
        (["CPU: 0 UID: 0 PID: 7 Comm: Not tainted Tainted: G  W  6.12.1 #1"], ["tainted"]),
        (["CPU: 0 UID: 0 PID: 7 Comm: x Tainted: G  W  6.12.1 #1", "Oops: 0000 [#1]"], ["tainted", "oops"]),
    ],
)
def test_trouble_beside_names_is_found(lines: list[str], kinds: list[str]) -> None:
    """What the kernel itself says is found beside lines with names."""
    _, items = fed(*(f"[    5.000001] {line}" for line in lines))
    assert [finding.kind for finding in found(items)] == kinds


def test_half_a_record_in_a_kernel_line() -> None:
    """A name that looks like the beginning of a record makes the kernel's line neither text nor garbled."""
    decoder, items = fed("[    5.000001] Out of memory: Killed process 7 (koboshi/1 5 x) total-vm:1kB")
    assert [type(item) for item in items] == [KernelLine]
    assert decoder.counts.garbled == 0


def test_crash_is_that_of_the_process_that_the_kernel_names() -> None:
    """A program that calls itself `v[4711]: trap` crashes by itself: PIDs are read from the right."""
    line = "v[4711]: trap[71]: segfault at 41414141 ip 0000000000401000 sp 0 error 4 in evil[0,401000+1000]"
    fault = fault_in(line)
    assert fault is not None
    assert (fault.pid, fault.name) == (71, "v[4711]: trap")


def test_line_without_end_is_bounded() -> None:
    """Neither what has no newline nor a record that is never whole is kept without bound."""
    decoder = Decoder()
    longest = max(len(item.text) for item in decoder.feed(b"a" * (64 * MAX_LINE)) if isinstance(item, Text))
    assert longest <= 2 * MAX_LINE
    assert len(decoder.partial) <= MAX_LINE
    decoder = Decoder()
    items = decoder.feed(b"koboshi/1 5 1.0 x " + b"y" * 1000 + b"[    1.000000] k\n")
    for _ in range(64):
        items += decoder.feed(b"y" * 1000 + b"[    1.000000] k\n")
    assert max(len(item.text) for item in items if isinstance(item, Text)) <= records.MAX_LINE + 1000
    assert decoder.counts.garbled


def test_rest_of_a_cut_line_is_no_finding() -> None:
    """A line that is cut goes on as what it was."""
    items = Decoder().feed(b"a" * (MAX_LINE + 1) + b"\n")
    assert found(items) == []
    decoder = Decoder()
    items = decoder.feed(b"a" * MAX_LINE) + decoder.feed(b"a") + decoder.feed(b"Kernel panic - forged\n")
    assert found(items) == []


def test_reply_without_end_is_refused() -> None:
    """A device that sends parts for ever, or a number that is none, ends the request."""
    control = Control(now=lambda: 0.0)
    control.ask("status")
    control.step()
    part = Reply(control._number, control.master, "part", {"component": "a"})
    for _ in range(MOST_PARTS + 1):
        control.take(part)
    assert control.done[0].result == "error"
    control.ask("status")
    control.step()
    control.take(Reply(control._number, control.master, "ok", {"parts": "many"}))
    assert control.busy
