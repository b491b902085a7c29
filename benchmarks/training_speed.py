"""Training time beside the boosters' own LambdaMART, and what held-out evaluation adds.

    python -m benchmarks.training_speed [--queries 1000] [--rounds 40] [--repeats 5]

MSLR-shaped data; equal trees and rate; all sides take turns in one process; ratios are medians over the
repeats, with the least and the greatest. Binning the data is part of every side.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from ranking.data.synthetic import mslr_shaped
from ranking.metrics import Metric
from ranking.models.ranker import score_dataset
from ranking.training.config import TrainConfig
from ranking.training.run import fit


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    train, valid, test = (
        mslr_shaped(n, seed) for n, seed in ((options.queries, 1), (options.queries // 4, 2), (200, 3))
    )
    metric = Metric.parse("ndcg@10")
    print(
        f"{train.document_count} documents of {train.query_count} queries, {train.feature_count} features, "
        f"{options.rounds} rounds of 31 leaves; lightgbm {version('lightgbm')}, "
        f"xgboost {version('xgboost-cpu')}, "
        f"Python {platform.python_version()}, {TrainConfig().threads} threads"
    )
    for backend in ("lightgbm", "xgboost"):
        sides = {
            "built-in": (TrainConfig(backend=backend, objective="builtin", rounds=options.rounds), None),
            "lambdarank": (TrainConfig(backend=backend, rounds=options.rounds), None),
            "lambdarank, evaluated every round": (
                TrainConfig(backend=backend, rounds=options.rounds, early_stopping=options.rounds),
                valid,
            ),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        quality: dict[str, float] = {}
        for config, _ in sides.values():
            fit(
                TrainConfig(backend=backend, objective=config.objective, rounds=2), train, None
            )  # compile, warm up
        for _ in range(options.repeats):
            for name, (config, held_out) in sides.items():
                spent, ranker = timed(lambda c=config, v=held_out: fit(c, train, v))
                seconds[name].append(spent)
                quality[name] = metric.mean(score_dataset(ranker, test), test)
        for name in sides:
            ratios = [s / b for s, b in zip(seconds[name], seconds["built-in"], strict=True)]
            print(
                f"{backend:<9} {name:<34} time over built-in: median {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f}-{max(ratios):.2f})   NDCG@10 {quality[name]:.4f}"
            )
    scores = score_dataset(ranker, valid)
    evaluate = metric.evaluator(valid)
    evaluate(scores)
    best = min(timed(lambda: evaluate(scores))[0] for _ in range(20))
    print(f"one evaluation of ndcg@10 over {valid.document_count} documents: {1000 * best:.2f} ms")


if __name__ == "__main__":
    main()
