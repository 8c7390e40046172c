# SPDX-License-Identifier: MIT
"""The commit of a turn: state.json, then the records, then status.json (docs/supervisor.md)."""

from __future__ import annotations

import json

from koboshi.device import Device
from koboshi.journal import Journal
from koboshi.known import Known
from koboshi.system.calls import System
from koboshi.system.paths import Paths

# Retry interval of a commit that failed because /run was full.
RETRY_S = 1.0


class Committed:
    """Writes the files, and retries what a full disk did not take."""

    def __init__(self, system: System, paths: Paths, known: Known, journal: Journal, device: Device) -> None:
        self.system = system
        self.paths = paths
        self.known = known
        self.journal = journal
        self.device = device
        self.text = ""
        self.published: list[str] = []
        # When to retry a commit that failed; None: everything is committed.
        self.retry_at: float | None = None
        # When to retry the log and status.json, which a full disk has not taken.
        self.log_at: float | None = None

    def load(self) -> dict[str, object]:
        """Return what an earlier supervisor of this boot committed, or {}."""
        got = self.system.read(self.paths.state, 0)
        if got is None:
            return {}
        try:
            state = json.loads(got[1])
        except ValueError:
            return {}
        return state if isinstance(state, dict) and state.get("boot_id") == self.known.boot else {}

    def commit(self) -> bool:
        """Write state.json if anything has changed, then the records, then status.json.

        Return False if state.json could not be written. Then no record is written, and no action may start.
        """
        known = self.known
        state = {
            "version": 1,
            "boot_id": known.boot,
            "seq": self.journal.next,
            "starts": known.starts,
            "all_ready": known.all_ready,
            "device": self.device.kept(),
            "pending": self.journal.unlogged + self.journal.pending,
            "manifest": known.manifest.text,
            "components_d": known.manifest.more,
            "components": {name: c.kept() for name, c in known.components.items()},
        }
        text = json.dumps(state)
        if text == self.text:
            return True
        if not self.system.replace(self.paths.state, text.encode()):
            self.journal.hold()
            self.retry_at = self.system.now() + RETRY_S
            return False
        self.retry_at = None
        self.published += self.journal.write()
        self.count_lost()
        self.write_behind()
        # Without the pending lines: that they are written now does not count as a change.
        self.text = json.dumps({**state, "pending": []})
        return True

    def write_behind(self) -> None:
        """Write status.json. If it fails, or the log has not taken all records, try again later."""
        status = json.dumps(self.status()).encode()
        shown = self.system.replace(self.paths.status, status, durable=False, private=False)
        behind = self.journal.unlogged or not shown
        self.log_at = self.system.now() + RETRY_S if behind else None

    def catch_up(self) -> None:
        """Retry what a full disk did not take, if it is time."""
        if self.log_at is not None and self.system.now() >= self.log_at:
            self.journal.catch_up()
            self.write_behind()

    def count_lost(self) -> None:
        """Record how many lines the console has lost, once it accepts lines again."""
        console = self.journal.console
        if console.lost and not console.lines and not console.absent:
            count, console.lost = console.lost, 0
            self.journal.record("lost", {"count": count})

    def status(self) -> dict[str, object]:
        """Return the content of status.json (docs/supervisor.md)."""
        known = self.known
        return {
            "version": 1,
            "boot_id": known.boot,
            "time": round(self.system.now(), 6),
            "supervisor": {"pid": self.system.pid(), "start": known.starts, "adopted": known.adopted},
            "device": self.device.shown(),
            "components": {name: component.shown() for name, component in known.components.items()},
        }
