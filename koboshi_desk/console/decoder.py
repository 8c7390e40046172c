# SPDX-License-Identifier: MIT
"""From a console's bytes to records, kernel lines and text, with a count of everything that went wrong.

Four writers share the line: the supervisor, the kernel, the shell and its user's echo. Writes of user space
do not break each other up, but the kernel's do break up a line that is still on its way; such a record or
reply is put together again here, and its check decides whether that was right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from koboshi.wire import coalesce, records

from koboshi_desk.console import names

# ASCII: what a component says may hold digits of other scripts, which rfork-run lets through.
RECORD_START = re.compile(r"koboshi/\d+ \d+ ", re.ASCII)
RECORD = re.compile(r"(koboshi/1 (\d{1,18}) (\d{1,18}\.\d+) (\S+)((?: [^ *]+)*)) \*([0-9a-f]{8})", re.ASCII)
REPLY = re.compile(
    r"(koboshi-reply/1 (\d{1,9}) ([a-z0-9-]+) (part|ok|error)((?: [^ *]+)*)) \*([0-9a-f]{8})", re.ASCII
)
REPLY_START = re.compile(r"koboshi-reply/\d+ \d+ ", re.ASCII)
KERNEL_STAMP = re.compile(r"\[ *(\d+\.\d{6})\](?:\[ *[TC]\d+\])? ", re.ASCII)
BANNER = re.compile(r"Linux version \d+\.\d+")
# The first is of a lower level than the second and may be missing on the console.
COMMAND_LINE = re.compile(r"Command line:|Kernel command line:")
SHELL_MARK = re.compile(r"@sh-[0-9a-f]{8}")
BEHIND_S = 60.0  # a record may be older than the one before it, but not by so much
MISSING_KEPT = 10_000  # numbers of lost records, for a record that stands for some of them
MAX_LINE = 16384  # bytes without a newline; longer input is not a console's text and is cut


@dataclass(frozen=True)
class Record:
    """A complete record with a valid check; `boot` counts the boots seen so far, from 1 (0: none seen).

    `history`: it is from before the console was attached, and came on request.
    """

    seq: int
    time: float
    event: str
    fields: dict[str, str]
    boot: int
    history: bool = False

    @property
    def component(self) -> str:
        """Return the component that the record is about, or "" for none."""
        return self.fields.get("component", "")

    def number(self, key: str) -> int | None:
        """Return a numeric field, or None."""
        text = self.fields.get(key, "")
        return int(text) if re.fullmatch(r"-?\d+", text) else None


@dataclass(frozen=True)
class KernelLine:
    """A kernel line; `time` is its time stamp in seconds. `continued`: it begins within a process name."""

    time: float
    text: str
    continued: bool = False


@dataclass(frozen=True)
class Text:
    """Any other line: a shell's output, an echo, a broken record. `continued`: it begins within a line."""

    text: str
    continued: bool = False


@dataclass(frozen=True)
class Reply:
    """A whole line of a reply of the control channel; `result` is part, ok or error."""

    number: int
    master: str
    result: str
    fields: dict[str, str]


Item = Record | KernelLine | Reply | Text


@dataclass
class Counts:
    """What the decoder saw.

    `lost`: gaps in SEQ; `repeated`: a SEQ seen before; `spliced`: records put together again; `coalesced`:
    records that another one stood for; `filled`: records that came later, on request.
    """

    records: int = 0
    garbled: int = 0
    lost: int = 0
    repeated: int = 0
    spliced: int = 0
    coalesced: int = 0
    filled: int = 0
    record_boots: int = 0
    kernel_boots: int = 0


@dataclass
class Decoder:
    """An incremental decoder: `feed` takes bytes and returns the items that they complete."""

    counts: Counts = field(default_factory=Counts)
    _buffer: bytes = b""
    _head: str | None = None  # the beginning of a record or a reply that a kernel line broke up
    _last_seq: int = 0
    _missing: set[int] = field(default_factory=set)  # of this boot, counted as lost
    _joined: bool = False  # attached in the middle of a boot: the first SEQ does not count as a gap
    _first_seq: int = 0  # of this boot; records before it were never here
    _latest: float = 0.0  # the time of the last record
    _reopened: bool = False  # the port was closed: the next record may be of another boot
    _asked_to: int = 0  # what is missing up to here is not asked for again
    _filled: dict[int, str] = field(default_factory=dict)  # number and event of what came on request
    _within: bool = False  # the next text continues a line that was broken up or cut
    _before: str = ""  # the last line of the kernel
    _banner: bool = False  # the last line was a kernel's banner

    @property
    def boots(self) -> int:
        """Boots seen, by whichever of the two counts saw more: a boot's first record may be lost."""
        return max(self.counts.record_boots, self.counts.kernel_boots)

    @property
    def partial(self) -> str:
        """Return the unfinished line, usually a prompt."""
        return self._buffer.decode("utf-8", "replace").lstrip("\r")

    def feed(self, data: bytes) -> list[Item]:
        """Decode `data`."""
        parts = (data[at : at + MAX_LINE] for at in range(0, len(data), MAX_LINE))
        return [item for part in parts for item in self._feed(part)]

    def _feed(self, data: bytes) -> Iterator[Item]:
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            yield from self._line(line.decode("utf-8", "replace").removesuffix("\r"))
        if len(self._buffer) > MAX_LINE:
            line, self._buffer = self._buffer, b""
            yield from self._line(line.decode("utf-8", "replace"))
            self._within = True

    def flush(self) -> list[Item]:
        """End the stream; the unfinished line counts as a line."""
        return self.feed(b"\n") if self._buffer else []

    def _line(self, line: str) -> Iterator[Item]:
        if self._head is not None:
            yield from self._continue(self._head, line)
        else:
            yield from self._fresh(line)

    def _continue(self, head: str, line: str) -> Iterator[Item]:
        """Continue a record or a reply that broke off in `head`, if `line` is its end."""
        if _whole_at(head + line, 0):
            self._head, self._within = None, False
            self.counts.spliced += 1
            yield from self._fresh(head + line)
            return
        stamp = KERNEL_STAMP.search(line)
        if stamp and not _first_start(line) and len(head) <= _longest(head):
            self._head = head + line[: stamp.start()]
            yield self._kernel(stamp, line)
            return
        self._head = None
        self.counts.garbled += bool(RECORD_START.match(head))
        yield Text(head, self._within)
        yield from self._fresh(line)

    def _fresh(self, line: str) -> Iterator[Item]:
        start = _first_start(line)
        stamp = KERNEL_STAMP.search(line)
        mark = SHELL_MARK.search(line)
        first = min((m.start() for m in (start, stamp) if m), default=len(line))
        if mark and mark.start() < first:
            self._within = False
            yield Text(line)  # a command's output may quote records and kernel lines: it is not them
        elif start and not (stamp and not stamp.start() and not self._is_whole(line)):
            yield from self._with_record(line, start.start())
        elif stamp:
            yield from self._interrupted(line[: stamp.start()])
            yield self._kernel(stamp, line)
        else:
            text, within, self._within = line.strip("\r\0"), self._within, False
            if text:
                yield self._text(text, within)

    def _interrupted(self, before: str) -> Iterator[Item]:
        """A kernel line follows `before`; what may begin a record or a reply there waits for the rest."""
        begun = _BEGUN.search(before)
        if begun:
            before, self._head = before[: begun.start()], begun[0]
        if before := before.strip("\r\0"):
            yield Text(before, self._within)
        self._within |= bool(begun or before)

    def _is_whole(self, line: str) -> bool:
        """Whether a record in the line is whole; half of one in a kernel line is a process's name."""
        return any(_whole_at(line, start) for start in _starts(line))

    def _with_record(self, line: str, first: int) -> Iterator[Item]:
        """The line has at least the beginning of a record or reply at `first`; the last whole one counts."""
        for start in reversed(_starts(line)):
            whole = _whole_at(line, start)
            parsed = self._parse(whole) if whole else None
            if whole and parsed:
                yield from self._before_record(line[:start])
                yield parsed
                if rest := line[whole.end() :].strip():
                    yield from self._fresh(rest)
                return
        yield from self._broken(line, first)

    def _before_record(self, text: str) -> Iterator[Item]:
        if not text.strip():
            return
        if RECORD_START.search(text):
            self.counts.garbled += 1
        yield Text(text)

    def _broken(self, line: str, start: int) -> Iterator[Item]:
        stamp = KERNEL_STAMP.search(line, start)
        if stamp is None:
            self.counts.garbled += bool(RECORD_START.search(line))
            yield Text(line)
            return
        if start:
            yield Text(line[:start])
        self._head = line[start : stamp.start()]
        yield self._kernel(stamp, line)

    def _parse(self, match: re.Match[str]) -> Item | None:
        """Return a record or reply, Text for a duplicate record, or None for keys that cannot be read."""
        if match.re is REPLY:
            return _reply(match)
        _, seq, time, event, words, _ = match.groups()
        try:
            fields = records.parse_keys(words.split())
        except ValueError:
            return None
        record = Record(int(seq), float(time), event, fields, self.boots)
        return self._in_sequence(record) or Text(match.group())

    def _in_sequence(self, record: Record) -> Record | None:
        """Count the record and return it; return None for a duplicate."""
        if record.event == "boot":
            self.counts.record_boots += 1
            self._begin(joined=True)
            record = replace(record, boot=self.boots)
        elif self._reopened and self._joined and self._from_another_boot(record):
            self.new_boot()
            record = replace(record, boot=self.boots)
        self._reopened = False
        if not self._joined:
            self._last_seq, self._joined = record.seq - 1, True
            self._first_seq = record.seq
        if record.seq <= self._last_seq:
            self.counts.repeated += 1
            return None
        self._count_gap(record.seq)
        self._last_seq, self._latest = record.seq, record.time
        self.counts.records += 1
        return self._count_covered(record)

    def _from_another_boot(self, record: Record) -> bool:
        """Numbers and times begin again at a boot. A supervisor's repetition looks the same and is rare."""
        return record.seq <= self._last_seq or record.time < self._latest - BEHIND_S

    def reopened(self) -> None:
        """The port was closed for a while: half a line is no line, and the device may have rebooted."""
        self._buffer, self._head, self._within, self._reopened = b"", None, False, True

    def new_boot(self) -> None:
        """Count a boot of which neither the banner nor the first record came."""
        self.counts.record_boots = self.counts.kernel_boots = self.boots + 1
        self._begin(joined=False)

    def _begin(self, *, joined: bool) -> None:
        self._last_seq, self._first_seq, self._latest, self._joined = 0, int(joined), 0.0, joined
        self._asked_to = 0
        self._missing.clear()
        self._filled.clear()

    @property
    def missing(self) -> int:
        """The first number from which records of this boot are asked for; 0 if nothing is missing."""
        return min((seq for seq in self._missing if seq > self._asked_to), default=0)

    def asked(self, to: int | None = None) -> None:
        """The device has been asked for what is missing up to number `to` (None: all): the rest is lost."""
        self._asked_to = self._last_seq if to is None else max(self._asked_to, to)

    @property
    def next_seq(self) -> int:
        """The number of the next record; 0 where none of this boot came yet."""
        return self._last_seq + 1 if self._joined else 0

    def fill(self, text: str, *, history: bool) -> tuple[Record, bool] | None:
        """Take a record that came on request, and whether it is older than others; None if it was here."""
        whole = RECORD.fullmatch(text)
        if not whole or records.check(whole[1]) != whole[6]:
            return None
        fields = records.parse_keys(whole[5].split())
        record = Record(int(whole[2]), float(whole[3]), whole[4], fields, self.boots, history)
        self._reopened = False
        if record.event != "boot" and (record.seq > self._last_seq or not self._joined):
            taken = self._in_sequence(record)
            return (taken, False) if taken else None
        if record.seq in self._missing:
            self._missing.discard(record.seq)
            self.counts.lost -= 1
        elif 0 < self._first_seq <= record.seq or record.seq in self._filled:
            return None
        self._filled[record.seq] = record.event
        self.counts.filled += 1
        return record, True

    def _count_gap(self, seq: int) -> None:
        gap = range(self._last_seq + 1, seq)
        self.counts.lost += len(gap)
        self._missing.update(gap[-MISSING_KEPT:])
        if len(self._missing) > 2 * MISSING_KEPT:
            self._missing = set(sorted(self._missing)[-MISSING_KEPT:])

    def _count_covered(self, record: Record) -> Record:
        """What a record stands for is not lost; restarts that came on request do not count twice."""
        with suppress(ValueError):
            covered = self._missing.intersection(coalesce.covered(record.fields.get("covers", "")))
            self._missing -= covered
            self.counts.lost -= len(covered)
            self.counts.coalesced += len(covered)
            known = self._filled.keys() & set(coalesce.covered(record.fields.get("covers", "")))
            twice = sum(self._filled[seq] == "restart" for seq in known)
            if twice:
                count = max(0, (record.number("count") or 0) - twice)
                return replace(record, fields=record.fields | {"count": str(count)})
        return record

    def _kernel(self, stamp: re.Match[str], line: str) -> KernelLine:
        text = line[stamp.end() :]
        self._count_banner(text)
        continued = names.goes_on(self._before, text)
        self._before = f"{self._before}\n{text}"[-MAX_LINE:] if continued else text
        return KernelLine(float(stamp.group(1)), text, continued)

    def _text(self, line: str, within: bool) -> Text:
        if not within:
            self._count_banner(line)  # a kernel without CONFIG_PRINTK_TIME
        return Text(line, within)

    def _count_banner(self, text: str) -> None:
        """A boot is a banner with the command line right after it; /proc/version alone is not."""
        if self._banner and COMMAND_LINE.match(text):
            self.counts.kernel_boots += 1
            self._begin(joined=True)
        self._banner = bool(BANNER.match(text))


def _prefixes(text: str) -> str:
    return "(?:" + "|".join(re.escape(text[:length]) for length in range(len(text), 0, -1)) + ")"


# The end of a text in which a record or a reply has begun, however little of it is there.
_BEGUN = re.compile(rf"(?:koboshi(?:-reply)?/1 \d*|{_prefixes('koboshi/1')}|{_prefixes('koboshi-reply/1')})$")


def _longest(head: str) -> int:
    return MAX_LINE if REPLY_START.match(head) else records.MAX_LINE


def _starts(line: str) -> list[int]:
    return sorted(m.start() for start in (RECORD_START, REPLY_START) for m in start.finditer(line))


def _first_start(line: str) -> re.Match[str] | None:
    found = [m for m in (RECORD_START.search(line), REPLY_START.search(line)) if m]
    return min(found, key=lambda m: m.start(), default=None)


def _whole_at(line: str, start: int) -> re.Match[str] | None:
    """Return the record or reply that is whole at `start`, with a right check."""
    match = RECORD.match(line, start) or REPLY.match(line, start)
    return match if match and records.check(match[1]) == match[6] else None


def _reply(match: re.Match[str]) -> Reply | None:
    """Return a reply, or None for keys that cannot be read."""
    try:
        return Reply(int(match[2]), match[3], match[4], records.parse_keys(match[5].split()))
    except ValueError:
        return None
