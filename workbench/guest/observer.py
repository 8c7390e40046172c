# SPDX-License-Identifier: MIT
"""An independent look at the guest: its processes as /proc has them, whatever the records say."""

from __future__ import annotations

import time
from dataclasses import dataclass

from koboshi_desk.core.deadline import Deadline
from koboshi_desk.core.errors import KoboshiError
from workbench.guest.shell import Shell

# A template has its instance's command line. The kernel's says what it is in /proc/PID/status
# (kernel/README.md); librfork's own sleeps with every signal blocked, save those that glibc or musl
# keeps for itself, and no component does that.
TEMPLATE = "^(Rfork:[[:space:]]*template|SigBlk:[[:space:]]*fffffff[cef][7f]ffbfeff)"
COMMAND = f"ps -o pid,ppid,stat,args; echo; grep -lE '{TEMPLATE}' /proc/[0-9]*/status 2>/dev/null; true"
SETTLE_S = 10.0


@dataclass(frozen=True)
class Process:
    """A process; `state` is ps's letter, `args` its command line ([] around a kernel thread's)."""

    pid: int
    ppid: int
    state: str
    args: str
    template: bool = False


class ObserverError(KoboshiError):
    """The guest's processes are not what they should be."""


def parse(output: str) -> list[Process]:
    """The output of COMMAND."""
    listing, _, templates = output.partition("\n\n")
    marked = {int(line.split("/")[2]) for line in templates.splitlines() if line.startswith("/proc/")}
    processes = []
    for line in listing.splitlines()[1:]:
        pid, ppid, state, *args = line.split(None, 3)
        processes.append(Process(int(pid), int(ppid), state, "".join(args).rstrip(), int(pid) in marked))
    return processes


class Observer:
    """Knows each component by the command line of its instance, taken once while all is well."""

    def __init__(self, shell: Shell, pids: dict[str, int]) -> None:
        self._shell = shell
        self._args = self._command_lines(pids)

    def _command_lines(self, pids: dict[str, int]) -> dict[str, str]:
        by_pid = {process.pid: process for process in self.look()}
        if missing := [name for name, pid in pids.items() if pid not in by_pid]:
            raise ObserverError(
                f"the records name PIDs for {', '.join(missing)} that the guest does not have"
            )
        args = {name: by_pid[pid].args for name, pid in pids.items()}
        if len(set(args.values())) != len(args):
            raise ObserverError(f"two components cannot be told apart by their command lines: {args}")
        return args

    def look(self) -> list[Process]:
        """All processes of the guest now."""
        return parse(self._shell.run(COMMAND).output)

    def instances(self) -> dict[str, list[int]]:
        """PIDs by component: those with its command line that are neither templates nor dead."""
        processes = [p for p in self.look() if not p.template and not p.state.startswith("Z")]
        return {name: [p.pid for p in processes if p.args == args] for name, args in self._args.items()}

    def settled(self) -> dict[str, list[int]]:
        """As `instances`, looked at until each has exactly one, for at most SETTLE_S.

        By then a short-lived child of a component (for one request, say) has ended; a copy stays.
        """
        deadline = Deadline(SETTLE_S)
        while True:
            found = self.instances()
            if all(len(pids) == 1 for pids in found.values()) or deadline.expired:
                return found
            time.sleep(0.1)
