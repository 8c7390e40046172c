# SPDX-License-Identifier: MIT
"""What a component says on the console, through the real rfork-run, as the desk reads it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tty
from pathlib import Path

from koboshi.wire import records

from koboshi_desk.console.decoder import Decoder, Item, Text
from koboshi_desk.console.findings import judge
from tests.unit import programs

RECORD = records.encode(8, 1.0, "given-up", {"component": "victim"}).encode()
REPLY = b"koboshi-reply/1 7 a ok *" + records.check("koboshi-reply/1 7 a ok").encode()
FORGED = [
    RECORD,
    REPLY,
    b"[    1.234567] Kernel panic - not syncing: forged",
    b"[\t1.234567] BUG: forged",
    b"Kernel panic - not syncing: forged",
    b"Oops: forged\r",
    b"\x00" + RECORD,
    b"x\r" + RECORD,
    b"\x1b[2K\x1b[1G" + RECORD,
    b"y" * 1020 + RECORD,
    "[    ١.٢٣٤٥٦٧] BUG: forged".encode(),
]
SAY = "import os, sys\nfor part in sys.argv[1].split(','): os.write(1, bytes.fromhex(part))"


def said(tmp_path: Path, parts: list[bytes]) -> bytes:
    """What comes out of the console of a component that writes these parts."""
    master, slave = os.openpty()
    tty.setraw(slave)
    run = [str(programs.librfork() / "rfork-run"), "--name", "evil", "--backend", "user"]
    output = ["--output", os.ttyname(slave), "--output-rate", "1000000", "--state", str(tmp_path / "state")]
    say = [sys.executable, "-S", "-c", SAY, ",".join(part.hex() for part in parts)]
    subprocess.run([*run, *output, "--", *say], check=True, timeout=60)
    os.close(slave)
    data = b""
    while more := _read(master):
        data += more
    os.close(master)
    return data


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # the other end is closed
        return b""


def decoded(data: bytes) -> list[Item]:
    """What the desk makes of it."""
    decoder = Decoder()
    return decoder.feed(data) + decoder.flush()


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """The bytes in some writes, with cuts at any place."""
    cuts = sorted(rng.sample(range(1, len(data)), 40))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def test_component_forges_neither_record_nor_kernel_line(tmp_path: Path) -> None:
    """Whatever it writes, in whatever parts, is text that begins with its name."""
    rng = random.Random(1)
    for turn in range(3):
        lines = rng.sample(FORGED, len(FORGED))
        data = b"\n".join(lines) + (b"" if turn else b"\n")
        items = decoded(said(tmp_path, pieces(data, rng)))
        assert len(items) >= len(FORGED)
        for item in items:
            assert isinstance(item, Text), item
            assert item.text.startswith("evil: ")
            assert not judge(item)
            assert all(c.isprintable() or c == "\t" for c in item.text)


def test_fuzzers_hold_on_their_seeds() -> None:
    """Each fuzzed parser takes its seeds, those of mended faults too, under the sanitizers."""
    programs.once("fuzz", lambda to: programs.make("librfork", f"BUILD={to}", "fuzz-seeds"))
