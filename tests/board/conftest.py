# SPDX-License-Identifier: MIT
"""A board by --port or --lg-env; without either, every test here is skipped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.trial.board import Board


def pytest_addoption(parser: pytest.Parser) -> None:
    """labgrid's own plugin, where it is installed, has --lg-env already."""
    parser.addoption("--port", default="", help="the board's console: /dev/ttyUSB0, socket://HOST:PORT, ...")
    parser.addoption("--console-log", default="", help="keep the console there, byte for byte")
    with contextlib.suppress(ValueError):
        parser.addoption("--lg-env", default="", help="an environment file of labgrid's")


@pytest.fixture(scope="session")
def attached(request: pytest.FixtureRequest) -> Iterator[Board]:
    """The board, once all its components are ready."""
    port = request.config.getoption("--port")
    environment = request.config.getoption("lg_env", default="") or ""
    if not (port or environment):
        pytest.skip("no board: --port or --lg-env names one")
    log = request.config.getoption("--console-log")
    with Board.at(port, Path(environment) if environment else None, Path(log) if log else None) as board:
        board.ready()
        yield board


@pytest.fixture
def board(attached: Board) -> Iterator[Board]:
    """The board with all components ready; afterwards the kernel must have had nothing new to say."""
    attached.ready()
    before = set(attached.verdict())
    yield attached
    new = set(attached.verdict()) - before
    assert not new, "the kernel said:\n" + "\n".join(str(finding) for finding in new)
