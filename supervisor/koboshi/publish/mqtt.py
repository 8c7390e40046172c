# SPDX-License-Identifier: MIT
"""As much of MQTT 3.1.1 as publishing with QoS 1 takes.

Numbers are sections of the OASIS standard of 29 October 2014.
"""

from __future__ import annotations

import os
import socket

KEEP_ALIVE_S = 60
_ANSWER_S = 10.0
_PORT = 1883
_LONGEST = 64 << 10
# Types of packets, with their flags (2.2).
_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _PINGREQ, _DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0xC0, 0xE0
_QOS1, _RETAIN = 0x02, 0x01
_CLEAN, _WILL, _WILL_QOS1, _WILL_RETAIN, _PASSWORD, _USER = 0x02, 0x04, 0x08, 0x20, 0x40, 0x80


class AddressError(ValueError):
    """Not the address of a broker."""


class Address:
    """`mqtt://[USER@]HOST[:PORT]`; the password is in the environment, which /proc hides."""

    __slots__ = ("host", "port", "user")

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self.user, _, place = rest.rpartition("@")
        host, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, port = place, str(_PORT)
        self.host = host.strip("[]")
        if scheme != "mqtt" or not self.host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise AddressError(f"{url}: mqtt://[USER@]HOST[:PORT] is needed")
        self.port = int(port)


class Broker:
    """A connection that publishes; every failure is an OSError. `will` is said `false` when it breaks."""

    def __init__(self, address: Address, name: str, will: str) -> None:
        self.socket = socket.create_connection((address.host, address.port), _ANSWER_S)
        self._input = b""
        self._number = 0
        try:
            self._send(_CONNECT, _hello(address.user, name, will))
            while not (answer := self._packets()):
                pass
            kind, body = answer[0]
            if kind != _CONNACK or len(body) < 2 or body[1]:
                raise OSError(f"the broker refuses: code {body[1:2].hex()}")
        except OSError:
            self.socket.close()
            raise

    def publish(self, topic: str, text: str, retain: bool = False) -> int:
        """Send a message; its number, which `acknowledged` gives back."""
        self._number = self._number % 0xFFFF + 1
        body = _text(topic) + self._number.to_bytes(2, "big") + text.encode()
        self._send(_PUBLISH | _QOS1 | (_RETAIN if retain else 0), body)
        return self._number

    def acknowledged(self) -> list[int]:
        """The numbers of the messages that the broker has by now; call it when there is something to read."""
        packets = self._packets()
        return [int.from_bytes(body[:2], "big") for kind, body in packets if kind == _PUBACK]

    def ping(self) -> None:
        """Say that we are there; the broker answers."""
        self._send(_PINGREQ, b"")

    def close(self) -> None:
        """Go, with a word: the will is not said."""
        try:
            self._send(_DISCONNECT, b"")
        except OSError:
            pass
        self.socket.close()

    def _send(self, kind: int, body: bytes) -> None:
        self.socket.sendall(bytes([kind]) + _length(len(body)) + body)

    def _packets(self) -> list[tuple[int, bytes]]:
        """Those that are whole, after waiting for some bytes (2.2.3: seven bits of the length in a byte)."""
        data = self.socket.recv(4096)
        if not data:
            raise OSError("the broker has closed the connection")
        self._input += data
        found = []
        while (packet := _packet(self._input)) is not None:
            kind, body, self._input = packet
            found.append((kind, body))
        return found


def _packet(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first packet, and what follows it."""
    size = shift = 0
    for at in range(1, min(len(data), 5)):
        size |= (data[at] & 0x7F) << shift
        shift += 7
        if not data[at] & 0x80:
            end = at + 1 + size
            return (data[0] & 0xF0, data[at + 1 : end], data[end:]) if len(data) >= end else None
    if len(data) >= 5:
        raise OSError("the broker does not speak MQTT")
    return None


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, low = size >> 7, size & 0x7F
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _text(text: str) -> bytes:
    data = text.encode()[: _LONGEST - 1]
    return len(data).to_bytes(2, "big") + data


def _hello(user: str, name: str, will: str) -> bytes:
    """CONNECT's body (3.1)."""
    flags = _CLEAN | _WILL | _WILL_QOS1 | _WILL_RETAIN
    fields = [_text(name), _text(will), _text("false")]
    if user:
        flags |= _USER
        fields.append(_text(user))
        password = os.environ.get("KOBOSHI_MQTT_PASSWORD")
        if password is not None:
            flags |= _PASSWORD
            fields.append(_text(password))
    return _text("MQTT") + bytes([4, flags]) + KEEP_ALIVE_S.to_bytes(2, "big") + b"".join(fields)
