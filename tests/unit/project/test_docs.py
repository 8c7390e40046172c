# SPDX-License-Identifier: MIT
"""The documentation: a site without broken links, and commands that are what the programs take."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from invoke import Program
from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser
from koboshi import ctl
from koboshi.manifest import check

from koboshi_desk import cli
from tasks import namespace
from tests.unit import programs
from workbench.core.command import CommandError
from workbench.core.repository import REPOSITORY
from workbench.project import browser, site

PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
INDENTED = re.compile(r"^(?: {4}| {8})(\S.*)$", re.M)
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
DESK = ("watch", "control", "report", "bridge", "manifest")


def commands() -> list[tuple[str, str]]:
    """Each page's lines of code that run a program of ours; a comment at their end is not part of them."""
    found = []
    for page in PAGES:
        text = FENCED.sub("", page.read_text()).replace("\\\n", " ")
        for line in INDENTED.findall(text):
            if line.split()[0] in ("./dev", "koboshi", "koboshictl", "koboshi-fault"):
                found.append((page.name, re.sub(r"  +#.*|\s+\(.*\)$|\s{2,}[a-z].*$", "", line).strip()))
    return found


def test_there_are_commands() -> None:
    """The search for commands finds those of all guides."""
    assert {page for page, _ in commands()} >= {
        "README.md",
        "quick-start.md",
        "desk.md",
        "fleet.md",
        "adding-a-board.md",
    }


@pytest.mark.parametrize(("page", "command"), commands())
def test_command_is_one(page: str, command: str) -> None:
    """Every command in the documentation has words and options that its program takes."""
    program, *words = shlex.split(command.split(" >")[0])
    if program == "koboshictl":
        assert words[0] in ctl.USAGE
    elif program == "koboshi-fault":
        assert len(words) == 2
    elif program == "koboshi" or (words and words[0] in DESK):
        with contextlib.redirect_stderr(io.StringIO()) as complaint:
            try:
                cli.parser("koboshi").parse_args(words)
            except SystemExit as refused:
                pytest.fail(f"{refused}: {complaint.getvalue()}")
    else:
        assert not words or parsed(words), command


def parsed(words: list[str]) -> bool:
    """Whether invoke takes these words as a task and its options."""
    contexts = namespace.to_contexts()
    try:
        return bool(Parser(contexts=contexts, initial=Program().initial_context).parse_argv(words))
    except (ParseError, Exit):
        return False


INLINE = re.compile(r"`((?:\./dev|koboshi|koboshictl|koboshi-fault) [^`]+)`")


def mentioned() -> list[tuple[str, str]]:
    """Commands within sentences, with placeholders in capitals."""
    return [(page.name, command) for page in PAGES for command in INLINE.findall(page.read_text())]


@pytest.mark.parametrize(("page", "command"), sorted(set(mentioned())))
def test_mentioned_command_is_one(page: str, command: str) -> None:
    """A command within a sentence names words and options that there are."""
    program, *words = re.sub(r"[\[\]|]", " ", command).split()
    options = {word for word in words if word.startswith("--")}
    first = next(word for word in words if not word.startswith("-"))
    if program == "koboshictl":
        assert set(words) - {word for word in words if word.isupper() or word.isdecimal()} <= set(
            re.sub(r"[\[\]|]", " ", ctl.USAGE).split()
        )
    elif program == "koboshi" or first in DESK:
        assert first in cli.COMMANDS
        assert all(f'"{option}"' in Path(cli.__file__).read_text() for option in options)
    else:
        flags = {task.name: set(task.flags) for task in namespace.to_contexts()}
        assert options <= flags[first]


def test_site_has_no_broken_link(tmp_path: Path) -> None:
    """The site is built, every page is in its menu, and nothing in it comes from another host."""
    page = site.build(tmp_path / "site") / "index.html"
    assert "okiagari" in page.read_text() or "Koboshi" in page.read_text()
    for html in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r"(?:src|<link[^>]+href)=\"?https?:", html.read_text()), html


def test_search_finds_every_page(tmp_path: Path) -> None:
    """The site has a search of its own, and each page is in its index."""
    folder = site.build(tmp_path / "site")
    index = json.loads((folder / "search/search_index.json").read_text())
    found = {document["location"].partition("#")[0].strip("/") or "index" for document in index["docs"]}
    assert found >= {page.stem for page in (REPOSITORY / "docs").glob("*.md")}
    assert 'role="search"' in (folder / "index.html").read_text()
    assert (folder / "search.html").exists()


@pytest.mark.skipif(browser.find() is None, reason="no Chromium")
def test_tables_fit_into_the_page(tmp_path: Path) -> None:
    """At 1280 pixels, no table and no page is wider than the room there is for it."""
    pages = sorted(site.build(tmp_path / "site").rglob("index.html"))
    wide = """[...document.querySelectorAll("table")].filter(table =>
        table.scrollWidth > table.parentElement.clientWidth + 1 ||
        table.getBoundingClientRect().right > innerWidth).map(table => table.innerText.slice(0, 60))
        .concat(document.documentElement.scrollWidth > innerWidth ? ["the page"] : [])"""
    found = {}
    with browser.Browser() as window:
        window.look(1280, 800)
        for page in pages:
            window.open(page)
            found[page.parent.name] = window.value(wide)
    assert {name: tables for name, tables in found.items() if tables} == {}
    assert len(found) > 15


@pytest.mark.parametrize("link", ["missing.md", "runner.md#no-such-heading", "../README.md"])
def test_broken_link_fails(tmp_path: Path, link: str) -> None:
    """A link to a missing page, to a missing heading, or out of docs/ is an error that names it."""
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    with (tmp_path / "docs/design.md").open("a") as page:
        page.write(f"\n[broken]({link})\n")
    with pytest.raises(CommandError, match=re.escape(f"'{link}'")):
        site.build(tmp_path / "site", tmp_path)


def test_links_of_the_readme() -> None:
    """What README and CONTRIBUTING link to is there."""
    for page in PAGES[:2]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def blocks(page: str, language: str) -> list[str]:
    """A page's examples in a language."""
    text = (REPOSITORY / "docs" / page).read_text()
    return [code for name, code in FENCED.findall(text) if name == language]


@pytest.mark.parametrize("page", ["component.md", "manifest.md", "fleet.md"])
def test_manifests_in_the_docs_are_right(page: str) -> None:
    """Each manifest is one that the device takes; a part of one is, behind the version."""
    for text in blocks(page, "toml"):
        whole = text if "version" in text else f"version = 1\n{text}"
        assert check.parse(whole, page).components


WANTED = [f"generation {n}, table[31] is 961" for n in range(3)]


def test_program_in_c_does_what_the_guide_says(tmp_path: Path) -> None:
    """The guide's C program crashes twice, comes back to its checkpoint, and ends."""
    built = programs.librfork()
    source, program = tmp_path / "table.c", tmp_path / "table"
    source.write_text(blocks("component.md", "c")[0])
    include = f"-I{REPOSITORY / 'librfork/include'}"
    subprocess.run(
        [
            "gcc",
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            include,
            "-o",
            program,
            source,
            built / "librfork.a",
        ],
        check=True,
    )
    command = [str(built / "rfork-run"), "--backend", "user", "--on", "none", "--", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == WANTED
    alone = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert (alone.returncode, alone.stdout) == (111, "")
    assert "no checkpoint: No such process; start me with rfork-run" in alone.stderr


def test_program_in_python_does_what_the_guide_says() -> None:
    """So does the one in Python."""
    runner, modules = (
        programs.librfork() / "rfork-run",
        programs.python_module(),
    )
    (code,) = blocks("component.md", "python")
    command = [str(runner), "--backend", "user", "--on", "none", "--", sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(modules)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == WANTED
    alone = subprocess.run([*command[-3:]], env=environment, capture_output=True, text=True, timeout=60)
    assert "not a rebootable process (start it with rfork-run" in alone.stderr


def test_messages_in_troubleshooting_exist() -> None:
    """What the page says is printed is printed by something: its fixed words are in the sources."""
    folders = ("koboshi_desk", "workbench", "supervisor/koboshi", "librfork/run")
    files = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.[pc]*")]
    sources = " ".join(
        path.read_text() for path in [*files, REPOSITORY / "dev"] if path.suffix in ("", ".py", ".c")
    )
    plain = re.sub(r'"\s*\n\s*f?"|\{[^}]*\}|\s+', " ", sources)
    text = (REPOSITORY / "docs/troubleshooting.md").read_text().split("## On the device")[0]
    told = [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| `")]
    assert len(told) > 12
    for message in (re.match("`([^`]+)`", cell)[1] for cell in told):  # type: ignore[index]
        words = max(
            re.split(r"\b[A-Z]{3,}\b|\bN\b|\.\.\.|'|/a/folder|of the checkout|[:;] ", message), key=len
        ).strip(" :;")
        assert words in plain or words in sources, message
