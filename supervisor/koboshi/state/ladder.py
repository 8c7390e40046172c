# SPDX-License-Identifier: MIT
"""The ladder: what a failure costs a component, and what follows (docs/supervisor.md)."""

from __future__ import annotations

from koboshi.state.component import RUNGS, Component


def wait(component: Component) -> None:
    """Start with full budgets when its needs are ready."""
    component.downtime.cancel()
    component.used = dict.fromkeys(RUNGS, 0.0)
    component.served_s = 0.0
    component.streak = component.same = 0
    component.rung = None
    component.again = False
    wait_again(component)


def wait_again(component: Component) -> None:
    """Start when its needs are ready; the budgets stay as they are."""
    component.by = component.after = ""
    component.error = component.said = None
    component.enter("waiting")


def forget_runner(component: Component) -> None:
    """Note that it has no runner."""
    component.runner = component.runner_start = 0


def out_of_service(component: Component) -> None:
    """Begin an outage."""
    if component.been_ready:
        component.downtime.begin(component.out.now())


def runner_gone(component: Component) -> None:
    """Stay ended after a normal end; otherwise take a step on the ladder."""
    forget_runner(component)
    if component.ended_well:
        component.downtime.cancel()
        component.enter("ended")
    elif component.reason == "exec":
        # The next start would fail for the same reason.
        out_of_service(component)
        give_up(component)
    else:
        climb(component)


def climb(component: Component) -> None:
    """Restart after a growing delay, on the lowest rung that has budget left; or give up.

    If a needed component is not ready, wait for it instead, and charge nothing.
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
        # A rung that restarts no other component is the same as the rung below, so it is skipped.
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
    """Refill the budgets for the time in service. Other time brings nothing back."""
    component.count_service(component.out.now())
    for rung in RUNGS:
        count, window = component.budget(rung)
        component.used[rung] = max(0.0, component.used[rung] - component.served_s * count / window)
    if component.spec is not None and component.served_s >= component.spec.number("ladder.good_run_s"):
        component.streak = 0
    component.served_s = 0.0


def delay(component: Component) -> None:
    """Delay the next start, longer each time until a good run."""
    assert component.spec is not None
    first, longest = component.spec.number("cold.delay_s"), component.spec.number("cold.delay_max_s")
    pause = min(first * 2 ** min(component.streak, 30), longest)
    component.streak += 1
    component.again = True
    component.enter("restarting", component.out.now() + pause)
    keys = {"delay_ms": round(pause * 1000), "attempt": component.streak, **component.told_left()}
    component.record("cold", {**keys, **why(component)})


def give_up(component: Component) -> None:
    """Give up; for a vital component, the device's own rungs follow."""
    component.enter("given-up")
    component.record("given-up", {"attempts": component.streak, **why(component)})
    if component.vital:
        component.out.last_resort(component)


def why(component: Component) -> dict[str, object]:
    """Return rfork-run's last error and the component's last line, for a record."""
    both = {"error": component.error, "said": component.said}
    return {key: value for key, value in both.items() if value is not None}


def pays_for_others(component: Component) -> bool:
    """Charge a restart that restarted others like a cold start; False, and a record, without budget."""
    refill(component)
    if component.used["cold"] + 1 <= component.budget("cold")[0] + 1e-6:
        component.used["cold"] += 1
        return True
    component.record("ladder", {"rung": "cold", "with": ",".join(component.disturbed)})
    return False
