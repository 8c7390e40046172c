# SPDX-License-Identifier: MIT
"""Tasks of the front door: ./dev TASK. Thin on purpose, the work is in workbench/.

The commands that need no checkout (watch, manifest) are in koboshi_desk/cli.py.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke import Collection, Context, Exit, Task, task

from koboshi_desk.core import ending
from koboshi_desk.core.errors import KoboshiError
from workbench.project.options import HELP


def told(body: Callable[..., int | None]) -> Callable[..., None]:
    """Make a task that prints errors as one line and exits with the status that its body returns."""

    @functools.wraps(body)
    def run(*arguments: object, **options: object) -> None:
        ending.unwind_on_signals()
        try:
            status = body(*arguments, **options)
        except KoboshiError as error:
            raise Exit(f"dev: {error}", code=1) from error
        except KeyboardInterrupt:
            raise Exit("dev: interrupted", code=ending.INTERRUPTED) from None
        if status:
            raise Exit(code=status)

    return run


def with_defaults(words: dict[str, str], signature: inspect.Signature) -> dict[str, str]:
    """Add the defaults of the parameters that have one which says something."""
    told_defaults = {}
    for name, text in words.items():
        default = signature.parameters[name.replace("-", "_")].default
        plain = type(default) is bool or default in ("", 0, None, inspect.Parameter.empty)
        told_defaults[name] = text if plain or "default:" in text else f"{text}; default: {default}"
    return told_defaults


def command(**options: list[str]) -> Callable[[Callable[..., int | None]], Task[Any]]:
    """Make a task of a function, with the help of workbench/project/options.py.

    No short options: `./dev soak -h` would be `--host`, and start a soak.
    """

    def make(body: Callable[..., int | None]) -> Task[Any]:
        words = with_defaults(HELP[body.__name__], inspect.signature(body))
        made: Task[Any] = task(help=words, auto_shortflags=False, **options)(told(body))
        return made

    return make


@command()
def kernel(
    _: Context,
    line: str = "",
    linux_source: str = "",
    debug: bool = False,
    check: bool = False,
    footprint: bool = False,
    newest: bool = False,
) -> int:
    """Build a kernel (--line, --linux-source, --debug); examine patches (--check, --footprint, --newest)."""
    from workbench.kernel import build as kernel
    from workbench.kernel import check as kernelcheck
    from workbench.kernel import footprint as kernelfootprint
    from workbench.kernel import lines
    from workbench.kernel import newest as kernelnewest

    if footprint:
        return kernelfootprint.run()
    if newest:
        return kernelnewest.run(line or lines.NEWEST_LINE)
    line = line or lines.DEFAULT_LINE
    if check:
        return kernelcheck.run(line)
    name = line + lines.DEBUG if debug else line
    print(kernel.build(name, Path(linux_source) if linux_source else None).image)
    return 0


OWN = ["add", "python", "package"]  # what the user adds to the quick image; each may be given several times


@command(iterable=[*OWN, "external"])
def image(
    _: Context,
    manifest: str = "",
    board: str = "",
    line: str = "linux-6.12",
    buildroot: str = "",
    dl_dir: str = "",
    primary_site: str = "",
    config: str = "",
    make: str = "",
    external: list[str] | None = None,
    add: list[str] | None = None,
    python: list[str] | None = None,
    package: list[str] | None = None,
) -> int:
    """Build the quick image, or with --board a device's (--line)."""
    from workbench.buildroot import task as image_task
    from workbench.image import own

    places = {"buildroot": buildroot, "dl_dir": dl_dir, "config": config}
    wanted = own.Wanted(manifest, add, python, package)
    return image_task.run(wanted, board, line, places, primary_site, make, external or ())


@command(iterable=OWN)
def boot(
    _: Context,
    smp: int = 2,
    memory_mb: int = 256,
    manifest: str = "",
    image: str = "",
    add: list[str] | None = None,
    python: list[str] | None = None,
    package: list[str] | None = None,
) -> int:
    """Boot an image, its console here (--smp, --manifest, --add PATH=FILE, --python, --package)."""
    from workbench.buildroot import task as image_task
    from workbench.guest import boot
    from workbench.image import own

    wanted = own.Wanted(manifest, add, python, package)
    return boot.boot(smp, memory_mb, functools.partial(image_task.chosen, image, wanted))


@command(iterable=OWN)
def demo(
    _: Context,
    json: str = "",
    smp: int = 2,
    backend: str = "",
    plain: bool = False,
    image: str = "",
    manifest: str = "",
    add: list[str] | None = None,
    python: list[str] | None = None,
    package: list[str] | None = None,
) -> int:
    """Boot, break everything, see it get up (--json, --image, --manifest)."""
    from workbench.buildroot import task as image_task
    from workbench.demo import task as demo
    from workbench.image import own

    build = functools.partial(image_task.chosen, image, own.Wanted(manifest, add, python, package))
    return demo.run(Path(json) if json else None, smp, build=build, backend=backend or None, plain=plain)


@command()
def powercut(_: Context, image: str = "", cuts: int = 100, seed: int = 1, json: str = "") -> int:
    """Cut a disk image's power as it writes (--image, --cuts)."""
    from workbench.trial import powercut

    return powercut.run(image, cuts, seed, Path(json) if json else None)


@command()
def figures(_: Context, image: str = "", count: int = 5, json: str = "") -> int:
    """Sizes and times of a board's image (--image, --count)."""
    from workbench.bench import figures

    return figures.run(image, count, Path(json) if json else None)


@command()
def flash(_: Context, image: str = "", device: str = "", yes_really: bool = False) -> None:
    """Write a disk image to a disk (--image FILE, --device)."""
    from workbench.buildroot import flash

    flash.run(image, device, yes_really=yes_really)


@command()
def test(_: Context, only: str = "") -> int:  # noqa: PT028 - a task, not a test
    """All checks and tests (--only as pytest's -k)."""
    from workbench.project import checks

    return checks.everything(only)


@command()
def board(_: Context, port: str = "", lg_env: str = "") -> int:
    """The tests of a real board (--port or --lg-env FILE)."""
    from workbench.project import checks

    return checks.on_board(port, lg_env)


@command()
def lint(_: Context) -> int:
    """Lint, format, types, shell scripts, licence lines."""
    from workbench.project import checks

    return checks.lint()


@command()
def check(_: Context) -> int:
    """The C library's own tests on this machine."""
    from workbench.project import checks

    return checks.library()


@command()
def conformance(
    _: Context,
    line: str = "",
    backend: str = "",
    json: str = "",
    only: str = "",
    short: bool = False,
    debug: bool = False,
) -> int:
    """Every behaviour of rfork, every kernel (--line, --backend, --short)."""
    from workbench.kernel import lines
    from workbench.trial import conformance

    effort = conformance.SHORT if short or debug else conformance.FULL
    name = (line or lines.DEFAULT_LINE) + lines.DEBUG if debug else line
    tests = conformance.build_tests(only, effort, backend)
    return conformance.run(name, tests, Path(json) if json else None)


@command(positional=["what"])
def bench(
    _: Context,
    what: str,
    line: str = "",
    smp: int = 0,
    sizes: str = "",
    count: int = 0,
    more: str = "",
    icount: bool = False,
    bzimage: str = "",
    json: str = "",
    record: bool = False,
    parts: str = "",
) -> int:
    """Benchmarks, all or one; gate; report (bench/README.md)."""
    from workbench.bench import task as bench

    return bench.start(
        what,
        bench.Request(
            *(line, smp, sizes, count, more, icount, bzimage, Path(json) if json else None),
            record=record,
            parts=parts,
        ),
    )


@command()
def harden(
    _: Context,
    minutes: float = 10.0,
    seed: int = 0,
    calls: int = 0,
    json: str = "",
    inject: bool = True,
    debug: bool = True,
    smp: int = 2,
    line: str = "linux-6.12",
) -> int:
    """Fuzz rfork, inject faults (--minutes, --seed, --calls, --line)."""
    from workbench.trial import harden

    wanted = harden.Wanted(minutes * 60, seed, calls, inject=inject, debug=debug, smp=smp, line=line)
    return harden.run(wanted, Path(json) if json else None)


@command()
def selftests(_: Context, line: str = "linux-6.12", only: str = "", json: str = "") -> int:
    """The kernel's own tests, patched and stock (--only, --json)."""
    from workbench.trial import selftests

    return selftests.run(line, only, Path(json) if json else None)


@command()
def stress(_: Context, minutes: float = 10.0, line: str = "linux-6.12") -> int:
    """rfork groups beside stress-ng (--minutes, --line)."""
    from workbench.trial import stress

    return stress.run(minutes, line)


@command()
def soak(
    _: Context,
    minutes: float = 30.0,
    seed: int = 1,
    json: str = "",
    line: str = "linux-6.12",
    host: bool = False,
) -> int:
    """Random faults on 20 components (--minutes, --seed, --json, --host)."""
    from workbench.trial import soak, soak_guest

    to = Path(json) if json else None
    return soak.run(minutes, seed, to) if host else soak_guest.run(minutes, seed, to, line)


@command()
def clean_cache(_: Context, older_than_days: float = 0.0) -> None:
    """Remove builds and logs (--older-than-days N)."""
    from koboshi_desk.core import places
    from workbench.core import cache

    print(f"{len(cache.clean(older_than_days=older_than_days))} entries removed from {places.cache_folder()}")


@command()
def docs(_: Context) -> None:
    """The documentation as a site; prints its first page."""
    from workbench.project import site

    print(site.build() / "index.html")


@command()
def screens(_: Context) -> None:
    """The pictures in docs/ from recorded consoles."""
    from workbench.project import screens

    screens.make()


namespace = Collection(
    kernel,
    image,
    boot,
    demo,
    powercut,
    figures,
    flash,
    test,
    board,
    lint,
    check,
    conformance,
    bench,
    harden,
    selftests,
    stress,
    soak,
    docs,
    screens,
    clean_cache,
)
