# SPDX-License-Identifier: MIT
"""The astronomy of tide prediction: each constituent's speed, argument and nodal correction at a time.

The height is mean + sum of f * H * cos(V + u - g): H and g are a station's published amplitude and phase lag
at Greenwich; V, the argument of the equilibrium tide, and f and u, which follow the moon's node through 18.6
years, are the same for all stations. From P. Schureman, Manual of Harmonic Analysis and Prediction of Tides
(US Coast and Geodetic Survey, Special Publication 98), with A. T. Doodson's series for f and u; mean
longitudes after J. Meeus.
"""

from __future__ import annotations

from math import atan2, cos, degrees, hypot, radians, sin
from typing import NamedTuple

J2000 = 946728000.0  # 2000-01-01 12:00 UTC as seconds since 1970
CENTURY_S = 36525 * 86400.0


class Constituent(NamedTuple):
    """V = tau * T + s * moon + h * sun + p * perigee + phase, in degrees; which node factor it takes."""

    tau: int
    s: int
    h: int
    p: int
    phase: float
    node: str = ""


# T is the hour angle of the mean sun, 180 degrees at midnight.
BASIC = {
    "J1": Constituent(1, 1, 1, -1, -90, "J1"),
    "K1": Constituent(1, 0, 1, 0, -90, "K1"),
    "O1": Constituent(1, -2, 1, 0, 90, "O1"),
    "OO1": Constituent(1, 2, 1, 0, -90, "OO1"),
    "P1": Constituent(1, 0, -1, 0, 90),
    "Q1": Constituent(1, -3, 1, 1, 90, "O1"),
    "2Q1": Constituent(1, -4, 1, 2, 90, "O1"),
    "RHO1": Constituent(1, -3, 3, -1, 90, "O1"),
    "S1": Constituent(1, 0, 0, 0, 0),
    "M2": Constituent(2, -2, 2, 0, 0, "M2"),
    "N2": Constituent(2, -3, 2, 1, 0, "M2"),
    "2N2": Constituent(2, -4, 2, 2, 0, "M2"),
    "NU2": Constituent(2, -3, 4, -1, 0, "M2"),
    "MU2": Constituent(2, -4, 4, 0, 0, "M2"),
    "LDA2": Constituent(2, -1, 0, 1, 180, "M2"),
    "L2": Constituent(2, -1, 2, -1, 180, "L2"),
    "S2": Constituent(2, 0, 0, 0, 0),
    "T2": Constituent(2, 0, -1, 0, 283.3),  # the sun's perigee: 1.7 degrees in a century
    "K2": Constituent(2, 0, 2, 0, 0, "K2"),
    "M3": Constituent(3, -3, 3, 0, 0, "M3"),
    "MF": Constituent(0, 2, 0, 0, 0, "MF"),
    "SSA": Constituent(0, 0, 2, 0, 0),
    "SA": Constituent(0, 0, 1, 0, 0),
}

# Shallow water makes sums and differences of the basic ones.
COMPOUND = {
    "M4": {"M2": 2},
    "M6": {"M2": 3},
    "MK3": {"M2": 1, "K1": 1},
    "2MK3": {"M2": 2, "K1": -1},
    "MN4": {"M2": 1, "N2": 1},
    "MS4": {"M2": 1, "S2": 1},
    "2SM2": {"S2": 2, "M2": -1},
}


def _longitudes(seconds: float) -> tuple[float, float, float, float, float]:
    """T, mean longitudes of moon, sun, lunar perigee and node, in degrees (not reduced)."""
    century = (seconds - J2000) / CENTURY_S
    return (
        180 + seconds % 86400 / 240,
        218.3164477 + 481267.88123421 * century,
        280.46646 + 36000.76983 * century,
        83.3532465 + 4069.0137287 * century,
        125.04452 - 1934.136261 * century,
    )


def argument(name: str, seconds: float) -> float:
    """V in degrees at a time (seconds since 1970, UTC)."""
    if name in COMPOUND:
        return sum(count * argument(basic, seconds) for basic, count in COMPOUND[name].items())
    one = BASIC[name]
    hour_angle, moon, sun, perigee, _ = _longitudes(seconds)
    return one.tau * hour_angle + one.s * moon + one.h * sun + one.p * perigee + one.phase


def speed(name: str) -> float:
    """Degrees per hour."""
    if name in COMPOUND:
        return sum(count * speed(basic) for basic, count in COMPOUND[name].items())
    one = BASIC[name]
    yearly = one.s * 481267.88123421 + one.h * 36000.76983 + one.p * 4069.0137287
    return one.tau * 15 + yearly / (36525 * 24)


# f = a0 + a1 cos N + a2 cos 2N + a3 cos 3N and u = b1 sin N + b2 sin 2N + b3 sin 3N (degrees).
_NODE = {
    "M2": ((1.0004, -0.0373, 0.0002, 0.0), (-2.14, 0.0, 0.0)),
    "K1": ((1.0060, 0.1150, -0.0088, 0.0006), (-8.86, 0.68, -0.07)),
    "O1": ((1.0089, 0.1871, -0.0147, 0.0014), (10.80, -1.34, 0.19)),
    "J1": ((1.0129, 0.1676, -0.0170, 0.0016), (-12.94, 1.34, -0.19)),
    "OO1": ((1.1027, 0.6504, 0.0317, -0.0014), (-36.68, 4.02, -0.57)),
    "K2": ((1.0241, 0.2863, 0.0083, -0.0015), (-17.74, 0.68, -0.04)),
    "MF": ((1.0429, 0.4135, -0.0040, 0.0), (-23.74, 2.68, -0.38)),
}


def _node_l2(perigee: float, node: float) -> tuple[float, float]:
    """L2 is two lines close together: its factor follows the lunar perigee too."""
    lines = ((-0.2505, 2, 0), (-0.1102, 2, -1), (-0.0156, 2, -2), (-0.0370, 0, 1))
    angles = [(size, radians(p * perigee + n * node)) for size, p, n in lines]
    x = 1 + sum(size * cos(angle) for size, angle in angles)
    y = sum(size * sin(angle) for size, angle in angles)
    return hypot(x, y), degrees(atan2(y, x))


def node(name: str, seconds: float) -> tuple[float, float]:
    """Return f (a factor) and u (degrees) at a time; they hold for months."""
    if name in COMPOUND:
        f, u = 1.0, 0.0
        for basic, count in COMPOUND[name].items():
            factor, shift = node(basic, seconds)
            f, u = f * factor ** abs(count), u + count * shift
        return f, u
    _, _, _, perigee, moon_node = _longitudes(seconds)
    kind = BASIC[name].node
    if not kind:
        return 1.0, 0.0
    if kind == "L2":
        return _node_l2(perigee, moon_node)
    if kind == "M3":  # (f of M2) to the power of 3/2, three halves of its u
        f, u = node("M2", seconds)
        return f**1.5, 1.5 * u
    a, b = _NODE[kind]
    angle = radians(moon_node)
    f = a[0] + sum(a[k] * cos(k * angle) for k in (1, 2, 3))
    u = sum(b[k - 1] * sin(k * angle) for k in (1, 2, 3))
    return f, u
