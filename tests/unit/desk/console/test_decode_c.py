# SPDX-License-Identifier: MIT
"""The decoder in C that docs/console.md offers, against the one in Python."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from koboshi.wire import records

from koboshi_desk.console.decoder import Decoder, Record
from tests.unit.desk.console.test_transport import corrupted, record
from workbench.core.repository import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It compiles as C11 without a warning."""
    to = tmp_path_factory.mktemp("decode") / "koboshi-decode"
    flags = [
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover",
    ]
    subprocess.run(["gcc", *flags, "-o", to, REPOSITORY / "docs/decode.c"], check=True)
    return to


def decoded(program: Path, data: bytes) -> tuple[list[str], str]:
    """Its lines, and its counts."""
    done = subprocess.run([program], input=data, capture_output=True)
    assert done.returncode in (0, 1)
    return done.stdout.decode("latin-1").splitlines(), done.stderr.decode().strip()


@pytest.mark.parametrize("name", ["demo", "quick-6.12-user", "quick-6.12-kernel"])
def test_recorded_consoles(program: Path, name: str) -> None:
    """Of a recorded console both find the same records, and count the same."""
    data = (REPOSITORY / f"tests/data/console/{name}.log").read_bytes()
    decoder = Decoder()
    wanted = [item for item in decoder.feed(data) if isinstance(item, Record)]
    lines, counts = decoded(program, data)
    found = [records.find(line) for line in lines]
    assert [(one.seq, one.event, one.keys) for one in found if one] == [
        (one.seq, one.event, one.fields) for one in wanted
    ]
    c = decoder.counts
    assert counts == f"records {c.records}, garbled {c.garbled}, lost {c.lost}, repeated {c.repeated}"


def test_corrupted_line(program: Path) -> None:
    """With a hundredth of the bytes wrong nothing is invented, and what is missing is counted."""
    sent = [record(seq, "restart", component="gps", pid=seq) for seq in range(1, 1001)]
    last = record(1001, "all-ready")
    data = record(1, "boot") + corrupted(b"".join(sent[1:]), 0.01, random.Random(3)) + b"\r\n" + last
    lines, counts = decoded(program, data)
    whole = {line.decode().strip() for line in [record(1, "boot"), *sent, last]}
    assert set(lines) <= whole
    assert f"records {len(lines)}, " in counts
    assert f"lost {1001 - len(lines)}, " in counts


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Pieces of a console cut out, doubled, moved, and with wrong bytes."""
    pieces = [data[at : at + rng.randrange(1, 400)] for at in (rng.randrange(len(data)) for _ in range(60))]
    joined = b"".join(pieces + [piece + b"\n" for piece in rng.sample(pieces, 20)])
    return corrupted(joined, 0.002, rng)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_consoles(program: Path, seed: int) -> None:
    """Of a console cut to pieces it invents nothing, and misses no whole record that Python's finds."""
    rng = random.Random(seed)
    data = (REPOSITORY / "tests/data/console/demo.log").read_bytes()
    mixed = mutated(data, rng)
    lines, _ = decoded(program, mixed)
    there = {
        line[line.index("koboshi/1") :].strip() for line in data.decode().splitlines() if "koboshi/1 " in line
    }
    assert {line.strip() for line in lines} <= there
    decoder = Decoder()
    found = [item for item in [*decoder.feed(mixed), *decoder.flush()] if isinstance(item, Record)]
    assert len(lines) <= len(found) <= len(lines) + decoder.counts.spliced


def test_noise(program: Path) -> None:
    """Noise of every byte, in endless lines too, is survived."""
    noise = random.Random(4).randbytes(200_000).replace(b"\n", b"k")
    assert decoded(program, noise + b"koboshi/1 " * 5000)[0] == []


def test_half_a_line_at_the_end(program: Path) -> None:
    """A record without its newline counts; half of one is garbled."""
    assert decoded(program, record(1).strip())[0] == [record(1).decode().strip()]
    assert "garbled 1" in decoded(program, record(1)[:40])[1]
