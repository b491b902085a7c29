"""Several rankers as one: a weighted sum of their standardised scores.

    score = sum_m weight_m (score_m − mean_m) / scale_m

Weights are equal, or those of the least softmax cross-entropy of some lists, none negative: a convex problem,
solved the same way every time. The file is a zip archive, nothing compressed: `ensemble.json` and each
member's own file.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize

from ranking.data.arrays import Float32, Float64, Int64
from ranking.data.dataset import Missing, RankingDataset
from ranking.errors import ArtifactError, RankwrightError, UsageError
from ranking.models.kinds import open_model
from ranking.models.kinds import warm_up as warm_up_member
from ranking.models.ranker import explainer, spread_within_lists
from ranking.objectives import Softmax
from ranking.trees.backends import BACKENDS

KIND = "ensemble"
FILE = "model.ensemble"
MOST_MEMBERS = 32

_FACTS = "ensemble.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""What zip writes for no time at all: equal ensembles are equal files."""


class Member(Protocol):
    """What an ensemble needs of a ranker."""

    @property
    def kind(self) -> str: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...
    @property
    def missing(self) -> Missing: ...
    @property
    def per_list(self) -> bool: ...
    def score(self, features: Float32) -> Float32: ...
    def importance(self) -> Any: ...
    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class Part:
    """A member, and what its scores are taken times and from."""

    ranker: Member
    weight: float
    mean: float
    scale: float


@dataclass(frozen=True, eq=False)
class EnsembleRanker:
    """A ranker of rankers, all with the same features."""

    parts: tuple[Part, ...]
    kind: str = KIND

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.parts[0].ranker.feature_names

    @property
    def feature_count(self) -> int:
        return len(self.feature_names)

    @property
    def missing(self) -> Missing:
        return self.parts[0].ranker.missing

    @property
    def per_list(self) -> bool:
        """Does any member see the list as a whole?"""
        return any(part.ranker.per_list for part in self._counting)

    @property
    def explains(self) -> bool:
        """Do all members that count have contributions?"""
        return all(explainer(part.ranker) is not None for part in self._counting)

    @property
    def rounds(self) -> int:
        return len(self.parts)

    @property
    def _counting(self) -> list[Part]:
        """Members whose weight is 0 cost nothing."""
        return [part for part in self.parts if part.weight > 0]

    def score(self, features: Float32) -> Float32:
        """Scores, float32 [documents], of float32 [documents, features] of one list; NaN is missing."""
        total = np.zeros(len(features))
        for part in self._counting:
            total += part.weight / part.scale * (part.ranker.score(features).astype(np.float64) - part.mean)
        return total.astype(np.float32)

    def contributions(self, features: Float32) -> Float64:
        """The weighted sum of the members', float64 [documents, features + 1], the bias last.

        Raises UsageError where a member has none.
        """
        total = np.zeros((len(features), self.feature_count + 1))
        for part in self._counting:
            member = explainer(part.ranker)
            if member is None:
                raise UsageError(f"a member of kind {part.ranker.kind} has no contributions by feature")
            total += part.weight / part.scale * member.contributions(features)
            total[:, -1] -= part.weight / part.scale * part.mean
        return total

    def importance(self) -> Float64:
        """float64 [features]: the members' shares, by weight."""
        total = np.zeros(self.feature_count)
        for part in self.parts:
            gains = np.asarray(part.ranker.importance(), np.float64)
            total += part.weight * gains / max(float(gains.sum()), 1e-300)
        return total

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        facts = [
            {"kind": p.ranker.kind, "weight": p.weight, "mean": p.mean, "scale": p.scale} for p in self.parts
        ]
        contents = {_FACTS: json.dumps({"members": facts}, sort_keys=True).encode()}
        contents |= {str(number): part.ranker.to_bytes() for number, part in enumerate(self.parts)}
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, content in contents.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
        return buffer.getvalue()

    def save(self, folder: Path) -> None:
        """Write the model as one file into an existing folder."""
        (Path(folder) / FILE).write_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, content: bytes, open_member: Callable[[str, bytes], Any]) -> EnsembleRanker:
        """The ensemble in these bytes; `open_member(kind, bytes)` opens one of its models.

        Raises ArtifactError saying what is wrong.
        """
        try:
            files = _stored(content)
            members = json.loads(files.pop(_FACTS))["members"]
            if not 0 < len(members) <= MOST_MEMBERS or sorted(files) != sorted(map(str, range(len(members)))):
                raise ValueError(f"1 to {MOST_MEMBERS} members with a file each expected")
            parts = []
            for number, told in enumerate(members):
                numbers = [float(told[key]) for key in ("weight", "mean", "scale")]
                if not all(map(math.isfinite, numbers)) or numbers[2] <= 0 or numbers[0] < 0:
                    raise ValueError(f"member {number}: weight, mean and scale must be finite, scale above 0")
                if told["kind"] == KIND:
                    raise ValueError(f"member {number} is an ensemble itself")
                parts.append(Part(open_member(told["kind"], files[str(number)]), *numbers))
        # zipfile meets damage with many kinds of exceptions, NotImplementedError and RuntimeError among them.
        except Exception as error:
            raise ArtifactError(f"not a sound ensemble: {error}") from error
        return cls(tuple(parts))


@dataclass(frozen=True)
class Standardised:
    """Rankers that may be an ensemble, and their scores of some lists in units that can be added.

    scores   float64 [members, documents], each over its spread within lists, by which members of any scale
             count alike
    """

    members: Sequence[Member]
    data: RankingDataset
    means: Float64
    spreads: Float64
    scores: Float64

    @classmethod
    def of(cls, members: Sequence[Member], data: RankingDataset) -> Standardised:
        """Raises UsageError where members do not take the same features."""
        _check_members(members)
        first = members[0]
        fitting = data.with_width(len(first.feature_names), first.missing, first.feature_names)
        scores = np.stack([_scores(member, fitting) for member in members])
        spreads = np.array([spread_within_lists(one, fitting.sizes) or 1.0 for one in scores])
        means = scores.mean(axis=1)
        return cls(members, fitting, means, spreads, (scores - means[:, None]) / spreads[:, None])

    def ensemble(self, weights: Sequence[float] | Float64) -> EnsembleRanker:
        """All of them with these weights."""
        told = zip(self.members, weights, self.means, self.spreads, strict=True)
        return EnsembleRanker(tuple(Part(one, *map(float, numbers)) for one, *numbers in told))

    def equal_weights(self) -> Float64:
        return np.ones(len(self.members))

    def fitted_weights(self, queries: Int64 | None = None) -> Float64:
        """Those of the least cross-entropy of these queries' lists, or of all; none negative.

        Raises UsageError where nothing can be learned from them.
        """
        if queries is None:
            return _weights(self.scores, self.data)
        rows = np.concatenate([np.arange(*self.data.offsets[q : q + 2]) for q in queries])
        return _weights(self.scores[:, rows], self.data.queries(queries))


def fit_ensemble(members: Sequence[Member], data: RankingDataset) -> EnsembleRanker:
    """The ensemble of these rankers with the weights that fit `data` best.

    Raises UsageError where members do not take the same features, or nothing can be learned from the data.
    """
    standardised = Standardised.of(members, data)
    return standardised.ensemble(standardised.fitted_weights())


def _check_members(members: Sequence[Member]) -> None:
    if not 2 <= len(members) <= MOST_MEMBERS:
        raise UsageError(f"an ensemble has 2 to {MOST_MEMBERS} members, got {len(members)}")
    for member in members:
        if member.kind == KIND:
            raise UsageError("an ensemble cannot be a member of another: name its members")
        if member.feature_names != members[0].feature_names or member.missing != members[0].missing:
            raise UsageError(
                "the members of an ensemble must take the same features, by name and order, and the same "
                "--missing: train them on the same columns"
            )


def _scores(member: Member, data: RankingDataset) -> Float64:
    ends = data.offsets.tolist() if member.per_list else [0, data.document_count]
    parts = [member.score(data.features[a:b]) for a, b in itertools.pairwise(ends)]
    return np.concatenate(parts).astype(np.float64)


def _weights(scores: Float64, data: RankingDataset) -> Float64:
    """float64 [members], none negative, of the least cross-entropy."""
    objective = Softmax()
    lists = max(data.query_count, 1)

    def value(weights: Float64) -> tuple[float, Float64]:
        mixed = weights @ scores
        gradient, _ = objective.gradients(mixed, data)
        return objective.loss(mixed, data) / lists, scores @ gradient / lists

    start = np.full(len(scores), 1.0 / len(scores))
    try:
        found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=[(0.0, 1e3)] * len(scores))
    except RankwrightError as error:
        raise UsageError(f"no weights can be fitted: {error}") from error
    if not found.x.any():
        raise UsageError("no member ranks these lists better than chance: nothing to weigh")
    return np.asarray(found.x, np.float64)


def _stored(content: bytes) -> dict[str, bytes]:
    """The files of an archive in which nothing is compressed, so that nothing can grow when it is read."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS + 1 or len({entry.filename for entry in entries}) != len(entries):
            raise ValueError("too many files, or one twice")
        if any(e.compress_type != zipfile.ZIP_STORED or e.file_size > len(content) for e in entries):
            raise ValueError("compressed files")
        return {entry.filename: archive.read(entry) for entry in entries}


def open_ensemble(
    kind: str, content: bytes, *, feature_names: tuple[str, ...], missing: Missing
) -> EnsembleRanker:
    """The ensemble in these bytes, as `ranking.models.kinds` opens it: its members are of kinds there."""

    def member(kind: str, content: bytes) -> Any:
        return open_model(kind, content, feature_names=feature_names, missing=missing)

    return EnsembleRanker.from_bytes(content, member)


def warm_up(kind: str, *, contributions: bool = False) -> None:
    """Compile what scores any member."""
    for backend in BACKENDS:
        warm_up_member(backend, contributions=contributions)
