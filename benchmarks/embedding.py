"""Losses on vectors beside pytorch-metric-learning (PML), sentence-transformers (ST) and open_clip.

    python -m benchmarks.embedding [--repeats 7] [--threads 1] [--parts values,time,memory,mining]

values  of 48 float64 vectors, 16 wide, of 8 labels: the value and the gradient of each, ours and theirs.
        Where the definition is the same they are to agree in 1e-6; where not, the difference is said
time    forward and backward of 4,096 float32 vectors, 128 wide, of 1,024 labels: ours and theirs take turns
        in one process, the ratio (theirs / ours) is of neighbours in time, the median with the least and the
        most. Losses that build every triplet there have 256 vectors of 64 labels
memory  the most that lives at once of the same, by torch.profiler's allocation events
mining  the same memory of finding the triplets of 1,024 vectors of 64 labels, beside PML's miners, which
        build the indices of every triplet first
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.embedding_peers import Side, Twin, twins
from benchmarks.losses import peak, spread
from ranking.losses import mine_triplets
from ranking.losses.embedding.distances import directions, squared_distances

BATCH, WIDTH = 4096, 128
SMALL = 256
SAME = 1e-6


def data(size: int, width: int, per_label: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size // per_label).repeat_interleave(per_label)
    return torch.randn(size, width, generator=generator, dtype=dtype), labels


def made(twin: Twin, width: int, classes: int, dtype: torch.dtype = torch.float32) -> tuple[Side, Side]:
    torch.manual_seed(0)
    sides = twin.make(width, classes)
    for side in sides:
        if isinstance(side, nn.Module):
            side.to(dtype)
    return sides


def step(side: Side, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(value, gradient by the embeddings)."""
    point = embeddings.detach().clone().requires_grad_()
    value = side(point, labels)
    value.backward()
    assert point.grad is not None
    return value.detach(), point.grad


def values_part() -> None:
    print("\n48 × 16, float64: values, and the relative difference of values and of gradients\n")
    print(
        "| loss | beside | ours | theirs | value | gradient | what differs |\n|---|---|---|---|---|---|---|"
    )
    embeddings, labels = data(48, 16, 6, torch.float64)
    failed = []
    for twin in twins():
        (value, gradient), (other, moved) = (
            step(side, embeddings, labels) for side in made(twin, 16, 8, torch.float64)
        )
        off = float((value - other).abs() / other.abs())
        bent = float((gradient - moved).abs().max() / moved.abs().max())
        if not twin.differs and not max(off, bent) < SAME:
            failed.append(twin.name)
        told = f"{off:.0e} | {bent:.0e} | {twin.differs or 'nothing'}"
        print(f"| {twin.name} | {twin.peer} | {float(value):.6f} | {float(other):.6f} | {told} |")
    print(f"\nnot the same: {', '.join(failed)}" if failed else "\nthe same wherever the definition is")


def cases() -> list[tuple[Twin, int, int]]:
    """(twin, batch, items of a label) where the definition is the same."""
    return [(twin, *((SMALL, 4) if twin.cubic else (BATCH, 4))) for twin in twins() if not twin.differs]


def time_part(repeats: int) -> None:
    print("\nForward and backward, milliseconds, and theirs / ours\n")
    print("| loss | beside | batch | ours | theirs | theirs / ours |\n|---|---|---|---|---|---|")
    for twin, size, per_label in cases():
        embeddings, labels = data(size, WIDTH, per_label)
        sides = made(twin, WIDTH, size // per_label)
        seconds: list[list[float]] = [[], []]
        for repeat in range(repeats + 1):
            for side, spent in zip(sides, seconds, strict=True):
                started = time.perf_counter()
                step(side, embeddings, labels)
                if repeat:
                    spent.append(time.perf_counter() - started)
        ours, theirs = (1e3 * statistics.median(spent) for spent in seconds)
        ratio = spread([b / a for a, b in zip(*seconds, strict=True)])
        print(f"| {twin.name} | {twin.peer} | {size:,} | {ours:.1f} | {theirs:.1f} | {ratio} |", flush=True)


def memory_part() -> None:
    print("\nForward and backward, MiB at most\n")
    print("| loss | beside | batch | ours | theirs | theirs / ours |\n|---|---|---|---|---|---|")
    for twin, size, per_label in cases():
        embeddings, labels = data(size, WIDTH, per_label)
        ours, theirs = (
            peak(lambda side=side: step(side, embeddings, labels)) / 2**20  # type: ignore[misc] # noqa: B023
            for side in made(twin, WIDTH, size // per_label)
        )
        told = f"{ours:.1f} | {theirs:.1f} | {theirs / ours:.2f}"
        print(f"| {twin.name} | {twin.peer} | {size:,} | {told} |", flush=True)


def mining_part() -> None:
    if find_spec("pytorch_metric_learning") is None:
        return
    from pytorch_metric_learning import distances, miners

    embeddings, labels = data(1024, WIDTH, 16)
    unit = directions(embeddings)
    found = squared_distances(unit, unit)
    square: Any = distances.LpDistance(power=2)
    theirs: dict[str, Any] = {
        "semi_hard": miners.TripletMarginMiner(0.2, "semihard", distance=square),
        "hard": miners.TripletMarginMiner(0.2, "hard", distance=square),
        "batch_hard": miners.BatchHardMiner(distance=square),
    }
    print("\n1,024 vectors of 64 labels, MiB at most while triplets are found; ours from given distances\n")
    print("| way | triplets | of them MiB | ours | PML | PML / ours |\n|---|---|---|---|---|---|")
    for how in ("all", "random", "hard", "semi_hard", "semi_hard_nearest", "batch_hard"):
        count = len(mine_triplets(found, labels, how, 0.2).anchors)
        mine = peak(lambda how=how: mine_triplets(found, labels, how, 0.2)) / 2**20  # type: ignore[misc]
        told = f"| {how} | {count:,} | {24 * count / 2**20:.1f} | {mine:.1f} |"
        if how in theirs:
            other = peak(lambda how=how: theirs[how](embeddings, labels)) / 2**20  # type: ignore[misc]
            told += f" {other:.1f} | {other / mine:.1f} |"
        else:
            told += " – | – |"
        print(told, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", default="values,time,memory,mining")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # of the peers' own deprecations
    print(f"torch {torch.__version__}, {options.threads} threads")
    parts: dict[str, Callable[[], None]] = {
        "values": values_part,
        "time": lambda: time_part(options.repeats),
        "memory": memory_part,
        "mining": mining_part,
    }
    for part in options.parts.split(","):
        parts[part]()


if __name__ == "__main__":
    main()
