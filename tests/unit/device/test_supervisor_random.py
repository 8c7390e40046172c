# SPDX-License-Identifier: MIT
"""Any sequence of faults, wishes, reloads and deaths: nothing is lost, doubled, or runs unwanted."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from koboshi.control import answer

from tests.unit.device.fake_system import ETC, FakeSystem, Killed, World, boot, pump, sleep

LADDER = "cold = { attempts = 2, window_s = 60, delay_s = 1, delay_max_s = 2 }\nladder = { same_fault = 3 }\n"
MANIFEST = f"""\
version = 1
[component.a]
command = ["/a"]
group = "g"
{LADDER}
[component.b]
command = ["/b"]
needs = ["a"]
on_restart = {{ a = "restart" }}
{LADDER}
[component.c]
command = ["/c"]
group = "g"
{LADDER}
[component.d]
command = ["/d"]
needs = ["b", "c"]
"""
CHANGED = MANIFEST.replace('"/b"', '"/b", "-x"').replace("component.d", "component.e")
WRONG = MANIFEST.replace("needs", "neds")
NAMES = st.sampled_from("abcde")
OF_RUNNERS = ("started", "ready", "restart", "end")


class Life(RuleBasedStateMachine):
    """A world, its supervisors one after the other, and what an operator expects of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.supervisor = boot(self.world, MANIFEST)
        self.stopped: set[str] = set()
        self.declared = set("abcd")

    def do(self, step: Callable[[], Any], again: bool = False) -> None:
        """A step, and what follows from it; after a death the next supervisor, which is asked again."""
        try:
            step()
            pump(self.supervisor)
        except Killed:
            self.supervisor = boot(self.world)
            if again:
                step()
            pump(self.supervisor)

    @rule(name=NAMES, kind=st.sampled_from(["crash", "burst", "killed", "ended", "stray"]))
    def fault(self, name: str, kind: str) -> None:
        """Something happens to a component or to its runner."""
        runner = self.world.holder(name)
        if runner is None:
            return
        if kind == "crash":
            runner.crash()
        elif kind == "killed":
            runner.end(-9)
        elif kind == "stray":
            runner.signal(15)
        else:
            runner.finish("exit" if kind == "ended" else "burst")
        self.do(lambda: None)

    # With /run full a wish is refused, and forgotten with the supervisor that heard it.
    @precondition(lambda self: not self.world.full)
    @rule(name=NAMES, wish=st.sampled_from(["stop", "start", "restart"]))
    def wish(self, name: str, wish: str) -> None:
        """An operator's wish; refused for what there is not."""
        if name not in self.declared:
            return
        self.do(lambda: answer(self.supervisor, wish, name), again=True)
        if wish == "stop":
            self.stopped.add(name)
        else:
            # A restart of what is stopped is a start.
            self.stopped.discard(name)

    @precondition(lambda self: not self.world.full)
    @rule(text=st.sampled_from([MANIFEST, CHANGED, WRONG]))
    def reload(self, text: str) -> None:
        """Another manifest, or a wrong one, which changes nothing."""
        self.world.write(f"{ETC}/koboshi.toml", text.encode())
        self.do(lambda: answer(self.supervisor, "reload", None), again=True)
        if text != WRONG:
            self.declared = set("abcd") if text == MANIFEST else set("abce")
            self.stopped &= self.declared

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.do(lambda: sleep(self.supervisor, seconds))

    @rule(calls=st.integers(1, 12))
    def doom(self, calls: int) -> None:
        """The supervisor is killed at one of its next calls that change anything."""
        system = self.supervisor.system
        assert isinstance(system, FakeSystem)
        system.kill_at = system.calls + calls

    @rule()
    def killed_now(self) -> None:
        """The supervisor is killed while it waits."""
        self.world.listening = False
        self.supervisor = boot(self.world)

    @rule(names=st.sets(NAMES, max_size=3))
    def stubborn(self, names: set[str]) -> None:
        """These do not stop when they are told to."""
        self.world.stubborn = names

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        """/run is full, or there is space again."""
        self.world.full = full

    @precondition(lambda self: not self.world.full)
    @rule()
    def peace(self) -> None:
        """Left alone, everything that is to run does."""
        self.do(lambda: sleep(self.supervisor, 40))
        self.do(lambda: sleep(self.supervisor, 40))
        states = {name: component.state for name, component in self.supervisor.components.items()}
        assert set(states) == self.declared
        for name, state in states.items():
            assert state in ("ready", "ended", "given-up", "stopped", "waiting"), states
            assert (state == "stopped") <= (name in self.stopped), states
            if name in self.stopped:
                assert self.world.holder(name) is None, name
            if state == "waiting":
                spec = self.supervisor.components[name].spec
                assert spec is not None
                assert any(states[need] not in ("ready", "ended") for need in spec.needs), states
            assert (self.world.holder(name) is not None) == (state == "ready"), states

    @invariant()
    def one_copy(self) -> None:
        """Never two instances of one component."""
        holders = [runner.name for runner in self.world.runners.values() if runner.alive and runner.instance]
        assert len(holders) == len(set(holders))

    @invariant()
    def the_log_is_whole(self) -> None:
        """Records are numbered without a gap, and what a runner told is there at most once and in order."""
        records = self.world.records()
        assert [record.seq for record in records] == list(range(1, len(records) + 1))
        for name, events in self.world.events.items():
            told = [
                (r.event, f"{r.time:.6f}") for r in records if r.component == name and r.event in OF_RUNNERS
            ]
            assert told == events[: len(told)]


settings.register_profile("life", deadline=None, suppress_health_check=list(HealthCheck))
TestLife = Life.TestCase
TestLife.settings = settings(
    settings.get_profile("life"),
    max_examples=int(os.environ.get("KOBOSHI_LIVES", "30")),
    stateful_step_count=40,
)
