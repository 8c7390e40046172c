# SPDX-License-Identifier: MIT
"""The paper's kernel: it boots, and rfork behaves there as elsewhere, at both levels."""

from __future__ import annotations

import pytest

from workbench.kernel import lines
from workbench.trial import conformance, verdicts
from workbench.trial.verdicts import Verdict

LINE = lines.find("linux-2.6.23")


@pytest.fixture(scope="module")
def tests() -> conformance.Tests:
    """librfork's tests as static programs and scripts."""
    return conformance.build_tests()


@pytest.fixture(scope="module")
def found(tests: conformance.Tests) -> list[Verdict]:
    """One boot's verdicts; only where the source is on this machine, for it is not fetched for this."""
    if reason := conformance.why_not(LINE):
        pytest.skip(reason)
    return conformance.on_line(LINE, tests)


@pytest.mark.parametrize("backend", verdicts.BACKENDS)
def test_conformance(found: list[Verdict], tests: conformance.Tests, backend: str) -> None:
    """Every behaviour that a program relies on holds there; each test has a verdict, nearly all pass."""
    own = {item.behaviour: item for item in found if item.backend == backend}
    assert [item for item in own.values() if item.verdict == verdicts.FAILED] == []
    got = [own[name].verdict for name in tests.names]
    assert set(got) <= {verdicts.PASSED, verdicts.SKIPPED}
    assert got.count(verdicts.PASSED) > len(got) * 3 // 4


@pytest.mark.parametrize("backend", verdicts.BACKENDS)
def test_kernel_log(found: list[Verdict], backend: str) -> None:
    """The kernel had nothing to say while they ran, and is not tainted."""
    logs = [item for item in found if (item.behaviour, item.backend) == (verdicts.KERNEL_LOG, backend)]
    assert [(item.verdict, item.reason) for item in logs] == [(verdicts.PASSED, "")]
