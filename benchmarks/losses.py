"""How fast pairwise torch losses are: forward and backward, and the memory of both.

    python -m benchmarks.losses [--repeats 15] [--threads 1] [--parts time,memory,growth]

64 lists of 200 documents, labels 0 … 4, float32. The sides take turns in one process; a ratio is of
neighbours in time, the median over the repeats with the least and the greatest. Beside the fast form
stands the readable definition (`readable=True`), and allRank's functions of the same names where it can
be imported (its two files alone; what the rest of it asks for need not be there), and the LambdaLoss of
sentence-transformers, whose model is a stand-in that gives the scores. Ties are "file" ones,
as allRank has them, and scores do not tie; in the sides with tied scores they are "average" ones, and most
do. allRank's truncation means pairs with both documents inside; its logarithms are binary; its `rankNet` is
a mean over pairs, and its weights are differentiated, where ours are held. Ours have no normalisations here.

memory   the largest sum of live allocations of a forward and a backward, above what was there before, by
         torch.profiler's allocation events (`profile_memory`)
growth   that of lambdarank at truncation 10 by the length of the list
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.allrank_parts import installed, part_of_allrank
from ranking.losses import loss_of
from ranking.objectives import objective_named

LISTS, DOCUMENTS = 64, 200
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ranknet": ("ranknet", {}),
    "lambdarank": ("lambdarank", {"truncation": None}),
    "lambdarank, truncation 10": ("lambdarank", {"truncation": 10}),
    "ndcg_loss2pp": ("ndcg_loss2pp", {"truncation": None}),
}
PLAIN = {"score_normalization": False, "lambda_normalization": False}
"""allRank has neither."""

Side = Callable[[Tensor, Tensor], Tensor]


def theirs() -> dict[str, dict[str, Side]]:
    """Each peer's functions by the name of the case."""
    peers = {"allRank": of_allrank(), "sentence-transformers": of_sentence_transformers()}
    return {peer: cases for peer, cases in peers.items() if cases}


class Scorer:
    """What sentence-transformers asks of a model: tokens of the pairs, and the scores as their logits."""

    num_labels, device = 1, torch.device("cpu")
    scores: Tensor

    def preprocess(self, pairs: Sequence[Any], **_: Any) -> dict[str, Any]:
        return {"count": len(pairs)}

    def __call__(self, tokens: dict[str, Any]) -> dict[str, Tensor]:
        return {"scores": self.scores.flatten()[: tokens["count"]]}


def of_sentence_transformers() -> dict[str, Side]:
    """Its LambdaLoss; empty, with a word why, where it is not there."""
    try:
        from sentence_transformers.cross_encoder.losses import (
            LambdaLoss,
            LambdaRankScheme,
            NDCGLoss2PPScheme,
        )
    except ImportError:
        print("skipped: sentence-transformers, which is not installed")
        return {}

    def side(scheme: Any, k: int | None = None) -> Side:
        model = Scorer()
        loss = LambdaLoss(model, weighting_scheme=scheme, k=k, reduction_log="natural", mini_batch_size=-1)

        def call(scores: Tensor, labels: Tensor) -> Tensor:
            model.scores = scores
            texts = [[""] * scores.shape[1]] * len(scores)
            value: Tensor = loss([[""] * len(scores), texts], list(labels))
            return value

        return call

    return {
        "lambdarank": side(LambdaRankScheme()),
        "lambdarank, truncation 10": side(LambdaRankScheme(), k=10),
        "ndcg_loss2pp": side(NDCGLoss2PPScheme()),
    }


def of_allrank() -> dict[str, Side]:
    """allRank's functions by the name of the case; empty, with a word why, where it is not there."""
    if not installed():
        print("skipped: allRank, which is not installed")
        return {}
    lambdaLoss = part_of_allrank("models.losses.lambdaLoss").lambdaLoss  # noqa: N806
    rankNet = part_of_allrank("models.losses.rankNet").rankNet  # noqa: N806
    swap = "lambdaRank_scheme"
    return {
        "ranknet": rankNet,
        "lambdarank": lambda s, y: lambdaLoss(s, y, weighing_scheme=swap),
        "lambdarank, truncation 10": lambda s, y: lambdaLoss(s, y, weighing_scheme=swap, k=10),
        "ndcg_loss2pp": lambda s, y: lambdaLoss(s, y, weighing_scheme="ndcgLoss2PP_scheme"),
    }


def sides_of(case: str, others: dict[str, dict[str, Side]]) -> dict[str, tuple[Side, bool]]:
    """(loss, are its scores tied?) of each side."""
    name, parameters = CASES[case]

    def ours(ties: str, **more: bool) -> Side:
        loss: Any = loss_of(objective_named(name, {**PLAIN, **parameters, "ties": ties}))
        return lambda scores, labels: loss(scores, labels, **more)

    sides = {
        "fast": (ours("file"), False),
        "fast, tied scores": (ours("average"), True),
        "readable": (ours("file", readable=True), False),
        "readable, tied scores": (ours("average", readable=True), True),
    }
    return sides | {peer: (cases[case], False) for peer, cases in others.items() if case in cases}


def data(lists: int, documents: int, tied: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(lists, documents, generator=generator)
    labels = torch.randint(0, 5, (lists, documents), generator=generator).float()
    return (scores * 8).round() / 8 if tied else scores, labels


def step(side: Side, scores: Tensor, labels: Tensor) -> None:
    side(scores.detach().requires_grad_(), labels).backward()


def peak(work: Callable[[], Any]) -> int:
    """Bytes: the most that lives at once of what `work` allocates, by the profiler's allocation events."""
    work()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        work()
    live = most = 0
    results: Any = found.profiler
    for event in sorted(results.kineto_results.events(), key=lambda one: one.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            most = max(most, live)
    return most


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def time_part(repeats: int, others: dict[str, dict[str, Side]]) -> None:
    print(f"\n{LISTS} lists of {DOCUMENTS}: milliseconds, and how many times the fast form's of one turn\n")
    print("| loss | side | ms | / fast | / fast, tied scores |\n|---|---|---|---|---|")
    for case in CASES:
        sides = sides_of(case, others)
        given = {name: data(LISTS, DOCUMENTS, tied) for name, (_, tied) in sides.items()}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(repeats + 1):
            for name, (side, _) in sides.items():
                started = time.perf_counter()
                step(side, *given[name])
                if repeat:
                    seconds[name].append(time.perf_counter() - started)
        for name, spent in seconds.items():
            ratios = [
                spread([a / b for a, b in zip(spent, seconds[base], strict=True)])
                for base in ("fast", "fast, tied scores")
            ]
            print(f"| {case} | {name} | {1e3 * statistics.median(spent):.1f} | {' | '.join(ratios)} |")


def memory_part(others: dict[str, dict[str, Side]]) -> None:
    print(f"\n{LISTS} lists of {DOCUMENTS}: MiB at most\n")
    print("| loss | side | MiB |\n|---|---|---|")
    for case in CASES:
        for name, (side, tied) in sides_of(case, others).items():
            given = data(LISTS, DOCUMENTS, tied)
            print(f"| {case} | {name} | {peak(lambda: step(side, *given)) / 2**20:.1f} |")  # noqa: B023


def growth_part(others: dict[str, dict[str, Side]]) -> None:
    print("\nlambdarank, truncation 10, 8 lists: MiB at most by documents of a list\n")
    lengths = (250, 500, 1000, 2000)
    print(f"| side | {' | '.join(map(str, lengths))} |\n|---|{'---|' * len(lengths)}")
    for name, (side, tied) in sides_of("lambdarank, truncation 10", others).items():
        row = []
        for length in lengths:
            given = data(8, length, tied)
            row.append(f"{peak(lambda: step(side, *given)) / 2**20:.1f}")  # noqa: B023
        print(f"| {name} | {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", default="time,memory,growth")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    others = theirs()
    print(f"torch {torch.__version__}, {options.threads} threads")
    parts = options.parts.split(",")
    if "time" in parts:
        time_part(options.repeats, others)
    if "memory" in parts:
        memory_part(others)
    if "growth" in parts:
        growth_part(others)


if __name__ == "__main__":
    main()
