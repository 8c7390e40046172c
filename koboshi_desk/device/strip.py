# SPDX-License-Identifier: MIT
"""A component's last minutes as a strip of characters, each the worst state of its slice of time."""

from __future__ import annotations

from rich.text import Text

from koboshi_desk.device.timeline import Line

SPANS = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)  # seconds that a strip may show
LONGEST = 300.0  # the default
# state: character, the same without Unicode, style
LOOKS = {
    "given-up": ("█", "!", "bold red"),
    "down": ("▇", "#", "red"),
    "restarting": ("▅", "#", "bold yellow"),
    "running": ("▃", "=", "yellow"),
    "starting": ("▃", "=", "yellow"),
    "stopping": ("·", ".", "dim"),
    "stopped": ("·", ".", "dim"),
    "waiting": ("·", ".", "dim"),
    "ended": ("·", ".", "dim"),
    "unknown": ("?", "?", "dim"),
    "ready": ("▁", "-", "green"),
}
RESTART = ("╳", "x", "bold yellow")  # shorter than a slice: the component was ready before and after


def span_for(known: float) -> float:
    """Return the shortest span that shows all of `known` seconds, at most LONGEST."""
    return next((span for span in SPANS if known <= span), LONGEST) if known <= LONGEST else LONGEST


def strip(line: Line, now: float, seconds: float, width: int, ascii_only: bool = False) -> Text:
    """The `seconds` before `now` in `width` characters, the newest on the right."""
    text = Text(no_wrap=True)
    step = seconds / width
    for index in range(width):
        begin = now - seconds + index * step
        # The last slice has the present in it, which no span's end lies beyond.
        end = begin + step if index < width - 1 else now + step
        look = _look(line, begin, end)
        text.append(look[1 if ascii_only else 0], look[2])
    return text


def _look(line: Line, begin: float, end: float) -> tuple[str, str, str]:
    state = line.worst(begin, end)
    if not state:
        return (" ", " ", "")
    if state not in ("given-up", "restarting") and any(begin <= time < end for time, _ in line.marks):
        return RESTART
    return LOOKS[state]
