"""The service as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]


@contextmanager
def running(*command: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """(process, URL) of a server that said it is ready; killed at the end if it still runs."""
    with started(*command, **variables) as (process, said):
        yield process, said[-1].split()[2]


@contextmanager
def started(*command: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The same, with what it said up to the line that it is ready."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("serving on http://"):
                yield process, lines
                break
        else:
            raise AssertionError("".join(lines))
    finally:
        process.kill()
        process.communicate()
