# SPDX-License-Identifier: MIT
"""Every command in the documentation is run: here, with a made-up board, or by a test that is named here."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.desk.console.test_control import Supervisor
from tests.unit.desk.console.test_transport import LIMIT_S, Cable, Rfc2217Server, poll, record, serve
from tests.unit.desk.fleet.test_bridge import MOSQUITTO, Broker, scraped
from tests.unit.desk.watch.test_ask import CTL, reader, supervisor
from tests.unit.project.test_docs import PAGES, commands
from workbench.core.repository import REPOSITORY

__all__ = ["supervisor"]  # a fixture

UNIT, IMAGE = "tests/unit/", "tests/image/"
# What takes a guest, a kernel or a disk is run by these tests; what is in neither list fails.
ELSEWHERE = {
    r"\./dev": (UNIT + "project/test_dev.py", "test_alone_it_lists_the_tasks"),
    r"\./dev demo": (IMAGE + "test_quick_start.py", "test_demo"),
    r"\./dev boot": (IMAGE + "test_quick_start.py", "test_quick_start"),
    r"\./dev boot --manifest my.toml": (IMAGE + "test_quick_start.py", "test_quick_start"),
    r"\./dev watch": (IMAGE + "test_quick_start.py", "test_quick_start"),
    r"koboshi-fault gps wild": (IMAGE + "test_quick_start.py", "test_quick_start"),
    r"koboshictl (status|restart gps|events -n 5)": (IMAGE + "test_quick_start.py", "test_quick_start"),
    r"koboshictl line .*": (UNIT + "project/test_grammar.py", "test_examples_of_the_control_channel"),
    r"\./dev demo --image .*": (IMAGE + "test_buildroot.py", "test_boots_with_a_clean_log"),
    r"\./dev figures --image .*": (UNIT + "workbench/bench/test_figures.py", "test_a_rebuild_does_not_count"),
    r"\./dev flash .*": (IMAGE + "test_buildroot_flash.py", "test_image_is_on_the_device"),
    r"\./dev image --board .*": (IMAGE + "test_buildroot_tree.py", "test_configuration_survives"),
    r"make -C (buildroot|output).*": (IMAGE + "test_buildroot_tree.py", "test_configuration_survives"),
    r"\./dev board --port .*": (IMAGE + "test_device.py", "test_board"),
    r"\./dev kernel --line linux-6.12( .*)?": (
        UNIT + "workbench/kernel/test_source.py", "test_local_needs_no_network",
    ),
    r"\./dev soak": (UNIT + "workbench/trial/test_soak.py", "test_short"),
    r"\./dev conformance( .*)?": (IMAGE + "test_librfork.py", "test_kernel_level"),
    r"make -C librfork .*": (UNIT + "programs.py", "librfork"),
    r"\./dev boot --manifest my.toml --add .*|koboshi-fault store wild": (
        IMAGE + "test_own.py", "test_own_components_are_in_the_image",
    ),
    r"(cc|g\+\+|musl-gcc) -O2 .*": (UNIT + "project/test_own_components.py", "test_compile_commands"),
    r"(cc -I librfork/include|/tmp/rfork/rfork-run) .*": (
        UNIT + "project/test_docs.py", "test_program_in_c_does_what_the_guide_says",
    ),
    r"python3 -m venv ~/koboshi-desk|(~/koboshi-desk/bin/pip install|export PATH=).*": (
        UNIT + "project/test_wheel.py", "test_guides_installation",
    ),
}  # fmt: skip
# These run this test, or what they need is at nobody's place: the reason stands there.
NOT_RUN = {
    r"\./dev (test|lint|test --only NAME)": "they run this test",
    r"\./dev board --lg-env .*": "labgrid and a power switch",
    r"\./dev harden|\./dev kernel --(check|footprint|newest)": "by hand: hours, sources, other compilers",
}
PROGRAMS = (
    "./dev",
    "koboshi",
    "koboshictl",
    "koboshi-fault",
    "make",
    "cc",
    "g++",
    "musl-gcc",
    "~/koboshi-desk/bin/pip",
    "export",
    "python3",
    "/tmp/rfork/rfork-run",
)
DESK = re.compile(r"(?:koboshi|\./dev) (?=watch |control |report |bridge |manifest )")


def lines() -> list[str]:
    """Each command once, those of other programs too."""
    found = {command for _, command in commands()}
    for page in PAGES:
        text = page.read_text()
        found |= {
            line.strip()
            for line in re.findall(r"^ {4,8}(\S.*)$", text, re.M)
            if line.split()[0] in PROGRAMS[4:]
        }
    return sorted(re.sub(r"\s+", " ", line) for line in found)


@pytest.mark.parametrize("line", lines())
def test_command_is_run(line: str) -> None:
    """It is run here, or by a test that exists, or there is a reason why not."""
    if DESK.match(line) or any(re.fullmatch(pattern, line) for pattern in NOT_RUN):
        return
    path, name = next(
        (where for pattern, where in ELSEWHERE.items() if re.fullmatch(pattern, line)), ("", "")
    )
    assert path, f"no test runs {line}"
    assert f"def {name}(" in (REPOSITORY / path).read_text()


def test_lists_are_of_now() -> None:
    """Nothing is listed that no page has any more."""
    for pattern in [*ELSEWHERE, *NOT_RUN]:
        assert any(re.fullmatch(pattern, line) for line in lines()), pattern


class Bench:
    """A desk with two boards on ttys, a remote port, a broker, and the files that the guides speak of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tests").symlink_to(REPOSITORY / "tests")
        for name in ("my.toml", "broker.toml"):
            shutil.copy(REPOSITORY / "components/koboshi.toml", folder / name)
        (folder / "logs").mkdir()
        shutil.copy(REPOSITORY / "tests/data/console/demo.log", folder / "logs/ttyUSB0-1.log")
        shutil.copy("/bin/true", folder / "gps")
        (folder / "crashes.json").write_text('{"ok": true, "crashes": []}')
        self.places: dict[str, str] = {"--metrics 9273": "--metrics 0"}
        self.first: Cable | None = None

    def command(self, line: str) -> str:
        """As it is written, with the boards that are here."""
        for name, here in self.places.items():
            line = line.replace(name, here)
        return DESK.sub(shlex.join([sys.executable, "-m", "koboshi_desk.cli"]) + " ", line)

    def start(self, line: str, answers: str = "") -> subprocess.Popen[bytes]:
        """Run it in a shell; what it prints goes to the files `out` and `err`."""
        (self.folder / "in").write_text(answers)
        environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'supervisor'}"}
        command = f"exec {self.command(line)} <in >>out 2>>err"
        if " >" in line:
            command = f"exec {self.command(line)} <in 2>>err"
        return subprocess.Popen(["bash", "-c", command], cwd=self.folder, env=environment)

    def printed(self) -> str:
        """All of it until now."""
        files = (self.folder / name for name in ("out", "err"))
        return "".join(file.read_text() for file in files if file.exists())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Without what is not installed."""
    made = Bench(tmp_path)
    with contextlib.ExitStack() as ends:
        if shutil.which("socat"):
            for number in range(2):
                (tmp_path / str(number)).mkdir()
                cable = ends.enter_context(Cable(tmp_path / str(number)))
                made.places[f"/dev/ttyUSB{number}"] = str(cable.desk)
                made.first = made.first or cable
        server, address = serve(Rfc2217Server)
        ends.enter_context(server)
        made.places["rfc2217://server:4000"] = f"rfc2217://{address}"
        if MOSQUITTO:
            broker = Broker(tmp_path)
            broker.start()
            ends.callback(broker.stop)
            made.places["mqtt://broker"] = broker.url
        yield made


def of_desk(*kinds: str) -> list[str]:
    """The desk's commands of these kinds, by their first word; `live` are those with a port."""
    found = [line for line in lines() if DESK.match(line)]
    live = [line for line in found if "--port" in line and " control " not in line]
    control = [line for line in found if " control " in line]
    rest = [line for line in found if line not in live + control]
    return {"live": live, "control": control, "rest": rest}[kinds[0]]


@pytest.mark.parametrize("line", of_desk("rest"))
def test_command_that_ends(bench: Bench, line: str) -> None:
    """What reads files, or asks, does what it says and succeeds."""
    if "manifest new" in line:
        (bench.folder / "my.toml").unlink()
    answers = "gps\n/usr/bin/koboshi-gps --port /dev/ttyS1\nnotify\n3\nn\nn\n"
    assert bench.start(line, answers).wait(LIMIT_S) == 0, bench.printed()
    assert (bench.folder / "my.toml").exists()


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
@pytest.mark.parametrize("line", of_desk("live"))
def test_command_that_goes_on(bench: Bench, line: str) -> None:
    """What reads ports shows what comes there, until Ctrl-C."""
    if "mqtt://" in line and not MOSQUITTO:
        pytest.skip("mosquitto is not installed")
    assert bench.first is not None
    process = bench.start(line)
    try:
        with bench.first.device.open("wb", buffering=0) as board:

            def shows() -> bool:
                board.write(record(1))
                if port := re.search(r"metrics on port (\d+)", bench.printed()):
                    return any("component=gps" in name for name in scraped(int(port[1])))
                return "gps" in bench.printed()

            poll(shows, "word of the board")
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 0, bench.printed()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
@pytest.mark.parametrize("line", of_desk("control"))
def test_command_that_asks_a_board(bench: Bench, supervisor: Supervisor, line: str) -> None:
    """What asks a board gets its reply."""
    assert bench.first is not None
    board = reader(CTL, bench.first, bench.folder)
    try:
        assert bench.start(line).wait(LIMIT_S) == 0, bench.printed()
    finally:
        board.kill()
        board.wait()
    assert "result=ok" in bench.printed()
