"""The README's examples run, and its tables say what the code says."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from ranking.cli import app
from ranking.errors import RankwrightError
from ranking.metrics import DISCOUNTS, EMPTY, GAINS, METRICS, TIES
from ranking.objectives import OBJECTIVES
from ranking.trees.backends import BACKENDS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the embedded collection in `data`."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "data").symlink_to(ROOT / "data")
    return folder


def commands() -> list[list[str]]:
    """The arguments of every `$` line, in order."""
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    programs, arguments = zip(*((first, rest) for first, *rest in map(shlex.split, lines)), strict=True)
    assert set(programs) == {"rankwright"}
    return list(arguments)


def test_the_console_examples_are_commands_there_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With options they have: the short form of running them."""
    monkeypatch.chdir(folder)
    assert len(commands()) >= 8
    for arguments in commands():
        command: Any = typer.main.get_command(app)
        while isinstance(command, click.Group):
            name, *arguments = arguments
            command = command.commands[name]
        command.make_context(None, arguments)


@pytest.mark.slow
def test_the_console_examples_run(folder: Path) -> None:
    """As written."""
    for arguments in commands():
        run = subprocess.run(
            [sys.executable, "-m", "ranking.cli", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{arguments}\n{run.stderr}"
    assert (folder / "runs/ours/report.html").stat().st_size > 10_000
    assert len((folder / "runs/ours.run").read_text().splitlines()[0].split()) == 6


def test_the_python_example_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    *trained, p = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in trained] == ["lambdarank", "ranknet"]
    assert all(0.5 < float(re.findall(r"'ndcg@10': (0\.\d+)", line)[0]) < 1 for line in trained)
    assert 0 < float(p) <= 1
    assert names["gradient"].shape == names["hessian"].shape == names["scores"].shape


def test_the_json_example_is_json() -> None:
    (body,) = blocks("json")
    assert {"query", "candidates", "top_k", "explain"} == set(json.loads(body))


def test_the_table_of_objectives_is_the_registry() -> None:
    rows = {
        cells[1].strip(" `"): cells
        for cells in (line.split("|") for line in TEXT.splitlines())
        if len(cells) == 8
    }
    known = {name: cells for name, cells in rows.items() if name in OBJECTIVES}
    assert list(known) == list(OBJECTIVES)
    assert all(cells[3].strip() == OBJECTIVES[name].hessian for name, cells in known.items())
    assert [cell.strip() for cell in rows["name"][4:6]] == list(BACKENDS)
    assert all(own in rows["builtin"][2] for own in (backend.builtin for backend in BACKENDS.values()))


@pytest.mark.parametrize(
    "table", [METRICS, EMPTY, TIES, GAINS, DISCOUNTS], ids=["metrics", "empty", "ties", "gains", "discounts"]
)
def test_every_convention_is_named(table: Any) -> None:
    conventions = TEXT.partition("## Conventions")[2].partition("## ")[0]
    spelled = {"exponential": "2^label", "log2": "log2"}
    assert all(spelled.get(name, name) in conventions for name in table)


def test_the_docs_of_losses_name_every_one() -> None:
    from ranking.losses import LOSSES
    from ranking.losses.classification import CLASSIFICATION_LOSSES

    text = (ROOT / "docs" / "losses.md").read_text()
    assert [name for name in LOSSES if f"`{name}`" not in text] == []
    assert [f.__name__ for f in CLASSIFICATION_LOSSES.values() if f"`{f.__name__}(" not in text] == []


def test_exit_codes_are_those_of_the_errors() -> None:
    codes = {error.exit_code for error in [RankwrightError, *RankwrightError.__subclasses__()]}
    sentence = TEXT.partition("Exit codes:")[2].partition("Bad data")[0]
    assert codes <= {int(number) for number in re.findall(r"\b\d+\b", sentence)}


@pytest.mark.parametrize("package", ["ranking", "service"])
def test_every_room_is_on_the_map(package: str) -> None:
    """In the README, and in the package's own docstring."""
    rooms = {
        path.stem
        for path in (ROOT / package).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__", "__main__"}
    block = TEXT.partition("## The rooms")[2].partition("```\n")[2].partition("```")[0]
    (listed,) = re.findall(rf"^{package}/((?:.*\n)(?: .*\n)*)", block, re.MULTILINE)
    for text in (listed, import_module(package).__doc__ or ""):
        assert rooms - set(re.findall(r"^ +(\w+) ", text, re.MULTILINE)) == set()


def test_make_targets_named_here_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all(
        re.search(rf"^{target}:", makefile, re.MULTILINE) for target in re.findall(r"`?make ([a-z]+)", TEXT)
    )
    assert os.access(ROOT / ".ci/run", os.X_OK)
