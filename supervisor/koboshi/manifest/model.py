# SPDX-License-Identifier: MIT
"""The manifest in normal form (docs/manifest.md), for the device and the host.

`check` reads and checks manifests. It is separate because a device needs it only for a moment.
"""

from __future__ import annotations

PYTHON = "/usr/bin/python3"
# Beside the manifest: more files with components, one or several in each.
FOLDER = "components.d"
SUFFIX = ".toml"
Texts = tuple[tuple[str, str], ...]  # file and contents


class ManifestError(Exception):
    """One mistake in a manifest: where it is, what is wrong, and what would be right."""

    def __init__(self, file: str, line: int, key: str, problem: str, expected: str) -> None:
        super().__init__(f"{file}:{line}: {key}: {problem}; {expected}")
        self.file = file
        self.line = line
        self.key = key
        self.problem = problem
        self.expected = expected


class ManifestRefusedError(Exception):
    """A manifest with mistakes: all of them, in the order of their lines."""

    def __init__(self, errors: list[ManifestError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


class Component:
    """One component, every default filled in. Two with equal `values` are the same component."""

    __slots__ = ("name", "values")

    def __init__(self, name: str, values: dict[str, object]) -> None:
        self.name = name
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Component) and (self.name, self.values) == (other.name, other.values)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Component({self.name!r}, {self.values!r})"

    def get(self, key: str) -> str | None:
        """A string, or None where there is none."""
        value = self.values[key]
        return None if value is None else str(value)

    def number(self, key: str) -> float:
        """A number; integers are numbers."""
        value = self.values[key]
        assert isinstance(value, (int, float))
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """An array of strings."""
        value = self.values[key]
        assert isinstance(value, tuple)
        return value

    def table(self, key: str) -> dict[str, object]:
        """A table."""
        value = self.values[key]
        assert isinstance(value, dict)
        return value

    @property
    def needs(self) -> tuple[str, ...]:
        """The components that are ready before this one starts."""
        return self.words("needs")

    def argv(self) -> list[str]:
        """What rfork-run executes: `command`, or Python with the entry point."""
        entry = self.get("python")
        if entry is None:
            return list(self.words("command"))
        module, colon, function = entry.partition(":")
        if not colon:
            return [PYTHON, "-m", module, *self.words("arguments")]
        start = (
            f"import sys; sys.argv[0] = {module!r}; from {module} import {function}; sys.exit({function}())"
        )
        return [PYTHON, "-c", start, *self.words("arguments")]


class Manifest:
    """All components, each after those it needs."""

    __slots__ = ("components", "device", "file", "more", "text")

    def __init__(
        self,
        file: str,
        text: str,
        components: dict[str, Component],
        device: dict[str, object],
        more: Texts = (),
    ) -> None:
        self.file = file
        self.text = text
        # The files of components.d, and what is in them.
        self.more = more
        self.components = components
        # [device], every default filled in.
        self.device = device


# As plain values, which a child may hand to its parent: True and the manifest, or False and the mistakes.
Plain = tuple[bool, tuple[object, ...]]


def plain(manifest: Manifest) -> Plain:
    """The inverse of `from_plain`."""
    components = {name: component.values for name, component in manifest.components.items()}
    return True, (manifest.file, manifest.text, components, manifest.device, manifest.more)


def plain_refusal(refused: ManifestRefusedError) -> Plain:
    """The inverse of `from_plain`."""
    return False, tuple((e.file, e.line, e.key, e.problem, e.expected) for e in refused.errors)


def from_plain(values: Plain) -> Manifest | ManifestRefusedError:
    """What `plain` or `plain_refusal` was made of."""
    right, parts = values
    if not right:
        return ManifestRefusedError([ManifestError(*part) for part in parts if isinstance(part, tuple)])
    file, text, components, device, more = parts
    assert isinstance(components, dict)
    assert isinstance(device, dict)
    assert isinstance(more, tuple)
    made = {name: Component(name, found) for name, found in components.items()}
    return Manifest(str(file), str(text), made, device, more)


def unreadable(file: str, reason: str) -> ManifestRefusedError:
    """The refusal of a file that cannot be read."""
    expected = "a readable TOML file"
    return ManifestRefusedError([ManifestError(file, 1, "(file)", f"cannot be read: {reason}", expected)])
