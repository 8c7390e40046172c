# SPDX-License-Identifier: MIT
"""The benchmarks: what is run, with which defaults, and how it is shown. bench/README.md has the method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from koboshi_desk.core.errors import KoboshiError
from workbench.bench import cost as bench_cost
from workbench.bench import footprint, gate, readme, suite
from workbench.bench import paper as bench_paper
from workbench.bench import peers as bench_peers
from workbench.bench import report as bench_report
from workbench.bench import system as bench_system
from workbench.bench.run import HOST, Place, Row, Run, run
from workbench.kernel import lines

SPARE_MB = 160  # of memory that a guest has besides
SIZES = "1,16,256,1024"
COST_ROUNDS, COST_COUNT = 5, 200
DESCRIPTORS = (0, 10, 100, 1000)
COLUMNS = "variant cause load MB n min p50 p99 max p50/F X/p50 no-spare busy"


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line; what is "" or 0 is the benchmark's own choice."""

    line: str = ""
    smp: int = 0
    sizes: str = ""
    count: int = 0
    more: str = ""  # further arguments for the program, as they are
    icount: bool = False
    bzimage: str = ""
    json_file: Path | None = None
    record: bool = False
    parts: str = ""  # of `all`


def start(what: str, request: Request) -> int:
    """Run the benchmark of that name; 1 if one that has a bound is not within it."""
    file = request.json_file or suite.RESULTS
    if what == "footprint":
        return footprint.run(request.json_file, request.line or lines.DEFAULT_LINE)
    if what == "gate":
        return gate.check(request.line or lines.DEFAULT_LINE, keep=request.record)
    if what == "all":
        return suite.run(file, request.parts.split(",") if request.parts else [], _part)
    if what == "report":
        return bench_report.write(file)
    if what == "readme":
        return readme.write(file)
    results = _benchmark(what)(request)
    if request.json_file:
        request.json_file.write_text(suite.as_text(results) + "\n")
    return 0 if results.get("within", True) else 1


def _benchmark(what: str) -> Callable[[Request], dict[str, Any]]:
    if what not in BENCHMARKS:
        names = ", ".join(sorted([*BENCHMARKS, "all", "footprint", "gate", "readme", "report"]))
        raise KoboshiError(f"bench {what}: there is {names}")
    return BENCHMARKS[what]


def _part(part: suite.Part) -> dict[str, Any]:
    if part.what == "footprint":
        found = footprint.measure(lines.DEFAULT_LINE)
        row = {"bench": "footprint", "variant": "supervisor", **asdict(found)}
        return {"rows": [row], "about": [{"kernel": found.kernel}]}
    return _benchmark(part.what)(Request(**part.options))


def place(request: Request, memory_mb: int) -> Place:
    """Return where to run: a guest of a line with this much memory, or this host."""
    line = request.line or lines.DEFAULT_LINE
    if line != HOST:
        lines.find(line)
    if request.icount and request.smp > 1:
        raise KoboshiError(f"--icount --smp {request.smp}: instructions are counted on one CPU only")
    return Place(
        line=line,
        smp=request.smp or 1,
        memory_mb=memory_mb,
        icount=0 if request.icount else None,
        bzimage=Path(request.bzimage) if request.bzimage else None,
    )


def numbers(text: str) -> list[int]:
    """`1,16` as numbers."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise KoboshiError(f"--sizes {text}: megabytes with commas between, such as {SIZES}") from None


def latency(request: Request) -> dict[str, Any]:
    """Restart latency at both levels beside the yardsticks, one guest per size."""
    runs = [_latency_of_size(request, size) for size in numbers(request.sizes or SIZES)]
    rows = [row for done in runs for row in done.rows]
    print(table(rows))
    return {"rows": rows, "about": [done.about for done in runs]}


def _latency_of_size(request: Request, size: int) -> Run:
    # Three times as much: the kernel puts freeing off only while twice the dead memory is available besides.
    where = place(request, 3 * size + size // 4 + SPARE_MB)
    command = ["latency", "--sizes", str(size), "--count", str(request.count or 1000), *request.more.split()]
    return run(command, where)


def table(rows: Iterable[Row]) -> str:
    """Times in microseconds, and the median as a multiple of the futex wake of the same run and size."""
    found = list(rows)
    futex = {row["mb"]: row["p50"] for row in found if row["variant"] == "futex"}
    execs = [row for row in found if row["variant"] == "exec" and row["n"]]
    exec_ = {(row["mb"], row["load"]): row["p50"] for row in execs}
    return _aligned([tuple(COLUMNS.split()), *(_cells(row, futex, exec_) for row in found)])


def _aligned(rows: list[tuple[str, ...]]) -> str:
    """The first three columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{'<' if i < 3 else '>'}{widths[i]}}" for i, cell in enumerate(row)) for row in rows
    )


def _cells(row: Row, futex: dict[int, int], exec_: dict[tuple[int, str], int]) -> tuple[str, ...]:
    first = (row["variant"], row.get("cause", ""), row.get("load", ""), str(row["mb"]), str(row["n"]))
    if not row["n"]:
        return (*first, *[""] * 8)
    times = [f"{row[key] / 1000:.1f}" for key in ("min", "p50", "p99", "max")]
    median = row["p50"]
    f, x = futex.get(row["mb"]), exec_.get((row["mb"], row.get("load", "")))
    ratios = [f"{median / f:.1f}" if f else "", f"{x / median:.2f}" if x else ""]
    return (*first, *times, *ratios, str(row.get("no_spare", "")), str(row.get("busy", "")))


def paper(request: Request) -> dict[str, Any]:
    """The paper's program at both levels."""
    done = run(["paper", str(request.count or 1000)], place(request, 128))
    print(bench_paper.table(done.rows))
    return {"rows": done.rows, "about": [done.about]}


def cost(request: Request) -> dict[str, Any]:
    """Instructions of fork, exec and threads with the patches and without."""
    line = request.line or lines.DEFAULT_LINE
    costs, runs = bench_cost.measure(line, COST_ROUNDS, request.count or COST_COUNT)
    print(bench_cost.text(costs))
    return {
        "within": all(each.within for each in costs),
        "gate": bench_cost.GATE,
        "costs": [{**asdict(each), "ratio": each.ratio} for each in costs],
        "rows": [done.rows for done in runs],
        "about": [done.about for done in runs],
    }


def peers(request: Request) -> dict[str, Any]:
    """The same component under other supervisors; --more names some of them."""
    done = bench_peers.run(request.more.split() or bench_peers.PEERS)
    print(bench_peers.table(done.rows))
    return {"rows": done.rows, "about": [done.about]}


def memory(request: Request) -> dict[str, Any]:
    """Measure the cost of template and spare."""
    sizes = request.sizes or "1,64,256"
    done = run(["memory", sizes], place(request, 3 * max(numbers(sizes)) + SPARE_MB))
    print(bench_report.memory_table(done.rows))
    return {"rows": done.rows, "about": [done.about]}


def closing(request: Request) -> dict[str, Any]:
    """Measure restarts of instances with slow-closing descriptors, at user and kernel level."""
    runs = [_closing_of(request, count) for count in DESCRIPTORS]
    rows = [row for done in runs for row in done.rows]
    print(_aligned(bench_report.closing_rows(rows)))
    return {"rows": rows, "about": [done.about for done in runs]}


def _closing_of(request: Request, descriptors: int) -> Run:
    command = ["latency", "--sizes", "1", "--loads", "paced", "--backends", "user,kernel"]
    command += ["--count", str(request.count or 200), "--no-yardsticks", *request.more.split()]
    if descriptors:
        command += ["--descriptors", str(descriptors)]
    return run(command, place(request, SPARE_MB))


def notice(request: Request) -> dict[str, Any]:
    """How long before wait(2) a robust futex tells of a process's end, and what is known by then."""
    done = run(["notice", str(request.count or 500)], place(request, 64))
    columns = ("variant", "cause", "cpus", "n", "p50", "p90", "p99", "status_known", "closed")
    times = {"p50", "p90", "p99"}
    cells = [
        tuple(f"{row[key] / 1000:.1f}" if key in times else str(row[key]) for key in columns)
        for row in done.rows
    ]
    print(_aligned([columns, *cells]))
    return {"rows": done.rows, "about": [done.about]}


def _of_system(measure: Callable[[], Run]) -> Callable[[Request], dict[str, Any]]:
    def body(_: Request) -> dict[str, Any]:
        done = measure()
        for row in done.rows:
            print(" ".join(f"{key}={value}" for key, value in row.items() if key != "bench"))
        return {"rows": done.rows, "about": [done.about]}

    return body


BENCHMARKS: dict[str, Callable[[Request], dict[str, Any]]] = {
    "latency": latency,
    "paper": paper,
    "peers": peers,
    "cost": cost,
    "memory": memory,
    "closing": closing,
    "notice": notice,
    "components": _of_system(bench_system.components),
    "boot": _of_system(bench_system.boot),
}
