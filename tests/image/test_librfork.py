# SPDX-License-Identifier: MIT
"""librfork's own tests in the guest, at both levels: one set of behaviours, two backends."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.image.conftest import Device
from workbench import conformance, quickimage
from workbench.guest import Guest
from workbench.images import Image

LIMIT_S = 900


@pytest.fixture(scope="module")
def image_with_tests() -> Image:
    """The quick image with the tests as static programs in FOLDER."""
    tests = conformance.build_tests()
    return quickimage.build(extra={f"{conformance.FOLDER}/{path.name}": path for path in tests.files})


@pytest.fixture(scope="module")
def device(image_with_tests: Image) -> Iterator[Device]:
    """A guest of that image."""
    with Guest(image_with_tests) as guest:
        device = Device(guest)
        device.boot()
        yield device


@pytest.mark.parametrize("backend", ["user", "kernel"])
def test_conformance(guest: Guest, backend: str) -> None:
    """Every behaviour of rfork that a program relies on holds under this backend."""
    if backend == "kernel" and guest.model.rfork != "kernel":
        pytest.skip("this kernel has no rfork(2)")
    result = guest.shell.run(
        f"sh {conformance.FOLDER}/run-tests --machine --jobs {conformance.JOBS} --backend {backend}",
        LIMIT_S,
        check=False,
    )
    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert failed == [], result.output
    assert result.status == 0, result.output
    passed = re.search(r"(\d+) passed", result.output)
    assert passed is not None, result.output
    assert int(passed.group(1)) > 0, result.output
