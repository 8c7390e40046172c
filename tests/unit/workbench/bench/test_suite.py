# SPDX-License-Identifier: MIT
"""The suite: a results file that grows part by part, the goals computed from it, report, README."""

from __future__ import annotations

import json
import re

import pytest

from koboshi_desk.core.errors import KoboshiError
from workbench.bench import goals as bench_goals
from workbench.bench import plots as bench_plots
from workbench.bench import readme, suite
from workbench.bench import report as bench_report
from workbench.bench import system as bench_system

ABOUT = [{"command": "qemu", "kernel": "linux-6.12: 1 2", "config": "3", "qemu": "4", "cpu": "5"}]


def latency(variant, mb=1, p50=1000, **more):
    """A row as bench/latency.c prints it."""
    row = {"bench": "latency", "variant": variant, "mb": mb, "n": 9, "min": 1, "p50": p50, "p90": p50}
    row |= {"p99": 2 * p50, "max": 3 * p50, "mean": p50, "stddev": 1, "histogram": [[p50 // 2, 3], [p50, 6]]}
    return row | ({"load": "paced", "cause": "segv"} if variant not in ("futex",) else {}) | more


def part(*rows):
    """As a results file has it."""
    return {"repeat": "./dev bench latency", "rows": list(rows), "about": ABOUT}


def peer(name, case, p50):
    """A row of the peers."""
    return {"bench": "peers", "peer": name, "case": case, "n": 8, "min": p50, "p50": p50, "max": p50}


PARTS = {
    "latency-1": part(
        latency("futex", p50=100),
        latency("exec", p50=8000),
        latency("naive", p50=9000),
        latency("naive", p50=9000, load="storm", per_s=100.0),
        latency("kernel", p50=400),
        latency("kernel", p50=400, load="storm", per_s=150.0),
        latency("kernel", 1024, 500),
        latency("naive", 1024, 900_000),
    ),
    "closing": part(
        latency("user", p50=800),
        latency("early", p50=900, early=3),
        latency("user", p50=90_000, descriptors=100),
        latency("early", p50=950, descriptors=100, early=9),
    ),
    "peers": part(peer("runit", "healthy", 4_000_000), peer("runit", "loop", 1_000_000_000)),
    "components": part(
        {"bench": "components", "variant": "python-cold", "n": 3, "min": 1, "p50": 3_000_000, "max": 9},
        {"bench": "components", "variant": "python-warm", "n": 3, "min": 1, "p50": 100_000, "max": 9},
    ),
}


def goal(name, source="latency-1"):
    """The goal of that name."""
    return next(each for each in bench_goals.compute(PARTS) if (each.name, each.source) == (name, source))


@pytest.mark.parametrize(
    ("name", "source", "value", "met", "reached"),
    [
        ("kernel level, segv / F", "latency-1", 4.0, True, False),
        ("X / kernel level, segv", "latency-1", 20.0, True, False),
        ("kernel level, p50(1 GB) / p50(1 MB), 1 CPU", "latency-1", 1.25, True, False),
        ("N(1 GB) / kernel level(1 GB)", "latency-1", 1800.0, True, False),
        ("p99 / p50, kernel level", "latency-1", 2.0, True, False),
        ("storm, kernel level, segv: restarts/s x N", "latency-1", 1.5, True, False),
        ("Python component, cold start / warm restart", "components", 30.0, True, False),
        ("user level, segv / F", "latency-1", None, False, False),
    ],
)
def test_goals_are_ratios_of_one_part(name, source, value, met, reached):
    """Each goal is computed from its part's own rows; what was not measured is not met, and says so."""
    found = goal(name, source)
    assert (found.value, found.met, found.reached) == (value, met, reached)
    assert bool(found.reason) == (not met)


def test_every_goal_that_is_not_met_has_a_reason():
    """No `must` is missed in silence, whatever its name."""
    low = [each for each in bench_goals.compute(PARTS) if each.value is not None]
    for each in low:
        worse = bench_goals.Goal(each.name, None, each.must, each.aim, each.at_most, each.source)
        assert worse.reason


def test_only_missing_parts_are_measured(tmp_path):
    """A run that was cut short goes on where it was; a part named is measured again."""
    file, measured = tmp_path / "new" / "results.json", []

    def measure(wanted):
        measured.append(wanted.what)
        if len(measured) == 3:
            raise KoboshiError("cut short")
        return {"rows": [], "about": []}

    with pytest.raises(KoboshiError):
        suite.run(file, [], measure)
    assert list(suite.load(file)["parts"]) == list(suite.PARTS)[:2]
    suite.run(file, [], measure)
    assert len(measured) == len(suite.PARTS) + 1
    suite.run(file, ["boot"], measure)
    assert measured[-1] == "boot"
    assert len(measured) == len(suite.PARTS) + 2
    with pytest.raises(KoboshiError, match="latency-1"):
        suite.run(file, ["latency"], measure)


def test_results_file_has_the_goals(tmp_path):
    """The goals in the file are those of its parts, a line each, with name, value, must, aim and met."""
    file = tmp_path / "results.json"
    suite.save(file, {"parts": PARTS})
    found = json.loads(file.read_text())
    assert found["goals"] == [each.as_json() for each in bench_goals.compute(PARTS)]
    assert {"name", "value", "must", "aim", "met"} <= set(found["goals"][0])
    assert found["parts"] == PARTS
    assert any(
        '"name": "X / kernel level, segv"' in line and '"met": true' in line
        for line in file.read_text().splitlines()
    )


def test_report_has_every_goal_and_how_it_was_measured(tmp_path):
    """The page has the goals, the plots beside it and the commands; plots are drawn the same again."""
    file = tmp_path / "results.json"
    suite.save(file, {"parts": PARTS})
    assert bench_report.write(file) == 0
    page = (tmp_path / "results.md").read_text()
    assert all(f"| {each.name} |" in page for each in bench_goals.compute(PARTS))
    assert "./dev bench latency" in page
    assert "linux-6.12: 1 2" in page
    plots = re.findall(r"!\[.*\]\((.*\.svg)\)", page)
    assert len(plots) == 4
    assert "| early | segv | 100 | 9 | 0.0 | 0.9 | 1.9 | 9 |" in page
    before = [(tmp_path / name).read_text() for name in plots]
    assert all(text.startswith("<?xml") and "</svg>" in text for text in before)
    bench_plots.draw(PARTS, tmp_path / "results")
    assert [(tmp_path / name).read_text() for name in plots] == before


def test_cumulative_ends_at_one():
    """The distribution's last step is all of it."""
    assert bench_plots.cumulative([[1000, 1], [2000, 3]]) == ([1.0, 2.0], [0.25, 1.0])


def test_quantiles_are_nearest_rank():
    """As bench/stats.c has them."""
    found = bench_system.quantiles([5, 1, 4, 2])
    assert found == {"n": 4, "min": 1, "p50": 2, "p99": 5, "max": 5}


def test_readme_agrees_with_the_committed_results():
    """README.md's figures are what `./dev bench readme` makes of the results in the repository."""
    text = readme.FILE.read_text()
    section = readme.made()
    assert readme.put(text, section) == text
    assert section.count("\n| ") == 1 + len(readme.BACK)
    assert section.count("\n- ") == 4


def test_readme_without_marks_is_told():
    """Figures are never put in a place that nobody meant."""
    with pytest.raises(KoboshiError, match="bench"):
        readme.put("no marks", "x")
