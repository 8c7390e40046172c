# SPDX-License-Identifier: MIT
"""Crash records: what is in them, that they are bounded, and that they outlive what they are about."""

from __future__ import annotations

import pytest
from koboshi import ctl
from koboshi.control import answer
from koboshi.evidence import SLOT_BYTES, SLOTS
from koboshi.supervisor import Supervisor

from tests.unit.device.fake_system import RUN, World, boot, pump

ONE = 'version = 1\n[component.a]\ncommand = ["/a"]\nladder = { same_fault = 0 }\n'
DISK = ONE + '[device]\nrecord = "/data"\n'
LINE = "a[{pid}]: segfault at 8 ip 0000000000401136 sp 00007ffc error 4 in a[1136,401000+1000]"


@pytest.fixture
def world() -> World:
    """A made-up Linux with a disk."""
    world = World()
    world.volatile = ""
    return world


def crash(world: World, supervisor: Supervisor, later: float = 10.0, line: str = LINE) -> None:
    """A crash, some time after the one before it."""
    world.now += later
    runner = world.runner("a")
    world.kmsg.append(line.format(pid=runner.instance))
    runner.crash()
    pump(supervisor)


def crashes(supervisor: Supervisor) -> list[dict[str, object]]:
    """What koboshictl gets."""
    found = answer(supervisor, "crashes", None)["crashes"]
    assert isinstance(found, list)
    return found


def test_what_is_in_it(world: World) -> None:
    """Component, place, the kernel's words, its last output, memory, and what was decided."""
    supervisor = boot(world, DISK)
    world.says["a"] = b"reading port\nlost sync\n"
    world.write("/proc/meminfo", b"MemTotal: 9 kB\nMemFree: 1000 kB\nMemAvailable: 2000 kB\n")
    crash(world, supervisor)
    (record,) = crashes(supervisor)
    assert (record["component"], record["decision"]) == ("a", "warm")
    assert record["fault"] == "error signal:SIGSEGV a+0x1136"
    assert "segfault at 8 ip 0000000000401136 sp 00007ffc" in str(record["kernel"])
    assert record["output"] == "reading port\nlost sync\n"
    assert record["memory_kb"] == {"MemFree": 1000, "MemAvailable": 2000}


def test_a_ring(world: World) -> None:
    """However many crashes there are, the files neither grow nor become more; the newest are there."""
    supervisor = boot(world, DISK)
    for number in range(40):
        crash(world, supervisor, line=LINE.replace("1136", f"1{number:03}"))
    files = [data for path, (_inode, data) in world.files.items() if path.startswith("/data/crash.")]
    assert len(files) == SLOTS
    assert {len(data) for data in files} == {SLOT_BYTES}
    assert [record["number"] for record in crashes(supervisor)] == list(range(25, 41))


def test_a_storm_is_counted_and_not_written(world: World) -> None:
    """Faults alike, or too soon after each other, cost no flash; the next record says how many there were."""
    supervisor = boot(world, DISK)
    for _ in range(50):
        crash(world, supervisor, later=0.01)
    assert len(crashes(supervisor)) == 1
    crash(world, supervisor, line=LINE.replace("1136", "1f00"))
    assert [record["skipped"] for record in crashes(supervisor)] == [0, 49]


def test_the_end_of_a_row_is_written(world: World) -> None:
    """What leads to a step on the ladder is kept, also when it is the same fault again."""
    supervisor = boot(world, DISK)
    crash(world, supervisor)
    world.now += 10
    world.runner("a").finish("burst", "signal:SIGSEGV")
    pump(supervisor)
    assert [record["decision"] for record in crashes(supervisor)] == ["warm", "ladder"]


def test_they_outlive_a_reboot(world: World) -> None:
    """On storage that lasts, numbers go on after a reboot; without, they are in /run."""
    crash(world, boot(world, DISK))
    world.restart()
    supervisor = boot(world)
    crash(world, supervisor)
    assert [(r["number"], r["boot"]) for r in crashes(supervisor)] == [(1, "b0071d00"), (2, "b0071d01")]
    plain = World()
    supervisor = boot(plain, ONE)
    crash(plain, supervisor)
    assert f"{RUN}/crash.01" in plain.files


@pytest.mark.parametrize("output", [b"\xff" * 600, b'"\\' * 300, "\u2603".encode() * 200])
def test_whatever_it_prints(world: World, output: bytes) -> None:
    """A component's output makes no record longer than its slot."""
    supervisor = boot(world, DISK)
    world.says["a"] = output
    crash(world, supervisor)
    assert len(crashes(supervisor)) == 1
    assert len(world.files["/data/crash.01"][1]) == SLOT_BYTES


def test_shown_without_control_characters(world: World) -> None:
    """What a component has said reaches an operator's terminal as text alone."""
    supervisor = boot(world, DISK)
    world.says["a"] = b"\x1b]0;owned\x07\x1b[2Jlost\x9b31m sync\rOK\n"
    crash(world, supervisor)
    text = ctl._crashes(crashes(supervisor))
    assert "lost" in text
    assert all(c == "\n" or c.isprintable() for c in text)


def test_for_people(world: World) -> None:
    """koboshictl shows a line, and below it what was said last."""
    supervisor = boot(world, DISK)
    world.says["a"] = b"lost sync\n"
    crash(world, supervisor)
    text = ctl._crashes(crashes(supervisor))
    assert text.splitlines()[0].endswith("a error signal:SIGSEGV a+0x1136 -> warm")
    assert text.splitlines()[-1] == "    lost sync"


TOLD = """\
potentially unexpected fatal signal 11.
CPU: 0 UID: 0 PID: {pid} Comm: a Not tainted 6.12.117 #1
Hardware name: QEMU Standard PC (i440FX + PIIX, 1996)
RIP: 0033:0x401136
Code: 00 00 48 89 e5
RSP: 002b:00007ffd5b1b2a40 EFLAGS: 00010246
RAX: 0000000000000000 RBX: 00007ffd5b1b2b58 RCX: 0000000000403df0
R13: 0000000000000000 R14: 00000000deadbeef R15: 0000000000000000
FS:  00007f5c1b3d5740(0000) GS:  0000000000000000
CR2: 0000000000000008 CR3: 0000000002c26000 CR4: 00000000000006f0"""


def test_registers(world: World) -> None:
    """Where the manifest asks for it the kernel tells all registers, and the record has them."""
    supervisor = boot(world, DISK + "registers = true\n")
    assert world.registers
    for line in TOLD.format(pid=world.runner("a").instance).splitlines():
        world.kmsg.append(line)
    crash(world, supervisor)
    (record,) = crashes(supervisor)
    assert record["registers"] == {
        "rip": "401136",
        "rsp": "7ffd5b1b2a40",
        "eflags": "10246",
        "rax": "0",
        "rbx": "7ffd5b1b2b58",
        "rcx": "403df0",
        "r13": "0",
        "r14": "deadbeef",
        "r15": "0",
        "cr2": "8",
    }
    assert "r14=deadbeef" in ctl._crashes([record])


def test_callers(world: World) -> None:
    """Where the manifest asks for it, rfork-run looks into what crashes; another's callers are not taken."""
    supervisor = boot(world, DISK + "stacks = true\n")
    assert world.stacks == ("/usr/bin/rfork-run", f"{RUN}/stacks.d")
    pid = world.runner("a").instance
    file = f"{RUN}/stacks.d/{pid % 32}"
    world.write(file, f"{pid} {world.now + 9:.6f}\n/usr/bin/a+0x1136\n/lib/c.so+0x20\n".encode())
    crash(world, supervisor)
    crash(world, supervisor, line=LINE.replace("1136", "1140"))
    first, second = crashes(supervisor)
    assert first["stack"] == ["/usr/bin/a+0x1136", "/lib/c.so+0x20"]
    assert second["stack"] == []
    assert "    /lib/c.so+0x20\n" in ctl._crashes([first])


def test_deep_stacks_are_cut(world: World) -> None:
    """However long the files' names are, the record is there and bounded."""
    supervisor = boot(world, DISK + "stacks = true\n")
    pid = world.runner("a").instance
    places = "".join(f"/{'x' * 120}+{number:#x}\n" for number in range(12))
    world.write(f"{RUN}/stacks.d/{pid % 32}", f"{pid} {world.now + 10:.6f}\n{places}".encode())
    world.says["a"] = b"y" * 500
    crash(world, supervisor)
    (record,) = crashes(supervisor)
    assert record["stack"] == places.splitlines()[:4]
    assert len(str(record["output"])) == 100


def test_a_disk_that_takes_nothing(world: World) -> None:
    """A record that a full disk refuses is written with the next one, and no number is missing."""
    supervisor = boot(world, DISK)
    crash(world, supervisor)
    world.disk_error = "No space left on device"
    for _ in range(9):
        crash(world, supervisor, 100.0)
    world.disk_error = ""
    crash(world, supervisor, 100.0)
    assert [record["number"] for record in crashes(supervisor)] == [1, 2, 3, 4, 5, 6]


def end(world: World, supervisor: Supervisor, keys: str) -> dict[str, object]:
    """A restart with these keys, and the crash record of it."""
    world.now += 10
    runner = world.runner("a")
    old, runner.instance = runner.instance, world.new_process()
    world.processes.pop(old)
    runner.keep_words()
    at = round(world.now * 1e6)
    runner.event(
        "restart",
        f"gen=1 level=cold {keys} old={old} pid={runner.instance} fail_us={at} start_us={at} latency_us=1",
    )
    runner.ready()
    pump(supervisor)
    return crashes(supervisor)[-1]


def test_a_crash_in_a_thread(world: World) -> None:
    """The kernel names the thread's ID; its line and its registers are the component's all the same."""
    supervisor = boot(world, DISK)
    world.kmsg += [
        "a[4711]: segfault at 8 ip 0000000000401136 sp 00007ffc error 4 in a[1136,401000+1000]",
        "potentially unexpected fatal signal 11.",
        "CPU: 0 PID: 4711 Comm: a Not tainted",
        "RSP: 002b:00007ffc0 EFLAGS: 00000246",
    ]
    record = end(world, supervisor, "cause=error status=signal:SIGSEGV")
    assert record["fault"] == "error signal:SIGSEGV a+0x1136"
    assert "a[4711]" in str(record["kernel"])
    assert record["registers"] == {"rsp": "7ffc0", "eflags": "246"}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("a[4711]: trap divide error ip:401136 sp:7ffc error:0 in a[401000+1000]", "signal:SIGSEGV"),
        (
            "a[{alive}]: segfault at 8 ip 0000000000401136 sp 00007ffc error 4 in a[1136,401000+1000]",
            "signal:SIGSEGV",
        ),
    ],
)
def test_another_process_is_no_thread_of_it(world: World, line: str, status: str) -> None:
    """A line about another signal, or about a process that is still there, is not taken for its own."""
    supervisor = boot(world, DISK)
    world.kmsg.append(line.format(alive=world.new_process()))
    assert end(world, supervisor, f"cause=error status={status}")["fault"] == f"error {status}"


@pytest.mark.parametrize("name", ["v[{pid}]: trap", "traps: v[{pid}]", "[{pid}] trap "])
def test_a_name_is_no_number(world: World, name: str) -> None:
    """A process cannot give another component its crash site by calling itself like a line of the kernel."""
    supervisor = boot(world, DISK)
    evil = name.format(pid=world.runner("a").instance)[:15]
    for line in (LINE, "traps: a[{pid}] trap divide error ip:401136 sp:7ffc error:0 in a[401000+1000]"):
        world.kmsg.append(line.replace("a[", evil + "[", 1).format(pid=4711))
    record = end(world, supervisor, "cause=error status=signal:SIGABRT")
    assert (record["fault"], record["kernel"]) == ("error signal:SIGABRT", "")


def test_of_two_threads_the_one_with_its_name(world: World) -> None:
    """Where several lines would fit, the name of the program decides."""
    supervisor = boot(world, DISK)
    world.kmsg += [LINE.format(pid=4711), LINE.replace("a[{pid}]", "b[4712]").replace("1136", "1f00")]
    assert (
        end(world, supervisor, "cause=error status=signal:SIGSEGV")["fault"]
        == "error signal:SIGSEGV a+0x1136"
    )


def test_an_old_line_is_not_taken(world: World) -> None:
    """A thread that crashed long ago has nothing to do with it."""
    supervisor = boot(world, DISK)
    world.kmsg.append(LINE.format(pid=4711))
    supervisor.decided.traces.look()
    world.now += 60
    assert end(world, supervisor, "cause=error status=signal:SIGSEGV")["fault"] == "error signal:SIGSEGV"


def test_aborts_differ(world: World) -> None:
    """The first place in the program's own code tells aborts apart; without callers, what it said."""
    supervisor = boot(world, DISK)
    abort = "cause=error status=signal:SIGABRT"
    for frames, fault in (
        ("/lib/libc.so.6+0x9\n/a+0x10\n", "a+0x10"),
        ("/lib/libc.so.6+0x9\n/a+0x20\n", "a+0x20"),
    ):
        pid = world.runner("a").instance
        world.write(f"{supervisor.paths.stacks}/{pid % 32}", f"{pid} {world.now + 10}\n{frames}".encode())
        assert end(world, supervisor, abort)["fault"] == f"error signal:SIGABRT {fault}"
    world.says["a"] = b"a: main.c:71: put: Assertion `room > 0' failed.\n"
    assert "put: Assertion" in str(end(world, supervisor, abort)["fault"])


def test_a_crash_in_the_library_is_its_callers(world: World) -> None:
    """Two callers of one function of the C library are two faults."""
    supervisor = boot(world, DISK)
    pid = world.runner("a").instance
    world.write(
        f"{supervisor.paths.stacks}/{pid % 32}",
        f"{pid} {world.now + 10}\n/lib/libc.so.6+0x9\n/a+0x10\n".encode(),
    )
    world.kmsg.append(LINE.format(pid=pid).replace("in a[", "in libc.so.6["))
    assert (
        end(world, supervisor, "cause=error status=signal:SIGSEGV")["fault"] == "error signal:SIGSEGV a+0x10"
    )


def test_a_hang(world: World) -> None:
    """Its record has what rfork-run saw, and the downtime begins with the last sign of life."""
    supervisor = boot(world, DISK)
    pid = world.runner("a").instance
    seen = f"{pid} {world.now + 10}\nstate=R\nwchan=0\nrip=401136\n/a+0x1136\n/a+0x20\n"
    world.write(f"{RUN}/a/hang", seen.encode())
    before = supervisor.components["a"].downtime.total
    record = end(world, supervisor, "cause=heartbeat status=signal:SIGKILL detect_us=2000000")
    assert record["registers"] == {"state": "R", "wchan": "0", "rip": "401136"}
    assert record["stack"] == ["/a+0x1136", "/a+0x20"]
    assert record["fault"] == "heartbeat signal:SIGKILL a+0x1136"
    assert 2.0 <= supervisor.components["a"].downtime.total - before < 2.1


@pytest.mark.parametrize(
    "line",
    [
        "Out of memory: Killed process {pid} (a) total-vm:9kB, anon-rss:8kB, UID:0",
        "Memory cgroup out of memory: Killed process {pid} (a) total-vm:9kB, anon-rss:8kB",
        "Killed process {pid} (a)",
    ],
)
def test_an_oom_kill(world: World, line: str) -> None:
    """The kernel's log tells it from an operator's SIGKILL, in the record too."""
    supervisor = boot(world, DISK)
    world.kmsg.append(line.format(pid=world.runner("a").instance))
    assert end(world, supervisor, "cause=signal status=signal:SIGKILL")["fault"] == "oom signal:SIGKILL"
    assert [r.keys["cause"] for r in world.records() if r.event == "restart"] == ["oom"]
    assert end(world, supervisor, "cause=signal status=signal:SIGKILL")["fault"] == "signal signal:SIGKILL"


@pytest.mark.parametrize(
    ("line", "keys", "fault"),
    [
        (LINE, "cause=error status=signal:SIGSEGV", "error signal:SIGSEGV"),
        ("Killed process {pid} (b)", "cause=signal status=signal:SIGKILL", "signal signal:SIGKILL"),
    ],
)
def test_an_older_process_of_the_same_pid(world: World, line: str, keys: str, fault: str) -> None:
    """What the kernel told long ago is about another process, which had this PID."""
    supervisor = boot(world, DISK)
    world.kmsg.append(line.format(pid=world.runner("a").instance))
    supervisor.decided.traces.look()
    world.now += 600
    assert end(world, supervisor, keys)["fault"] == fault
    assert supervisor.components["a"].same == 1
