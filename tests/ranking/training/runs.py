"""Training runs of a second: the data, the config, and a child process that stops at a given round."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ranking.data.dataset import RankingDataset
from ranking.data.letor import write_letor
from ranking.training.config import TrainConfig
from tests.lists import random_lists

ROUNDS = 12

_FEW = {"lightgbm": {"min_data_in_leaf": 5, "num_leaves": 7}, "xgboost": {"max_leaves": 7}}


def quick(backend: str = "lightgbm", **changes: Any) -> TrainConfig:
    """A run of a few small trees that never stops early."""
    booster = _FEW[backend] | changes.pop("booster", {})
    plain: dict[str, Any] = {
        "preset": "plain", "rounds": ROUNDS, "early_stopping": 0, "threads": 1, "checkpoint_seconds": 0,
    }  # fmt: skip
    return TrainConfig(**(plain | {"backend": backend, "booster": booster} | changes))


def flags(config: TrainConfig) -> list[str]:
    """The same run as arguments of `rankwright train`."""
    sets = {
        "checkpoint_seconds": config.checkpoint_seconds,
        "valid_fraction": config.valid_fraction,
        **{f"booster.{name}": value for name, value in config.booster.items()},
    }
    named = ("backend", "preset", "objective", "rounds", "early_stopping", "seed", "threads", "missing")
    return [
        *(word for name in named for word in (f"--{name.replace('_', '-')}", str(getattr(config, name)))),
        *(word for name, value in sets.items() for word in ("--set", f"{name}={value}")),
    ]


def lists(seed: int = 0, queries: int = 40) -> RankingDataset:
    """Lists a model of a few trees learns something from."""
    return random_lists(queries=queries, seed=seed, features=4)


def letor(file: Path, data: RankingDataset | None = None) -> Path:
    """The lists as a LETOR file."""
    write_letor(lists() if data is None else data, file)
    return file


def from_file(file: Path) -> RankingDataset:
    from ranking.data.letor import read_letor

    return read_letor(file)


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


# After the checkpoint of the round in argv[1] the run says so, and waits for a line before it goes on.
_STOPPING = """
import sys
from ranking.training import checkpoint
from ranking.cli import main

stop, keep = int(sys.argv.pop(1)), checkpoint.Keeper.keep

def keep_and_wait(keeper, state):
    keep(keeper, state)
    if state.rounds == stop:
        print("waiting", file=sys.stderr, flush=True)
        sys.stdin.readline()

checkpoint.Keeper.keep = keep_and_wait
main()
"""


@contextmanager
def stopped_at(rounds: int, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A `rankwright` process that has kept the checkpoint of this round and waits for a line on stdin."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STOPPING, str(rounds), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if line == "waiting\n":
                break
        else:
            raise AssertionError("the run ended before that round: " + "".join(said))
        yield process
    finally:
        process.kill()
        process.communicate()
