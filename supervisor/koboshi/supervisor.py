# SPDX-License-Identifier: MIT
"""The supervisor: one loop over what happens, and one commit before anything is done (docs/supervisor.md).

Every turn goes: take in what has happened; let the components decide; commit the new state together with the
records it implies; write the records; carry out the actions. A kill between any two steps is made good by the
next supervisor: the commit says what was meant, the runners' logs and locks say what was done.
"""

from __future__ import annotations

import json

from koboshi.following import Following
from koboshi.manifest.model import Manifest, ManifestRefusedError, Plain, from_plain, unreadable
from koboshi.state import reload
from koboshi.state.component import LIVE, Component
from koboshi.state.known import Known

_STOP_SIGNALS = (2, 15)  # SIGINT, SIGTERM


class Supervisor(Following):
    """Starts, turns and decides."""

    # Start

    def start(self) -> None:
        """Take over from an earlier supervisor of this boot, or begin; then the manifest as it is now."""
        self.system.make_directory(self.paths.run)
        # Before the logs are read: what is written after that is told by a poke.
        self.system.loop.listen(self.paths.poke, self.paths.control)
        state = self._load_state()
        manifest = self._read_manifest()
        if state:
            self._restore(state)
        elif not self.journal.goes_on(self.boot):
            self.journal.begin_anew()
            self._record_boot(manifest)
        self.starts += 1
        adopted = self.adopt()
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
        more = state.get("components_d")
        texts = tuple((str(f), str(t).encode()) for f, t in more) if isinstance(more, list) else ()
        before = self._judged(str(state.get("manifest")).encode(), texts, None)
        # An update of the supervisor may have become stricter; what runs is adopted all the same.
        if isinstance(before, Manifest):
            self.manifest = before
        kept = state.get("components")
        for name, values in (kept if isinstance(kept, dict) else {}).items():
            self.add(Component(name, self.manifest.components.get(name), self, values))
        self.actions.extend(("fate", item, 0, 0, 0) for item in self.components.values() if item.owed)
        self.device.restore(state.get("device"))
        self.device.configure(self.manifest)
        self.shutting_down = self.device.reboot is not None

    # The manifest

    def reload(self) -> list[str]:
        """The manifest anew: its mistakes, and nothing changes; or none, and what differs is acted on."""
        manifest = self._read_manifest()
        self._use(manifest)
        return [str(e) for e in manifest.errors] if isinstance(manifest, ManifestRefusedError) else []

    def _read_manifest(self) -> Manifest | ManifestRefusedError:
        paths = (self.paths.manifest, *self.system.machine.listed(self.paths.components_d))
        parts = [(path, self.system.read(path, 0)) for path in paths]
        for path, part in parts:
            if part is None:
                return unreadable(path, "no such file, or not allowed")
        (_, first), *more = [(path, part[1]) for path, part in parts if part is not None]
        passwd = self.system.read("/etc/passwd", 0)
        return self._judged(first, tuple(more), None if passwd is None else passwd[1])

    def _judged(
        self, data: bytes, more: tuple[tuple[str, bytes], ...], passwd: bytes | None
    ) -> Manifest | ManifestRefusedError:
        """In a child: what it takes to read a manifest is needed for a moment, and is large."""

        def work() -> Plain:
            from koboshi.manifest import users

            return users.judged(data, self.paths.manifest, more, passwd)

        return from_plain(self.system.machine.apart(work))

    def _use(self, manifest: Manifest | ManifestRefusedError) -> None:
        if isinstance(manifest, ManifestRefusedError):
            for e in manifest.errors:
                keys = {"file": e.file, "line": e.line, "key": e.key, "error": f"{e.problem}; {e.expected}"}
                self.record("manifest", {"result": "refused", **keys})
            return
        self.record("manifest", {"result": "loaded", "file": manifest.file})
        old, self.manifest = self.manifest, manifest
        self.system.machine.tell_registers(manifest.device["registers"] is True)
        wanted = manifest.device["stacks"] is True
        if problem := self.system.machine.tell_stacks(
            self.paths.rfork_run if wanted else "", self.paths.stacks
        ):
            self.system.complain(f"device.stacks: {problem}")
        self.device.configure(manifest)
        lasts = self.device.lasting is not None and self.device.directory is not None
        self.evidence.use(str(self.device.directory) if lasts else self.paths.run)
        for name in reload.change(self, self.components, old, manifest):
            self._new(name)

    def _new(self, name: str) -> None:
        """A component that this boot has not seen; its folder may hold an earlier one's log."""
        component = Component(name, self.manifest.components[name], self)
        component.since = component.out_since = self.now()
        self.system.make_directory(self.paths.component(name))
        self.add(component)
        events, _lost = self.followers[name].read()
        component.last = reload.taken_over(self, events, self.boot)
        self.add(component)
        if self.device.holds(component):
            component.by = "safe"
            component.handle("stop")

    # Turns

    def run(self) -> int:
        """Until told to stop and everything has stopped; 0."""
        self.start()
        while not self.done():
            self.turn(self.system.loop.wait(self.timeout()))
        self.settle()
        return 0

    def done(self) -> bool:
        """Whether an orderly shutdown is complete."""
        return self.shutting_down and not self.device.reboot_under_way and self.at_rest()

    def at_rest(self) -> bool:
        """Whether nothing runs any more."""
        return not any(c.state in LIVE for c in self.components.values())

    def turn(self, happened: list[tuple[str, int]]) -> None:
        """Take in what `System.wait` told, and settle."""
        for kind, value in happened:
            if kind == "console":
                self._console_ready()
            elif kind == "signal":
                self._on_signal(value)
            elif kind == "gone":
                self.system.loop.unwatch(value)
        if any(kind in ("poke", "gone", "signal") for kind, _ in happened):
            self.catch_up()
        self.settle()

    def _on_signal(self, number: int) -> None:
        if number in _STOP_SIGNALS:
            self.shutting_down = True
            self.device.shut_down()

    def timeout(self) -> float | None:
        """Seconds to the next deadline; None: nothing is to be done until something happens."""
        deadlines = [
            c.deadline for c in self.components.values() if c.deadline is not None and not self._held(c)
        ]
        deadlines += [when for c in self.components.values() if (when := c.downtime_deadline()) is not None]
        deadlines += [
            when
            for when in (self.next_look, self.retry_at, self.log_at, self.device.deadline())
            if when is not None
        ]
        return max(0.0, min(deadlines) - self.now()) if deadlines else None

    def _held(self, component: Component) -> bool:
        return self.shutting_down and component.state not in LIVE

    def settle(self) -> None:
        """Decide, commit and act until there is nothing left to do."""
        while True:
            self._look()
            self._timers()
            self._launch()
            self._stop_in_order()
            self._remove()
            self._note_all_ready()
            self.device.turn()
            # At a shutdown no successor of this boot would be misled, and what holds the space may be ended.
            if not self.commit() and not self.shutting_down:
                return
            if not self.actions and (not self.journal.pending or self.retry_at is not None):
                return
            while self.actions:
                self.act()

    def _look(self) -> None:
        if self.log_at is not None and self.now() >= self.log_at:
            self.journal.catch_up()
            self.write_behind()
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
            component.judge_downtime()

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

    def lacking(self, component: Known) -> list[str]:
        """What it needs and is not there. Nothing, where it would wait in vain: then the failure counts."""
        needs = [] if component.spec is None else component.spec.needs
        if any(self._hopeless(need) for need in needs):
            return []
        return [need for need in needs if need in self.components and not self.components[need].satisfies]

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
                if self.paths.cgroups:
                    self.system.machine.remove_cgroup(f"{self.paths.cgroups}/{component.name}")

    def _note_all_ready(self) -> None:
        wanted = [c for c in self.components.values() if c.state != "stopped"]
        if wanted and not self.all_ready and all(c.been_ready or c.satisfies for c in wanted):
            self.all_ready = True
            self.record("all-ready", {"components": len(wanted)})

    def _console_ready(self) -> None:
        self.journal.console.flush()
        self.count_lost()


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
