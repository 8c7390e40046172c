# SPDX-License-Identifier: MIT
"""A checkpoint and what is outside the program's memory: generators of libraries, databases, event loops."""

from __future__ import annotations

import errno
import importlib.util
from pathlib import Path

import pytest

from tests.unit import programs
from tests.unit.test_rfork_python import Built, built

__all__ = ["built"]

FORK_HANDLERS = r"""
#include <pthread.h>
static int prepared, in_parent, in_child;
static void prepare(void) { prepared++; }
static void parent(void) { in_parent++; }
static void child(void) { in_child++; }
int begin(void) { return pthread_atfork(prepare, parent, child); }
int count(int which) { return which == 0 ? prepared : which == 1 ? in_parent : in_child; }
"""


def library(name: str) -> str:
    """A C statement's right side that loads it, or the test is skipped."""
    from ctypes import CDLL

    try:
        CDLL(name)
    except OSError:
        pytest.skip(f"{name} is not installed")
    return f"ctypes.CDLL({name!r})"


def test_fork_handlers_of_a_c_library_run(built: Built, tmp_path: Path) -> None:
    """Also those that were registered before the module was loaded, which has local symbols only."""
    source = tmp_path / "handlers.c"
    source.write_text(FORK_HANDLERS)
    programs.compile_shared(source, tmp_path / "handlers.so")
    told = built.run(
        f"""
del sys.modules["rfork"]
handlers = ctypes.CDLL({str(tmp_path / "handlers.so")!r})
handlers.begin()
import rfork
generation = rfork.checkpoint()
tell(ran=[handlers.count(which) for which in range(3)])
if generation < 3:
    os.abort()
"""
    )
    assert [line["ran"] for line in told] == [[1, 1, 0], [1, 0, 1], [1, 0, 1], [1, 0, 1]]


def test_gnutls_draws_other_bytes_in_each_instance(built: Built) -> None:
    """At all its levels: keys and nonces of one instance are not those of another."""
    load = library("libgnutls.so.30")
    told = built.run(
        f"""
gnutls = {load}
def draw(level):
    buffer = ctypes.create_string_buffer(16)
    assert gnutls.gnutls_rnd(level, buffer, 16) == 0
    return buffer.raw.hex()
gnutls.gnutls_global_init()
before = [draw(level) for level in range(3)]
generation = rfork.checkpoint()
tell(drawn=[draw(level) for level in range(3)])
if generation < 3:
    os.abort()
"""
    )
    drawn = [text for line in told for text in line["drawn"]]
    assert len(set(drawn)) == len(drawn) == 12


def refusal(built: Built, program: str) -> dict[str, object]:
    """What a checkpoint after this program is refused with."""
    told = built.run(
        f"""
{program}
try:
    rfork.checkpoint()
except OSError as error:
    tell(errno=error.errno, text=str(error))
"""
    )
    assert len(told) == 1
    return told[0]


def test_sqlite_in_wal_mode_is_refused_before_the_checkpoint(built: Built, tmp_path: Path) -> None:
    """It holds record locks as long as it is open. The error names the file and says what to do."""
    path = tmp_path / "wal.db"
    told = refusal(
        built,
        f"""
import sqlite3
connection = sqlite3.connect({str(path)!r})
connection.execute("pragma journal_mode=wal")
connection.execute("create table t(x)")
""",
    )
    assert told["errno"] == errno.ENOLCK
    assert str(path) in str(told["text"])
    assert "after the checkpoint" in str(told["text"])


def test_sqlite_in_wal_mode_opened_after_the_checkpoint_keeps_all_rows(built: Built, tmp_path: Path) -> None:
    """While another process writes too, and each instance is killed with the database open."""
    path = tmp_path / "wal.db"
    told = built.run(
        f"""
import sqlite3, subprocess
generation = rfork.checkpoint()
connection = sqlite3.connect({str(path)!r}, timeout=20)
connection.execute("pragma journal_mode=wal")
connection.execute("create table if not exists t(x)")
connection.execute("insert into t values (0)")
connection.commit()
other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=20)"
other += "; c.execute('insert into t values (1)'); c.commit()"
subprocess.run([sys.executable, "-c", other, {str(path)!r}], check=True)
for row in range(50):
    connection.execute("insert into t values (?)", (row,))
    connection.commit()
rows = connection.execute("select count(*) from t").fetchone()[0]
tell(rows=rows, check=connection.execute("pragma integrity_check").fetchone()[0])
if generation < 3:
    os.kill(os.getpid(), signal.SIGSEGV)
"""
    )
    assert told == [{"rows": 52 * number, "check": "ok"} for number in range(1, 5)]


def test_keep_locks_goes_on(built: Built, tmp_path: Path) -> None:
    """A program that asks for it has its checkpoint; the next instance has no lock."""
    told = built.run(
        f"""
import fcntl
file = open({str(tmp_path / "file")!r}, "w")
fcntl.lockf(file, fcntl.LOCK_EX)
generation = rfork.checkpoint(keep_locks=True)
listed = open(f"/proc/self/fdinfo/{{file.fileno()}}").read()
tell(generation=generation, locked="POSIX" in listed)
if generation == 0:
    rfork.restart()
"""
    )
    assert told == [{"generation": 0, "locked": True}, {"generation": 1, "locked": False}]


def test_rebuilt_sets_are_not_shared(built: Built) -> None:
    """With rebuild= each instance has an epoll set of its own, and there is no warning."""
    told = built.run(
        """
import os, select, warnings
warnings.simplefilter("error")
ends = os.pipe()
polled = select.epoll()
generation = rfork.checkpoint(rebuild=True)
polled.register(ends[0], select.EPOLLIN)  # FileExistsError in a set that the dead instance has shared
os.write(ends[1], b"x")
tell(generation=generation, ready=[fd == ends[0] for fd, _ in polled.poll(10)])
os.read(ends[0], 1)
if generation < 2:
    rfork.restart()
"""
    )
    assert told == [{"generation": number, "ready": [True]} for number in range(3)]


def test_listen_pid_names_each_instance(built: Built) -> None:
    """sd_listen_fds() in Python compares os.environ with os.getpid()."""
    told = built.run(
        """
import os
os.environ["LISTEN_PID"] = str(os.getpid())
generation = rfork.checkpoint()
tell(generation=generation, own=os.environ["LISTEN_PID"] == str(os.getpid()))
if generation < 2:
    rfork.restart()
"""
    )
    assert told == [{"generation": number, "own": True} for number in range(3)]


def test_lmdb_is_refused_before_the_checkpoint(built: Built, tmp_path: Path) -> None:
    """An open environment has a record lock in its lock file."""
    load = library("liblmdb.so.0")
    told = refusal(
        built,
        f"""
lmdb, environment = {load}, ctypes.c_void_p()
assert lmdb.mdb_env_create(ctypes.byref(environment)) == 0
assert lmdb.mdb_env_open(environment, {str(tmp_path).encode()!r}, 0, 0o600) == 0
""",
    )
    assert told["errno"] == errno.ENOLCK
    assert "lock.mdb" in str(told["text"])


GDBM = """
import dbm.gnu, warnings
def open_database():
    database = dbm.gnu.open({path!r}, "c")
    database["first"] = "1"
    return database
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
"""


def gdbm(path: Path) -> str:
    """A program's beginning, or the test is skipped."""
    if importlib.util.find_spec("_gdbm") is None:
        pytest.skip("this Python has no dbm.gnu")
    return GDBM.format(path=str(path))


def test_gdbm_is_warned_of_before_the_checkpoint(built: Built, tmp_path: Path) -> None:
    """Its lock is the open file's, which a program may want to keep: a warning, not an error."""
    told = built.run(
        f"""{gdbm(tmp_path / "gdbm")}
    database = open_database()
    rfork.checkpoint()
tell(warned=[str(warning.message) for warning in warned])
"""
    )
    assert len(told[0]["warned"]) == 1
    assert "flock" in told[0]["warned"][0]
    assert "after the checkpoint" in told[0]["warned"][0]


def test_gdbm_opened_after_the_checkpoint_keeps_all_keys(built: Built, tmp_path: Path) -> None:
    """No warning, and what each instance has stored is there in the next.

    Without a spare: gdbm maps the file that it locks, and that lock lasts as long as the dead one's memory.
    """
    told = built.run(
        f"""{gdbm(tmp_path / "gdbm")}
    generation = rfork.checkpoint()
database = open_database()
for number in range(300):
    database[f"{{generation}}-{{number}}"] = "value"
database.sync()
tell(keys=len(database.keys()), warned=len(warned))
if generation < 3:
    os.abort()
""",
        "--no-spare",
    )
    assert told == [{"keys": 300 * number + 1, "warned": 0} for number in range(1, 5)]


def test_a_running_event_loop_is_refused(built: Built) -> None:
    """asyncio in a coroutine could not go on: the error says so, and a checkpoint before run() works."""
    told = built.run(
        """
import asyncio
async def inside():
    try:
        rfork.checkpoint()
    except RuntimeError as error:
        tell(text=str(error))
    await asyncio.sleep(0)
asyncio.run(inside())
async def serve():
    await asyncio.sleep(0.01)
    tell(generation=generation)
generation = rfork.checkpoint()
asyncio.run(serve())
if generation < 2:
    os.abort()
"""
    )
    assert "asyncio" in told[0]["text"]
    assert "before asyncio.run()" in told[0]["text"]
    assert told[1:] == [{"generation": 0}, {"generation": 1}, {"generation": 2}]


def test_shared_objects_are_warned_of(built: Built) -> None:
    """An epoll set made before the checkpoint is one for all instances: a warning with its descriptor."""
    told = built.run(
        """
import select, warnings
set = select.epoll()
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    rfork.checkpoint()
tell(fd=set.fileno(), warned=[str(warning.message) for warning in warned])
"""
    )
    assert len(told[0]["warned"]) == 1
    assert f"epoll {told[0]['fd']}" in told[0]["warned"][0]
