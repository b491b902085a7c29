"""`from ranking import …`: light until something is asked for, and then the thing itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ranking

HOMES = {
    alias.name: node.module
    for node in ast.walk(ast.parse(Path(ranking.__file__).read_text()))
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ranking.")
    for alias in node.names
}
"""What the type checker is told."""


@pytest.mark.parametrize("name", ranking.__all__)
def test_each_name_is_what_the_type_checker_is_told(name: str) -> None:
    assert getattr(ranking, name) is getattr(import_module(HOMES[name]), name)


def test_all_and_dir_name_them() -> None:
    assert set(HOMES) == set(ranking.__all__)
    assert dir(ranking) == sorted(ranking.__all__)


def test_an_unknown_name_is_an_attribute_error_with_the_nearest() -> None:
    program = "import ranking; ranking.load_rankr"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "module 'ranking' has no attribute 'load_rankr'. Did you mean: 'load_ranker'?" in ran.stderr


def test_the_door_itself_opens_no_room() -> None:
    program = "import sys, ranking; dir(ranking); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "ranking" in loaded
    assert [name for name in loaded if name.startswith("ranking.") or name == "numpy"] == []
