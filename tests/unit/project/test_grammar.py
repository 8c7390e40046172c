# SPDX-License-Identifier: MIT
"""docs/console.md: its examples are right, and what is written follows its grammar."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire import line, records

from koboshi_desk.console.decoder import Decoder, Record, Reply
from workbench.core.repository import REPOSITORY

TEXT = (REPOSITORY / "docs/console.md").read_text()
VALUE = r"(?:%[0-9A-F]{2}|[\x21-\x24\x26-\x29\x2B-\x7E])*"
RECORD = re.compile(
    r"koboshi/1 \d{1,18} \d{1,18}\.\d{1,18} [A-Za-z0-9-]+(?: [A-Za-z0-9_]+=" + VALUE + r")* \*[0-9a-f]{8}"
)
keys = st.dictionaries(st.from_regex(r"\A[a-z_][a-z0-9_]{0,20}\Z"), st.text(max_size=200), max_size=6)
numbers = st.integers(1, 10**18 - 1)
times = st.floats(0, 1e12, allow_nan=False)
events = st.from_regex(r"\A[a-z][a-z-]{0,20}\Z")


@given(numbers, times, events, keys)
def test_encoder_follows_the_grammar(seq: int, time: float, event: str, fields: dict[str, str]) -> None:
    """Whatever the supervisor has to say is a record by the grammar, and of a bounded length."""
    text = records.encode(seq, time, event, dict(fields))
    assert RECORD.fullmatch(text)
    assert len(text) <= records.MAX_LINE


@given(numbers, events, keys)
def test_decoder_reads_what_was_written(seq: int, event: str, fields: dict[str, str]) -> None:
    """What is written is read as it was, also behind a prompt and before a kernel message."""
    text = records.encode(seq, 1.5, event, dict(fields))
    kept = records.find(text)
    assert kept is not None
    found = Decoder().feed(f"koboshi# {text}[    9.000000] x\r\n".encode("utf-8", "surrogatepass"))
    (one,) = [item for item in found if isinstance(item, Record)]
    assert (one.seq, one.event, one.fields) == (seq, event, kept.keys)


@given(st.binary(max_size=2000))
def test_decoder_takes_anything(data: bytes) -> None:
    """No input makes the decoder fail, or a record that no check vouches for."""
    decoder = Decoder()
    items = decoder.feed(data) + decoder.flush()
    assert not [item for item in items if isinstance(item, Record | Reply)]


def test_examples_of_the_control_channel() -> None:
    """The request and the reply in the text have right checks, and belong together."""
    (request,) = re.findall(r"^    koboshictl line (.*)$", TEXT, re.M)
    (reply,) = re.findall(r"^    (koboshi-reply/1 .*)$", TEXT, re.M)
    parsed = line.parse(request)
    assert parsed is not None
    assert line.reply(parsed.number, parsed.master, "ok", {"state": "ready"}) == reply
    assert f"koboshictl line {request}" == line.encode(int(parsed.number), parsed.master, parsed.verb, "gps")


def test_every_event_is_described() -> None:
    """Each event that the supervisor's code writes has a row in the table."""
    sources = [path.read_text() for path in (REPOSITORY / "supervisor/koboshi").rglob("*.py")]
    written = {name for text in sources for name in re.findall(r'\brecord\(\s*"([a-z-]+)"', text)}
    rows = [row for row in TEXT.splitlines() if row.startswith("| `")]
    described = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    assert len(written) > 20
    assert written <= described
