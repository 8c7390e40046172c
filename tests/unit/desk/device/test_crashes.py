# SPDX-License-Identifier: MIT
"""Crashes in the report: the kernel's words and the device's crash records, with functions and lines."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire import line

from koboshi_desk import cli
from koboshi_desk.console.decoder import Decoder, Reply
from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.device.crashes import CrashRecord, from_file, from_reply
from koboshi_desk.device.symbols import Elf, Symbols, fault_in
from koboshi_desk.report import markdown as report_markdown
from koboshi_desk.report.figures import elsewhere_once, read
from tests.unit.desk.report.test_figures import boot, page_of, written

needs_gcc = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("addr2line")), reason="no gcc or no addr2line"
)
FAULTS = {
    "gps[71]: segfault at 10 ip 000055d0c0de1a2b sp 00007ffd error 4 "
    "in koboshi-gps[1a2b,55d0c0de1000+2000] likely on CPU 0 (core 0, socket 0)": (
        "koboshi-gps", 0x1A2B,
    ),
    "gps[71]: segfault at 10 ip 000055d0c0de1a2b sp 00007ffd error 4 in koboshi-gps[55d0c0de0000+2000]": (
        "koboshi-gps", 0x1A2B,
    ),
    "traps: gps[71] general protection fault ip:401a2b sp:7ffd error:0 in koboshi-gps[1a2b,401000+2000]": (
        "koboshi-gps", 0x1A2B,
    ),
    "gps[71]: segfault at 0000000000000000 rip 0000000000401a2b rsp 00007fff error 6": ("", 0),
}  # fmt: skip
# What a device keeps of a crash (docs/supervisor.md), as koboshictl --json crashes prints it.
KEPT = {
    "number": 3,
    "boot": "1a2b3c4d",
    "time": 0.65,
    "component": "gps",
    "pid": 71,
    "generation": 0,
    "fault": "error signal:SIGSEGV koboshi-gps+0x1136",
    "status": "signal:SIGSEGV",
    "decision": "warm",
    "skipped": 2,
    "memory_kb": {"MemFree": 1000, "MemAvailable": 2000},
    "kernel": "gps[71]: segfault at 8 ip 0000000000401136",
    "output": "reading port\nlost sync\n",
    "registers": {"rip": "401136", "rsp": "7ffc0010"},
    "stack": ["koboshi-gps+0x1136", "libc.so.6+0x27305"],
}


@pytest.mark.parametrize("text", FAULTS)
def test_fault_of_the_kernels(text: str) -> None:
    """The kernel's word on a crashed process is read in the forms of both kernels."""
    fault = fault_in(text)
    assert fault is not None
    assert (fault.pid, fault.file, fault.offset) == (71, *FAULTS[text])


def test_symbols_of_nothing() -> None:
    """Without an ELF file the kernel's own words are shown."""
    fault = fault_in(next(iter(FAULTS)))
    assert fault is not None
    assert Symbols([]).place(fault) == "koboshi-gps+0x1a2b"
    assert Symbols([]).named("error koboshi-gps+0x1a2b") == "error koboshi-gps+0x1a2b"


class Program:
    """A program that crashes in a function, and where that is."""

    def __init__(self, folder: Path, *options: str) -> None:
        source = folder / "gps.c"
        source.write_text("int track(int *p)\n{\n\treturn *p;\n}\nint main(void) { return track(0); }\n")
        self.elf = folder / "koboshi-gps"
        subprocess.run(["gcc", "-g", "-O0", *options, "-o", self.elf, source], check=True)
        symbols = subprocess.run(["nm", self.elf], capture_output=True, text=True, check=True).stdout
        lines = [line.split() for line in symbols.splitlines()]
        self.address = next(int(words[0], 16) for words in lines if words[-1] == "track") + 8
        headers = subprocess.run(
            ["readelf", "-lW", self.elf], capture_output=True, text=True, check=True
        ).stdout
        words = next(line.split() for line in headers.splitlines() if "LOAD" in line and " R E " in line)
        self.begin, self.mapped_at = int(words[1], 16), int(words[2], 16)

    @property
    def offset(self) -> int:
        """In the file."""
        return self.address - self.mapped_at + self.begin

    def told(self, base: int, form: str) -> str:
        """The kernel's line, with its code at `base` in memory."""
        ip = base + self.address - self.mapped_at
        where = form.format(offset=self.offset, base=base)
        return (
            f"[    0.650000] gps[71]: segfault at 0 ip {ip:016x} sp 7ffd error 4 in koboshi-gps[{where}+1000]"
        )


@needs_gcc
@pytest.mark.parametrize("form", ["{base:x}", "{offset:x},{base:x}"])
@pytest.mark.parametrize(
    "options", [("-no-pie",), ("-pie", "-fPIE"), ("-pie", "-fPIE", "-Wl,-Ttext-segment=0x30000")]
)
def test_crash_has_its_function(tmp_path: Path, options: tuple[str, ...], form: str) -> None:
    """With the program's ELF file a crash is shown with function and line, wherever it was loaded."""
    program = Program(tmp_path, *options)
    base = program.mapped_at if options == ("-no-pie",) else 0x55D0C0DE0000
    log = written(tmp_path / "log", boot(program.told(base, form)))
    (crash,) = read(log, [program.elf]).boots[0].crashes
    assert crash.where.startswith("track at gps.c:3 (koboshi-gps+0x")
    assert read(log).boots[0].crashes[0].where.startswith("koboshi-gps+0x")


@needs_gcc
def test_stack_of_a_record_has_functions(tmp_path: Path) -> None:
    """The places of a crash record are functions and lines where the file is known, elsewhere as they are."""
    program = Program(tmp_path, "-pie", "-fPIE")
    place = f"koboshi-gps+{program.offset:#x}"
    record = CrashRecord(1, "b", 1.0, "gps", stack=(place, "libc.so.6+0x27305"), fault=f"error {place}")
    text = "\n".join(record.lines(Symbols([program.elf])))
    assert f"  #0  track at gps.c:3 ({place})" in text
    assert "  #1  libc.so.6+0x27305" in text
    assert "error track at gps.c:3" in text


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\x02" + b"\xff" * 80, b"MZ" * 99], ids=len)
def test_broken_elf(tmp_path: Path, data: bytes) -> None:
    """An incomplete or invalid ELF file is rejected."""
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(KoboshiError, match="not an ELF file"):
        Elf(tmp_path / "x")


def replied() -> list[str]:
    """The reply to `crashes` as it comes over the line."""

    def ask(command: str, name: object) -> dict[str, object]:
        return {"ok": True, "crashes": [KEPT, {**KEPT, "number": 4, "pid": 99, "time": 0.7}]}

    asked = line.encode(1, "desk", "crashes").removeprefix("koboshictl line ")
    return line.Line(lambda: 1.0, ask).answer(asked)


def test_record_over_the_line(tmp_path: Path) -> None:
    """A record that was asked for over the console stands beside its crash; one without is a crash too."""
    (found,) = read(written(tmp_path / "log", boot(*replied(), *replied()))).boots
    assert [crash.pid for crash in found.crashes if crash.details] == [71]
    mine = next(crash for crash in found.crashes if crash.details)
    text = "\n".join(mine.record)
    for part in ("rip 401136", "#0  koboshi-gps+0x1136", "said: lost sync", "MemFree 1000 kB", "2 like"):
        assert part in text
    assert len(found.crashes) == 2  # asked for twice, told once


def test_records_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What koboshictl --json crashes printed is taken from a file; records of other boots are told apart."""
    kept = tmp_path / "crashes.json"
    other = {**KEPT, "boot": "00000000", "number": 1}
    kept.write_text(json.dumps({"ok": True, "crashes": [KEPT, other]}))
    log = written(tmp_path / "log", boot())
    page = page_of(read(log, kept=from_file(kept)))
    assert page.count("<details>") == 2
    assert "Crash records of other boots" in page
    assert cli.main(["report", str(log), "--crashes", str(kept), "--html", str(tmp_path / "r.html")]) == 0
    text = capsys.readouterr().out
    assert "    rip 401136  " in text.replace("       rip", "    rip")
    assert "Boot 00000000, which is not in this log:" in text


def test_records_of_two_logs(tmp_path: Path) -> None:
    """With many logs a record stands where its boot is, and one of another boot once."""
    kept = [CrashRecord(1, "1a2b3c4d", 0.6, "gps", 71), CrashRecord(2, "00000000", 0.6, "gps", 71)]
    first = written(tmp_path / "a", [line for line in boot() if " boot " not in line])
    reports = [read(log, kept=kept) for log in (first, written(tmp_path / "b", boot()))]
    elsewhere_once(reports)
    assert [[one.number for one, _ in report.elsewhere] for report in reports] == [[2], []]
    # The first log lacks the boot's first record; others in it have the boot's ID too.
    assert [bool(report.boots[0].crashes[0].record) for report in reports] == [True, True]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"crashes": 3}', '{"crashes": [3]}', "\x00"])
def test_file_without_records(tmp_path: Path, text: str) -> None:
    """Another file is refused with what is needed."""
    (tmp_path / "x").write_text(text)
    with pytest.raises(KoboshiError, match="koboshictl --json crashes"):
        from_file(tmp_path / "x")
    with pytest.raises(KoboshiError, match="No such file"):
        from_file(tmp_path / "none")


@given(st.dictionaries(st.sampled_from(sorted(KEPT)), st.text(max_size=40)))
def test_whatever_a_device_says(fields: dict[str, str]) -> None:
    """A record with anything in it is shown, and is no markup."""
    fields |= {"number": fields.get("number", "1"), "component": "<b>", "boot": fields.get("boot", "x")}
    record = from_reply(Reply(1, "desk", "part", fields))
    assert record is not None
    assert list(record.lines(Symbols([])))


def test_other_replies_are_no_records() -> None:
    """A status, or the end of a reply, is not taken for a record."""
    text = line.reply("1", "desk", "part", {"component": "gps", "state": "ready"})
    (status,) = Decoder().feed(text.encode() + b"\n")
    assert isinstance(status, Reply)
    assert from_reply(status) is None
    assert from_reply(Reply(1, "desk", "ok", {"number": "1", "component": "a", "boot": "b"})) is None


def test_record_is_text_in_the_page(tmp_path: Path) -> None:
    """What a component said last cannot become part of the page."""
    kept = tmp_path / "crashes.json"
    evil = "<script>alert(1)</script>"
    said = dict.fromkeys(("output", "kernel", "fault", "component"), evil)
    kept.write_text(json.dumps({"crashes": [KEPT | said]}))
    found = read(written(tmp_path / "log", boot()), kept=from_file(kept))
    assert evil not in page_of(found)
    assert "said: <script>" in report_markdown.summary([found], "x")
