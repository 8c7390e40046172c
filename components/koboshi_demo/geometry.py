# SPDX-License-Identifier: MIT
"""Distance and bearing on the sphere, good to half a per cent, which a demo's pilot can live with."""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin, sqrt

NAUTICAL_MILES = 3440.065  # the earth's mean radius


def distance_bearing(from_lat: float, from_lon: float, to_lat: float, to_lon: float) -> tuple[float, float]:
    """Nautical miles and degrees true along the great circle."""
    a, b, turn = radians(from_lat), radians(to_lat), radians(to_lon - from_lon)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(turn / 2) ** 2
    bearing = atan2(sin(turn) * cos(b), cos(a) * sin(b) - sin(a) * cos(b) * cos(turn))
    return 2 * NAUTICAL_MILES * asin(sqrt(half)), degrees(bearing) % 360
