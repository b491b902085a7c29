"""A neural ranker as it is kept and scored: one safetensors file, numpy alone.

Tensors by name: those of `scoring.shapes_of` (float32), `inputs.*` (`inputs.Inputs`), `importance` float32
[features], and `settings` uint8, the JSON of {"settings", "rounds"}.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ranking.data.arrays import Float32, Float64
from ranking.data.dataset import Missing, RankingDataset
from ranking.errors import ArtifactError, RankwrightError, UsageError
from ranking.neural.first_layer import FirstLayer
from ranking.neural.inputs import Inputs
from ranking.neural.scoring import behind_first_layer, forward, shapes_of
from ranking.neural.settings import NeuralSettings

KIND = "neural"
FILE = "model.safetensors"

_BLOCK = 8192
MOST_IN_A_LIST = 4096
"""Documents that a network with self-attention takes together: its memory grows with their square."""
_SHUFFLED_ROWS = 2000


@dataclass(frozen=True, eq=False)
class NeuralRanker:
    """A trained network that scores documents by their features.

    Where `per_list` is true a document's score depends on the others given with it: `score` takes those of
    one list.
    """

    settings: NeuralSettings
    inputs: Inputs
    weights: Mapping[str, Any]
    """float64 by name"""
    feature_names: tuple[str, ...]
    missing: Missing
    rounds: int
    """epochs behind the weights"""
    shuffled: Float32
    audit: Mapping[str, Any] = field(default_factory=dict)
    """of the training, when it was in this process"""
    kind: str = KIND

    @property
    def feature_count(self) -> int:
        return len(self.feature_names)

    @property
    def per_list(self) -> bool:
        return bool(self.settings.blocks)

    @classmethod
    def of(
        cls, weights: Mapping[str, Any], inputs: Inputs, settings: NeuralSettings, *, rounds: int,
        names: tuple[str, ...], missing: Missing, sample: RankingDataset, audit: Mapping[str, Any],
    ) -> NeuralRanker:  # fmt: skip
        """From torch's tensors after training; feature importance is measured on `sample`."""
        plain = {name: np.asarray(value, np.float64) for name, value in weights.items()}
        nothing = np.zeros(len(names), np.float32)
        ranker = cls(settings, inputs, plain, names, missing, rounds, nothing, audit)
        object.__setattr__(ranker, "shuffled", _shuffled_change(ranker, sample))
        return ranker

    @classmethod
    def from_bytes(
        cls, kind: str, content: bytes, *, feature_names: tuple[str, ...], missing: Missing
    ) -> NeuralRanker:
        """The ranker in these bytes of a safetensors file, every name, shape and number checked.

        Raises ArtifactError saying what is wrong.
        """
        try:
            arrays = load(content)
            told = json.loads(arrays.pop("settings").tobytes())
            settings, rounds = NeuralSettings.of(told["settings"]), told["rounds"]
            inputs = Inputs.of_arrays(settings.inputs, arrays, len(feature_names))
            shapes = shapes_of(inputs.width, settings)
            found = {
                n: a.shape for n, a in arrays.items() if not n.startswith("inputs.") and n != "importance"
            }
            if found != shapes:
                other = sorted(set(found.items()) ^ set(shapes.items()))[:3]
                raise ValueError(f"the tensors do not fit the network: {other}")
            if arrays["importance"].shape != (len(feature_names),) or type(rounds) is not int:
                raise ValueError("importance and rounds must fit the features")
            if any(a.dtype.kind == "f" and not np.isfinite(a).all() for a in arrays.values()):
                raise ValueError("a number that is not finite")
        except (
            SafetensorError,
            RankwrightError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
        ) as error:
            raise ArtifactError(f"not a sound neural model: {error}") from error
        weights = {name: arrays[name].astype(np.float64) for name in shapes}
        return cls(settings, inputs, weights, feature_names, missing, rounds, arrays["importance"])

    def to_bytes(self) -> bytes:
        told = json.dumps({"settings": self.settings.plain(), "rounds": self.rounds}, sort_keys=True)
        arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in self.weights.items()}
        arrays |= {name: np.ascontiguousarray(value) for name, value in self.inputs.arrays().items()}
        arrays |= {"importance": self.shuffled, "settings": np.frombuffer(told.encode(), np.uint8)}
        return bytes(save(arrays))

    def save(self, folder: Path) -> None:
        """Write the model as one file into an existing folder."""
        (Path(folder) / FILE).write_bytes(self.to_bytes())

    def score(self, features: Float32) -> Float32:
        """Scores, float32 [documents], of float32 [documents, features]; NaN is missing.

        Raises UsageError where a network over lists is given more documents than it can take together.
        """
        rows = np.ascontiguousarray(features, np.float32)
        if self.missing == "zero" and (absent := np.isnan(rows)).any():
            rows = np.where(absent, np.float32(0), rows)
        if self.per_list and len(rows) > MOST_IN_A_LIST:
            raise UsageError(
                f"{len(rows)} documents in a list, at most {MOST_IN_A_LIST} for a network with attention"
            )
        out = np.empty(len(rows), np.float32)
        step = MOST_IN_A_LIST if self.per_list else min(_BLOCK, self.inputs.rows_together)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), step):
                out[start : start + step] = self._scores(rows[start : start + step])
        return out

    def _scores(self, rows: Float32) -> Float64:
        if self._first_layer is None:
            return forward(self.inputs(rows), self.weights, self.settings)
        return behind_first_layer(self._first_layer(rows), self.weights, self.settings)

    @cached_property
    def _first_layer(self) -> FirstLayer | None:
        return None if self.settings.cross else FirstLayer.of(self.inputs, self.weights)

    def importance(self) -> Float32:
        """float32 [features]: how much the scores of training rows change when a feature is shuffled."""
        return self.shuffled


def _shuffled_change(ranker: NeuralRanker, sample: RankingDataset) -> Float32:
    """The mean squared change of centred scores by shuffling one feature over some training rows."""
    rng = np.random.default_rng(0)
    sizes = sample.sizes
    chosen, count = [], 0
    for query in rng.permutation(sample.query_count):
        chosen.append(int(query))
        count += int(sizes[query])
        if count >= _SHUFFLED_ROWS:
            break
    part = sample.queries(np.sort(np.array(chosen)))
    ends = part.offsets if ranker.per_list else np.array([0, part.document_count])

    def scores(features: Float32) -> Float64:
        pairs = itertools.pairwise(ends)
        return np.concatenate([ranker.score(features[a:b]) for a, b in pairs]).astype(np.float64)

    whole = scores(part.features)
    found = np.zeros(part.feature_count, np.float32)
    turn = rng.permutation(part.document_count)
    for feature in range(part.feature_count):
        changed = part.features.copy()
        changed[:, feature] = changed[turn, feature]
        found[feature] = np.mean((scores(changed) - whole) ** 2)
    return found
