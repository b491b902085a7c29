"""The nearest vectors, exactly: every document is compared, by blocked matrix products.

Up to some hundred thousand documents this takes milliseconds and needs no graph, no build and no parameters.

A matrix product rounds in an order of its own, that changes with its shape. Here it only narrows the
documents down, by a margin that its rounding cannot pass; those left are scored again, each in the same order
of sums. So equal vectors have equal scores, and a score is the same alone, in a batch and in `scores`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ranking.data.arrays import Float32, Int64
from ranking.errors import ArtifactError, DataError, unknown_name
from ranking.retrieval.candidates import Candidates
from ranking.retrieval.stored import read_index, unsound, write_index

KIND = "vectors"

Precision = Literal["float32", "int8"]
PRECISIONS: dict[str, type[np.generic]] = {"float32": np.float32, "int8": np.int8}

_BLOCK = 1 << 24
"""Numbers in memory at a time: products of queries and documents, or vectors turned to float32."""


@dataclass(frozen=True, eq=False)
class ExactIndex:
    """The vectors of a collection: an `Arm` whose queries are vectors; a score is a dot product.

    vectors      float32 or int8 [documents, width], in memory or mapped
    scales       float32 [documents], what an int8 row is multiplied by; None for float32
    fingerprint  of the encoder that made them
    longest      the length of the longest vector
    """

    vectors: Any
    scales: Float32 | None
    fingerprint: str
    longest: float

    @classmethod
    def of(cls, vectors: Float32, fingerprint: str, precision: Precision = "float32") -> ExactIndex:
        """The index of vectors [documents, width] of an encoder; int8 holds them in a quarter of the memory.

        Raises DataError for vectors of another form or not finite, UsageError for an unknown precision.
        """
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
        vectors = np.ascontiguousarray(vectors, np.float32)
        if vectors.ndim != 2 or not vectors.size:
            raise DataError(f"expected vectors [documents, width], one at least, got shape {vectors.shape}")
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
        bad = np.flatnonzero(~np.isfinite(lengths))
        if len(bad):
            raise DataError(f"document {bad[0]} (from 0) has a vector that is not finite: encode it again")
        longest = float(lengths.max())
        if precision == "float32":
            return cls(vectors, None, fingerprint, longest)
        scales = np.abs(vectors).max(axis=1) / np.float32(127)
        whole = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
        # Rounding may lengthen a vector by half a step in each dimension.
        step = float(scales.max()) * vectors.shape[1] ** 0.5
        return cls(whole, scales, fingerprint, longest + step)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def precision(self) -> str:
        return "float32" if self.scales is None else "int8"

    def search(self, queries: Float32, depth: int) -> Candidates:
        """The documents of the highest dot products with queries [queries, width].

        Raises DataError for queries of another width or not finite.
        """
        queries = self._checked(queries)
        found = Candidates.empty(len(queries), depth)
        at_once = max(1, _BLOCK // len(self))
        for start in range(0, len(queries), at_once):
            block = queries[start : start + at_once]
            for query, near in enumerate(self._products(block), start):
                rows = self._within_reach(near, depth, queries[query])
                found.put(query, rows, self._exact(queries[query], rows))
        return found

    def scores(self, query: Float32, rows: Int64) -> Float32:
        """Dot products of one query [width] with these documents, float32 [rows], as `search` gives them."""
        (checked,) = self._checked(np.asarray(query)[None])
        return self._exact(checked, rows)

    def _checked(self, queries: Float32) -> Float32:
        queries = np.asarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.width:
            raise DataError(f"expected queries [queries, {self.width}], got shape {queries.shape}")
        if not np.isfinite(queries).all():
            raise DataError("a query's vector is not finite: look at its text and its encoder")
        return queries

    def _products(self, queries: Float32) -> Float32:
        """float32 [queries, documents], each within `_margin` of the exact one."""
        if self.scales is None:
            products: Float32 = queries @ self.vectors.T
            return products
        products = np.empty((len(queries), len(self)), np.float32)
        for start, stop in self._blocks(len(self)):
            np.matmul(queries, self.vectors[start:stop].astype(np.float32).T, out=products[:, start:stop])
        products *= self.scales
        return products

    def _blocks(self, count: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of runs of so many vectors."""
        height = max(1, _BLOCK // self.width // 4)
        for start in range(0, count, height):
            yield start, min(start + height, count)

    def _within_reach(self, near: Float32, depth: int, query: Float32) -> Int64:
        """The rows that may be among the best `depth`, rising."""
        if depth >= len(near):
            return np.arange(len(near))
        last = np.partition(near, len(near) - depth)[len(near) - depth]
        return np.flatnonzero(near >= last - 2 * self._margin(query))

    def _margin(self, query: Float32) -> float:
        """How far rounding takes a float32 dot product at most: width · u · |q| · |d| (Higham 2002, 3.1).

        Twice that, with room for the scale and for the rounding of the exact one.
        """
        length = float(np.linalg.norm(query.astype(np.float64)))
        return (self.width + 4) * float(np.finfo(np.float32).eps) * length * self.longest

    def _exact(self, query: Float32, rows: Int64) -> Float32:
        """Sums in float64, each row in the same order, rounded once."""
        sums, wide = np.empty(len(rows)), query.astype(np.float64)
        for start, stop in self._blocks(len(rows)):
            # A row's own sum: its order depends on the width alone, as that of a product would not.
            sums[start:stop] = (self.vectors[rows[start:stop]] * wide).sum(axis=1)
        if self.scales is not None:
            sums *= self.scales[rows]
        rounded: Float32 = sums.astype(np.float32)
        return rounded

    def save(self, folder: Path) -> None:
        """A folder that `load` maps into memory."""

        def fill(fresh: Path) -> None:
            np.save(fresh / "vectors.npy", self.vectors)
            if self.scales is not None:
                np.save(fresh / "scales.npy", self.scales)

        facts = {
            "encoder": self.fingerprint,
            "width": self.width,
            "documents": len(self),
            "precision": self.precision,
            "longest": self.longest,
        }
        write_index(folder, KIND, facts, fill)


def load(folder: Path, fingerprint: str | None = None) -> ExactIndex:
    """The index that `save` wrote, memory-mapped; its files are read once, to compare them with their hashes.

    Raises ArtifactError where a file is missing, damaged or of another form, or where the vectors are not of
    the encoder with this fingerprint.
    """
    manifest = read_index(folder, KIND)
    if fingerprint is not None and manifest.get("encoder") != fingerprint:
        raise ArtifactError(
            f"{folder}: its vectors are of encoder {manifest.get('encoder')}, and queries come from "
            f"{fingerprint}: vectors of two encoders are not comparable; open that encoder, or encode the "
            "documents again"
        )
    try:
        documents, width, precision = (manifest[key] for key in ("documents", "width", "precision"))
        vectors = _mapped(folder / "vectors.npy", (documents, width), PRECISIONS[precision])
        scales = _mapped(folder / "scales.npy", (documents,), np.float32) if precision == "int8" else None
        return ExactIndex(vectors, scales, manifest["encoder"], float(manifest["longest"]))
    except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise unsound(folder, error) from error


def _mapped(file: Path, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != kind:
        raise ValueError(
            f"{file.name} must be {np.dtype(kind)} {list(shape)}, got {array.dtype} {list(array.shape)}"
        )
    # A plain view: a memmap's own indexing costs ten times as much.
    return np.asarray(array)
