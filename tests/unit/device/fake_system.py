# SPDX-License-Identifier: MIT
# ruff: noqa: D102 (the methods are documented in the class they override)
"""A made-up Linux for the supervisor: files, processes, rfork-run, a clock, death at any system call."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from koboshi.manifest.model import Plain
from koboshi.supervisor import Supervisor
from koboshi.system.calls import System
from koboshi.system.machine import Machine
from koboshi.system.paths import Paths
from koboshi.wire.records import Record, find

RUN, ETC = "/run/koboshi", "/etc/koboshi"
CHAIN = """\
version = 1
[component.c]
command = ["/c"]
needs = ["b"]
[component.b]
command = ["/b"]
needs = ["a"]
[component.a]
command = ["/a"]
"""
ONE = (
    'version = 1\n[component.a]\ncommand = ["/a"]\n'
    + "cold = { attempts = 3, window_s = 60, delay_s = 1, delay_max_s = 2 }\n"
)
LOCK_WAIT_S = 5.0


class Killed(BaseException):
    """kill -9 of the supervisor."""


class Runner:
    """A made-up rfork-run (docs/runner.md)."""

    def __init__(self, world: World, pid: int, argv: list[str]) -> None:
        self.world = world
        self.pid = pid
        self.argv = argv
        self.name = argv[argv.index("--name") + 1]
        self.born = world.now
        self.alive = True
        self.exit = 0
        self.instance = 0
        self.generation = 0
        self.stopper = 0

    def run(self) -> None:
        """Get the lock, or give up after a while; then start the component."""
        if not self.alive or self.instance:
            return
        holder = self.world.holder(self.name)
        if holder is None:
            self.instance = self.world.new_process()
            keys = f"runner={self.pid} pid={self.instance} backend=kernel boot=b0071d0{self.world.boot}"
            self.event("started", keys)
            self.ready()
        elif self.world.now - self.born > LOCK_WAIT_S:
            self.end(111)

    def ready(self) -> None:
        """Ready at once, unless the world says that this component is slow."""
        if self.name not in self.world.slow:
            self.event("ready", f"pid={self.instance} gen={self.generation} downtime_us=5")

    def event(self, event: str, keys: str) -> None:
        """One line of the log, and a poke."""
        self.world.log(self.name, event, keys)

    def keep_words(self) -> None:
        """The last output of the instance, with the number of the event that is next."""
        words = self.world.says.get(self.name, b"")[-480:]
        number = len(self.world.events.get(self.name, [])) + 1
        slot = b"%d %d\n%s" % (number, len(words), words)
        path = f"{RUN}/{self.name}/words"
        slots = bytearray(self.world.files.get(path, (0, b""))[1].ljust(4096, b"\0"))
        slots[number % 8 * 512 : number % 8 * 512 + 512] = slot.ljust(512, b"\0")
        self.world.write(path, bytes(slots))

    def refuse(self, error: str, status: str = "exit:127") -> None:
        """The program cannot be executed: it was never ready."""
        self.event("end", f"reason=exec status={status} old={self.instance} error={error}")
        self.end(1)

    def crash(self, cause: str = "error", status: str = "signal:SIGSEGV") -> None:
        """The component crashes and is restarted."""
        old, self.instance = self.instance, self.world.new_process()
        self.world.processes.pop(old)
        self.generation += 1
        keys = f"gen={self.generation} level=warm backend=kernel cause={cause} status={status} old={old}"
        self.keep_words()
        moments = f"fail_us={round(self.world.now * 1e6)} start_us={round(self.world.now * 1e6) + 143}"
        self.event("restart", f"{keys} pid={self.instance} {moments} latency_us=143")
        self.ready()

    def finish(self, reason: str, status: str = "exit:0") -> None:
        """The component has ended for good, and so does the runner."""
        self.keep_words()
        self.event("end", f"reason={reason} status={status} old={self.instance}")
        self.end(0 if reason in ("exit", "stop") else 1)

    def end(self, status: int) -> None:
        """Gone, and the instance with it."""
        self.alive = False
        self.exit = status
        self.world.processes.pop(self.instance, None)
        self.world.processes.pop(self.pid, None)
        self.instance = 0

    def signal(self, number: int, sender: int = 0) -> None:
        """What rfork-run does about a signal; a second one from the same process kills at once."""
        again, self.stopper = number == signal.SIGTERM and 0 != sender == self.stopper, sender
        if number == signal.SIGKILL or (number == signal.SIGTERM and not self.instance):
            self.end(-number)
        elif number == signal.SIGTERM and (again or self.name not in self.world.stubborn):
            self.finish("stop", "signal:SIGKILL" if again else "signal:SIGTERM")
        elif number == signal.SIGUSR1:
            self.crash("operator", "signal:SIGKILL")


class World:
    """Everything that survives a supervisor."""

    def __init__(self) -> None:
        self.now = 100.0
        self.files: dict[str, tuple[int, bytes]] = {}
        self.inode = 0
        self.processes: dict[int, int] = {}
        self.next_pid = 50
        self.runners: dict[int, Runner] = {}
        self.poked = False
        self.listening = False
        self.console = b""
        self.console_takes = 1 << 30
        self.log_takes = 1 << 30
        self.no_rfork_run = False
        self.full = False
        self.sigkilled: list[int] = []
        self.slow: set[str] = set()
        self.stubborn: set[str] = set()
        self.volatile = "is on tmpfs, which a reboot empties"
        self.disk_error = ""
        self.locked_by: dict[str, int] = {}
        self.fired = False
        self.fed = 0
        self.kmsg: list[str] = []
        self.registers = False
        self.stacks = ("", "")
        self.reboots = 0
        self.boot = 0
        self.events: dict[str, list[tuple[str, str]]] = {}
        # What components print.
        self.says: dict[str, bytes] = {}

    def new_process(self) -> int:
        """A PID, with the start time that goes with it."""
        self.next_pid += 1
        self.processes[self.next_pid] = round(self.now * 100)
        return self.next_pid

    def write(self, path: str, data: bytes) -> None:
        """A new file."""
        self.inode += 1
        self.files[path] = (self.inode, data)

    def restart(self) -> None:
        """The machine reboots: what lasts is what is neither in /run nor a process."""
        self.boot += 1
        self.files = {path: got for path, got in self.files.items() if not path.startswith("/run/")}
        self.processes, self.runners, self.events, self.kmsg = {}, {}, {}, []
        self.now = 100.0

    def log(self, name: str, event: str, keys: str) -> None:
        """A line in a component's log; times are all different, so that events can be told apart."""
        self.now += 0.001
        path = f"{RUN}/{name}/events"
        done = self.events.setdefault(name, [])
        done.append((event, f"{self.now:.6f}"))
        if path not in self.files:
            self.write(path, b"")
        inode, data = self.files[path]
        line = f"rfork-run/1 {len(done)} {self.now:.6f} {event} {keys}\n"
        self.files[path] = (inode, data + line.encode())
        self.poked = self.listening

    def rotate(self, name: str) -> None:
        """What rfork-run does at 64 KiB."""
        self.files[f"{RUN}/{name}/events.1"] = self.files.pop(f"{RUN}/{name}/events")

    def holder(self, name: str) -> Runner | None:
        """Who has a component's lock."""
        return next((r for r in self.runners.values() if r.name == name and r.alive and r.instance), None)

    def runner(self, name: str) -> Runner:
        """Who has a component's lock, for certain."""
        holder = self.holder(name)
        assert holder is not None, f"{name} does not run"
        return holder

    def records(self) -> list[Record]:
        """The supervisor's log."""
        text = b"".join(self.files.get(f"{RUN}/events{suffix}", (0, b""))[1] for suffix in (".1", ""))
        found = [find(line) for line in text.decode().splitlines()]
        return [record for record in found if record is not None]

    def names(self, component: str) -> list[str]:
        """The events recorded of one component."""
        return [record.event for record in self.records() if record.component == component]


class FakeSystem(System):
    """The seam, over a World; raises Killed instead of the `kill_at`-th call that changes anything."""

    def __init__(self, world: World, kill_at: int = 0) -> None:
        parts: Any = self  # one seam: what is changed is counted, whichever part changes it
        self.loop = self.machine = self.kernel_log = parts
        self.watchdog_fd = self.console_fd = -1
        self.world = world
        self.kill_at = kill_at
        self.calls = 0
        self.children: set[int] = set()
        self.watched: set[int] = set()
        self.me = world.new_process()
        world.listening = False

    def changes(self) -> None:
        """One more call that changes something."""
        self.calls += 1
        if self.calls == self.kill_at:
            self.world.listening = False
            raise Killed

    def now(self) -> float:
        return self.world.now

    def pid(self) -> int:
        return self.me

    def boot_id(self) -> str:
        return f"b0071d0{self.world.boot}"

    def kernel(self) -> str:
        return "6.12.1"

    def make_directory(self, path: str) -> str:
        self.changes()
        return ""

    def read(self, path: str, offset: int) -> tuple[int, bytes] | None:
        got = self.world.files.get(path)
        return None if got is None else (got[0], got[1][offset:])

    def apart(self, work: Callable[[], Plain]) -> Plain:
        return work()

    def listed(self, folder: str) -> list[str]:
        return sorted(path for path in self.world.files if path.startswith(folder + "/"))

    def size(self, path: str) -> int:
        return len(self.world.files.get(path, (0, b""))[1])

    def replace(self, path: str, data: bytes, durable: bool = True, private: bool = True) -> bool:
        self.changes()
        if not self.world.full:
            self.world.write(path, data)
        return not self.world.full

    def append(self, path: str, data: bytes) -> int:
        self.changes()
        if path not in self.world.files:
            self.world.write(path, b"")
        inode, old = self.world.files[path]
        # Whole lines; half a line that a kill has left is cut off.
        old = old[: old.rfind(b"\n") + 1]
        taken = data.rfind(b"\n", 0, min(len(data), self.world.log_takes)) + 1
        self.world.files[path] = (inode, old + data[:taken])
        self.world.log_takes -= taken
        return taken

    def rename(self, old: str, new: str) -> None:
        self.changes()
        self.world.files[new] = self.world.files.pop(old)

    def spawn(self, argv: list[str], errors: str, given: bytes = b"") -> int:
        self.changes()
        if self.world.no_rfork_run:
            return -2
        pid = self.world.new_process()
        self.world.runners[pid] = Runner(self.world, pid, argv)
        self.children.add(pid)
        return pid

    def rfork_kernel(self, rfork_run: str) -> bool:
        return True

    def start_time(self, pid: int) -> int:
        return self.world.processes.get(pid, 0)

    def start_before(self, pid: int, moment: float) -> int:
        start = self.start_time(pid)
        return start if start <= moment * 100 + 1 else 0

    def kill(self, pid: int, start: int, number: int) -> bool:
        self.changes()
        if not start or self.start_time(pid) != start:
            return False
        if number == signal.SIGKILL:
            self.world.sigkilled.append(pid)
        if pid in self.world.runners:
            self.world.runners[pid].signal(number, self.me)
        else:
            self.world.processes.pop(pid)
        return True

    def reap(self) -> list[tuple[int, int]]:
        ended = [pid for pid in self.children if not self.world.runners[pid].alive]
        self.children.difference_update(ended)
        return [(pid, self.world.runners[pid].exit) for pid in ended]

    def watch(self, pid: int) -> bool:
        self.watched.add(pid)
        return True

    def unwatch(self, pid: int) -> None:
        self.watched.discard(pid)

    def console_write(self, data: bytes) -> int:
        self.changes()
        taken = min(len(data), self.world.console_takes)
        self.world.console += data[:taken]
        self.world.console_takes -= taken
        return taken

    def listen(self, poke: str, control: str) -> None:
        self.changes()
        self.world.listening = True

    def complain(self, text: str) -> None:
        pass

    def watchdog_open(self, path: str, seconds: int) -> str:
        self.watchdog_fd = 9
        return ""

    def watchdog_fired(self) -> bool:
        return self.world.fired

    def watchdog_feed(self) -> None:
        self.world.fed += 1

    def watchdog_close(self) -> None:
        self.watchdog_fd = -1

    def may_reboot(self, trigger: str) -> bool:
        return True

    def reboot(self, trigger: str, console_fd: int) -> None:
        self.changes()
        self.world.reboots += 1

    def volatile(self, directory: str) -> str:
        return self.world.volatile

    def lock(self, path: str) -> int | None:
        return self.world.locked_by.get(path, 0)

    def write_slot(self, path: str, data: bytes) -> str:
        self.changes()
        if not self.world.disk_error:
            self.world.write(path, data)
        return self.world.disk_error

    def remove_cgroup(self, path: str) -> None:
        Machine().remove_cgroup(path)

    def tell_registers(self, wanted: bool) -> None:
        self.world.registers = wanted

    def tell_stacks(self, program: str, folder: str) -> str:
        self.world.stacks = (program, folder)
        return ""

    def messages(self) -> list[tuple[float, str]]:
        lines, self.world.kmsg = self.world.kmsg, []
        return [(self.world.now, line) for line in lines]

    def happened(self) -> list[tuple[str, int]]:
        """What `wait` would tell now."""
        found: list[tuple[str, int]] = []
        if self.world.poked:
            self.world.poked = False
            found.append(("poke", 0))
        if any(not self.world.runners[pid].alive for pid in self.children):
            found.append(("signal", int(signal.SIGCHLD)))
        found += [("gone", pid) for pid in self.watched if pid not in self.world.processes]
        return found


def boot(world: World, manifest: str | None = None, kill_at: int = 0) -> Supervisor:
    """A supervisor that has started; the manifest stays as it was if none is given."""
    if manifest is not None:
        world.write(f"{ETC}/koboshi.toml", manifest.encode())
    supervisor = Supervisor(FakeSystem(world, kill_at), Paths(RUN, ETC, "/usr/bin/rfork-run"))
    supervisor.start()
    pump(supervisor)
    return supervisor


def pump(supervisor: Supervisor) -> None:
    """Until neither the world nor the supervisor has anything to do at this moment."""
    system = supervisor.system
    assert isinstance(system, FakeSystem)
    for _ in range(100):
        for runner in list(system.world.runners.values()):
            runner.run()
        happened = system.happened()
        timeout = supervisor.timeout()
        if not happened and (timeout is None or timeout > 0):
            return
        supervisor.turn(happened)
    raise AssertionError("the supervisor never comes to rest")


def sleep(supervisor: Supervisor, seconds: float) -> None:
    """Let time pass, in the steps that deadlines ask for."""
    system: Any = supervisor.system
    end = system.world.now + seconds
    while system.world.now < end:
        timeout = supervisor.timeout()
        step = 1.0 if timeout is None else max(timeout, 0.001)
        system.world.now += min(step, 1.0, max(end - system.world.now, 0.001))
        pump(supervisor)


def states(supervisor: Supervisor) -> dict[str, str]:
    """Every component's state."""
    return {name: component.state for name, component in supervisor.components.items()}
