# SPDX-License-Identifier: MIT
"""`./dev TASK`: invoke, by the name that people know it by."""

from __future__ import annotations

import sys

from invoke import Program

from koboshi_desk.core import ending


def main() -> None:
    """Run the tasks that the command line names."""
    try:
        Program(name="./dev", binary="./dev", binary_names=["./dev"]).run()
    except BrokenPipeError:  # the reader of the output has closed it
        ending.discard_output()
        sys.exit(0)


if __name__ == "__main__":
    main()
