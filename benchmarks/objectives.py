"""How fast objectives are: the gradient, whole training, the presets, memory and first use.

    python -m benchmarks.objectives [--repeats 7] [--parts gradient,training,presets,memory,start]

Sides take turns in one process; a ratio is of neighbours in time, and each line gives the median, the least
and the greatest over the repeats. The boosters are called as their own documentation has it, with equal
leaves, rate and rounds; binning the data is part of every side.

gradient   one thread. LightGBM's is the time of training with its `lambdarank` less that with a custom
           objective that returns constants, on one feature with stumps, from the same start scores.
presets    as training, with 31 leaves; NDCG@10 on queries that nothing was trained on.
memory     peak resident memory of processes that load the same matrix and train on it.
start      a process from its start until it could train: imports, checks, the objective compiled.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ranking.compiled.cpus import available_cpus
from ranking.data.dataset import RankingDataset
from ranking.data.synthetic import mslr_shaped
from ranking.metrics import Metric
from ranking.models.ranker import score_dataset
from ranking.objectives import LambdaRank, objective_named, warm_up
from ranking.training.config import TrainConfig
from ranking.training.run import fit

RATE = 0.05
NDCG = Metric.parse("ndcg@10")


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def turns(sides: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side by repeat, the sides taking turns, after one turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, work in sides.items():
            spent = timed(work)
            if repeat:
                seconds[name].append(spent)
    return seconds


def show(what: str, ratios: list[float], bar: str, more: str = "") -> None:
    spread = f"{statistics.median(ratios):.2f} | {min(ratios):.2f}-{max(ratios):.2f}"
    print(f"| {what} | {bar} | {spread} | {more} |", flush=True)


def one_list(documents: int) -> RankingDataset:
    """A single query, grades in about MSLR's shares."""
    rng = np.random.default_rng(1)
    return RankingDataset(
        features=np.zeros((documents, 1), np.float32),
        labels=rng.choice(5, documents, p=[0.55, 0.3, 0.12, 0.02, 0.01]).astype(np.float32),
        offsets=np.array([0, documents]),
        query_ids=["q"],
    )


def lightgbm_stumps(
    data: RankingDataset, scores: Any, truncation: int, rounds: int
) -> dict[str, Callable[[], Any]]:
    """Training with LightGBM's lambdarank and with a custom objective that costs nothing, else alike."""
    import lightgbm

    features = np.random.default_rng(2).integers(0, 2, (data.document_count, 1)).astype(np.float32)
    constant = np.random.default_rng(3).normal(size=data.document_count).astype(np.float32)
    ones = np.ones(data.document_count, np.float32)
    sides = {"lambdarank": "lambdarank", "no-op": lambda scores, _: (constant, ones)}

    def train(objective: Any) -> None:
        settings = {
            "objective": objective, "num_leaves": 2, "num_threads": 1, "verbosity": -1, "metric": "None",
            "lambdarank_truncation_level": truncation, "learning_rate": 1e-6, "min_data_in_leaf": 1,
        }  # fmt: skip
        binned = lightgbm.Dataset(features, data.labels, group=data.sizes, init_score=scores)
        lightgbm.train(settings, binned, rounds)

    return {name: lambda objective=o: train(objective) for name, o in sides.items()}


def gradient(repeats: int) -> None:
    """Times over ours, of the same pairs."""
    for what, data, truncation, rounds, bar in (
        ("gradient, 2,000 queries of some 120, truncation 30", mslr_shaped(2000, 1), 30, 10, ">= 3"),
        ("gradient, one query of 10,000, all pairs", one_list(10_000), 10_000, 3, ">= 8"),
    ):
        scores = np.random.default_rng(4).normal(size=data.document_count)
        sizes, top = data.sizes, np.minimum(data.sizes, truncation)
        pairs = float((top * sizes - top * (top + 1) / 2).sum())
        ours = LambdaRank(truncation=truncation).prepare(data, 1)

        def run(ours: Any = ours, scores: Any = scores, rounds: int = rounds) -> None:
            for _ in range(rounds):
                ours(scores)

        seconds = turns({**lightgbm_stumps(data, scores, truncation, rounds), "ours": run}, repeats)
        columns = zip(seconds["lambdarank"], seconds["no-op"], seconds["ours"], strict=True)
        ratios = [(theirs - nothing) / mine for theirs, nothing, mine in columns]
        ns = 1e9 * min(seconds["ours"]) / rounds / pairs
        show(
            what, ratios, bar,
            f"ours {ns:.2f} ns a visited pair, LightGBM's "
            f"{1e9 * (min(seconds['lambdarank']) - min(seconds['no-op'])) / rounds / pairs:.2f}",
        )  # fmt: skip


def lightgbm_own(data: RankingDataset, leaves: int, rounds: int) -> Any:
    """As its users call it."""
    import lightgbm

    settings = {
        "objective": "lambdarank", "num_leaves": leaves, "learning_rate": RATE, "verbosity": -1,
        "num_threads": available_cpus(),
    }  # fmt: skip
    return lightgbm.train(
        settings, lightgbm.Dataset(data.features, data.labels, group=data.sizes), num_boost_round=rounds
    )


def xgboost_own(data: RankingDataset, leaves: int, rounds: int) -> Any:
    import xgboost

    settings = {
        "objective": "rank:ndcg", "max_leaves": leaves, "max_depth": 0, "grow_policy": "lossguide",
        "tree_method": "hist", "learning_rate": RATE, "nthread": available_cpus(), "max_bin": 255,
        "min_child_weight": 0.001, "reg_lambda": 0.0,
    }  # fmt: skip
    matrix = xgboost.QuantileDMatrix(
        data.features, data.labels, qid=np.repeat(np.arange(data.query_count), data.sizes), max_bin=255
    )
    return xgboost.train(settings, matrix, rounds)


OWN = {"lightgbm": lightgbm_own, "xgboost": xgboost_own}
LEAVES = {"lightgbm": "num_leaves", "xgboost": "max_leaves"}


def ours(data: RankingDataset, backend: str, leaves: int, rounds: int, preset: str = "plain") -> Any:
    """The plain preset grows the trees that the booster would by itself."""
    config = TrainConfig(
        backend=backend, preset=preset, objective="lambdarank", rounds=rounds, early_stopping=0,
        booster={LEAVES[backend]: leaves, "learning_rate": RATE},
    )  # fmt: skip
    return fit(config, data, None)


def training(repeats: int, queries: int, rounds: int) -> None:
    data = mslr_shaped(queries, 1)
    for backend, own, bar in (("lightgbm", "lambdarank", "<= 0.90"), ("xgboost", "rank:ndcg", "<= 0.75")):
        for leaves in (31, 63):
            sides = {
                "own": lambda b=backend, n=leaves: OWN[b](data, n, rounds),
                "ours": lambda b=backend, n=leaves: ours(data, b, n, rounds),
            }
            seconds = turns(sides, repeats)
            ratios = [a / b for a, b in zip(seconds["ours"], seconds["own"], strict=True)]
            show(
                f"training, {leaves} leaves, over {backend} `{own}`", ratios, bar,
                f"{min(seconds['ours']):.2f} s over {min(seconds['own']):.2f} s at best",
            )  # fmt: skip


def presets(repeats: int, queries: int, rounds: int) -> None:
    data, test = mslr_shaped(queries, 1), mslr_shaped(500, 2)
    found: dict[str, Any] = {}

    def own() -> None:
        found["own"] = lightgbm_own(data, 31, rounds)

    def preset(name: str) -> None:
        found[name] = ours(data, "lightgbm", 31, rounds, preset=name)

    bars = {"fast": "<= 0.40", "standard": ""}
    seconds = turns({"own": own, **{n: lambda n=n: preset(n) for n in bars}}, repeats)
    reference = NDCG.mean(found["own"].predict(test.features), test)
    for name, bar in bars.items():
        ratios = [a / b for a, b in zip(seconds[name], seconds["own"], strict=True)]
        show(
            f"training with `--preset {name}` over LightGBM's `lambdarank`", ratios, bar,
            f"NDCG@10 {NDCG.mean(score_dataset(found[name], test), test):.4f} against {reference:.4f}",
        )  # fmt: skip


def memory(repeats: int, queries: int, rounds: int) -> None:
    """Each side in its own process, which reads the matrix from a file."""
    data = mslr_shaped(queries, 1)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("features", "labels", "offsets"):
            np.save(Path(folder) / f"{name}.npy", getattr(data, name))
        del data
        for backend in OWN:
            peaks: dict[str, list[float]] = {"own": [], "ours": []}
            for _ in range(repeats):
                for side, values in peaks.items():
                    command = [sys.executable, "-m", "benchmarks.objectives", "--peak", side, backend, folder]
                    command += ["--rounds", str(rounds)]
                    values.append(float(subprocess.run(command, check=True, capture_output=True).stdout))
            ratios = [a / b for a, b in zip(peaks["ours"], peaks["own"], strict=True)]
            show(
                f"peak memory, over {backend}'s own", ratios, "<= 1.1",
                f"{statistics.median(peaks['ours']):.0f} MB over {statistics.median(peaks['own']):.0f} MB",
            )  # fmt: skip


def peak(side: str, backend: str, folder: Path, rounds: int) -> None:
    """Train one side, and print the peak of its resident memory in MB."""
    parts = {name: np.load(folder / f"{name}.npy") for name in ("features", "labels", "offsets")}
    data = RankingDataset(**parts, query_ids=[str(i) for i in range(len(parts["offsets"]) - 1)])
    if side == "own":
        OWN[backend](data, 31, rounds)
    else:
        ours(data, backend, 31, rounds)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


START = (
    "from ranking.training.config import TrainConfig;"
    "from ranking.objectives import objective_named, warm_up;"
    "import ranking.training.run; warm_up(objective_named('lambdarank'))"
)


def start(repeats: int) -> None:
    """Seconds of a process, with what Numba compiled gone and with it kept."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", START]
        first = timed(lambda: subprocess.run(command, check=True, env=environment))
        later = [timed(lambda: subprocess.run(command, check=True, env=environment)) for _ in range(repeats)]
    print(
        f"| start, compiled code on disk, seconds | < 1 | {statistics.median(later):.2f} | "
        f"{min(later):.2f}-{max(later):.2f} | the first time ever {first:.1f} s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--parts", default="gradient,training,presets,memory,start")
    parser.add_argument("--peak", nargs=3, metavar=("SIDE", "BACKEND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        side, backend, folder = options.peak
        peak(side, backend, Path(folder), options.rounds)
        return
    warm_up(objective_named("lambdarank"))
    print(
        f"{options.queries} queries of some 120 documents, 136 features, {options.rounds} rounds, "
        f"rate {RATE}; "
        f"lightgbm {version('lightgbm')}, xgboost {version('xgboost-cpu')}, "
        f"Python {platform.python_version()}, {available_cpus()} threads\n\n"
        "| what | bar | median | least-greatest | |\n|---|---|---|---|---|"
    )
    shape = (options.repeats, options.queries, options.rounds)
    parts: dict[str, Callable[[], None]] = {
        "gradient": lambda: gradient(options.repeats),
        "training": lambda: training(*shape),
        "presets": lambda: presets(*shape),
        "memory": lambda: memory(*shape),
        "start": lambda: start(options.repeats),
    }
    for part in options.parts.split(","):
        parts[part]()


if __name__ == "__main__":
    main()
