# SPDX-License-Identifier: MIT
"""Publishes the devices' events and states to an MQTT broker (docs/fleet.md)."""

from __future__ import annotations

import json
import os
import threading
from urllib.parse import SplitResult, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from koboshi_desk.console.decoder import Item, Record
from koboshi_desk.console.times import stamp
from koboshi_desk.console.transport import told
from koboshi_desk.core.errors import PortError
from koboshi_desk.device.model import Component
from koboshi_desk.device.observed import Device

PASSWORD_VARIABLE = "KOBOSHI_MQTT_PASSWORD"  # not an option: every user can read options in /proc
QUEUED = 10_000  # messages kept while the broker is away; further messages are dropped and counted
LAST_S = 5.0  # how long close() waits for the broker, and then for its answer
SCHEMES = {"mqtt": 1883, "mqtts": 8883}


def _address(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or SCHEMES[parts.scheme]
    except (ValueError, KeyError):
        parts, port = SplitResult("", "", "", "", ""), 0
    if not parts.hostname:
        raise PortError(url, "no address of a broker", "mqtt://[USER@]HOST[:PORT] or mqtts://... is needed")
    return parts, parts.hostname, port


class Publisher:
    """A publisher with QoS 1 that reconnects when the broker is back; close() stops it."""

    def __init__(self, url: str, prefix: str = "koboshi") -> None:
        parts, host, port = _address(url)
        self.prefix = prefix
        self.dropped = 0
        self._states: dict[tuple[str, str], str] = {}
        self._greeted = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(QUEUED)
        self._client.reconnect_delay_set(1, 30)
        if parts.username:
            self._client.username_pw_set(parts.username, os.environ.get(PASSWORD_VARIABLE))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(f"{prefix}/bridge/online", "false", qos=1, retain=True)
        self._client.on_connect = self._connected
        try:
            self._client.connect(host, port)
        except OSError as error:  # at the start a wrong address is worth an end; later it comes back
            raise PortError(url, told(error), "a running MQTT broker is needed") from error
        self._client.loop_start()

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.publish(f"{self.prefix}/bridge/online", "true", qos=1, retain=True)
        self._greeted.set()

    def take(self, device: Device, item: Item) -> None:
        """Publish an event, and the component's state if the event changed it."""
        if not isinstance(item, Record) or item.history:
            return
        event = {"seq": item.seq, "time": item.time, "event": item.event, "boot": device.model.boot_id}
        if device.received is not None:
            event["received"] = stamp(device.received)
        self._publish(f"{device.name}/event/{item.event}", event | item.fields)
        if component := device.model.components.get(item.component):
            self._state(device, component, item.time)

    def look(self, device: Device) -> None:
        """Publish the states that no record has changed: the device said so, or its console is closed."""
        for component in device.model.components.values():
            self._state(device, component, device.model.time)

    def _state(self, device: Device, component: Component, time: float) -> None:
        if self._states.get((device.name, component.name)) == component.state:
            return
        self._states[device.name, component.name] = component.state
        values = {"state": component.state, "generation": component.generation, "time": time}
        self._publish(f"{device.name}/component/{component.name}", values, retain=True)

    def _publish(self, topic: str, values: dict[str, object], *, retain: bool = False) -> None:
        text = json.dumps(values)
        sent = self._client.publish(f"{self.prefix}/{topic_of(topic)}", text, qos=1, retain=retain)
        self.dropped += sent.rc == paho.MQTT_ERR_QUEUE_SIZE

    def close(self) -> None:
        """Publish what is queued and that this bridge has gone, then disconnect."""
        # A short recording ends before the broker has answered the first connection.
        self._greeted.wait(LAST_S)
        last = self._client.publish(f"{self.prefix}/bridge/online", "false", qos=1, retain=True)
        if self._client.is_connected():
            last.wait_for_publish(LAST_S)
        self._client.disconnect()
        self._client.loop_stop()


def topic_of(text: str) -> str:
    """Without what has a meaning in a topic: `+`, `#`, and what is not printable."""
    return "".join(c if c.isprintable() and c not in "+#" else "-" for c in text)
