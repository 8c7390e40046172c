# SPDX-License-Identifier: MIT
"""The decoder: records found, broken, lost, repeated; boots counted twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.wire import line as wire
from koboshi.wire import records

from koboshi_desk.console.decoder import Decoder, Item, KernelLine, Record, Reply, Text


def record(seq: int, event: str = "ready", **keys: object) -> str:
    """One record as a line without its newline."""
    return records.encode(seq, seq / 10, event, keys)


def feed(*lines: str) -> tuple[Decoder, list[Item]]:
    """A decoder that got these lines, as a serial terminal ends them."""
    decoder = Decoder()
    return decoder, decoder.feed("".join(line + "\r\n" for line in lines).encode())


def test_record_has_its_parts() -> None:
    """A whole record gives sequence number, time, event and unquoted values."""
    _, items = feed(record(1, "manifest", result="refused", error="no such key 100%*"))
    assert items == [Record(1, 0.1, "manifest", {"result": "refused", "error": "no such key 100%*"}, 0)]


def test_record_after_prompt_and_path_in_a_value() -> None:
    """A record begins anywhere in a line, and a value may hold the manifest's own path."""
    line = record(4, "manifest", file="/etc/koboshi/koboshi.toml")
    _, items = feed("koboshi# " + line)
    assert [type(item) for item in items] == [Text, Record]
    assert isinstance(items[1], Record)
    assert items[1].fields == {"file": "/etc/koboshi/koboshi.toml"}


def test_wrong_check_is_garbled() -> None:
    """One wrong byte makes it no record, and it is counted."""
    decoder, items = feed(record(1, component="gps").replace("gps", "gpt"))
    assert isinstance(items[0], Text)
    assert decoder.counts.garbled == 1


@given(st.integers(0, 60), st.integers(1, 255))
def test_any_flipped_byte_is_seen(at: int, flip: int) -> None:
    """No single changed byte of a record passes as a record with other contents."""
    whole = record(7, "restart", component="gps", pid=71, latency_us=143)
    data = bytearray(whole.encode())
    at %= len(data)
    data[at] ^= flip
    decoder = Decoder()
    found = [item for item in decoder.feed(bytes(data) + b"\n") if isinstance(item, Record)]
    assert found == [] or found[0].fields == {"component": "gps", "pid": "71", "latency_us": "143"}


@given(st.randoms(use_true_random=False))
def test_chunks_do_not_matter(rng: random.Random) -> None:
    """However the bytes are cut on their way, the same items come out."""
    data = "".join(record(seq) + "\r\n" for seq in range(1, 6)).encode() + b"[    1.000000] kernel\r\n"
    cuts = sorted(rng.randrange(len(data)) for _ in range(8))
    decoder = Decoder()
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert [item for piece in pieces for item in decoder.feed(piece)] == Decoder().feed(data)


def test_kernel_line_inside_a_record() -> None:
    """A record that the kernel broke up is put together again, and both are there."""
    whole = record(1, "restart", component="gps", latency_us=143)
    decoder, items = feed(whole[:30] + "[   12.345678] sda: done", "[   12.345679] and more", whole[30:])
    assert [type(item) for item in items] == [KernelLine, KernelLine, Record]
    assert items[0] == KernelLine(12.345678, "sda: done")
    assert (decoder.counts.spliced, decoder.counts.garbled, decoder.counts.lost) == (1, 0, 0)


@pytest.mark.parametrize("kind", ["record", "reply"])
@given(st.data())
def test_kernel_lines_anywhere_in_a_line(kind: str, data: st.DataObject) -> None:
    """A record and a reply are whole again, wherever and however often the kernel broke them up."""
    part = wire.reply("7", "desk-4f", "part", {"component": "gps", "error": "no koboshi/1 here"})
    whole = part if kind == "reply" else record(1, "restart", component="gps", latency_us=143)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), min_size=1, max_size=3)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    prompt = data.draw(st.sampled_from(["", "koboshi# "]))
    lines = (prompt + "[   12.345678] usb 1-1: new\r\n".join(pieces) + "\r\n").encode()
    (expected,) = Decoder().feed(whole.encode() + b"\n")
    decoder = Decoder()
    items = decoder.feed(lines + b"after\r\n")
    assert [item for item in items if isinstance(item, Record | Reply)] == [expected]
    assert [item for item in items if isinstance(item, KernelLine)] == [
        KernelLine(12.345678, "usb 1-1: new") for _ in cuts
    ]
    assert items[-1] == Text("after")
    assert (decoder.counts.spliced, decoder.counts.garbled) == (1, 0)


def test_reply_cut_off_for_good() -> None:
    """A broken reply is text, no damaged record; what follows is read."""
    reply = wire.reply("7", "desk", "ok", {"state": "ready"})
    decoder, items = feed(reply[:24] + "[   12.345678] boom", record(3), reply[:24], reply)
    assert [type(item) for item in items] == [KernelLine, Text, Record, Text, Reply]
    assert decoder.counts.garbled == 0


def test_record_cut_off_for_good() -> None:
    """A broken record whose rest never comes is garbled and lost; what follows is read."""
    whole = record(2, "restart", component="gps")
    decoder, items = feed(record(1), whole[:30] + "[   12.345678] boom", record(3))
    assert [item.seq for item in items if isinstance(item, Record)] == [1, 3]
    assert (decoder.counts.garbled, decoder.counts.lost) == (1, 1)


def test_gap_and_repetition() -> None:
    """A gap in SEQ counts what is missing; a repeated SEQ is not a new event."""
    decoder, items = feed(record(1), record(4), record(4), record(5))
    assert [item.seq for item in items if isinstance(item, Record)] == [1, 4, 5]
    assert (decoder.counts.lost, decoder.counts.repeated) == (2, 1)


def test_attached_in_the_middle() -> None:
    """The first record after attaching to a running device does not count as a gap."""
    decoder, _ = feed(record(100), record(101))
    assert decoder.counts.lost == 0


def test_boots_are_counted_twice() -> None:
    """The boot record and the kernel's banner count boots independently; SEQ starts again."""
    boot = [
        "[    0.000000] Linux version 6.12.1 (x)",
        "[    0.000000] Command line: quiet",
        record(1, "boot"),
    ]
    decoder, _ = feed(*boot, record(2), *boot, record(2))
    assert (decoder.counts.kernel_boots, decoder.counts.record_boots, decoder.boots) == (2, 2, 2)
    assert (decoder.counts.lost, decoder.counts.repeated) == (0, 0)


def test_quiet_boot_is_counted() -> None:
    """With fewer messages on the console another line follows the banner; the boot counts all the same."""
    banner = "[    0.000000] Linux version 6.12.1 (x)"
    decoder, _ = feed(banner, "[    0.000000] Kernel command line: quiet")
    assert decoder.counts.kernel_boots == 1


def test_lost_boot_record_is_still_a_boot() -> None:
    """A reboot whose first record was lost is counted by the banner, and its records are not repetitions."""
    banner = ["[    0.000000] Linux version 6.12.1 (x)", "[    0.000000] Command line: quiet"]
    decoder, items = feed(*banner, record(1, "boot"), record(2), record(3), *banner, record(2), record(3))
    assert decoder.boots == 2
    assert [item.boot for item in items if isinstance(item, Record)] == [1, 1, 1, 2, 2]
    assert (decoder.counts.lost, decoder.counts.repeated) == (1, 0)


def test_version_file_is_no_boot() -> None:
    """Somebody printing /proc/version does not count as a boot."""
    decoder, _ = feed("Linux version 6.12.1 (x)", "koboshi# ")
    assert decoder.boots == 0


def test_shell_output_may_quote_records() -> None:
    """Records and kernel lines in a command's marked output are text."""
    _, items = feed("@sh-01234567|:" + record(1), "@sh-01234567|:[    0.000000] Linux version 6.12")
    assert [type(item) for item in items] == [Text, Text]


def test_line_without_end_is_cut() -> None:
    """Noise without newlines does not pile up for ever."""
    decoder = Decoder()
    assert decoder.feed(b"\xff" * 20000)
    assert decoder.partial == ""


@pytest.mark.parametrize("tail", ["", " ", "[   12.000000] kernel"])
def test_what_follows_the_check(tail: str) -> None:
    """A record ends with its check, whatever stands behind it in the line."""
    _, items = feed(record(1) + tail)
    assert isinstance(items[0], Record)
    assert len(items) == (2 if "kernel" in tail else 1)
