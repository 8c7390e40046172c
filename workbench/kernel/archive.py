# SPDX-License-Identifier: MIT
"""Debian's packages of kernel sources, also from suites that this machine does not install from."""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import apt, cache, progress
from workbench.core.command import output

STATE = "kernel-state"
TARGETS = "$(ORIGIN) $(REPO_URI) $(RELEASE)"
SUITES = ("trixie-backports", "sid", "experimental")  # those with kernels newer than a release's
_OFFER = re.compile(r" *(linux-source-[\d.]+) \| *(\S+) \| \S+ ([^/\s]+)/")


@dataclass(frozen=True)
class Package:
    """A package with a kernel's source, and the suite that has it."""

    name: str
    version: str
    suite: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.suite})"


def fetch(package: Package, tarball: Path) -> None:
    """Write the tarball in the package to `tarball`; apt checks the package by the archive's signature."""
    progress.note(f"fetching {package}")
    with tempfile.TemporaryDirectory(dir=tarball.parent) as name, cache.lock("apt"):
        place = Path(name)
        ask = _update([package.suite])
        output([*ask, "download", f"{package.name}={package.version}"], cwd=place)
        (file,) = place.glob("*.deb")
        output(["dpkg-deb", "-x", file, place])
        (place / f"usr/src/{package.name}.tar.xz").rename(tarball)


def newest() -> Package:
    """The newest kernel source that the archive has in SUITES."""
    progress.note(f"asking the package archive about {', '.join(SUITES)}")
    with cache.lock("apt"):
        cached = ["apt-cache", *[word for word in _update(SUITES)[1:] if word != "-y"]]
        names = output([*cached, "pkgnames", "linux-source-"]).split()
        return newest_of(output([*cached, "madison", *names]))


def newest_of(offers: str) -> Package:
    """The package with the highest version in what `apt-cache madison` says."""
    matches = filter(None, map(_OFFER.match, offers.splitlines()))
    found = [Package(match[1], match[2], match[3]) for match in matches]
    if not found:
        raise KoboshiError(f"apt-cache: no package linux-source-* in {', '.join(SUITES)}")
    return max(found, key=functools.cmp_to_key(_compare))


def _compare(one: Package, other: Package) -> int:
    """Debian's order of versions, in which 7.3~rc7 comes before 7.3."""
    if one.version == other.version:
        return 0
    done = subprocess.run(["dpkg", "--compare-versions", one.version, "gt", other.version], check=False)
    return -1 if done.returncode else 1


def _update(suites: Sequence[str]) -> list[str]:
    """Ask the archive about these suites; the beginning of further commands about them."""
    (apt.folder() / STATE / "lists/partial").mkdir(parents=True, exist_ok=True)
    listing = apt.folder() / "kernel.list"
    targets = output(apt.command("indextargets", "--format", TARGETS, "Created-By: Packages"))
    listing.write_text(sources_list(targets, suites))
    only = ["-o", f"Dir::Etc::sourcelist={listing}", "-o", "Dir::Etc::sourceparts=/dev/null"]
    ask = apt.command(*only, state=STATE)
    output([*ask, "update"])
    return ask


def sources_list(targets: str, suites: Sequence[str]) -> str:
    """The suites, from the archive that `apt-get indextargets` names in TARGETS' form."""
    found = re.search(r"^Debian (\S+) (?!\S*-security)", targets, re.MULTILINE)
    if found is None:
        raise KoboshiError("apt-get: no Debian archive is configured on this machine")
    signed = f" [signed-by={apt.KEYS}]" if apt.KEYS.exists() else ""
    return "".join(f"deb{signed} {found[1]} {suite} main\n" for suite in suites)
