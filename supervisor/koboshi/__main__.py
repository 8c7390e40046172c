# SPDX-License-Identifier: MIT
"""`python3 -m koboshi`: the supervisor, started and respawned by PID 1."""

from __future__ import annotations

import os
import sys
import time

from koboshi.control import Server
from koboshi.supervisor import Supervisor
from koboshi.system import utf8
from koboshi.system.calls import System
from koboshi.system.machine import SYSRQ
from koboshi.system.paths import Paths

# A killed predecessor may take this long to disappear.
_PREDECESSOR_S = 1.0
_RETRY_S = 0.02


def _holder(system: System, paths: Paths) -> int | None:
    """Return what Machine.lock returns, or the socket's owner if the locked file was removed."""
    holder = system.machine.lock(paths.lock)
    return system.answering(paths.control) if holder == 0 else holder


def only_one(system: System, paths: Paths) -> bool:
    """Return whether no other supervisor uses the run folder; print the PID of one that does."""
    system.make_directory(paths.run)
    deadline = system.now() + _PREDECESSOR_S
    try:
        while (holder := _holder(system, paths)) != 0:
            if system.now() > deadline:
                system.complain(f"{paths.run}: in use by the supervisor with PID {holder or 'unknown'}")
                return False
            time.sleep(_RETRY_S)
    except OSError as error:
        # Two supervisors are better than none.
        system.complain(f"{paths.lock}: {error.strerror}")
    return True


def main() -> int:
    """Run until told to stop; 100 for wrong use."""
    if len(sys.argv) > 1:
        os.write(2, b"usage: koboshi-supervisor (no arguments; see docs/supervisor.md)\n")
        return 100
    utf8.ensure()
    setting = os.environ.get
    run, etc = setting("KOBOSHI_RUN", "/run/koboshi"), setting("KOBOSHI_ETC", "/etc/koboshi")
    system = System(setting("KOBOSHI_CONSOLE", "/dev/console"))
    system.machine.forget_inherited()
    system.loop.catch_signals()
    system.machine.protect()
    rfork_run, sysrq = setting("KOBOSHI_RFORK_RUN", "/usr/bin/rfork-run"), setting("KOBOSHI_SYSRQ", SYSRQ)
    cgroups = setting("KOBOSHI_CGROUPS", system.machine.cgroups())
    paths = Paths(run, etc, rfork_run, sysrq, cgroups, setting("PYTHONPATH", ""))
    if not only_one(system, paths):
        return 111
    supervisor = Supervisor(system, paths)
    server = Server(system, supervisor)
    supervisor.start()
    while not supervisor.done():
        happened = system.loop.wait(supervisor.timeout())
        supervisor.turn(happened)
        server.turn(happened)
    return 0


if __name__ == "__main__":
    sys.exit(main())
