# SPDX-License-Identifier: MIT
"""The benchmarks' arithmetic; what they measure is no test."""

from __future__ import annotations

import pytest

from koboshi_desk.console.decoder import Text
from koboshi_desk.core.errors import KoboshiError
from workbench.bench import gate, paper
from workbench.bench import task as bench
from workbench.bench.gate import Counts
from workbench.bench.run import Listener

ROWS = [
    {"bench": "latency", "variant": "futex", "mb": 1, "n": 9, "min": 1, "p50": 2000, "p99": 3, "max": 4},
    {"bench": "latency", "variant": "exec", "load": "paced", "cause": "exit", "mb": 1, "n": 9}
    | {"min": 1, "p50": 100000, "p99": 3, "max": 4, "no_spare": 0, "busy": 0},
    {"bench": "latency", "variant": "kernel", "load": "paced", "cause": "segv", "mb": 1, "n": 9}
    | {"min": 1, "p50": 10000, "p99": 3, "max": 4, "no_spare": 7, "busy": 0},
]


def test_table_has_the_ratios_of_the_run():
    """A median is shown as a multiple of the futex wake, and as a part of the exec restart, of its run."""
    kernel = bench.table(ROWS).splitlines()[-1].split()
    assert kernel[-4:] == ["5.0", "10.00", "7", "0"]


def test_paper_ratios_are_kernel_by_user():
    """The ratios of the means and of the deviations, as the paper's table gives them."""
    rows = [{"level": "user", "mean": 200, "stddev": 50}, {"level": "kernel", "mean": 150, "stddev": 5}]
    assert paper.ratios(rows) == (0.75, 0.1)
    assert paper.ratios(rows[:1]) is None


def test_gate_allows_two_percent():
    """A count may grow by 2 %; more fails, and so does a count that is gone."""
    old = {"a": 1000, "b": 1000, "c": 1000}
    assert gate.grown(old, {"a": 1020, "b": 900, "c": 1000}) == []
    found = gate.grown(old, {"a": 1021, "b": 900})
    assert [line.split(":")[0] for line in found] == ["a", "c"]


def test_gate_does_not_compare_what_another_compiler_made():
    """Counts of another compiler or kernel say nothing about a change of this repository."""
    old = Counts({"gcc": "12", "kernel": "6.12.1"}, {})
    assert gate.incomparable(old, Counts({"gcc": "12", "kernel": "6.12.1"}, {})) == ""
    assert "kernel" in gate.incomparable(old, Counts({"gcc": "12", "kernel": "6.12.2"}, {}))


def test_gate_keeps_the_other_lines(tmp_path):
    """Recording one kernel line's counts leaves the others'."""
    file = tmp_path / "gate.json"
    first, second = Counts({"gcc": "1"}, {"a": 1}), Counts({"gcc": "2"}, {"b": 2})
    gate.record("one", first, file)
    gate.record("two", second, file)
    assert gate.recorded(file) == {"one": first, "two": second}


def test_damaged_result_is_an_error():
    """A result that the console has damaged is never left out silently."""
    listener = Listener()
    listener.take(Text('{"bench": "latency", "n": 1}'))
    listener.take(Text("bench: status 0"))
    assert (listener.rows, listener.status) == ([{"bench": "latency", "n": 1}], 0)
    with pytest.raises(KoboshiError, match="damaged"):
        listener.take(Text('{"bench": "latency", [  1.000000] random: crng init done'))


def test_unknown_benchmark_is_told():
    """A name that is none says which there are."""
    with pytest.raises(KoboshiError, match="latency"):
        bench.start("latencies", bench.Request())


def test_notice_is_no_later_than_the_status(capsys):
    """The program that says what an early notice is worth sees both ends of each process, in their order."""
    rows = bench.notice(bench.Request(line="host", count=3))["rows"]
    least = {(row["variant"], row["cause"]): row["min"] for row in rows}
    assert {row["n"] for row in rows} == {3}
    assert all(0 < least["notice", cause] <= least["status", cause] for cause in ("exit", "segv"))
    assert capsys.readouterr().out.startswith("variant")
