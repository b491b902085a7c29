"""How good every objective ranks, beside the boosters' own and CatBoost's: one table a collection.

    python -m benchmarks.quality [--sets mq2008,msrd,mslr,synthetic] [--systems PATTERNS] [--seeds 3]
                                 [--store runs/quality.jsonl] [--threads 1]

Equal terms for all: the same training queries, trees at most, early stopping on the same held-out queries by
NDCG@10 and at the maximum of its mean over 21 rounds, the same rate, and 31 leaves (CatBoost grows symmetric
trees: depth 6). A seed draws which queries
stop the training, and is the booster's seed. `rankwright train` is what the command does when asked nothing.

NDCG@10 with gain 2^y - 1; a query without a relevant document counts 0. A query's value is its mean over
seeds; differences are paired by query, with a 95 % bootstrap interval and the paired randomisation test.
What was run is kept in the store, so that an interrupted benchmark goes on; `--tables` only prints.
Reads RANKWRIGHT_DATA; CatBoost is in the extra `bench`.
"""

from __future__ import annotations

import argparse
import fnmatch
import gzip
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.mq2008 import data_folder
from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor
from ranking.data.synthetic import mslr_shaped, search_collection
from ranking.metrics import Metric
from ranking.metrics.comparison import bootstrap_interval, holm, paired_randomisation
from ranking.models.ranker import score_dataset
from ranking.objectives import OBJECTIVES
from ranking.training.config import TrainConfig
from ranking.training.run import fit
from ranking.training.watch import smoothed

NDCG = Metric.parse("ndcg@10", empty="zero")
DEFAULT = "rankwright train"
BEST = "rankwright train --preset best"
VARIANTS: dict[str, dict[str, Any]] = {
    BEST: {"preset": "best"},
    "rankwright best of 8": {"preset": "best", "best": {"members": 8}},
    "rankwright best on xgboost": {"preset": "best", "backend": "xgboost"},
    "rankwright lambdarank": {"objective": "lambdarank"},
    "rankwright all pairs": {"objective_parameters": {"ranknet.truncation": None}},
}
"""Of the command: preset best, which learns from the queries that stop the others too, of eight members, and
on XGBoost; the default before the blend, and the blend with all of RankNet's pairs."""

RATE, LEAVES, ROUNDS, PATIENCE = 0.05, 31, 500, 100
EQUAL = {
    "lightgbm": {"num_leaves": LEAVES, "learning_rate": RATE},
    "xgboost": {"max_leaves": LEAVES, "learning_rate": RATE},
}
PEERS = (
    "lightgbm builtin:lambdarank",
    "lightgbm builtin:rank_xendcg",
    "xgboost builtin:rank:ndcg",
    "xgboost builtin:rank:pairwise",
    "catboost YetiRank",
    "catboost LambdaMart",
)
STOCHASTIC = ("gumbel:lambdarank",)
TORCH = ("torch:list_mle", "torch:approx_ndcg", "torch:approx_map", "torch:calibrated", "torch:neural_ndcg")
"""Losses that torch alone has (extra `neural`); the last takes a hundred times as long as a compiled one."""

OURS = (DEFAULT, *VARIANTS)
"""What the claims are of."""

Split = tuple[RankingDataset, RankingDataset]
"""(queries to train and stop on, queries to test on)"""


def systems() -> list[str]:
    """The default, the peers, and each of our objectives on both boosters."""
    ours = [name for name, objective in OBJECTIVES.items() if not objective.needs_positions]
    return [
        DEFAULT,
        *VARIANTS,
        *PEERS,
        *(f"{backend} {name}" for backend in EQUAL for name in (*ours, *STOCHASTIC)),
        *(f"lightgbm {name}" for name in TORCH),
    ]


def mq2008() -> Iterator[Split]:
    """LETOR 4.0's five folds: the tested part, and the other four."""
    parts = [read_letor(data_folder() / "mq2008" / f"S{i}.txt.gz") for i in range(1, 6)]
    for test in range(5):
        yield RankingDataset.concatenate([p for i, p in enumerate(parts) if i != test]), parts[test]


def msrd() -> Iterator[Split]:
    """Movie search: S1-S3 to S4."""
    parts = [read_letor(data_folder() / "msrd-letor" / f"S{i}.txt.gz") for i in range(1, 5)]
    yield RankingDataset.concatenate(parts[:3]), parts[3]


def mslr() -> Iterator[Split]:
    """The slice of MSLR-WEB without its last, cut query, in five parts by query."""
    whole = read_letor(data_folder() / "mslr-sample" / "fold1.train.5k.txt.gz")
    count = whole.query_count - 1
    part = np.random.default_rng(0).permutation(count) % 5
    for test in range(5):
        yield whole.queries(np.flatnonzero(part != test)), whole.queries(np.flatnonzero(part == test))


def synthetic() -> Iterator[Split]:
    """MSLR-shaped, of a known relevance model."""
    yield mslr_shaped(400, 1), mslr_shaped(400, 2)


def lightgbm_example() -> Iterator[Split]:
    """The ranking example of LightGBM's repository, both files, in five parts by query."""
    whole = RankingDataset.concatenate([_with_sizes("train"), _with_sizes("test")])
    part = np.random.default_rng(0).permutation(whole.query_count) % 5
    for test in range(5):
        yield whole.queries(np.flatnonzero(part != test)), whole.queries(np.flatnonzero(part == test))


def _with_sizes(name: str) -> RankingDataset:
    """`label feature:value …` lines, and beside them how many each query has."""
    folder = data_folder() / "lightgbm-example"
    sizes = np.loadtxt(folder / f"rank.{name}.query", dtype=np.int64)
    with gzip.open(folder / f"rank.{name}.gz", "rt") as file:
        rows = [line.split() for line in file]
    features = np.zeros((len(rows), 301), np.float32)
    for row, (_, *pairs) in enumerate(rows):
        for pair in pairs:
            feature, _, value = pair.partition(":")
            features[row, int(feature)] = float(value)
    return RankingDataset(
        features=features, labels=np.array([row[0] for row in rows], np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]), query_ids=[f"{name}{i}" for i in range(len(sizes))],
    )  # fmt: skip


def search() -> Iterator[Split]:
    """The shop's collection, of seeds that nothing was chosen on."""
    yield search_collection(400, seed=1), search_collection(1000, seed=2)


SETS: dict[str, Callable[[], Iterator[Split]]] = {
    "mq2008": mq2008, "mslr": mslr, "lgbex": lightgbm_example, "search": search, "synthetic": synthetic,
    "msrd": msrd,
}  # fmt: skip


def held_out(pool: RankingDataset, seed: int) -> tuple[RankingDataset, RankingDataset]:
    """A quarter of the queries, drawn by the seed, stop the training on the others."""
    order = np.random.default_rng(seed).permutation(pool.query_count)
    cut = max(1, pool.query_count // 4)
    return pool.queries(np.sort(order[cut:])), pool.queries(np.sort(order[:cut]))


def scores_of(
    system: str, train: RankingDataset, valid: RankingDataset, test: RankingDataset, seed: int, threads: int
) -> tuple[Any, int]:
    """(scores of the test documents, trees kept)."""
    backend, _, objective = system.partition(" ")
    if backend == "catboost":
        return catboost_scores(objective, train, valid, test, seed, threads)
    missing = "nan" if np.isnan(train.features).any() else "zero"
    config = TrainConfig(seed=seed, threads=threads, missing=missing, **VARIANTS.get(system, {}))
    if system not in (DEFAULT, *VARIANTS):
        config = TrainConfig(
            backend=backend, preset="plain", objective=objective, booster=EQUAL[backend], rounds=ROUNDS,
            early_stopping=PATIENCE, seed=seed, threads=threads, missing=missing,
        )  # fmt: skip
    ranker = fit(config, train, valid)
    return score_dataset(ranker, test), ranker.rounds


def catboost_scores(
    loss: str, train: RankingDataset, valid: RankingDataset, test: RankingDataset, seed: int, threads: int
) -> tuple[Any, int]:
    import catboost

    def pool(data: RankingDataset) -> Any:
        return catboost.Pool(
            data.features, data.labels, group_id=np.repeat(np.arange(data.query_count), data.sizes)
        )

    model = catboost.CatBoost(
        {
            "loss_function": loss,
            "iterations": ROUNDS,
            "learning_rate": RATE,
            "depth": 6,
            "eval_metric": "NDCG:top=10;type=Exp",
            "od_type": "Iter",
            "od_wait": PATIENCE,
            "random_seed": seed,
            "thread_count": threads,
            "verbose": False,
            "allow_writing_files": False,
            "use_best_model": False,
        }
    )
    model.fit(pool(train), eval_set=pool(valid))
    curve = model.get_evals_result()["validation"]["NDCG:top=10;type=Exp"]
    kept = int(np.argmax(smoothed(curve, TrainConfig().smoothing))) + 1
    return model.predict(pool(test), ntree_end=kept, thread_count=threads), kept


def read_store(file: Path) -> dict[tuple[str, str, int, int], dict[str, Any]]:
    """What was run, by (collection, system, split, seed); the last line wins."""
    if not file.exists():
        return {}
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return {(r["set"], r["system"], r["split"], r["seed"]): r for r in records}


def run(names: Sequence[str], sets: Sequence[str], seeds: int, threads: int, file: Path) -> None:
    """Every run that the store does not hold yet, each appended as it ends."""
    done = read_store(file)
    few = mslr_shaped(40, 3, 20)
    for system in names:  # what is compiled and opened is no part of any time
        scores_of(system, *held_out(few, 1), few, 1, threads)
    for name in sets:
        for split, (pool, test) in enumerate(SETS[name]()):
            for seed in range(1, seeds + 1):
                train, valid = held_out(pool, seed)
                for system in names:
                    if (name, system, split, seed) in done:
                        continue
                    started, worked = time.perf_counter(), time.process_time()
                    scores, rounds = scores_of(system, train, valid, test, seed, threads)
                    record = {
                        "set": name, "system": system, "split": split, "seed": seed, "rounds": rounds,
                        "seconds": round(time.perf_counter() - started, 2),
                        "cpu": round(time.process_time() - worked, 2),
                        "values": [round(float(v), 6) for v in NDCG.per_query(scores, test)],
                    }  # fmt: skip
                    file.parent.mkdir(parents=True, exist_ok=True)
                    with file.open("a") as out:
                        out.write(json.dumps(record) + "\n")


def per_query(store: Mapping[Any, Any], name: str, system: str, seeds: int) -> Any:
    """NDCG@10 of each tested query, mean over the seeds, or None where a run is missing."""
    splits = sorted({key[2] for key in store if key[0] == name})
    parts = []
    for split in splits:
        runs = [store.get((name, system, split, seed)) for seed in range(1, seeds + 1)]
        if any(one is None for one in runs):
            return None
        parts.append(np.mean([one["values"] for one in runs if one], axis=0))
    return np.concatenate(parts) if parts else None


def print_tables(names: Sequence[str], sets: Sequence[str], seeds: int, file: Path) -> None:
    store = read_store(file)
    for name in sets:
        values = {system: per_query(store, name, system, seeds) for system in names}
        values = {system: v for system, v in values.items() if v is not None}
        peers = {system: v for system, v in values.items() if system in PEERS}
        if not peers:
            continue
        best = max(peers, key=lambda system: float(peers[system].mean()))
        queries = len(peers[best])
        print(f"\n{name}: {queries} tested queries, {seeds} seeds; the best of the peers is {best}\n")
        print("| | NDCG@10 | minus the best peer [95 %] | p | trees | seconds |\n|---|---|---|---|---|---|")
        for system in sorted(values, key=lambda one: -values[one].mean()):
            runs = [r for key, r in store.items() if key[:2] == (name, system)]
            rounds, seconds = (np.median([r[field] for r in runs]) for field in ("rounds", "seconds"))
            gap = values[system] - peers[best]
            low, high = bootstrap_interval(gap)
            p = paired_randomisation(values[system], peers[best])
            difference = "" if system == best else f"{gap.mean():+.4f} [{low:+.4f}, {high:+.4f}] | {p:.2f}"
            shown = f"**{system}**" if system == DEFAULT else system
            print(
                f"| {shown} | {values[system].mean():.4f} | {difference or ' | '} "
                f"| {rounds:.0f} | {seconds:.1f} |"
            )


def print_claims(ours: Sequence[str], sets: Sequence[str], seeds: int, file: Path) -> None:
    """Each of ours minus each of the others, set by set and in the mean of the sets, with standard errors.

    Differences are paired by query, a query's value the mean over seeds. z is the mean of the sets over its
    standard error; a set is marked where ours is better (+) or worse (−) at 5 %, Holm's over a whole table.
    Time is the processor's: the geometric mean over sets of the ratios of what all runs took.
    """
    store = read_store(file)
    for system in ours:
        table = {
            (other, name): found
            for other in (*OURS, *PEERS)
            for name in sets
            if other != system and (found := _difference(store, name, system, other, seeds)) is not None
        }
        levels = holm({key: one.p for key, one in table.items()})
        print(f"\n| {system} minus | {' | '.join(sets)} | mean of sets | z | time |")
        print("|---" * (len(sets) + 4) + "|")
        for other in dict.fromkeys(key[0] for key in table):
            each = {name: table[other, name] for name in sets if (other, name) in table}
            if len(each) < len(sets):
                continue
            cells = [_cell(one, levels[other, name]) for name, one in each.items()]
            mean = np.mean([one.mean for one in each.values()])
            error = np.sqrt(np.sum([one.error**2 for one in each.values()])) / len(each)
            time = np.exp(np.mean([np.log(one.time) for one in each.values()]))
            print(f"| {other} | {' | '.join(cells)} ", end="")
            print(f"| {mean:+.4f} ± {error:.4f} | {mean / error:.1f} | {time:.2f} |")


def _cell(one: _Difference, level: float) -> str:
    mark = "" if level >= 0.05 else " +" if one.mean > 0 else " −"
    return f"{one.mean:+.4f} ± {one.error:.4f}{mark}"


class _Difference(NamedTuple):
    """Of two systems on one collection, paired by query; `time` is ours by theirs."""

    mean: float
    error: float
    p: float
    time: float


def _difference(store: Mapping[Any, Any], name: str, ours: str, other: str, seeds: int) -> _Difference | None:
    """None where a run is missing."""
    values = [per_query(store, name, system, seeds) for system in (ours, other)]
    if any(one is None for one in values):
        return None
    gap = values[0] - values[1]
    spent = [
        sum(r["cpu"] for key, r in store.items() if key[:2] == (name, system) and key[3] <= seeds)
        for system in (ours, other)
    ]
    return _Difference(
        float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap))), paired_randomisation(*values),
        spent[0] / spent[1],
    )  # fmt: skip


def _versions(*names: str) -> Iterator[str]:
    for name in names:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"no {name}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument(
        "--systems", default="*", help="patterns with commas between, such as 'rankwright*,catboost *'"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--store", type=Path, default=Path(os.environ.get("QUALITY_STORE", "runs/quality.jsonl"))
    )
    parser.add_argument("--tables", action="store_true", help="print what the store holds, run nothing")
    options = parser.parse_args()
    sets = options.sets.split(",")
    patterns = options.systems.split(",")
    names = [name for name in systems() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not options.tables:
        run(names, sets, options.seeds, options.threads, options.store)
    print(
        f"at most {ROUNDS} trees, rate {RATE}, early stopping {PATIENCE}, {LEAVES} leaves; "
        + ", ".join(_versions("lightgbm", "xgboost-cpu", "catboost"))
        + f", Python {platform.python_version()}"
    )
    print_tables(names, sets, options.seeds, options.store)
    print_claims([name for name in OURS if name in names], sets, options.seeds, options.store)


if __name__ == "__main__":
    main()
