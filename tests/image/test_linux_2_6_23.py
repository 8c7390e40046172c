# SPDX-License-Identifier: MIT
"""The paper's kernel: it boots, and rfork behaves there as elsewhere, at both levels."""

from __future__ import annotations

import pytest

from workbench import conformance, lines, verdicts
from workbench.verdicts import Verdict

LINE = lines.find("linux-2.6.23")


@pytest.fixture(scope="module", params=[pytest.param("user", marks=pytest.mark.long), "kernel"])
def tests(request: pytest.FixtureRequest) -> conformance.Tests:
    """librfork's tests as static programs and scripts, for one level."""
    return conformance.build_tests(backend=request.param)


@pytest.fixture(scope="module")
def found(tests: conformance.Tests) -> list[Verdict]:
    """One boot's verdicts; only where the source is on this machine, for it is not fetched for this."""
    if reason := conformance.why_not(LINE):
        pytest.skip(reason)
    return conformance.on_line(LINE, tests)


def test_conformance(found: list[Verdict], tests: conformance.Tests) -> None:
    """Every behaviour that a program relies on holds there; each test has a verdict, nearly all pass."""
    assert {item.backend for item in found} == set(tests.backends)
    own = {item.behaviour: item for item in found}
    assert [item for item in own.values() if item.verdict == verdicts.FAILED] == []
    got = [own[name].verdict for name in tests.names]
    assert set(got) <= {verdicts.PASSED, verdicts.SKIPPED}
    assert got.count(verdicts.PASSED) > len(got) * 3 // 4


def test_kernel_log(found: list[Verdict]) -> None:
    """The kernel had nothing to say while they ran, and is not tainted."""
    (log,) = (item for item in found if item.behaviour == verdicts.KERNEL_LOG)
    assert (log.verdict, log.reason) == (verdicts.PASSED, "")
