"""Losses on vectors of other libraries, each beside ours: what `benchmarks.embedding` and `.digits` compare.

pytorch-metric-learning and sentence-transformers are the extra `bench`'s. Of open_clip one file of losses is
read where it lies (`pip install --no-deps open_clip_torch`): the rest of it asks for the torchvision that was
built for one torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from ranking.losses import (
    arcface,
    clip_loss,
    contrastive,
    cosface,
    info_nce,
    nt_xent,
    siglip,
    supcon,
    triplet,
    triplet_in_batch,
)
from ranking.losses.embedding import AngularClassifier, contrastive_in_batch

Side = Callable[[Tensor, Tensor], Tensor]
"""loss(embeddings [n, d], labels int [n]) -> scalar; items 2 i and 2 i + 1 have one label."""


@dataclass(frozen=True)
class Twin:
    """One loss here and there, made for `width` dimensions and `classes` classes.

    differs   what of the definition is not the same; empty where all of it is (but for a margin that a
              triplet meets exactly, and the 1e-6 that torch adds to each difference of a pair)
    cubic     theirs holds every triplet of the batch, or every positive with every negative: not for
              thousands of items
    """

    name: str
    peer: str
    make: Callable[[int, int], tuple[Side, Side]]
    differs: str = ""
    cubic: bool = False


def twins() -> list[Twin]:
    """Those whose library is there; a word on each that is not."""
    return [twin for library in (of_pml, of_sentence_transformers, of_open_clip) for twin in library()]


def of_pml() -> list[Twin]:
    if find_spec("pytorch_metric_learning") is None:
        print("skipped: pytorch-metric-learning, which is not installed")
        return []
    from pytorch_metric_learning import distances, losses, miners, reducers

    plain, mean = distances.LpDistance(), reducers.MeanReducer()
    square = distances.LpDistance(power=2)

    def in_batch(how: str, **more: Any) -> Side:
        given = {"squared": False, "normalize": True, **more}
        return lambda e, y: triplet_in_batch(e, y, how, 0.2, **given)

    def theirs(miner: Any = None, **more: Any) -> Side:
        loss = losses.TripletMarginLoss(**{"margin": 0.2, "reducer": mean, **more})
        return (lambda e, y: loss(e, y)) if miner is None else (lambda e, y: loss(e, y, miner(e, y)))

    def angular(ours: Any, theirs: Any, centres: int | None = None, **more: Any) -> Any:
        def make(width: int, classes: int) -> tuple[Side, Side]:
            mine = AngularClassifier(classes, width, ours, centres)
            other = theirs(num_classes=classes, embedding_size=width, **more)
            other.W.data = mine.prototypes.detach().flatten(0, -2).T.clone()
            return mine, other

        return make

    semi = miners.TripletMarginMiner(0.2, "semihard", distance=plain)
    hard = miners.TripletMarginMiner(0.2, "hard", distance=plain)
    nearest = miners.BatchHardMiner(distance=plain)
    xent = losses.SelfSupervisedLoss(losses.NTXentLoss(0.5))
    return [
        Twin(
            "contrastive", "PML",
            lambda width, classes: (contrastive_in_batch, losses.ContrastiveLoss(0, 1)),
            "unit vectors, D and max(0, m − D) there; any, and their squares / 2, here; there a mean over "
            "those above 0 of each kind",
        ),
        Twin("triplet all", "PML", fixed(in_batch("all"), theirs()), cubic=True),
        Twin("triplet all, active", "PML",
             fixed(in_batch("all", mean="active"), theirs(reducer=None)), cubic=True),
        Twin("triplet all, squared", "PML",
             fixed(in_batch("all", squared=True), theirs(distance=square)), cubic=True),
        Twin("triplet all, soft", "PML",
             fixed(in_batch("all", soft=True), theirs(smooth_loss=True, margin=0)), cubic=True),
        Twin("triplet semi_hard", "PML", fixed(in_batch("semi_hard"), theirs(semi)), cubic=True),
        Twin("triplet hard", "PML", fixed(in_batch("hard"), theirs(hard)), cubic=True),
        Twin("triplet batch_hard", "PML", fixed(in_batch("batch_hard"), theirs(nearest))),
        Twin("nt_xent", "PML", fixed(lambda e, y: nt_xent(e[::2], e[1::2]),
                                     lambda e, y: xent(e[::2], e[1::2])), cubic=True),
        Twin("supcon", "PML", fixed(supcon, losses.SupConLoss(0.1))),
        Twin("supcon alone", "PML",
             fixed(lambda e, y: supcon(e, y, form="alone"), losses.NTXentLoss(0.1)), cubic=True),
        Twin("arcface", "PML", angular(arcface, losses.ArcFaceLoss, margin=math.degrees(0.5))),
        Twin("arcface, 3 centres", "PML",
             angular(arcface, losses.SubCenterArcFaceLoss, 3, sub_centers=3, margin=math.degrees(0.5))),
        Twin("cosface", "PML", angular(cosface, losses.CosFaceLoss)),
    ]  # fmt: skip


def of_sentence_transformers() -> list[Twin]:
    if find_spec("sentence_transformers") is None:
        print("skipped: sentence-transformers, which is not installed")
        return []
    import torch
    from sentence_transformers.sentence_transformer import losses

    def of(name: str, *columns: Callable[[Tensor], Tensor], **settings: Any) -> Side:
        loss = getattr(losses, name)(nn.Identity(), **settings)
        given = columns or (lambda e: e,)
        return lambda e, y: loss.compute_loss_from_embeddings([column(e) for column in given], y)

    def pairs(name: str, **settings: Any) -> Side:
        return of(name, lambda e: e[::2], lambda e: e[1::2], **settings)

    def similar(e: Tensor, y: Tensor) -> Tensor:
        return (torch.arange(len(e) // 2, device=e.device) % 2).bool()

    def shifted(e: Tensor) -> Tensor:
        """Partners of which every other is of another label: alike by `similar`."""
        second = e[1::2]
        return torch.where(similar(e, e)[:, None], second, second.roll(2, 0))

    apart = losses.ContrastiveLoss(nn.Identity(), losses.SiameseDistanceMetric.EUCLIDEAN, margin=1.0)
    return [
        Twin("info_nce", "ST", fixed(lambda e, y: info_nce(e[::2], e[1::2], 0.05),
                                     pairs("MultipleNegativesRankingLoss"))),
        Twin("info_nce, symmetric", "ST",
             fixed(lambda e, y: info_nce(e[::2], e[1::2], 0.05, symmetric=True),
                   pairs("MultipleNegativesSymmetricRankingLoss"))),
        Twin("contrastive of pairs", "ST",
             fixed(lambda e, y: contrastive(e[::2], shifted(e), similar(e, y)),
                   lambda e, y: apart.compute_loss_from_embeddings([e[::2], shifted(e)],
                                                                   similar(e, y).long()))),
        Twin("triplet of rows", "ST",
             fixed(lambda e, y: triplet(e[::2], e[1::2], e[1::2].roll(1, 0), 5.0, squared=False),
                   of("TripletLoss", lambda e: e[::2], lambda e: e[1::2], lambda e: e[1::2].roll(1, 0)))),
        Twin("triplet all, active", "ST",
             fixed(lambda e, y: triplet_in_batch(e, y, "all", 5.0, squared=False, mean="active"),
                   of("BatchAllTripletLoss")), cubic=True),
        Twin("triplet semi_hard_nearest", "ST",
             fixed(lambda e, y: triplet_in_batch(e, y, "semi_hard_nearest", 5.0, squared=False),
                   of("BatchSemiHardTripletLoss"))),
        Twin("triplet batch_hard", "ST",
             fixed(lambda e, y: triplet_in_batch(e, y, "batch_hard", 5.0, squared=False),
                   of("BatchHardTripletLoss"))),
        Twin("triplet batch_hard, soft", "ST",
             fixed(lambda e, y: triplet_in_batch(e, y, "batch_hard", squared=False, soft=True),
                   of("BatchHardSoftMarginTripletLoss"))),
    ]  # fmt: skip


def of_open_clip() -> list[Twin]:
    found = find_spec("open_clip")
    if found is None or not found.submodule_search_locations:
        print("skipped: open_clip, which is not installed")
        return []
    losses: Any = _file(Path(found.submodule_search_locations[0]) / "loss.py")
    clip, sig = losses.ClipLoss(), losses.SigLipLoss()

    def unit(e: Tensor) -> tuple[Tensor, Tensor]:
        return nn.functional.normalize(e[::2], dim=-1), nn.functional.normalize(e[1::2], dim=-1)

    return [
        Twin("clip_loss", "open_clip",
             fixed(lambda e, y: clip_loss(e[::2], e[1::2], 0.07), lambda e, y: clip(*unit(e), 1 / 0.07))),
        Twin("siglip", "open_clip",
             fixed(lambda e, y: siglip(e[::2], e[1::2]), lambda e, y: sig(*unit(e), 10.0, -10.0))),
    ]  # fmt: skip


def fixed(ours: Side, theirs: Side) -> Callable[[int, int], tuple[Side, Side]]:
    """Sides that need to know nothing of dimensions and classes."""
    return lambda width, classes: (ours, theirs)


def _file(path: Path) -> ModuleType:
    spec = spec_from_file_location("open_clip_losses", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
