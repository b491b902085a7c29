"""Training on biased clicks with and without correction, over MQ2008's five folds.

    python -m benchmarks.clicks [--seeds 2] [--sessions 20] [--eta 1.5] [--threads 1]

A ranker trained on few judged queries shows the documents of all; clicks on its top 10 are simulated
(position-based: looked at with 1 / rank^eta, clicked by grade, one look in ten clicked whatever it is). Then
each objective trains on those clicks alone, and is tested against the judgments of the fold it never saw:

judgments    lambdarank on the grades themselves, what no click can beat
clicks       lambdarank on clicks as they are
estimated    unbiased_lambdarank, propensities estimated from the same clicks
true         unbiased_lambdarank, the propensities the clicks were simulated with
shown        the ranker that showed the documents

Equal terms for all: 100 trees, 15 leaves, rate 0.05, nothing held out, since held-out clicks are as biased.
NDCG@10, a query without a relevant document counts 0; differences to `clicks` are paired by query.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.mq2008 import data_folder
from ranking.data.clicks import simulate_clicks
from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor
from ranking.metrics import Metric
from ranking.metrics.comparison import bootstrap_interval, paired_randomisation
from ranking.models.ranker import score_dataset
from ranking.objectives.propensity import estimate_propensities
from ranking.training.config import TrainConfig
from ranking.training.run import fit

NDCG = Metric.parse("ndcg@10", empty="zero")
SHOWN = 10
JUDGED = 20
"""Queries whose grades the ranker that shows the documents was trained on."""
LEAVES = {"lightgbm": {"num_leaves": 15}, "xgboost": {"max_leaves": 15}}


def trained(
    backend: str, data: RankingDataset, seed: int, threads: int, objective: str, **parameters: Any
) -> Any:
    config = TrainConfig(
        backend=backend, preset="plain", objective=objective, objective_parameters=parameters, rounds=100,
        early_stopping=0, seed=seed, threads=threads, booster={"learning_rate": 0.05} | LEAVES[backend],
    )  # fmt: skip
    return fit(config, data, None)


def values_of(
    backend: str, train: RankingDataset, test: RankingDataset, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """NDCG@10 of each tested query by what was trained on."""
    judged = np.random.default_rng(seed).permutation(train.query_count)[:JUDGED]
    showing = trained(backend, train.queries(np.sort(judged)), seed, options.threads, "lambdarank")
    clicks = simulate_clicks(
        train,
        score_dataset(showing, train),
        sessions=options.sessions,
        eta=options.eta,
        shown=SHOWN,
        seed=seed,
    )
    truth = (np.arange(1, SHOWN + 1) ** -options.eta).tolist()

    def on(data: RankingDataset, objective: str, **parameters: Any) -> Any:
        return trained(backend, data, seed, options.threads, objective, **parameters)

    rankers = {
        "judgments": on(train, "lambdarank"),
        "clicks": on(clicks, "lambdarank"),
        "estimated": on(clicks, "unbiased_lambdarank", propensities=estimate_propensities(clicks).tolist()),
        "true": on(clicks, "unbiased_lambdarank", propensities=truth),
        "shown": showing,
    }
    return {name: NDCG.per_query(score_dataset(ranker, test), test) for name, ranker in rankers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--eta", type=float, default=1.5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    parts = [read_letor(data_folder() / "mq2008" / f"S{i}.txt.gz") for i in range(1, 6)]
    print(f"{options.sessions} sessions a query, eta {options.eta}, {options.seeds} seeds\n")
    print("| | NDCG@10 | minus clicks [95 %] | p |\n|---|---|---|---|")
    for backend in LEAVES:
        found: dict[str, list[Any]] = {}
        for test in range(5):
            train = RankingDataset.concatenate([p for i, p in enumerate(parts) if i != test])
            runs = [
                values_of(backend, train, parts[test], seed, options) for seed in range(1, options.seeds + 1)
            ]
            for name in runs[0]:
                found.setdefault(name, []).append(np.mean([run[name] for run in runs], axis=0))
        values = {name: np.concatenate(folds) for name, folds in found.items()}
        for name, mine in values.items():
            gap = mine - values["clicks"]
            low, high = bootstrap_interval(gap)
            p = paired_randomisation(mine, values["clicks"])
            compared = " | " if name == "clicks" else f"{gap.mean():+.4f} [{low:+.4f}, {high:+.4f}] | {p:.3f}"
            print(f"| {backend} {name} | {mine.mean():.4f} | {compared} |", flush=True)


if __name__ == "__main__":
    main()
