# SPDX-License-Identifier: MIT
"""What a manifest grants becomes rfork-run's options."""

from __future__ import annotations

from pathlib import Path

import pytest
from koboshi.manifest import runner_args
from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestRefusedError

A = 'version = 1\n[component.a]\ncommand = ["/a"]\n'


def options(text: str, cgroups: str = "") -> list[str]:
    """The options for this component."""
    spec = parse(A + text, "f").components["a"]
    return runner_args.arguments(spec, "rfork-run", "/run/a", "/run/poke", cgroups)


def pairs(argv: list[str], option: str) -> list[str]:
    """The values of an option."""
    return [argv[index + 1] for index, word in enumerate(argv) if word == option]


def test_nothing_is_taken_away_unasked() -> None:
    """Without keys about it a component has what its user has."""
    argv = options("")
    assert not {
        "--capabilities",
        "--no-new-privileges",
        "--read",
        "--write",
        "--root",
        "--cgroup",
        "--hide",
        "--private-tmp",
    } & set(argv)


def test_no_spare_only_where_asked_for() -> None:
    """The runner makes the next instance ahead unless the manifest says otherwise."""
    assert "--no-spare" not in options("")
    assert "--no-spare" in options("restart.spare = false\n")


def test_no_checkpoint_only_where_asked_for() -> None:
    """A component may move its restart point unless the manifest forbids it."""
    assert "--no-checkpoint" not in options("")
    assert "--no-checkpoint" in options("restart.checkpoint = false\n")


def test_what_always_runs() -> None:
    """restart.on has what a restart follows beyond request and error; exit is not there by itself."""
    assert pairs(options(""), "--on") == ["signal,status"]
    assert pairs(options('restart.on = ["request", "error", "exit"]\n'), "--on") == ["exit"]


def test_hangs_and_longer_stops() -> None:
    """The signal for a hang and the limit of extensions are options of the runner."""
    assert "--heartbeat-signal" not in options("")
    assert pairs(options(""), "--extend-max-ms") == ["300000"]
    argv = options('heartbeat_s = 4\nheartbeat_signal = "SIGABRT"\nextend_max_s = 0\n')
    assert pairs(argv, "--heartbeat-signal") == ["SIGABRT"]
    assert pairs(argv, "--extend-max-ms") == ["0"]


def test_grants() -> None:
    """Capabilities are a mask, files and sockets are named one by one."""
    argv = options(
        'capabilities = ["net_bind_service", "chown"]\nno_new_privileges = true\nroot = "/jail"\n'
        'access = { read = ["/usr", "/lib"], write = ["/data/a"] }\ngroups = ["dialout"]\n'
        'listen = ["tcp:80", "unix:/run/a.sock"]\n'
        "stored_descriptors = 3\n"
        'mounts = { hide = ["/data/secret"], read_only = ["/etc", "/data"], private_tmp = true }\n'
    )
    assert pairs(argv, "--capabilities") == ["401"]
    assert "--no-new-privileges" in argv
    assert pairs(argv, "--read") == ["/usr", "/lib"]
    assert pairs(argv, "--write") == ["/data/a"]
    assert pairs(argv, "--root") == ["/jail"]
    assert pairs(argv, "--hide") == ["/data/secret"]
    assert pairs(argv, "--read-only") == ["/etc", "/data"]
    assert "--private-tmp" in argv
    assert pairs(argv, "--store") == ["3"]
    assert pairs(argv, "--group") == ["dialout"]
    assert pairs(argv, "--listen") == ["tcp:80", "unix:/run/a.sock"]


def test_no_capabilities_at_all() -> None:
    """An empty list is something else than no list."""
    assert pairs(options("capabilities = []"), "--capabilities") == ["0"]


def test_control_groups() -> None:
    """Each component has a control group of its own where there are any; limits ask for one in any case."""
    assert pairs(options("", "/sys/fs/cgroup/koboshi"), "--cgroup") == ["/sys/fs/cgroup/koboshi/a"]
    argv = options("cgroup = { memory_mb = 2, processes = 9, cpu_percent = 150 }")
    assert pairs(argv, "--cgroup") == ["/sys/fs/cgroup/koboshi/a"]
    assert pairs(argv, "--cgroup-set") == ["memory.max=2097152", "pids.max=9", "cpu.max=150000 100000"]


@pytest.mark.parametrize(
    ("text", "key", "word"),
    [
        ('capabilities = ["net_admn"]', "component.a.capabilities", "did you mean net_admin?"),
        ('access = { read = ["usr"] }', "component.a.access.read", "no absolute path"),
        ('mounts = { hide = ["/"] }', "component.a.mounts.hide", "not allowed"),
        ("mounts = { private_tmp = 1 }", "component.a.mounts.private_tmp", "an integer"),
        ('stored_descriptors = 16\nlisten = ["tcp:80"]', "component.a.stored_descriptors", "more than 16"),
        ('ready = "file:/tmp/x"\nmounts.private_tmp = true', "component.a.ready", "private_tmp"),
        ('stored_descriptors = 1\nready = "fd:9"', "component.a.stored_descriptors", "that of ready"),
        ('listen = ["tcp:0"]', "component.a.listen", "not allowed"),
        ('listen = ["tcp:80", "tcp:81"]\nready = "fd:4"', "component.a.ready", "of a socket"),
        ('ready = "fd:2"', "component.a.ready", "no way of being ready"),
        ('on_restart = { b = "restart" }', "component.a.on_restart", "none of its needs"),
        ('on_restart = { b = "kill" }', "component.a.on_restart", "unknown"),
        ("vital = 1", "component.a.vital", "an integer"),
        ("cgroup = { memory_mb = 0 }", "component.a.cgroup.memory_mb", "out of range"),
        ("heartbeat_s = 40\ncold.window_s = 1000", "component.a.ladder.good_run_s", "never trips"),
        ('safe = true\nneeds = ["b"]\n[component.b]\ncommand = ["/b"]', "component.a.needs", "safe state"),
    ],
)
def test_wrong_grants(text: str, key: str, word: str) -> None:
    """What makes no sense is refused at its line and key."""
    with pytest.raises(ManifestRefusedError) as caught:
        parse(A + text, "f")
    assert key in [error.key for error in caught.value.errors]
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [("watchdog_s = 9", "device.watchdog_s"), ('record = "data"', "device.record"), ("x = 1", "device.x")],
)
def test_wrong_device(text: str, key: str) -> None:
    """So is what is wrong about the device."""
    with pytest.raises(ManifestRefusedError) as caught:
        parse(A + "[device]\n" + text, "f")
    assert [error.key for error in caught.value.errors] == [key]


P = 'version = 1\n[component.a]\npython = "a"\n'


def environment(text: str, python_path: str = "") -> dict[str, str]:
    """What this component gets besides the runner's environment."""
    given = runner_args.environment(parse(text, "f").components["a"], python_path)
    return dict(pair.split("=", 1) for pair in given.decode().split("\0") if pair)


def test_python_finds_the_modules_of_the_image() -> None:
    """`python =` needs no PYTHONPATH for rfork and the image's components; a program gets none."""
    modules = str(Path(runner_args.__file__).parents[2])
    assert environment(P) == {"PYTHONPATH": modules}
    assert environment(A) == {}
    argv = runner_args.arguments(parse(P, "f").components["a"], "rfork-run", "/run/a", "/run/poke", "")
    assert pairs(argv, "--env-fd") == [str(runner_args.ENVIRONMENT_FD)]
    assert pairs(options(""), "--env-fd") == []


def test_own_python_path_comes_first() -> None:
    """A path in the manifest, or else the supervisor's, stays, and comes before the image's modules."""
    modules = str(Path(runner_args.__file__).parents[2])
    assert environment(P, "/theirs") == {"PYTHONPATH": f"/theirs:{modules}"}
    own = P + f'environment = {{ PYTHONPATH = "/opt/x:{modules}", A = "b" }}\n'
    assert environment(own, "/theirs") == {"PYTHONPATH": f"/opt/x:{modules}", "A": "b"}
