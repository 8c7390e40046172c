# SPDX-License-Identifier: MIT
"""The desk's commands under odd circumstances: each failure is a line that helps, never a traceback."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi_desk import cli
from koboshi_desk.console.transport import SerialPort
from koboshi_desk.core.errors import PortError
from tests.unit.desk.console.test_transport import Cable, needs_socat
from workbench.core.repository import REPOSITORY

DEMO = REPOSITORY / "tests/data/console/demo.log"
MANIFEST = REPOSITORY / "components/koboshi.toml"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, in which the test runs, with a few odd files."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 300)
    shutil.copy(DEMO, tmp_path / "log")
    shutil.copy(MANIFEST, tmp_path / "right.toml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The words of a command, and what its complaint must have in it.
REFUSED = {
    "watch --replay none": "none: No such file",
    "watch --replay folder": "folder: Is a directory",
    "watch --replay /proc/self/mem": "a log that can be read is needed",
    "watch --replay log --pace 1": "log: its times are not known",
    "watch --replay log --svg folder": "--svg",
    "watch --replay log --svg none/x.svg": "none/x.svg: No such file",
    "watch --replay log --record empty": "empty: File exists",
    "watch --port folder": "folder: Is a directory",
    "watch --port /dev/null": "what pyserial opens is needed",
    "watch --port nosuch://x": "'nosuch' not known",
    "watch --port socket://127.0.0.1:99999": "out of range",
    "watch --port socket://127.0.0.1:": "console server is needed",
    "watch --port rfc2217://127.0.0.1:99999": "out of range",
    "control --port none hello": "none: No such file",
    "control --port loop:// --seconds 0.1 hello": "no reply within",
    "report none": "none: No such file",
    "report folder": "folder: Is a directory",
    "report /proc/self/mem": "a log that can be read is needed",
    "report log --html folder": "--html names a file",
    "report log --html x.html --markdown none/x.md": "--markdown names a file",
    "report log --elf none": "--elf names a program",
    "report log --elf noise": "not an ELF file",
    "bridge --replay log": "--mqtt",
    "bridge --replay folder --metrics 0": "folder: Is a directory",
    "bridge --replay log --metrics 0 --name a --name b": "2 names for 1 consoles",
    "bridge --replay log --metrics 99999": "[HOST:]PORT",
    "bridge --replay log --mqtt mqtt://127.0.0.1:99999": "no address of a broker",
    "bridge --replay log --mqtt mqtt://[::1": "no address of a broker",
    "manifest check none": "a readable TOML file",
    "manifest check folder": "a readable TOML file",
    "manifest check noise": "TOML is UTF-8 text",
    "manifest check empty": "version = 1",
    "manifest explain right.toml nobody": "no component nobody",
    "manifest graph right.toml --svg folder": "--svg names a file",
    "manifest graph right.toml --svg none/x.svg": "--svg names a file",
    "manifest new right.toml": "is there already",
    "manifest new none/x.toml": "no folder none",
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused(place: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """What cannot be done is said with its name and what would be right, and the status is 1."""
    assert cli.main(words.split()) == 1
    assert REFUSED[words] in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "watch --baud x",
        "watch --baud 0",
        "watch --pace 0",
        "control --port x --seconds nan hello",
        "control --port x fly",
        "report",
        "report log --budget-ms -1",
        "report log --budget-ms x",
        "manifest",
        "",
    ],
)
def test_wrong_use(place: Path, words: str) -> None:
    """Wrong use has status 2, before anything is opened or written."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split() or ["--nothing"])
    assert ended.value.code == 2
    assert not (place / "koboshi-report.html").exists()


@pytest.mark.parametrize("log", ["empty", "noise"])
def test_logs_without_records(place: Path, capsys: pytest.CaptureFixture[str], log: str) -> None:
    """An empty log and one of noise are read to their end; there is just nothing in them."""
    assert cli.main(["watch", "--replay", log]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["report", log]) == 0
    assert "0 restarts" in capsys.readouterr().out


def koboshi(command: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A shell's command line in which `koboshi` is the desk."""
    desk = shlex.join([sys.executable, "-m", "koboshi_desk.cli"])
    tree = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'supervisor'}", "PATH": os.environ["PATH"]}
    script = f'koboshi() {{ {desk} "$@"; }}; set -o pipefail; {command}'
    return subprocess.run(
        ["bash", "-c", script], cwd=place, env=tree | environment, capture_output=True, text=True, timeout=120
    )


def test_reader_that_has_seen_enough(place: Path) -> None:
    """With `| head -1` it ends quietly, however much was still to come."""
    (place / "log").write_bytes(DEMO.read_bytes() * 50)
    for words in ("watch --replay log", "watch --replay log --json", "watch --replay log --replay log"):
        done = koboshi(f"koboshi {words} | head -1", place)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("words", ["watch --replay log", "report log", "manifest schema"])
def test_output_that_cannot_be_written(place: Path, words: str) -> None:
    """A full disk behind standard output is an error in a line; closed standard streams are none."""
    full = koboshi(f"koboshi {words} >/dev/full", place)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1
    assert "No space left" in full.stderr
    assert koboshi(f"koboshi {words} <&- >&- 2>&-", place).returncode == 0


def test_without_unicode(place: Path) -> None:
    """What there is no character for is a question mark; so is input that is no text."""
    done = koboshi("koboshi report log --title µm", place, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "# ?m")
    asked = koboshi(r"printf 'gps\xff\n' | koboshi manifest new other.toml", place)
    assert "small letters" in asked.stdout
    assert "Traceback" not in asked.stderr


def test_without_a_home(place: Path) -> None:
    """Where no cache can be had either, a log is read all the same, and what needs one says so."""
    nowhere = {"HOME": "/proc/nowhere"}
    assert koboshi("koboshi watch --replay log", place, **nowhere).returncode == 0
    done = koboshi("koboshi watch", place, **nowhere)
    assert done.returncode == 1
    assert "KOBOSHI_CACHE" in done.stderr
    assert done.stderr.count("\n") == 1


def test_metrics_port_in_use(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that somebody listens on already is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cli.main(["bridge", "--replay", "log", "--metrics", str(taken.getsockname()[1])]) == 1
    assert "in use" in capsys.readouterr().err


@needs_socat
def test_tty_in_use(tmp_path: Path) -> None:
    """Two programs would each get some of a port's bytes: the second is refused."""
    with Cable(tmp_path) as cable:
        first = SerialPort(str(cable.desk))
        with pytest.raises(PortError, match="another program has it open"):
            SerialPort(str(cable.desk))
        first.close()
        SerialPort(str(cable.desk)).close()


def every_option(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The options and arguments of a parser and of all commands in it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from every_option(command)
        else:
            yield parser.prog, action


def test_every_option_has_help() -> None:
    """Each option and each argument of each command has a word of help, which can be printed."""
    found = list(every_option(cli.parser("koboshi")))
    assert len(found) > 40
    assert not [f"{command} {action.dest}" for command, action in found if not action.help]
