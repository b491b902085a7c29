"""What training on vectors looks like from inside: does it learn, does it collapse, what can it show?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ranking.data.atomic import replace_file
from ranking.losses.embedding.distances import directions
from ranking.losses.embedding.information import InformationBound
from ranking.losses.embedding.precision import full_precision

_POINT = 0.1
"""Spread below which embeddings are a point."""
_LINE = 1.5
"""Effective rank below which one dimension carries everything."""


@dataclass(frozen=True)
class EmbeddingAudit:
    """Of a batch of directions.

    spread          sqrt(d) times the mean deviation of a dimension: 1 for directions spread evenly, 0 for
                    a point
    mean_cosine     between different items
    effective_rank  how many dimensions are used
    uniformity      log mean exp(−2 |x − y|²): −4 at best, 0 for a point (Wang and Isola 2020)
    alignment       mean |x − y|² of pairs that belong together; None without pairs
    collapsed       spread below 0.1, a point; or an effective rank below 1.5, a line. (Two classes alone
                    are such a line when they are learned)
    """

    spread: float
    mean_cosine: float
    effective_rank: float
    uniformity: float
    alignment: float | None
    collapsed: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        told = f"spread {self.spread:.2f}, effective rank {self.effective_rank:.1f}, "
        told += f"uniformity {self.uniformity:.2f}"
        return told if self.alignment is None else f"{told}, alignment {self.alignment:.2f}"


@torch.no_grad()
def audit_embeddings(embeddings: Tensor, partners: Tensor | None = None) -> EmbeddingAudit:
    """Of embeddings [batch, d], and what each belongs with [batch, d]; at least two items say anything."""
    size = len(embeddings)
    seen, rank = spread(embeddings), effective_rank(embeddings)
    unit = directions(embeddings.double())
    between = max(size * (size - 1), 1)
    return EmbeddingAudit(
        spread=seen,
        mean_cosine=float((unit.sum(0) ** 2).sum() - (unit**2).sum()) / between,
        effective_rank=rank,
        uniformity=uniformity(embeddings),
        alignment=None if partners is None else alignment(embeddings, partners),
        collapsed=size > 2 and (seen < _POINT or rank < _LINE),
    )


@torch.no_grad()
@full_precision
def spread(embeddings: Tensor) -> float:
    """sqrt(d) times the mean standard deviation of a dimension of directions, of [batch, d]."""
    unit = directions(embeddings)
    return float(unit.std(0, correction=0).mean()) * unit.shape[1] ** 0.5 if len(unit) else 0.0


@torch.no_grad()
@full_precision
def effective_rank(embeddings: Tensor) -> float:
    """exp of the entropy of the singular values' shares, of directions [batch, d]: 1 … min(batch, d).

    source  Roy and Vetterli 2007; as a sign of collapse: Garrido et al. 2023 (RankMe).
    """
    values = torch.linalg.svdvals(directions(embeddings).double())
    if not float(values.sum()) > 0:
        return 0.0
    share = values / values.sum()
    return float(torch.exp(torch.special.entr(share).sum()))


@torch.no_grad()
@full_precision
def alignment(first: Tensor, second: Tensor) -> float:
    """The mean of |a − b|² over pairs of directions, [pairs, d] each.

    source  Wang and Isola 2020.
    """
    if not len(first):
        return 0.0
    return float(((directions(first) - directions(second)) ** 2).sum(-1).mean())


@torch.no_grad()
@full_precision
def uniformity(embeddings: Tensor) -> float:
    """log of the mean over different items of exp(−2 |x − y|²), of directions [batch, d].

    source  Wang and Isola 2020.
    """
    if len(embeddings) < 2:
        return 0.0
    return float(torch.nn.functional.pdist(directions(embeddings)).pow(2).mul(-2).exp().mean().log())


def gradient_norm(parameters: Iterable[Tensor]) -> float:
    """The length of all gradients together; 0 where there is none. To be read before they are clipped."""
    gradients = [one.grad for one in parameters if one.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))


def masked_share(key_ids: Tensor, ignored: Tensor | None = None) -> float:
    """The share of a batch's pairs (query, key of another) that are left out as false negatives.

    key_ids  int [n], as `info_nce` takes them: equal ids, unless below 0;  ignored  bool [n, n]
    """
    alike = (key_ids[:, None] == key_ids[None, :]) & (key_ids >= 0)[:, None]
    out = alike if ignored is None else alike | ignored
    others = len(out) * (len(out) - 1)
    return float((out.sum() - out.diagonal().sum()) / others) if others else 0.0


@dataclass(frozen=True)
class AuditEntry:
    """One step of training; None where nothing was given. Shares in 0 … 1, the bound in nats."""

    step: int
    loss: float
    gradient_norm: float | None
    active: float | None
    masked: float | None
    bound: InformationBound | None
    embeddings: EmbeddingAudit | None

    @property
    def alarms(self) -> list[str]:
        """What is wrong, in words."""
        found = {
            "the loss is not finite": not math.isfinite(self.loss),
            "the embeddings have collapsed": self.embeddings is not None and self.embeddings.collapsed,
            "the gradient is zero": self.gradient_norm == 0,
            "no pair or triplet is active: nothing is left to learn": self.active == 0,
            "the bound is at its cap: more negatives would show more": (
                self.bound is not None and self.bound.saturated
            ),
        }
        return [words for words, holds in found.items() if holds]

    def as_json(self) -> dict[str, Any]:
        bound = self.bound and {"nats": self.bound.value, "cap": self.bound.cap}
        entry = {**asdict(self), "bound": bound, "alarms": self.alarms}
        return {**entry, "loss": self.loss if math.isfinite(self.loss) else None}

    def __str__(self) -> str:
        parts = [f"step {self.step}: loss {self.loss:.4g}"]
        parts += [] if self.gradient_norm is None else [f"gradient {self.gradient_norm:.2g}"]
        parts += [] if self.active is None else [f"active {self.active:.1%}"]
        parts += [] if self.masked is None else [f"masked {self.masked:.1%}"]
        if self.bound is not None:
            parts.append(f"information {self.bound.value:.2f} of {self.bound.cap:.2f} nats")
        parts += [] if self.embeddings is None else [str(self.embeddings)]
        return ", ".join(parts) + "".join(f"; {words}" for words in self.alarms)


def _number(loss: float | Tensor) -> float:
    return float(loss.detach()) if isinstance(loss, Tensor) else loss


class TrainingAudit:
    """Gathers entries while a model is trained, prints the last as a line, and stores all as JSON.

    A trainer measures what its loss has, by the functions of this room:

        audit.record(step, loss, embeddings=queries, partners=keys, gradient_norm=gradient_norm(parameters),
                     masked=masked_share(ids), bound=mutual_information_bound(loss, len(keys) - 1))
    """

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def record(
        self,
        step: int,
        loss: float | Tensor,
        *,
        embeddings: Tensor | None = None,
        partners: Tensor | None = None,
        gradient_norm: float | None = None,
        active: float | None = None,
        masked: float | None = None,
        bound: InformationBound | None = None,
    ) -> AuditEntry:
        """Keep one step, and give it back.

        embeddings, partners  [batch, d], as `audit_embeddings` takes them
        active                share of pairs or triplets with a loss above 0 (`active_share`)
        masked                share of pairs left out as false negatives (`masked_share`)
        """
        looked_at = None if embeddings is None else audit_embeddings(embeddings, partners)
        entry = AuditEntry(step, _number(loss), gradient_norm, active, masked, bound, looked_at)
        self.entries.append(entry)
        return entry

    @property
    def alarms(self) -> dict[str, list[int]]:
        """The steps of each alarm."""
        found: dict[str, list[int]] = {}
        for entry in self.entries:
            for words in entry.alarms:
                found.setdefault(words, []).append(entry.step)
        return found

    def line(self) -> str:
        """The last entry in words."""
        return str(self.entries[-1]) if self.entries else "nothing recorded"

    def as_json(self) -> dict[str, Any]:
        return {"entries": [entry.as_json() for entry in self.entries], "alarms": self.alarms}

    def write(self, path: Path) -> None:
        """As JSON: {"entries": […], "alarms": {words: [steps]}}."""
        replace_file(path, (json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n").encode())
