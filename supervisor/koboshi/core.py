# SPDX-License-Identifier: MIT
"""What the supervisor consists of, and how its state is committed (docs/supervisor.md)."""

from __future__ import annotations

import json
from collections import deque

from koboshi.device import Device, Owner
from koboshi.evidence import Evidence
from koboshi.journal import Console, Journal
from koboshi.manifest import runner_args
from koboshi.manifest.model import Manifest
from koboshi.state.component import Component
from koboshi.state.known import Known
from koboshi.system.calls import System
from koboshi.system.events import Follower
from koboshi.system.paths import Paths
from koboshi.traces import Traces, last_line
from koboshi.wire.event import Event

# Without pidfd, runners that an earlier supervisor started are looked at this often.
LIVENESS_S = 1.0
# A commit that failed, on a full /run, is tried again this soon.
COMMIT_RETRY_S = 1.0
_SIGHUP, _SIGUSR1 = 1, 10


class Core(Owner):
    """All components, and what is between them and the system."""

    def __init__(self, system: System, paths: Paths) -> None:
        self.system = system
        self.paths = paths
        self.boot = system.boot_id()
        self.journal = Journal(system, paths.events, Console(system))
        self.device = Device(system, self, paths.sysrq)
        self.traces = Traces(system, paths)
        self.evidence = Evidence(system, self.boot, paths.run)
        self.manifest = Manifest(paths.manifest, "", {}, {})
        self.components: dict[str, Component] = {}
        self.followers: dict[str, Follower] = {}
        self.actions: deque[tuple[str, Component | None, int, int, int]] = deque()
        self.children: set[int] = set()
        self.published: list[str] = []
        self.committed = ""
        self.starts = 0
        self.adopted = 0
        self.all_ready = False
        self.shutting_down = False
        self.next_look: float | None = None
        # When a commit that failed is tried again; None: all that was decided has been committed.
        self.retry_at: float | None = None
        # When log and status.json are tried again, which a full disk has not taken.
        self.log_at: float | None = None

    # Outbox

    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return self.system.now()

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """Into the next commit."""
        self.journal.record(event, keys, time)

    def spawn(self, component: Known) -> None:
        """After the next commit."""
        self.actions.append(("spawn", self.components.get(component.name), 0, 0, 0))

    def signal(self, pid: int, start: int, number: int) -> None:
        """After the next commit."""
        self.actions.append(("signal", None, pid, start, number))

    def later(self, action: str) -> None:
        """One of the device's own actions, after the next commit."""
        self.actions.append((action, None, 0, 0, 0))

    def start_before(self, pid: int, moment: float) -> int:
        """See System."""
        return self.system.start_before(pid, moment)

    def fault_site(self, component: Known, event: Event) -> str:
        """See Traces."""
        return self.traces.site(component, event)

    def was_oom(self, event: Event) -> bool:
        """See Traces."""
        return self.traces.was_oom(event.integer("old"))

    def last_line(self, component: Known, event: Event) -> str:
        """Of its output."""
        return last_line(self.traces.words(component, event))

    def dependents(self, names: set[str]) -> set[str]:
        """These, and all that need them, directly or not."""
        found = set(names)
        for name, spec in self.manifest.components.items():  # each after those it needs
            if found.intersection(spec.needs):
                found.add(name)
        return found

    def crashed(self, component: Known, event: Event, decision: str) -> None:
        """Into the ring, after the next commit."""
        if self.evidence.note(component, event, decision, self.traces.said(component, event)):
            self.later("evidence")

    def others(self, component: Known, rung: str) -> list[str]:
        """Those that need it; on the rung above, its group too and all that need one of that."""
        if rung == "cold" or component.spec is None:
            return []
        names, group = {component.name}, component.spec.get("group")
        if rung == "group" and group is None:
            return []
        if rung == "group":
            names = {n for n, c in self.manifest.components.items() if c.get("group") == group}
        found = self.dependents(names) - {component.name}
        # Those that run: what an operator has stopped stays so.
        return [
            n
            for n, c in self.components.items()
            if n in found and c.state in ("starting", "running", "ready")
        ]

    def restart_others(self, names: list[str]) -> None:
        """Dependents first, as at a shutdown."""
        for name in reversed(names):
            component = self.components[name]
            component.by, component.after = "ladder", "start"
            component.handle("stop")

    def came_back(self, component: Known) -> list[str]:
        """Those that need it are told, or restarted, as they want it; the names of the latter."""
        restarted = []
        for dependent in self.components.values():
            spec = dependent.spec
            fate = spec.table("on_restart").get(component.name) if spec is not None else None
            if fate in ("notify", "restart") and dependent.state in ("running", "ready"):
                dependent.owed = str(fate)
                self.actions.append(("fate", dependent, 0, 0, 0))
                restarted += [dependent.name] if fate == "restart" else []
        return restarted

    def last_resort(self, component: Known) -> None:
        """Reboot, or the safe state."""
        self.device.give_up_on(component.name, "given-up")

    def alive(self, component: Known) -> bool:
        """Whether its runner is there, by PID and start time."""
        start = component.runner_start
        return bool(start) and self.system.start_time(component.runner) == start

    def watch(self, component: Known) -> None:
        """Notice when its runner, which is no child, ends."""
        if not self.system.loop.watch(component.runner):
            self.next_look = self.now() + LIVENESS_S

    # What is written and done

    def commit(self) -> bool:
        """state.json if anything has changed, then the records, then status.json.

        False if state.json could not be written: then there are no records, and nothing may be done yet.
        """
        state = {
            "version": 1,
            "boot_id": self.boot,
            "seq": self.journal.next,
            "starts": self.starts,
            "all_ready": self.all_ready,
            "device": self.device.kept(),
            "pending": self.journal.unlogged + self.journal.pending,
            "manifest": self.manifest.text,
            "components_d": self.manifest.more,
            "components": {name: c.kept() for name, c in self.components.items()},
        }
        text = json.dumps(state)
        if text == self.committed:
            return True
        if not self.system.replace(self.paths.state, text.encode()):
            self.journal.hold()
            self.retry_at = self.now() + COMMIT_RETRY_S
            return False
        self.retry_at = None
        lines = self.journal.write()
        self.published += lines
        self.count_lost()
        self.write_behind()
        # Without its pending lines, so that their having been written is no change.
        self.committed = json.dumps({**state, "pending": []})
        return True

    def write_behind(self) -> None:
        """What follows from a commit and can wait for room: status.json, and what the log has not taken."""
        status = json.dumps(self.status()).encode()
        shown = self.system.replace(self.paths.status, status, durable=False, private=False)
        behind = self.journal.unlogged or not shown
        self.log_at = self.now() + COMMIT_RETRY_S if behind else None

    def count_lost(self) -> None:
        """Once the console takes lines again, it is told how many it has not been given."""
        console = self.journal.console
        if console.lost and not console.lines and not console.absent:
            count, console.lost = console.lost, 0
            self.record("lost", {"count": count})

    def act(self) -> None:
        """Carry out the next action."""
        kind, component, pid, start, number = self.actions.popleft()
        if kind == "signal":
            self.system.kill(pid, start, number)
        elif kind == "fate" and component is not None:
            self._fate(component)
        elif kind == "evidence":
            self.evidence.write()
        elif kind != "spawn":
            self.device.act(kind)
        elif component is not None and component.state == "starting" and not component.runner:
            # With a runner: held back, stopped and started again; wanted twice, started once.
            self._spawn(component)

    def _fate(self, component: Component) -> None:
        """Done before it is committed: a successor may do it once more, but not never."""
        fate, component.owed = component.owed, ""
        if fate == "notify":
            self.system.kill(component.pid, component.pid_start, _SIGHUP)
        elif fate == "restart":
            self.system.kill(component.runner, component.runner_start, _SIGUSR1)

    def _spawn(self, component: Component) -> None:
        if component.spec is None:
            return
        directory = self.paths.component(component.name)
        wrong = self.system.make_directory(directory)
        if wrong:
            component.error = wrong
            component.handle("gone")
            return
        argv = runner_args.arguments(
            component.spec, self.paths.rfork_run, directory, self.paths.poke, self.paths.cgroups
        )
        given = runner_args.environment(component.spec, self.paths.python_path)
        pid = self.system.spawn(argv, directory + "/errors", given)
        if pid < 0:
            component.error = f"{self.paths.rfork_run}: cannot be started (errno {-pid})"
            component.handle("gone")
            return
        self.children.add(pid)
        component.runner = pid
        component.runner_start = self.system.start_time(pid)

    def start_program(self, words: list[str]) -> int:
        """koboshictl with these words, as a child; its PID, or -errno."""
        pid = self.system.spawn(self.system.machine.program(words), self.paths.run + "/program.log")
        if pid > 0:
            self.children.add(pid)
        return pid

    def status(self) -> dict[str, object]:
        """The live state (docs/supervisor.md)."""
        return {
            "version": 1,
            "boot_id": self.boot,
            "time": round(self.now(), 6),
            "supervisor": {"pid": self.system.pid(), "start": self.starts, "adopted": self.adopted},
            "device": self.device.shown(),
            "components": {name: component.shown() for name, component in self.components.items()},
        }
