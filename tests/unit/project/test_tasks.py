# SPDX-License-Identifier: MIT
"""How a task ends."""

from __future__ import annotations

import inspect
import re
import signal

import pytest
from invoke import Executor, Exit, Program, Task

import tasks
from koboshi_desk.core import ending
from koboshi_desk.core.errors import KoboshiError
from tasks import told
from workbench.project.options import HELP


@pytest.fixture(autouse=True)
def _signals_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task changes what signals do to its process, which here runs other tests too."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def ended(failure: BaseException) -> Exit:
    """What invoke gets of a task that ends so."""

    def body() -> int:
        raise failure

    with pytest.raises(Exit) as caught:
        told(body)()
    return caught.value


def test_failure_is_told_in_a_line() -> None:
    """A failure of the workbench is a message and exit status 1."""
    failed = ended(KoboshiError("no such thing"))
    assert (failed.code, failed.message) == (1, "dev: no such thing")


def test_ctrl_c_says_so() -> None:
    """Ctrl-C ends with a word and with the exit status that shells know it by."""
    interrupted = ended(KeyboardInterrupt())
    assert (interrupted.code, interrupted.message) == (130, "dev: interrupted")


def test_ignored_signals_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under nohup the end of a terminal is nothing."""
    handled = []
    monkeypatch.setattr(signal, "signal", lambda number, _: handled.append(number))
    monkeypatch.setattr(
        signal, "getsignal", lambda number: signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL
    )
    ending.unwind_on_signals()
    assert handled == [signal.SIGTERM]


def test_every_task_is_offered() -> None:
    """No task is written and then left out of what ./dev offers."""
    written = {name for name, value in vars(tasks).items() if isinstance(value, Task)}
    assert {name.replace("-", "_") for name in tasks.namespace.task_names} == written


def options_of(name: str) -> list[str]:
    """The options of a task, from its function: invoke forgets the help once it is asked."""
    parameters = list(inspect.signature(tasks.namespace[name].body).parameters)
    return [parameter.replace("_", "-") for parameter in parameters[1:]]


@pytest.mark.parametrize("name", sorted(tasks.namespace.task_names))
def test_every_option_of_a_task_has_help(name: str) -> None:
    """Each option has a word of help, and none is short; no help is of an option that does not exist."""
    words = HELP[name.replace("-", "_")]
    assert sorted(words) == sorted(options_of(name))
    assert all(words.values())
    assert not tasks.namespace[name].auto_shortflags


@pytest.mark.parametrize("flags", [["-h"], ["--help"], ["--json", "x", "-h"]])
@pytest.mark.parametrize("name", sorted(tasks.namespace.task_names))
def test_help_starts_nothing(
    name: str, flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`./dev TASK -h` prints the task's help, wherever it stands, and runs no task."""
    monkeypatch.setattr(Executor, "execute", lambda *_: pytest.fail("a task was run"))
    options = options_of(name)
    words = flags if "json" in options else flags[-1:]
    words = ["all", *words] if name == "bench" else words  # ./dev adds it
    Program(namespace=tasks.namespace, name="./dev", binary="./dev").run(["./dev", name, *words], exit=False)
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: ./dev [--core-opts] {name}")
    assert all(re.search(rf"--(\[no-\])?{option}\b", shown) for option in options)
