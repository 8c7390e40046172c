# SPDX-License-Identifier: MIT
"""`./dev demo`: boot the image, break everything in it, and show that it recovers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.demo import summary
from workbench.demo.presenter import LivePresenter, PlainPresenter
from workbench.demo.summary import Summary
from workbench.guest import faults
from workbench.guest.booted import Guest
from workbench.guest.faults import Fault, Outcome
from workbench.guest.observer import Observer
from workbench.guest.qemu import Options
from workbench.image.bootable import Image

Presenter = LivePresenter | PlainPresenter


def run(
    json: str | Path | None = None,
    smp: int | None = None,
    *,
    build: Callable[[], Image] | None = None,
    backend: str | None = None,
    plain: bool = False,
) -> int:
    """Build an image (by default the quick image), run the demo, print the summary; 0 only if all came back.

    `json` is a file for the summary, `backend` (user, kernel) the level of rfork where the image's default
    is not wanted.
    """
    # The kernel hands what it does not know to init as environment, init to the supervisor,
    # that to the runners.
    append = f"RFORK_BACKEND={backend}" if backend else ""
    options = Options(smp=smp, append=append)
    with Guest((build or _quick)(), options) as guest:
        with _presenter(guest, plain) as presenter:
            result = Demo(guest, presenter.say).run()
        summary.print_summary(result, sys.stdout)
        print(f"the whole console: {guest.log}")
    if json is not None:
        Path(json).write_text(summary.to_json(result))
    return 0 if result.passed else 1


def _quick() -> Image:
    from workbench.image import quick as quickimage

    return quickimage.build()


def _presenter(guest: Guest, plain: bool) -> AbstractContextManager[Presenter]:
    return PlainPresenter(guest) if plain or not sys.stdout.isatty() else LivePresenter(guest)


class Demo:
    """The steps, in order; what was found ends up in one Summary."""

    def __init__(self, guest: Guest, say: Callable[[str], None]) -> None:
        self.guest = guest
        self.say = say
        self.result = Summary()

    def run(self) -> Summary:
        """All of it. A step that cannot be done ends the demo and is in the summary."""
        try:
            self._boot()
            self._break_all()
            self._kill_supervisor()
            self._look()
            self._reboot()
        except KoboshiError as error:
            self.result.problems.append(str(error))
        self._take_stock()
        return self.result

    def _boot(self) -> None:
        self.say("booting")
        self.result.boot_s = self.guest.boot()
        self.result.components = list(self.guest.model.components)
        self.result.rfork, self.result.kernel = self.guest.model.rfork, self.guest.model.kernel
        self.result.image, self.result.smp = (
            self.guest.image.name,
            self.guest.qemu.options.smp or self.guest.image.smp,
        )
        pids = {name: component.pid for name, component in self.guest.model.components.items()}
        self.observer = Observer(self.guest.shell, pids)

    def _break_all(self) -> None:
        manifest = self.guest.shell.run("cat /etc/koboshi/koboshi.toml").output
        self.plan = faults.plan(faults.traits(manifest))
        for fault in self.plan:
            self._break(fault)

    def _break(self, fault: Fault) -> Outcome:
        self.say(f"{fault.component}: {fault.kind.text}")
        outcome = faults.inject(self.guest, fault)
        self.result.outcomes.append(outcome)
        return outcome

    def _kill_supervisor(self) -> None:
        """Its death costs nothing, and the next one notices what happens to a component it adopted."""
        self.say("the supervisor itself: kill -9")
        faults.kill_supervisor(self.guest)
        self.result.supervisor_kills += 1
        adopted, there = self.guest.model.adopted, len(self.guest.model.components)
        if adopted != there:
            self.result.problems.append(f"the next supervisor adopted {adopted} of {there} components")
        self._break(self.plan[0])

    def _look(self) -> None:
        """Count the processes with an observer that does not use the records."""
        self.say("counting processes")
        for name, pids in self.observer.settled().items():
            self.result.lost += not pids
            self.result.duplicates += max(0, len(pids) - 1)
            if len(pids) != 1:
                self.result.problems.append(f"{name}: /proc has {len(pids)} instances of it (PIDs {pids})")
            told = self.guest.model.components[name].pid
            if len(pids) == 1 and pids[0] != told:
                self.result.problems.append(f"{name}: the records say PID {told}, the guest has {pids[0]}")
        self.result.duplicates += self.guest.model.duplicates
        self.result.findings = [str(finding) for finding in self.guest.verdict()]
        self.result.boots = self.guest.console.decoder.boots

    def _reboot(self) -> None:
        self.say("a reboot, for comparison")
        self.result.reboot_s = self.guest.reboot()
        late = [str(finding) for finding in self.guest.verdict()]
        self.result.findings += [finding for finding in late if finding not in self.result.findings]

    def _take_stock(self) -> None:
        model = self.guest.model
        self.result.restarts = list(model.history)
        counts = self.guest.console.decoder.counts if self.guest.started else None
        if counts:
            self.result.records_lost, self.result.records_garbled = counts.lost, counts.garbled
