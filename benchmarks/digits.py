"""Learning with losses on vectors: scikit-learn's digits, each loss beside pytorch-metric-learning's twin.

    python -m benchmarks.digits [--seeds 10] [--steps 300] [--parts learn,mining] [--plot FILE.svg]

1,797 images of 8 × 8 pixels come with scikit-learn. A network 64 – 128 – 32 learns from the images of six
digits; what is measured is recall@1 on the four others, which it never saw: the share of images whose nearest
other image, by cosine, is of their digit. The six change with the seed. Batches are of 6 digits × 8 images.

learn   both sides start from the same weights and see the same batches, in float64. Where the definition is
        the same (`benchmarks.embedding_peers`), recall is to agree, and every embedding after training to
        1e-5; where it is not, recall over the seeds is compared by a paired randomisation test, and p is
        Holm's over all such losses
mining  what each way of mining triplets looks like from inside, by `TrainingAudit`: share of active triplets,
        spread and effective rank, at first, midway and at the end, on vectors of unit length and of any. With
        --plot as a drawing too (needs matplotlib)
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from benchmarks.embedding_peers import Side, of_pml
from ranking.losses import TrainingAudit, triplet_in_batch
from ranking.losses.embedding import MINERS, active_share, gradient_norm
from ranking.metrics.comparison import holm, paired_randomisation

WIDTH, DIGITS, IMAGES = 32, 6, 8


class Split:
    """The images of the digits that are learned and of those that are not, by seed."""

    def __init__(self, seed: int) -> None:
        images, digits = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(10)
        self.seed = seed
        self.pixels = torch.from_numpy(images / 16)
        # The learned ones are 0 … 5, as a classifier counts them.
        self.labels = torch.from_numpy(np.argsort(order)[digits])

    def batches(self, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(self.seed)
        rows = [torch.nonzero(self.labels == digit)[:, 0] for digit in range(DIGITS)]
        for _ in range(steps):
            drawn = torch.cat(
                [one[torch.randperm(len(one), generator=generator)[:IMAGES]] for one in rows]
            )  # fmt: skip
            yield self.pixels[drawn], self.labels[drawn]

    def recall(self, network: nn.Module) -> float:
        """Recall@1 on the digits that were not learned."""
        held = self.labels >= DIGITS
        with torch.no_grad():
            unit = nn.functional.normalize(network(self.pixels[held]), dim=-1)
        nearest = (unit @ unit.T).fill_diagonal_(-2).argmax(1)
        labels = self.labels[held]
        return float((labels[nearest] == labels).double().mean())


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, WIDTH)).double()


def trained(split: Split, loss: Side, steps: int, audit: TrainingAudit | None = None) -> nn.Module:
    model = network(split.seed)
    parameters = list(model.parameters())
    if isinstance(loss, nn.Module):
        parameters += list(loss.double().parameters())
    optimizer = torch.optim.Adam(parameters, 1e-3)
    for step, (pixels, labels) in enumerate(split.batches(steps)):
        embeddings = model(pixels)
        value = loss(embeddings, labels)
        optimizer.zero_grad()
        value.backward()
        if audit is not None and step % 10 == 0:
            audit.record(
                step, value, embeddings=embeddings.detach(), active=active_share(embeddings.detach(), labels),
                gradient_norm=gradient_norm(model.parameters()),
            )  # fmt: skip
        optimizer.step()
    return model


def learn_part(seeds: int, steps: int) -> None:
    print(f"\nrecall@1 on digits not learned, mean over {seeds} seeds, {steps} steps\n")
    print("| loss | ours | PML | ours − PML | largest difference of an embedding | p (Holm) |")
    print("|---|---|---|---|---|---|", flush=True)
    splits = [Split(seed) for seed in range(seeds)]
    rows: list[tuple[str, Any, str]] = []
    p_values: dict[str, float] = {}
    print(f"| pixels | {np.mean([split.recall(nn.Identity()) for split in splits]):.4f} | – | – | – | – |")
    for twin in of_pml():
        found: list[list[float]] = [[], []]
        apart = 0.0
        for split in splits:
            torch.manual_seed(split.seed)
            models = [trained(split, side, steps) for side in twin.make(WIDTH, DIGITS)]
            for model, recalls in zip(models, found, strict=True):
                recalls.append(split.recall(model))
            with torch.no_grad():
                a, b = (nn.functional.normalize(model(split.pixels), dim=-1) for model in models)
            apart = max(apart, float((a - b).abs().max()))
        ours, theirs = np.array(found)
        if twin.differs:
            p_values[twin.name] = paired_randomisation(ours, theirs)
        rows.append((twin.name, (ours.mean(), theirs.mean(), (ours - theirs).mean()), f"{apart:.0e}"))
    corrected = holm(p_values)
    for name, (ours, theirs, gap), told in rows:
        p = f"{corrected[name]:.3f}" if name in corrected else "the same"
        print(f"| {name} | {ours:.4f} | {theirs:.4f} | {gap:+.4f} | {told} | {p} |")


def mining_part(seeds: int, steps: int, plot: Path | None) -> None:
    print(f"\nWays of mining, squared distances, margin 0.2, {steps} steps, means over {seeds} seeds\n")
    print("| vectors | way | recall@1 | active: first, midway, last | spread | effective rank | collapsed |")
    print("|---|---|---|---|---|---|---|", flush=True)
    curves: dict[tuple[str, str], TrainingAudit] = {}
    for kind in ("unit", "any length"):
        for how in MINERS:
            recalls, audits = [], []
            for seed in range(seeds):
                split, audit = Split(seed), TrainingAudit()

                def loss(embeddings: Tensor, labels: Tensor, how: str = how, kind: str = kind) -> Tensor:
                    return triplet_in_batch(embeddings, labels, how, 0.2, normalize=kind == "unit")

                recalls.append(split.recall(trained(split, loss, steps, audit)))
                audits.append(audit)
            curves[kind, how] = audits[0]
            told = [_means(audits, name) for name in ("active", "spread", "effective_rank")]
            collapsed = sum(audit.entries[-1].embeddings.collapsed for audit in audits)  # type: ignore[union-attr]
            print(
                f"| {kind} | {how} | {np.mean(recalls):.4f} | {' | '.join(told)} | {collapsed} of {seeds} |",
                flush=True,
            )
    if plot is not None:
        draw(curves, plot)


def _values(audit: TrainingAudit, name: str) -> list[float]:
    if name == "active":
        return [float(entry.active or 0) for entry in audit.entries]
    return [getattr(entry.embeddings, name) for entry in audit.entries]


def _means(audits: list[TrainingAudit], name: str) -> str:
    mean = np.mean([_values(audit, name) for audit in audits], axis=0)
    return ", ".join(f"{mean[at]:.2f}" for at in (0, len(mean) // 2, -1))


def draw(curves: dict[tuple[str, str], TrainingAudit], file: Path) -> None:
    """Active share and spread by step, a column for each kind of vectors; one seed."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "digits", "font.size": 9})
    kinds = list(dict.fromkeys(kind for kind, _ in curves))
    shown = {"active": "share of active triplets", "spread": "spread (0: a point)"}
    figure, panels = plt.subplots(2, len(kinds), figsize=(8, 5), sharex=True, sharey="row", squeeze=False)
    for (kind, how), audit in curves.items():
        for row, (name, title) in enumerate(shown.items()):
            panel = panels[row][kinds.index(kind)]
            panel.plot(
                [entry.step for entry in audit.entries], _values(audit, name), label=how, linewidth=1.2
            )
            panel.set_ylabel(title if kind == kinds[0] else "")
            panel.set_ylim(0, 1.02)
    for column, kind in enumerate(kinds):
        panels[0][column].set_title(f"vectors of {kind} length" if kind == "unit" else f"vectors of {kind}")
        panels[1][column].set_xlabel("step")
    panels[0][-1].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    print(f"\n{file}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--parts", default="learn,mining")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of the peer's own deprecations
    print(f"torch {torch.__version__}")
    for part in options.parts.split(","):
        if part == "learn":
            learn_part(options.seeds, options.steps)
        else:
            mining_part(options.seeds, options.steps, options.plot)


if __name__ == "__main__":
    main()
