# SPDX-License-Identifier: MIT
"""Starts the runners, follows their logs, notices their ends, and adopts those of an earlier supervisor."""

from __future__ import annotations

from koboshi.known import Known
from koboshi.manifest import runner_args
from koboshi.state import transitions
from koboshi.state.component import Component
from koboshi.state.transitions import LIVE
from koboshi.system.calls import System
from koboshi.system.events import Follower
from koboshi.system.paths import Paths

# Without pidfd, adopted runners are polled at this interval.
LIVENESS_S = 1.0
# Exit statuses of rfork-run after wrong usage, and after a failed system call.
_WRONG_USE, _FAILED_CALL = 100, 111


class Runners:
    """The runners of all components."""

    def __init__(self, system: System, paths: Paths, known: Known) -> None:
        self.system = system
        self.paths = paths
        self.known = known
        self.followers: dict[str, Follower] = {}
        self.children: set[int] = set()
        self.next_look: float | None = None

    def follow(self, component: Component) -> Follower:
        """Follow the component's log, from the event that its record names."""
        directory = self.paths.component(component.name)
        follower = Follower(self.system, directory, component.last, component.last_time)
        self.followers[component.name] = follower
        return follower

    def forget(self, component: Component) -> None:
        """Remove the follower and the control group of a removed component."""
        del self.followers[component.name]
        if self.paths.cgroups:
            self.system.machine.remove_cgroup(f"{self.paths.cgroups}/{component.name}")

    # Start

    def spawn(self, component: Component) -> None:
        """Start its runner, unless it has one or is no longer starting."""
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
        """Start koboshictl with these arguments as a child; return its PID, or -errno."""
        pid = self.system.spawn(self.system.machine.program(words), self.paths.run + "/program.log")
        if pid > 0:
            self.children.add(pid)
        return pid

    # Adoption

    def adopt(self) -> list[Component]:
        """Adopt the components whose runner is alive, and return them."""
        alive = [item for item in self.known.components.values() if item.runner and self.alive(item)]
        for component in alive:
            self.watch(component)
        self.known.adopted = len(alive)
        return alive

    def alive(self, component: Component) -> bool:
        """Return whether its runner, identified by PID and start time, is alive."""
        start = component.runner_start
        return bool(start) and self.system.start_time(component.runner) == start

    def watch(self, component: Component) -> None:
        """Make the loop report the end of a runner that is not our child."""
        if not self.system.loop.watch(component.runner):
            self.next_look = self.system.now() + LIVENESS_S

    # What has happened

    def look(self) -> None:
        """Check runners that cannot be watched, if it is time."""
        if self.next_look is not None and self.system.now() >= self.next_look:
            self.next_look = None
            self.catch_up()

    def catch_up(self, resume: bool = False) -> None:
        """Process new events of all runners, and notice those that have ended."""
        # Reap first: then everything that a runner wrote before its end can be read.
        ended = dict(self.system.reap())
        self.children -= set(ended)
        for component in list(self.known.components.values()):
            alive = self.alive(component)
            self._take_events(component)
            if component.runner in ended:
                self._note_exit(component, ended[component.runner])
            if component.state in LIVE and not self.alive(component):
                if alive:
                    # It ended while its log was read.
                    self._take_events(component)
                self._without_runner(component, resume)
            elif component.runner and component.runner not in self.children:
                self.watch(component)
                if resume and component.state == "stopping":
                    # The last supervisor may not have sent the SIGTERM; a second one is harmless.
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
                # The last supervisor may not have started it. If it has, rfork-run's lock lets one through.
                component.out.spawn(component)
            return
        self.system.loop.unwatch(component.runner)
        if self.known.shutting_down and component.state != "stopping" and not component.ended_well:
            # During shutdown, init may have stopped the runner first. That does not count as a failure.
            component.by, component.after = "shutdown", "start"
            transitions.halted(component)
        else:
            transitions.handle(component, "gone")

    def _note_exit(self, component: Component, status: int) -> None:
        # Without an `end` event the log could not be written; an `end` has the reason itself.
        if status in (_WRONG_USE, _FAILED_CALL) or not component.reason:
            got = self.system.read(self.paths.component(component.name) + "/errors", 0)
            text = got[1].decode("utf-8", "replace").strip() if got is not None else ""
            # After wrong usage the first line has the reason; after a failed call it is the last line.
            if text:
                component.error = text.splitlines()[0 if status == _WRONG_USE else -1][:200]
            elif component.error is None:
                component.error = f"rfork-run: status {status}"
