# SPDX-License-Identifier: MIT
"""Console records: what is written is read back, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire.records import MAX_LINE, Record, RecordError, check, decode, encode, find, quote, unquote

WORDS = st.from_regex(r"[a-z][a-z_-]{0,15}", fullmatch=True)
KEYS = st.dictionaries(WORDS, st.text(max_size=40), max_size=6)
TIMES = st.floats(0, 1e9, allow_nan=False)
GPS = "koboshi/1 7 12.500000 restart component=gps status=signal:SIGSEGV"


@given(st.integers(1, 10**17), TIMES, WORDS, KEYS)
def test_round_trip(seq: int, time: float, event: str, keys: dict[str, str]) -> None:
    """Every record that can be written is read back as it was."""
    line = encode(seq, time, event, dict(keys))
    assert decode(line) == Record(seq, time, event, keys)
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("value", ["k" * 5000, "\U0001f6a2" * 2000, "% " * 3000])
def test_a_record_has_an_end(value: str) -> None:
    """Values are cut, and marked so, where a record would be too long to be read; the others are whole."""
    record = decode(encode(1, 2.0, "manifest", {"file": "/etc/koboshi.toml", "key": value, "error": value}))
    assert record.keys["file"] == "/etc/koboshi.toml"
    assert record.keys["key"].endswith("...")
    assert value.startswith(record.keys["key"].removesuffix("..."))


@given(st.text(max_size=60))
def test_quoted_values_are_words(value: str) -> None:
    """A quoted value is printable ASCII without spaces, `%` aside from escapes, or `*`, and comes back."""
    word = quote(value)
    assert word.isascii()
    assert not set(word) & set(" *\n\r")
    assert unquote(word) == value


@given(st.text(alphabet=st.characters(blacklist_characters="k"), max_size=80), st.text(max_size=40))
def test_found_in_a_noisy_line(before: str, after: str) -> None:
    """A record is found behind a prompt or half a kernel message, whatever follows its check."""
    line = encode(7, 1.5, "ready", {"component": "gps"})
    record = find(f"{before}{line}\r{after.replace('koboshi/', '')}")
    assert record is not None
    assert record.component == "gps"


@given(st.text(max_size=200))
def test_no_text_makes_find_fail(line: str) -> None:
    """Whatever stands in a line, `find` answers with a record or None."""
    assert find(line) is None or find(line) is not None
    assert find("koboshi/1 " + line) is None or " *" in line


def test_a_path_is_no_mark() -> None:
    """A value that holds the word before the version, as /etc/koboshi/koboshi.toml does, begins no record."""
    line = encode(9, 2, "manifest", {"file": "/etc/koboshi/koboshi.toml", "other": "koboshi/1"})
    record = find("# " + line)
    assert record is not None
    assert record.keys["file"] == "/etc/koboshi/koboshi.toml"


def test_the_last_mark_counts() -> None:
    """Half a record that a whole one interrupts does not hide the whole one."""
    whole = encode(8, 2, "end", {"component": "gps", "reason": "burst"})
    record = find(f"koboshi/1 8 2.000 en{whole}")
    assert record is not None
    assert record.keys["reason"] == "burst"


@pytest.mark.parametrize("position", range(len(GPS)))
def test_a_changed_byte_is_noticed(position: int) -> None:
    """A record with any one byte changed is not a record."""
    line = f"{GPS} *{check(GPS)}"
    assert find(line) is not None
    changed = line[:position] + ("x" if line[position] != "x" else "y") + line[position + 1 :]
    assert find(changed) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("koboshi/2 1 1.0 boot", "unknown version"),
        ("koboshi/1 1 1.0", "not SEQ TIME EVENT"),
        ("koboshi/1 one 1.0 boot", "no record"),
        ("koboshi/1 -1 1.0 boot", "no record"),
        ("koboshi/1 1 1.0e3 boot", "not SEQ TIME EVENT"),
        ("koboshi/1 1 1.0 boot id", "not key=value: id"),
        ("koboshi/1 1 1.0 boot id=%4", "bad escape %4"),
        ("koboshi/1 1 1.0 boot id=%zz", "bad escape %zz"),
        ("koboshi/1 1 1.0 boot id=" + "x" * MAX_LINE, "too long"),
    ],
)
def test_refusals_say_why(text: str, problem: str) -> None:
    """A line with a right check that is no record is refused with the reason."""
    with pytest.raises(RecordError) as caught:
        decode(f"{text} *{check(text)}")
    assert caught.value.problem == problem


@pytest.mark.parametrize(
    ("line", "problem"), [("", "no record"), (GPS, "no check"), (f"{GPS} *0badc0de", "wrong check")]
)
def test_incomplete_lines_say_why(line: str, problem: str) -> None:
    """No record, half a record and a garbled record are told apart."""
    with pytest.raises(RecordError) as caught:
        decode(line)
    assert caught.value.problem == problem
