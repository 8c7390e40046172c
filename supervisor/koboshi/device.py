# SPDX-License-Identifier: MIT
"""The device's own rungs of the ladder: a reboot, and the safe state (docs/supervisor.md).

The number of reboots is kept on storage that survives reboots and power cuts. Without such storage the
supervisor never reboots the device, which could otherwise reboot for ever: it enters the safe state instead.
"""

from __future__ import annotations

from koboshi.decided import Decided
from koboshi.known import Known
from koboshi.manifest.model import Manifest
from koboshi.state import transitions
from koboshi.state.component import Component
from koboshi.system.calls import System
from koboshi.system.lasting import Lasting

# A boot counts as good if the device is still in service this long after all-ready.
GOOD_S = 60.0
# Time for components to stop before a reboot. The watchdog, which is no longer fed, takes longer.
STOP_S = 15.0
# Retry interval of a reboot that did not happen; in the end, the watchdog resets the machine.
AGAIN_S = 5.0


class Device:
    """Decides about reboots and the safe state, and counts reboots."""

    def __init__(self, system: System, known: Known, decided: Decided, sysrq: str) -> None:
        self.system = system
        self.known = known
        self.decided = decided
        self.sysrq = sysrq
        self.table: dict[str, object] = {}
        self.directory: str | None = None
        self.lasting: Lasting | None = None
        self.error: str | None = None
        self.begun = self.good = self.told = self.issued = False
        self.reset = ""
        self.safe = ""
        self.reboots = 0
        # The component that caused the reboot under way, and why; None: no reboot.
        self.reboot: tuple[str, str] | None = None
        self.reboot_at: float | None = None
        self.good_at: float | None = None
        self.leak_at: float | None = None
        self.feed_at: float | None = None

    # Kept and shown

    def kept(self) -> dict[str, object]:
        """Return what the next supervisor of this boot needs."""
        return {**self.shown(), "begun": self.begun, "good": self.good, "reboot": self.reboot}

    def shown(self) -> dict[str, object]:
        """Return the part of status.json about the device."""
        return {"reset": self.reset, "safe": self.safe, "reboots": self.reboots, "storage": self.error}

    def restore(self, kept: object) -> None:
        """Take over what the last supervisor of this boot kept."""
        values = kept if isinstance(kept, dict) else {}
        self.begun, self.good = bool(values.get("begun")), bool(values.get("good"))
        self.reset, self.safe = str(values.get("reset", "")), str(values.get("safe", ""))
        count, reboot = values.get("reboots"), values.get("reboot")
        self.reboots = count if isinstance(count, int) else 0
        if isinstance(reboot, list) and len(reboot) == 2:
            self.reboot, self.reboot_at = (str(reboot[0]), str(reboot[1])), self.system.now() + STOP_S

    def phase(self) -> str:
        """Return how this boot ends, for the next one."""
        if self.reboot is not None:
            return "ladder"
        if self.told:
            return "ordered"
        return "good" if self.good else "booting"

    def store(self) -> str:
        """Write what must survive a reboot; return an error, or ""."""
        if self.lasting is None:
            return ""
        component, why = self.reboot or ("", "")
        values: dict[str, object] = {"boot": self.known.boot, "phase": self.phase(), "reboots": self.reboots}
        return self.lasting.store(
            {**values, "safe": _short(self.safe), "component": component, "why": _short(why)}
        )

    # Configuration, and the first look in a boot

    def number(self, key: str) -> float:
        """Return a number of the manifest's [device]."""
        value = self.table[key]
        assert isinstance(value, (int, float))
        return value

    def configure(self, manifest: Manifest) -> None:
        """Use an accepted manifest. With the first one of a boot, also record how the last boot ended."""
        self.table = manifest.device
        self._open_watchdog()
        self._open_storage(any(c.values["vital"] for c in manifest.components.values()))
        if not self.begun:
            self._begin()
        if error := self.store():
            self._complain(error)

    def _open_watchdog(self) -> None:
        path, seconds = self.table["watchdog"], int(self.number("watchdog_s"))
        if path is None and self.system.machine.watchdog_fd >= 0:
            self.system.machine.watchdog_close()
            self.feed_at = None
        if path is not None and self.system.machine.watchdog_fd < 0:
            error = self.system.machine.watchdog_open(str(path), seconds)
            about = {"error": error} if error else {"timeout_s": seconds}
            self.decided.record("watchdog", {"device": path, **about})
            self.feed_at = self.system.now() if self.system.machine.watchdog_fd >= 0 else None

    def _open_storage(self, vital: bool) -> None:
        directory = None if self.table["record"] is None else str(self.table["record"])
        known = self.lasting is not None or self.error is not None
        if known and directory == self.directory:
            return
        self.directory, self.lasting = directory, None
        self.error = self.system.machine.volatile(directory) if directory else "none is configured"
        if not self.error and directory:
            self.error = self._in_use(directory)
        if not self.error and directory:
            self.error, self.lasting = None, Lasting(self.system, directory)
        elif directory or vital:
            self._complain(self.error)

    def _in_use(self, directory: str) -> str:
        """Return an error if another supervisor uses this directory: each would count the other's reboots."""
        try:
            holder = self.system.machine.lock(directory + "/lock")
        except OSError:
            return ""  # a full disk may still take what is written over the same sectors
        return "" if holder == 0 else f"is in use by the supervisor with PID {holder or 'unknown'}"

    def _complain(self, error: str) -> None:
        self.error = error
        where = self.directory or "-"
        self.decided.record("storage", {"directory": where, "error": error})
        self.system.complain(
            f"nothing outlives a reboot: record {where} {error}; the safe state comes instead"
        )

    def _begin(self) -> None:
        """Read what the last boot left, and record how it ended."""
        self.begun = True
        last = self.lasting.values if self.lasting is not None else {}
        fired = self.system.machine.watchdog_fd >= 0 and self.system.machine.watchdog_fired()
        count = last.get("reboots")
        self.reboots = count if isinstance(count, int) else 0
        self.safe = str(last.get("safe", ""))
        phase = last.get("phase")
        if last.get("boot") == self.known.boot:
            phase = "same"  # state.json was lost, and this boot has been counted
        if phase in ("ladder", "ordered", "same"):
            self.reset = str(phase)
        else:
            self.reset = "watchdog" if fired else "first" if phase is None else "unknown"
        bad = phase not in ("ladder", "ordered", "same") and (fired or phase == "booting")
        self.reboots += 1 if bad else 0
        keys = {"component": last["component"], "why": last["why"]} if phase == "ladder" else {}
        of = {"reboots": self.reboots, "of": int(self.number("reboots"))}
        if self.lasting is not None or self.system.machine.watchdog_fd >= 0:
            self.decided.record("reset", {"reason": self.reset, **keys, **of})
        if self.safe:
            self.decided.record("safe-state", {"why": self.safe})
        elif bad and (self.reboots > self.number("reboots") or self.lasting is None):
            self._enter_safe("-", f"reset ({self.reset}) {self.reboots} times before a good run")

    # The last rungs

    def give_up_on(self, name: str, why: str) -> None:
        """An essential component cannot be recovered: reboot, or enter the safe state."""
        if self.safe or self.reboot is not None:
            return
        if self.lasting is None:
            self._enter_safe(name, f"no reboot: record {self.directory or '-'} {self.error}")
        elif not self.system.machine.may_reboot(self.sysrq):
            self._enter_safe(name, "no reboot: not started by PID 1")
        elif self.reboots + 1 > self.number("reboots"):
            self._enter_safe(name, f"{self.reboots} reboots have not helped")
        else:
            self.reboot, self.reboot_at = (name, why), self.system.now() + STOP_S
            self.reboots += 1
            keys = {"component": name, "rung": "reboot", "why": why}
            self.decided.record(
                "ladder", {**keys, "reboots": self.reboots, "of": int(self.number("reboots"))}
            )
            self.known.shutting_down = True
            self.decided.later("store")

    def _enter_safe(self, name: str, why: str) -> None:
        self.safe = why
        self.decided.record("safe-state", {"component": name, "why": why})
        for component in self.known.components.values():
            if self.holds(component) and component.state not in ("given-up", "ended"):
                component.by, component.after = "safe", ""
                transitions.handle(component, "stop")
        self.decided.later("store")

    def holds(self, component: Component) -> bool:
        """Return whether the safe state keeps this component stopped."""
        return bool(self.safe) and (component.spec is None or component.spec.values["safe"] is not True)

    def resume(self) -> bool:
        """End the safe state for an operator: start everything, with full budgets."""
        if not self.safe:
            return False
        self.safe, self.reboots = "", 0
        self.decided.record("safe-state", {"why": "ended by operator"})
        for component in self.known.components.values():
            if component.by == "safe" or component.state == "given-up":
                transitions.handle(component, "start")
        self.decided.later("store")
        return True

    def shut_down(self) -> None:
        """Note that PID 1 or an operator shuts the device down: this boot ends well."""
        self.told = True
        self.decided.later("store")

    @property
    def reboot_under_way(self) -> bool:
        """Return whether the supervisor must stay until its own reboot happens."""
        return self.reboot is not None and not self.told

    def act(self, what: str) -> None:
        """Carry out an action after the commit: `store` or `reboot`."""
        if what == "reboot":
            self.system.machine.reboot(self.sysrq, self.system.loop.console_fd)
            return
        error = self.store()
        if error:
            self._complain(error)
        if error and self.reboot is not None:
            # The next boot would not know of this reboot.
            name, self.reboot, self.reboot_at = self.reboot[0], None, None
            self.known.shutting_down = False
            self._enter_safe(name, f"no reboot: record {self.directory} {error}")

    # Turns

    def take_lost(self) -> None:
        """Take a step for each vital component that was given up in this turn."""
        while self.decided.lost:
            self.give_up_on(self.decided.lost.popleft(), "given-up")

    def turn(self) -> None:
        """Do what is due now; called in each turn of the loop."""
        self.take_lost()
        now = self.system.now()
        if self.reboot_at is not None and (
            now >= self.reboot_at or (self.known.at_rest() and not self.issued)
        ):
            self.issued = True
            self.decided.later("reboot")
            self.reboot_at = now + AGAIN_S
        if self.reboot is None and not self.known.shutting_down:
            self._look_after_the_vital(now)
            self._count_good_time(now)
        if self.feed_at is not None and now >= self.feed_at and self.reboot is None:
            self.system.machine.watchdog_feed()
            self.feed_at = now + self.number("watchdog_s") / 3

    def _vital_out(self) -> list[tuple[str, float]]:
        """Return the vital components that are out of service, and since when."""
        found = self.known.components.values()
        return [(c.name, c.out_since) for c in found if c.vital and c.out_since is not None]

    def _look_after_the_vital(self, now: float) -> None:
        if self.safe or not self.table:
            return
        for name, since in self._vital_out():
            if now - since >= self.number("vital_s"):
                self.give_up_on(name, f"out of service for {now - since:.0f} s")
                return

    def _count_good_time(self, now: float) -> None:
        """Forget one reboot after the other while the device is in service."""
        if self.lasting is None:
            return
        if self.good_at is None and self.known.all_ready and not self.safe and not self.good:
            self.good_at = now + GOOD_S
        if self.good_at is not None and now >= self.good_at:
            self.good, self.good_at = not self._vital_out(), None
            self.decided.later("store")
        if self.leak_at is None and self.good and self.reboots and not self.safe:
            self.leak_at = now + self.number("reboot_window_s") / max(1.0, self.number("reboots"))
        if self.leak_at is not None and now >= self.leak_at:
            self.leak_at = None
            if not self._vital_out() and self.reboots:
                self.reboots -= 1
                self.decided.later("store")

    def deadline(self) -> float | None:
        """Return when `turn` must be called at the latest, or None."""
        if self.reboot_at is not None:
            return self.reboot_at
        times = [when for when in (self.good_at, self.leak_at, self.feed_at) if when is not None]
        if self.table and not self.safe and not self.known.shutting_down:
            times += [since + self.number("vital_s") for _name, since in self._vital_out()]
        return min(times) if times else None


def _short(text: str) -> str:
    """Cut a text so that it fits into a sector, and replace characters that JSON would escape."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text[:90])
