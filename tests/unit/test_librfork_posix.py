# SPDX-License-Identifier: MIT
"""The portable backend of librfork needs nothing but POSIX.1-2008, and works as the only one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

LIBRFORK = Path(__file__).parents[2] / "librfork"
COMPILERS = ("cc", "musl-gcc")
# What C libraries and compilers call standard things.
OWN_NAMES = {
    "__errno_location": "errno",
    "__isoc99_sscanf": "sscanf",
    "__cmsg_nxthdr": None,  # of the macro CMSG_NXTHDR
    "__stack_chk_fail": None,
    "_GLOBAL_OFFSET_TABLE_": None,
}
# Behaviours of each part: restart, checkpoint, exec, parent, stop, events, helpers.
TESTS = "t_request,t_checkpoint,t_exec,t_owner,t_kick,t_query,t_exit_signal,t_helpers,t_rebind"

pytestmark = pytest.mark.skipif(not (shutil.which("make") and shutil.which("nm")), reason="no compiler")


def standard() -> set[str]:
    """Return the names of POSIX.1-2008."""
    lines = (LIBRFORK / "posix/names.txt").read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}


def foreign(symbols: Iterable[str]) -> set[str]:
    """Return the symbols that the standard does not have."""
    usual = (OWN_NAMES.get(symbol, symbol) for symbol in symbols)
    return {name for name in usual if name is not None} - standard()


def make(build: Path, compiler: str, *targets: str) -> None:
    """Run make for the library without Linux's backends."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    place = ["make", "-s", "-C", str(LIBRFORK), f"BUILD={build}"]
    done = subprocess.run(
        [*place, "ALONE=yes", f"STATIC_CC={compiler}", *targets], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def undefined(archive: Path) -> set[str]:
    """Return the symbols that an archive needs and does not have."""
    lines = subprocess.check_output(["nm", archive], text=True).splitlines()
    pairs = [line.split()[-2:] for line in lines if re.search(r" [A-Za-z] \w+$", line)]
    return {name for kind, name in pairs if kind == "U"} - {name for kind, name in pairs if kind != "U"}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_only_names_of_the_standard(tmp_path: Path, compiler: str) -> None:
    """The library compiles strictly, and the standard has every function that it calls."""
    archive = tmp_path / "librfork-static.a"
    make(tmp_path, compiler, str(archive))
    needed = undefined(archive)
    assert "fork" in needed
    assert foreign(needed) == set()


@pytest.mark.parametrize("call", ["prctl", "signalfd", "pipe2", "syscall", "waitid4"])
def test_other_names_are_found(tmp_path: Path, call: str) -> None:
    """The check finds a call that the standard does not have in an object file."""
    source, built = tmp_path / "call.c", tmp_path / "call.o"
    source.write_text(f"int {call}(void);\nint use(void) {{ return {call}(); }}\n")
    subprocess.run(["cc", "-c", source, "-o", built], check=True)
    assert foreign(undefined(built)) == {call}


def test_linux_headers_are_found(tmp_path: Path) -> None:
    """The strict compile refuses what only Linux declares."""
    source = tmp_path / "call.c"
    source.write_text("#include <unistd.h>\nint use(void) { int ends[2]; return pipe2(ends, 0); }\n")
    strict = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-pedantic", "-Werror"]
    compiled = subprocess.run(["cc", *strict, "-c", source, "-o", tmp_path / "call.o"], capture_output=True)
    assert compiled.returncode
    text = "".join(file.read_text() for file in LIBRFORK.glob("posix/*.[ch]"))
    included = re.findall(r"#include <([^>]+)>", text)
    assert not [name for name in included if name.startswith(("linux/", "asm/"))]


FIELDS = {
    "rfork_event": "seq type cause status old_pid new_pid flags generation fail_ns start_ns reason reserved",
    "rfork_info": "rfd cause status pid generation flags reason fail_ns start_ns",
}


def test_headers_agree(tmp_path: Path) -> None:
    """The library's own structures and numbers are the kernel's."""
    lines = [
        f'printf("{name}.{field} %zu\\n", offsetof(struct {name}, {field}));'
        for name, fields in FIELDS.items()
        for field in fields.split()
    ]
    lines += [f'printf("{name} %zu\\n", sizeof(struct {name}));' for name in FIELDS]
    source = tmp_path / "print.c"
    headers = "#include <rfork.h>\n#include <stddef.h>\n#include <stdio.h>\n"
    source.write_text(f"{headers}int main(void) {{ {''.join(lines)} return 0; }}\n")
    printed, macros = [], []
    for define in ("-URFORK_PORTABLE", "-DRFORK_PORTABLE"):
        flags = ["cc", define, f"-I{LIBRFORK}/include"]
        subprocess.run([*flags, source, "-o", tmp_path / "print"], check=True)
        printed.append(subprocess.check_output([tmp_path / "print"], text=True))
        text = subprocess.check_output([*flags, "-dM", "-E", source], text=True)
        macros.append(dict(re.findall(r"^#define (RFORK_\w+) (.+)$", text, re.MULTILINE)))
    assert printed[0] == printed[1]
    # The sizes of the kernel's call stay out.
    differ = {name for name in macros[0].keys() ^ macros[1].keys() if not name.endswith("_SIZE_VER0")}
    assert differ == {"RFORK_PORTABLE"}
    common = macros[0].keys() & macros[1].keys()
    assert "RFORK_CAUSE_HEARTBEAT" in common
    assert [macros[0][name] for name in common] == [macros[1][name] for name in common]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_works_alone(tmp_path: Path, compiler: str) -> None:
    """A library without the Linux backends restarts programs."""
    names = TESTS.split(",")
    runner = tmp_path / "tests/static/run-tests"
    make(tmp_path, compiler, *(str(runner.with_name(name)) for name in (*names, "run-tests")))
    command = ["sh", str(runner), "--backend", "auto", "--jobs", "4", "--programs"]
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout
    assert f" {len(names)} passed, 0 failed, 0 skipped" in done.stdout, done.stdout
