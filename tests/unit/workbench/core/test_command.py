# SPDX-License-Identifier: MIT
"""Running programs."""

from __future__ import annotations

import pytest

from workbench.core.command import CommandError, MissingProgramError, logged, output


def test_output_is_standard_output():
    """What a program writes is returned."""
    assert output(["echo", "hello"]) == "hello\n"


def test_failure_shows_command_and_output(tmp_path):
    """The error has the command as it can be pasted, the status, and both outputs."""
    with pytest.raises(CommandError) as raised:
        output(["sh", "-c", "echo out; echo err >&2; exit 3"], cwd=tmp_path)
    assert raised.value.status == 3
    assert raised.value.command == f"cd {tmp_path} && sh -c 'echo out; echo err >&2; exit 3'"
    assert {"  | out", "  | err"} <= set(raised.value.output.splitlines())


def test_missing_program_is_told():
    """A program that is not installed is named, with where to look."""
    with pytest.raises(MissingProgramError, match=r"no-such-program-here: not installed; .*packages\.txt"):
        output(["no-such-program-here"])


def test_log_has_everything(tmp_path):
    """Every line is in the log, after the command, and was handed on as it came."""
    lines: list[str] = []
    logged(["sh", "-c", "echo one; echo two >&2"], tmp_path / "log", on_line=lines.append)
    assert lines == ["one", "two"]
    assert (tmp_path / "log").read_text() == "$ sh -c 'echo one; echo two >&2'\none\ntwo\n"


def test_failure_names_the_log(tmp_path):
    """The error of a long job shows the end of its output and where all of it is."""
    with pytest.raises(CommandError, match="all of it: ") as raised:
        logged(["sh", "-c", "seq 100; false"], tmp_path / "log")
    assert raised.value.log == tmp_path / "log"
    assert raised.value.output.splitlines()[-1] == "  | 100"


UNTIL_TOLD = """
trap 'echo ended >"$0"; exit' TERM
echo ready
n=0
while [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
"""


def test_our_own_end_is_the_programs(tmp_path):
    """A signal that ends us ends the program too, instead of waiting until it is through."""

    def end(line):
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        logged(["sh", "-c", UNTIL_TOLD, tmp_path / "ended"], tmp_path / "log", on_line=end)
    assert (tmp_path / "ended").exists()
