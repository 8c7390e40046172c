# SPDX-License-Identifier: MIT
"""koboshi-publish, the device's own way to a broker: real supervisor, real component, real mosquitto."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from koboshi.publish import daemon as publish
from koboshi.publish import mqtt

from tests.unit.desk.console.test_transport import poll
from tests.unit.desk.fleet.test_bridge import Broker, Listener, broker, needs_broker
from tests.unit.device.test_supervisor_live import Device, device, rfork_run
from tests.unit.project.test_docs import blocks
from workbench.core.repository import REPOSITORY

__all__ = ["broker", "device", "rfork_run"]  # fixtures

PROGRAM = str(REPOSITORY / "supervisor/koboshi-publish")
CRASHER = """
[component.crasher]
command = ["PYTHON", "-S", "-c", "import os, time; time.sleep(0.2); os.abort()", "MARK"]
restart = { burst = 100000, probation_s = 0 }
ladder = { same_fault = 0 }
"""


def manifest_of(device: Device, url: str) -> str:
    """The manifest of docs/fleet.md, for this broker, and something to tell of."""
    text = blocks("fleet.md", "toml")[0].replace("/usr/bin/koboshi-publish", PROGRAM)
    text = text.replace("mqtt://broker", url)
    return f"version = 1\n{text}environment = {{ KOBOSHI_RUN = {json.dumps(str(device.run))} }}\n{CRASHER}"


def events(listener: Listener) -> list[dict[str, object]]:
    """The records that came, each once."""
    found = {}
    for topic, text, _ in list(listener.got):
        if "/event/" in topic:
            event = json.loads(text)
            found[event["seq"]] = event
    return [found[seq] for seq in sorted(found)]


@needs_broker
def test_device_publishes(device: Device, broker: Broker) -> None:
    """Every record of a device reaches the broker, with the bridge's topics, also those while it was away."""
    device.manifest(manifest_of(device, broker.url))
    with Listener(broker) as listener:
        device.start()
        poll(lambda: [e for e in events(listener) if e["event"] == "restart"], "a restart")
        poll(lambda: "koboshi/left/component/publish" in listener.topics(), "a state")
    broker.stop()
    crashes = device.count("restart")
    poll(lambda: device.count("restart") > crashes + 2, "restarts while the broker is away")
    broker.start()
    before = device.records()[-1].seq
    with Listener(broker) as listener:
        poll(lambda: [e for e in events(listener) if e["seq"] == before], "what happened meanwhile")
        first = events(listener)[0]["seq"]
        assert isinstance(first, int)
        poll(lambda: len(events(listener)) > before - first, "all of it")
        assert [e["seq"] for e in events(listener)][: before - first] == list(range(first, before))
    assert events(listener)[0]["boot"] == device.records()[0].keys["id"]


@needs_broker
def test_what_is_kept(device: Device, broker: Broker) -> None:
    """States are there for who comes late; when the component is stopped, it is said to be gone."""
    device.manifest(manifest_of(device, broker.url))
    device.start()
    with Listener(broker) as listener:
        poll(lambda: ("koboshi/left/online", "true") in [m[:2] for m in listener.got], "its word")
        poll(lambda: "koboshi/left/component/crasher" in listener.topics(), "a state")
        device.ctl("stop", "publish")
        poll(lambda: ("koboshi/left/online", "false") in [m[:2] for m in listener.got], "its last word")
    with Listener(broker) as late:
        poll(lambda: len(late.got) >= 3, "what is kept")
        assert all(kept for _, _, kept in late.got)
        states = {topic: text for topic, text, _ in late.got}
        assert json.loads(states["koboshi/left/component/crasher"])["state"] in (
            "running",
            "ready",
            "restarting",
        )


@pytest.mark.parametrize(
    "words", [[], ["mqtt://x"], ["http://x", "left"], ["mqtt://x:y", "left"], ["mqtt://x:0", "left"],
              ["mqtt://", "left"], ["mqtt://x", "a/b"], ["mqtt://x", "left", "#"],
              ["mqtt://x", "a", "b", "c"]],
)  # fmt: skip
def test_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong use has status 100, before anything is connected to."""
    assert publish.main(words) == 100
    assert "usage: koboshi-publish" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("mqtt://broker", ("broker", 1883, "")),
        ("mqtt://me@broker:1884", ("broker", 1884, "me")),
        ("mqtt://[::1]:1884", ("::1", 1884, "")),
        ("mqtt://[fe80::1]", ("fe80::1", 1883, "")),
    ],
)
def test_addresses(url: str, wanted: tuple[str, int, str]) -> None:
    """Host, port and user of an address, of IPv6 too."""
    address = mqtt.Address(url)
    assert (address.host, address.port, address.user) == wanted


def broken(reply: bytes) -> str:
    """A server that answers so, whatever is said to it; what the client made of that."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            connected = mqtt.Broker(mqtt.Address(f"mqtt://127.0.0.1:{server.getsockname()[1]}"), "me", "x")
            connected.close()
            return ""
        except OSError as error:
            return str(error)
        finally:
            thread.join()


def test_broker_that_refuses() -> None:
    """A refusal has its code, and the end of a connection is an end."""
    assert broken(b"\x20\x02\x00\x00") == ""
    assert "code 05" in broken(b"\x20\x02\x00\x05")
    assert "closed" in broken(b"\x20\x02")
    assert "does not speak MQTT" in broken(b"\x20\xff\xff\xff\xff\x01")


@given(st.binary(max_size=40))
def test_any_bytes_of_a_broker(data: bytes) -> None:
    """Whatever a broker sends is packets, the beginning of one, or an OSError."""
    try:
        while (packet := mqtt._packet(data)) is not None:
            assert len(packet[2]) < len(data)
            data = packet[2]
    except OSError:
        assert len(data) >= 5


@given(st.integers(0, 268_435_455))
def test_lengths(size: int) -> None:
    """A packet's length is written as it is read (2.2.3)."""
    written = mqtt._length(size)
    assert len(written) <= 4
    assert sum((byte & 0x7F) << 7 * at for at, byte in enumerate(written)) == size
    assert [bool(byte & 0x80) for byte in written] == [True] * (len(written) - 1) + [False]


def test_image_has_it() -> None:
    """The quick image and Buildroot's package install it."""
    for path in ("workbench/image/layer.py", "package/koboshi/koboshi.mk"):
        assert re.search(r"\bkoboshi-publish\b", (REPOSITORY / path).read_text())
    assert Path(PROGRAM).stat().st_mode & 0o111
