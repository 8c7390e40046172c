# SPDX-License-Identifier: MIT
"""`python3 -m koboshi`: the supervisor, started and respawned by PID 1."""

from __future__ import annotations

import os
import sys

from koboshi.control import Server
from koboshi.machine import SYSRQ
from koboshi.paths import Paths
from koboshi.supervisor import Supervisor
from koboshi.system import System


def main() -> int:
    """Run until told to stop; 100 for wrong use."""
    if len(sys.argv) > 1:
        os.write(2, b"usage: koboshi-supervisor (no arguments; see docs/supervisor.md)\n")
        return 100
    setting = os.environ.get
    run, etc = setting("KOBOSHI_RUN", "/run/koboshi"), setting("KOBOSHI_ETC", "/etc/koboshi")
    system = System(setting("KOBOSHI_CONSOLE", "/dev/console"))
    system.catch_signals()
    system.protect()
    rfork_run, sysrq = setting("KOBOSHI_RFORK_RUN", "/usr/bin/rfork-run"), setting("KOBOSHI_SYSRQ", SYSRQ)
    cgroups = setting("KOBOSHI_CGROUPS", system.cgroups())
    supervisor = Supervisor(system, Paths(run, etc, rfork_run, sysrq, cgroups))
    server = Server(system, supervisor)
    supervisor.start()
    while not supervisor.done():
        happened = system.wait(supervisor.timeout())
        supervisor.turn(happened)
        server.turn(happened)
    return 0


if __name__ == "__main__":
    sys.exit(main())
