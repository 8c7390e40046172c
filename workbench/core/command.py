# SPDX-License-Identifier: MIT
"""Running programs: output goes to a log first, and a failure shows the command and what it said."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError

TAIL = 25  # lines of output shown with a failure
Argument = str | Path


class CommandError(KoboshiError):
    """A program failed: `command` can be pasted into a shell, `output` is the end of what it wrote."""

    def __init__(self, command: str, status: int, output: str, log: Path | None = None) -> None:
        self.command = command
        self.status = status
        self.output = output
        self.log = log
        ended = f"exit status {status}" if status >= 0 else f"killed by signal {-status}"
        where = f"\nall of it: {log}" if log else ""
        super().__init__(f"{command}\n{ended}; its last output:\n{output}{where}")


class MissingProgramError(KoboshiError):
    """A program that packages.txt stands for is not installed."""

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(f"{program}: not installed; ./dev installs it on Debian, see packages.txt elsewhere")


def pasteable(arguments: Sequence[Argument], cwd: Path | None = None) -> str:
    """The command as it can be pasted into a shell."""
    line = shlex.join(map(str, arguments))
    return f"cd {shlex.quote(str(cwd))} && {line}" if cwd else line


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a build: messages in English, for programs read them, and a fixed sort order."""
    return {**os.environ, "LC_ALL": "C", **(extra or {})}


def output(
    arguments: Sequence[Argument],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    shown: int = TAIL,
) -> str:
    """Run to the end and return standard output; CommandError with the end of both outputs where it fails."""
    try:
        done = subprocess.run(
            list(map(str, arguments)),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(env),
        )
    except FileNotFoundError as error:
        raise MissingProgramError(str(arguments[0])) from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        both = text + done.stderr.decode(errors="replace")
        raise CommandError(pasteable(arguments, cwd), done.returncode, tail(both, shown))
    return text


def logged(
    arguments: Sequence[Argument],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Run to the end with both outputs appended to `log`, and each line handed to `on_line`."""
    with log.open("ab", buffering=0) as file:
        file.write(f"$ {pasteable(arguments, cwd)}\n".encode())
        try:
            process = subprocess.Popen(
                list(map(str, arguments)),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(env),
            )
        except FileNotFoundError as error:
            raise MissingProgramError(str(arguments[0])) from error
        with process:  # Ctrl-C reaches the whole foreground group; this waits for the end of it
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    file.write(line)
                    on_line(line.decode(errors="replace").rstrip("\n"))
            except SystemExit:  # a signal for us alone: the program does not know that its caller is exiting
                process.terminate()
                raise
    if process.returncode:
        raise CommandError(
            pasteable(arguments, cwd), process.returncode, tail(log.read_text(errors="replace")), log
        )


def tail(text: str, lines: int = TAIL) -> str:
    """Return the last lines, for an error message."""
    return "\n".join(f"  | {line}" for line in text.rstrip().splitlines()[-lines:])
