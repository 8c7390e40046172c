# SPDX-License-Identifier: MIT
"""The manifest: what is right is put into normal form, what is wrong is refused with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from koboshi.manifest.check import parse
from koboshi.manifest.files import check, load, main
from koboshi.manifest.model import Manifest, ManifestError, ManifestRefusedError

GOOD = """\
version = 1

[component.gps]
command = ["/usr/bin/koboshi-gps", "--port", "/dev/ttyS1"]
needs = ["syslogd"]
ready = "notify"
ready_timeout_s = 5
heartbeat_s = 1.0

[component.gps.restart]
on = ["request", "error"]
burst = 20

[component.syslogd]
command = ["/sbin/syslogd", "-n"]
"""

# What is wrong with it, the text, and the line, key, and a word of the problem that must be reported.
A = 'version = 1\n[component.a]\ncommand = ["/a"]\n'
MISTAKES = {
    "syntax": ('version = 1\n[component.a]\ncommand = "/a', 3, "(syntax)", "string"),
    "syntax at the end": ("version = 1\n[component.a", 2, "(syntax)", "expected"),
    "a key twice": ("version = 1\nversion = 1\n", 2, "(syntax)", "overwrite"),
    "no version": ('[component.a]\ncommand = ["/a"]', 1, "version", "missing"),
    "another version": ("\nversion = 2", 2, "version", "unknown"),
    "a boolean for a version": ("version = true", 1, "version", "unknown"),
    "unknown top key": ("version = 1\n\n[components.a]", 3, "components", "did you mean component?"),
    "unknown key": (A + "need = []", 4, "component.a.need", "did you mean needs?"),
    "unknown inner key": (
        A + "restart.burts = 3",
        4,
        "component.a.restart.burts",
        "did you mean burst?",
    ),
    "wrong type": (
        'version = 1\n[component.a]\ncommand = "/a"',
        3,
        "component.a.command",
        "a string where an array",
    ),
    "a component that is no table": ("version = 1\ncomponent.a = 1", 2, "component.a", "is an integer"),
    "components that are no table": ("version = 1\ncomponent = 1", 2, "component", "is an integer"),
    "an inner table that is none": (A + "cold = 3", 4, "component.a.cold", "table"),
    "wrong type inside": (
        'version = 1\n[component.a]\ncommand = [\n "/a",\n 5]',
        5,
        "component.a.command",
        "an integer",
    ),
    "a boolean number": (A + "heartbeat_s = true", 4, "component.a.heartbeat_s", "boolean"),
    "out of range": (A + "heartbeat_s = 0.05", 4, "component.a.heartbeat_s", "range"),
    "not a number": (A + "stop_timeout_s = nan", 4, "component.a.stop_timeout_s", "range"),
    "no program": ("version = 1\n[component.a]\nneeds = []", 2, "component.a.command", "missing"),
    "two programs": (A + 'python = "a"', 4, "component.a.python", "beside"),
    "arguments without python": (
        A + "arguments = []",
        4,
        "component.a.arguments",
        "without python",
    ),
    "an empty command": ("version = 1\n[component.a]\ncommand = []", 3, "component.a.command", "empty"),
    "a relative program": (
        'version = 1\n[component.a]\ncommand = ["a"]',
        3,
        "component.a.command",
        "absolute",
    ),
    "a relative directory": (A + 'directory = "b"', 4, "component.a.directory", "absolute"),
    "a name": ('version = 1\n[component.Gps]\ncommand = ["/a"]', 2, "component.Gps", "no name"),
    "a name of the supervisor's": (
        'version = 1\n[component.poke]\ncommand = ["/a"]',
        2,
        "component.poke",
        "supervisor's own",
    ),
    "a quoted name": ('version = 1\n[component."a b"]\ncommand = ["/a"]', 2, "component.'a b'", "no name"),
    "a long name": (
        f'version = 1\n[component.{"a" * 33}]\ncommand = ["/a"]',
        2,
        "component." + "a" * 33,
        "no name",
    ),
    "a need that is missing": (
        'version = 1\n[component.gps]\ncommand = ["/a"]\n[component.b]\ncommand = ["/b"]\nneeds = [\n"gsp"]',
        7,
        "component.b.needs",
        "did you mean gps?",
    ),
    "a need twice": (
        A + '[component.b]\ncommand = ["/b"]\nneeds = ["a", "a"]',
        6,
        "component.b.needs",
        "twice",
    ),
    "a cycle": (
        A + 'needs = ["b"]\n[component.b]\ncommand = ["/b"]\nneeds = ["a"]',
        4,
        "component.a.needs",
        "a -> b -> a",
    ),
    "its own need": (A + 'needs = ["a"]', 4, "component.a.needs", "a -> a"),
    "readiness": (A + 'ready = "port:65536"', 4, "component.a.ready", "no way"),
    "a timeout without readiness": (
        A + "ready_timeout_s = 3",
        4,
        "component.a.ready_timeout_s",
        "no effect",
    ),
    "error left out of restart.on": (
        A + 'restart = { on = ["request"] }',
        4,
        "component.a.restart.on",
        "error is missing",
    ),
    "an unknown cause": (
        A + '[component.a.restart]\non = ["request", "error", "signals"]',
        5,
        "component.a.restart.on",
        "did you mean signal?",
    ),
    "an unknown backend": (
        A + 'restart.backend = "kernal"',
        4,
        "component.a.restart.backend",
        "did you mean kernel?",
    ),
    "a restart before closing": (
        A + "restart.early = true",
        4,
        "component.a.restart.early",
        "is unknown",
    ),
    "a limit that never trips": (
        A + "cold.window_s = 15\nheartbeat_s = 3",
        4,
        "component.a.cold.attempts",
        "never trips",
    ),
    "a delay over the longest": (
        A + "cold.delay_s = 10",
        4,
        "component.a.cold.delay_s",
        "more than",
    ),
    "a variable's name": (A + 'environment = { "A=B" = "c" }', 4, "component.a.environment", "name"),
    "many variables": (
        A + "environment = { " + ", ".join(f'V{n} = ""' for n in range(65)) + " }",
        4,
        "component.a.environment",
        "65 variables",
    ),
    "a variable's value": (A + "environment.A = 3", 4, "component.a.environment", "integer"),
    "NUL": ('version = 1\n[component.a]\ncommand = ["/a", "\\u0000"]', 3, "component.a.command", "NUL"),
    "a date": (A + "user = 2001-01-01", 4, "component.a.user", "date"),
    "a limit": (A + "[component.a.limits]\nfiles = 0", 5, "component.a.limits.files", "range"),
}


def _good() -> Manifest:
    return parse(GOOD, "good.toml")


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_placed(name: str, tmp_path: Path) -> None:
    """Each kind of mistake is refused with its file, line and key, and says what would be right."""
    text, line, key, problem = MISTAKES[name]
    file = tmp_path / "koboshi.toml"
    file.write_text(text)
    with pytest.raises(ManifestRefusedError) as caught:
        load(str(file))
    [error] = caught.value.errors
    assert (error.file, error.line, error.key) == (str(file), line, key)
    assert problem in error.problem
    assert error.expected
    assert str(error).startswith(f"{file}:{line}: {key}: ")


def test_all_mistakes_at_once() -> None:
    """Every mistake of a file is reported, in the order of the lines."""
    with pytest.raises(ManifestRefusedError) as caught:
        parse(
            GOOD.replace("heartbeat_s", "hartbeat_s").replace("burst = 20", "burst = 0") + "\nuser = 5\n", "f"
        )
    assert [error.line for error in caught.value.errors] == [8, 12, 17]


def test_endless_keys_are_shortened() -> None:
    """A mistake about a key that is endless does not repeat all of it."""
    with pytest.raises(ManifestRefusedError) as caught:
        parse(f"version = 1\n{'k' * 5000} = 1", "f")
    (error,) = caught.value.errors
    assert error.key == "k" * 64 + "..."


def test_defaults_and_order() -> None:
    """A component has every default of docs/manifest.md, and comes after what it needs."""
    manifest = _good()
    assert list(manifest.components) == ["syslogd", "gps"]
    syslogd = manifest.components["syslogd"]
    assert syslogd.values["restart.on"] == ("request", "error", "signal", "status")
    assert syslogd.number("cold.delay_max_s") == 8
    assert syslogd.get("user") == "root"
    assert manifest.components["gps"].number("restart.burst") == 20


def test_components_compare_by_value() -> None:
    """Another layout of the same manifest has equal components; another value has not."""
    assert _good().components == parse("# a comment\n" + GOOD, "other.toml").components
    assert _good().components["gps"] != parse(GOOD.replace("20", "21"), "f").components["gps"]


@pytest.mark.parametrize(
    ("entry", "argv"),
    [
        ("a.b", ["-m", "a.b", "x"]),
        ("a.b:f", ["-c", "import sys; sys.argv[0] = 'a.b'; from a.b import f; sys.exit(f())", "x"]),
    ],
)
def test_python_entry_points(entry: str, argv: list[str]) -> None:
    """A module is run as with -m; a function is called, and its result is the exit status."""
    text = f'version = 1\n[component.a]\npython = "{entry}"\narguments = ["x"]'
    assert parse(text, "f").components["a"].argv() == ["/usr/bin/python3", *argv]


def test_unreadable_files_are_mistakes(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are reported like any other mistake."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"version = 1\n\xff\xfe")
    assert "cannot be read" in check(str(tmp_path / "missing"))[0]
    assert check(str(binary))[0].startswith(f"{binary}:2: (file): is not UTF-8")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says nothing and 0 for a right file, each mistake 1 for a wrong one, 100 for wrong use."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(GOOD)
    wrong.write_text("version = 3")
    assert main([str(right)]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([str(right), str(wrong)]) == 1
    assert capsys.readouterr().err.startswith(f"{wrong}:1: version: 3 is unknown")
    assert main([]) == 100


def _errors(text: str) -> list[ManifestError]:
    try:
        parse(text, "f")
    except ManifestRefusedError as refused:
        return refused.errors
    return []


PIECES = st.sampled_from(
    [
        "version = 1",
        "[component.a]",
        "[component]",
        "[[component]]",
        "command = ['/a']",
        "needs = ['a']",
        "cold = {}",
        "x.y.z = [1, {a = 2}]",
        "restart = {on = []}",
        '"""',
        "[",
        "]",
        "{",
        "=",
        "#",
        "'",
        "\n",
        "1979-05-27",
        "\\",
        "a",
    ]
)


@settings(max_examples=400)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=14), st.sampled_from(["\n", " ", ""]))
def test_no_text_gives_a_traceback(pieces: list[str], between: str) -> None:
    """Whatever stands in a file, it is accepted or refused with a line that the file has."""
    text = between.join(pieces)
    errors = _errors(text)
    assert all(1 <= error.line <= text.count("\n") + 1 for error in errors)


def test_deep_nesting_is_refused() -> None:
    """A file made to exhaust the parser's stack is refused, not crashed on."""
    with pytest.raises(ManifestRefusedError):
        parse("version = 1\na = " + "[" * 5000 + "]" * 5000, "f")
