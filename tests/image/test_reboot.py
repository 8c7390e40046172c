# SPDX-License-Identifier: MIT
"""A real reboot is seen as one."""

from __future__ import annotations

from workbench.deadline import Deadline
from workbench.guest import BOOT_S, Guest


def test_reboot_is_counted(guest: Guest) -> None:
    """A reboot is a second boot by the records and by the kernel's banner, and all is ready again."""
    first = guest.model.boot_id
    guest.reboot()
    counts = guest.console.decoder.counts
    assert (counts.record_boots, counts.kernel_boots, guest.model.boots) == (2, 2, 2)
    assert guest.model.boot_id != first
    assert guest.model.settled()
    assert counts.lost == 0


def test_reboot_is_no_failure(guest: Guest) -> None:
    """On the way down every component is stopped by the shutdown, and none is taken for dead."""
    guest.shell.send("reboot")
    guest.shell.forget()
    guest.wait_all_ready(guest.model.boots + 1, Deadline(BOOT_S, "orderly reboot"))
    events = list(guest.model.events)
    stopped = {r.component for r in events if r.event == "stopped" and r.fields.get("by") == "shutdown"}
    assert stopped == set(guest.model.components)
    assert not {"cold", "given-up"} & {r.event for r in events}
