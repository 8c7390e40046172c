# SPDX-License-Identifier: MIT
"""The supervisor: a loop that commits each decision before it acts (docs/supervisor.md).

Each turn takes in what has happened, lets the components decide, commits the new state with its records,
writes the records, and carries out the actions. If the supervisor is killed between two steps, the next one
completes the turn: the commit has the intentions, and the runners' logs and locks have what was done.
"""

from __future__ import annotations

from koboshi.committed import Committed
from koboshi.decided import Action, Decided
from koboshi.device import Device
from koboshi.evidence import Evidence
from koboshi.journal import Console, Journal
from koboshi.known import Known
from koboshi.manifest.model import Manifest, ManifestRefusedError
from koboshi.manifests import Manifests
from koboshi.runners import Runners
from koboshi.state import transitions
from koboshi.state.component import Component
from koboshi.system.calls import System
from koboshi.system.paths import Paths
from koboshi.traces import Traces

_SIGHUP, _SIGUSR1 = 1, 10
_STOP_SIGNALS = (2, 15)  # SIGINT, SIGTERM


class Supervisor:
    """The loop, and the collaborators that each own one thing."""

    def __init__(self, system: System, paths: Paths) -> None:
        self.system = system
        self.paths = paths
        self.known = Known(system.boot_id(), Manifest(paths.manifest, "", {}, {}))
        self.components = self.known.components
        self.journal = Journal(system, paths.events, Console(system))
        self.evidence = Evidence(system, self.known.boot, paths.run)
        self.decided = Decided(system, self.known, self.journal, Traces(system, paths), self.evidence)
        self.device = Device(system, self.known, self.decided, paths.sysrq)
        self.committed = Committed(system, paths, self.known, self.journal, self.device)
        self.runners = Runners(system, paths, self.known)
        self.manifests = Manifests(system, paths, self.known, self.decided, self.runners, self.device)

    # Start

    def start(self) -> None:
        """Take over from an earlier supervisor of this boot, if any; then use the present manifest."""
        self.system.make_directory(self.paths.run)
        # Listen before the logs are read: a poke announces what is written later.
        self.system.loop.listen(self.paths.poke, self.paths.control)
        state = self.committed.load()
        manifest = self.manifests.read()
        if state:
            self._restore(state)
        elif not self.journal.goes_on(self.known.boot):
            self.journal.start_new()
            self._record_boot(manifest)
        self.known.starts += 1
        adopted = self.runners.adopt()
        of = {"start": self.known.starts, "adopted": len(adopted)}
        self.decided.record("supervisor", {"pid": self.system.pid(), **of})
        for component in adopted:
            component.record("adopted", {"runner": component.runner, "pid": component.pid})
        self.runners.catch_up(resume=True)
        self.manifests.use(manifest)
        self.runners.catch_up()
        self.settle()

    def _record_boot(self, manifest: Manifest | ManifestRefusedError) -> None:
        count = len(manifest.components) if isinstance(manifest, Manifest) else 0
        level = "kernel" if self.system.rfork_kernel(self.paths.rfork_run) else "user"
        kernel = self.system.kernel()
        about = {"kernel": kernel, "rfork": level, "components": count}
        self.decided.record("boot", {"id": self.known.boot, **about})

    def _restore(self, state: dict[str, object]) -> None:
        known = self.known
        self.journal.next = _int(state.get("seq"), 1)
        pending = state.get("pending")
        self.journal.complete([str(line) for line in pending] if isinstance(pending, list) else [])
        known.starts = _int(state.get("starts"), 0)
        known.all_ready = bool(state.get("all_ready"))
        more = state.get("components_d")
        texts = tuple((str(f), str(t).encode()) for f, t in more) if isinstance(more, list) else ()
        before = self.manifests.judged(str(state.get("manifest")).encode(), texts, None)
        # A newer supervisor may be stricter, but it adopts what runs all the same.
        if isinstance(before, Manifest):
            known.manifest = before
        kept = state.get("components")
        for name, values in (kept if isinstance(kept, dict) else {}).items():
            component = Component(name, known.manifest.components.get(name), self.decided, values)
            known.components[name] = component
            self.runners.follow(component)
            if component.owed:
                self.decided.owed(component)
        self.device.restore(state.get("device"))
        # There is none if this boot has accepted no manifest, or if this version rejects it.
        if known.manifest.device:
            self.device.configure(known.manifest)
        known.shutting_down = self.device.reboot is not None

    def reload(self) -> list[str]:
        """Read the manifest again and use it. Return its mistakes; with a mistake, nothing changes."""
        manifest = self.manifests.read()
        self.manifests.use(manifest)
        return [str(e) for e in manifest.errors] if isinstance(manifest, ManifestRefusedError) else []

    # Turns

    def done(self) -> bool:
        """Return whether an orderly shutdown is complete."""
        return self.known.shutting_down and not self.device.reboot_under_way and self.known.at_rest()

    def turn(self, happened: list[tuple[str, int]]) -> None:
        """Process what `Loop.wait` returned, and settle."""
        for kind, value in happened:
            if kind == "console":
                self.journal.console.flush()
                self.committed.count_lost()
            elif kind == "signal" and value in _STOP_SIGNALS:
                self.known.shutting_down = True
                self.device.shut_down()
            elif kind == "gone":
                self.system.loop.unwatch(value)
        if any(kind in ("poke", "gone", "signal") for kind, _ in happened):
            self.runners.catch_up()
        self.settle()

    def timeout(self) -> float | None:
        """Return the seconds until the next deadline; None: there is no deadline."""
        components = self.components.values()
        deadlines = [c.deadline for c in components if c.deadline is not None and not self.known.held(c)]
        deadlines += [when for c in components if (when := c.downtime_deadline()) is not None]
        others = (
            self.runners.next_look,
            self.committed.retry_at,
            self.committed.log_at,
            self.device.deadline(),
        )
        deadlines += [when for when in others if when is not None]
        return max(0.0, min(deadlines) - self.system.now()) if deadlines else None

    def settle(self) -> None:
        """Decide, commit and act until there is nothing left to do."""
        while True:
            self.committed.catch_up()
            self.runners.look()
            self._timers()
            self.device.take_lost()
            self._launch()
            self._stop_in_order()
            self._remove()
            self._note_all_ready()
            self.device.turn()
            # A shutdown goes on without a commit: there is no successor, and stopping frees space.
            if not self.committed.commit() and not self.known.shutting_down:
                return
            actions = self.decided.actions
            if not actions and (not self.journal.pending or self.committed.retry_at is not None):
                return
            while actions:
                self._act(actions.popleft())

    def _timers(self) -> None:
        now = self.system.now()
        for component in self.components.values():
            if (
                component.deadline is not None
                and component.deadline <= now
                and not self.known.held(component)
            ):
                component.deadline = None
                transitions.handle(component, "timer")
            component.judge_downtime()

    def _launch(self) -> None:
        """Start every waiting component whose needs are ready."""
        if self.known.shutting_down:
            return
        for component in self.components.values():
            if component.state != "waiting" or component.deadline is not None or component.spec is None:
                continue
            if self.known.satisfied(component):
                transitions.handle(component, "go")
            else:
                transitions.note_blocked(component, self.known.hopeless_needs(component))

    def _stop_in_order(self) -> None:
        """At shutdown, stop the components that no running component needs."""
        for component in self.known.unneeded() if self.known.shutting_down else ():
            if component.state != "stopping":
                # The next supervisor, if there is one, starts it again.
                component.by, component.after = "shutdown", "start"
                transitions.handle(component, "stop")

    def _remove(self) -> None:
        for component in [c for c in self.components.values() if c.after == "removed"]:
            del self.components[component.name]
            self.runners.forget(component)

    def _note_all_ready(self) -> None:
        wanted = [c for c in self.components.values() if c.state != "stopped"]
        if wanted and not self.known.all_ready and all(c.been_ready or c.satisfies for c in wanted):
            self.known.all_ready = True
            self.decided.record("all-ready", {"components": len(wanted)})

    # Actions

    def _act(self, action: Action) -> None:
        if action.kind == "signal":
            self.system.kill(action.pid, action.start, action.number)
        elif action.kind == "evidence":
            self.evidence.write()
        elif action.component is None:
            self.device.act(action.kind)
        elif action.kind == "spawn":
            if self.components.get(action.component.name) is action.component:
                self.runners.spawn(action.component)
        else:
            self._pay(action.component)

    def _pay(self, component: Component) -> None:
        """Send the signal before the commit: a new supervisor may send it twice, but does not forget it."""
        fate, component.owed = component.owed, ""
        if fate == "notify":
            self.system.kill(component.pid, component.pid_start, _SIGHUP)
        elif fate == "restart":
            self.system.kill(component.runner, component.runner_start, _SIGUSR1)


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
