# SPDX-License-Identifier: MIT
"""`koboshi manifest new`, `explain`, `graph` and `schema`."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from koboshi.manifest import check, files

from koboshi_desk import cli
from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.manifest import explain as manifest_explain
from koboshi_desk.manifest import graph as manifest_graph
from koboshi_desk.manifest import new as manifest_new
from workbench.core.repository import REPOSITORY

DEMO = REPOSITORY / "components/koboshi.toml"
BIG = """
version = 1
[device]
record = "/data/koboshi"
reboots = 2
watchdog = "/dev/watchdog"
[component.bus]
command = ["/usr/bin/bus"]
group = "wire"
vital = true
cold = { attempts = 1 }
[component.motor]
command = ["/usr/bin/motor"]
needs = ["bus"]
group = "wire"
ready = "file:/run/motor"
heartbeat_s = 0.5
restart = { on = ["request", "error"] }
[component.log]
command = ["/usr/bin/log"]
safe = true
"""


def explained(text: str, name: str = "") -> str:
    """In one line, as it is wrapped for people."""
    return " ".join(manifest_explain.text(check.parse(text, "x"), name).split())


def test_explain_follows_the_manifest() -> None:
    """Order, readiness, heartbeat, ladder, group, reboot and the safe state are told as they are set."""
    device = explained(BIG)
    for words in (
        "starts bus and log; then motor",
        "reboots when bus is given up, or out of service for 5 min: twice at most",
        "runs log in the safe state",
        "is reset by /dev/watchdog if the supervisor is silent for 30 s",
    ):
        assert words in device
    bus = explained(BIG, "bus")
    assert "started again once, after 0.5 s" in bus
    assert "restarted with motor, which needs it, once; then with its group wire (motor), once" in bus
    assert "then the device reboots" in bus
    assert "set heartbeat_s to detect hangs" in bus
    motor = explained(BIG, "motor")
    assert "starts after bus, as root, and is ready when /run/motor exists, within 30 s" in motor
    assert "without WATCHDOG=1 for 0.5 s it is killed" in motor
    assert "else its runner ends" in motor
    assert "it is given up; the others run on" in motor


def test_without_storage_there_is_no_reboot() -> None:
    """A vital component without device.record leads to the safe state, and that is said."""
    assert "without device.record there is no reboot" in explained(BIG.replace("record", "# record"))


def test_explain_of_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    """The command tells all components, or the one that is asked for, within a terminal's width."""
    assert cli.main(["manifest", "explain", str(DEMO)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= manifest_explain.WIDTH
    assert text.count("When it crashes") == 5
    assert cli.main(["manifest", "explain", str(DEMO), "gps"]) == 0
    assert capsys.readouterr().out.count("When it crashes") == 1


def test_explain_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """A component that is not there is answered with those that are."""
    assert cli.main(["manifest", "explain", str(DEMO), "nobody"]) == 1
    assert "there are syslogd" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["explain", "graph"])
def test_wrong_manifest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str) -> None:
    """What the device would not take is not explained or drawn, but its mistakes are told."""
    (tmp_path / "x.toml").write_text("version = 1\n[component.a]\n")
    assert cli.main(["manifest", action, str(tmp_path / "x.toml")]) == 1
    assert "x.toml:2: component.a" in capsys.readouterr().err


def test_graph_puts_needs_to_the_left() -> None:
    """Every component is right of all that it needs, and no two are in the same place."""
    found = files.load(str(DEMO))
    places = manifest_graph.places(found)
    assert len(set(places.values())) == len(found.components)
    for c in found.components.values():
        assert all(places[need][0] < places[c.name][0] for need in c.needs)


@pytest.mark.parametrize("text", [DEMO.read_text(), BIG, "version = 1\n"])
def test_graph_is_a_picture(text: str) -> None:
    """The picture is well-formed, and has a box a component and an arrow a need."""
    found = check.parse(text, "x")
    root = ElementTree.fromstring(manifest_graph.svg(found))
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}g")) == len(found.components)
    assert len(root.findall(f"{space}path")) == sum(len(c.needs) for c in found.components.values())


def test_graph_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture goes to a file, or to standard output."""
    assert cli.main(["manifest", "graph", str(DEMO), "--svg", str(tmp_path / "g.svg")]) == 0
    assert cli.main(["manifest", "graph", str(DEMO)]) == 0
    assert capsys.readouterr().out == (tmp_path / "g.svg").read_text()


def test_schema_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The schema that editors want is the one that is published."""
    assert cli.main(["manifest", "schema"]) == 0
    published = REPOSITORY / "supervisor/koboshi/manifest/schema.json"
    assert json.loads(capsys.readouterr().out) == json.loads(published.read_text())


def made(to: Path, *answers: str) -> str:
    """What was asked, of these answers."""
    out = io.StringIO()
    assert manifest_new.new(to, io.StringIO("".join(f"{answer}\n" for answer in answers)), out) == 0
    return out.getvalue()


def test_new_manifest(tmp_path: Path) -> None:
    """Two components and a device, from answers alone, are a manifest that says why in comments."""
    to = tmp_path / "koboshi.toml"
    gps = ["gps", "/usr/bin/gps --port /dev/ttyS1", "notify", "1.5", "y", "y"]
    made(to, *gps, "tide", "tide_table:main 2026", "gps", "port:80", "0", "n", "n", "/data/koboshi")
    found = files.load(str(to))
    gps_made, tide = found.components["gps"], found.components["tide"]
    assert gps_made.argv() == ["/usr/bin/gps", "--port", "/dev/ttyS1"]
    assert (gps_made.number("heartbeat_s"), gps_made.values["vital"]) == (1.5, True)
    assert (tide.needs, tide.get("ready"), tide.get("python")) == (("gps",), "port:80", "tide_table:main")
    assert tide.words("arguments") == ("2026",)
    assert found.device["record"] == "/data/koboshi"
    assert "# it sends READY=1" in to.read_text()


def test_wrong_answers_are_asked_again(tmp_path: Path) -> None:
    """Each answer that would not do is told what would, and asked again."""
    answers = ["GPS", "gps", "bin/gps", "/bin/gps", "maybe", "", "fast", "", "perhaps", "", "n"]
    asked = made(tmp_path / "x.toml", *answers)
    for hint in ("small letters", "an absolute path", "one of none, notify", "from 0.1", "y or n"):
        assert hint in asked
    assert files.load(str(tmp_path / "x.toml")).components["gps"].get("ready") == "none"


def test_answers_that_end_too_early(tmp_path: Path) -> None:
    """Half of a manifest is not written."""
    with pytest.raises(KoboshiError, match="nothing was written"):
        made(tmp_path / "x.toml", "gps")
    assert not (tmp_path / "x.toml").exists()


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "x.toml").write_text("mine")
    with pytest.raises(KoboshiError, match="is there already"):
        made(tmp_path / "x.toml", "gps")
    assert (tmp_path / "x.toml").read_text() == "mine"


def test_new_components_have_users_of_their_own(tmp_path: Path) -> None:
    """None is root; a serial port and a low port bring what they need; a system's user is not taken."""
    to = tmp_path / "my.toml"
    answers = ["gps", "/usr/bin/gps --port /dev/ttyS1", "notify", "0", "n", "y"]
    answers += ["web", "/usr/bin/web", "", "port:80", "0", "n", "y"]
    answers += ["daemon", "daemon:main", "", "port:8080", "0", "n", "n"]
    manifest_new.new(to, io.StringIO("".join(f"{answer}\n" for answer in answers)), io.StringIO())
    made = {name: component.get("user") for name, component in files.load(str(to)).components.items()}
    assert made == {"gps": "gps", "web": "web", "daemon": "koboshi-daemon"}
    rights = [line for line in to.read_text().splitlines() if line.startswith(("groups", "capabilities"))]
    assert [line.partition("  #")[0] for line in rights] == [
        'groups = ["dialout"]',
        'capabilities = ["net_bind_service"]',
    ]
