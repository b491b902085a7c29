"""Towers: small trained maps on the frozen vectors of an encoder, applied with numpy alone.

    y = unit(x + x linear + relu(x into) out)

Zeros make the identity, which is the encoder itself. By default queries alone pass through one: documents,
and the index over them, stay as they are.

source  He et al. 2016 (residual form: training starts at the identity); `ranking.retrieval.fitting` trains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ranking.data.arrays import Float32
from ranking.errors import DataError, unknown_name
from ranking.retrieval.encoders.encoder import fingerprint_of, unit
from ranking.retrieval.stored import read_index, unsound, write_index

KIND = "towers"
FILE = "towers.safetensors"

Sides = Literal["query", "shared", "both"]
SIDES: tuple[Sides, ...] = ("query", "shared", "both")


@dataclass(frozen=True, eq=False)
class Tower:
    """One residual map.

    linear  float32 [width, width]
    into    float32 [width, hidden], hidden 0 for none
    out     float32 [hidden, width]

    Raises DataError for arrays of another form or not finite.
    """

    linear: Float32
    into: Float32
    out: Float32

    def __post_init__(self) -> None:
        width, hidden = self.linear.shape[0], self.out.shape[0]
        shapes = [list(array.shape) for array in self.arrays.values()]
        if shapes != [[width, width], [width, hidden], [hidden, width]]:
            raise DataError(f"expected a tower [d, d], [d, hidden] and [hidden, d], got {shapes}")
        if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in self.arrays.values()):
            raise DataError("a tower's arrays must be float32 and finite")

    @property
    def arrays(self) -> dict[str, Float32]:
        return {"linear": self.linear, "into": self.into, "out": self.out}

    def __call__(self, vectors: Float32) -> Float32:
        """float32 [n, width], each row of length 1; a row of zeros stays one."""
        mapped = vectors + vectors @ self.linear
        if len(self.out):
            mapped += np.maximum(vectors @ self.into, 0) @ self.out
        return unit(mapped)


@dataclass(frozen=True, eq=False)
class Towers:
    """What queries and documents pass through after the encoder.

    encoder   the fingerprint of the encoder whose vectors they take
    query     None for the identity
    document  None for the identity; the same object as `query` where both share one
    """

    encoder: str
    query: Tower | None = None
    document: Tower | None = None

    def queries(self, vectors: Float32) -> Float32:
        """Of queries [n, width]: float32 [n, width], unit."""
        return vectors if self.query is None else self.query(vectors)

    def documents(self, vectors: Float32) -> Float32:
        """Of documents [n, width]: float32 [n, width], unit."""
        return vectors if self.document is None else self.document(vectors)

    @property
    def identity(self) -> bool:
        return self.query is None and self.document is None

    @property
    def sides(self) -> Sides:
        if self.document is None:
            return "query"
        return "shared" if self.document is self.query else "both"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the encoder and all weights; of identities, the encoder's own."""
        return self._fingerprint({"query": self.query, "document": self.document})

    @cached_property
    def document_fingerprint(self) -> str:
        """Of what makes document vectors: the encoder's own, and so its index, where queries alone change."""
        return self._fingerprint({"document": self.document})

    def _fingerprint(self, towers: dict[str, Tower | None]) -> str:
        weights = {f"{side}.{name}": array for side, tower in towers.items() if tower is not None
                   for name, array in tower.arrays.items()}  # fmt: skip
        if not weights:
            return self.encoder
        told = {
            "encoder": self.encoder,
            "shapes": {name: list(array.shape) for name, array in weights.items()},
        }
        return fingerprint_of(KIND, told, *(array.tobytes() for array in weights.values()))

    def save(self, folder: Path) -> None:
        """A folder for `load`: the weights, and a manifest that knows their hash."""
        stored = {"query": self.query, "document": None if self.sides == "shared" else self.document}
        weights = {f"{side}.{name}": np.ascontiguousarray(array) for side, tower in stored.items()
                   if tower is not None for name, array in tower.arrays.items()}  # fmt: skip
        facts = {"encoder": self.encoder, "sides": self.sides, "fingerprint": self.fingerprint}
        write_index(folder, KIND, facts, lambda fresh: save_file(weights, fresh / FILE))


def load(folder: Path) -> Towers:
    """The towers that `Towers.save` wrote. Raises ArtifactError where they are missing or damaged."""
    manifest = read_index(folder, KIND)
    try:
        if manifest["sides"] not in SIDES:
            raise unknown_name("sides of towers", manifest["sides"], SIDES)
        weights = load_file(folder / FILE)
        query, document = (_tower(weights, side) for side in ("query", "document"))
        if manifest["sides"] == "shared":
            document = query
        found = Towers(manifest["encoder"], query, document)
        if found.fingerprint != manifest["fingerprint"]:
            raise ValueError("their fingerprint is not the one that was written")
        return found
    except (KeyError, TypeError, ValueError, OSError, SafetensorError, DataError) as error:
        raise unsound(folder, error) from error


def _tower(weights: dict[str, Float32], side: str) -> Tower | None:
    if f"{side}.linear" not in weights:
        return None
    return Tower(*(weights[f"{side}.{name}"] for name in ("linear", "into", "out")))
