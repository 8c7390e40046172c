# SPDX-License-Identifier: MIT
"""Whether this device has the users that a manifest names: the one thing about it that a host cannot know."""

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
    texts = ((manifest.file, manifest.text), *manifest.more)
    places = [(file, locate(text)) for file, text in texts]
    errors: list[ManifestError] = []
    for name in wrong:
        path: Path = ("component", name, "user")
        problem = f"{manifest.components[name].get('user')} is no user of this device"
        key = ".".join(str(part) for part in path)
        file, lines = next((p for p in places if ("component", name) in p[1]), places[0])
        errors.append(ManifestError(file, line_of(lines, path), key, problem, "one in /etc/passwd"))
    raise ManifestRefusedError(sorted(errors, key=lambda error: error.line))
