# SPDX-License-Identifier: MIT
"""Make track.nmea: a boat's way through San Francisco Bay, as a GPS receiver would tell it.

The track is synthetic. Its waypoints are public geography (from Pier 39 around Alcatraz, under the Golden
Gate Bridge and back towards Sausalito); speed, satellites and altitude are made up.
Same input, same bytes: `python3 components/gps/make_track.py > components/gps/track.nmea`.
"""

from __future__ import annotations

import calendar
import itertools
import math
import sys
import time

WAYPOINTS = [
    (37.8110, -122.4105),  # off Pier 39
    (37.8215, -122.4120),
    (37.8310, -122.4190),  # north-east of Alcatraz
    (37.8320, -122.4290),
    (37.8240, -122.4480),
    (37.8195, -122.4700),
    (37.8175, -122.4830),  # under the bridge
    (37.8200, -122.4930),  # turning off Point Bonita's lee
    (37.8225, -122.4820),
    (37.8260, -122.4690),
    (37.8400, -122.4640),
    (37.8530, -122.4740),  # off Sausalito
]
START = calendar.timegm((2026, 6, 1, 16, 0, 0, 0, 0, 0))
STEP_S = 10
SPEED_KN = 12.0
NM_DEGREES = 1 / 60


def leg_length(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Nautical miles on the plane: the legs are short."""
    east = (b[1] - a[1]) * math.cos(math.radians((a[0] + b[0]) / 2))
    return math.hypot(b[0] - a[0], east) / NM_DEGREES


def sentence(body: str) -> str:
    """Add `$`, checksum and line end."""
    check = 0
    for byte in body.encode("ascii"):
        check ^= byte
    return f"${body}*{check:02X}\r\n"


def angle(value: float, digits: int, letters: str) -> str:
    """`3748.6600,N`."""
    minutes, degrees = math.modf(abs(value))
    text = f"{int(degrees):0{digits}d}{minutes * 60:07.4f}"
    return f"{text},{letters[value < 0]}"


def positions() -> list[tuple[float, float, float, float]]:
    """(latitude, longitude, knots, degrees true) each STEP_S seconds along the way."""
    result: list[tuple[float, float, float, float]] = []
    left = 0.0
    for a, b in itertools.pairwise(WAYPOINTS):
        length = leg_length(a, b)
        east = (b[1] - a[1]) * math.cos(math.radians(a[0]))
        course = math.degrees(math.atan2(east, b[0] - a[0])) % 360
        while left < length:
            part = left / length
            knots = SPEED_KN + 0.6 * math.sin(len(result) / 5)
            result.append((a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, knots, course))
            left += knots * STEP_S / 3600
        left -= length
    return result


def main() -> None:
    """Write a GGA and an RMC for each position."""
    for number, (latitude, longitude, knots, course) in enumerate(positions()):
        now = time.gmtime(START + number * STEP_S)
        clock = time.strftime("%H%M%S.00", now)
        where = f"{angle(latitude, 2, 'NS')},{angle(longitude, 3, 'EW')}"
        satellites, hdop = 8 + number % 4, 0.8 + 0.1 * (number % 3)
        altitude = 3 + 0.4 * math.sin(number)
        sys.stdout.write(
            sentence(f"GPGGA,{clock},{where},1,{satellites:02d},{hdop:.1f},{altitude:.1f},M,-32.2,M,,")
            + sentence(f"GPRMC,{clock},A,{where},{knots:.1f},{course:.1f},{time.strftime('%d%m%y', now)},,,A")
        )


if __name__ == "__main__":
    main()
