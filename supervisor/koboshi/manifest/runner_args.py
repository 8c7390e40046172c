# SPDX-License-Identifier: MIT
"""The command line of rfork-run for a component (docs/runner.md)."""

from __future__ import annotations

from koboshi.manifest.capabilities import CAPABILITIES
from koboshi.manifest.model import Component

_MIB = 1 << 20
ENVIRONMENT_FD = 3
# The folder of this package; the image has the module rfork and its components' modules there too.
_MODULES = __file__.rsplit("/", 3)[0]
# The manifest's limits, as rfork-run calls them, and how many of its units one of the manifest's is.
_LIMITS = {
    "memory_mb": ("as", _MIB),
    "files": ("nofile", 1),
    "core_mb": ("core", _MIB),
    "processes": ("nproc", 1),
}
_LISTS = (
    ("--group", "groups"),
    ("--listen", "listen"),
    ("--read", "access.read"),
    ("--write", "access.write"),
    ("--hide", "mounts.hide"),
    ("--read-only", "mounts.read_only"),
)
_OUTPUTS = {"console": "/dev/console", "discard": "/dev/null"}


def arguments(component: Component, program: str, directory: str, poke: str, cgroups: str) -> list[str]:
    """`program` is rfork-run, `directory` the component's state folder, `poke` the supervisor's socket.

    `cgroups` is the folder of the components' control groups, "" where there are none.
    """
    argv = [program, "--name", component.name, "--state", directory, "--poke", poke]
    argv += ["--backend", str(component.get("restart.backend"))]
    argv += _restart(component) + _readiness(component)
    argv += ["--stop-ms", _ms(component, "stop_timeout_s"), "--extend-max-ms", _ms(component, "extend_max_s")]
    argv += ["--directory", str(component.get("directory"))]
    # Without the option rfork-run changes nothing, which is also how an ordinary user can run it.
    if component.get("user") != "root":
        argv += ["--user", str(component.get("user"))]
    if component.table("environment") or component.get("python") is not None:
        argv += ["--env-fd", str(ENVIRONMENT_FD)]
    for key, (name, unit) in _LIMITS.items():
        limit = component.values[f"limits.{key}"]
        if isinstance(limit, int):
            argv += ["--rlimit", f"{name}={limit * unit}"]
    argv += _grants(component) + _control_group(component, cgroups)
    if component.values["output_bytes_s"] is not None:
        argv += ["--output-rate", str(component.values["output_bytes_s"])]
    output = component.get("output") or directory + "/output"
    return [*argv, "--output", _OUTPUTS.get(output, output), "--", *component.argv()]


def environment(component: Component, python_path: str = "") -> bytes:
    """What rfork-run reads from ENVIRONMENT_FD: a command line is for everybody to read.

    `python_path` is the supervisor's own PYTHONPATH, which the component would inherit.
    """
    pairs = component.table("environment")
    if component.get("python") is not None:
        pairs = {**pairs, "PYTHONPATH": _python_path(str(pairs.get("PYTHONPATH", python_path)))}
    return b"".join(f"{name}={value}\0".encode("utf-8", "surrogateescape") for name, value in pairs.items())


def _python_path(given: str) -> str:
    """Where Python finds rfork and the image's components, after the folders that are given."""
    folders = [folder for folder in given.split(":") if folder and folder != _MODULES]
    return ":".join([*folders, _MODULES])


def _restart(component: Component) -> list[str]:
    more = [cause for cause in component.words("restart.on") if cause in ("signal", "status", "exit")]
    return [
        *("--on", ",".join(more) or "none"),
        *("--burst", str(component.values["restart.burst"])),
        *("--window-ms", _ms(component, "restart.window_s")),
        *("--probation-ms", _ms(component, "restart.probation_s")),
        *([] if component.values["restart.spare"] is True else ["--no-spare"]),
        *([] if component.values["restart.checkpoint"] is True else ["--no-checkpoint"]),
    ]


def _readiness(component: Component) -> list[str]:
    argv = ["--ready", str(component.get("ready"))]
    if component.get("ready") != "none":
        argv += ["--ready-ms", _ms(component, "ready_timeout_s")]
    if component.values["heartbeat_s"] is not None:
        argv += ["--heartbeat-ms", _ms(component, "heartbeat_s")]
    if component.values["heartbeat_signal"] is not None:
        argv += ["--heartbeat-signal", str(component.values["heartbeat_signal"])]
    return argv


def _grants(component: Component) -> list[str]:
    argv: list[str] = []
    for option, key in _LISTS:
        argv += [word for value in component.words(key) for word in (option, value)]
    if component.values["mounts.private_tmp"] is True:
        argv.append("--private-tmp")
    if stored := component.values["stored_descriptors"]:
        argv += ["--store", str(stored)]
    kept = component.values["capabilities"]
    if isinstance(kept, tuple):
        argv += ["--capabilities", f"{sum(1 << CAPABILITIES.index(name) for name in kept):x}"]
    if component.values["no_new_privileges"] is True:
        argv.append("--no-new-privileges")
    root = component.get("root")
    return argv if root is None else [*argv, "--root", root]


def _control_group(component: Component, cgroups: str) -> list[str]:
    memory, processes, percent = (
        component.values[f"cgroup.{key}"] for key in ("memory_mb", "processes", "cpu_percent")
    )
    settings: list[str] = []
    if isinstance(memory, int):
        settings.append(f"memory.max={memory * _MIB}")
    if isinstance(processes, int):
        settings.append(f"pids.max={processes}")
    if isinstance(percent, int):
        settings.append(f"cpu.max={percent * 1000} 100000")
    if not cgroups and not settings:
        return []
    folder = f"{cgroups or '/sys/fs/cgroup/koboshi'}/{component.name}"
    return ["--cgroup", folder, *(word for value in settings for word in ("--cgroup-set", value))]


def _ms(component: Component, key: str) -> str:
    # A time that is not 0 must not become 0, which means "off".
    value = component.number(key)
    return str(max(1, round(value * 1000)) if value else 0)
