# SPDX-License-Identifier: MIT
"""The manifest at a start and at a reload, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

from koboshi.control import answer

from tests.unit.device.fake_system import CHAIN, ETC, ONE, RUN, World, boot, pump, sleep, states


def test_refused_at_the_first_start(world: World) -> None:
    """A manifest refused at boot is told with file, line and key; the supervisor waits for a better one."""
    supervisor = boot(world, "version = 1\n[component.a]\ncomand = []")
    refused = [record.keys for record in world.records() if record.event == "manifest"]
    assert [(keys["result"], keys["line"], keys["key"]) for keys in refused] == [
        ("refused", "2", "component.a.command"),
        ("refused", "3", "component.a.comand"),
    ]
    world.write(f"{ETC}/koboshi.toml", ONE.encode())
    assert answer(supervisor, "reload", None) == {"ok": True}
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}


def test_a_successor_without_a_manifest(world: World) -> None:
    """If no manifest of this boot was accepted, the next supervisor waits for one as its predecessor did."""
    boot(world, "version = 2")
    supervisor = boot(world)
    sleep(supervisor, 5)
    world.write(f"{ETC}/koboshi.toml", ONE.encode())
    assert answer(supervisor, "reload", None) == {"ok": True}
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}


def test_a_successor_that_rejects_the_manifest(world: World) -> None:
    """If an update has become stricter, the supervisor adopts what runs, and keeps it running."""
    boot(world, ONE)
    runner = world.runner("a")
    state = json.loads(world.files[f"{RUN}/state.json"][1])
    world.write(f"{RUN}/state.json", json.dumps({**state, "manifest": "version = 2"}).encode())
    supervisor = boot(world, "version = 2")
    assert (supervisor.known.adopted, states(supervisor)) == (1, {"a": "ready"})
    assert world.runner("a") is runner


def test_refused_at_a_later_start(world: World) -> None:
    """A supervisor that finds a wrong manifest goes on with the one accepted before, cold starts included."""
    boot(world, ONE)
    supervisor = boot(world, "version = 2")
    assert states(supervisor) == {"a": "ready"}
    world.runner("a").finish("burst")
    pump(supervisor)
    sleep(supervisor, 2)
    assert states(supervisor) == {"a": "ready"}


def test_refused_reload_changes_nothing(world: World) -> None:
    """A reload of a wrong manifest is answered with its mistakes, and every component keeps its PID."""
    supervisor = boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    world.write(f"{ETC}/koboshi.toml", b"version = 1\n[component.a]\n")
    reply = answer(supervisor, "reload", None)
    pump(supervisor)
    assert reply["errors"] == [
        f"{ETC}/koboshi.toml:2: component.a.command: is missing; "
        'command = ["/bin/program"], or python = "module"'
    ]
    assert {name: world.runner(name).pid for name in "abc"} == before


def test_a_reload_with_an_unknown_user(world: World) -> None:
    """A user whom this device does not have is refused before anything is stopped."""
    world.write("/etc/passwd", b"root:x:0:0::/:/bin/sh\nkoboshi:x:100:100::/:/bin/false\n")
    supervisor = boot(world, ONE + 'user = "koboshi"\n')
    before = world.runner("a").pid
    world.write(f"{ETC}/koboshi.toml", (ONE + 'user = "kobo"\n').encode())
    reply = answer(supervisor, "reload", None)
    pump(supervisor)
    assert reply["errors"] == [
        f"{ETC}/koboshi.toml:5: component.a.user: kobo is no user of this device; one in /etc/passwd"
    ]
    assert world.runner("a").pid == before


def test_reload(world: World) -> None:
    """What is new is started, what is gone stopped, what is changed both, what is the same left alone."""
    supervisor = boot(world, CHAIN)
    before = {name: world.runner(name).pid for name in "abc"}
    changed = CHAIN.replace('["/b"]', '["/b", "-x"]').replace("component.c", "component.d")
    world.write(f"{ETC}/koboshi.toml", changed.encode())
    answer(supervisor, "reload", None)
    pump(supervisor)
    assert states(supervisor) == {"a": "ready", "b": "ready", "d": "ready"}
    assert world.runner("a").pid == before["a"]
    assert world.runner("b").pid != before["b"]
    assert world.runner("b").argv[-2:] == ["/b", "-x"]
    assert world.holder("c") is None
    assert world.names("c")[-3:] == ["stopping", "end", "stopped"]


def test_components_d(world: World) -> None:
    """Files in components.d add components, a reload takes what has changed, a mistake names its file."""
    world.write(f"{ETC}/components.d/b.toml", b'[component.b]\ncommand = ["/b"]\nneeds = ["a"]\n')
    supervisor = boot(world, ONE)
    assert states(supervisor) == {"a": "ready", "b": "ready"}
    before = world.runner("a").pid
    supervisor = boot(world)
    assert world.runner("a").pid == before
    world.write(f"{ETC}/components.d/c.toml", b'\n[component.c]\ncommand = ["/c"]\nneeds = ["x"]\n')
    world.write(f"{ETC}/components.d/d.toml", b'[component.a]\ncommand = ["/c"]\n[device]\nreboots = 1\n')
    errors = answer(supervisor, "reload", None)["errors"]
    assert isinstance(errors, list)
    assert [error.partition(": ")[0] for error in errors] == [
        f"{ETC}/components.d/d.toml:1",
        f"{ETC}/components.d/d.toml:3",
        f"{ETC}/components.d/c.toml:4",
    ]
    assert states(supervisor) == {"a": "ready", "b": "ready"}
    for name in ("b", "c", "d"):
        del world.files[f"{ETC}/components.d/{name}.toml"]
    assert answer(supervisor, "reload", None)["ok"] is True
    pump(supervisor)
    assert states(supervisor) == {"a": "ready"}
    assert world.runner("a").pid == before


def test_the_group_of_a_removed_component_goes(world: World, tmp_path: Path) -> None:
    """A component's control group is removed with the component, and stays while it is in the manifest."""
    supervisor = boot(world, CHAIN)
    supervisor.paths.cgroups = str(tmp_path)
    for name in "abc":
        (tmp_path / name).mkdir()
    world.write(f"{ETC}/koboshi.toml", ONE.encode())
    answer(supervisor, "reload", None)
    pump(supervisor)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
