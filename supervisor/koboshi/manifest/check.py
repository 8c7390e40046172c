# SPDX-License-Identifier: MIT
"""The manifest: read, checked, and put into normal form (docs/manifest.md)."""

from __future__ import annotations

from koboshi.manifest import rules
from koboshi.manifest.model import Component, Manifest, ManifestError, ManifestRefusedError, Texts
from koboshi.manifest.toml_lines import Path, line_of, locate

_KEY_MOST = 64


def decode(data: bytes, file: str, more: tuple[tuple[str, bytes], ...] = ()) -> Manifest:
    """The manifest of these contents, `more` being those of components.d; ManifestRefusedError."""
    return parse(_text(data, file), file, tuple((name, _text(part, name)) for name, part in more))


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _one(file, line, "(file)", "is not UTF-8", "TOML is UTF-8 text") from None


def parse(text: str, file: str, more: Texts = ()) -> Manifest:
    """As `decode`, for texts; every mistake in them is in the error."""
    texts = ((file, text), *more)
    tables = [_toml(name, part) for name, part in texts]
    checker = _Checker(texts)
    components = checker.check(tables[0], tables[1:])
    if checker.errors:
        raise ManifestRefusedError(sorted(checker.errors, key=lambda error: (error.file != file, error.line)))
    return Manifest(file, text, components, checker.device, more)


def _toml(file: str, text: str) -> dict[str, object]:
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise _syntax(file, text, str(error)) from None
    except RecursionError:
        raise _one(file, 1, "(syntax)", "is nested too deep", "a few levels at most") from None


def _one(file: str, line: int, key: str, problem: str, expected: str) -> ManifestRefusedError:
    return ManifestRefusedError([ManifestError(file, line, key, problem, expected)])


def _syntax(file: str, text: str, message: str) -> ManifestRefusedError:
    # "Expected '=' after a key in a key/value pair (at line 3, column 7)": the place is in the text only.
    problem, _at, place = message.partition(" (at ")
    digits = place.removeprefix("line ").partition(",")[0]
    line = int(digits) if digits.isdecimal() else text.count("\n") + 1
    problem = problem[:1].lower() + problem[1:]
    return _one(file, max(line, 1), "(syntax)", problem, "TOML 1.0, as toml.io has it")


class _Checker:
    """Collects the mistakes of all texts; gives the components in the order in which they can start."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self.lines: dict[int, dict[Path, int]] = {}
        # The text that is being looked at, and the one that each component is from.
        self.here = 0
        self.owner: dict[str, int] = {}
        self.errors: list[ManifestError] = []
        self.device: dict[str, object] = {}

    def wrong(self, path: Path, problem: str, expected: str, *inside: str | int) -> None:
        which = (
            self.owner.get(str(path[1]), self.here) if path[:1] == ("component",) and path[1:] else self.here
        )
        file, text = self.texts[which]
        if which not in self.lines:
            self.lines[which] = locate(text)
        key = ".".join(_key(part) for part in path if not isinstance(part, int)) or "(file)"
        line = line_of(self.lines[which], path + inside)
        self.errors.append(ManifestError(file, line, key, problem, expected))

    def check(self, data: dict[str, object], more: list[dict[str, object]]) -> dict[str, Component]:
        components = self.first(data)
        for self.here, table in enumerate(more, 1):
            self.unknown((), table, ("version", "component"))
            if table.get("version", 1) != 1:
                self.wrong(("version",), f"{rules.shown(table['version'])} is unknown", "version = 1")
            components.update(self.tables(table.get("component", {})))
        return self.order(components)

    def tables(self, tables: object) -> dict[str, Component]:
        """The components of one text."""
        if not isinstance(tables, dict):
            self.wrong(("component",), f"is {rules.kind_of(tables)}", "tables [component.NAME]")
            return {}
        found = {}
        for name, table in tables.items():
            if name in self.owner:
                first = self.texts[self.owner.pop(name)][0]
                self.wrong(("component", name), f"is in {first} already", "each component in one file")
            self.owner[name] = self.here
            found[name] = self.component(name, table)
        return found

    def first(self, data: dict[str, object]) -> dict[str, Component]:
        """The manifest itself."""
        self.unknown((), data, ("version", "device", "component"))
        version = data.get("version")
        if type(version) is not int or version != 1:
            problem = "is missing" if version is None else f"{rules.shown(version)} is unknown"
            self.wrong(("version",), problem, "version = 1")
        self.device = self.inner(("device",), data.get("device", {}), rules.DEVICE)
        self.watchdog_limit(data.get("device"))
        return self.tables(data.get("component", {}))

    def unknown(self, path: Path, table: dict[str, object], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                problem = f"is unknown{rules.suggestion(key, known)}"
                self.wrong((*path, key), problem, "one of " + ", ".join(known))

    def component(self, name: str, table: object) -> Component:
        path: Path = ("component", name)
        if not rules.NAME.fullmatch(name):
            self.wrong(path, "is no name for a component", "at most 32 of a-z, 0-9 and -, no - first")
        if name in rules.RESERVED:
            self.wrong(path, "is a name of the supervisor's own", "not " + ", ".join(rules.RESERVED))
        if not isinstance(table, dict):
            self.wrong(path, f"is {rules.kind_of(table)}", f"a table [component.{_key(name)}]")
            return Component(name, {"needs": ()})
        before = len(self.errors)
        values = self.values(path, table, rules.COMPONENT)
        self.program(path, table)
        self.descriptors(path, values)
        self.ready_file(path, values)
        if "ready_timeout_s" in table and values.get("ready") == "none":
            self.wrong((*path, "ready_timeout_s"), "has no effect", "a ready other than none, or no timeout")
        if len(self.errors) == before:
            self.cold_limit((*path, "cold"), values)
            self.ladder_limit((*path, "ladder"), values)
            self.downtime_limit((*path, "downtime"), values, table.get("downtime"))
        values["needs"] = values["needs"] or ()
        return Component(name, values)

    def values(self, path: Path, table: dict[str, object], known: dict[str, object]) -> dict[str, object]:
        """Every known key with its value or default; keys of inner tables as `table.key`."""
        self.unknown(path, table, tuple(known))
        values: dict[str, object] = {}
        for key, rule in known.items():
            if isinstance(rule, dict):
                inner = self.inner((*path, key), table.get(key, {}), rule)
                values.update({f"{key}.{name}": value for name, value in inner.items()})
            else:
                assert isinstance(rule, tuple)
                values[key] = self.value((*path, key), table[key], rule[0]) if key in table else rule[1]
        return values

    def inner(self, path: Path, table: object, known: dict[str, object]) -> dict[str, object]:
        if isinstance(table, dict):
            return self.values(path, table, known)
        self.wrong(path, f"{rules.kind_of(table)} where a table belongs", "a table with " + ", ".join(known))
        return {}

    def value(self, path: Path, value: object, rule: object) -> object:
        assert callable(rule)
        try:
            return rule(value)
        except rules.RuleError as wrong:
            self.wrong(path, wrong.problem, wrong.expected, *wrong.inside)
            return None

    def program(self, path: Path, table: dict[str, object]) -> None:
        if "command" in table and "python" in table:
            self.wrong((*path, "python"), "stands beside command", "either command or python")
        elif "command" not in table and "python" not in table:
            self.wrong((*path, "command"), "is missing", 'command = ["/bin/program"], or python = "module"')
        if "arguments" in table and "python" not in table:
            self.wrong((*path, "arguments"), "stands without python", "a command's arguments in command")

    def descriptors(self, path: Path, values: dict[str, object]) -> None:
        kind, _colon, number = str(values.get("ready")).partition(":")
        sockets = values.get("listen")
        if kind == "fd" and isinstance(sockets, tuple) and int(number) < 3 + len(sockets):
            problem = f"descriptor {number} is that of a socket"
            self.wrong((*path, "ready"), problem, f"fd:{3 + len(sockets)} or above, after those of listen")
        stored = values.get("stored_descriptors")
        if not isinstance(stored, int) or not isinstance(sockets, tuple):
            return
        where = (*path, "stored_descriptors")
        if stored + len(sockets) > rules.MAX_LISTEN:
            problem = f"{stored} and {len(sockets)} of listen are more than {rules.MAX_LISTEN}"
            self.wrong(where, problem, f"at most {rules.MAX_LISTEN - len(sockets)}")
        if stored and kind == "fd":
            self.wrong(where, f"may have the number {number}, that of ready", 'ready = "notify"')

    def ready_file(self, path: Path, values: dict[str, object]) -> None:
        if values.get("mounts.private_tmp") is True and str(values.get("ready")).startswith("file:/tmp/"):
            self.wrong(
                (*path, "ready"), "is not seen with mounts.private_tmp", "a file elsewhere, as in /run"
            )

    def cold_limit(self, path: Path, values: dict[str, object]) -> None:
        attempts, window = values["cold.attempts"], values["cold.window_s"]
        delay, longest = values["cold.delay_s"], values["cold.delay_max_s"]
        assert isinstance(attempts, int)
        assert isinstance(window, float)
        assert isinstance(delay, float)
        assert isinstance(longest, float)
        if delay > longest:
            problem = f"{delay:g} is more than cold.delay_max_s, {longest:g}"
            self.wrong((*path, "delay_s"), problem, f"at most that, or a delay_max_s of {delay:g}")
            return
        noticed, how = _hang_ends(values)
        if noticed and attempts and noticed >= window / attempts:
            problem = f"the limit never trips: an attempt comes back each {window / attempts:g} s of service"
            expected = f"more than {how} ({noticed:g} s), in which a hang is noticed: a longer window_s"
            self.wrong((*path, "attempts"), problem, expected)

    def ladder_limit(self, path: Path, values: dict[str, object]) -> None:
        (noticed, how), good = _hang_ends(values), values["ladder.good_run_s"]
        assert isinstance(good, float)
        if noticed and values["ladder.same_fault"] and noticed >= good:
            problem = f"the limit never trips: {good:g} s count as a good run"
            expected = f"more than {how} ({noticed:g} s), in which a hang is noticed"
            self.wrong((*path, "good_run_s"), problem, expected)

    def downtime_limit(self, path: Path, values: dict[str, object], table: object) -> None:
        budget, window = values["downtime.budget_s"], values["downtime.window_s"]
        assert isinstance(window, float)
        if isinstance(budget, float) and budget >= window:
            problem = f"the limit never trips: no {window:g} s have more than {window:g} s out of service"
            self.wrong((*path, "budget_s"), problem, f"less than window_s ({window:g})")
        elif budget is None and isinstance(table, dict) and "window_s" in table:
            self.wrong((*path, "window_s"), "has no effect", "a budget_s, or no window")

    def watchdog_limit(self, table: object) -> None:
        if isinstance(table, dict) and "watchdog_s" in table and "watchdog" not in table:
            self.wrong(
                ("device", "watchdog_s"), "has no effect", 'a watchdog, as "/dev/watchdog", or no time'
            )

    def order(self, components: dict[str, Component]) -> dict[str, Component]:
        """Each component after those it needs; a need that is not there, and a cycle, are mistakes."""
        for name, component in components.items():
            for index, need in enumerate(component.needs):
                if need not in components:
                    problem = f"{need} is no component{rules.suggestion(need, tuple(components))}"
                    self.wrong(("component", name, "needs"), problem, "names that this file has", index)
                elif component.values.get("safe") and not components[need].values.get("safe"):
                    problem = f"{need} does not run in the safe state, in which {name} does"
                    self.wrong(("component", name, "needs"), problem, f"safe = true for {need} too", index)
            self.fates(name, component)
        ordered: dict[str, Component] = {}
        waiting = dict(components)
        while waiting:
            free = [n for n, c in waiting.items() if not any(need in waiting for need in c.needs)]
            if not free:
                self.cycle(waiting)
                break
            ordered.update({name: waiting.pop(name) for name in free})
        return ordered

    def fates(self, name: str, component: Component) -> None:
        for other in component.table("on_restart") if component.values.get("on_restart") else ():
            if other not in component.needs:
                problem = f"{other} is none of its needs{rules.suggestion(other, component.needs)}"
                self.wrong(("component", name, "on_restart"), problem, "names in needs", other)

    def cycle(self, waiting: dict[str, Component]) -> None:
        trail: list[str] = []
        name = next(iter(waiting))
        while name not in trail:
            trail.append(name)
            name = next(need for need in waiting[name].needs if need in waiting)
        loop = [*trail[trail.index(name) :], name]
        problem = f"needs go round: {' -> '.join(loop)}"
        self.wrong(("component", loop[0], "needs"), problem, "needs without a way back")


def _hang_ends(values: dict[str, object]) -> tuple[float, str]:
    """Seconds within which a component that hangs is ended, and what they are made of; 0: it never is."""
    beat, stop = values["heartbeat_s"], values["stop_timeout_s"]
    if not isinstance(beat, float):
        return 0.0, ""
    if values["heartbeat_signal"] is None or not isinstance(stop, float):
        return beat * 2, "2 * heartbeat_s"
    return beat * 2 + stop, "2 * heartbeat_s + stop_timeout_s"


def _key(part: str | int) -> str:
    """A key as TOML would write it, shortened where nobody would read it to its end."""
    word = str(part)
    cut = "..." if len(word) > _KEY_MOST else ""
    plain = word.isascii() and word.replace("-", "").replace("_", "").isalnum()
    word = word[:_KEY_MOST]
    return (word if plain else ascii(word)) + cut
