# SPDX-License-Identifier: MIT
"""`./dev soak --host`: random faults and wishes on twenty components, the supervisor killed again and again.

On this host, at user level, and without what troubles a machine as a whole: soak_guest.py is the other one.
After each round an observer that reads /proc alone must find one process of each component, and none of those
that an operator has stopped. The same seed gives the same faults.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from workbench.core import progress
from workbench.trial.soak_rig import COMPONENTS, Rig, SoakError

ROUND = 8  # faults, then a look
FAULTS = ("segv", "abort", "kill", "runner", "supervisor", "stop", "start", "restart")
SIGNALS = {"segv": signal.SIGSEGV, "abort": signal.SIGABRT, "kill": signal.SIGKILL}
GROWTH_KB = 4096


@dataclass
class Result:
    """What happened; `problems` is empty where all was as it should be."""

    seed: int
    rounds: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    supervisors: int = 1
    records: int = 0
    missing: int = 0
    memory_kb: tuple[int, int] = (0, 0)  # of a supervisor that had settled: of the first round, and the last
    descriptors: tuple[int, int] = (0, 0)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run(minutes: float, seed: int, json_file: Path | None, rounds: int = 0) -> int:
    """For the task; 0 only if nothing was wrong."""
    result = soak(minutes, seed, rounds)
    text = json.dumps({"passed": not result.problems, **asdict(result)}, indent=2)
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n")
    return 1 if result.problems else 0


def soak(minutes: float, seed: int, rounds: int = 0) -> Result:
    """Run for a time or a number of rounds; stop at the first problem."""
    result = Result(seed)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="koboshi-soak-") as folder:
        rig = Rig(Path(folder))
        try:
            rig.start()
            rig.settle(set())
            _Soak(rig, random.Random(seed), result).run(begin + minutes * 60, rounds)
        except SoakError as error:
            result.problems.append(str(error))
        finally:
            rig.close()
    result.seconds = round(time.monotonic() - begin, 1)
    return result


class _Soak:
    def __init__(self, rig: Rig, chance: random.Random, result: Result) -> None:
        self.rig = rig
        self.chance = chance
        self.result = result
        self.stopped: set[str] = set()
        self.done: Counter[str] = Counter()

    def run(self, until: float, rounds: int) -> None:
        while (time.monotonic() < until) if not rounds else (self.result.rounds < rounds):
            for _ in range(ROUND):
                self.fault(self.chance.choice(FAULTS), f"c{self.chance.randrange(COMPONENTS):02}")
            self.rig.settle(self.stopped)
            self.result.rounds += 1
            self.measure()
            if self.result.rounds % 50 == 0:
                progress.note(f"soak: {self.result.rounds} rounds, {sum(self.done.values())} faults")
        self.result.faults = dict(sorted(self.done.items()))
        self.judge()

    def fault(self, kind: str, name: str) -> None:
        """One fault or wish; a stop of what others need leaves those running."""
        self.done[kind] += 1
        if kind == "supervisor":
            self.rig.end(signal.SIGKILL)
            self.rig.start()
            self.result.supervisors += 1
        elif kind in ("stop", "start", "restart"):
            self.wish(kind, name)
        elif kind == "runner":
            _kill(int(self.rig.status().get(name, {}).get("runner", 0)), signal.SIGKILL)
        else:
            for pid in self.rig.instances()[name]:
                _kill(pid, SIGNALS[kind])

    def wish(self, kind: str, name: str) -> None:
        # A need that is stopped holds up what needs it: the root and its children are left to run.
        if kind == "stop" and int(name[1:]) < (COMPONENTS - 1 + 2) // 3:
            return
        for _ in range(200):
            if self.rig.ask(kind, name):
                break
            if kind == "restart":  # it is starting just now
                return
            time.sleep(0.05)
        else:
            raise SoakError(f"koboshictl {kind} {name} was never done")
        (self.stopped.add if kind == "stop" else self.stopped.discard)(name)

    def measure(self) -> None:
        """Memory and descriptors of the supervisor that runs now."""
        assert self.rig.supervisor is not None
        folder = Path(f"/proc/{self.rig.supervisor.pid}")
        status = (folder / "status").read_text()
        memory = int(status.partition("VmRSS:")[2].split()[0])
        descriptors = len(list((folder / "fd").iterdir()))
        first_kb, first = self.result.memory_kb[0] or memory, self.result.descriptors[0] or descriptors
        self.result.memory_kb, self.result.descriptors = (first_kb, memory), (first, descriptors)

    def judge(self) -> None:
        """The logs, and what has grown."""
        missing = self.rig.missing()
        self.result.missing, self.result.records = len(missing), len(self.rig.records())
        self.result.problems += [f"not recorded exactly once: {event}" for event in missing[:10]]
        if self.result.memory_kb[1] - self.result.memory_kb[0] > GROWTH_KB:
            self.result.problems.append(f"memory has grown: {self.result.memory_kb} kB")
        # One pidfd for each adopted runner.
        if self.result.descriptors[1] - self.result.descriptors[0] > COMPONENTS + 2:
            self.result.problems.append(f"descriptors have grown: {self.result.descriptors}")


def _kill(pid: int, number: int) -> None:
    if pid > 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
