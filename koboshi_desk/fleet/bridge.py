# SPDX-License-Identifier: MIT
"""`koboshi bridge`: devices' consoles on one side, MQTT and Prometheus on the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Protocol

from koboshi_desk.console.decoder import Item
from koboshi_desk.core.errors import KoboshiError
from koboshi_desk.device.observed import Device
from koboshi_desk.watch.live import Consoles, Watcher, print_note

LOOK_S = 1.0
EXTRA = "in a checkout of Koboshi, pip install '.[fleet]' brings it"


class Sink(Protocol):
    """A receiver of the devices' items."""

    def take(self, device: Device, item: Item) -> None:
        """Handle an item, after the device has processed it."""

    def look(self, device: Device) -> None:
        """Update states, as opposed to events; called periodically."""


def bridge(
    consoles: Consoles,
    *,
    names: Sequence[str] = (),
    mqtt: str = "",
    prefix: str = "koboshi",
    metrics: str = "",
    asks: bool = True,
) -> int:
    """Run until Ctrl-C or the end of all recorded consoles. Return 0."""
    if not (mqtt or metrics):
        raise KoboshiError("bridge: to where? --mqtt mqtt://HOST, --metrics PORT, or both")
    watcher = Watcher(consoles.sources(), asks=asks)
    if len(names) > len(watcher.devices):
        raise KoboshiError(f"bridge: {len(names)} names for {len(watcher.devices)} consoles")
    for device, name in zip(watcher.devices, [*names, *_names(consoles)[len(names) :]], strict=False):
        device.name = name
    with ExitStack() as ends:
        sinks = _sinks(mqtt, prefix, metrics, ends)
        looked = 0.0

        def each(device: Device, item: Item) -> None:
            for sink in sinks:
                sink.take(device, item)

        def tick() -> bool:
            nonlocal looked
            if time.monotonic() - looked >= LOOK_S:
                looked = time.monotonic()
                _look(watcher.devices, sinks)
            return True

        watcher.noted = print_note
        with suppress(KeyboardInterrupt):
            watcher.run(each, tick)
        _look(watcher.devices, sinks)
    return 0


def _names(consoles: Consoles) -> list[str]:
    """Return a device's default name: ttyUSB0 for /dev/ttyUSB0."""
    plain = [log.stem for log in consoles.replays] + [port.removeprefix("/dev/") for port in consoles.ports]
    return ["".join(c if c.isalnum() or c in "._-" else "-" for c in name) for name in plain]


def _sinks(mqtt: str, prefix: str, address: str, ends: ExitStack) -> list[Sink]:
    sinks: list[Sink] = []
    try:
        if address:
            from koboshi_desk.fleet.metrics import Metrics

            metrics = Metrics()
            port, stop = metrics.serve(address)
            ends.callback(stop)
            print(f"koboshi: metrics on port {port}", file=sys.stderr, flush=True)
            sinks.append(metrics)
        if mqtt:
            from koboshi_desk.fleet.mqtt import Publisher

            publisher = Publisher(mqtt, prefix)
            ends.callback(publisher.close)
            sinks.append(publisher)
    except ModuleNotFoundError as error:
        raise KoboshiError(f"bridge: Python's {error.name} is not installed; {EXTRA}") from error
    return sinks


def _look(devices: Sequence[Device], sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        for device in devices:
            sink.look(device)
