# SPDX-License-Identifier: MIT
"""Packages as apt names them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError
from workbench.core import apt as core_apt
from workbench.core.command import CommandError
from workbench.image import apt, apt_source

URIS = """\
'http://archive.example/debian/pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb' \
zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86664 SHA256:d7dd
Some other line
'mirror+file:/etc/mirrors/debian.list/pool/main/g/glibc/libc6_2.36-9+deb12u14_amd64.deb' \
libc6_2.36-9+deb12u14_amd64.deb 2758448 MD5Sum:aa
"""


def test_print_uris_is_read():
    """Name, version with its epoch, file and sum; sorted by name, other lines ignored."""
    assert apt.parse_uris(URIS) == [
        apt.Package("libc6", "2.36-9+deb12u14", "libc6_2.36-9+deb12u14_amd64.deb", "MD5Sum:aa"),
        apt.Package("zlib1g", "1:1.2.13.dfsg-1", "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb", "SHA256:d7dd"),
    ]


def test_last_answer_serves_where_the_archive_is_out_of_reach(tmp_path, monkeypatch, capsys):
    """Without a network a build goes on with the versions that the archive last named, and says so."""
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(apt, "output", lambda command: URIS if "--print-uris" in command else "")
    packages = apt.resolve(["libc6"])

    def fail(command):
        raise CommandError("apt-get update", 100, "no route")

    monkeypatch.setattr(apt, "output", fail)
    monkeypatch.setattr(apt, "FRESH_S", 0)
    assert apt.resolve(["libc6"]) == packages
    assert "last answer is taken: no route" in capsys.readouterr().err
    with pytest.raises(CommandError):
        apt.resolve(["never-asked-before"])


def test_missing_apt_is_told(monkeypatch):
    """Where there is no apt the error says what is needed."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(core_apt.NoAptError, match="needs Debian"):
        apt.resolve(["libc6"])


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get here")
def test_command_leaves_the_system_alone(tmp_path, monkeypatch):
    """All that apt writes is in the cache."""
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path))
    command = [*core_apt.command(), "indextargets", "--format", "$(FILENAME)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    files = done.stdout.split()
    assert all(file.startswith(str(tmp_path)) for file in files)


def test_upstream_tarball_of_a_source_package():
    """Of all its files that one, with the archive's sum; a package without is told."""
    said = """\
'http://archive.example/b/busybox_1.35.0-4.dsc' busybox_1.35.0-4.dsc 2321 SHA256:9c01
'http://archive.example/b/busybox_1.35.0.orig.tar.bz2' busybox_1.35.0.orig.tar.bz2 2480624 SHA256:faee
"""
    tarball = apt_source.parse_uris("busybox", said)
    assert tarball == apt_source.Tarball("busybox_1.35.0.orig.tar.bz2", "SHA256:faee")
    with pytest.raises(KoboshiError, match="busybox: the archive has no source package"):
        apt_source.parse_uris("busybox", "")


def test_sources_come_from_where_the_packages_do():
    """Debian's suites of this machine, each once, as sources; other vendors' archives are not asked."""
    targets = (
        "Debian http://archive.example/debian/ bookworm main\n" * 2
        + "Debian http://archive.example/security/ bookworm-security main\nVendor http://v.example/ x main\n"
    )
    lines = apt_source.sources_list(targets).splitlines()
    assert [line.split()[0] for line in lines] == ["deb-src", "deb-src"]
    assert [line.split()[-3:] for line in lines] == [
        ["http://archive.example/debian/", "bookworm", "main"],
        ["http://archive.example/security/", "bookworm-security", "main"],
    ]
