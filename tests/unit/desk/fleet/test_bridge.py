# SPDX-License-Identifier: MIT
"""The bridge: against a real mosquitto, and read by Prometheus's own parser."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families

from koboshi_desk import cli
from koboshi_desk.core.errors import PortError
from koboshi_desk.device.observed import Device
from koboshi_desk.fleet import bridge, mqtt
from koboshi_desk.fleet.bridge import _names
from koboshi_desk.fleet.metrics import Metrics
from koboshi_desk.fleet.mqtt import Publisher, topic_of
from koboshi_desk.watch.live import Consoles
from tests.unit.desk.console.test_transport import poll, record, serve
from workbench.core.repository import REPOSITORY

DEMO = REPOSITORY / "tests/data/console/demo.log"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


class Broker:
    """A mosquitto of the test's own, which can be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
        )
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For --mqtt."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Until it takes connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(MOSQUITTO), "-c", str(self._config)], stdout=log, stderr=log
            )
        poll(self._answers, "broker")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def signal(self, number: int) -> None:
        """Stop or continue it."""
        assert self._process
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.terminate()
            self._process.wait(120)
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


class Listener:
    """Subscribes to everything; `got` are the messages in their order."""

    def __init__(self, broker: Broker) -> None:
        self.got: list[tuple[str, str, bool]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _u, m: self.got.append((m.topic, m.payload.decode(), m.retain))
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.subscribe("koboshi/#", qos=1)
        self._client.loop_start()
        assert self._ready.wait(120)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def topics(self) -> list[str]:
        """What came."""
        return [topic for topic, _, _ in self.got]


@needs_broker
def test_events_reach_the_broker(broker: Broker) -> None:
    """Every record is published, in order, with its keys, and so is that the bridge is there and has gone."""
    with Listener(broker) as listener:
        assert bridge.bridge(Consoles(replays=[DEMO]), mqtt=broker.url) == 0
        poll(lambda: listener.got and listener.got[-1][:2] == ("koboshi/bridge/online", "false"), "last word")
    assert ("koboshi/bridge/online", "true") in [(topic, text) for topic, text, _ in listener.got]
    events = [json.loads(text) for topic, text, _ in listener.got if "/event/" in topic]
    assert [event["seq"] for event in events] == list(range(1, 49))
    restart = next(event for event in events if event["event"] == "restart")
    assert (restart["component"], restart["boot"]) == ("syslogd", "0bfcc6bd")


@needs_broker
def test_nothing_is_lost_to_a_broker_that_answers_late(broker: Broker) -> None:
    """A recording that ends before the broker has answered the first connection is published whole."""
    broker.signal(signal.SIGSTOP)
    late = threading.Timer(0.5, broker.signal, [signal.SIGCONT])
    late.start()
    bridge.bridge(Consoles(replays=[DEMO]), mqtt=broker.url)
    late.join()
    with Listener(broker) as listener:
        poll(lambda: ("koboshi/bridge/online", "false", True) in listener.got, "last word")
        poll(lambda: sum("component" in topic for topic in listener.topics()) == 5, "retained states")


@needs_broker
def test_state_is_there_for_who_comes_late(broker: Broker) -> None:
    """Components' states are retained: a subscriber that comes afterwards gets the last one of each."""
    bridge.bridge(Consoles(replays=[DEMO]), mqtt=broker.url)
    with Listener(broker) as listener:
        poll(lambda: len(listener.got) >= 6, "retained states")
    states = {
        topic: json.loads(text)["state"]
        for topic, text, kept in listener.got
        if kept and "component" in topic
    }
    assert states == {
        f"koboshi/demo/component/{n}": "ready" for n in ("syslogd", "httpd", "gps", "tide", "pilot")
    }


@needs_broker
def test_broker_that_goes_away_and_comes_back(broker: Broker) -> None:
    """What happens while the broker is away is published when it is there again."""
    publisher, device = Publisher(broker.url), Device("board")
    try:
        with Listener(broker) as listener:
            take(publisher, device, record(1))
            poll(lambda: "koboshi/board/event/ready" in listener.topics(), "event")
        broker.stop()
        poll(lambda: not publisher._client.is_connected(), "word of the broker's end")
        take(publisher, device, record(2, "restart", component="gps"))
        broker.start()
        with Listener(broker) as listener:
            poll(lambda: "koboshi/board/event/restart" in listener.topics(), "event from before")
    finally:
        publisher.close()
    assert publisher.dropped == 0


def take(publisher: Publisher, device: Device, data: bytes) -> None:
    """What the bridge does with a device's bytes."""
    for item in device.take(data):
        publisher.take(device, item)


@needs_broker
def test_full_queue_is_counted(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the broker is away messages beyond the limit are dropped, and that is counted."""
    monkeypatch.setattr(mqtt, "QUEUED", 5)
    publisher, device = Publisher(broker.url), Device("board")
    try:
        poll(publisher._client.is_connected, "connection")
        broker.stop()
        poll(lambda: not publisher._client.is_connected(), "word of the broker's end")
        for seq in range(1, 21):
            take(publisher, device, record(seq, "manifest", result="loaded"))
        assert publisher.dropped >= 15
    finally:
        publisher.close()


def test_broker_that_is_not_there() -> None:
    """A wrong address is an error at the start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PortError, match="a running MQTT broker"):
        Publisher(f"mqtt://127.0.0.1:{port}")
    with pytest.raises(PortError, match="mqtts://"):
        Publisher("localhost")


def test_names_are_topics() -> None:
    """A device's name has nothing in it that a topic gives a meaning to."""
    assert _names(Consoles(["/dev/ttyUSB0", "socket://h:5"], [Path("a/b c.log")])) == [
        "b-c",
        "ttyUSB0",
        "socket---h-5",
    ]
    assert topic_of("a/+/#\n") == "a/-/--"


# Metrics


def scraped(port: int) -> dict[str, float]:
    """What Prometheus makes of a scrape: sample with labels, and value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as reply:
        text = reply.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def metrics_of(log: Path) -> dict[str, float]:
    """The metrics after a recorded console."""
    metrics, device = Metrics(), Device("demo", live=False)
    for item in device.take(log.read_bytes()):
        metrics.take(device, item)
    metrics.look(device)
    port, stop = metrics.serve("0")
    try:
        return scraped(port)
    finally:
        stop()


def test_metrics_of_the_demo() -> None:
    """Restarts by cause, states, latencies and downtime are those of the records."""
    found = metrics_of(DEMO)
    restarts = {
        key: value for key, value in found.items() if key.startswith("koboshi_component_restarts_total")
    }
    assert sum(restarts.values()) == 7
    assert (
        found["koboshi_component_restarts_total{cause=heartbeat,component=pilot,device=demo,level=warm}"] == 1
    )
    assert found["koboshi_component_state{component=gps,device=demo,state=ready}"] == 1
    assert found["koboshi_component_state{component=gps,device=demo,state=stopped}"] == 0
    assert found["koboshi_restart_latency_seconds_count{component=gps,device=demo}"] == 2
    assert 0.03 < found["koboshi_component_down_seconds{component=gps,device=demo}"] < 0.04
    assert found["koboshi_boots_total{device=demo}"] == 1
    assert found["koboshi_records_lost{device=demo}"] == 0


def test_trouble_is_counted() -> None:
    """Lost and garbled records, and the kernel's trouble, are metrics too."""
    found = metrics_of(REPOSITORY / "tests/data/console/handmade-oops.log")
    assert found["koboshi_records_lost{device=demo}"] == 3
    assert found["koboshi_records_garbled{device=demo}"] == 2
    assert found["koboshi_kernel_findings_total{device=demo}"] == 3


def test_bridge_serves_metrics_while_it_runs(tmp_path: Path) -> None:
    """The command answers scrapes of a live console, and ends on a signal."""
    gone = threading.Event()

    def board(connection: socket.socket) -> None:
        with connection:
            connection.sendall(record(1))
            gone.wait(60)

    server, address = serve(board)
    words = ["--port", f"socket://{address}", "--name", "board", "--metrics", "0"]
    errors = tmp_path / "errors"
    with server, errors.open("wb") as file:
        command = [sys.executable, "-m", "koboshi_desk.cli", "bridge", *words]
        process = subprocess.Popen(command, stderr=file, cwd=REPOSITORY)
        try:
            poll(lambda: b"port " in errors.read_bytes(), "port")
            port = int(errors.read_text().split("port ")[1])
            wanted = "koboshi_component_state{component=gps,device=board,state=ready}"
            poll(lambda: scraped(port).get(wanted) == 1, "state")
        finally:
            gone.set()
            process.terminate()
            assert process.wait(120) == 128 + 15


DASHBOARD = json.loads((REPOSITORY / "docs/grafana.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
PROMTOOL = shutil.which("promtool")


def known_labels() -> dict[str, set[str]]:
    """Each metric that the bridge can have, and its labels."""
    metrics, device = Metrics(), Device("demo", live=False)
    more = record(1000, "given-up", component="gps", attempts=3) + b"[    9.000000] BUG: x\n"
    for item in device.take(DEMO.read_bytes() + b"\n" + more):
        metrics.take(device, item)
    metrics.look(device)
    port, stop = metrics.serve("0")
    try:
        samples = [name.rstrip("}").split("{") for name in scraped(port)]
    finally:
        stop()
    return {name: {label.split("=")[0] for label in labels.split(",")} for name, labels in samples}


def test_dashboard_asks_for_what_there_is() -> None:
    """Each metric that the dashboard names is one that the bridge has, with the labels that it names."""
    known, named = known_labels(), set()
    for query in QUERIES:
        for name, matchers in re.findall(r"(koboshi_\w+)(?:\{([^}]*)\})?", query):
            named.add(name)
            assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)) <= known[name], query
            grouped = {
                label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")
            }
            assert grouped <= known[name], query
    documented = set(re.findall(r"`(koboshi_\w+)`", (REPOSITORY / "docs/fleet.md").read_text()))
    assert {name.removesuffix("_bucket") for name in named} <= documented


def test_dashboard_is_whole() -> None:
    """Panels have a number and a place of their own, legends name labels, and variables exist."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD)
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= variables
    assert set(re.findall(r"\{\{(\w+)\}\}", text)) <= set.union(*known_labels().values())


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_prometheus_takes_the_queries(tmp_path: Path) -> None:
    """Prometheus's own parser reads every query of the dashboard."""
    rules = [{"record": f"r{at}", "expr": query.replace("$device", ".*")} for at, query in enumerate(QUERIES)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    done = subprocess.run([str(PROMTOOL), "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bridge_to_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a target the bridge says what it can do."""
    assert cli.main(["bridge", "--replay", str(DEMO)]) == 1
    assert "--mqtt" in capsys.readouterr().err
