# SPDX-License-Identifier: MIT
"""`koboshictl rehearse`: what the manifest claims that components survive is done (docs/supervisor.md).

A program of its own: the supervisor writes its records, and is itself one of those that are hit.
"""

from __future__ import annotations

import fcntl
import json
import signal
import time
from collections.abc import Callable

from koboshi.manifest.check import parse
from koboshi.manifest.model import Component, Manifest
from koboshi.rehearsal import claims as rehearsal
from koboshi.rehearsal import inject
from koboshi.rehearsal.claims import Claim
from koboshi.system import opening
from koboshi.system.calls import System
from koboshi.system.client import FailedError, ask
from koboshi.system.events import Follower
from koboshi.wire.event import Event

_POLL_S = 0.02
_SUPERVISOR = "supervisor"
# As many looks in a row must show that nothing is on its way.
_QUIET_LOOKS = 3
# A supervisor that was killed is back within this.
_SUCCESSOR_S = 60.0
# A component that would have to wait longer for its next restart is left out.
_PATIENCE_S = 60.0
Result = dict[str, object]
Process = tuple[int, int]


class Rehearsal:
    """Goes through the claims; `show` is called with each result."""

    def __init__(self, run: str, show: Callable[[Result], None]) -> None:
        self.run = run
        self.show = show
        self.system = System("/dev/null")
        self.counts = dict.fromkeys(("passed", "withstood", "skipped", "failed"), 0)
        # When each component was restarted, as its runner counts it.
        self.restarts: dict[str, list[float]] = {}
        self.manifest = self._manifest()

    def _state(self) -> Result:
        """What the supervisor has committed."""
        got = self.system.read(self.run + "/state.json", 0)
        if got is None:
            raise FailedError(f"{self.run}/state.json: there is no supervisor")
        found: Result = json.loads(got[1])
        return found

    def _manifest(self) -> Manifest:
        """The one in force."""
        state = self._state()
        files = state["components_d"]
        assert isinstance(files, list)
        more = tuple((str(file), str(text)) for file, text in files)
        return parse(str(state["manifest"]), "koboshi.toml", more)

    def all(self, names: list[str]) -> int:
        """These components, or all and the supervisor; how many claims failed."""
        for name in names or self.manifest.components:
            if name == _SUPERVISOR and name not in self.manifest.components:
                continue
            if name not in self.manifest.components:
                raise FailedError(f"no component {name!r}; there are " + ", ".join(self.manifest.components))
            spec = self.manifest.components[name]
            for claim in rehearsal.claims(spec):
                self.one(spec, claim)
        if not names or _SUPERVISOR in names:
            self.supervisor()
        self.tell({"result": "done", **self.counts})
        return self.counts["failed"]

    def one(self, spec: Component, claim: Claim) -> None:
        """One claim of one component."""
        about: Result = {"component": spec.name, "fault": claim.fault}
        why = claim.skip or self.not_now(spec, claim)
        if why:
            self.result({**about, "result": "skipped", "why": why})
            return
        self.tell({**about, "result": "begun"})
        try:
            result, saw = self.needs(spec) if claim.fault == "needs" else self.hit(spec, claim)
        except inject.CannotError as error:
            self.result({**about, "result": "skipped", "why": str(error)})
            return
        expected = claim.expected or "what on_restart says"
        self.result({**about, "result": result, "expected": expected, "saw": saw})

    def not_now(self, spec: Component, claim: Claim) -> str:
        """Why it cannot be done now; nothing once its runner would count it as a single fault."""
        known = self.until_ready(spec.name, rehearsal.limit_s(spec))
        if known.get("state") != "ready":
            return f"is {known.get('state')}"
        self.until_quiet(rehearsal.limit_s(spec))
        left = known.get("left")
        if rehearsal.takes_cold(claim) and not (isinstance(left, dict) and left.get("cold")):
            return "no cold attempt is left"
        wait = 0.0 if claim.fault == "burst" else self._pause(spec)
        if wait > _PATIENCE_S:
            return f"another restart would be a burst for {wait:.0f} s"
        time.sleep(max(wait, spec.number("restart.probation_s")))
        return ""

    def _pause(self, spec: Component) -> float:
        """Seconds until one more restart is no burst."""
        window, burst = spec.number("restart.window_s"), int(spec.number("restart.burst"))
        recent = self.restarts.get(spec.name, [])[-max(1, burst - 1) :]
        return max(0.0, recent[0] + window - time.monotonic()) if len(recent) >= max(1, burst - 1) else 0.0

    # What is done

    def hit(self, spec: Component, claim: Claim) -> tuple[str, str]:
        """The fault, and the verdict on what followed."""
        follower = self.follow(spec.name)
        target = self.process(spec.name, "runner" if claim.fault == "runner" else "pid")
        if claim.fault == "burst":
            events = self.crash_again(spec, follower, target)
        elif claim.fault in ("leak", "descriptors"):
            events = self.exhaust(spec, claim, follower, target)
        else:
            self.strike(claim.fault, target)
            events = self.events(follower, rehearsal.limit_s(spec), rehearsal.notice_s(spec, claim))
        if claim.fault == "hang" and not events:
            self.system.kill(*target, signal.SIGCONT)
        self.note_restarts(spec.name, events)
        result, saw = rehearsal.judge(claim, events)
        if result == "passed":
            return self.agreed(spec, events, saw)
        if result == "withstood" and self.status(spec.name).get("state") != "ready":
            return "failed", "no restart, and not in service"
        return result, saw

    def process(self, name: str, which: str) -> Process:
        """PID and start time of an instance ("pid") or "runner": the number alone may be another's by now."""
        components = self._state()["components"]
        assert isinstance(components, dict)
        kept = components.get(name, {})
        return _int(kept.get(which)), _int(kept.get(which + "_start"))

    def strike(self, fault: str, target: Process) -> None:
        """The signal that stands for the fault; nobody there is no error: it is gone already."""
        self.system.kill(*target, inject.SIGNALS.get(fault, signal.SIGKILL))

    def exhaust(self, spec: Component, claim: Claim, follower: Follower, target: Process) -> list[Event]:
        """Take it away, look for a while, give it back."""
        pid, start = target
        if not start or self.system.start_time(pid) != start:
            raise inject.CannotError("its process is gone")
        if claim.fault == "leak":
            taken = inject.exhaust_memory(pid, spec.values["limits.memory_mb"] is not None)
        else:
            taken = inject.exhaust_descriptors(pid)
        try:
            events = self.events(follower, rehearsal.WITHSTAND_S)
        finally:
            taken.close()
        # It may have fallen at the last moment.
        return events + (self.events(follower, rehearsal.limit_s(spec)) if _begun(events) else [])

    def crash_again(self, spec: Component, follower: Follower, target: Process) -> list[Event]:
        """The same crash, until it is started cold; only what follows the last one."""
        begin = time.monotonic()
        for _ in range(rehearsal.crashes(spec)):
            self.strike("burst", target)
            events = self.events(follower, rehearsal.limit_s(spec), rehearsal.WITHSTAND_S)
            if not rehearsal.back(events) or any(event.name == "started" for event in events):
                return [event for event in events if event.name != "restart"]
            pid = events[-1].integer("pid")
            target = pid, self.system.start_before(pid, events[-1].time)
        if time.monotonic() - begin > spec.number("restart.window_s"):
            raise inject.CannotError("it is not ready again often enough in restart.window_s")
        # The last one has made the ladder take over: the stop comes first.
        return self.events(follower, rehearsal.limit_s(spec))

    def needs(self, spec: Component) -> tuple[str, str]:
        """Each that it needs crashes; what becomes of this one is what its manifest says."""
        saws = []
        for need in spec.needs:
            fate = str(spec.table("on_restart").get(need, "leave"))
            if (
                self.until_ready(need, rehearsal.limit_s(self.manifest.components[need])).get("state")
                != "ready"
            ):
                raise inject.CannotError(f"{need} is not ready")
            time.sleep(self._pause(self.manifest.components[need]))
            mine, its = self.follow(spec.name), self.follow(need)
            self.strike("needs", self.process(need, "pid"))
            told = self.events(its, rehearsal.limit_s(self.manifest.components[need]))
            self.note_restarts(need, told)
            if not rehearsal.back(told):
                return "failed", f"{need} did not come back"
            events = self.events(mine, rehearsal.limit_s(spec) if fate == "restart" else 1.0)
            result, saw = rehearsal.judge_fate(fate, events)
            saws.append(f"{need} ({fate}): {saw}")
            if result != "passed":
                return result, saws[-1]
        return "passed", "; ".join(saws)

    def supervisor(self) -> None:
        """It is killed; the next one must find everything as it was."""
        about: Result = {"fault": _SUPERVISOR}
        before = self.ask({"cmd": "status"})
        pid, start = _supervisor(before)
        if 1 not in (self.parent(pid), self.parent(self.parent(pid))):
            why = "PID 1 has not started it: nobody would start the next one"
            self.result({**about, "result": "skipped", "why": why})
            return
        self.tell({**about, "result": "begun"})
        self.system.kill(pid, self.system.start_time(pid), signal.SIGKILL)
        deadline = time.monotonic() + _SUCCESSOR_S
        while True:
            after = self.ask({"cmd": "status"})
            if _supervisor(after)[1] > start or time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)
        wrong = self.differences(before, after, start)
        saw = "; ".join(wrong) or "adopted, the same processes"
        expected = "adopted, the same processes"
        self.result({**about, "result": "failed" if wrong else "passed", "expected": expected, "saw": saw})

    def differences(self, before: Result, after: Result, start: int) -> list[str]:
        """What the next supervisor has not found as it was."""
        if _supervisor(after)[1] <= start:
            return [f"no other supervisor within {_SUCCESSOR_S:.0f} s"]
        was, now = before["components"], after["components"]
        assert isinstance(was, dict)
        assert isinstance(now, dict)
        return [
            f"{name}: process {known['pid']} of runner {known['runner']} is now {now[name]['pid']}"
            for name, known in was.items()
            if known["pid"] and (known["pid"], known["runner"]) != (now[name]["pid"], now[name]["runner"])
        ]

    # What is looked at

    def follow(self, name: str) -> Follower:
        """The runner's own log, from here on."""
        follower = Follower(self.system, f"{self.run}/{name}", 0)
        follower.read()
        return follower

    def events(self, follower: Follower, seconds: float, first_s: float = 0.0) -> list[Event]:
        """What the runner tells until the component is back, or for so long (`first_s`: the first event)."""
        begin = time.monotonic()
        found: list[Event] = []
        while not rehearsal.back(found) and time.monotonic() - begin < (
            seconds if found else first_s or seconds
        ):
            found += follower.read()[0]
            time.sleep(_POLL_S)
        return found

    def note_restarts(self, name: str, events: list[Event]) -> None:
        """For the pause before the next; a new runner counts anew."""
        for event in events:
            if event.name == "started":
                self.restarts[name] = []
            elif event.name == "restart":
                self.restarts.setdefault(name, []).append(time.monotonic())

    def agreed(self, spec: Component, events: list[Event], saw: str) -> tuple[str, str]:
        """Whether the supervisor has the same process ready, and the old one is gone."""
        pid = next(event.integer("pid") for event in reversed(events) if event.name == "ready")
        known = self.until_ready(spec.name, rehearsal.limit_s(spec), pid)
        if known.get("state") != "ready" or known.get("pid") != pid:
            return "failed", f"{saw}; the supervisor has {known.get('state')} {known.get('pid')}, not {pid}"
        return "passed", saw

    def until_ready(self, name: str, seconds: float, pid: int = 0) -> dict[str, object]:
        """What the supervisor knows of a component, at the latest after so long; `pid`: as that process.

        A runner writes its log before it pokes the supervisor, which may know an older process still.
        """
        deadline = time.monotonic() + seconds
        while True:
            known = self.status(name)
            ready = known.get("state") == "ready" and pid in (0, known.get("pid"))
            if ready or time.monotonic() > deadline:
                return known
            if known.get("state") in ("stopped", "ended", "given-up"):
                return known
            time.sleep(_POLL_S)

    def until_quiet(self, seconds: float) -> None:
        """Until nothing is on its way any more: what the last fault led to elsewhere is not this one's."""
        deadline = time.monotonic() + seconds
        looks = 0
        while looks < _QUIET_LOOKS and time.monotonic() < deadline:
            found = self.ask({"cmd": "status"})["components"]
            assert isinstance(found, dict)
            busy = any(known["state"] in ("starting", "running", "stopping") for known in found.values())
            looks = 0 if busy else looks + 1
            time.sleep(_POLL_S)

    def status(self, name: str) -> dict[str, object]:
        """What the supervisor knows of a component."""
        components = self.ask({"cmd": "status"}).get("components")
        found = components.get(name) if isinstance(components, dict) else None
        return found if isinstance(found, dict) else {}

    def parent(self, pid: int) -> int:
        """The PID of a process's parent."""
        got = self.system.read(f"/proc/{pid}/stat", 0)
        return int(got[1][got[1].rfind(b")") + 2 :].split()[1]) if got is not None else 0

    # What is told

    def result(self, keys: Result) -> None:
        """To the supervisor's records, and to whoever has asked."""
        self.counts[str(keys["result"])] += 1
        self.tell(keys)
        self.show(keys)

    def tell(self, keys: Result) -> None:
        """A record."""
        self.ask({"cmd": "rehearsal", "keys": keys})

    def ask(self, request: dict[str, object]) -> dict[str, object]:
        """A supervisor may just be dead."""
        deadline = time.monotonic() + _SUCCESSOR_S
        while True:
            try:
                return ask(request)
            except FailedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)


def run(run_folder: str, names: list[str], show: Callable[[Result], None]) -> int:
    """For koboshictl; how many claims failed. FailedError if a rehearsal is under way."""
    with open(run_folder + "/rehearsal.lock", "wb", buffering=0, opener=opening.private) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FailedError("a rehearsal is under way") from None
        return Rehearsal(run_folder, show).all(names)


def _begun(events: list[Event]) -> bool:
    """Whether it has gone, and is not ready again."""
    return bool(events) and not rehearsal.back(events)


def _supervisor(status: dict[str, object]) -> tuple[int, int]:
    """PID, and how many there have been."""
    found = status.get("supervisor")
    assert isinstance(found, dict)
    return int(found["pid"]), int(found["start"])


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
