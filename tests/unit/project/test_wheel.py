# SPDX-License-Identifier: MIT
"""The wheel: built, installed where nothing else is, and used without the repository."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from workbench.core.repository import REPOSITORY

OURS = ("koboshi", "koboshi_desk", "workbench")
DEMO = REPOSITORY / "tests/data/console/demo.log"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without anything from a registry."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    done = run([sys.executable, "-m", "pip", "wheel", "-q", *options, str(REPOSITORY)], folder)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and what it says it needs; its command `koboshi`."""
    venv = tmp_path_factory.mktemp("venv")
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], venv, check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin/python")]
    run([*pip, "install", "-q", "--no-index", "--no-deps", str(wheel)], venv, check=True)
    (library,) = venv.glob("lib/python*/site-packages")
    for needed in closure(metadata(wheel)):
        link(needed, library)
    return venv / "bin/koboshi"


def run(command, cwd, check=False, **environment):
    """Run without the variables by which ./dev points Python at the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=check,
    )


def metadata(wheel: Path) -> list[str]:
    """What the wheel requires, extras left out."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return required(archive.read(name).decode().split("\n\n")[0].splitlines())


def required(lines: list[str]) -> list[str]:
    """The names in `Requires-Dist` lines that are not for an extra."""
    wanted = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    return [re.split(r"[ ;<>=!~\[(]", line)[0] for line in wanted if "extra ==" not in line]


def closure(names: list[str]) -> list[Distribution]:
    """The distributions of this environment with those names, and all that they need."""
    found: dict[str, Distribution] = {}
    while names:
        name = names.pop()
        if name.lower() not in found:
            found[name.lower()] = distribution(name)
            names += required([f"Requires-Dist: {line}" for line in distribution(name).requires or []])
    return list(found.values())


def link(needed: Distribution, library: Path) -> None:
    """Make its packages and modules importable there."""
    for top in {file.parts[0] for file in needed.files or [] if ".." not in file.parts}:
        if not (library / top).exists() and top not in ("__pycache__", "bin"):
            (library / top).symlink_to(Path(str(needed.locate_file(top))).resolve())


def imported(source: str) -> set[str]:
    """What a source file imports of the project, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name for name in names if name.split(".")[0] in OURS}
    return found


def module_names(paths: Iterable[str]) -> set[str]:
    """The dotted names of Python files."""
    return {
        path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for path in paths
        if path.endswith(".py")
    }


def test_it_has_what_its_modules_import(wheel: Path) -> None:
    """It has every module that its modules import, none of the workbench, no unused one of the desk."""
    with zipfile.ZipFile(wheel) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    names, every = module_names(sources), module_names(map(str, checkout()))
    used = {name for source in sources.values() for name in imported(source)}
    assert used & every <= names
    assert {name.split(".")[0] for name in names} == {"koboshi", "koboshi_desk"}
    packages = {name.rpartition(".")[0] for name in names}
    unused = {name for name in names - packages - used if name.startswith("koboshi_desk.")}
    assert unused == {"koboshi_desk.cli"}


def checkout() -> list[Path]:
    """The project's modules, from the folder in which their package is."""
    bases = [(REPOSITORY / "supervisor" if name == "koboshi" else REPOSITORY, name) for name in OURS]
    return [path.relative_to(base) for base, name in bases for path in (base / name).rglob("*.py")]


def test_watch_replays_a_log(installed: Path, tmp_path: Path) -> None:
    """`koboshi watch --replay` reads a recorded console."""
    done = run([installed, "watch", "--replay", DEMO, "--json"], tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events].count("restart") == 7


def test_report_of_a_log(installed: Path, tmp_path: Path) -> None:
    """`koboshi report` makes its page, with its looks, and its summary."""
    done = run([installed, "report", DEMO, "--html", "r.html", "--budget-ms", "20"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7 restarts" in done.stdout
    page = (tmp_path / "r.html").read_text()
    assert "prefers-color-scheme: dark" in page
    assert page.count('class="row"') > 5
    assert run([installed, "report", DEMO, "--markdown", "r.md"], tmp_path).returncode == 0
    assert (tmp_path / "r.md").read_text() != ""
    assert (tmp_path / "koboshi-report.html").exists()


def test_picture_of_the_view(installed: Path, tmp_path: Path) -> None:
    """`koboshi watch --svg` draws without a terminal."""
    assert run([installed, "watch", "--replay", DEMO, "--svg", "w.svg"], tmp_path).returncode == 0
    assert "heartbeat" in (tmp_path / "w.svg").read_text()


def test_extra_that_is_not_installed(installed: Path, tmp_path: Path) -> None:
    """Where the bridge's libraries are not installed it says how they are."""
    done = run([installed, "bridge", "--replay", DEMO, "--metrics", "0"], tmp_path)
    assert done.returncode == 1
    assert "pip install '.[fleet]'" in done.stderr


def test_manifest_check(installed: Path, tmp_path: Path) -> None:
    """`koboshi manifest check` judges a manifest as the device does."""
    right = run([installed, "manifest", "check", REPOSITORY / "components/koboshi.toml"], tmp_path)
    assert right.returncode == 0, right.stderr
    (tmp_path / "wrong.toml").write_text('version = 1\n[component.a]\ncommand = ["relative"]\n')
    wrong = run([installed, "manifest", "check", "wrong.toml"], tmp_path)
    assert wrong.returncode == 1
    assert "wrong.toml:3: component.a.command: " in wrong.stderr


def test_wrong_use_says_what_there_is(installed: Path, tmp_path: Path) -> None:
    """A command that is not there is answered with those that are, and status 2."""
    done = run([installed, "fly"], tmp_path)
    assert done.returncode == 2
    assert "watch" in done.stderr


def test_failure_is_told_in_a_line(installed: Path, tmp_path: Path) -> None:
    """A port that cannot be one is a line that says what is needed, and status 1."""
    done = run([installed, "watch", "--port", "/dev/null"], tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("koboshi: ")
    assert "/dev/ttyUSB0" in done.stderr
    assert len(done.stderr.splitlines()) == 1


SYSTEM_PYTHON = Path("/usr/bin/python3")


@pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="no Python of the distribution's")
@pytest.mark.parametrize("page", ["quick-start.md", "fleet.md"])
def test_guides_installation(tmp_path: Path, page: str) -> None:
    """The guide's commands install the desk with the distribution's Python, which refuses a bare pip.

    What pip would fetch comes from the environment of ./dev.
    """
    guide = (REPOSITORY / "docs/quick-start.md").read_text()
    lines = re.findall(r"^ {4}((?:python3 -m venv|~/koboshi-desk|export PATH).*)$", guide, re.M)
    if page == "fleet.md":
        lines[1:2] = re.findall(r"^ {4}(~/koboshi-desk.*)$", (REPOSITORY / "docs/fleet.md").read_text(), re.M)
    assert len(lines) == 3
    command = " && ".join([*lines, f"cd / && koboshi watch --replay {DEMO} --json"])
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    options = {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": libraries,
    }
    place = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "koboshi_desk", "supervisor", "LICENSES"):
        (checkout / name).symlink_to(REPOSITORY / name)
    done = subprocess.run(
        ["bash", "-c", command], cwd=checkout, env={**options, **place}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"event": "restart"' in done.stdout
