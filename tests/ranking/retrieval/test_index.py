"""The nearest vectors are those of brute force, with ties, in batches, from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError, DataError, UsageError
from ranking.retrieval import index as module
from ranking.retrieval.index import ExactIndex, load
from ranking.retrieval.stored import write_index


def unit(rng: np.random.Generator, count: int, width: int) -> Float32:
    drawn = rng.normal(size=(count, width))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def by_force(index: ExactIndex, query: Float32) -> Float32:
    """Each dot product for itself, in float64."""
    scales = np.ones(len(index)) if index.scales is None else index.scales
    return np.array(
        [
            np.float32(np.sum(row.astype(np.float64) * query.astype(np.float64)) * scale)
            for row, scale in zip(index.vectors, scales, strict=True)
        ]
    )


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("seed", range(4))
def test_the_nearest_are_those_of_brute_force_equal_ones_by_row(seed: int, precision: Any) -> None:
    """Every vector stands there about three times, so that each place is tied; width 33 has odd edges."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 70, 33)[rng.integers(70, size=200)]
    index = ExactIndex.of(vectors, "encoder", precision)
    queries = np.concatenate([unit(rng, 5, 33), vectors[:3], np.zeros((1, 33), np.float32)])
    for depth in (1, 10, 199, 250):
        found = index.search(queries, depth)
        for query, rows, scores in zip(queries, found.rows, found.scores, strict=True):
            every = by_force(index, query)
            expected = np.lexsort((np.arange(200), -every))[:depth]
            np.testing.assert_array_equal(rows[: len(expected)], expected)
            np.testing.assert_array_equal(scores[: len(expected)], every[expected])
            assert (rows[len(expected) :] == -1).all()
            assert (scores[len(expected) :] == -np.inf).all()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_query_finds_the_same_alone_and_in_blocks(monkeypatch: pytest.MonkeyPatch, precision: Any) -> None:
    rng = np.random.default_rng(0)
    index = ExactIndex.of(unit(rng, 300, 24), "encoder", precision)
    queries = unit(rng, 20, 24)
    together = index.search(queries, 12)
    monkeypatch.setattr(module, "_BLOCK", 1000)
    in_blocks = index.search(queries, 12)
    alone = [index.search(query[None], 12) for query in queries]
    for name in ("rows", "scores"):
        np.testing.assert_array_equal(getattr(in_blocks, name), getattr(together, name))
        np.testing.assert_array_equal(
            np.concatenate([getattr(one, name) for one in alone]), getattr(together, name)
        )


def test_the_rounding_of_products_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they are off by within their bound."""
    rng = np.random.default_rng(6)
    index = ExactIndex.of(unit(rng, 40, 64)[rng.integers(40, size=400)], "encoder")
    queries = unit(rng, 10, 64)
    expected = index.search(queries, 15)
    exact = np.stack([index.scores(query, np.arange(400)) for query in queries])
    off = (rng.integers(2, size=exact.shape) - 0.5) * 64 * np.finfo(np.float32).eps
    monkeypatch.setattr(ExactIndex, "_products", lambda self, block: (exact + off).astype(np.float32))
    np.testing.assert_array_equal(index.search(queries, 15).rows, expected.rows)


def test_scores_of_any_rows_are_those_of_the_search() -> None:
    rng = np.random.default_rng(1)
    index = ExactIndex.of(unit(rng, 100, 16), "encoder")
    (query,) = unit(rng, 1, 16)
    found = index.search(query[None], 100)
    order = rng.permutation(100)
    np.testing.assert_array_equal(index.scores(query, found.rows[0, order]), found.scores[0, order])


def test_lengths_far_from_one_are_no_trouble() -> None:
    """The margin grows with the vectors; one huge row must not hide in it what is close."""
    rng = np.random.default_rng(2)
    vectors = (unit(rng, 500, 40) * np.exp(rng.normal(size=(500, 1)) * 5)).astype(np.float32)
    index = ExactIndex.of(vectors, "encoder")
    for query in unit(rng, 10, 40):
        expected = np.argsort(-by_force(index, query), kind="stable")[:10]
        np.testing.assert_array_equal(index.search(query[None], 10).rows[0], expected)


def test_int8_finds_nearly_all_that_float32_finds() -> None:
    rng = np.random.default_rng(3)
    vectors, queries = unit(rng, 2000, 128), unit(rng, 50, 128)
    exact, small = (ExactIndex.of(vectors, "encoder", one).search(queries, 10) for one in ("float32", "int8"))
    shared = [
        len(set(a) & set(b)) / 10 for a, b in zip(exact.rows.tolist(), small.rows.tolist(), strict=True)
    ]
    assert np.mean(shared) > 0.95
    assert np.abs(exact.scores - small.scores).max() < 0.005


def test_a_zero_vector_has_a_place_in_int8() -> None:
    index = ExactIndex.of(np.array([[0, 0], [1, -2]], np.float32), "encoder", "int8")
    assert index.search(np.array([[0, 1]], np.float32), 2).rows.tolist() == [[0, 1]]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_loaded_index_gives_the_same(tmp_path: Path, precision: Any) -> None:
    rng = np.random.default_rng(4)
    index, queries = ExactIndex.of(unit(rng, 50, 8), "minilm-1", precision), unit(rng, 5, 8)
    index.save(tmp_path / "index")
    loaded = load(tmp_path / "index", "minilm-1")
    assert (len(loaded), loaded.width, loaded.precision, loaded.fingerprint) == (50, 8, precision, "minilm-1")
    np.testing.assert_array_equal(loaded.search(queries, 7).rows, index.search(queries, 7).rows)
    np.testing.assert_array_equal(loaded.search(queries, 7).scores, index.search(queries, 7).scores)
    assert isinstance(loaded.vectors.base, np.memmap)


def saved(folder: Path) -> Path:
    ExactIndex.of(unit(np.random.default_rng(5), 20, 8), "minilm-1").save(folder)
    return folder


def test_vectors_of_another_encoder_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "index")
    load(folder)
    with pytest.raises(ArtifactError, match="are of encoder minilm-1, and queries come from minilm-2"):
        load(folder, "minilm-2")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "vectors.npy is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-4]), "expected 768 bytes, got 764"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"), "its content is not what was written"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(saved(tmp_path / "index") / "vectors.npy")
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "index")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 2), np.float64), r"must be float32 \[3, 2\], got float64 \[3, 2\]"),
        (np.zeros((3, 1), np.float32), r"must be float32 \[3, 2\], got float32 \[3, 1\]"),
        (np.array([[object()]]), "Python objects"),
    ],
)
def test_an_array_that_the_manifest_does_not_describe_is_refused(
    tmp_path: Path, array: Any, message: str
) -> None:
    facts = {"encoder": "e", "width": 2, "documents": 3, "precision": "float32", "longest": 1.0}
    write_index(tmp_path / "index", "vectors", facts, lambda fresh: np.save(fresh / "vectors.npy", array))
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "index")


def test_vectors_and_queries_that_cannot_be_are_refused() -> None:
    good = np.ones((2, 3), np.float32)
    with pytest.raises(UsageError, match="unknown precision 'int4'"):
        ExactIndex.of(good, "e", "int4")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one at least, got shape"):
        ExactIndex.of(good[:0], "e")
    with pytest.raises(DataError, match=r"document 1 .* not finite"):
        ExactIndex.of(np.array([[1, 1], [np.inf, 1]], np.float32), "e")
    with pytest.raises(DataError, match=r"expected queries \[queries, 3\], got shape \(1, 2\)"):
        ExactIndex.of(good, "e").search(np.ones((1, 2), np.float32), 1)
    with pytest.raises(DataError, match="not finite"):
        ExactIndex.of(good, "e").scores(np.full(3, np.nan, np.float32), np.array([0]))
