# SPDX-License-Identifier: MIT
"""The demo's components run as users of their own, and still find what they need."""

from __future__ import annotations

import json
import tomllib

from koboshi_desk.core.deadline import Deadline
from workbench.guest.booted import Guest

MANIFEST = "/etc/koboshi/koboshi.toml"
LIMIT_S = 30.0


def test_none_of_them_is_root(guest: Guest) -> None:
    """Each instance has the user that the manifest names, which no other component has."""
    components = tomllib.loads(guest.shell.run(f"cat {MANIFEST}").output)["component"]
    users = {name: component["user"] for name, component in components.items()}
    assert len(set(users.values())) == len(users)
    assert "root" not in users.values()
    for name, component in guest.model.components.items():
        status = guest.shell.run(
            f"grep ^Uid: /proc/{component.pid}/status; id -u {users[name]}"
        ).output.split()
        assert set(status[1:]) == {status[-1]}, name


def test_they_work_together(guest: Guest) -> None:
    """The pilot hears both of its peers, the page shows it, and the log takes what is said."""
    page = "wget -q -O - http://127.0.0.1:8080/pilot.json"

    def heard() -> bool:
        found = guest.shell.run(f"{page}; true").output.strip()
        return bool(found) and json.loads(found)["missing"] == []

    deadline = Deadline(LIMIT_S, "the pilot's file")
    while not heard():
        assert not deadline.expired
    guest.shell.run("logger -t trial heard")
    guest.shell.run("while ! grep -q 'trial: heard' /run/log/messages; do sleep 0.1; done")
    assert guest.shell.run("wget -q -O - http://127.0.0.1:8080/status.json").output.startswith("{")


def test_they_cannot_reach_each_other(guest: Guest) -> None:
    """A component's folder and socket are its own; the console and other serial lines are root's."""
    listed = guest.shell.run(
        "stat -c '%a %U %n' /run/gps /run/gps/gps.sock /run/tide/tide.sock /dev/ttyS0 /dev/ttyS1"
    ).output.splitlines()
    assert listed == [
        "755 gps /run/gps",
        "660 gps /run/gps/gps.sock",
        "660 tide /run/tide/tide.sock",
        "600 root /dev/ttyS0",
        "660 root /dev/ttyS1",
    ]
