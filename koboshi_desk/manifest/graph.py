# SPDX-License-Identifier: MIT
"""Draws a manifest's components and their dependencies as SVG; components on the left start first."""

from __future__ import annotations

from html import escape

from koboshi.manifest.model import Component, Manifest

BOX_W, BOX_H, GAP_X, GAP_Y, EDGE = 184, 52, 70, 22, 16
STYLE = """
svg { font: 14px system-ui, sans-serif; background: #ffffff; }
.box { fill: #f5f7f9; stroke: #8a949f; } .vital .box { stroke: #c8372d; stroke-width: 2.5; }
.safe .box { fill: #e3f3ec; } text { fill: #1d2127; } .soft { fill: #59626e; font-size: 11px; }
path { fill: none; stroke: #8a949f; stroke-width: 1.4; } marker path { fill: #8a949f; stroke: none; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171b; } .box { fill: #1c2127; stroke: #6a7480; } .safe .box { fill: #17352a; }
  text { fill: #e4e8ec; } .soft { fill: #98a2ad; } .vital .box { stroke: #f0645a; }
}
"""
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker>'
)


def places(manifest: Manifest) -> dict[str, tuple[int, int]]:
    """Return the column and row of each component, to the right of all its dependencies."""
    found: dict[str, tuple[int, int]] = {}
    used: dict[int, int] = {}
    for c in manifest.components.values():
        column = 1 + max((found[need][0] for need in c.needs), default=-1)
        # Beside what it needs, if there is room.
        row = max(used.get(column, 0), min((found[need][1] for need in c.needs), default=0))
        found[c.name] = (column, row)
        used[column] = row + 1
    return found


def svg(manifest: Manifest) -> str:
    """Return the SVG picture."""
    at = {name: _corner(*place) for name, place in places(manifest).items()}
    width = max((x for x, _ in at.values()), default=0) + BOX_W + EDGE
    height = max((y for _, y in at.values()), default=0) + BOX_H + EDGE
    edges = [
        _edge(at[need], at[c.name], f"{c.name} needs {need}")
        for c in manifest.components.values()
        for need in c.needs
    ]
    boxes = [_box(c, *at[c.name]) for c in manifest.components.values()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}">'
        f"<title>Components and what they need</title><style>{STYLE}</style><defs>{ARROW}</defs>\n"
        + "\n".join([*edges, *boxes])
        + "\n</svg>\n"
    )


def _corner(column: int, row: int) -> tuple[int, int]:
    return EDGE + column * (BOX_W + GAP_X), EDGE + row * (BOX_H + GAP_Y)


def _edge(begin: tuple[int, int], end: tuple[int, int], title: str) -> str:
    x1, y1, x2, y2 = begin[0] + BOX_W, begin[1] + BOX_H // 2, end[0], end[1] + BOX_H // 2
    bend = max(GAP_X // 2, (x2 - x1) // 2)
    curve = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return f'<path d="{curve}" marker-end="url(#arrow)"><title>{escape(title)}</title></path>'


def _box(c: Component, x: int, y: int) -> str:
    kinds = " ".join(key for key in ("vital", "safe") if c.values.get(key))
    beat = c.values.get("heartbeat_s")
    words = [f"ready: {c.get('ready')}", *([f"heartbeat {beat:g} s"] if beat else []), *kinds.split()]
    if group := c.values.get("group"):
        words.append(f"group {group}")
    middle = x + BOX_W // 2
    return (
        f'<g class="{kinds}"><title>{escape(" ".join(c.argv()))}</title>'
        f'<rect class="box" x="{x}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="6"/>'
        f'<text x="{middle}" y="{y + 22}" text-anchor="middle">{escape(_short(c.name, 22))}</text>'
        f'<text class="soft" x="{middle}" y="{y + 40}" '
        f'text-anchor="middle">{escape(_short(", ".join(words), 32))}</text>'
        "</g>"
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
