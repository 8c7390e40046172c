# SPDX-License-Identifier: MIT
"""The manifest: read, checked in a child process, and put into effect."""

from __future__ import annotations

from koboshi.decided import Decided
from koboshi.device import Device
from koboshi.known import Known
from koboshi.manifest.model import Manifest, ManifestRefusedError, Plain, from_plain, unreadable
from koboshi.runners import Runners
from koboshi.state import reload, transitions
from koboshi.state.component import Component
from koboshi.system.calls import System
from koboshi.system.paths import Paths


class Manifests:
    """Reads manifests, and changes from one to the next."""

    def __init__(
        self, system: System, paths: Paths, known: Known, decided: Decided, runners: Runners, device: Device
    ) -> None:
        self.system = system
        self.paths = paths
        self.known = known
        self.decided = decided
        self.runners = runners
        self.device = device

    def read(self) -> Manifest | ManifestRefusedError:
        """Read and check the manifest on the disk."""
        paths = (self.paths.manifest, *self.system.machine.listed(self.paths.components_d))
        parts = [(path, self.system.read(path, 0)) for path in paths]
        for path, part in parts:
            if part is None:
                return unreadable(path, "no such file, or not allowed")
        (_, first), *more = [(path, part[1]) for path, part in parts if part is not None]
        passwd = self.system.read("/etc/passwd", 0)
        return self.judged(first, tuple(more), None if passwd is None else passwd[1])

    def judged(
        self, data: bytes, more: tuple[tuple[str, bytes], ...], passwd: bytes | None
    ) -> Manifest | ManifestRefusedError:
        """Check a manifest in a child process, because parsing needs much memory for a moment."""

        def work() -> Plain:
            from koboshi.manifest import users

            return users.judged(data, self.paths.manifest, more, passwd)

        return from_plain(self.system.machine.apart(work))

    def use(self, manifest: Manifest | ManifestRefusedError) -> None:
        """Put a manifest into effect. A rejected one is recorded, and changes nothing."""
        if isinstance(manifest, ManifestRefusedError):
            for e in manifest.errors:
                keys = {"file": e.file, "line": e.line, "key": e.key, "error": f"{e.problem}; {e.expected}"}
                self.decided.record("manifest", {"result": "refused", **keys})
            return
        self.decided.record("manifest", {"result": "loaded", "file": manifest.file})
        old, self.known.manifest = self.known.manifest, manifest
        self._tell_kernel(manifest)
        self.device.configure(manifest)
        lasts = self.device.lasting is not None and self.device.directory is not None
        self.decided.evidence.use(str(self.device.directory) if lasts else self.paths.run)
        for name in reload.change(self.decided, self.known.components, old, manifest):
            self._new(name)

    def _tell_kernel(self, manifest: Manifest) -> None:
        self.system.machine.tell_registers(manifest.device["registers"] is True)
        program = self.paths.rfork_run if manifest.device["stacks"] is True else ""
        if problem := self.system.machine.tell_stacks(program, self.paths.stacks):
            self.system.complain(f"device.stacks: {problem}")

    def _new(self, name: str) -> None:
        """Add a component that is new in this boot. Its folder may hold the log of an earlier one."""
        component = Component(name, self.known.manifest.components[name], self.decided)
        component.since = component.out_since = self.system.now()
        self.system.make_directory(self.paths.component(name))
        self.known.components[name] = component
        events, _lost = self.runners.follow(component).read()
        component.last = reload.taken_over(self.decided, events, self.known.boot)
        self.runners.follow(component)
        if self.device.holds(component):
            component.by = "safe"
            transitions.handle(component, "stop")
