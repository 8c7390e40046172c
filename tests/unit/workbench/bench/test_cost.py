# SPDX-License-Identifier: MIT
"""The comparison with the stock kernel."""

from __future__ import annotations

from workbench.bench import cost as bench_cost


def rows(**each: list[float]) -> list[dict[str, object]]:
    """As the program prints them."""
    return [{"what": what, "each": value} for what, values in each.items() for value in values]


def test_median_counts() -> None:
    """A round with an interrupt more does not decide."""
    (cost,) = bench_cost.compare(rows(fork=[100, 101, 900]), rows(fork=[102, 101, 101]))
    assert (cost.stock, cost.patched, cost.ratio, cost.within) == (101, 101, 1.0, True)


def test_more_than_a_percent_is_too_much() -> None:
    """Each thing has its own verdict, and the text names the one that is not within the bound."""
    first, second = bench_cost.compare(rows(a=[1000], b=[1000]), rows(a=[1009], b=[1011]))
    assert (first.within, second.within) == (True, False)
    assert "more than 1.01" in bench_cost.text([second])
    assert "more than" not in bench_cost.text([first])
