# SPDX-License-Identifier: MIT
"""What a failure costs a component, and what follows it (docs/supervisor.md, The ladder)."""

from __future__ import annotations

from koboshi.state.component import RUNGS, Component


def wait(component: Component) -> None:
    """Start as if it had never failed, once what it needs is ready."""
    component.downtime.cancel()
    component.used = dict.fromkeys(RUNGS, 0.0)
    component.served_s = 0.0
    component.streak = component.same = 0
    component.rung = None
    component.again = False
    wait_again(component)


def wait_again(component: Component) -> None:
    """Start once what it needs is ready; what the ladder knows stays."""
    component.by = component.after = ""
    component.error = component.said = None
    component.enter("waiting")


def forget_runner(component: Component) -> None:
    """There is none."""
    component.runner = component.runner_start = 0


def out_of_service(component: Component) -> None:
    """From now on, by no wish of an operator's."""
    if component.been_ready:
        component.downtime.begin(component.out.now())


def runner_gone(component: Component) -> None:
    """At rest after a normal end; else one step on the ladder."""
    forget_runner(component)
    if component.ended_well:
        component.downtime.cancel()
        component.enter("ended")
    elif component.reason == "exec":
        # The next start would fail as this one did.
        out_of_service(component)
        give_up(component)
    else:
        climb(component)


def climb(component: Component) -> None:
    """Start anew after a delay that grows, on the lowest rung that has budget left; or give up.

    Without something that it needs, it waits for that instead: the failure is not its own.
    """
    out_of_service(component)
    if lacking := component.out.lacking(component):
        component.record("waiting", {"needs": ",".join(lacking), **why(component)})
        wait_again(component)
        return
    refill(component)
    others: list[str] = []
    for rung in RUNGS:
        others = component.out.others(component, rung)
        count = component.budget(rung)[0]
        # A rung on which nobody else is restarted is the one below it again.
        if (others or rung == "cold") and component.used[rung] + 1 <= count + 1e-6:
            component.used[rung] += 1
            break
    else:
        give_up(component)
        return
    component.rung = rung
    if others:
        component.record("ladder", {"rung": rung, "with": ",".join(others)})
        component.out.restart_others(others)
    delay(component)


def refill(component: Component) -> None:
    """The buckets leak while it is in service, and at no other time: waiting is no improvement."""
    component.count_service(component.out.now())
    for rung in RUNGS:
        count, window = component.budget(rung)
        component.used[rung] = max(0.0, component.used[rung] - component.served_s * count / window)
    if component.spec is not None and component.served_s >= component.spec.number("ladder.good_run_s"):
        component.streak = 0
    component.served_s = 0.0


def delay(component: Component) -> None:
    """Wait before the next start: longer each time, until a good run."""
    assert component.spec is not None
    first, longest = component.spec.number("cold.delay_s"), component.spec.number("cold.delay_max_s")
    pause = min(first * 2 ** min(component.streak, 30), longest)
    component.streak += 1
    component.again = True
    component.enter("restarting", component.out.now() + pause)
    keys = {"delay_ms": round(pause * 1000), "attempt": component.streak, **component.told_left()}
    component.record("cold", {**keys, **why(component)})


def give_up(component: Component) -> None:
    """No budget left; the device's own rungs follow where it is vital."""
    component.enter("given-up")
    component.record("given-up", {"attempts": component.streak, **why(component)})
    if component.vital:
        component.out.last_resort(component)


def why(component: Component) -> dict[str, object]:
    """What rfork-run complained of, and what the component said last, for a record."""
    both = {"error": component.error, "said": component.said}
    return {key: value for key, value in both.items() if value is not None}


def pays_for_others(component: Component) -> bool:
    """A restart that restarts others costs what a cold start does. Record it if there is no budget; False."""
    refill(component)
    if component.used["cold"] + 1 <= component.budget("cold")[0] + 1e-6:
        component.used["cold"] += 1
        return True
    component.record("ladder", {"rung": "cold", "with": ",".join(component.disturbed)})
    return False
