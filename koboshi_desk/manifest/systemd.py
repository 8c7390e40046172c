# SPDX-License-Identifier: MIT
"""`koboshi manifest from-systemd UNIT...`: converts units to components and lists what is left out."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestError, ManifestRefusedError

from koboshi_desk.manifest import units
from koboshi_desk.manifest.converted import Converted
from koboshi_desk.manifest.from_unit import component
from koboshi_desk.manifest.units import Unit, UnitError

HEAD = "# From systemd units. What is not carried over stands above each component.\nversion = 1\n"


def text(found: Sequence[Unit]) -> str:
    """Return a manifest with one component per service; a socket belongs to the service of its name."""
    return _text(*_convert(found))


def _text(made: Sequence[Converted], rest: Sequence[str]) -> str:
    return "\n".join([HEAD, *(each.toml() for each in made), *rest])


def _convert(found: Sequence[Unit]) -> tuple[list[Converted], list[str]]:
    """The components, and remarks about units that belong to none."""
    services: dict[str, Unit] = {}
    sockets: dict[str, list[Unit]] = {}
    for unit in found:
        if unit.kind == "socket":
            sockets.setdefault(_service_of(unit), []).append(unit)
        elif unit.name in services:
            raise UnitError(f"{unit.name}.service: there are two files of this name")
        else:
            services[unit.name] = unit
    names = _names(services)
    made = [component(unit, sockets.pop(name, []), names) for name, unit in services.items()]
    rest = [
        f"# {unit.name}.socket: there is no {name}.service among the files\n"
        for name, units_of in sockets.items()
        for unit in units_of
    ]
    _leave_out_refused(made)
    return made, rest


def _service_of(socket: Unit) -> str:
    return socket.last("Socket.Service").removesuffix(".service") or socket.name


def _names(services: dict[str, Unit]) -> dict[str, str]:
    """A valid component name for each unit, close to its own, and each only once."""
    names: dict[str, str] = {}
    for unit in services:
        base = re.sub(r"[^a-z0-9-]+", "-", unit.lower()).strip("-")[:32].strip("-") or "component"
        name, number = base, 1
        while name in names.values():
            number += 1
            name = f"{base[: 31 - len(str(number))]}-{number}"
        names[unit] = name
    return names


def _leave_out_refused(made: Sequence[Converted]) -> None:
    """Leave out, with a remark, what the device would refuse and a component can do without."""
    for _ in range(sum(len(each.values) for each in made)):
        if not any(_leave_out(made, error) for error in _refusals(made)):
            return


def _refusals(made: Sequence[Converted]) -> list[ManifestError]:
    try:
        parse(_text(made, []), "the manifest")
    except ManifestRefusedError as refused:
        return refused.errors
    return []


def _leave_out(made: Sequence[Converted], error: ManifestError) -> bool:
    for each in made:
        prefix = f"component.{each.name}."
        if error.key.startswith(prefix):
            return each.leave_out(error.key.removeprefix(prefix), error.problem, error.expected)
    return False


def run(paths: Sequence[Path]) -> int:
    """Print the manifest; if the device would reject it, print why to standard error and return 1."""
    made = text([units.read(path) for path in paths])
    print(made, end="")
    try:
        parse(made, "the manifest")
    except ManifestRefusedError as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0
