# SPDX-License-Identifier: MIT
"""Words and values in systemd's unit files: quotes and C escapes (systemd.syntax(7)), times, sizes."""

from __future__ import annotations

import math
import re

WHITESPACE = " \t\n\r"
_ESCAPE = re.compile(
    r"\\(?:([abfnrtvs\\\"'])|x([0-9A-Fa-f]{2})|([0-7]{3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))"
)
_LETTERS = dict(zip("abfnrtvs\\\"'", "\a\b\f\n\r\t\v \\\"'", strict=True))
_SECONDS = {
    **dict.fromkeys(("us", "usec", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s"), 1e-6),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
    **dict.fromkeys(("M", "month", "months"), 2629800.0),
    **dict.fromkeys(("y", "year", "years"), 31557600.0),
}
_SPAN = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})\s*([A-Za-z\u00b5\u03bc]*)")
_BYTES = {letter: 1 << 10 * power for power, letter in enumerate(("", "K", "M", "G", "T", "P", "E"))}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([KMGTPE]?)B?")


class WordsError(ValueError):
    """systemd cannot split this value into words."""


def split(text: str) -> list[tuple[str, str]]:
    """Return the words of a value as they are written, and what they mean."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at] in WHITESPACE:
            at += 1
            continue
        end, word = _word(text, at)
        found.append((text[at:end], word))
        at = end
    return found


def _word(text: str, at: int) -> tuple[int, str]:
    """The end and the meaning of the word that begins here."""
    word, quote = b"", ""
    while at < len(text) and (quote or text[at] not in WHITESPACE):
        character = text[at]
        if character == "\\":
            at, part = _escape(text, at)
            word += part
            continue
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        else:
            word += character.encode()
        at += 1
    if quote:
        raise WordsError("a quote has no end")
    try:
        return at, word.decode()
    except UnicodeDecodeError:
        raise WordsError("its escapes are not UTF-8") from None


def _escape(text: str, at: int) -> tuple[int, bytes]:
    """The end and the meaning of the escape that begins here; an unknown one stands for itself."""
    found = _ESCAPE.match(text, at)
    if found:
        letter, hexadecimal, octal, short, long = found.groups()
        if letter:
            return found.end(), _LETTERS[letter].encode()
        if short or long:
            number = int(short or long, 16)
            if 0 < number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF:
                return found.end(), chr(number).encode()
        elif 0 < (number := int(hexadecimal, 16) if hexadecimal else int(octal, 8)) < 256:
            return found.end(), bytes([number])
    end = min(at + 2, len(text))
    return end, text[at:end].encode()


def seconds(text: str) -> float | None:
    """Parse a systemd.time(7) span; None for infinity and for what is not a time."""
    text = text.strip(WHITESPACE)
    total, at = 0.0, 0
    while at < len(text):
        found = _SPAN.match(text, at)
        if not found or found[2] not in _SECONDS:
            return None
        total += float(found[1]) * _SECONDS[found[2]]
        at = found.end()
    return total if text and math.isfinite(total) else None


def mebibytes(text: str) -> int | None:
    """Parse a size, rounded up; None for infinity, percentages and what is not a size."""
    found = _SIZE.fullmatch(text)
    if not found:
        return None
    return max(1, math.ceil(float(found[1]) * _BYTES[found[2]] / (1 << 20)))


def count(text: str) -> int | None:
    """Parse a number; None for anything else."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def percent(text: str) -> int | None:
    """Parse a percentage, rounded up to a whole one; None for anything else."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)%", text)
    return math.ceil(float(found[1])) if found else None


def boolean(text: str) -> bool | None:
    """Parse a systemd boolean; None for anything else."""
    word = text.lower()
    if word in ("1", "yes", "y", "true", "t", "on"):
        return True
    return False if word in ("0", "no", "n", "false", "f", "off") else None
