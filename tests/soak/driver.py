# SPDX-License-Identifier: MIT
"""The soak, in the guest: faults and wishes in an order that the seed decides, and a look after each round.

usage: python3 -m tests.soak.driver NAMES WARM SEED SECONDS ROUNDS RESULT    (ROUNDS 0: by SECONDS)
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections import Counter

from tests.soak import look, press

FAULTS = ("segv", "abort", "kill", "hang", "runner", "supervisor", "stop", "start", "restart")
SIGNALS = {"segv": signal.SIGSEGV, "abort": signal.SIGABRT, "kill": signal.SIGKILL, "hang": signal.SIGSTOP}
A_ROUND = 6
SETTLE_S = 180.0
POLL_S = 0.05
# So many rounds until logs, caches and pools have the size that they keep.
WARM_UP = 5
GROWTH = {"supervisor_kb": 2048, "runners_kb": 2048, "used_kb": 16384, "descriptors": 24, "processes": 4}


class TroubleError(Exception):
    """What should have come did not."""


class Soak:
    """Everything of one run."""

    def __init__(self, marks: dict[str, str], warm: set[str], seed: int, result: str) -> None:
        self.marks = marks
        self.names = sorted(marks.values())
        self.warm = warm
        self.chance = random.Random(seed)
        self.path = result
        self.books = look.Books(self.names)
        self.stopped: set[str] = set()
        self.owed: list[tuple[str, str]] = []
        self.done: Counter[str] = Counter()
        self.rounds = 0
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.problems: list[str] = []

    def run(self, seconds: float, rounds: int) -> None:
        """To the end, or to the first problem."""
        end = time.monotonic() + seconds
        self.settle()
        while not self.problems and (self.rounds < rounds if rounds else time.monotonic() < end):
            self.round()
            self.write(over=False)
        self.grown()
        self.write(over=True)

    def round(self) -> None:
        """Some faults, every other time with something used up; then everything must be well."""
        kind = self.chance.choice(sorted(press.KINDS)) if self.rounds % 2 else ""
        self.done[kind] += bool(kind)
        with press.KINDS[kind]() if kind else contextlib.nullcontext():
            for _ in range(A_ROUND):
                self.fault(self.chance.choice(FAULTS), self.chance.choice(self.names), patient=not kind)
        while self.owed:
            self.wish(*self.owed.pop(0), patient=True)
        self.settle()
        self.rounds += 1
        self.measure()

    def fault(self, kind: str, name: str, patient: bool) -> None:
        """One fault or wish."""
        if kind == "hang" and name not in self.warm:
            kind = "kill"
        self.done[kind] += 1
        if kind == "supervisor":
            _kill(look.supervisor(), signal.SIGKILL)
        elif kind in ("stop", "start", "restart"):
            self.wish(kind, name, patient)
        elif kind == "runner":
            _kill(int(str(look.told().get(name, {}).get("runner", 0))), signal.SIGKILL)
        else:
            for pid in look.instances(self.marks)[name]:
                _kill(pid, SIGNALS[kind])

    def wish(self, kind: str, name: str, patient: bool) -> None:
        """An operator's, of a component that nothing needs; repeated until it is accepted, or later.

        It may have to wait for a supervisor, and that one for what is used up.
        """
        if kind == "stop" and int(name[1:]) < (len(self.names) + 1) // 3:
            return
        deadline = time.monotonic() + SETTLE_S
        while (reply := _ask(kind, name)) != "ok":
            if kind == "restart" and reply == "refused":
                return  # it is just starting, or nobody is there
            if kind == "restart":
                kind = "start"  # carried out or not: so it runs for certain
            if not patient:
                self.owed.append((kind, name))
                return
            if time.monotonic() > deadline:
                raise TroubleError(f"{kind} {name} was never done")
            time.sleep(POLL_S)
        (self.stopped.add if kind == "stop" else self.stopped.discard)(name)

    def settle(self) -> None:
        """Until each component has one process and what was stopped none, and both books agree."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            wrong = self.wrong()
            self.books.read()
            wrong = wrong or self.books.missing()[:5]
            if self.books.problems:
                raise TroubleError("; ".join(self.books.problems[:5]))
            if not wrong:
                return
            if time.monotonic() > deadline:
                raise TroubleError(f"after {SETTLE_S:.0f} s: {wrong}")
            time.sleep(POLL_S)

    def wrong(self) -> list[str]:
        """Components that are not as they should be."""
        found, told = look.instances(self.marks), look.told()
        wrong = []
        for name, pids in found.items():
            state, pid = told.get(name, {}).get("state"), told.get(name, {}).get("pid")
            wanted = ("stopped", []) if name in self.stopped else ("ready", [pid])
            if (state, pids) != wanted:
                wrong.append(f"{name} {state} {pid}: processes {pids}")
        return wrong

    def measure(self) -> None:
        """What must not grow, now that all is quiet."""
        told = look.told()
        runners = [int(str(known.get("runner", 0))) for known in told.values()]
        meminfo = dict(line.split(":") for line in look.text("/proc/meminfo").splitlines())
        pid = look.supervisor()
        self.last = {
            "supervisor_kb": _rss_kb(pid),
            "runners_kb": sum(_rss_kb(pid) for pid in runners if pid),
            "used_kb": int(meminfo["MemTotal"].split()[0]) - int(meminfo["MemAvailable"].split()[0]),
            "descriptors": _descriptors(pid),
            "processes": sum(1 for name in os.listdir("/proc") if name.isdecimal()) - len(self.names),
        }
        if self.rounds == WARM_UP:
            self.first = self.last

    def grown(self) -> None:
        """Between the first rounds and the last one."""
        for key, most in GROWTH.items():
            if self.first and self.last[key] - self.first[key] > most:
                self.problems.append(f"{key} has grown from {self.first[key]} to {self.last[key]}")

    def write(self, over: bool) -> None:
        """For whoever waits for it, whole at any time."""
        text = json.dumps(
            {
                "over": over,
                "rounds": self.rounds,
                "faults": dict(sorted((kind, count) for kind, count in self.done.items() if kind)),
                "records": self.books.records,
                "supervisors": self.done["supervisor"] + 1,
                "first": self.first,
                "last": self.last,
                "problems": self.problems,
            }
        )
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.rename(self.path + ".new", self.path)


def _ask(command: str, component: str) -> str:
    """An operator's wish: ok, refused, or unsure.

    Unsure is what was not answered, for the supervisor was killed, and what could not be committed: it is
    carried out, but the next supervisor may not know of it.
    """
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(30)
        try:
            channel.connect(look.RUN + "/control")
        except OSError:
            return "refused"
        try:
            channel.sendall(json.dumps({"cmd": command, "component": component}).encode() + b"\n")
            reply = json.loads(channel.makefile("rb").readline() or b"{}")
        except (OSError, ValueError):
            return "unsure"
    if reply.get("ok"):
        return "ok"
    return "unsure" if reply.get("held") or not reply else "refused"


def _kill(pid: int, number: int) -> None:
    if pid > 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _rss_kb(pid: int) -> int:
    words = look.text(f"/proc/{pid}/status").partition("VmRSS:")[2].split()
    return int(words[0]) if words else 0


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _last_to_go() -> None:
    """The kernel that looks for memory must not end the one who looks after it."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")


def main(argv: list[str]) -> int:
    """0 if nothing was wrong."""
    marks = dict(word.split("=") for word in argv[0].split(","))
    soak = Soak(marks, set(argv[1].split(",")), int(argv[2]), argv[5])
    _last_to_go()
    try:
        soak.run(float(argv[3]), int(argv[4]))
    except (TroubleError, OSError) as trouble:
        soak.problems.append(f"round {soak.rounds}: {type(trouble).__name__}: {trouble}")
        soak.write(over=True)
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
