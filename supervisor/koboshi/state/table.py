# SPDX-License-Identifier: MIT
"""The table of states and events as Markdown (docs/states.md)."""

from __future__ import annotations

from koboshi.state.transitions import EVENTS, STATES, TABLE, Cell

_HEAD = """\
<!-- SPDX-License-Identifier: MIT -->
<!-- Printed by `PYTHONPATH=supervisor python3 -m koboshi.state.table`; a test compares. -->
# States and events of a component

What is not here does nothing. `go`: all that it needs is ready. `gone`: its runner has ended.
`timer`: its deadline (a delay, a stop's limit) has passed. `stop`, `start`, `restart-now`: an operator,
a reload, a shutdown, the safe state, or another component's ladder. `stop-now`: an operator's second stop.
`same-fault`: the limit of faults alike is reached. `disturbs`: its restarts have restarted others too
often. The others are rfork-run's.

| state | event | what is done | states that may follow |
|---|---|---|---|
"""


def markdown() -> str:
    """Return the page."""
    rows = [
        _row(state, event, TABLE[state][event])
        for state in STATES
        for event in EVENTS
        if event in TABLE[state]
    ]
    return _HEAD + "".join(rows)


def _row(state: str, event: str, cell: Cell) -> str:
    what = (cell[0].__doc__ or "").split("\n")[0].rstrip(".")
    follow = ", ".join(f"`{name}`" for name in cell[1])
    return f"| `{state}` | `{event}` | {what} | {follow} |\n"


if __name__ == "__main__":
    print(markdown(), end="")
