"""What a neural ranker is made of and how it learns: the `neural` table of a training config."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ranking.errors import UsageError, unknown_name
from ranking.neural.inputs import FORMS

ARCHITECTURES: dict[str, dict[str, int]] = {
    "mlp": {"cross": 0, "blocks": 0},
    "attention": {"cross": 0, "blocks": 2},
    "dcn": {"cross": 2, "blocks": 0},
}
"""Layers by name: `mlp` scores each document alone; `attention` lets the documents of a list see each other;
`dcn` multiplies features by explicit crosses before the layers (DCN-v2)."""

AUTO = "auto"
TEACHERS = ("lightgbm", "xgboost")
_INPUTS = (AUTO, *FORMS)
_BATCH, _LEAST_BATCH, _LEAST_STEPS = 32, 4, 20
"""Lists a step, and steps an epoch below which there are fewer lists in each: few steps are too little."""
_MAX_WIDTH, _MAX_LAYERS = 1 << 14, 64


@dataclass(frozen=True, kw_only=True)
class NeuralSettings:
    """The network and its training.

    architecture  "mlp", "attention" or "dcn"
    hidden        widths of the layers
    cross         cross layers before them; None is the architecture's
    blocks        self-attention blocks over the list behind them; None is the architecture's
    heads         of each block; must divide the last width
    dropout       share of each layer's outputs dropped in training
    noise         standard deviation of Gaussian noise on the scaled features in training
    inputs        "quantile": each feature to the normal score of its rank in the training data; "encoded":
                  beside it the piecewise-linear encoding of each feature; "standard": mean 0 and deviation
                  1; "log": the same of the signed log(1 + |x|); "auto": one network of "quantile" and one of
                  "encoded", of which the better on the held-out lists is kept; with cross layers "quantile"
    teacher       "lightgbm" or "xgboost": a model of that backend, trained first on the same lists, whose
                  scores of them the network learns beside the labels; None: labels alone; "auto": LightGBM
                  where it is installed, else XGBoost, else None
    teacher_share of the loss; the rest is the objective's
    rate          AdamW's, at its highest
    weight_decay  AdamW's, on weights alone
    warm_up       share of all steps over which the rate rises; then it falls as a cosine to 0
    batch_queries lists a step, of like lengths; None is 32, or fewer where that gave under 20 steps an epoch
    clip          largest norm of a step's gradient
    device        "auto" (a GPU where there is one), "cpu" or "cuda"
    precision     "auto" (bfloat16 on a GPU, float32 elsewhere), "float32" or "bfloat16"
    """

    architecture: str = "mlp"
    hidden: tuple[int, ...] = (128, 64)
    cross: int | None = None
    blocks: int | None = None
    heads: int = 4
    dropout: float = 0.1
    noise: float = 0.0
    inputs: str = AUTO
    teacher: str | None = AUTO
    teacher_share: float = 0.5
    rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    batch_queries: int | None = None
    clip: float = 2.0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        named: tuple[tuple[str, tuple[str | None, ...]], ...] = (
            ("architecture", tuple(ARCHITECTURES)),
            ("inputs", _INPUTS),
            ("teacher", (AUTO, None, *TEACHERS)),
            ("device", ("auto", "cpu", "cuda")),
            ("precision", ("auto", "float32", "bfloat16")),
        )
        for name, choices in named:
            if getattr(self, name) not in choices:
                known = ["none" if one is None else one for one in choices]
                raise unknown_name(f"neural.{name}", str(getattr(self, name)), known)
        widths = self.hidden if isinstance(self.hidden, list | tuple) else (self.hidden,)
        object.__setattr__(self, "hidden", tuple(widths))
        for width in self.hidden:
            _check_count("neural.hidden", width, 1, _MAX_WIDTH)
        if not 1 <= len(self.hidden) <= _MAX_LAYERS:
            raise UsageError(f"neural.hidden must name 1 to {_MAX_LAYERS} widths, got {len(self.hidden)}")
        for name in ("cross", "blocks"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, ARCHITECTURES[self.architecture][name])
            _check_count(f"neural.{name}", getattr(self, name), 0, _MAX_LAYERS)
        _check_count("neural.heads", self.heads, 1, _MAX_LAYERS)
        if self.batch_queries is not None:
            _check_count("neural.batch_queries", self.batch_queries, 1, 1 << 20)
        if self.blocks and self.hidden[-1] % self.heads:
            raise UsageError(
                f"neural.heads={self.heads} must divide the last of neural.hidden, {self.hidden[-1]}"
            )
        for name, high in (
            ("dropout", 0.99),
            ("noise", 1e3),
            ("rate", 10.0),
            ("weight_decay", 10.0),
            ("warm_up", 1.0),
            ("teacher_share", 1.0),
        ):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= high:
                raise UsageError(f"neural.{name} must be a number from 0 to {high:g}, got {value!r}")
        if not self.rate > 0:
            raise UsageError("neural.rate must be above 0")
        if not _is_number(self.clip) or not self.clip > 0:
            raise UsageError(f"neural.clip must be above 0, got {self.clip!r}")

    def lists_a_step(self, queries: int) -> int:
        """Of so many training queries."""
        if self.batch_queries is not None:
            return self.batch_queries
        return min(_BATCH, max(_LEAST_BATCH, queries // _LEAST_STEPS))

    @classmethod
    def of(cls, table: Mapping[str, object]) -> NeuralSettings:
        """The settings of a config's table. Raises UsageError for an unknown key or an impossible value."""
        known = {field.name for field in dataclasses.fields(cls)}
        for key in table:
            if key not in known:
                raise unknown_name("key of neural:", key, known)
        given: dict[str, Any] = dict(table)  # each is checked as it is set
        return cls(**given)

    def plain(self) -> dict[str, Any]:
        """As TOML and the manifest hold it."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden)}


def _check_count(name: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
