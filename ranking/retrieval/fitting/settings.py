"""Everything that can be chosen about the training of towers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ranking.errors import UsageError, unknown_name
from ranking.losses import LOSSES, loss_named
from ranking.retrieval.towers import SIDES, Sides

VECTOR_LOSSES: dict[str, tuple[str, ...]] = {
    "info_nce": (),
    "clip_loss": (),
    "siglip": (),
    "supcon": ("form",),
    "triplet": ("margin", "squared", "soft"),
    "contrastive": ("margin",),
}
"""Losses of vectors, with the parameters each takes. Any of `ranking.losses.LOSSES` learns mined lists."""

_MINING = ("triplet", "contrastive")
"""Those that compare with mined negatives alone, as losses of lists do."""


@dataclass(frozen=True)
class Settings:
    """How towers are trained; the defaults are what five folds of SciFact, NFCorpus and Vaswani chose.

    A few epochs at a low rate, pulled to the identity: 15 epochs at 2e-3 cost Vaswani .04 of nDCG@10.

    loss           one of `VECTOR_LOSSES`, or a loss of lists by its name in `ranking.losses.LOSSES`, over a
                   query's positives (labels: grades) and mined negatives. Pointwise ones see cosines over the
                   temperature without an offset, and move all of a list together: the weakest here
    parameters     of that loss, by name
    temperature    cosines are divided by it
    learnable      is the temperature learned?
    symmetric      InfoNCE from documents to queries too; without mined negatives and queue
    sides          "query": documents, and their index, stay; "shared": one tower for both; "both": one each
    hidden         width of a hidden layer beside the linear map, 0 for none
    epochs         at most: the best one on held-out queries is taken, 0 (the encoder itself) among them
    batch          pairs in a step; lists, for a loss of lists
    positives      of a query in an epoch at most, drawn anew
    learning_rate  Adam's
    weight_pull    share of the way back to the identity after each step
    negatives      mined for each query in each epoch
    depth, skip    they are drawn from these ranks: after the first `skip`, up to `depth`
    margin         relative: a document is no negative where sim >= sim⁺ − margin |sim⁺|, sim⁺ that of the
                   query's nearest known positive. None: all may be
    queue          keys of earlier steps as further negatives of InfoNCE, 0 for none
    momentum       of the moving copy of the document tower that their keys come from
    held_out       one of so many folds of the queries is held out to choose the epoch
    seed           of every draw
    device         "auto": a GPU where there is one

    Raises UsageError, naming the field, for a value that makes no sense.
    """

    loss: str = "info_nce"
    parameters: Mapping[str, object] = field(default_factory=dict)
    temperature: float = 0.05
    learnable: bool = False
    symmetric: bool = False
    sides: Sides = "query"
    hidden: int = 0
    epochs: int = 8
    batch: int = 256
    positives: int = 8
    learning_rate: float = 3e-4
    weight_pull: float = 0.02
    negatives: int = 7
    depth: int = 50
    skip: int = 0
    margin: float | None = 0.05
    queue: int = 0
    momentum: float = 0.99
    held_out: int = 4
    seed: int = 0
    device: str = "auto"

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Settings:
        """From values by name, such as a command line has them.

        Raises UsageError for an unknown name, and for a value of another kind than the default's.
        """
        known = {one.name: one.default for one in fields(cls) if one.name != "parameters"}
        for name, value in values.items():
            if name not in known:
                raise unknown_name("setting of the training", name, known)
            kind = type(known[name])
            fits = isinstance(value, int | float if kind is float else kind)
            nothing = value is None and name == "margin"
            if not (fits or nothing) or isinstance(value, bool) != (kind is bool):
                raise UsageError(f"{name} must be like {known[name]!r}, got {value!r}")
        return cls(**values)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        if self.sides not in SIDES:
            raise unknown_name("sides", self.sides, SIDES)
        for name, least in _LEAST.items():
            _check(name, getattr(self, name), getattr(self, name) >= least, f"at least {least}")
        _check("temperature", self.temperature, 0.01 <= self.temperature <= 10, "in 0.01 … 10")
        _check("learning_rate", self.learning_rate, 0 < self.learning_rate < 1, "in (0, 1)")
        _check("weight_pull", self.weight_pull, 0 <= self.weight_pull < 1, "in [0, 1)")
        _check("momentum", self.momentum, 0 <= self.momentum <= 1, "in [0, 1]")
        _check("margin", self.margin, self.margin is None or 0 <= self.margin < 1, "in [0, 1), or none")
        _check("skip", self.skip, self.skip + self.negatives <= self.depth, "with negatives within depth")
        self._check_loss()

    def _check_loss(self) -> None:
        if self.loss in VECTOR_LOSSES:
            for name in self.parameters:
                if name not in VECTOR_LOSSES[self.loss]:
                    raise unknown_name(f"parameter of {self.loss}", name, VECTOR_LOSSES[self.loss])
        else:
            self._check_list_loss()
        if (self.listwise or self.loss in _MINING) and not self.negatives:
            raise UsageError(f"{self.loss} learns from mined negatives: negatives must be at least 1, got 0")
        if self.queue and self.loss != "info_nce":
            raise UsageError(f"a queue holds negatives of info_nce; {self.loss} has no use for queue")
        if self.symmetric and (self.loss != "info_nce" or self.negatives or self.queue):
            raise UsageError("symmetric is for info_nce with the batch's keys alone: negatives=0 and queue=0")

    def _check_list_loss(self) -> None:
        try:
            loss = loss_named(self.loss, self.parameters)
        except UsageError as error:
            if self.loss.isidentifier() and self.loss not in LOSSES:
                raise unknown_name("loss", self.loss, [*VECTOR_LOSSES, *LOSSES]) from error
            raise
        if loss.needs_positions:
            raise UsageError(f"{self.loss} learns from clicks at positions, and judgments have none")

    @property
    def listwise(self) -> bool:
        return self.loss not in VECTOR_LOSSES

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


_LEAST = {"hidden": 0, "epochs": 0, "batch": 2, "positives": 1, "negatives": 0, "depth": 1, "skip": 0,
          "queue": 0, "held_out": 2, "seed": 0}  # fmt: skip


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name} must be {expected}, got {value}")
