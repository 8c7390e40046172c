# SPDX-License-Identifier: MIT
"""All that must hold before a change goes in: lint and types, the C library's tests, the Python tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache, objects, progress, repository
from workbench.core.command import logged, output
from workbench.core.repository import REPOSITORY
from workbench.image import layer
from workbench.image import quick as quickimage

ALL = 10_000  # lines: of a linter's findings none is to be left out
WORKERS = 4  # at most: a worker may run a guest with two emulated CPUs


@dataclass(frozen=True)
class Result:
    """How a step ended; `detail` is what a person needs to see of a failure."""

    name: str
    seconds: float
    detail: str | None

    def line(self) -> str:
        """For the summary."""
        return f"{'failed' if self.detail is not None else 'passed':7} {self.name} ({self.seconds:.1f} s)"


Step = tuple[str, Callable[[], object]]


def lint() -> int:
    """Lint, format, types, shell scripts, licence lines; return 1 on a problem."""
    return _status(_run(_lint_steps()))


def library() -> int:
    """Run librfork's tests at user level; return 1 if any fails."""
    return _status(_run([("librfork: make check", _library)]))


def everything(only: str = "") -> int:
    """All steps, then the Python tests; with `only`, just those of them that -k selects. 1 if any failed."""
    if only:
        results, (status, closing) = [], _pytest(["-k", only])
    else:
        # One after the other beside the tests, which leave a CPU idle now and then.
        with _beside([*_lint_steps(), ("librfork: make check", _library)]) as others:
            results = _run([("image", quickimage.build)])
            status, closing = _pytest([])
            results += others.result()
    failed = any(result.detail is not None for result in results)
    for result in results:
        print(result.line())
    print(f"{'failed' if status else 'passed':7} pytest (exit status {status})")
    print(closing, flush=True)
    return 1 if failed or status else 0


def on_board(port: str, lg_env: str = "") -> int:
    """tests/board on a board that is there; pytest's status."""
    if not (port or lg_env):
        raise KoboshiError("board: which one? --port /dev/ttyUSB0, or --lg-env FILE of labgrid's")
    where = ["--port", port] if port else ["--lg-env", lg_env]
    options = ["-q", "-o", f"cache_dir={places.cache_folder() / 'pytest'}"]
    command = [sys.executable, "-m", "pytest", *options, "tests/board", *where]
    return subprocess.run(command, cwd=REPOSITORY).returncode


def _lint_steps() -> list[Step]:
    python = ["--quiet", str(REPOSITORY)]
    return [
        ("ruff check", _program("ruff", "check", "--output-format", "concise", *python)),
        ("ruff format", _program("ruff", "format", "--check", *python)),
        ("mypy", _program("mypy", "--no-error-summary")),
        ("shellcheck", _shellcheck),
        ("licence lines", _licences),
    ]


def _program(*command: str | Path) -> Callable[[], str]:
    return lambda: output(command, cwd=REPOSITORY, shown=ALL)


def _shellcheck() -> None:
    """Sourced files are followed; remarks below a warning are left to the author."""
    options = ["--external-sources", "--source-path=SCRIPTDIR", "--severity=warning", "--format=gcc"]
    scripts = repository.shell_scripts(repository.files())
    output(["shellcheck", *options, *scripts], cwd=REPOSITORY, shown=ALL)


def _licences() -> None:
    names = repository.without_licence(repository.files())
    if names:
        raise KoboshiError(
            f"no {repository.SPDX} line in the first {repository.HEAD} lines of: {', '.join(names)}"
        )


def _library() -> None:
    """Built under a name of this repository's: other clones have other times."""
    name = cache.key(["check", str(REPOSITORY)])
    with cache.lock(f"objects-{name}"):
        with objects.folder(name, [layer.LIBRFORK]) as build:
            log = build / "check.log"
            log.unlink(missing_ok=True)
            jobs = f"-j{os.cpu_count() or 1}"
            make: list[str | Path] = ["make", jobs, "-C", layer.LIBRFORK, f"BUILD={build}"]
            logged([*make, "all", "check-programs"], log)
        logged([*make, "check"], log)


@contextlib.contextmanager
def _beside(steps: Sequence[Step]) -> Iterator[Future[list[Result]]]:
    """The steps, run in another thread; left by an exception, the one that runs is the last."""
    given_up = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        try:
            yield executor.submit(_run, steps, given_up.is_set)
        except BaseException:
            given_up.set()
            raise


def _run(steps: Sequence[Step], given_up: Callable[[], bool] = lambda: False) -> list[Result]:
    results = []
    for name, action in steps:
        if given_up():
            break
        progress.note(name)
        begin = time.monotonic()
        detail = _detail(action)
        results.append(Result(name, time.monotonic() - begin, detail))
        if detail is not None:
            print(f"{name}: {detail}", flush=True)
    return results


def _detail(action: Callable[[], object]) -> str | None:
    try:
        action()
    except KoboshiError as error:
        return str(error)
    return None


def _status(results: Sequence[Result]) -> int:
    for result in results:
        print(result.line())
    return 1 if any(result.detail is not None for result in results) else 0


def _pytest(arguments: Sequence[str]) -> tuple[int, str]:
    """pytest's exit status and its closing line, which is held back: it is to be the last one printed."""
    workers = min(WORKERS, 1 + (os.cpu_count() or 1))  # they wait a quarter of their time
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        str(workers),
        "-o",
        f"cache_dir={places.cache_folder() / 'pytest'}",
        *arguments,
    ]
    held = ""
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if held:
                    print(held, flush=True)
                held = line.rstrip("\n")
        except (KeyboardInterrupt, SystemExit) as stop:
            if isinstance(stop, SystemExit):  # a signal for us alone
                process.send_signal(signal.SIGINT)
            process.stdout.read()  # pytest ends the guests of its tests first
            raise
    return process.returncode, held
