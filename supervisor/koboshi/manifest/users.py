# SPDX-License-Identifier: MIT
"""Whether this device has the users that a manifest names, which a host cannot know."""

from __future__ import annotations

from koboshi.manifest.check import decode
from koboshi.manifest.model import Manifest, ManifestError, ManifestRefusedError, Plain, plain, plain_refusal
from koboshi.manifest.toml_lines import Path, line_of, locate


def judged(data: bytes, file: str, more: tuple[tuple[str, bytes], ...], passwd: bytes | None) -> Plain:
    """The manifest of these contents, for a device with these users, or what is wrong with it."""
    try:
        manifest = decode(data, file, more)
        if passwd is not None:
            check(manifest, passwd)
    except ManifestRefusedError as refused:
        return plain_refusal(refused)
    return plain(manifest)


def check(manifest: Manifest, passwd: bytes) -> None:
    """ManifestRefusedError with each user who is not in `passwd`, the contents of /etc/passwd.

    rfork-run looks them up there by name and would refuse to start the component.
    """
    known = {line.partition(":")[0] for line in passwd.decode("utf-8", "surrogateescape").splitlines()}
    wrong = [name for name, component in manifest.components.items() if component.get("user") not in known]
    if not wrong:
        return
    expected = "one in /etc/passwd"
    found = [
        (name, "user", f"{manifest.components[name].get('user')} is no user of this device", expected)
        for name in wrong
    ]
    raise ManifestRefusedError(located(manifest, found))


def located(manifest: Manifest, found: list[tuple[str, str, str, str]]) -> list[ManifestError]:
    """Mistakes, each of a component and a key of it, in the order of their lines."""
    places = [(file, locate(text)) for file, text in ((manifest.file, manifest.text), *manifest.more)]
    errors: list[ManifestError] = []
    for name, key, problem, expected in found:
        path: Path = ("component", name, key)
        file, lines = next((p for p in places if ("component", name) in p[1]), places[0])
        errors.append(ManifestError(file, line_of(lines, path), ".".join(map(str, path)), problem, expected))
    return sorted(errors, key=lambda error: error.line)
