# SPDX-License-Identifier: MIT
"""Verdicts of rfork's behaviours: read, judged and shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from koboshi_desk.console.decoder import Decoder
from koboshi_desk.console.findings import Finding
from koboshi_desk.core.errors import KoboshiError
from workbench.kernel import lines
from workbench.trial import conformance, verdicts
from workbench.trial.verdicts import Column, Verdict

USER, KERNEL = Column("user", "linux-2.6.23"), Column("kernel", "linux-2.6.23")
TABLE = """\
ok    t_burst
skip  t_user_monitor: skipped: not at this level
FAIL  t_rebind (status 1)
      t_rebind.c:19: bind (errno 99)
      testing.h:73: event.type is 3, not 2
ok    t_run_ready.sh
static, user backend: 2 passed, 1 failed, 1 skipped
"""


def heard(console: str) -> conformance.Listener:
    """What is understood of a console's text."""
    listener, decoder = conformance.Listener("linux-2.6.23"), Decoder()
    for item in decoder.feed(console.encode()):
        listener.take(item)
    return listener


def test_table_of_run_tests() -> None:
    """Each test's line is a verdict; what a failed one wrote, and why one was skipped, is its reason."""
    assert [(item.behaviour, item.verdict, item.reason) for item in verdicts.from_table(TABLE, USER)] == [
        ("t_burst", "passed", ""),
        ("t_user_monitor", "skipped", "not at this level"),
        (
            "t_rebind",
            "failed",
            "(status 1); t_rebind.c:19: bind (errno 99); testing.h:73: event.type is 3, not 2",
        ),
        ("t_run_ready.sh", "passed", ""),
    ]


def test_lines_of_init() -> None:
    """The console's lines are verdicts of their backends, and the end of both is the end."""
    console = (
        "ok    t_a\r\nconformance: user end 0\r\n"
        "skip  t_a: skipped: not here\r\nFAIL  t_b (status 1)\r\n      t_b.c:1: x\r\n"
    )
    listener = heard(console)
    assert not listener.done
    assert Verdict("t_a", "user", "linux-2.6.23", "passed") in listener.found
    assert [(item.backend, item.verdict) for item in listener.begun()] == [
        ("kernel", "skipped"),
        ("kernel", "failed"),
    ]
    listener = heard(console + "conformance: kernel end 0\r\n")
    assert listener.done
    assert listener.begun() == []
    assert Verdict("t_a", "kernel", "linux-2.6.23", "skipped", "not here") in listener.found
    assert Verdict("t_b", "kernel", "linux-2.6.23", "failed", "(status 1); t_b.c:1: x") in listener.found


def test_kernel_log_is_judged_by_backend() -> None:
    """What the kernel said between two ends fails the log of that backend only, and so does a taint."""
    warning = "log: <4>[   12.884034] WARNING: at kernel/rfork.c:100 rfork_begin()\r\n"
    logs = heard(f"conformance: user end 0\r\n{warning}conformance: kernel end 512\r\n").found
    assert [(item.behaviour, item.backend, item.verdict) for item in logs] == [
        (verdicts.KERNEL_LOG, "user", "passed"),
        (verdicts.KERNEL_LOG, "kernel", "failed"),
    ]
    assert "WARNING: at kernel/rfork.c:100" in logs[1].reason
    assert "tainted" in logs[1].reason


def test_a_crashing_program_is_no_finding() -> None:
    """The tests crash on purpose."""
    segfault = (
        "log: <6>[    1.692366] t_burst[263]: segfault at 0000000000000000 rip 4010d6 rsp 7ff0 error 6\r\n"
    )
    assert heard(f"{segfault}conformance: user end 0\r\n").found[0].verdict == "passed"


def test_error_of_init_is_the_end() -> None:
    """Where PID 1 itself cannot go on nothing more is waited for, and its reason is kept."""
    listener = heard("conformance: error: lo: No such device\r\n")
    assert listener.done
    assert "No such device" in listener.error


def test_silence_is_a_failure() -> None:
    """A behaviour without a verdict has failed, for the reason that the run has."""
    got = [Verdict("t_a", "user", "linux-2.6.23", "passed")]
    assert verdicts.completed(got, ["t_a", "t_b"], USER, "ended early")[1:] == [
        Verdict("t_b", "user", "linux-2.6.23", "failed", "ended early")
    ]


def test_matrix() -> None:
    """A row a behaviour, a column a backend and kernel, the log last, and one line for a common reason."""
    found = [
        verdicts.of_log([Finding("bug", "BUG: x")], USER),
        Verdict("t_a", "user", "linux-2.6.23", "passed"),
        *verdicts.all_the_same(["t_a", "t_b"], KERNEL, "not run", "no shell"),
    ]
    lines = [line.split() for line in verdicts.matrix(found).splitlines()]
    assert lines[:5] == [
        ["behaviour", "user", "kernel"],
        ["linux-2.6.23", "linux-2.6.23"],
        ["t_a", "passed", "not", "run"],
        ["t_b", "not", "run"],
        ["kernel", "log", "failed"],
    ]
    assert verdicts.matrix(found).endswith("linux-2.6.23, kernel: not run: no shell: t_a, t_b")
    assert verdicts.summary(found) == "1 passed, 1 failed, 0 skipped, 2 not run"


def test_json() -> None:
    """The file is a list of objects with the five keys."""
    item = Verdict("t_a", "user", "host", "skipped", "why")
    assert json.loads(verdicts.as_json([item])) == [
        {"behaviour": "t_a", "backend": "user", "kernel": "host", "verdict": "skipped", "reason": "why"}
    ]


@pytest.mark.parametrize(
    ("verdict", "status"), [("passed", 0), ("skipped", 0), ("not run", 0), ("failed", 1)]
)
def test_exit_status(monkeypatch, tmp_path, capsys, verdict: str, status: int) -> None:
    """Only a failure makes the command fail; matrix and file are there in any case."""
    item = Verdict("t_a", "user", "host", verdict, "why")
    monkeypatch.setattr(conformance, "on_host", lambda tests: [item])
    assert conformance.run("host", conformance.Tests(tmp_path), tmp_path / "out.json") == status
    assert "t_a" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())[0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("name", "help_"),
    [("linux-2.6.23", "linux-2.6.23.tar.xz"), ("linux-7.3", "`./dev kernel --line linux-7.3` fetches it")],
)
def test_without_source_a_line_is_not_run(monkeypatch, tmp_path, name: str, help_: str) -> None:
    """A line whose source is not on this machine is not fetched for this, and the reason says what to do."""
    line = replace(lines.find(name), package_tarball=None)  # as where Debian's package is not installed
    monkeypatch.setenv("KOBOSHI_CACHE", str(tmp_path))
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "t_a").touch()
    found = conformance.on_line(line, conformance.Tests(tests))
    assert {(item.backend, item.verdict) for item in found} == {("user", "not run"), ("kernel", "not run")}
    assert help_ in found[0].reason


def test_selected(tmp_path) -> None:
    """Parts of names select tests; what the runner needs comes along in any case."""
    for name in ("run-tests", "t_stop", "t_stop.d", "t_run_stop.sh", "t_query", "t_nested"):
        (tmp_path / name).touch()
    tests = conformance.Tests(tmp_path, only="stop,nest")
    assert tests.names == ["t_nested", "t_run_stop.sh", "t_stop"]
    assert tests.files == sorted(tmp_path / name for name in (*tests.names, "run-tests"))
    assert len(conformance.Tests(tmp_path).names) == 4


def test_one_level_is_enough(tmp_path) -> None:
    """With one level asked for its end is the end, and no other column is missed; a wrong name is refused."""
    one = conformance.Tests(tmp_path, backends=("kernel",))
    listener = conformance.Listener("linux-2.6.23", one.backends)
    for item in Decoder().feed(b"ok    t_a\r\nconformance: kernel end 0\r\n"):
        listener.take(item)
    assert listener.done
    assert one.columns("linux-2.6.23") == [KERNEL]
    with pytest.raises(KoboshiError, match="--backend kernle"):
        conformance.build_tests(backend="kernle")


def test_effort(tmp_path) -> None:
    """The full number of rounds is asked for only in full, with a time limit to match."""
    short, full = (
        conformance.Tests(tmp_path, effort=effort).arguments
        for effort in (conformance.SHORT, conformance.FULL)
    )
    assert "--full" not in short
    assert "--full" in full
    assert int(short[1]) < int(full[1])
