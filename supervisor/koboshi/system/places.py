# SPDX-License-Identifier: MIT
"""Whether this device has what a manifest names: programs, folders, users and groups (`koboshictl check`)."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator

from koboshi.manifest.files import load
from koboshi.manifest.model import Component, Manifest, ManifestError
from koboshi.manifest.users import located

_HEAD_BYTES = 4096
_INTERPRETER = 3  # PT_INTERP of elf(5)
Problem = tuple[str, str, str]  # key, what is wrong, what would be right


def check(manifest: Manifest) -> list[ManifestError]:
    """What is missing on this device, in the order of its lines."""
    users, groups = _names("/etc/passwd"), _names("/etc/group")
    found = [
        (name, *problem)
        for name, component in manifest.components.items()
        for problem in (*_program(component), *_folders(component), *_owners(component, users, groups))
    ]
    return located(manifest, found)


def _program(component: Component) -> Iterator[Problem]:
    root = component.get("root")
    if root is not None and not os.path.isdir(root):
        yield "root", f"{root} is not a folder", "a folder of this device"
        return
    key = "python" if component.get("python") is not None else "command"
    name = component.argv()[0]
    if root is not None:
        # Its links may lead anywhere below that root.
        if not os.path.lexists(_below(component, name)):
            yield key, f"{name} does not exist below root", "a program of this device"
    elif not os.path.exists(name):
        yield key, f"{name} does not exist", "a program of this device"
    elif not os.path.isfile(name) or not os.access(name, os.X_OK):
        yield key, f"{name} is not executable", "a file with the right to execute it (chmod +x)"
    else:
        needed = interpreter(name)
        if needed and not os.path.exists(needed):
            yield key, f"{name} needs {needed}, which does not exist", "a program for this device's C library"


def interpreter(program: str) -> str:
    """What executes a script, or links a program; "" if there is nothing of that kind."""
    try:
        with open(program, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return ""
    if head[:2] == b"#!":
        words = head[2:].partition(b"\n")[0].split()
        return os.fsdecode(words[0]) if words else ""
    if head[:5] != b"\x7fELF\x02" or len(head) < 64:
        return ""
    (table,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
    for start in range(table, min(table + size * count, len(head) - 55), size or len(head)):
        kind, _flags, offset, _virtual, _physical, length = struct.unpack_from("<IIQQQQ", head, start)
        if kind == _INTERPRETER:
            return os.fsdecode(head[offset : offset + length].rstrip(b"\0"))
    return ""


def _folders(component: Component) -> Iterator[Problem]:
    directory, output = str(component.get("directory")), component.get("output")
    known = os.path.isdir(_below(component, "/"))
    hidden = component.values["mounts.private_tmp"] is True and (directory + "/").startswith("/tmp/")
    if known and not hidden and not os.path.isdir(_below(component, directory)):
        yield "directory", f"{directory} is not a folder", "a folder of this device"
    if output is not None and output.startswith("/") and not os.path.isdir(os.path.dirname(output)):
        yield "output", f"{os.path.dirname(output)} is not a folder", "a file in a folder of this device"


def _owners(component: Component, users: set[str], groups: set[str]) -> Iterator[Problem]:
    user = str(component.get("user"))
    if user not in users and user != "root":
        yield "user", f"{user} is no user of this device", "one in /etc/passwd"
    for group in component.words("groups"):
        if group not in groups:
            yield "groups", f"{group} is no group of this device", "one in /etc/group"


def _below(component: Component, path: str) -> str:
    return (component.get("root") or "") + path


def _names(file: str) -> set[str]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as lines:
            return {line.partition(":")[0] for line in lines}
    except OSError:
        return set()


def main(path: str) -> int:
    """Print what is missing for a manifest without mistakes; 1 if anything is."""
    errors = check(load(path))
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0
