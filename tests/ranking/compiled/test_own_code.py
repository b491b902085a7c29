"""A user's own file: run once for each of its contents, and those very bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ranking.compiled.own_code import function_named, functions_of
from ranking.errors import UsageError

COUNTED = """
from pathlib import Path

with Path({log!r}).open("a") as log:
    log.write("x")

def f():
    return {value}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def written(folder: Path, log: Path, value: int) -> str:
    file = folder / "own.py"
    file.write_text(COUNTED.format(log=str(log), value=value))
    os.utime(file, (1e9, 1e9))
    return str(file)


def test_a_file_is_run_once_for_each_content(tmp_path: Path, log: Path) -> None:
    """Of equal size and time too, where bytecode on disk would be that of the older one."""
    name = written(tmp_path, log, 1)
    first, digest = functions_of(name)
    assert functions_of(name) == (first, digest)
    assert function_named(f"{name}:f")() == 1
    assert log.read_text() == "x"
    assert functions_of(written(tmp_path, log, 2))[1] != digest
    assert function_named(f"{name}:f")() == 2
    assert log.read_text() == "xx"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_file_that_does_not_run_is_named_each_time(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"own.py does not run: ZeroDivisionError"):
            functions_of(str(file))
    with pytest.raises(UsageError, match="cannot read"):
        functions_of(str(tmp_path / "none.py"))
