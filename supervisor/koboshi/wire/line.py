# SPDX-License-Identifier: MIT
"""Requests and replies on the line that the console's records share (docs/console.md, Control).

A request is a command of the shell's, so that it works where a shell reads the line, and where none does:

    koboshictl line 1 ID MASTER VERB [COMPONENT] =CHECK

One master at a time may change anything. A request that comes again, as its reply was lost, is answered again
and not carried out twice.
"""

from __future__ import annotations

from koboshi.wire import records

REPLY = "koboshi-reply/1"
LEASE_S = 60.0
READING = ("hello", "status", "crashes", "events")
CHANGING = ("start", "stop", "restart", "rehearse")
LOCKING = ("lock", "steal", "unlock")
# As many of the last replies are kept. A person's programs share a name, so more than one per master.
_KEPT = 16
# Of a crash record's values, which are longer than others: so all of it is below records.MAX_LINE.
_CRASH_VALUE = 1000
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_SHOWN = (
    *("state", "generation", "level", "cause", "status", "latency_us", "downtime_us", "left", "error"),
    *("restarts", "pid", "since", "out_ms"),
)
# Records of one reply to `events`: on a slow line they take seconds.
_PAGE = 32


class Request:
    """A whole request with a right check."""

    __slots__ = ("component", "master", "number", "verb")

    def __init__(self, number: str, master: str, verb: str, component: str) -> None:
        self.number = number
        self.master = master
        self.verb = verb
        self.component = component


def encode(number: int, master: str, verb: str, component: str = "") -> str:
    """What a master writes, without the newline."""
    words = ["1", str(number), master, verb] + ([component] if component else [])
    text = " ".join(words)
    return f"koboshictl line {text} ={records.check(text)}"


def parse(text: str) -> Request | None:
    """The words after `koboshictl line`; None for anything that is not a whole request."""
    body, _, check = text.strip().rpartition(" =")
    words = body.split(" ")
    if check != records.check(body) or not 4 <= len(words) <= 5 or words[0] != "1":
        return None
    number, master, verb = words[1:4]
    if not (number.isdecimal() and len(number) <= 9 and 0 < len(master) <= 32 and _NAME.issuperset(master)):
        return None
    return Request(number, master, verb, words[4] if len(words) == 5 else "")


def reply(
    number: str, master: str, result: str, keys: dict[str, object], most: int = records.MAX_VALUE
) -> str:
    """One line of a reply; `result` is part, ok or error. Values are cut to `most` characters."""
    pairs = [f"{key}={records.cut(str(value), most)}" for key, value in keys.items()]
    text = " ".join([REPLY, number, master, result, *pairs])
    return f"{text} *{records.check(text)}"


class Line:
    """Who may change something now, and what was answered last.

    `now` is CLOCK_MONOTONIC in seconds; `ask` carries out what koboshictl could have asked (koboshi.control).
    `allows` says whether the device allows a verb; without it, all are allowed.
    """

    def __init__(self, now: object, ask: object, allows: object = None) -> None:
        self._now = now
        self._ask = ask
        self._allows = allows
        self.holder = ""
        self.until = 0.0
        self._last: dict[str, list[str]] = {}

    def answer(self, text: object) -> list[str]:
        """The lines of the reply; none to what is no whole request: its number may be the broken part."""
        request = parse(text) if isinstance(text, str) else None
        if request is None:
            return []
        if request.verb in READING + CHANGING + LOCKING and not self._allowed(request.verb):
            return [self._error(request, "refused", f"{request.verb} is not allowed by device.control")]
        if request.verb in READING:
            return self._read(request)
        key = f"{request.master} {request.number} {request.verb} {request.component}"
        before = self._last.pop(key, None) or self._carry_out(request)
        self._last[key] = before
        while len(self._last) > _KEPT:
            del self._last[next(iter(self._last))]
        return before

    def _carry_out(self, request: Request) -> list[str]:
        if request.verb not in CHANGING + LOCKING:
            known = ",".join(READING + CHANGING + LOCKING)
            return [self._error(request, "verb", f"unknown verb; one of {known}")]
        left = self.until - self._time()
        if request.verb != "steal" and self.holder not in ("", request.master) and left > 0:
            keys = {"by": self.holder, "for_s": round(left)}
            return [self._error(request, "locked", f"{self.holder} has the line", keys)]
        if request.verb in LOCKING:
            self._hold("" if request.verb == "unlock" else request.master)
            return [self._ok(request, {"lease_s": round(LEASE_S)})]
        answer = self._asked(request.verb, request.component)
        if not answer.get("ok"):
            return [self._error(request, "refused", str(answer.get("error")))]
        self._hold(request.master)
        return [self._ok(request, {"state": answer.get("state", "")})]

    def _hold(self, master: str) -> None:
        self.holder, self.until = master, self._time() + LEASE_S

    def _read(self, request: Request) -> list[str]:
        if request.verb == "crashes":
            return self._crashes(request)
        if request.verb == "events":
            return self._events(request)
        status = self._asked("status", None)
        supervisor, components = status.get("supervisor"), status.get("components")
        assert isinstance(supervisor, dict)
        assert isinstance(components, dict)
        holder = self.holder if self.until > self._time() else ""
        about = {"boot": status.get("boot_id"), "time": status.get("time"), "start": supervisor.get("start")}
        if request.verb == "hello":
            return [self._ok(request, {**about, "components": len(components), "locked": holder or "-"})]
        parts = [self._part(request, name, values) for name, values in components.items()]
        return [*parts, self._ok(request, {**about, "parts": len(parts), "locked": holder or "-"})]

    def _crashes(self, request: Request) -> list[str]:
        crashes = self._asked("crashes", None).get("crashes")
        assert isinstance(crashes, list)
        parts = []
        for crash in crashes:
            shown = {key: _flat(value) for key, value in crash.items() if value not in (None, "", {}, [])}
            parts.append(reply(request.number, request.master, "part", shown, _CRASH_VALUE))
        return [*parts, self._ok(request, {"parts": len(parts)})]

    def _events(self, request: Request) -> list[str]:
        """The records from a number on, oldest first, a page of them; without a number the newest ones."""
        asked = request.component
        if not (asked.isdecimal() or not asked):
            return [self._error(request, "refused", "events: expected the number of a record")]
        answer = self._asked("events", asked)
        lines = answer.get("events")
        assert isinstance(lines, list)
        page = lines[:_PAGE] if asked else lines[-_PAGE:]
        most = records.MAX_LINE
        parts = [reply(request.number, request.master, "part", {"record": line}, most) for line in page]
        return [*parts, self._ok(request, {"parts": len(parts), "last": answer.get("last")})]

    def _part(self, request: Request, name: str, values: dict[str, object]) -> str:
        shown = {key: _flat(values[key]) for key in _SHOWN if values.get(key) not in (None, "")}
        return reply(request.number, request.master, "part", {"component": name, **shown})

    def _allowed(self, verb: str) -> bool:
        return not callable(self._allows) or bool(self._allows(verb))

    def _time(self) -> float:
        assert callable(self._now)
        return float(self._now())

    def _asked(self, command: str, component: str | None) -> dict[str, object]:
        assert callable(self._ask)
        answer = self._ask(command, component)
        assert isinstance(answer, dict)
        return answer

    def _ok(self, request: Request, keys: dict[str, object]) -> str:
        return reply(request.number, request.master, "ok", keys)

    def _error(self, request: Request, code: str, text: str, keys: dict[str, object] | None = None) -> str:
        return reply(request.number, request.master, "error", {"code": code, "error": text, **(keys or {})})


def _flat(value: object) -> object:
    if isinstance(value, dict):
        return ",".join(f"{key}:{item}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return value
