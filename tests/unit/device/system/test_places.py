# SPDX-License-Identifier: MIT
"""What `koboshictl check` finds missing on the device, beyond mistakes in the manifest itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from koboshi.manifest.check import parse
from koboshi.system import places

HEAD = "version = 1\n[component.a]\n"


def missing(text: str) -> list[str]:
    """What is missing for this component, as it is printed."""
    return [str(error) for error in places.check(parse(HEAD + text, "f"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('command = ["/no/program", "1"]', "f:3: component.a.command: /no/program does not exist; "),
        ('command = ["/etc/passwd"]', "f:3: component.a.command: /etc/passwd is not executable; "),
        ('command = ["/usr"]', "f:3: component.a.command: /usr is not executable; "),
        (
            'command = ["/bin/sh"]\ndirectory = "/no/folder"',
            "f:4: component.a.directory: /no/folder is not a folder; ",
        ),
        (
            'command = ["/bin/sh"]\noutput = "/no/folder/log"',
            "f:4: component.a.output: /no/folder is not a folder; ",
        ),
        ('command = ["/bin/sh"]\nuser = "nobdy"', "f:4: component.a.user: nobdy is no user of this device; "),
        (
            'command = ["/bin/sh"]\ngroups = ["x-9"]',
            "f:4: component.a.groups: x-9 is no group of this device; ",
        ),
        (
            'command = ["/no/sh"]\nroot = "/usr"',
            "f:3: component.a.command: /no/sh does not exist below root; ",
        ),
        (
            'command = ["/bin/sh"]\nroot = "/no/root"',
            "f:4: component.a.root: /no/root is not a folder; ",
        ),
    ],
)
def test_what_is_missing(text: str, said: str) -> None:
    """Each has the line and the key, and is found before the component is started."""
    assert missing(text)[0].startswith(said)


def test_nothing_is_missing() -> None:
    """A program, a folder and a user that exist are right, and so is a private /tmp."""
    assert missing('command = ["/bin/sh"]\ndirectory = "/usr"\nuser = "root"\noutput = "console"\n') == []
    assert missing('command = ["/bin/sh"]\ndirectory = "/tmp/own"\nmounts = { private_tmp = true }\n') == []


def test_an_interpreter_that_is_missing(tmp_path: Path) -> None:
    """Of a script, and of a program for another C library, where execve(2) only says ENOENT."""
    script = tmp_path / "script"
    script.write_text("#!/no/shell -e\n")
    shell = shutil.which("sh")
    assert shell is not None
    linked = places.interpreter(shell)
    assert linked.startswith("/lib")
    program = tmp_path / "program"
    program.write_bytes(Path(shell).read_bytes().replace(linked.encode(), b"/no" + linked.encode()[3:]))
    for file, needed in ((script, "/no/shell"), (program, "/no" + linked[3:])):
        file.chmod(0o755)
        assert f"{file} needs {needed}, which does not exist" in missing(f'command = ["{file}"]')[0]


@pytest.mark.parametrize("length", [0, 1, 4, 5, 20, 63, 64, 100, 200])
def test_a_program_that_is_cut_off(tmp_path: Path, length: int) -> None:
    """Half a file has no interpreter, and is no error of the check."""
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/sh").read_bytes()[:length])
    assert places.interpreter(str(program)) == ""
