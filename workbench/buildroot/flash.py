# SPDX-License-Identifier: MIT
"""`./dev flash`: a disk image onto the right disk and no other, and read back from it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from koboshi_desk.core.errors import KoboshiError
from workbench.core import progress

CHUNK = 4 << 20
BLKRRPART = 0x125F  # read the partition table again
BLKFLSBUF = 0x1261  # write out and forget what is cached
MBR_MARK = b"\x55\xaa"
SYSFS = Path("/sys")
PROC = Path("/proc")
Ask = Callable[[str], str]


class FlashError(KoboshiError):
    """The image was not written, or the disk does not hold it."""

    def __init__(self, what: Path | str, reason: str, expected: str) -> None:
        self.what = what
        self.reason = reason
        self.expected = expected
        super().__init__(f"{what}: {reason}; {expected}")


@dataclass(frozen=True)
class Disk:
    """What sysfs and procfs know of a block device."""

    path: Path
    number: str  # MAJOR:MINOR
    whole: str  # the disk's name; of a partition its disk's
    is_partition: bool
    removable: bool
    read_only: bool
    size: int
    model: str
    parts: tuple[str, ...]
    uses: tuple[str, ...]  # mount points, swap, what is stacked on it

    def text(self) -> str:
        """For the question."""
        parts = ", ".join(self.parts) or "no partitions"
        kind = "removable" if self.removable else "not removable"
        return f"{self.path}: {self.model or 'a disk'}, {self.size / 1e9:.1f} GB, {kind}, {parts}"


def run(image: str, device: str, *, yes_really: bool = False) -> None:
    """For the task: flash `image`, a file or the name of a built image, asking on the terminal."""
    if not image or not device:
        raise KoboshiError("flash: --image FILE and --device /dev/sdX say what goes where")
    flash(_image_file(image), Path(device), yes_really=yes_really, ask=_ask)


def _image_file(name: str) -> Path:
    path = Path(name)
    if path.exists():
        return path
    from workbench.buildroot import build as buildroot

    return buildroot.find(name).kernel.parent / "disk.img"


def _ask(question: str) -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        raise KoboshiError("flash: standard input is not a terminal; confirm with --yes-really")
    return input(question)


def flash(image: Path, device: Path, *, yes_really: bool, ask: Ask) -> None:
    """Check, ask, write and read back; raise FlashError on a problem."""
    size = check_image(image)
    disk = look(device)
    refuse(disk, size, yes_really=yes_really)
    print(f"This destroys everything on {disk.text()}", flush=True)
    if not yes_really and ask(f"Type {device} to go on: ").strip() != str(device):
        raise FlashError(device, "not confirmed", "nothing was written")
    with open_whole(device) as descriptor:
        write(image, size, descriptor)
        compare(image, size, descriptor, device)
        _control(descriptor, BLKRRPART)
    progress.note(f"{device}: {size / 1e6:.1f} MB written, read back and found the same")


def check_image(image: Path) -> int:
    """Its size, if it is a disk image: a file with a partition table."""
    if not image.is_file():
        raise FlashError(image, "no file", "a disk image such as images/disk.img is needed")
    with image.open("rb") as file:
        head = file.read(512)
    if head[510:512] != MBR_MARK:
        raise FlashError(image, "no partition table in it", "a disk image such as images/disk.img is needed")
    return image.stat().st_size


def look(device: Path, sysfs: Path = SYSFS, proc: Path = PROC) -> Disk:
    """What is known of the device."""
    try:
        status = device.stat()
    except OSError as error:
        raise FlashError(
            device, error.strerror or "not there", "a disk such as /dev/sdb is needed"
        ) from error
    if not stat.S_ISBLK(status.st_mode):
        raise FlashError(device, "no block device", "a disk such as /dev/sdb is needed")
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return describe(device, number, sysfs, proc)


def describe(device: Path, number: str, sysfs: Path, proc: Path) -> Disk:
    """The block device with that number."""
    folder = (sysfs / "dev/block" / number).resolve()
    is_partition = (folder / "partition").exists()
    whole = folder.parent if is_partition else folder
    parts = sorted(path for path in whole.iterdir() if (path / "partition").exists())
    return Disk(
        path=device,
        number=number,
        whole=whole.name,
        is_partition=is_partition,
        removable=_read(whole / "removable") == "1",
        read_only=_read(folder / "ro") == "1",
        size=int(_read(folder / "size") or 0) * 512,
        model=_read(whole / "device/model"),
        parts=tuple(f"{part.name} ({int(_read(part / 'size') or 0) * 512 / 1e6:.0f} MB)" for part in parts),
        uses=tuple(use for each in (whole, *parts) for use in _uses(each, proc)),
    )


def _uses(folder: Path, proc: Path) -> list[str]:
    number, name = _read(folder / "dev"), folder.name
    mounts = [line.split() for line in _read(proc / "self/mountinfo").splitlines()]
    found = [f"{name} is mounted on {fields[4]}" for fields in mounts if fields[2] == number]
    swaps = [line.split()[0] for line in _read(proc / "swaps").splitlines()[1:]]
    found += [f"{name} is swap space" for swap in swaps if Path(swap).name == name]
    holders = sorted((folder / "holders").iterdir()) if (folder / "holders").is_dir() else []
    return found + [f"{name} is part of {holder.name}" for holder in holders]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def refuse(disk: Disk, size: int, *, yes_really: bool) -> None:
    """Raise FlashError for a disk that must not be written to, or only if the user insists."""
    if disk.is_partition:
        raise FlashError(disk.path, "a partition", f"the image is a whole disk: /dev/{disk.whole}")
    if disk.uses:
        raise FlashError(disk.path, "; ".join(disk.uses), "a disk that nothing uses is needed")
    if disk.read_only:
        raise FlashError(disk.path, "read-only", "is there a write-protect switch?")
    if disk.size < size:
        raise FlashError(disk.path, f"holds {disk.size} bytes", f"the image has {size}")
    if not disk.removable and not yes_really:
        raise FlashError(
            disk.path, "not removable, so it may be this machine's own", "--yes-really writes to it"
        )


@contextmanager
def open_whole(device: Path) -> Iterator[int]:
    """A descriptor of the device, for this process alone: the kernel refuses what is mounted meanwhile."""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise FlashError(device, reason, "it must be free, and only root may write to it") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write(image: Path, size: int, descriptor: int) -> None:
    """Copy the image to the medium, with progress."""
    with progress.Progress("writing", size // CHUNK or None) as steps, image.open("rb") as file:
        while chunk := file.read(CHUNK):
            _all(descriptor, chunk)
            steps.step()
        os.fsync(descriptor)


def _all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def compare(image: Path, size: int, descriptor: int, device: Path) -> None:
    """Raise FlashError unless the medium, not its cache, holds the image's bytes."""
    _control(descriptor, BLKFLSBUF)
    os.lseek(descriptor, 0, os.SEEK_SET)
    with progress.Progress("reading back", size // CHUNK or None) as steps, image.open("rb") as file:
        while wanted := file.read(CHUNK):
            if _read_whole(descriptor, len(wanted)) != wanted:
                place = f"between {file.tell() - len(wanted)} and {file.tell()} it reads back other bytes"
                raise FlashError(device, place, "the medium is worn out or a fake; take another")
            steps.step()


def _read_whole(descriptor: int, length: int) -> bytes:
    parts = []
    while length and (part := os.read(descriptor, length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _control(descriptor: int, request: int) -> None:
    """A block device takes it; for a file, in the tests, there is nothing to do."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, request)
