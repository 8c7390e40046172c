# SPDX-License-Identifier: MIT
"""The runners: starts them, follows their logs and ends, and adopts those of an earlier supervisor."""

from __future__ import annotations

from koboshi.known import Known
from koboshi.manifest import runner_args
from koboshi.state import transitions
from koboshi.state.component import Component
from koboshi.state.transitions import LIVE
from koboshi.system.calls import System
from koboshi.system.events import Follower
from koboshi.system.paths import Paths

# Without pidfd, runners that an earlier supervisor started are looked at this often.
LIVENESS_S = 1.0
# What rfork-run ends with after wrong use, and where a call of the system failed.
_WRONG_USE, _FAILED_CALL = 100, 111


class Runners:
    """One runner for each component that runs."""

    def __init__(self, system: System, paths: Paths, known: Known) -> None:
        self.system = system
        self.paths = paths
        self.known = known
        self.followers: dict[str, Follower] = {}
        self.children: set[int] = set()
        self.next_look: float | None = None

    def follow(self, component: Component) -> Follower:
        """Read the log of one more component from where its record says."""
        directory = self.paths.component(component.name)
        follower = Follower(self.system, directory, component.last, component.last_time)
        self.followers[component.name] = follower
        return follower

    def forget(self, component: Component) -> None:
        """The component is no more."""
        del self.followers[component.name]
        if self.paths.cgroups:
            self.system.machine.remove_cgroup(f"{self.paths.cgroups}/{component.name}")

    # Start

    def spawn(self, component: Component) -> None:
        """Start its runner, unless it has one: held back, stopped and started again; wanted twice."""
        if component.spec is None or component.state != "starting" or component.runner:
            return
        directory = self.paths.component(component.name)
        wrong = self.system.make_directory(directory)
        if wrong:
            component.error = wrong
            transitions.handle(component, "gone")
            return
        argv = runner_args.arguments(
            component.spec, self.paths.rfork_run, directory, self.paths.poke, self.paths.cgroups
        )
        given = runner_args.environment(component.spec, self.paths.python_path)
        pid = self.system.spawn(argv, directory + "/errors", given)
        if pid < 0:
            component.error = f"{self.paths.rfork_run}: cannot be started (errno {-pid})"
            transitions.handle(component, "gone")
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

    # Adoption

    def adopt(self) -> list[Component]:
        """The components whose runner is there, by PID and start time."""
        alive = [item for item in self.known.components.values() if item.runner and self.alive(item)]
        for component in alive:
            self.watch(component)
        self.known.adopted = len(alive)
        return alive

    def alive(self, component: Component) -> bool:
        """Whether its runner is there, by PID and start time."""
        start = component.runner_start
        return bool(start) and self.system.start_time(component.runner) == start

    def watch(self, component: Component) -> None:
        """Notice when its runner, which is no child, ends."""
        if not self.system.loop.watch(component.runner):
            self.next_look = self.system.now() + LIVENESS_S

    # What has happened

    def look(self) -> None:
        """Look after runners that cannot be watched, if it is time."""
        if self.next_look is not None and self.system.now() >= self.next_look:
            self.next_look = None
            self.catch_up()

    def catch_up(self, resume: bool = False) -> None:
        """Take over what the runners have written, and notice those that have ended."""
        # Reaped first: what a runner wrote before its end is then there to be read.
        ended = dict(self.system.reap())
        self.children -= set(ended)
        for component in list(self.known.components.values()):
            alive = self.alive(component)
            self._take_events(component)
            if component.runner in ended:
                self._note_exit(component, ended[component.runner])
            if component.state in LIVE and not self.alive(component):
                if alive:
                    # It ended while its log was being read.
                    self._take_events(component)
                self._without_runner(component, resume)
            elif component.runner and component.runner not in self.children:
                self.watch(component)
                if resume and component.state == "stopping":
                    # Committed, but perhaps not done; a second SIGTERM does no harm.
                    transitions.halt_again(component)

    def _take_events(self, component: Component) -> None:
        events, lost = self.followers[component.name].read()
        if lost:
            component.record("lost", {"count": lost})
        for event in events:
            transitions.take(component, event)
        if events:
            transitions.judge(component)

    def _without_runner(self, component: Component, resume: bool) -> None:
        if component.state == "starting" and not component.runner:
            if resume:
                # Committed, but perhaps not done. If it was, rfork-run's lock lets one of them through.
                component.out.spawn(component)
            return
        self.system.loop.unwatch(component.runner)
        if self.known.shutting_down and component.state != "stopping" and not component.ended_well:
            # Whoever shuts down may have told the runner to stop before we did: that is no failure.
            component.by, component.after = "shutdown", "start"
            transitions.halted(component)
        else:
            transitions.handle(component, "gone")

    def _note_exit(self, component: Component, status: int) -> None:
        # Without an `end` the log could not be written. With one, it says why.
        if status in (_WRONG_USE, _FAILED_CALL) or not component.reason:
            got = self.system.read(self.paths.component(component.name) + "/errors", 0)
            text = got[1].decode("utf-8", "replace").strip() if got is not None else ""
            # After wrong use the reason comes first, and then where to read more; a failed call comes last.
            if text:
                component.error = text.splitlines()[0 if status == _WRONG_USE else -1][:200]
            elif component.error is None:
                component.error = f"rfork-run: status {status}"
