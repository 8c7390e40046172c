# SPDX-License-Identifier: MIT
"""Which line of a TOML text each key stands on.

tomllib gives values without lines. This scanner reads a text that tomllib has accepted and knows only as much
grammar as it takes to find the keys: tables, dotted and quoted keys, strings, inline tables and arrays.
"""

from __future__ import annotations

Path = tuple[str | int, ...]

_OPEN = "[{"
_CLOSE = "]}"
_BARE_END = " \t=.]},#\r\n"
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def locate(text: str) -> dict[Path, int]:
    """The line (from 1) of every key, table and array element in a valid TOML text."""
    return _Scanner(text).run()


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of `path`, or of the nearest table around it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.counted = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.array_tables: dict[Path, int] = {}

    def run(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(" \t\n"):
            if self._peek("["):
                table = self._header()
            else:
                self._key_value(table)
        return self.lines

    def _here(self) -> int:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def _peek(self, start: str) -> bool:
        return self.text.startswith(start, self.at)

    def _skip(self, blanks: str) -> bool:
        """Past blanks and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] in blanks:
                self.at += 1
            else:
                return True
        return False

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _header(self) -> Path:
        line = self._here()
        double = self._peek("[[")
        self.at += 2 if double else 1
        path = self._resolve(self._keys())
        self.at += 2 if double else 1
        if double:
            index = self.array_tables.get(path, -1) + 1
            self.array_tables[path] = index
            path = (*path, index)
        self._note(path, line)
        # A header is the better place than a dotted key or a child table that named it first.
        self.lines[path] = line
        return path

    def _resolve(self, keys: Path) -> Path:
        """`[a.b]` after `[[a]]` means the last element of a."""
        path: Path = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if position < len(keys) - 1 and path in self.array_tables:
                path = (*path, self.array_tables[path])
        return path

    def _keys(self) -> Path:
        keys: list[str] = []
        while self._skip(" \t"):
            if self._peek('"') or self._peek("'"):
                keys.append(self._string())
            else:
                start = self.at
                while self.at < len(self.text) and self.text[self.at] not in _BARE_END:
                    self.at += 1
                keys.append(self.text[start : self.at])
            self._skip(" \t")
            if not self._peek("."):
                break
            self.at += 1
        return tuple(keys)

    def _key_value(self, table: Path) -> None:
        line = self._here()
        start = self.at
        path = table + self._keys()
        self._note(path, line)
        self._skip(" \t")
        self.at += 1  # =
        self._value(path)
        self.at = max(self.at, start + 1)

    def _value(self, path: Path) -> None:
        """Past one value. Inline tables and arrays are walked with a stack: their depth is the text's."""
        stack: list[list[object]] = [["value", path, 0]]
        while stack and self._skip(" \t\n"):
            kind, base, count = stack[-1]
            assert isinstance(base, tuple)
            assert isinstance(count, int)
            if kind != "value" and self.text[self.at] in _CLOSE:
                self.at += 1
                stack.pop()
            elif kind != "value" and self._peek(","):
                self.at += 1
            elif kind == "[":
                stack[-1][2] = count + 1
                inner = (*base, count)
                self.lines.setdefault(inner, self._here())
                stack.append(["value", inner, 0])
            elif kind == "{":
                inner = base + self._inline_key(base)
                stack.append(["value", inner, 0])
            else:
                stack.pop()
                self._begin(stack, base)

    def _inline_key(self, base: Path) -> Path:
        line = self._here()
        keys = self._keys()
        self._note(base + keys, line)
        self._skip(" \t")
        self.at += 1  # =
        return keys

    def _begin(self, stack: list[list[object]], path: Path) -> None:
        start = self.text[self.at]
        if start in _OPEN:
            self.at += 1
            stack.append([start, path, 0])
        elif start in "\"'":
            self._string()
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _string(self) -> str:
        quote = self.text[self.at]
        if self._peek(quote * 3):
            return self._long_string(quote)
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text) and self.text[self.at] != quote:
            out.append(self._character(quote))
        self.at += 1
        return "".join(out)

    def _character(self, quote: str) -> str:
        char = self.text[self.at]
        self.at += 1
        if char != "\\" or quote == "'":
            return char
        escape = self.text[self.at]
        self.at += 1
        if escape in "uU":
            digits = 4 if escape == "u" else 8
            self.at += digits
            return chr(int(self.text[self.at - digits : self.at], 16))
        return _ESCAPES.get(escape, escape)

    def _long_string(self, quote: str) -> str:
        """Multi-line strings are never keys: their value is of no interest, only their end."""
        self.at += 3
        while not self._peek(quote * 3):
            self.at += 2 if self._peek("\\") and quote == '"' else 1
            if self.at >= len(self.text):
                return ""
        self.at += 3
        while self._peek(quote):  # up to two quotes may stand before the closing three
            self.at += 1
        return ""
