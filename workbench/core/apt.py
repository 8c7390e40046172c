# SPDX-License-Identifier: MIT
"""apt-get with a state and a cache of its own: it needs no root, and believes that nothing is installed."""

from __future__ import annotations

from pathlib import Path

from koboshi_desk.core import places
from koboshi_desk.core.errors import KoboshiError

ARCHITECTURE = "amd64"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # if apt no longer has its own trusted keys


class NoAptError(KoboshiError):
    """The quick image takes its programs from Debian's packages, through apt."""

    def __init__(self) -> None:
        super().__init__("apt-get: not there; the quick image needs Debian or a system like it")


def folder() -> Path:
    """All that apt writes for us."""
    place = places.cache_folder() / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "state/status").touch()
    return place


def command(*arguments: str, state: str = "state") -> list[str]:
    """apt-get with these arguments, and with state, cache and log in `folder()`."""
    place = folder()
    options = {
        "Dir::State": place / state,
        "Dir::State::status": place / "state/status",
        "Dir::Cache": place / "cache",
        "Dir::Log": place,
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Install-Recommends": "false",
        "APT::Keep-Downloaded-Packages": "true",
        "APT::Sandbox::User": "root",  # apt's own user cannot write to a cache in a home folder
    }
    settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["apt-get", "-qq", "-y", *settings, *arguments]
