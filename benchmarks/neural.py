"""How good networks rank beside trees: objectives, inputs, teachers, and trees and networks together.

    python -m benchmarks.neural [--sets msrd,mq2008,search,synthetic,synthetic2] [--seeds 2]
                                [--systems PATTERNS] [--store runs/neural.jsonl] [--threads 1] [--tables]

The same queries train, the same ones stop the training by NDCG@10, others are tested: MSRD's S1 and S2, S3,
S4; MQ2008's five folds as LETOR has them; generated lists of fixed seeds. `taught` networks learn from the
scores of `rankwright train` of the same seed beside the labels, as `rankwright train --backend neural` does;
which of them is kept is chosen on the held-out lists alone (`network`). allRank's is its own fully connected
model of the same widths on standardised features with its ListNet, Adam and patience. Ensembles are of equal
weights, each member divided by its spread. The distilled forest learns the ensemble's scores in half of the
trees of `rankwright train`.

NDCG@10 with gain 2^y - 1; a query without a relevant document counts 0. A query's value is its mean over
seeds; differences are paired by query, with standard errors over queries. Time is the processor's, a
network's without its teacher. The store keeps what was run. Reads RANKWRIGHT_DATA; CatBoost is in the extra
`bench`, allRank is installed with `pip install --no-deps allrank`.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.allrank_parts import installed, part_of_allrank
from benchmarks.mq2008 import data_folder
from benchmarks.quality import EQUAL, NDCG, PATIENCE, ROUNDS, catboost_scores
from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor
from ranking.data.synthetic import mslr_shaped, search_collection
from ranking.models.ensemble import Standardised
from ranking.models.ranker import score_dataset, spread_within_lists
from ranking.training.config import TrainConfig
from ranking.training.run import fit, taught_by
from ranking.training.single import train_single

Split = tuple[RankingDataset, RankingDataset, RankingDataset]
"""(trained on, stops the training, tested)"""

TREE, SECOND, LIGHTGBM, CATBOOST = (
    "rankwright train",
    "second tree",
    "lightgbm lambdarank",
    "catboost YetiRank",
)
BEST = "rankwright train --preset best"
NETWORK, RECIPE, ALLRANK = "network", "encoded, taught", "allrank MLP"
TWO, BOTH, STUDENT = "tree + tree", "tree + network", "half the trees, from tree + network"
LOSSES = (
    "ranknet",
    "lambdarank",
    "ndcg_loss2pp",
    "approx_ndcg",
    "list_mle",
    "xendcg",
    "calibrated",
    "logistic",
)


class Net(NamedTuple):
    """A network as it is tried."""

    objective: str = "softmax"
    taught: bool = True
    table: Mapping[str, Any] = {}


NETWORKS: dict[str, Net] = {
    RECIPE: Net(table={"inputs": "encoded"}),
    "quantile, taught": Net(table={"inputs": "quantile"}),
    "encoded, labels alone": Net(taught=False, table={"inputs": "encoded"}),
    "quantile, labels alone": Net(taught=False, table={"inputs": "quantile"}),
    "standard, labels alone": Net(taught=False, table={"inputs": "standard"}),
    "log, labels alone": Net(taught=False, table={"inputs": "log"}),
    **{f"{RECIPE}, {loss}": Net(loss, table={"inputs": "encoded"}) for loss in LOSSES},
    f"{RECIPE}, attention": Net(table={"inputs": "encoded", "architecture": "attention"}),
    "quantile, taught, dcn": Net(table={"inputs": "quantile", "architecture": "dcn"}),
}
CHOSEN_FROM = (RECIPE, "quantile, taught")


def mq2008() -> Iterator[Split]:
    """LETOR 4.0's five folds."""
    parts = [read_letor(data_folder() / "mq2008" / f"S{i}.txt.gz") for i in range(1, 6)]
    for first in range(5):
        turned = [parts[(first + i) % 5] for i in range(5)]
        yield RankingDataset.concatenate(turned[:3]), turned[3], turned[4]


def msrd() -> Iterator[Split]:
    parts = [read_letor(data_folder() / "msrd-letor" / f"S{i}.txt.gz") for i in range(1, 5)]
    yield RankingDataset.concatenate(parts[:2]), parts[2], parts[3]


def search() -> Iterator[Split]:
    yield search_collection(600, seed=61), search_collection(200, seed=62), search_collection(800, seed=63)


def synthetic() -> Iterator[Split]:
    yield mslr_shaped(400, 1), mslr_shaped(200, 3), mslr_shaped(400, 2)


def synthetic2() -> Iterator[Split]:
    yield mslr_shaped(300, 41), mslr_shaped(150, 42), mslr_shaped(400, 43)


SETS: dict[str, Callable[[], Iterator[Split]]] = {
    "msrd": msrd, "mq2008": mq2008, "search": search, "synthetic": synthetic, "synthetic2": synthetic2,
}  # fmt: skip


def run(sets: Sequence[str], patterns: Sequence[str], seeds: int, threads: int, file: Path) -> None:
    """Every run that the store does not hold yet, each appended as it ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    few = mslr_shaped(40, 3, 20)
    for backend in ("lightgbm", "neural"):  # what is compiled and opened is no part of any time
        score_dataset(fit(TrainConfig(backend=backend, rounds=2, threads=threads), few, few), few)
    for name in sets:
        for number, split in enumerate(SETS[name]()):
            for seed in range(1, seeds + 1):
                done = {
                    r["system"]
                    for r in read(file)
                    if (r["set"], r["split"], r["seed"]) == (name, number, seed)
                }
                for told in _Runs(split, seed, threads, done, patterns).all():
                    with file.open("a") as out:
                        out.write(json.dumps({"set": name, "split": number, "seed": seed, **told}) + "\n")
                print(f"{name}, split {number}, seed {seed}: done", flush=True)


class _Runs:
    """All systems on the same lists with the same seed."""

    def __init__(
        self, split: Split, seed: int, threads: int, done: set[str], patterns: Sequence[str]
    ) -> None:
        self.train, self.valid, self.test = split
        self.seed, self.threads, self.done, self.patterns = seed, threads, done, patterns

    def all(self) -> Iterator[dict[str, Any]]:
        wanted = [TREE, SECOND, LIGHTGBM, BEST, CATBOOST, ALLRANK, *NETWORKS, NETWORK, TWO, BOTH, STUDENT]
        wanted = [
            s for s in wanted if s not in self.done and any(fnmatch.fnmatch(s, p) for p in self.patterns)
        ]
        if not wanted:
            return
        torch.set_num_threads(self.threads)
        tree, told = self._timed(lambda: fit(self._config(), self.train, self.valid))
        rankers: dict[str, Any] = {TREE: tree}
        if TREE in wanted:
            yield self._told(TREE, self._scores(tree), told, trees=tree.rounds)
        scores = score_dataset(tree, self.train)
        lesson = np.asarray(scores / spread_within_lists(scores, self.train.sizes), np.float32)
        for system in (SECOND, LIGHTGBM, BEST):
            if system in wanted or (system == SECOND and TWO in wanted):
                config = self._trees(system)
                rankers[system], told = self._timed(partial(fit, config, self.train, self.valid))
                if system in wanted:
                    yield self._told(system, self._scores(rankers[system]), told)
        for system, scored in ((CATBOOST, self._catboost), (ALLRANK, self._allrank)):
            if system in wanted and (installed() if system == ALLRANK else find_spec("catboost") is not None):
                found, told = self._timed(scored)
                yield self._told(system, found, told)
        chosen: dict[str, tuple[float, float]] = {}
        for system, net in NETWORKS.items():
            composed = system in CHOSEN_FROM and not {NETWORK, BOTH, STUDENT}.isdisjoint(wanted)
            if system in wanted or composed:
                one, told = self._timed(partial(self._network, net, lesson))
                rankers[system] = one.ranker
                chosen[system] = (one.best_value or 0.0, told)
                if system in wanted:
                    yield self._told(system, self._scores(one.ranker), told, epochs=one.ranker.rounds)
        yield from self._together(rankers, chosen, wanted)

    def _together(
        self, rankers: dict[str, Any], chosen: Mapping[str, tuple[float, float]], wanted: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """The network that is kept, and ensembles."""
        if set(CHOSEN_FROM) <= chosen.keys():
            kept = max(CHOSEN_FROM[::-1], key=lambda system: chosen[system][0])
            rankers[NETWORK] = rankers[kept]
            if NETWORK in wanted:
                both = sum(chosen[system][1] for system in CHOSEN_FROM)
                yield self._told(NETWORK, self._scores(rankers[kept]), both, kept=kept)
        for system, members in ((TWO, (TREE, SECOND)), (BOTH, (TREE, NETWORK))):
            if (system in wanted or (system == BOTH and STUDENT in wanted)) and rankers.keys() >= set(
                members
            ):
                parts = Standardised.of([rankers[member] for member in members], self.valid)
                rankers[system] = parts.ensemble(np.ones(2))
                if system in wanted:
                    yield self._told(system, self._scores(rankers[system]), 0.0)
        if STUDENT in wanted:
            half = max(rankers[TREE].rounds // 2, 1)
            config = self._config(objective="margin_mse", rounds=half, booster={"learning_rate": 0.1})
            taught = taught_by(rankers[BOTH], self.train, config)
            student, told = self._timed(lambda: fit(config, taught, self.valid))
            yield self._told(STUDENT, self._scores(student), told, trees=student.rounds)

    def _config(self, **changes: Any) -> TrainConfig:
        missing = "nan" if np.isnan(self.train.features).any() else "zero"
        return TrainConfig(**{"seed": self.seed, "threads": self.threads, "missing": missing, **changes})

    def _trees(self, system: str) -> TrainConfig:
        if system == SECOND:
            return self._config(seed=self.seed + 100)
        if system == BEST:
            return self._config(preset="best")
        return self._config(
            preset="plain", objective="builtin:lambdarank", booster=EQUAL["lightgbm"], rounds=ROUNDS,
            early_stopping=PATIENCE,
        )  # fmt: skip

    def _network(self, net: Net, lesson: Any) -> Any:
        table = {**net.table, "teacher": "lightgbm" if net.taught else None}
        config = self._config(backend="neural", objective=net.objective, neural=table)
        return train_single(config, self.train, self.valid, teacher=lesson if net.taught else None)

    def _catboost(self) -> Any:
        return catboost_scores("YetiRank", self.train, self.valid, self.test, self.seed, self.threads)[0]

    def _allrank(self) -> Any:
        return allrank_scores(self.train, self.valid, self.test, self.seed)

    def _timed(self, what: Callable[[], Any]) -> tuple[Any, float]:
        started = time.process_time()
        return what(), time.process_time() - started

    def _scores(self, ranker: Any) -> dict[str, Any]:
        return {
            "values": NDCG.per_query(score_dataset(ranker, self.test), self.test),
            "valid": NDCG.mean(score_dataset(ranker, self.valid), self.valid),
        }

    def _told(self, system: str, scores: Any, cpu: float, **more: Any) -> dict[str, Any]:
        if not isinstance(scores, dict):
            scores = {"values": NDCG.per_query(scores, self.test)}
        values = np.round(scores.pop("values"), 6).tolist()
        return {"system": system, "cpu": round(cpu, 2), **more, **scores, "values": values}


def allrank_scores(train: RankingDataset, valid: RankingDataset, test: RankingDataset, seed: int) -> Any:
    """Of the test documents, by allRank's fully connected model: the best of 40 epochs on held-out lists."""
    listNet = part_of_allrank("models.losses.listNet").listNet  # noqa: N806
    FCModel = part_of_allrank("models.model").FCModel  # noqa: N806
    torch.manual_seed(seed)
    mean, deviation = np.nanmean(train.features, 0), np.nanstd(train.features, 0)
    deviation[deviation == 0] = 1

    def scaled(data: RankingDataset) -> torch.Tensor:
        """It knows no missing values: each is its feature's mean."""
        return torch.from_numpy(np.nan_to_num((data.features - mean) / deviation).astype(np.float32))

    body = FCModel(
        [128, 64], input_norm=False, activation="ReLU", dropout=0.1, n_features=train.feature_count
    )
    network = torch.nn.Sequential(body, torch.nn.Linear(64, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    rows, labels, evaluate = scaled(train), torch.from_numpy(train.labels), NDCG.evaluator(valid)
    held, tested = scaled(valid), scaled(test)
    best, found, stale = -1.0, None, 0
    for _ in range(40):
        network.train()
        for part in torch.randperm(train.query_count).split(32):
            spans = [(int(train.offsets[q]), int(train.offsets[q + 1])) for q in part]
            size = max(b - a for a, b in spans)
            padded = torch.zeros(len(spans), size, rows.shape[1])
            targets = torch.full((len(spans), size), -1.0)  # allRank's mark of padding
            for i, (a, b) in enumerate(spans):
                padded[i, : b - a], targets[i, : b - a] = rows[a:b], labels[a:b]
            optimizer.zero_grad()
            listNet(network(padded)[..., 0], targets).backward()
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


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def values_of(records: Sequence[Mapping[str, Any]], name: str, system: str, field: str = "values") -> Any:
    """Of each tested query the mean over the seeds; of another field each split's mean; None without runs."""
    mine = [r for r in records if r["set"] == name and r["system"] == system and field in r]
    splits = sorted({r["split"] for r in mine})
    if not splits:
        return None
    return np.concatenate(
        [np.atleast_1d(np.mean([r[field] for r in mine if r["split"] == s], axis=0)) for s in splits]
    )


def print_tables(records: Sequence[Mapping[str, Any]]) -> None:
    sets = [name for name in SETS if any(r["set"] == name for r in records)]
    systems = list(dict.fromkeys(r["system"] for r in records))
    systems = [s for s in systems if all(values_of(records, name, s) is not None for name in sets)]
    for base in (LIGHTGBM, TREE):
        print(f"\n| minus {base} | {' | '.join(sets)} | mean of sets | held out | CPU / tree's |")
        print("|---" * (len(sets) + 4) + "|")
        rows = [(_row(records, sets, system, base)) for system in systems if system != base]
        for _, text in sorted(rows, reverse=True):
            print(text)
    for better, worse in ((BOTH, TREE), (BOTH, TWO), (STUDENT, TREE), (RECIPE, "quantile, labels alone")):
        if {better, worse} <= set(systems):
            print(f"\n{better} minus {worse}: {_row(records, sets, better, worse)[1]}")


def _row(
    records: Sequence[Mapping[str, Any]], sets: Sequence[str], system: str, base: str
) -> tuple[float, str]:
    gaps = [values_of(records, name, system) - values_of(records, name, base) for name in sets]
    means, errors = [g.mean() for g in gaps], [g.std(ddof=1) / np.sqrt(len(g)) for g in gaps]
    cells = [f"{m:+.4f} ± {e:.4f}" for m, e in zip(means, errors, strict=True)]
    mean, error = float(np.mean(means)), float(np.sqrt(np.sum(np.square(errors))) / len(sets))
    held = [values_of(records, name, system, "valid") for name in sets]
    shown = "" if any(h is None for h in held) else f"{np.mean([h.mean() for h in held]):.4f}"
    times = [
        values_of(records, name, system, "cpu").sum() / values_of(records, name, TREE, "cpu").sum()
        for name in sets
    ]
    ratio = f"{np.exp(np.mean(np.log(times))):.2f}" if min(times) > 0 else ""
    return mean, f"| {system} | {' | '.join(cells)} | {mean:+.4f} ± {error:.4f} | {shown} | {ratio} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--systems", default="*", help="patterns with semicolons between")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("runs/neural.jsonl"))
    parser.add_argument("--tables", action="store_true", help="print what the store holds, run nothing")
    options = parser.parse_args()
    if not options.tables:
        patterns = [p.strip() for p in options.systems.split(";")]
        run(options.sets.split(","), patterns, options.seeds, options.threads, options.store)
    print_tables(read(options.store))


if __name__ == "__main__":
    main()
