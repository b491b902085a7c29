"""What is compiled before it is needed is compiled by a child, so that all processes run the same code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ranking.trees.scoring  # noqa: F401 - registers pieces
import service.app  # noqa: F401 - registers pieces
from ranking.compiled import warming
from ranking.compiled.jit import code_folder
from ranking.compiled.warming import PIECES, warm_up
from ranking.objectives import OBJECTIVES
from ranking.objectives import warm_up as warm_up_objective
from tests.ranking.compiled.piece import FAILS, NAME, PLACE

ROOT = Path(__file__).parents[3]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of the processes that ran the piece, with nothing compiled yet."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(PLACE, str(tmp_path / "ran"))
    code_folder.cache_clear()
    yield tmp_path / "ran"
    code_folder.cache_clear()


def processes(ran: Path) -> list[int]:
    return [int(line) for line in ran.read_text().split()]


def test_a_child_compiles_once_and_this_process_loads_once(ran: Path) -> None:
    warm_up(NAME)
    child, here = processes(ran)
    assert child != here == os.getpid()
    warm_up(NAME)
    assert processes(ran) == [child, here]


def test_code_of_another_processor_does_not_count(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up(NAME)
    monkeypatch.setattr(warming, "_processor", lambda: "another")
    warm_up(NAME)
    assert len(set(processes(ran))) == 3


def test_without_a_folder_it_is_compiled_here(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "code_folder", lambda: None)
    warm_up(NAME)
    assert processes(ran) == [os.getpid()]


def test_a_child_that_fails_leaves_it_to_this_process(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next process tries a child again."""
    monkeypatch.setenv(FAILS, str(os.getpid()))
    warm_up(NAME)
    assert processes(ran) == [os.getpid()]
    monkeypatch.delenv(FAILS)
    warm_up(NAME)
    assert len(processes(ran)) == 3


@pytest.mark.parametrize("name", sorted(PIECES))
def test_every_piece_runs(name: str, ran: Path) -> None:
    PIECES[name]()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_warmed_by_pieces_there_are(name: str) -> None:
    warm_up_objective(OBJECTIVES[name])


GRADIENTS = """
import hashlib
import numpy as np
from ranking.data.dataset import RankingDataset
from ranking.objectives import OBJECTIVES, warm_up

random, found = np.random.default_rng(0), hashlib.sha256()
offsets = np.arange(0, 1001, 50)
lists = RankingDataset(
    features=np.zeros((1000, 1), np.float32), labels=random.integers(0, 5, 1000).astype(np.float32),
    offsets=offsets, query_ids=[str(one) for one in offsets[1:]],
)
for name in ("lambdarank", "lambdarank_map", "ranknet", "hinge"):
    warm_up(OBJECTIVES[name])
    gradients = OBJECTIVES[name].prepare(lists)
    for _ in range(10):
        for part in gradients(random.normal(size=1000)):
            found.update(part.tobytes())
print(found.hexdigest())
"""


@pytest.mark.slow
def test_the_first_process_on_a_machine_computes_as_the_second(tmp_path: Path) -> None:
    """To the bit, with nothing compiled yet and with everything on disk."""
    shutil.copytree(ROOT / "ranking", tmp_path / "ranking", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "code")}
    first, second = (
        subprocess.check_output([sys.executable, "-c", GRADIENTS], cwd=tmp_path, env=environment)
        for _ in range(2)
    )
    assert first == second
