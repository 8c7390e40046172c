# SPDX-License-Identifier: MIT
"""Logarithmic buckets, ten per decade."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence

A_DECADE = 10


def buckets(values: Iterable[int]) -> list[int]:
    """Edges, growing, that hold all the values; each value is below the last edge."""
    known = [max(1, value) for value in values]
    first = math.floor(math.log10(min(known)) * A_DECADE)
    edges = [first]
    while _edge(edges[-1]) <= max(known):
        edges.append(edges[-1] + 1)
    numbers = sorted({math.floor(_edge(edge)) for edge in edges})
    return numbers if len(numbers) > 1 else [numbers[0], numbers[0] + 1]


def _edge(step: int) -> float:
    return math.pow(10, step / A_DECADE)


def bucket_of(value: int, edges: Sequence[int]) -> int:
    """The number of the bucket: edges[it] <= value < edges[it + 1]."""
    return min(max(bisect.bisect_right(edges, max(1, value)) - 1, 0), len(edges) - 2)
