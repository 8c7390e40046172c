# SPDX-License-Identifier: MIT
"""A page in headless Chromium, by the DevTools protocol over pipes: what it became, and its picture.

https://chromedevtools.github.io/devtools-protocol/. One browser serves many sizes and colour schemes: its
start takes longer than all that is asked of it.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from koboshi_desk.core.errors import KoboshiError

NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT_S = 120.0
LIGHT, DARK = "light", "dark"
END = b"\0"  # of a message on the pipes
CHUNK = 1 << 20
# Not a page's business: the network, a profile, and Chromium's own services.
OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--proxy-server=127.0.0.1:9",
)  # fmt: skip


def find() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """`with Browser() as browser:`; it has no profile and no network."""

    def __init__(self) -> None:
        program = find()
        if program is None:
            raise KoboshiError("no Chromium on this machine; Debian's package chromium has it")
        self._program = program
        self._ends = ExitStack()
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._events: list[str] = []

    def __enter__(self) -> Browser:
        with ExitStack() as ends:
            self._start(ends)
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._ask("Page.enable")
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(KoboshiError):
            self._session = ""
            self._ask("Browser.close")
        self._ends.close()

    def _start(self, ends: ExitStack) -> None:
        # It removes its locks in the profile a moment after its end.
        profile = ends.enter_context(
            tempfile.TemporaryDirectory(prefix="koboshi-browser-", ignore_cleanup_errors=True)
        )
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        for descriptor in (self._to, self._from):
            ends.callback(os.close, descriptor)
        # Chromium reads from descriptor 3 and writes to 4. (Not every sh takes numbers above 9 here.)
        command = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", self._program, *OPTIONS]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium refuses to run as root with one
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        ends.callback(_end, process)

    def open(self, page: Path) -> None:
        """Load a file, and wait until it is there."""
        self._events.clear()
        self._ask("Page.navigate", url=page.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()

    def look(self, width: int, height: int, scheme: str = LIGHT) -> None:
        """Set the window's size and the preferred colour scheme."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def value(self, script: str) -> object:
        """What a JavaScript expression is in the page."""
        found = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise KoboshiError(f"{script}: {found['exceptionDetails'].get('text')}")
        return found["result"].get("value")

    def screenshot(self) -> bytes:
        """Return the window as a PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        text = json.dumps(message).encode() + END
        while text:
            text = text[self._write(text) :]
        while (reply := self._next()).get("id") != self._number:
            pass
        if "error" in reply:
            raise KoboshiError(f"{self._program}: {method}: {reply['error'].get('message')}")
        result: dict[str, Any] = reply["result"]
        return result

    def _write(self, text: bytes) -> int:
        try:
            return os.write(self._to, text)
        except OSError as error:
            raise KoboshiError(f"{self._program}: {error.strerror}; it has ended") from error

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + LIMIT_S
        while END not in self._buffer:
            ready = select.select([self._from], [], [], max(0.0, end - time.monotonic()))[0]
            data = os.read(self._from, CHUNK) if ready else b""
            if not data:
                raise KoboshiError(
                    f"{self._program}: {'ended' if ready else f'nothing within {LIMIT_S:.0f} s'}"
                )
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(END)
        message: dict[str, Any] = json.loads(text)
        self._events.append(message.get("method", ""))
        return message


def _end(process: subprocess.Popen[bytes]) -> None:
    """It has been asked to end; what does not is killed."""
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
