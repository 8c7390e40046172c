# SPDX-License-Identifier: MIT
"""Where the supervisor's files are (docs/supervisor.md)."""

from __future__ import annotations


class Paths:
    """Where things are."""

    def __init__(
        self,
        run: str,
        etc: str,
        rfork_run: str,
        sysrq: str = "/proc/sysrq-trigger",
        cgroups: str = "",
        python_path: str = "",
    ) -> None:
        self.run = run
        self.manifest = etc + "/koboshi.toml"
        self.components_d = etc + "/components.d"
        self.rfork_run = rfork_run
        self.sysrq = sysrq
        self.cgroups = cgroups
        self.python_path = python_path
        self.lock = run + "/supervisor.lock"  # no component's name
        self.poke = run + "/poke"
        self.control = run + "/control"
        self.events = run + "/events"
        self.state = run + "/state.json"
        self.status = run + "/status.json"
        self.stacks = run + "/stacks.d"  # no component's name

    def component(self, name: str) -> str:
        """A component's state folder."""
        return f"{self.run}/{name}"
