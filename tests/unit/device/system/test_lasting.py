# SPDX-License-Identifier: MIT
"""What outlives a reboot: a power cut at any instant leaves the old or the new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from koboshi.system.calls import System
from koboshi.system.lasting import Lasting
from koboshi.wire.slot import SLOT_BYTES, decode, encode

OLD: dict[str, object] = {"phase": "good", "reboots": 1}
NEW: dict[str, object] = {"phase": "ladder", "reboots": 2, "component": "gps"}


# One for all: each has descriptors of its own, and these tests make thousands of records.
SYSTEM = System("/dev/null")


def disk(tmp_path: Path) -> Lasting:
    """The record in a folder."""
    return Lasting(SYSTEM, str(tmp_path))


def test_it_is_there_again(tmp_path: Path) -> None:
    """What was written last is what is read, however often it was written."""
    for number in range(7):
        assert disk(tmp_path).store({"reboots": number}) == ""
        assert disk(tmp_path).values == {"reboots": number}


def test_the_same_again_is_not_written(tmp_path: Path) -> None:
    """Flash is not worn by writing what is there."""
    lasting = disk(tmp_path)
    lasting.store(OLD)
    lasting.store(dict(OLD))
    assert (lasting.seq, disk(tmp_path).seq) == (1, 1)


@pytest.mark.parametrize("kept", range(0, SLOT_BYTES + 1))
def test_power_cut_while_writing(tmp_path: Path, kept: int) -> None:
    """With only the first bytes of a write on the disk, the old values or the new ones are read."""
    lasting = disk(tmp_path)
    lasting.store({"phase": "booting", "reboots": 9})
    lasting.store(OLD)
    path = Path(lasting.paths[lasting.next])
    before = path.read_bytes()
    after = encode(lasting.seq + 1, NEW)
    path.write_bytes(after[:kept] + before[kept:])
    found = disk(tmp_path).values
    assert found in (OLD, NEW)
    assert disk(tmp_path).store({"reboots": 3}) == ""
    assert disk(tmp_path).values == {"reboots": 3}


@pytest.mark.parametrize("kept", [0, 1, 100, SLOT_BYTES - 1])
def test_power_cut_while_a_file_is_made(tmp_path: Path, kept: int) -> None:
    """A file that was only begun counts as none."""
    (tmp_path / "ladder.0").write_bytes(encode(1, OLD)[:kept])
    assert disk(tmp_path).values == {}


@settings(deadline=None)
@given(st.binary(max_size=2 * SLOT_BYTES))
def test_garbage(data: bytes) -> None:
    """Nothing that is not a whole slot is taken for one."""
    assert decode(data) is None


@settings(deadline=None)
@given(st.integers(0, SLOT_BYTES - 1), st.integers(0, 7))
def test_flipped_bits(byte: int, bit: int) -> None:
    """A slot with one bit turned is no slot, unless the bit is behind its line."""
    data = bytearray(encode(5, NEW))
    used = data.index(b"\n")
    data[byte] ^= 1 << bit
    found = decode(bytes(data))
    assert found is None or (byte > used and found == (5, NEW))


def test_too_much(tmp_path: Path) -> None:
    """What does not fit into a sector is a mistake of the caller's."""
    with pytest.raises(ValueError, match="do not fit"):
        disk(tmp_path).store({"why": "x" * SLOT_BYTES})


def test_no_storage(tmp_path: Path) -> None:
    """A write that cannot be done says why, and the old values stay."""
    lasting: Any = Lasting(SYSTEM, str(tmp_path / "nowhere"))
    assert lasting.store(OLD) == "No such file or directory"
    assert lasting.values == {}
