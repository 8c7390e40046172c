# SPDX-License-Identifier: MIT
"""Asks questions and writes a commented manifest from the answers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from koboshi.manifest.check import parse
from koboshi.manifest.model import ManifestRefusedError

from koboshi_desk.core import outfile
from koboshi_desk.core.errors import KoboshiError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MODULE = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?")
READY = "none, notify, port:NUMBER or file:PATH"
HEAD = """\
# SPDX-License-Identifier: MIT
# The components of the device and how Koboshi restarts them. docs/manifest.md describes every key.
# `koboshi manifest check` checks it as the device does, `explain` describes what happens, `graph` draws it.
# Editors with taplo (Even Better TOML) complete keys by `koboshi manifest schema >manifest.schema.json`:
#:schema manifest.schema.json
version = 1
"""


@dataclass
class Answers:
    """A reader of answers, one per line; it repeats a question until the answer is valid."""

    source: TextIO
    out: TextIO

    def ask(self, question: str, default: str, right: Callable[[str], str]) -> str:
        """`right` returns what is wrong with an answer, "" for nothing."""
        while True:
            print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=self.out, flush=True)
            line = self.source.readline()
            if not line:
                print(file=self.out)
                raise KoboshiError(
                    "manifest new: the answers ended before the manifest was whole; nothing was written"
                )
            answer = line.strip() or default
            if not (wrong := right(answer)):
                return answer
            print(f"  {wrong}", file=self.out)

    def yes(self, question: str) -> bool:
        """Ask a yes-or-no question; the default is no."""
        return self.ask(f"{question} (y/n)", "n", _yes_or_no).lower().startswith("y")


def _yes_or_no(answer: str) -> str:
    return "" if answer.lower() in ("y", "yes", "n", "no") else "y or n"


@dataclass
class Draft:
    """A component from the answers."""

    name: str
    program: list[str]
    needs: list[str]
    ready: str
    heartbeat_s: float
    vital: bool

    def toml(self) -> str:
        """Return the component's table, with comments on the choices."""
        head = [f"[component.{self.name}]"]
        if self.program[0].startswith("/"):
            head.append(f"command = {json.dumps(self.program)}")
        else:
            head.append(f"python = {json.dumps(self.program[0])}")
            if self.program[1:]:
                head.append(f"arguments = {json.dumps(self.program[1:])}")
        head += self._rights()
        if self.needs:
            head.append(f"needs = {json.dumps(self.needs)}  # started after these are ready")
        head.append(f"ready = {json.dumps(self.ready)}" + READY_NOTES.get(self.ready.partition(":")[0], ""))
        if self.heartbeat_s:
            head.append(
                f"heartbeat_s = {self.heartbeat_s:g}  # it sends WATCHDOG=1 at least this often, or is killed"
            )
        if self.vital:
            head.append("vital = true  # essential: at the end of its ladder, the device reboots")
        return "\n".join([*head, ""])

    def _rights(self) -> list[str]:
        """A user of its own, with what its program and its port show that it needs."""
        taken = self.name in SYSTEM_USERS or not self.name[0].isalpha()
        user = f"koboshi-{self.name}"[:32] if taken else self.name
        rights = [f"user = {json.dumps(user)}  # of its own; the image needs it in /etc/passwd"]
        if any(re.match(r"/dev/tty(S|USB|ACM|AMA)", word) for word in self.program):
            rights.append('groups = ["dialout"]  # of serial ports')
        port = self.ready.removeprefix("port:")
        if port.isdecimal() and int(port) < 1024:
            rights.append('capabilities = ["net_bind_service"]  # for a port below 1024')
        return rights


# Users and groups of a usual image: a component with such a name gets another user.
SYSTEM_USERS = (
    *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "backup", "nobody"),
    *("www-data", "tty", "disk", "operator", "users", "koboshi"),
)
READY_NOTES = {
    "none": "  # as soon as it runs",
    "notify": "  # it sends READY=1, as under systemd",
    "port": "  # it takes connections there",
    "file": "  # that file is there",
}


def new(to: Path, source: TextIO | None = None, out: TextIO | None = None) -> int:
    """Ask the questions and write the manifest to a new file. Return 0."""
    if to.exists():
        raise KoboshiError(f"{to}: is there already; another name, or remove it first")
    if not to.parent.is_dir():
        raise KoboshiError(f"{to}: no folder {to.parent}; a file in a folder that is there")
    answers = Answers(source or sys.stdin, out or sys.stdout)
    drafts: list[Draft] = []
    while not drafts or answers.yes("Another component"):
        drafts.append(_component(answers, [draft.name for draft in drafts]))
    text = "\n".join([HEAD, *(draft.toml() for draft in drafts)])
    if any(draft.vital for draft in drafts):
        text += _device(answers)
    try:
        parse(text, str(to))
    except ManifestRefusedError as refused:
        raise KoboshiError(f"this would not be a manifest that the device takes:\n{refused}") from None
    outfile.write(to, text, "manifest new")
    print(f"{to}: written. koboshi manifest explain {to} says what it will do.", file=answers.out)
    return 0


def _component(answers: Answers, before: list[str]) -> Draft:
    def name_right(answer: str) -> str:
        if answer in before:
            return f"{answer} is there already"
        return "" if NAME.fullmatch(answer) else "small letters, digits and dashes, at most 32, such as gps"

    def needs_right(answer: str) -> str:
        unknown = [word for word in _words(answer) if word not in before]
        return f"no such component yet: {', '.join(unknown)}" if unknown else ""

    name = answers.ask("Name of the component", "", name_right)
    program = _words(answers.ask("Program with arguments (a path, or a Python module)", "", _program_right))
    needs = _words(answers.ask(f"Needs, of {', '.join(before)}", "", needs_right)) if before else []
    ready = answers.ask(f"How it says that it is ready: {READY}", "none", _ready_right)
    beat = answers.ask("Heartbeat in seconds, if it sends WATCHDOG=1; 0 for none", "0", _seconds_right)
    return Draft(name, program, needs, ready, float(beat), answers.yes("Is the device no use without it"))


def _device(answers: Answers) -> str:
    folder = answers.ask("Folder that outlives a reboot, to count reboots in; - for none", "-", _folder_right)
    if folder == "-":
        return "\n# Without [device] record, the device enters the safe state instead of rebooting.\n"
    return f"\n[device]\nrecord = {json.dumps(folder)}  # reboots are counted there, so that they end\n"


def _words(answer: str) -> list[str]:
    return answer.replace(",", " ").split()


def _program_right(answer: str) -> str:
    words = _words(answer)
    if words and (words[0].startswith("/") or MODULE.fullmatch(words[0])):
        return ""
    return "an absolute path such as /usr/bin/gps, or a Python module such as tide or tide:main"


def _ready_right(answer: str) -> str:
    port = re.fullmatch(r"port:(\d{1,5})", answer)
    if (
        answer in ("none", "notify")
        or re.fullmatch(r"file:/.+", answer)
        or (port and 0 < int(port[1]) < 65536)
    ):
        return ""
    return f"one of {READY}"


def _seconds_right(answer: str) -> str:
    try:
        value = float(answer)
    except ValueError:
        value = -1.0
    return "" if value == 0 or 0.1 <= value <= 1e6 else "0, or a number of seconds from 0.1"


def _folder_right(answer: str) -> str:
    return "" if answer == "-" or answer.startswith("/") else "an absolute path, or -"
