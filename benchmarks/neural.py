"""How good networks rank beside trees, and all of them together: one table a collection.

    python -m benchmarks.neural [--sets mq2008,msrd,mslr,synthetic] [--seeds 2] [--store runs/neural.jsonl]
                                [--threads 1] [--tables]

The terms of `benchmarks.quality`: the same training queries, the same held-out quarter that stops the
training by NDCG@10, a seed draws which. `rankwright train` and LightGBM's own `lambdarank` are what networks
are held against; a plain MLP (standardised features, layers, Adam, softmax cross-entropy: what one writes in
an afternoon) stands for the usual. `dcn from trees` learns the scores of `rankwright train` (margin_mse),
`trees from dcn` those of the dcn. The ensemble weighs `rankwright train` and four networks by the held-out
quarter.

NDCG@10, a query without a relevant document counts 0, the mean over seeds; differences are paired by query,
with a 95 % bootstrap interval and the paired randomisation test. The store keeps what was run. Reads
RANKWRIGHT_DATA.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.quality import EQUAL, NDCG, PATIENCE, ROUNDS, SETS, held_out
from ranking.data.dataset import RankingDataset
from ranking.losses import LOSSES
from ranking.metrics.comparison import bootstrap_interval, paired_randomisation
from ranking.models.ensemble import fit_ensemble
from ranking.models.ranker import score_dataset
from ranking.training.config import TrainConfig
from ranking.training.run import fit, taught_by

TREES = "rankwright train"
LIGHTGBM = "lightgbm builtin:lambdarank"
PLAIN = "plain MLP"
ENSEMBLE = "ensemble"
TAUGHT = {"dcn from trees": ("neural", TREES), "trees from dcn": ("lightgbm", "dcn lambdarank")}
"""(backend of the student, its teacher)"""
BY_LOSS = (
    "lambdarank", "softmax", "ranknet", "approx_ndcg", "neural_ndcg", "list_mle", "ndcg_loss2pp", "calibrated"
)  # fmt: skip
NETWORKS = {
    **{f"mlp {loss}": {"objective": loss, "neural": {"architecture": "mlp"}} for loss in BY_LOSS},
    "dcn lambdarank": {"objective": "lambdarank", "neural": {"architecture": "dcn"}},
    "attention lambdarank": {"objective": "lambdarank", "neural": {"architecture": "attention"}},
}
MEMBERS = (TREES, "mlp lambdarank", "mlp softmax", "dcn lambdarank", "attention lambdarank")


def config_of(system: str, seed: int, threads: int) -> TrainConfig:
    if system == TREES:
        return TrainConfig(seed=seed, threads=threads)
    if system == LIGHTGBM:
        return TrainConfig(
            preset="plain", objective="builtin:lambdarank", booster=EQUAL["lightgbm"], rounds=ROUNDS,
            early_stopping=PATIENCE, seed=seed, threads=threads,
        )  # fmt: skip
    return TrainConfig(backend="neural", seed=seed, threads=threads, **NETWORKS[system])  # type: ignore[arg-type]


def plain_mlp(train: RankingDataset, valid: RankingDataset, test: RankingDataset, seed: int) -> Any:
    """Scores of the test documents by the usual network, the best of 40 epochs on the held-out lists."""
    torch.manual_seed(seed)
    mean, deviation = train.features.mean(0), train.features.std(0)
    deviation[deviation == 0] = 1

    def scaled(data: RankingDataset) -> torch.Tensor:
        return torch.from_numpy(((data.features - mean) / deviation).astype(np.float32))

    width = train.feature_count
    layers: list[torch.nn.Module] = []
    for a, b in ((width, 256), (256, 128), (128, 64)):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU(), torch.nn.Dropout(0.1)]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(64, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    rows, labels, evaluate = scaled(train), torch.from_numpy(train.labels), NDCG.evaluator(valid)
    held, tested = scaled(valid), scaled(test)
    best, found, stale = -1.0, None, 0
    for _ in range(40):
        network.train()
        for part in torch.randperm(train.query_count).split(32):
            spans = [(int(train.offsets[q]), int(train.offsets[q + 1])) for q in part]
            where = torch.zeros(len(spans), max(b - a for a, b in spans), dtype=torch.bool)
            for i, (a, b) in enumerate(spans):
                where[i, : b - a] = True
            index = torch.cat([torch.arange(a, b) for a, b in spans])
            scores, targets = torch.zeros(where.shape), torch.zeros(where.shape)
            scores[where], targets[where] = network(rows[index])[:, 0], labels[index]
            optimizer.zero_grad()
            LOSSES["softmax"](scores, targets, where, reduction="mean").backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            value = evaluate(network(held)[:, 0].numpy())
            stale += 1
            if value > best:
                best, found, stale = value, network(tested)[:, 0].numpy().copy(), 0
        if stale == 8:
            break
    return found


def run(sets: Sequence[str], seeds: int, threads: int, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    done = {(r["set"], r["split"], r["seed"]) for r in read(file)}
    for name in sets:
        for split, (pool, test) in enumerate(SETS[name]()):
            for seed in range(1, seeds + 1):
                if (name, split, seed) in done:
                    continue
                for record in one(name, split, seed, pool, test, threads):
                    with file.open("a") as out:
                        out.write(json.dumps(record) + "\n")
                print(f"{name}, split {split}, seed {seed}: done", flush=True)


def one(
    name: str, split: int, seed: int, pool: RankingDataset, test: RankingDataset, threads: int
) -> list[dict[str, Any]]:
    """The records of all systems, trained on the same queries."""
    train, valid = held_out(pool, seed)
    kept: dict[str, Any] = {}
    records = []

    def record(system: str, scores: Any, seconds: float) -> None:
        values = NDCG.per_query(scores, test)
        told = {"set": name, "split": split, "seed": seed, "system": system, "seconds": seconds}
        records.append(told | {"values": np.round(values, 6).tolist()})

    for system in (TREES, LIGHTGBM, *NETWORKS):
        started = time.perf_counter()
        ranker = fit(config_of(system, seed, threads), train, valid)
        seconds = time.perf_counter() - started
        record(system, score_dataset(ranker, test), seconds)
        if system in MEMBERS:
            kept[system] = ranker
    for system, (backend, teacher) in TAUGHT.items():
        config = TrainConfig(backend=backend, objective="margin_mse", seed=seed, threads=threads)
        taught = taught_by(kept[teacher], train, config)
        started = time.perf_counter()
        student = fit(config, taught, valid)
        record(system, score_dataset(student, test), time.perf_counter() - started)
    started = time.perf_counter()
    torch.set_num_threads(threads)
    record(PLAIN, plain_mlp(train, valid, test, seed), time.perf_counter() - started)
    started = time.perf_counter()
    ensemble = fit_ensemble(list(kept.values()), valid)
    record(ENSEMBLE, score_dataset(ensemble, test), time.perf_counter() - started)
    records[-1]["weights"] = [round(part.weight, 4) for part in ensemble.parts]
    return records


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def values_of(records: Sequence[Mapping[str, Any]], name: str, system: str) -> Any:
    """NDCG@10 of each tested query, the mean over the seeds."""
    mine = [r for r in records if r["set"] == name and r["system"] == system]
    splits = sorted({r["split"] for r in mine})
    return np.concatenate([np.mean([r["values"] for r in mine if r["split"] == s], axis=0) for s in splits])


def print_tables(records: Sequence[Mapping[str, Any]]) -> None:
    systems = [TREES, LIGHTGBM, *NETWORKS, *TAUGHT, PLAIN, ENSEMBLE]
    sets = [name for name in SETS if any(r["set"] == name for r in records)]
    means = {s: [float(values_of(records, name, s).mean()) for name in sets] for s in systems}
    print("| | " + " | ".join(sets) + " | mean |\n|---|" + "---|" * (len(sets) + 1))
    for system in sorted(systems, key=lambda s: -float(np.mean(means[s]))):
        cells = " | ".join(f"{value:.4f}" for value in means[system])
        print(f"| {system} | {cells} | {np.mean(means[system]):.4f} |")
    for name in sets:
        seeds = len({r["seed"] for r in records if r["set"] == name})
        base, own = values_of(records, name, TREES), values_of(records, name, LIGHTGBM)
        print(f"\n{name}: {len(base)} tested queries, {seeds} seeds\n")
        print(f"| | NDCG@10 | minus {TREES} [95 %] | p | minus {LIGHTGBM} [95 %] | p |")
        print("|---|---|---|---|---|---|")
        for system in sorted(systems, key=lambda s: -float(values_of(records, name, s).mean())):
            values = values_of(records, name, system)
            cells = [difference(values, other) for other in (base, own)]
            print(f"| {system} | {values.mean():.4f} | {' | '.join(cells)} |")


def difference(values: Any, other: Any) -> str:
    gap = values - other
    if not gap.any():
        return " | "
    low, high = bootstrap_interval(gap)
    return f"{gap.mean():+.4f} [{low:+.4f}, {high:+.4f}] | {paired_randomisation(values, other):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("runs/neural.jsonl"))
    parser.add_argument("--tables", action="store_true", help="print what the store holds, run nothing")
    options = parser.parse_args()
    if not options.tables:
        run(options.sets.split(","), options.seeds, options.threads, options.store)
    print_tables(read(options.store))


if __name__ == "__main__":
    main()
