# SPDX-License-Identifier: MIT
"""A board that is there: its console, shell and model, by a port or through labgrid."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from koboshi_desk.console.decoder import KernelLine
from koboshi_desk.console.findings import GREP, Finding, judge, judge_taint
from koboshi_desk.console.session import Console
from koboshi_desk.console.transport import Transport, open_port
from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import ConsoleClosedError, KoboshiError
from koboshi_desk.device.model import Component, Model
from workbench.guest.shell import Shell

BOOT_S = 180.0


class LabgridConsole:
    """The console of a labgrid target: its ConsoleProtocol as a Transport."""

    writable = True
    came: float | None = None

    def __init__(self, driver: Any, target: Any, name: str) -> None:  # noqa: ANN401 - labgrid may be absent
        self._driver = driver
        self._target = target
        self.name = name

    def read(self, timeout: float) -> bytes:
        """See Transport. labgrid says by pexpect's TIMEOUT that nothing came."""
        from pexpect import EOF, TIMEOUT

        try:
            return bytes(self._driver.read(size=4096, timeout=max(timeout, 0.01)))
        except TIMEOUT:
            return b""
        except EOF as error:
            raise ConsoleClosedError(f"{self.name}: {error}") from error

    def write(self, data: bytes) -> None:
        """See Transport."""
        self._driver.write(data)

    def close(self) -> None:
        """See Transport. Everything of the target is given back, QEMU ended."""
        if self._target is not None:
            self._target.cleanup()
            self._target = None


def through_labgrid(environment: Path) -> Transport:
    """Return the console of an environment's target; power-cycle the target if possible."""
    try:
        from labgrid import Environment
        from labgrid.exceptions import NoDriverFoundError
    except ModuleNotFoundError as error:
        raise KoboshiError("labgrid is not installed; docs/adding-a-board.md says how") from error
    target = Environment(str(environment)).get_target()
    try:
        power = target.get_driver("PowerProtocol")
    except NoDriverFoundError:
        power = None
    console = target.get_driver("ConsoleProtocol", activate=power is None)
    if power is not None:
        power.off()
        target.activate(console)
        power.on()
    return LabgridConsole(console, target, str(environment))


class Board:
    """`with Board(...)`; `ready()` waits until all its components are."""

    def __init__(self, transport: Transport, log: Path | None = None) -> None:
        self.console = Console(transport, log)
        self.model = Model()
        self.console.listen(self.model.take)
        self.shell = Shell(self.console)

    @classmethod
    def at(cls, port: str, lg_env: Path | None = None, log: Path | None = None) -> Board:
        """By `port`, or by a labgrid environment."""
        return cls(through_labgrid(lg_env) if lg_env else open_port(port), log)

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.console.drain(limit_s=2.0)
        self.console.close()

    def ready(self, seconds: float = BOOT_S) -> None:
        """It may still be booting, or run for days: koboshictl says what the records did not tell us."""
        deadline = Deadline(seconds, "board with all components ready")
        self.shell.attach(deadline)
        while True:
            self.learn()
            if self.model.settled():
                return
            if deadline.expired:
                states = ", ".join(f"{c.name} {c.state}" for c in self.model.components.values())
                raise KoboshiError(f"not ready within {deadline.seconds:.0f} s: {states or 'no component'}")
            self.console.pump(0.5)

    def learn(self) -> None:
        """Bring the model up to what the supervisor knows."""
        result = self.shell.run("koboshictl --json status", check=False)
        if result.status:
            return  # the supervisor is not there yet
        status = json.loads(result.output)
        self.model.boot_id = status["boot_id"]
        self.model.supervisor_pid = status["supervisor"]["pid"]
        self.model.supervisor_starts = status["supervisor"]["start"]
        for name, values in status["components"].items():
            component = self.model.components.setdefault(name, Component(name))
            component.state, component.pid = values["state"], values["pid"] or 0
            component.runner, component.runner_alive = values["runner"] or 0, bool(values["runner"])
            component.generation, component.since = values["generation"] or 0, values["since"]
            component.needs = tuple(values["needs"])

    def verdict(self) -> list[Finding]:
        """What the kernel should not have said, by the console and by dmesg."""
        found = {finding.text: finding for finding in self.console.findings}
        for line in self.shell.run(f"dmesg | grep -E '{GREP}'; true").output.splitlines():
            if finding := judge(KernelLine(0.0, line.split("] ", 1)[-1])):
                found.setdefault(finding.text, finding)
        taint = judge_taint(int(self.shell.run("cat /proc/sys/kernel/tainted").output))
        return [*found.values(), *([taint] if taint else [])]
