# SPDX-License-Identifier: MIT
"""The supervisor: one loop over what happens, and one commit before anything is done (docs/supervisor.md).

Every turn goes: take in what has happened; let the components decide; commit the new state together with the
records it implies; write the records; carry out the actions. A kill between any two steps is made good by the
next supervisor: the commit says what was meant, the runners' logs and locks say what was done.
"""

from __future__ import annotations

import json
from collections import deque

from koboshi import reload, runner_args, users
from koboshi.component import LIVE, Component, Outbox
from koboshi.events import Follower
from koboshi.journal import Console, Journal
from koboshi.manifest import Manifest, ManifestRefusedError, decode, parse, unreadable
from koboshi.paths import Paths
from koboshi.system import System

# Without pidfd, runners that an earlier supervisor started are looked at this often.
LIVENESS_S = 1.0
# A commit that failed, on a full /run, is tried again this soon.
COMMIT_RETRY_S = 1.0
_STOP_SIGNALS = (2, 15)  # SIGINT, SIGTERM


class Supervisor(Outbox):
    """All components, and what is between them and the system."""

    def __init__(self, system: System, paths: Paths) -> None:
        self.system = system
        self.paths = paths
        self.boot = system.boot_id()
        self.journal = Journal(system, paths.events, Console(system))
        self.manifest = Manifest(paths.manifest, "", {})
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

    # Outbox

    def now(self) -> float:
        """CLOCK_MONOTONIC, seconds."""
        return self.system.now()

    def record(self, event: str, keys: dict[str, object], time: float | None = None) -> None:
        """Into the next commit."""
        self.journal.record(event, keys, time)

    def spawn(self, component: Component) -> None:
        """After the next commit."""
        self.actions.append(("spawn", component, 0, 0, 0))

    def signal(self, pid: int, start: int, number: int) -> None:
        """After the next commit."""
        self.actions.append(("signal", None, pid, start, number))

    def start_before(self, pid: int, moment: float) -> int:
        """See System."""
        return self.system.start_before(pid, moment)

    # Start

    def start(self) -> None:
        """Take over from an earlier supervisor of this boot, or begin; then the manifest as it is now."""
        self.system.make_directory(self.paths.run)
        # Before the logs are read: what is written after that is told by a poke.
        self.system.listen(self.paths.poke, self.paths.control)
        state = self._load_state()
        first = not state
        manifest = self._read_manifest()
        if first:
            self.journal.begin_anew()
            self._record_boot(manifest)
        else:
            self._restore(state)
        self.starts += 1
        adopted = self._adopt()
        self.record("supervisor", {"pid": self.system.pid(), "start": self.starts, "adopted": len(adopted)})
        for component in adopted:
            component.record("adopted", {"runner": component.runner, "pid": component.pid})
        self.catch_up(resume=True)
        self._use(manifest)
        self.catch_up()
        self.settle()

    def _load_state(self) -> dict[str, object]:
        got = self.system.read(self.paths.state, 0)
        if got is None:
            return {}
        try:
            state = json.loads(got[1])
        except ValueError:
            return {}
        return state if isinstance(state, dict) and state.get("boot_id") == self.boot else {}

    def _record_boot(self, manifest: Manifest | ManifestRefusedError) -> None:
        count = len(manifest.components) if isinstance(manifest, Manifest) else 0
        level = "kernel" if self.system.rfork_kernel(self.paths.rfork_run) else "user"
        kernel = self.system.kernel()
        self.record("boot", {"id": self.boot, "kernel": kernel, "rfork": level, "components": count})

    def _restore(self, state: dict[str, object]) -> None:
        self.journal.next = _int(state.get("seq"), 1)
        pending = state.get("pending")
        self.journal.complete([str(line) for line in pending] if isinstance(pending, list) else [])
        self.starts = _int(state.get("starts"), 0)
        self.all_ready = bool(state.get("all_ready"))
        try:
            self.manifest = parse(str(state.get("manifest")), self.paths.manifest)
        except ManifestRefusedError:
            # An update of the supervisor may have become stricter; what runs is adopted all the same.
            pass
        kept = state.get("components")
        for name, values in (kept if isinstance(kept, dict) else {}).items():
            self._add(Component(name, self.manifest.components.get(name), self, values))

    def _adopt(self) -> list[Component]:
        """The components whose runner is there, by PID and start time."""
        alive = [item for item in self.components.values() if item.runner and self._alive(item)]
        for component in alive:
            self._watch(component)
        self.adopted = len(alive)
        return alive

    def _add(self, component: Component) -> None:
        self.components[component.name] = component
        directory = self.paths.component(component.name)
        self.followers[component.name] = Follower(self.system, directory, component.last)

    # The manifest

    def reload(self) -> list[str]:
        """The manifest anew: its mistakes, and nothing changes; or none, and what differs is acted on."""
        manifest = self._read_manifest()
        self._use(manifest)
        return [str(e) for e in manifest.errors] if isinstance(manifest, ManifestRefusedError) else []

    def _read_manifest(self) -> Manifest | ManifestRefusedError:
        got = self.system.read(self.paths.manifest, 0)
        try:
            if got is None:
                raise unreadable(self.paths.manifest, "no such file, or not allowed")
            manifest = decode(got[1], self.paths.manifest)
            passwd = self.system.read("/etc/passwd", 0)
            if passwd is not None:
                users.check(manifest, passwd[1])
            return manifest
        except ManifestRefusedError as refused:
            return refused

    def _use(self, manifest: Manifest | ManifestRefusedError) -> None:
        if isinstance(manifest, ManifestRefusedError):
            for e in manifest.errors:
                keys = {"file": e.file, "line": e.line, "key": e.key, "error": f"{e.problem}; {e.expected}"}
                self.record("manifest", {"result": "refused", **keys})
            return
        self.record("manifest", {"result": "loaded", "file": manifest.file})
        old, self.manifest = self.manifest, manifest
        for name in reload.change(self, self.components, old, manifest):
            self._new(name)

    def _new(self, name: str) -> None:
        """A component that this boot has not seen; its folder may hold an earlier one's log."""
        component = Component(name, self.manifest.components[name], self)
        component.since = self.now()
        self.system.make_directory(self.paths.component(name))
        self._add(component)
        events, _lost = self.followers[name].read()
        component.last = reload.taken_over(self, events, self.boot)
        self._add(component)

    # Turns

    def run(self) -> int:
        """Until told to stop and everything has stopped; 0."""
        self.start()
        while not self.done():
            self.turn(self.system.wait(self.timeout()))
        self.settle()
        return 0

    def done(self) -> bool:
        """Whether an orderly shutdown is complete."""
        return self.shutting_down and not any(c.state in LIVE for c in self.components.values())

    def turn(self, happened: list[tuple[str, int]]) -> None:
        """Take in what `System.wait` told, and settle."""
        for kind, value in happened:
            if kind == "console":
                self._console_ready()
            elif kind == "signal":
                self._on_signal(value)
            elif kind == "gone":
                self.system.unwatch(value)
        if any(kind in ("poke", "gone", "signal") for kind, _ in happened):
            self.catch_up()
        self.settle()

    def _on_signal(self, number: int) -> None:
        if number in _STOP_SIGNALS:
            self.shutting_down = True

    def timeout(self) -> float | None:
        """Seconds to the next deadline; None: nothing is to be done until something happens."""
        deadlines = [
            c.deadline for c in self.components.values() if c.deadline is not None and not self._held(c)
        ]
        if self.next_look is not None:
            deadlines.append(self.next_look)
        if self.retry_at is not None:
            deadlines.append(self.retry_at)
        return max(0.0, min(deadlines) - self.now()) if deadlines else None

    def _held(self, component: Component) -> bool:
        return self.shutting_down and component.state not in LIVE

    def catch_up(self, resume: bool = False) -> None:
        """Take over what the runners have written, and notice those that have ended."""
        # Reaped first: what a runner wrote before its end is then there to be read.
        ended = dict(self.system.reap())
        self.children -= set(ended)
        for component in list(self.components.values()):
            alive = self._alive(component)
            self._take_events(component)
            if component.runner in ended:
                self._note_exit(component, ended[component.runner])
            if component.state in LIVE and not self._alive(component):
                if alive:
                    # It ended while its log was being read.
                    self._take_events(component)
                self._without_runner(component, resume)
            elif component.runner and component.runner not in self.children:
                self._watch(component)
                if resume and component.state == "stopping":
                    # Committed, but perhaps not done; a second SIGTERM does no harm.
                    component.halt_again()

    def _take_events(self, component: Component) -> None:
        events, lost = self.followers[component.name].read()
        if lost:
            component.record("lost", {"count": lost})
        for event in events:
            component.take(event)

    def _alive(self, component: Component) -> bool:
        start = component.runner_start
        return bool(start) and self.system.start_time(component.runner) == start

    def _without_runner(self, component: Component, resume: bool) -> None:
        if component.state == "starting" and not component.runner:
            if resume:
                # Committed, but perhaps not done. If it was, rfork-run's lock lets one of them through.
                self.spawn(component)
            return
        self.system.unwatch(component.runner)
        if self.shutting_down and component.state != "stopping" and not component.ended_well:
            # Whoever shuts down may have told the runner to stop before we did: that is no failure.
            component.by, component.after = "shutdown", "start"
            component.halted()
        else:
            component.handle("gone")

    def _note_exit(self, component: Component, status: int) -> None:
        if status in (100, 111):
            got = self.system.read(self.paths.component(component.name) + "/errors", 0)
            text = got[1].decode("utf-8", "replace").strip() if got is not None else ""
            # After wrong use the reason comes first, and then where to read more; a failed call comes last.
            line = text.splitlines()[0 if status == 100 else -1] if text else f"rfork-run: status {status}"
            component.error = line[:200]

    def _watch(self, component: Component) -> None:
        if not self.system.watch(component.runner):
            self.next_look = self.now() + LIVENESS_S

    def settle(self) -> None:
        """Decide, commit and act until there is nothing left to do."""
        while True:
            self._look()
            self._timers()
            self._launch()
            self._stop_in_order()
            self._remove()
            self._note_all_ready()
            # At a shutdown no successor of this boot would be misled, and what holds the space may be ended.
            if not self.commit() and not self.shutting_down:
                return
            if not self.actions and (not self.journal.pending or self.retry_at is not None):
                return
            while self.actions:
                self._act()

    def _look(self) -> None:
        if self.next_look is None or self.now() < self.next_look:
            return
        self.next_look = None
        self.catch_up()

    def _timers(self) -> None:
        now = self.now()
        for component in self.components.values():
            if component.deadline is not None and component.deadline <= now and not self._held(component):
                component.deadline = None
                component.handle("timer")

    def _launch(self) -> None:
        """Everything whose needs are ready, at once."""
        if self.shutting_down:
            return
        for component in self.components.values():
            if component.state != "waiting" or component.deadline is not None or component.spec is None:
                continue
            needed = [self.components.get(name) for name in component.spec.needs]
            if all(need is not None and need.satisfies for need in needed):
                component.handle("go")
            else:
                component.note_blocked([need for need in component.spec.needs if self._hopeless(need)])

    def _hopeless(self, name: str) -> bool:
        """Whether only an operator can make this component ready: it, or what it waits for, is given up."""
        component = self.components.get(name)
        if component is None or component.state == "given-up":
            return component is not None
        if component.state != "waiting" or component.spec is None:
            return False
        return any(self._hopeless(need) for need in component.spec.needs)

    def _stop_in_order(self) -> None:
        """At shutdown: what nothing needs any more."""
        if not self.shutting_down:
            return
        live = [c for c in self.components.values() if c.state in LIVE]
        needed = {name for c in live if c.spec is not None for name in c.spec.needs}
        for component in reversed(live):
            if component.name not in needed and component.state != "stopping":
                # The next supervisor, if there is one, starts it again.
                component.by, component.after = "shutdown", "start"
                component.handle("stop")

    def _remove(self) -> None:
        for component in list(self.components.values()):
            if component.after == "removed":
                del self.components[component.name], self.followers[component.name]

    def _note_all_ready(self) -> None:
        wanted = [c for c in self.components.values() if c.state != "stopped"]
        if wanted and not self.all_ready and all(c.been_ready or c.satisfies for c in wanted):
            self.all_ready = True
            self.record("all-ready", {"components": len(wanted)})

    def _act(self) -> None:
        kind, component, pid, start, number = self.actions.popleft()
        if kind == "signal":
            self.system.kill(pid, start, number)
            return
        if component is None or component.state != "starting" or component.spec is None:
            return
        if component.runner:
            # Held back, stopped and started again: wanted twice, started once.
            return
        directory = self.paths.component(component.name)
        self.system.make_directory(directory)
        argv = runner_args.arguments(component.spec, self.paths.rfork_run, directory, self.paths.poke)
        pid = self.system.spawn(argv, directory + "/errors")
        if pid < 0:
            component.error = f"{self.paths.rfork_run}: cannot be started (errno {-pid})"
            component.handle("gone")
            return
        self.children.add(pid)
        component.runner = pid
        component.runner_start = self.system.start_time(pid)

    # What is written

    def commit(self) -> bool:
        """state.json if anything has changed, then the records, then status.json.

        False if state.json could not be written: then there are no records, and nothing may be done yet.
        """
        components = {name: c.kept() for name, c in self.components.items()}
        state = {
            "version": 1,
            "boot_id": self.boot,
            "seq": self.journal.next,
            "starts": self.starts,
            "all_ready": self.all_ready,
            "pending": self.journal.pending,
            "manifest": self.manifest.text,
            "components": components,
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
        self._count_lost()
        self.system.replace(self.paths.status, json.dumps(self.status()).encode(), durable=False)
        # Without its pending lines, so that their having been written is no change.
        self.committed = json.dumps({**state, "pending": []})
        return True

    def _console_ready(self) -> None:
        self.journal.console.flush()
        self._count_lost()

    def _count_lost(self) -> None:
        """Once the console takes lines again, it is told how many it has not been given."""
        console = self.journal.console
        if console.lost and not console.lines and not console.absent:
            count, console.lost = console.lost, 0
            self.record("lost", {"count": count})

    def status(self) -> dict[str, object]:
        """The live state (docs/supervisor.md)."""
        return {
            "version": 1,
            "boot_id": self.boot,
            "time": round(self.now(), 6),
            "supervisor": {"pid": self.system.pid(), "start": self.starts, "adopted": self.adopted},
            "components": {name: component.shown() for name, component in self.components.items()},
        }


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
