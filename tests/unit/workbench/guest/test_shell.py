# SPDX-License-Identifier: MIT
"""Commands in a shell over a real pseudo-terminal, with records and kernel lines in between."""

from __future__ import annotations

import os
import pty
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from koboshi.wire import records

from koboshi_desk.console.session import Console
from koboshi_desk.core.errors import ConsoleClosedError
from workbench.guest.errors import ShellError
from workbench.guest.shell import Shell


class Pty:
    """A transport to a shell on a pseudo-terminal; `noise` is put before and after everything it says."""

    name = "pty"
    writable = True
    came: float | None = None

    def __init__(self) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve("/bin/sh", ["sh", "-i"], {"PATH": os.environ["PATH"], "PS1": "# "})
        self.noise = b""
        self.damage = 0  # so many of the next marked lines are broken up by a kernel line

    def read(self, timeout: float) -> bytes:
        """What the shell said, with noise."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError as error:
            raise ConsoleClosedError("pty") from error
        while self.damage and b"|:" in data:
            self.damage -= 1
            data = data.replace(b"|:", b"|[   12.000000] broken\r\n", 1)
        return self.noise + data.replace(b"\n", b"\n" + self.noise)

    def write(self, data: bytes) -> None:
        """Type."""
        os.write(self.fd, data)

    def close(self) -> None:
        """End the shell."""
        if self.fd >= 0:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.fd)
            self.fd = -1


@pytest.fixture
def port() -> Iterator[Pty]:
    """A shell."""
    transport = Pty()
    yield transport
    transport.close()


@pytest.fixture
def shell(port: Pty, tmp_path: Path) -> Iterator[Shell]:
    """Our end of it."""
    console = Console(port, tmp_path / "log")
    yield Shell(console, str(tmp_path))
    console.close()


def test_status_and_output(shell: Shell) -> None:
    """A command's exit status and its whole output come back, standard error included."""
    result = shell.run("echo one; echo two >&2; printf three; exit 7", check=False)
    assert (result.status, result.output) == (7, "one\ntwo\nthree")


def test_no_output(shell: Shell) -> None:
    """A silent command gives an empty text."""
    assert shell.run("true").output == ""


def test_failure_is_typed(shell: Shell) -> None:
    """A failed command is an error that has the command, status and output."""
    with pytest.raises(ShellError) as caught:
        shell.run("echo no such thing; exit 3")
    assert (caught.value.status, caught.value.output) == (3, "no such thing")


def test_others_lines_fall_out(shell: Shell, port: Pty) -> None:
    """Records and kernel messages between the lines change nothing in a command's output."""
    port.noise = (
        records.encode(9, 1.0, "ready", {"component": "gps"}).encode() + b"\r\n[    1.000000] hello\r\n"
    )
    assert shell.run("seq 3; cat /etc/hostname >/dev/null").output == "1\n2\n3"


def test_broken_output_is_asked_for_again_and_the_command_is_not(
    shell: Shell, port: Pty, tmp_path: Path
) -> None:
    """A line that the kernel broke up is printed once more; the command has run once."""
    shell.run("true")
    port.damage = 1
    result = shell.run(f"echo x >>{tmp_path}/ran; echo hello; echo world")
    assert result.output == "hello\nworld"
    assert (tmp_path / "ran").read_text() == "x\n"


def test_output_may_look_like_a_console(shell: Shell) -> None:
    """Output that is itself a record or a kernel line arrives as it is, and counts as neither."""
    line = records.encode(3, 1.0, "boot", {"id": "1a2b3c4d"})
    result = shell.run(f"echo '{line}'; echo '[    0.000000] Linux version 6.12'")
    assert result.output == f"{line}\n[    0.000000] Linux version 6.12"


def test_quotes_survive(shell: Shell) -> None:
    """A command's quotes, dollars and semicolons arrive at /bin/sh as they were written."""
    assert shell.run("x='a  b'; echo \"$x\" '$x' \\;").output == "a  b $x ;"


def test_a_command_cannot_eat_the_next(shell: Shell) -> None:
    """A command that reads its input gets none, and the next one runs."""
    assert shell.run("cat").output == ""
    assert shell.run("echo next").output == "next"


def test_end_never_seen(shell: Shell) -> None:
    """A command that takes too long is an error without a status."""
    with pytest.raises(ShellError, match="never seen") as caught:
        shell.run("sleep 30", seconds=1.0)
    assert caught.value.status is None


def test_too_long_for_a_terminal(shell: Shell) -> None:
    """What does not fit into a terminal's line is refused before anything is typed."""
    with pytest.raises(ValueError, match="3800"):
        shell.run("echo " + "x" * 4000)


def test_nothing_is_left_in_the_guest(shell: Shell, tmp_path: Path) -> None:
    """The files that held a command's output are removed."""
    shell.run("echo hello")
    assert shell.run(f"ls -A {tmp_path} | grep -c '^.sh-' || true").output == "1"  # of this very command
