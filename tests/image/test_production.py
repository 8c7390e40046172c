# SPDX-License-Identifier: MIT
"""device.console = "records": the line carries records and a few requests, and nothing that acts as root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from koboshi.wire import line

from koboshi_desk.console.decoder import Item, Reply, Text
from koboshi_desk.core.deadline import Deadline
from workbench.guest.booted import Guest
from workbench.image import quick as quickimage

MANIFEST = """
version = 1
[device]
console = "records"
[component.idle]
command = ["/bin/busybox", "sleep", "100000"]
user = "nobody"
"""
LIMIT_S = 60.0
ASKED = iter(range(1, 1000))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A guest with that manifest; it has no shell that a test could use."""
    manifest: Path = tmp_path_factory.mktemp("closed") / "my.toml"
    manifest.write_text(MANIFEST)
    with Guest(quickimage.build(manifest)) as guest:
        guest.boot()
        yield guest


def ask(guest: Guest, verb: str, component: str = "") -> Reply:
    """The end of the reply. A request that comes before anybody reads the line is made again."""
    number = next(ASKED)
    request = line.encode(number, "test", verb, component).encode() + b"\n"
    said: list[Reply] = []

    def take(item: Item) -> None:
        if isinstance(item, Reply) and item.number == number and item.result != "part":
            said.append(item)

    guest.listen(take)
    deadline = Deadline(LIMIT_S, "a reply")
    while not said:
        assert not deadline.expired, guest.console.last_lines()
        guest.console.write(b"\n" + request)
        end = deadline.within(2.0)
        while not end.expired and not said:
            guest.console.pump(0.1)
    return said[0]


def test_requests_that_change_nothing_are_answered(closed: Guest) -> None:
    """An operator's desk sees the device."""
    assert ask(closed, "hello").result == "ok"
    assert ask(closed, "status").result == "ok"


@pytest.mark.parametrize("verb", ["stop", "restart", "rehearse", "lock", "steal"])
def test_other_requests_are_refused(closed: Guest, verb: str) -> None:
    """They are not on the list, and the component goes on as it was."""
    pid = closed.model.components["idle"].pid
    reply = ask(closed, verb, "idle" if verb in ("stop", "restart") else "")
    assert (reply.result, reply.fields["code"]) == ("error", "refused")
    assert reply.fields["error"] == f"{verb} is not allowed by device.control"
    assert closed.model.components["idle"].pid == pid


@pytest.mark.parametrize(
    "typed",
    [
        b"echo she''ll\n",
        b"\x03\x03echo she''ll\n",
        b"\x1c\x1a\x04\x04\n\necho she''ll\n",
        b"koboshictl line $(echo she''ll)\n",
        b"koboshictl line; echo she''ll\n",
        b"root\n\necho she''ll\n",
        b"A" * 6000 + b"\necho she''ll\n",
    ],
)
def test_nothing_that_is_typed_is_executed(closed: Guest, typed: bytes) -> None:
    """No command, no key of the terminal's and no end of file leads to a shell."""
    heard: list[str] = []
    closed.listen(lambda item: heard.append(item.text) if isinstance(item, Text) else None)
    closed.console.write(typed)
    assert ask(closed, "hello").result == "ok"
    assert not [text for text in heard if "shell" in text or "#" in text]
