# SPDX-License-Identifier: MIT
"""Processes that restart after a crash, at the point where they called rfork.checkpoint()."""

from typing import Literal, NoReturn

_Cause = Literal["request", "error", "signal", "status", "operator", "heartbeat", "exit"]

def checkpoint(*, keep_locks: bool = False, reseed: bool = False, rebuild: bool = False) -> int:
    """From here on, a restart comes back here.

    Returns 0 now, and the generation (1, 2, ...) each time the process comes back. Standard output and
    error are flushed first; hooks of os.register_at_fork() and of C libraries run as around os.fork().
    Raises OSError: ESRCH outside a rebootable process, EBUSY with more than one thread, ENOLCK with record
    locks (unless keep_locks), EOPNOTSUPP where the hooks of C libraries cannot be reached (unless reseed:
    the program then reseeds them itself). Raises RuntimeError inside a running asyncio event loop. Warns
    of epoll sets, timerfds, signalfds and locks of flock(2), which all instances share. With rebuild, each
    instance makes epoll sets, timerfds and signalfds of its own, as they are now.
    """

def restart() -> NoReturn:
    """Ask to be restarted: this instance ends here, without `finally` or atexit.

    Raises OSError ESRCH outside a rebootable process.
    """

def generation() -> int | None:
    """0 in the first instance, one more after each restart; None outside a rebootable process."""

def cause() -> _Cause | None:
    """Why the instance before this one ended; None in the first instance and outside a rebootable process."""

def backend() -> Literal["kernel", "user", "posix"]:
    """The level of rfork this process runs under, or would use."""
