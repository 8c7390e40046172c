# SPDX-License-Identifier: MIT
"""What may be flashed and what not, on made-up disks; tests/image has the same on loop devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.buildroot import flash
from workbench.buildroot.flash import Disk, FlashError

DISK = Disk(Path("/dev/sdx"), "8:112", "sdx", False, True, False, 1 << 30, "USB stick", ("sdx1 (99 MB)",), ())


def make_disk(sysfs: Path, proc: Path) -> None:
    """A disk sdx with the partitions sdx1 and sdx2."""
    for name, number in (("sdx", "8:112"), ("sdx/sdx1", "8:113"), ("sdx/sdx2", "8:114")):
        folder = sysfs / "devices" / name
        (folder / "holders").mkdir(parents=True)
        for file, text in (("dev", number), ("size", "2048"), ("ro", "0")):
            (folder / file).write_text(f"{text}\n")
        if "/" in name:
            (folder / "partition").write_text(name[-1])
        (sysfs / "dev/block").mkdir(parents=True, exist_ok=True)
        (sysfs / "dev/block" / number).symlink_to(folder)
    (sysfs / "devices/sdx/removable").write_text("1\n")
    (sysfs / "devices/sdx/device").mkdir()
    (sysfs / "devices/sdx/device/model").write_text("USB stick\n")
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    (proc / "swaps").write_text("Filename\tType\tSize\tUsed\tPriority\n")


@pytest.fixture
def system(tmp_path: Path) -> tuple[Path, Path]:
    """A /sys and a /proc with that disk."""
    make_disk(tmp_path / "sys", tmp_path / "proc")
    return tmp_path / "sys", tmp_path / "proc"


def test_a_free_disk_is_described(system: tuple[Path, Path]) -> None:
    """Model, size and partitions are shown before anything is destroyed."""
    disk = flash.describe(Path("/dev/sdx"), "8:112", *system)
    assert disk.uses == ()
    flash.refuse(disk, 1 << 20, yes_really=False)
    for part in ("USB stick", "/dev/sdx", "removable", "sdx1", "sdx2"):
        assert part in disk.text()


def test_a_partition_is_refused(system: tuple[Path, Path]) -> None:
    """The image is a whole disk; the error names the disk."""
    disk = flash.describe(Path("/dev/sdx1"), "8:113", *system)
    with pytest.raises(FlashError, match="a partition; the image is a whole disk: /dev/sdx"):
        flash.refuse(disk, 1, yes_really=True)


def test_a_mounted_partition_is_refused(system: tuple[Path, Path]) -> None:
    """It is enough that one partition of the disk is mounted."""
    (system[1] / "self/mountinfo").write_text("20 1 8:114 / /media/stick rw - ext4 /dev/sdx2 rw\n")
    disk = flash.describe(Path("/dev/sdx"), "8:112", *system)
    with pytest.raises(FlashError, match="sdx2 is mounted on /media/stick"):
        flash.refuse(disk, 1, yes_really=True)


def test_swap_and_stacked_devices_are_refused(system: tuple[Path, Path]) -> None:
    """What swaps to it or is built on it uses it as a mount does."""
    (system[1] / "swaps").write_text("Filename Type Size\n/dev/sdx1 partition 10\n")
    (system[0] / "devices/sdx/sdx2/holders/dm-0").mkdir()
    disk = flash.describe(Path("/dev/sdx"), "8:112", *system)
    with pytest.raises(FlashError, match="sdx1 is swap space; sdx2 is part of dm-0"):
        flash.refuse(disk, 1, yes_really=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 100}, "holds 100 bytes; the image has 4096"),
        ({"read_only": True}, "read-only"),
        ({"removable": False}, "not removable, so it may be this machine's own; --yes-really"),
    ],
)
def test_unfit_disks_are_refused(change: dict[str, object], reason: str) -> None:
    """Too small, write-protected, or not removable."""
    with pytest.raises(FlashError, match=reason):
        flash.refuse(replace(DISK, **change), 4096, yes_really=False)  # type: ignore[arg-type]


def test_who_insists_may_write_to_a_fixed_disk() -> None:
    """--yes-really is for disks that are not removable, and for nothing else."""
    flash.refuse(replace(DISK, removable=False), 4096, yes_really=True)
    with pytest.raises(FlashError, match="holds 100 bytes"):
        flash.refuse(replace(DISK, size=100), 4096, yes_really=True)


def test_only_disk_images_are_written(tmp_path: Path) -> None:
    """A kernel, an archive or a missing file is not a disk image."""
    path = tmp_path / "bzImage"
    with pytest.raises(FlashError, match="no file"):
        flash.check_image(path)
    path.write_bytes(bytes(4096))
    with pytest.raises(FlashError, match="no partition table in it"):
        flash.check_image(path)
    path.write_bytes(bytes(510) + flash.MBR_MARK + bytes(512))
    assert flash.check_image(path) == 1024


def test_no_device(tmp_path: Path) -> None:
    """A missing file or one that is not a block device is rejected."""
    with pytest.raises(FlashError, match="No such file"):
        flash.look(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(FlashError, match="no block device"):
        flash.look(tmp_path / "file")


def test_what_is_written_is_compared(tmp_path: Path) -> None:
    """A medium that gives back another byte than was written to it is noticed, and where."""
    image, medium = tmp_path / "disk.img", tmp_path / "medium"
    image.write_bytes(b"koboshi" * 1_000_000)
    size = image.stat().st_size
    medium.write_bytes(bytes(size + 4096))
    with flash.open_whole(medium) as descriptor:
        flash.write(image, size, descriptor)
        flash.compare(image, size, descriptor, medium)
    assert medium.read_bytes()[:size] == image.read_bytes()
    with medium.open("r+b") as file:
        file.seek(flash.CHUNK + 5)
        file.write(b"?")
    with (
        flash.open_whole(medium) as descriptor,
        pytest.raises(FlashError, match=f"between {flash.CHUNK} and"),
    ):
        flash.compare(image, size, descriptor, medium)
