# SPDX-License-Identifier: MIT
"""The goals, computed from the parts of a results file, each from one run's own yardsticks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from workbench.bench import paper
from workbench.bench.run import Row

Parts = Mapping[str, Mapping[str, Any]]
LARGE = 1024  # MB
INSTRUCTIONS, LARGE_INSTRUCTIONS = "latency-instructions", "latency-instructions-1024"
ONE_CPU, TWO_CPUS = "latency-1", "latency-2"
HOST, LARGE_HOST = "latency-host", "latency-host-1024"  # real CPUs, and a kernel without rfork(2)
CAUSES = ("exit", "segv")
# Why a goal is not met: what was measured, and what stands in the way.
REASONS = {
    "kernel level, exit / F": "F is one wake-up; a restart has do_exit with its descriptors besides",
    "kernel level, segv / F": "F is one wake-up; a restart has a fault, a signal and do_exit besides",
    "X / kernel level, segv": (
        "of 10,400 instructions 2,000 are the fault and its signal, 900 do_exit until it lets go of the "
        "memory, 1,200 descriptors and directories, 2,300 the closing of the socket that the instance held, "
        "300 the decision, 2,500 a wake-up and the switch, 700 the way to user space, 400 there: stock code "
        "but for some 900. An instance that exits skips the signal, and X / 20 is met"
    ),
    "X / user level, segv": (
        "a stock kernel's own part: 4,000 for the fault, its signal and the preparations for a core dump "
        "that the limit forbids, 6,500 the end of the process, 4,500 the turn of who reads the events, two "
        "wake-ups. With an exit X / 7 is met"
    ),
    "storm": (
        "no spare can be ready when an instance lives shorter than a copy takes, so that each restart is a "
        "fork as in N, with an event and its reader's turn besides, which N does not have; at user level "
        "also with a pipe, so that the event is there before the instance runs, and the copied pages of two "
        "processes instead of one"
    ),
    "p99 / p50": (
        "the slow ones meet a timer tick, or found no spare ready; both levels have them where the emulated "
        "CPU is shared with other work of the host"
    ),
    "paper": (
        "a ratio of two levels, counted in instructions without a machine's noise. All restarts at kernel "
        "level are within 0.5 % of each other but for one a clock tick, which takes half as long again: RCU "
        "frees what some thirty ended tasks left behind. The user level has the same, so that the two "
        "deviate alike"
    ),
}
# The same for the parts on real CPUs, where they have reasons of their own.
_SHARES = (
    "of a restart by exit 44 % are exit(2) until wait(2) can tell, 29 % the monitor's, 16 % the turn of who "
    "reads the events, 11 % the switch to the instance (medians of 288 restarts in a trace with perf record "
    "-e sched:sched_switch -e syscalls:sys_enter_exit_group -e exceptions:page_fault_user)"
)
HOST_REASONS = {
    "user level, exit / F": f"the end of the process alone takes some ten F: {_SHARES}",
    "user level, segv / F": f"the end of the process alone takes some ten F: {_SHARES}",
    "X / user level": (
        f"the end of the process, which X has as well, takes nearly a seventh of X by itself: {_SHARES}"
    ),
    "p99 / p50": (
        "the slowest hundredth takes 66 us more than the median; of X, in the same run, 92: the machine is a "
        "virtual one"
    ),
    "N(1 GB) / user level(1 GB)": (
        "it takes no longer than at 1 MB after the same pause, some 160 us: the CPU was idle for 130 ms. "
        "Beside a process that kept it awake 364 were measured"
    ),
}


@dataclass(frozen=True)
class Goal:
    """`value` is None where nothing was measured; `must` and `aim` are bounds above (`at_most`) or below."""

    name: str
    value: float | None
    must: float
    aim: float
    at_most: bool
    source: str
    emulated: str = ""  # what the machine has to do with it, where that is an emulator's time

    @property
    def met(self) -> bool:
        """Whether the must is met."""
        return self.value is not None and self._within(self.must)

    @property
    def reached(self) -> bool:
        """Whether the aim is, too."""
        return self.value is not None and self._within(self.aim)

    def _within(self, bound: float) -> bool:
        value = self.value or 0.0
        return value <= bound if self.at_most else value >= bound

    @property
    def reason(self) -> str:
        """Why it is not met."""
        if self.met:
            return ""
        if self.value is None:
            return "not measured yet"
        own = HOST_REASONS if self.source in (HOST, LARGE_HOST) else {}
        known = next((text for name, text in {**own, **REASONS}.items() if self.name.startswith(name)), "")
        return "; ".join(text for text in (self.emulated, known) if text)

    def as_json(self) -> dict[str, Any]:
        """As the results file has it."""
        plain = {key: value for key, value in asdict(self).items() if key != "emulated"}
        return plain | {"met": self.met, "reached": self.reached, "reason": self.reason}


def compute(parts: Parts) -> list[Goal]:
    """All of them, in the order of the table."""
    found: list[Goal] = []
    for part in (INSTRUCTIONS, ONE_CPU, HOST):
        found += _by_yardsticks(parts, part)
    found += _by_size(parts)
    found += _spread(parts)
    found += _paper(parts)
    for part in (INSTRUCTIONS, ONE_CPU, HOST):
        found += [_storm(parts, part, level, cause) for level in _levels(part) for cause in CAUSES]
    found += _system(parts)
    told = _emulated(parts)
    return [replace(goal, emulated=told) if goal.source in (ONE_CPU, TWO_CPUS) else goal for goal in found]


def _emulated(parts: Parts) -> str:
    """What an instruction takes under emulation, by what it is in; "" where that was not measured."""
    found = []
    for what, wanted in (
        ("S", {"variant": "segv-longjmp"}),
        ("F", {"variant": "futex"}),
        ("a kernel restart", {"variant": "kernel", "load": "paced", "cause": "segv"}),
    ):
        times, counts = (number(parts, part, "p50", mb=1, **wanted) for part in (ONE_CPU, INSTRUCTIONS))
        if times and counts:
            found.append(f"{times / counts:.0f} ns in {what}")
    if not found:
        return ""
    return (
        f"time of an emulator, in which an instruction takes {', '.join(found)}: it pays for each change of "
        f"the address space and for code it has not translated; see {INSTRUCTIONS}"
    )


def rows(parts: Parts, part: str, **wanted: object) -> list[Row]:
    """The rows of a part with these members."""
    every: Iterable[Row] = parts.get(part, {}).get("rows", [])
    return [row for row in every if all(row.get(key) == value for key, value in wanted.items())]


def number(parts: Parts, part: str, key: str, **wanted: object) -> float | None:
    """A member of the one row, or None."""
    found = rows(parts, part, **wanted)
    return float(found[0][key]) if found and key in found[0] else None


def ratio(above: float | None, below: float | None) -> float | None:
    """To three digits or more, or None."""
    if above is None or not below:
        return None
    value = above / below
    return round(value, 3 if value < 10 else 1)


def _median(parts: Parts, part: str, variant: str, megabytes: int = 1, cause: str = "segv") -> float | None:
    return number(parts, part, "p50", variant=variant, mb=megabytes, load="paced", cause=cause)


def _levels(part: str) -> tuple[str, ...]:
    """Those that are measured in it."""
    return ("user",) if part in (HOST, LARGE_HOST) else ("kernel", "user")


def _by_yardsticks(parts: Parts, part: str) -> list[Goal]:
    """Each cause with a yardstick that fails by the same."""
    futex = number(parts, part, "p50", variant="futex", mb=1)
    bounds = {"kernel": (5, 3, 20, 35), "user": (15, 10, 7, 10)}
    found = []
    for cause in CAUSES:
        exec_ = _median(parts, part, "exec", cause=cause)
        for level in _levels(part):
            own = _median(parts, part, level, cause=cause)
            must, aim, must_x, aim_x = bounds[level]
            found += [
                Goal(f"{level} level, {cause} / F", ratio(own, futex), must, aim, at_most=True, source=part),
                Goal(
                    f"X / {level} level, {cause}",
                    ratio(exec_, own),
                    must_x,
                    aim_x,
                    at_most=False,
                    source=part,
                ),
            ]
    return [*found, _by_signal(parts, part)] if "kernel" in _levels(part) else found


def _by_signal(parts: Parts, part: str) -> Goal:
    """There is no re-image in place: a restart by a new task, against the bound that one was to keep."""
    value = ratio(_median(parts, part, "kernel"), number(parts, part, "p50", variant="segv-longjmp", mb=1))
    name = "kernel level by a new task, segv / S (bound of a re-image)"
    return Goal(name, value, 4, 2, at_most=True, source=part)


def _by_size(parts: Parts) -> list[Goal]:
    """From 1 MB to 1 GB, on one CPU and on two; and N at 1 GB."""
    found = []
    for level in ("kernel", "user"):
        for part, cpus in (
            (LARGE_INSTRUCTIONS, "1 CPU"),
            (ONE_CPU, "1 CPU"),
            (TWO_CPUS, "2 CPUs"),
            (LARGE_HOST, "1 CPU"),
        ):
            if level not in _levels(part):
                continue
            value = ratio(_median(parts, part, level, LARGE), _median(parts, part, level))
            found.append(
                Goal(
                    f"{level} level, p50(1 GB) / p50(1 MB), {cpus}",
                    value,
                    1.5,
                    1.1,
                    at_most=True,
                    source=part,
                )
            )
        for part in (LARGE_INSTRUCTIONS, ONE_CPU, LARGE_HOST):
            if level not in _levels(part):
                continue
            value = ratio(_median(parts, part, "naive", LARGE), _median(parts, part, level, LARGE))
            found.append(Goal(f"N(1 GB) / {level} level(1 GB)", value, 300, 2000, at_most=False, source=part))
    return found


def _spread(parts: Parts) -> list[Goal]:
    found = []
    for part in (INSTRUCTIONS, ONE_CPU, HOST):
        for level in _levels(part):
            wanted = {"variant": level, "mb": 1, "load": "paced", "cause": "segv"}
            value = ratio(number(parts, part, "p99", **wanted), number(parts, part, "p50", **wanted))
            found.append(Goal(f"p99 / p50, {level} level", value, 3, 1.5, at_most=True, source=part))
    return found


def _paper(parts: Parts) -> list[Goal]:
    found = []
    for line in ("linux-2.6.23", "linux-6.12"):
        part = f"paper-{line}"
        both = paper.ratios(rows(parts, part)) or (None, None)
        for what, value, must, aim in (("mean", both[0], 0.95, 0.5), ("deviation", both[1], 0.32, 0.3)):
            name = f"paper's table, kernel / user, {what}, {line}"
            found.append(
                Goal(name, None if value is None else round(value, 3), must, aim, at_most=True, source=part)
            )
    return found


def _storm(parts: Parts, part: str, level: str, cause: str) -> Goal:
    own, naive = (
        number(parts, part, "per_s", variant=variant, mb=1, load="storm", cause=cause)
        for variant in (level, "naive")
    )
    name = f"storm, {level} level, {cause}: restarts/s x N"
    return Goal(name, ratio(own, naive), 1, 2, at_most=False, source=part)


def _system(parts: Parts) -> list[Goal]:
    def component(name: str) -> float | None:
        return number(parts, "components", "p50", variant=name)

    resident = number(parts, "footprint", "supervisor_kb")
    costs = [float(each["ratio"]) for each in parts.get("cost", {}).get("costs", [])]
    return [
        Goal(
            "Python component, cold start / warm restart",
            ratio(component("python-cold"), component("python-warm")),
            *(20, 100),
            at_most=False,
            source="components",
        ),
        Goal(
            "patched / stock kernel, instructions of fork, exec, threads",
            round(max(costs), 4) if costs else None,
            *(1.01, 1.01),
            at_most=True,
            source="cost",
        ),
        Goal("supervisor, resident MB", ratio(resident, 1024), 12, 9, at_most=True, source="footprint"),
        Goal(
            "supervisor, wake-ups when nothing happens",
            number(parts, "footprint", "wakeups"),
            *(0, 0),
            at_most=True,
            source="footprint",
        ),
    ]


def table(goals: Iterable[Goal], line: Callable[[tuple[str, ...]], str]) -> str:
    """A line each, made of the cells by `line`."""
    head = ("goal", "value", "must", "aim", "met", "part")
    return "\n".join(line(cells) for cells in [head, *map(_cells, goals)])


def _cells(goal: Goal) -> tuple[str, ...]:
    sign = "<=" if goal.at_most else ">="
    value = "-" if goal.value is None else f"{goal.value:g}"
    met = "aim" if goal.reached else "must" if goal.met else "no"
    return (goal.name, value, f"{sign} {goal.must:g}", f"{sign} {goal.aim:g}", met, goal.source)
