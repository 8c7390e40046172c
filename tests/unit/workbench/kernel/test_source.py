# SPDX-License-Identifier: MIT
"""Kernel sources: found, checked, unpacked."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile

import pytest

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError
from workbench.core import cache
from workbench.core.command import CommandError
from workbench.kernel import archive, lines, source


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def line(tmp_path):
    """A line whose package is not installed and whose tarball is a file here."""
    return dataclasses.replace(
        lines.find("linux-6.12"),
        package_tarball=tmp_path / "absent.tar.xz",
        upstream_url=(tmp_path / "upstream.tar.xz").as_uri(),
        upstream_sha256="0" * 64,
    )


@pytest.fixture
def tarball(tmp_path):
    """A tarball of a very small kernel."""
    path = tmp_path / "upstream.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name in ("Kbuild", "Makefile", "kernel/fork.c"):
            member = tarfile.TarInfo(f"linux-6.12.1/{name}")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"text"))
    return path


def test_package_comes_first(line, tarball):
    """Where the distribution's package is installed its source is used, known by its contents."""
    found = source.find(dataclasses.replace(line, package_tarball=tarball), None)
    assert (found.path, found.identity) == (tarball, cache.file_digest(tarball))


def test_download_with_another_sum_is_refused(line, tarball):
    """A tarball that is not the pinned one is an error with both sums, and is not kept."""
    got = hashlib.sha256(tarball.read_bytes()).hexdigest()
    with pytest.raises(source.SourceError, match=f"SHA-256 is {got}; {'0' * 64} is pinned"):
        source.find(line, None)
    assert list((places.cache_folder() / "download").iterdir()) == []


def test_download_is_fetched_once(line, tarball):
    """The right tarball is kept: the second time nothing is fetched."""
    line = dataclasses.replace(line, upstream_sha256=cache.file_digest(tarball))
    first = source.find(line, None)
    tarball.unlink()
    assert source.find(line, None) == first


def test_unreachable_download_says_what_to_do(line):
    """Without package and network the error names the package and the option."""
    with pytest.raises(source.SourceError, match=r"linux-source-6\.12, or give --linux-source"):
        source.find(line, None)


@pytest.mark.parametrize("kind", ["absent", "empty folder"])
def test_wrong_given_source_is_refused(line, tmp_path, kind):
    """What is given must be a tarball or a folder of kernel source."""
    given = tmp_path / "given"
    if kind != "absent":
        given.mkdir()
    with pytest.raises(source.SourceError, match=r"kernel( source|'s top Makefile)"):
        source.find(line, given)


def test_changed_folder_is_another_source(line, tmp_path):
    """A change in a given folder changes its identity, and the folder itself is not unpacked into."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "Kbuild").write_text("text")
    before = source.find(line, given)
    tree = source.unpack(before, line)
    assert (tree.source / "Kbuild").read_text() == "text"
    assert tree.source != given
    (given / "Kbuild").write_text("other text")
    assert source.find(line, given).identity != before.identity


def test_tarball_is_unpacked_without_its_top_folder(line, tarball):
    """The source's files are at the top of the tree, whatever the tarball calls its folder."""
    tree = source.unpack(source.find(line, tarball), line)
    assert (tree.source / "kernel/fork.c").read_text() == "text"


@pytest.mark.parametrize("suffix", [".xz", ".bz2", ".gz"])
def test_tarball_put_by_hand_into_the_cache_comes_first(line, tarball, suffix, capsys):
    """What somebody put under the line's name is used as it is, known by its contents, and that is said."""
    place = source.by_hand_place(line).with_suffix(suffix)
    place.parent.mkdir()
    place.write_bytes(tarball.read_bytes())
    found = source.find(dataclasses.replace(line, package_tarball=tarball), None)
    assert (found.path, found.identity) == (place, cache.file_digest(tarball))
    assert f"{place}: put there by hand and used as it is" in capsys.readouterr().err
    cache.clean()
    assert place.exists()


def test_pinned_tarball_put_by_hand_is_nothing_to_remark(line, tarball, capsys):
    """A tarball with the pinned sum is the release, whoever brought it."""
    place = source.by_hand_place(line)
    place.parent.mkdir()
    place.write_bytes(tarball.read_bytes())
    pinned = dataclasses.replace(line, upstream_sha256=cache.file_digest(tarball))
    assert source.find(pinned, None).description == line.upstream_url
    assert capsys.readouterr().err == ""


def test_local_needs_no_network(line, tarball):
    """Without package and tarball there is no local source, and after one download there is."""
    line = dataclasses.replace(line, upstream_sha256=cache.file_digest(tarball))
    assert source.local(line) is None
    found = source.find(line, None)
    tarball.unlink()
    assert source.local(line) == found


def test_line_without_a_package_names_the_other_ways(line):
    """Where no package has the source the error names the option and the place in the cache."""
    line = dataclasses.replace(line, package=None, package_tarball=None)
    with pytest.raises(
        source.SourceError, match=r"; give --linux-source .* or put its tarball at "
    ) as raised:
        source.find(line, None)
    assert str(source.by_hand_place(line)) in str(raised.value)


@pytest.fixture
def archived(line, tarball, monkeypatch):
    """A line whose source is a package of another suite, and the archive's answer."""
    package = archive.Package("linux-source-9.9", "9.9.1-1", "backports")
    monkeypatch.setattr(archive, "fetch", lambda _, to: to.write_bytes(tarball.read_bytes()))
    return dataclasses.replace(line, archived=lines.Archived(package, cache.file_digest(tarball)))


def test_package_of_another_suite_is_fetched_once(archived, monkeypatch):
    """The package's tarball is kept, and is local from then on."""
    assert source.local(archived) is None
    first = source.find(archived, None)
    assert first.description == "linux-source-9.9 9.9.1-1 (backports)"
    monkeypatch.delattr(archive, "fetch")
    assert source.local(archived) == source.find(archived, None) == first


def test_package_with_another_tarball_is_refused(archived):
    """Another content under the pinned version is an error, and is not kept."""
    wrong = dataclasses.replace(archived.archived, sha256="0" * 64)
    with pytest.raises(source.SourceError, match=f"{'0' * 64} is pinned in workbench/kernel/lines.py"):
        source.find(dataclasses.replace(archived, archived=wrong), None)
    assert list((places.cache_folder() / "download").iterdir()) == []


def test_version_that_the_archive_no_longer_has(archived, monkeypatch):
    """The error has apt's reason, and names the other ways to give a source."""

    def gone(*_):
        raise CommandError("apt-get download", 100, "E: Version '9.9.1-1' was not found")

    monkeypatch.setattr(archive, "fetch", gone)
    with pytest.raises(source.SourceError, match=r"9\.9\.1-1' was not found\); .*--linux-source"):
        source.find(archived, None)


def test_suites_come_from_the_archive_of_this_machine():
    """The main archive is asked, not the one for security updates; without an archive it is an error."""
    said = "Debian http://a/debian-security/ x-security\nDebian http://a/debian/ x\n"
    (found,) = archive.sources_list(said, ["sid"]).splitlines()
    assert found.startswith("deb ")
    assert found.endswith(" http://a/debian/ sid main")
    with pytest.raises(KoboshiError, match="no Debian archive"):
        archive.sources_list("Other http://b/ x\n", ["sid"])
