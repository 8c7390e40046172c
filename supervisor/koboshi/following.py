# SPDX-License-Identifier: MIT
"""How the supervisor keeps up with the runners: their logs, their ends, and those an earlier one started."""

from __future__ import annotations

from koboshi.core import Core
from koboshi.state.component import LIVE, Component
from koboshi.system.events import Follower


class Following(Core):
    """Everything that takes in what has happened."""

    def adopt(self) -> list[Component]:
        """The components whose runner is there, by PID and start time."""
        alive = [item for item in self.components.values() if item.runner and self.alive(item)]
        for component in alive:
            self.watch(component)
        self.adopted = len(alive)
        return alive

    def add(self, component: Component) -> None:
        """One more component."""
        self.components[component.name] = component
        directory = self.paths.component(component.name)
        self.followers[component.name] = Follower(self.system, directory, component.last, component.last_time)

    def catch_up(self, resume: bool = False) -> None:
        """Take over what the runners have written, and notice those that have ended."""
        # Reaped first: what a runner wrote before its end is then there to be read.
        ended = dict(self.system.reap())
        self.children -= set(ended)
        for component in list(self.components.values()):
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
                    component.halt_again()

    def _take_events(self, component: Component) -> None:
        events, lost = self.followers[component.name].read()
        if lost:
            component.record("lost", {"count": lost})
        for event in events:
            component.take(event)

    def _without_runner(self, component: Component, resume: bool) -> None:
        if component.state == "starting" and not component.runner:
            if resume:
                # Committed, but perhaps not done. If it was, rfork-run's lock lets one of them through.
                self.spawn(component)
            return
        self.system.loop.unwatch(component.runner)
        if self.shutting_down and component.state != "stopping" and not component.ended_well:
            # Whoever shuts down may have told the runner to stop before we did: that is no failure.
            component.by, component.after = "shutdown", "start"
            component.halted()
        else:
            component.handle("gone")

    def _note_exit(self, component: Component, status: int) -> None:
        # Without an `end` the log could not be written. With one, it says why.
        if status in (100, 111) or not component.reason:
            got = self.system.read(self.paths.component(component.name) + "/errors", 0)
            text = got[1].decode("utf-8", "replace").strip() if got is not None else ""
            # After wrong use the reason comes first, and then where to read more; a failed call comes last.
            if text:
                component.error = text.splitlines()[0 if status == 100 else -1][:200]
            elif component.error is None:
                component.error = f"rfork-run: status {status}"
