# SPDX-License-Identifier: MIT
"""Describes what happens when the device starts, and when a component crashes, hangs or exits."""

from __future__ import annotations

from koboshi.manifest.model import Component, Manifest

WIDTH = 110


def text(manifest: Manifest, name: str = "") -> str:
    """Explain one component, or the whole device and each of its components."""
    names = [name] if name else list(manifest.components)
    parts = [] if name else [device(manifest)]
    return "\n\n".join([*parts, *(component(manifest, manifest.components[each]) for each in names)]) + "\n"


def seconds(value: float) -> str:
    """`0.5 s`, `2 min`, `1 h`, `24 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if value >= length and value % length == 0:
            return f"{value / length:g} {unit}"
    return f"{value:g} s"


def times(count: float) -> str:
    """`once`, `twice`, `5 times`."""
    return {1: "once", 2: "twice"}.get(int(count), f"{int(count)} times")


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def device(manifest: Manifest) -> str:
    """Explain the start and the device's last steps."""
    d = manifest.device
    lines = ["The device", f"  starts {_order(manifest)}."]
    vital = [c.name for c in manifest.components.values() if c.values.get("vital")]
    if not vital:
        lines.append("  never reboots because of a component: none is vital.")
    elif d.get("record"):
        lines.append(
            f"  reboots when {_one_of(vital)} is given up, or out of service for "
            f"{seconds(_number(d, 'vital_s'))}: "
            f"{times(_number(d, 'reboots'))} at most, which come back in "
            f"{seconds(_number(d, 'reboot_window_s'))} "
            "of service. After that it enters the safe state."
        )
    else:
        lines.append(
            f"  enters the safe state when {_one_of(vital)} is given up, or out of service for "
            f"{seconds(_number(d, 'vital_s'))}: without device.record there is no reboot."
        )
    safe = [c.name for c in manifest.components.values() if c.values.get("safe")]
    lines.append(
        f"  runs {listed(safe) if safe else 'no component'} in the safe state, and the shell on the console."
    )
    if d.get("watchdog"):
        lines.append(f"  is reset by {d['watchdog']} if the supervisor is silent for {d['watchdog_s']} s.")
    return "\n".join(lines)


def _number(values: dict[str, object], key: str) -> float:
    value = values[key]
    assert isinstance(value, (int, float))
    return value


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _order(manifest: Manifest) -> str:
    waves: dict[int, list[str]] = {}
    depth: dict[str, int] = {}
    for c in manifest.components.values():
        depth[c.name] = 1 + max((depth[need] for need in c.needs), default=-1)
        waves.setdefault(depth[c.name], []).append(c.name)
    return "; then ".join(listed(names) for _, names in sorted(waves.items())) or "nothing"


def dependents(manifest: Manifest, name: str) -> list[str]:
    """Return all direct and indirect dependents, in starting order."""
    found: list[str] = []
    for c in manifest.components.values():
        if {name, *found}.intersection(c.needs):
            found.append(c.name)
    return found


def component(manifest: Manifest, c: Component) -> str:
    """Explain one component, event by event."""
    lines = [c.name, f"  runs {' '.join(c.argv())}", f"  starts {_start(c)}."]
    lines.append(f"  When it crashes: {_crash(c)}")
    if c.values.get("heartbeat_s") is not None:
        beat = seconds(c.number("heartbeat_s"))
        lines.append(f"  When it hangs: without WATCHDOG=1 for {beat} it is killed, and that is a crash.")
    else:
        lines.append("  When it hangs: Koboshi does not notice; set heartbeat_s to detect hangs.")
    lines.append(f"  When that is not enough: {_ladder(manifest, c)}")
    lines.append(f"  When it ends: {_end(c)}")
    stop = seconds(c.number("stop_timeout_s"))
    lines.append(
        f"  When an operator stops it: SIGTERM, after {stop} SIGKILL; it stays stopped until `start`."
    )
    return "\n".join(_wrapped(line) for line in lines)


def _start(c: Component) -> str:
    after = f"after {listed(list(c.needs))}, " if c.needs else ""
    ready, limit = c.get("ready") or "none", seconds(c.number("ready_timeout_s"))
    kind, _, what = ready.partition(":")
    says = {
        "none": "and counts as ready as soon as it runs",
        "notify": f"and is ready when it says READY=1, within {limit}",
        "file": f"and is ready when {what} exists, within {limit}",
        "port": f"and is ready when it takes connections on port {what}, within {limit}",
    }
    return f"{after}as {c.get('user')}, {says.get(kind, ready)}" + (
        "" if ready == "none" else ", or is killed"
    )


def _crash(c: Component) -> str:
    return (
        "it runs again at once, from its checkpoint if it has one and has run for "
        f"{seconds(c.number('restart.probation_s'))} "
        f"since, else from its start: up to {times(c.number('restart.burst'))} in "
        f"{seconds(c.number('restart.window_s'))}. "
        "Other components are not touched."
    )


def _ladder(manifest: Manifest, c: Component) -> str:
    steps = []
    if attempts := c.number("cold.attempts"):
        delay, most = seconds(c.number("cold.delay_s")), seconds(c.number("cold.delay_max_s"))
        steps.append(f"it is started again {times(attempts)}, after {delay}, then twice that, up to {most}")
    needing = dependents(manifest, c.name)
    if needing and (count := _maybe(c, "ladder.dependents")):
        steps.append(
            f"it is restarted with {listed(needing)}, which need{'s' if len(needing) == 1 else ''} "
            f"it, {times(count)}"
        )
    if (group := c.values.get("group")) and (count := _maybe(c, "ladder.group")):
        members = [
            o.name for o in manifest.components.values() if o.values.get("group") == group and o is not c
        ]
        if members:
            steps.append(f"with its group {group} ({listed(members)}), {times(count)}")
    end = (
        "the device reboots, or enters the safe state"
        if c.values.get("vital")
        else "it is given up; the others run on"
    )
    text = "; then ".join([*steps, end]) + "."
    if same := _maybe(c, "ladder.same_fault"):
        text += f" The same fault {times(same)} in a row counts as not enough, too."
    return text


def _maybe(c: Component, key: str) -> float:
    value = c.values.get(key)
    return value if isinstance(value, (int, float)) else 0


def _end(c: Component) -> str:
    on = c.words("restart.on")
    other = "it runs again, as after a crash" if "status" in on else "its runner ends, and the ladder decides"
    return f"with 0 it has ended, and stays so; with 85 it asked to run again, and does; else {other}."


def _wrapped(line: str) -> str:
    import textwrap

    indent = len(line) - len(line.lstrip())
    more = " " * (indent + 4 if ": " in line else indent + 2)
    return textwrap.fill(line, WIDTH, initial_indent="", subsequent_indent=more, break_long_words=False)
