# SPDX-License-Identifier: MIT
"""A real reboot is seen as one."""

from __future__ import annotations

from workbench.guest import Guest


def test_reboot_is_counted(guest: Guest) -> None:
    """A reboot is a second boot by the records and by the kernel's banner, and all is ready again."""
    first = guest.model.boot_id
    guest.reboot()
    counts = guest.console.decoder.counts
    assert (counts.record_boots, counts.kernel_boots, guest.model.boots) == (2, 2, 2)
    assert guest.model.boot_id != first
    assert guest.model.settled()
    assert counts.lost == 0
