# SPDX-License-Identifier: MIT
"""./dev flash on loop devices, which are disks to the kernel; skipped where none can be had."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.buildroot import flash
from workbench.buildroot.flash import FlashError

SIZE = 8 << 20


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Makes loop devices, and removes them."""
    made: list[str] = []

    def one(name: str, size: int, *options: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("loop devices are root's")
        (tmp_path / name).write_bytes(bytes(size))
        command = ["losetup", "--find", "--show", *options, str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no loop device can be had here: {done.stderr.strip()}")
        made.append(done.stdout.strip())
        return Path(made[-1])

    yield one
    for device in made:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk image with one partition, and no two blocks the same."""
    path = tmp_path / "disk.img"
    blocks = b"".join(number.to_bytes(4, "little") * 128 for number in range(SIZE // 512))
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    path.write_bytes(blocks[:446] + entry + bytes(48) + flash.MBR_MARK + blocks[512:])
    return path


def never(question: str) -> str:
    """Nobody is to be asked."""
    raise AssertionError(question)


def test_image_is_on_the_device(attach: Callable[..., Path], image: Path) -> None:
    """After a confirmation the device has the image's bytes; what is behind them is left alone."""
    device = attach("disk", SIZE * 2)
    flash.flash(image, device, yes_really=True, ask=never)
    assert device.read_bytes()[:SIZE] == image.read_bytes()
    assert device.read_bytes()[SIZE:] == bytes(SIZE)


def test_a_fixed_disk_needs_yes_really(attach: Callable[..., Path], image: Path) -> None:
    """A loop device is not removable: without --yes-really nothing is written and nobody is asked."""
    device = attach("disk", SIZE)
    with pytest.raises(FlashError, match="not removable"):
        flash.flash(image, device, yes_really=False, ask=never)
    assert device.read_bytes() == bytes(SIZE)


def test_too_small(attach: Callable[..., Path], image: Path) -> None:
    """A device that the image does not fit on is refused before the first byte."""
    device = attach("disk", SIZE - 4096)
    with pytest.raises(FlashError, match=f"holds {SIZE - 4096} bytes; the image has {SIZE}"):
        flash.flash(image, device, yes_really=True, ask=never)
    assert device.read_bytes() == bytes(SIZE - 4096)


def test_a_read_only_device_is_refused(attach: Callable[..., Path], image: Path) -> None:
    """A write-protected one cannot be flashed."""
    device = attach("disk", SIZE, "--read-only")
    with pytest.raises(FlashError, match="read-only"):
        flash.flash(image, device, yes_really=True, ask=never)


def test_a_mounted_device_is_refused(attach: Callable[..., Path], image: Path, tmp_path: Path) -> None:
    """A mounted disk is in use, and --yes-really does not change that."""
    device, point = attach("disk", SIZE), tmp_path / "point"
    point.mkdir()
    subprocess.run(["mkfs.ext2", "-q", str(device)], check=True)
    done = subprocess.run(["mount", str(device), str(point)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        with pytest.raises(FlashError, match=f"is mounted on {point}"):
            flash.flash(image, device, yes_really=True, ask=never)
    finally:
        subprocess.run(["umount", str(point)], check=True)


def test_a_partition_is_refused(attach: Callable[..., Path], image: Path) -> None:
    """After flashing, the image's own partition is a device, and not one that an image is written to."""
    device = attach("disk", SIZE, "--partscan")
    flash.flash(image, device, yes_really=True, ask=never)
    part = Path(f"{device}p1")
    if not part.exists():  # not every kernel reads a PC's partition tables
        subprocess.run(["addpart", str(device), "1", "2048", "4096"], check=False)
    if not part.exists():
        pytest.skip("this kernel makes no devices for partitions of loop devices")
    with pytest.raises(FlashError, match=f"a partition; the image is a whole disk: {device}"):
        flash.flash(image, part, yes_really=True, ask=never)
