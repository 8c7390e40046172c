# SPDX-License-Identifier: MIT
"""Prometheus metrics of the devices (docs/fleet.md)."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from koboshi_desk.console.decoder import Item, Record
from koboshi_desk.console.findings import judge
from koboshi_desk.core.errors import PortError
from koboshi_desk.device.observed import Device

STATES = (
    "waiting", "starting", "running", "ready", "restarting", "stopping", "stopped", "ended", "given-up",
    "unknown",
)  # fmt: skip
SECONDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
)  # fmt: skip


class Metrics:
    """Feed `take` with every item of every device; `serve` answers scrapes in a thread of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        where = ("device", "component")

        def gauge(name: str, what: str, labels: tuple[str, ...] = ("device",)) -> Gauge:
            return Gauge(f"koboshi_{name}", what, labels, registry=self.registry)

        def counter(name: str, what: str, labels: tuple[str, ...] = ("device",)) -> Counter:
            return Counter(f"koboshi_{name}", what, labels, registry=self.registry)

        self.restarts = counter("component_restarts", "Restarts of a component", (*where, "level", "cause"))
        self.given_up = counter("component_given_up", "Times that a component was given up", where)
        self.state = gauge("component_state", "1 for the state that a component is in", (*where, "state"))
        self.down = gauge("component_down_seconds", "Out of service in this boot", where)
        self.latency = Histogram(
            "koboshi_restart_latency_seconds",
            "From a failure to the start of the new instance",
            where,
            registry=self.registry,
            buckets=SECONDS,
        )
        self.boots = counter("boots", "Boots since the bridge began")
        self.findings = counter("kernel_findings", "Lines in which the kernel is in trouble")
        self.lost = gauge("records_lost", "Records that did not come")
        self.garbled = gauge("records_garbled", "Records that came broken")
        self.noise = gauge("console_unreadable_bytes", "Bytes that no text has: is the speed right?")
        self.open = gauge("console_open", "1 while the console's port is open")
        self._boots: dict[str, str] = {}  # the boot that each device is in
        self.safe = gauge("safe_state", "1 while the device is in its safe state")

    def take(self, device: Device, item: Item) -> None:
        """Count an item, after the device has processed it."""
        if judge(item):
            self.findings.labels(device.name).inc()
        if not isinstance(item, Record):
            return
        if item.history:
            return  # from before the bridge began
        if item.event == "boot":
            self._boots[device.name] = device.model.boot_id
            self.boots.labels(device.name).inc()
        elif item.event == "restart":
            self._restart(device, item)
        elif item.event == "restarts":
            self._labels(device, item).inc(item.number("count") or 0)
        elif item.event == "given-up":
            self.given_up.labels(device.name, item.component).inc()

    def _restart(self, device: Device, item: Record) -> None:
        self._labels(device, item).inc()
        if (latency := item.number("latency_us")) is not None:
            self.latency.labels(device.name, item.component).observe(latency / 1e6)

    def _labels(self, device: Device, item: Record) -> Counter:
        fields = item.fields
        return self.restarts.labels(
            device.name, item.component, fields.get("level", ""), fields.get("cause", "")
        )

    def look(self, device: Device) -> None:
        """Update the metrics that are states, not events."""
        counts, model = device.decoder.counts, device.model
        self.lost.labels(device.name).set(counts.lost)
        self.garbled.labels(device.name).set(counts.garbled)
        self.noise.labels(device.name).set(device.noise.total)
        self.open.labels(device.name).set(not device.note and not device.over)
        self.safe.labels(device.name).set(bool(model.safe))
        if model.boot_id and self._boots.setdefault(device.name, model.boot_id) != model.boot_id:
            self._boots[device.name] = model.boot_id
            self.boots.labels(device.name).inc()  # its console was closed meanwhile
        now = device.clock.now() or model.timeline.now
        for component in model.components.values():
            self.given_up.labels(device.name, component.name)  # a series from the start, with 0
            self.latency.labels(device.name, component.name)
            for state in STATES:
                self.state.labels(device.name, component.name, state).set(component.state == state)
            line = model.timeline.lines.get(component.name)
            self.down.labels(device.name, component.name).set(line.down_s(now) if line else 0.0)

    def serve(self, address: str) -> tuple[int, Callable[[], None]]:
        """Answer on [HOST:]PORT; the port (another one, if it was 0), and how to stop."""
        host, _, port = address.rpartition(":")
        try:
            server, thread = start_http_server(int(port), host or "127.0.0.1", self.registry)
        except (OSError, ValueError, OverflowError) as error:
            raise PortError(
                address, str(error), "[HOST:]PORT, such as 9273, is needed for metrics"
            ) from error
        assert isinstance(server, WSGIServer)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return server.server_port, stop
