"""What a training run says of itself: loss, gradient, active pairs, the spread of scores; collapse."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

_COLLAPSED = 1e-3
"""Deviation of scores within lists below which a network ranks nothing."""
_MOST_COMPARED = 256


@dataclass
class EpochAudit:
    """The sums of one epoch's steps."""

    steps: int = 0
    loss: float = 0.0
    gradient_norm: float = 0.0
    spread: float = 0.0
    pairs: int = 0
    wrong: int = 0
    distance: float | None = None

    def step(
        self, value: float, norm: float, scores: Tensor, labels: Tensor, where: Tensor, apart: Tensor | None
    ) -> None:
        """Take note of one step; `apart` is the distance to the teacher.

        A pair is active where its better document does not lead by 1 or more.
        """
        self.steps += 1
        self.loss += value
        self.gradient_norm += norm
        count = where.sum(-1).clamp(min=1)
        centred = torch.where(where, scores - (scores * where).sum(-1, keepdim=True) / count[:, None], 0.0)
        self.spread += float(torch.sqrt((centred**2).sum(-1) / count).mean())
        if apart is not None:
            self.distance = (self.distance or 0.0) + float(apart)
        # A few documents of a few lists say enough; all pairs of all lists would cost as much as the loss.
        scores, labels, where = (part[:4, :_MOST_COMPARED] for part in (scores, labels, where))
        better = (labels[:, :, None] > labels[:, None, :]) & where[:, :, None] & where[:, None, :]
        self.pairs += int(better.sum())
        self.wrong += int((better & (scores[:, :, None] - scores[:, None, :] < 1)).sum())

    def as_json(self) -> dict[str, float]:
        steps = max(self.steps, 1)
        return {
            "loss": self.loss / steps, "gradient_norm": self.gradient_norm / steps,
            "score_spread": self.spread / steps, "active_pairs": self.wrong / max(self.pairs, 1),
            **({} if self.distance is None else {"teacher_distance": self.distance / steps}),
        }  # fmt: skip


@dataclass
class Audit:
    """The epochs of a run."""

    epochs: list[dict[str, float]] = field(default_factory=list)

    def add(self, epoch: EpochAudit) -> None:
        self.epochs.append(epoch.as_json())

    @property
    def collapsed(self) -> bool:
        """Are the scores within lists all but equal at the end?"""
        return bool(self.epochs) and self.epochs[-1]["score_spread"] < _COLLAPSED

    def as_json(self) -> dict[str, Any]:
        """Rounded, for the manifest: the same run gives the same text."""
        rounded = [{key: float(f"{value:.6g}") for key, value in epoch.items()} for epoch in self.epochs]
        return {"epochs": rounded, "collapsed": self.collapsed}

    def to_bytes(self) -> bytes:
        return json.dumps(self.epochs).encode()

    @classmethod
    def of_bytes(cls, content: bytes) -> Audit:
        return cls(json.loads(content))
