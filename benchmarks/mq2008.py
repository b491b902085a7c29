"""Objectives on both boosters over MQ2008's five folds: same trees, leaves and rate for all.

    python -m benchmarks.mq2008 [--rounds 100] [--leaves 31] [--rate 0.05] [--early-stopping 0]

Fold k trains on three parts, tests on the next but one (LETOR 4.0's cyclic scheme). With early stopping the
part between them stops the training, by NDCG@10. Data: RANKWRIGHT_DATA/mq2008/S1.txt.gz … S5.txt.gz.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ranking.data.letor import read_letor
from ranking.metrics import Metric
from ranking.metrics.comparison import bootstrap_interval, paired_randomisation
from ranking.models.ranker import score_dataset
from ranking.training.config import TrainConfig
from ranking.training.crossvalidation import Folds, folds_from
from ranking.training.run import fit

RUNS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "lightgbm": [("builtin", {}), ("lambdarank", {}), ("ranknet", {}), ("hinge", {})],
    # XGBoost's own objectives double the hessian, and so do ours there by default; once with it as it is.
    "xgboost": [
        ("builtin", {}),
        ("lambdarank", {}),
        ("ranknet", {}),
        ("hinge", {}),
        ("lambdarank", {"hessian_scale": 1.0}),
    ],
}
LEAVES = {"lightgbm": "num_leaves", "xgboost": "max_leaves"}
EMPTY = ("zero", "skip")


def data_folder() -> Path:
    """RANKWRIGHT_DATA, or ../shared/datasets where that exists."""
    folder = Path(os.environ.get("RANKWRIGHT_DATA", Path(__file__).parents[2] / "shared" / "datasets"))
    if not (folder / "mq2008").is_dir():
        raise SystemExit(f"{folder}/mq2008 is not there: set RANKWRIGHT_DATA to the folder that holds mq2008")
    return folder


def run(config: TrainConfig, folds: Folds) -> dict[str, Any]:
    """NDCG@10 of every query when its fold is the tested one, by convention, with the folds' sizes."""
    values: dict[str, list[Any]] = {empty: [] for empty in EMPTY}
    rounds, started = [], time.perf_counter()
    for test in range(folds.count):
        rest, valid, tested = folds.split(test)
        ranker = fit(config, rest, valid)
        rounds.append(ranker.rounds)
        scores = score_dataset(ranker, tested)
        for empty in EMPTY:
            values[empty].append(Metric.parse("ndcg@10", empty=empty).per_query(scores, tested))
    return {"values": values, "rounds": rounds, "seconds": time.perf_counter() - started}


def line(name: str, result: Mapping[str, Any], empty: str, baseline: Mapping[str, Any] | None) -> str:
    """Per fold and mean of folds; difference to the booster's own with interval and p over all queries."""
    folds = [float(np.nanmean(fold)) for fold in result["values"][empty]]
    text = f"| {name} | " + " | ".join(f"{v:.4f}" for v in folds) + f" | **{np.mean(folds):.4f}** |"
    if baseline is None:
        return f"{text} |"
    ours, other = (np.concatenate(r["values"][empty]) for r in (result, baseline))
    kept = ~np.isnan(ours)
    low, high = bootstrap_interval(ours[kept] - other[kept])
    p = paired_randomisation(ours[kept], other[kept])
    return f"{text} {np.mean((ours - other)[kept]):+.4f} [{low:+.4f}, {high:+.4f}] p={p:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--early-stopping", type=int, default=0)
    options = parser.parse_args()
    parts = [read_letor(data_folder() / "mq2008" / f"S{i}.txt.gz") for i in range(1, 6)]
    results = {}
    for backend in LEAVES:
        for objective, parameters in RUNS[backend]:
            config = TrainConfig(
                backend=backend,
                objective=objective,
                objective_parameters=parameters,
                rounds=options.rounds,
                early_stopping=options.early_stopping,
                booster={LEAVES[backend]: options.leaves, "learning_rate": options.rate},
            )
            name = " ".join([objective, *(f"{key}={value:g}" for key, value in parameters.items())])
            results[backend, name] = run(config, folds_from(parts, "files", config))
    print(
        f"MQ2008, five folds, NDCG@10; {options.rounds} trees, {options.leaves} leaves, rate {options.rate}, "
        f"early stopping {options.early_stopping or 'off'}; lightgbm {version('lightgbm')}, "
        f"xgboost {version('xgboost-cpu')}, "
        f"Python {platform.python_version()}"
    )
    for empty in EMPTY:
        print(f"\nqueries without a relevant document: {empty}\n")
        print(
            "| | " + " | ".join(f"S{i}" for i in (1, 2, 3, 4, 5)) + " | mean | minus built-in, over queries |"
        )
        print("|---" * 8 + "|")
        for (backend, objective), result in results.items():
            baseline = None if objective == "builtin" else results[backend, "builtin"]
            print(line(f"{backend} {objective}", result, empty, baseline))
    print("\nrounds kept and seconds (training and scoring, five folds):")
    for (backend, objective), result in results.items():
        print(f"  {backend} {objective:<27} {result['rounds']}  {result['seconds']:.1f} s")


if __name__ == "__main__":
    main()
