# SPDX-License-Identifier: MIT
"""librfork's own tests, one set of behaviours, at both levels: the kernel's in the guest, the user's here.

The user level is the same on every kernel. This machine's runs it on real CPUs; what a test wants a machine
of its own for, or permissions that are not to be had here, it gets in the guest.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

import pytest

from tests.image.conftest import Device
from workbench.guest.booted import Guest
from workbench.image import quick as quickimage
from workbench.image.bootable import Image
from workbench.trial import conformance, verdicts

LIMIT_S = 900
MANIFEST = (
    'version = 1\n[component.log]\ncommand = ["/bin/busybox", "syslogd", "-n", "-O", "/run/log/messages"]\n'
)
MORE_THERE = {"t_no_leak"}  # it looks at all of a machine's memory, where nobody else uses it


@pytest.fixture(scope="module")
def tests() -> conformance.Tests:
    """As static programs and scripts."""
    return conformance.build_tests()


@pytest.fixture(scope="module")
def image_with_tests(tests: conformance.Tests, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The quick image with them in FOLDER, and one component, for the tests want the CPUs."""
    manifest = tmp_path_factory.mktemp("manifest") / "koboshi.toml"
    manifest.write_text(MANIFEST)
    return quickimage.build(
        manifest, extra={f"{conformance.FOLDER}/{path.name}": path for path in tests.files}
    )


@pytest.fixture(scope="module")
def device(image_with_tests: Image) -> Iterator[Device]:
    """A guest of that image."""
    with Guest(image_with_tests) as guest:
        device = Device(guest)
        device.boot()
        yield device


def test_user_level(guest: Guest, tests: conformance.Tests) -> None:
    """Every behaviour that a program relies on holds here or, where it cannot be tried here, in the guest."""
    here = conformance.on_host(tests)
    assert [item for item in here if item.verdict == verdicts.FAILED] == []
    there = {item.behaviour for item in here if item.verdict != verdicts.PASSED} | MORE_THERE
    assert len(there) < len(tests.names) / 2
    passes(guest, "user", ["--only", ",".join(sorted(there))])


def test_kernel_level(guest: Guest) -> None:
    """Every behaviour that a program relies on holds in the guest."""
    if guest.model.rfork != "kernel":
        pytest.skip("this kernel has no rfork(2)")
    passes(guest, "kernel", [])


def passes(guest: Guest, backend: str, options: Sequence[str]) -> None:
    """What is selected passes or is skipped in the guest."""
    command = [
        f"{conformance.FOLDER}/run-tests",
        "--machine",
        "--jobs",
        str(conformance.JOBS),
        "--backend",
        backend,
    ]
    result = guest.shell.run(f"sh {shlex.join([*command, *options])}", LIMIT_S, check=False)
    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert failed == [], result.output
    assert result.status == 0, result.output
    passed = re.search(r"(\d+) passed", result.output)
    assert passed is not None, result.output
    assert int(passed.group(1)) > 0, result.output
