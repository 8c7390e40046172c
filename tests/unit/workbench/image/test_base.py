# SPDX-License-Identifier: MIT
"""The image's base layer, as far as it can be shown without packages."""

from __future__ import annotations

from workbench.image import base


def test_usr_is_merged(tmp_path):
    """What packages put into /lib and /bin is in /usr afterwards, with links for the old paths."""
    for name in ("lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libm.so.6", "bin/busybox"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    base.merge_usr(tmp_path)
    base.merge_usr(tmp_path)
    assert {name: str((tmp_path / name).readlink()) for name in ("bin", "lib", "lib64", "sbin")} == {
        "bin": "usr/bin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
        "sbin": "usr/sbin",
    }
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    assert sorted(path.name for path in libraries.iterdir()) == ["libc.so.6", "libm.so.6"]
    assert (tmp_path / "bin/busybox").read_text() == "bin/busybox"
