# SPDX-License-Identifier: MIT
"""What a manifest claims that a component survives, and whether what happened was that (docs/supervisor.md).

Pure: koboshi.rehearsal.run does it.
"""

from __future__ import annotations

from koboshi.manifest.model import Component
from koboshi.wire.event import Event

FAULTS = ("segv", "abort", "kill", "hang", "leak", "descriptors", "runner", "burst", "needs")
# A component that neither ends nor restarts is looked at for so long, before it counts as unharmed.
WITHSTAND_S = 5.0
# More crashes than this in a row are no rehearsal but a soak.
MOST_CRASHES = 25
# On top of what the manifest gives each step: a device may be slow.
SLACK_S = 20.0
_COLD = "a cold start"


class Claim:
    """One fault, and what must follow; `skip` says why it is left out."""

    __slots__ = ("causes", "cold", "expected", "fault", "skip", "withstand")

    def __init__(
        self, fault: str, causes: set[str], cold: bool = False, withstand: bool = False, skip: str = ""
    ) -> None:
        self.fault = fault
        self.causes = causes
        # A new runner is right too, or nothing else is where there are no causes.
        self.cold = cold
        # No harm at all is right too.
        self.withstand = withstand
        self.skip = skip
        ways = ["a restart by " + " or ".join(sorted(causes))] if causes else []
        self.expected = ", or ".join(ways + ([_COLD] if cold else []) + (["no harm"] if withstand else []))


def claims(spec: Component) -> list[Claim]:
    """What this component's manifest declares, fault by fault."""
    on = set(spec.words("restart.on"))
    # A program may catch the signal, and end in its own way.
    caught = on & {"error", "status", "signal", "exit"}
    beat = {"heartbeat"} if spec.values["heartbeat_s"] is not None else set()
    exits_cold = "status" not in on
    memory = spec.values["limits.memory_mb"] or spec.values["cgroup.memory_mb"]
    crash = spec.values["limits.files"]
    return [
        Claim("segv", caught, exits_cold),
        Claim("abort", caught, exits_cold),
        Claim("kill", {"signal"} & on, "signal" not in on),
        Claim("hang", beat, skip="" if beat else "no heartbeat_s"),
        Claim("leak", on | beat | {"oom"}, True, True, "" if memory else "no memory_mb in limits or cgroup"),
        Claim("descriptors", on | beat, True, True, "" if crash else "no limits.files"),
        Claim("runner", set(), True),
        Claim("burst", set(), True, skip=_no_burst(spec)),
        Claim("needs", set(), skip="" if spec.needs else "needs nothing"),
    ]


def crashes(spec: Component) -> int:
    """After so many crashes in a row it is started cold."""
    burst, same = int(spec.number("restart.burst")), int(spec.number("ladder.same_fault"))
    return min(burst + 1, same) if same else burst + 1


def _no_burst(spec: Component) -> str:
    count = crashes(spec)
    return "" if count <= MOST_CRASHES else f"{count} crashes in a row are more than {MOST_CRASHES}"


def takes_cold(claim: Claim) -> bool:
    """Whether it may take one of the component's cold attempts."""
    return claim.cold


def limit_s(spec: Component) -> float:
    """Within this a component must be back, whatever its manifest lets it do."""
    ready = spec.number("ready_timeout_s") if spec.values["ready_timeout_s"] is not None else 0.0
    beat = spec.number("heartbeat_s") if spec.values["heartbeat_s"] is not None else 0.0
    return ready + 3 * beat + spec.number("cold.delay_max_s") + spec.number("stop_timeout_s") + SLACK_S


def notice_s(spec: Component, claim: Claim) -> float:
    """Within this the first event must come; the death of a runner is told by its successor only."""
    hang = claim.fault == "hang"
    beat = spec.number("heartbeat_s") if hang else 0.0
    # What is stopped does not heed the signal that comes before SIGKILL.
    last = spec.number("stop_timeout_s") if hang and spec.values["heartbeat_signal"] is not None else 0.0
    return limit_s(spec) if claim.cold else WITHSTAND_S + 3 * beat + last


def back(events: list[Event]) -> bool:
    """Whether these events show that it went, and is ready again."""
    names = [event.name for event in events]
    for index, name in enumerate(names):
        if name in ("restart", "started"):
            return "ready" in names[index:]
    return False


def judge(claim: Claim, events: list[Event]) -> tuple[str, str]:
    """(passed, withstood or failed, what was seen) of the runner's events after the fault."""
    first = next((e for e in events if e.name in ("restart", "started")), None)
    if first is None:
        end = next((e for e in events if e.name == "end"), None)
        if end is not None:
            return "failed", f"end, {end.keys.get('reason')} {end.keys.get('status')}, and no new start"
        return ("withstood" if claim.withstand else "failed"), "no harm" if claim.withstand else "nothing"
    saw = _seen(first)
    if not back(events):
        return "failed", f"{saw}, and not ready again"
    right = claim.cold if first.name == "started" else first.keys.get("cause") in claim.causes
    return ("passed" if right else "failed"), saw


def judge_fate(fate: str, events: list[Event]) -> tuple[str, str]:
    """As `judge`, for one that needs what has been restarted; `fate` is its on_restart."""
    restart = next((event for event in events if event.name in ("restart", "started", "end")), None)
    saw = "left alone" if restart is None else _seen(restart)
    if fate != "restart":
        return ("passed" if restart is None else "failed"), saw
    right = restart is not None and restart.keys.get("cause") == "operator" and back(events)
    return ("passed" if right else "failed"), saw


def _seen(event: Event) -> str:
    if event.name == "started":
        return _COLD
    if event.name == "end":
        return f"end, {event.keys.get('reason')} {event.keys.get('status')}"
    keys = event.keys
    return (
        f"{keys.get('level')} restart, {keys.get('cause')} {keys.get('status')}, {keys.get('latency_us')} us"
    )
