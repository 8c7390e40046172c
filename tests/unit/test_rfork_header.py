# SPDX-License-Identifier: MIT
"""rfork.h in other languages than C11, as strict as compilers are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.programs import ROOT, librfork

# In generation 0, rfork_restart() asks for a restart: all else on that path would be unreachable.
SOURCE = """
#include <rfork.h>
#include <stdlib.h>

static int ended(void)
{
	if (rfork_generation() == 0)
		rfork_restart();
	else
		return rfork_generation() == 1 ? 0 : 1;
}

int main(void)
{
	struct rfork_options options = { RFORK_ON_SIGNAL, 0, 0, 0, 0, 0, RFORK_BACKEND_AUTO };

	(void)options;
	(void)rfork_checkpoint();
	return ended();
}
"""
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
LANGUAGES = [
    *(("g++", "cc", standard) for standard in ("c++11", "c++17", "c++20", "gnu++98")),
    *(("cc", "c", standard) for standard in ("c99", "c11", "c2x", "gnu89")),
]


@pytest.mark.parametrize(("compiler", "suffix", "standard"), LANGUAGES)
def test_header_compiles(tmp_path: Path, compiler: str, suffix: str, standard: str) -> None:
    """The program compiles without a warning, links, and restarts."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / f"ended.{suffix}"
    source.write_text(SOURCE)
    loose = ("-Wno-long-long", "-Wno-variadic-macros") if standard.startswith("gnu") else ()
    options = [f"-std={standard}", *STRICT, *loose, "-I", str(ROOT / "librfork/include")]
    program = tmp_path / "ended"
    subprocess.run([compiler, *options, "-o", program, source, librfork() / "librfork.a"], check=True)
    done = subprocess.run([librfork() / "rfork-run", "--on", "none", "--", program], capture_output=True)
    assert done.returncode == 0, done.stderr
