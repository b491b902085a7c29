"""Towers: what they compute, what they are called, what comes back from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError, DataError
from ranking.retrieval.encoders.encoder import unit
from ranking.retrieval.towers import FILE, Tower, Towers, load

RNG = np.random.default_rng(0)
VECTORS = unit(RNG.normal(size=(9, 6)).astype(np.float32))


def tower(hidden: int, seed: int = 0) -> Tower:
    rng = np.random.default_rng(seed)
    shapes = (6, 6), (6, hidden), (hidden, 6)
    return Tower(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


def test_a_tower_is_its_formula() -> None:
    one = tower(3)
    by_hand = np.stack([x + x @ one.linear + np.maximum(x @ one.into, 0) @ one.out for x in VECTORS])
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    np.testing.assert_allclose(one(VECTORS), by_hand, atol=1e-6)


def test_a_vector_of_zeros_stays_one() -> None:
    assert not tower(3)(np.zeros((1, 6), np.float32)).any()


def test_the_identity_is_the_encoder() -> None:
    towers = Towers("encoder")
    assert towers.identity
    assert towers.fingerprint == towers.document_fingerprint == "encoder"
    assert towers.queries(VECTORS) is VECTORS
    assert towers.documents(VECTORS) is VECTORS


def test_documents_keep_their_fingerprint_where_queries_alone_change() -> None:
    """So an index of the encoder's documents still fits."""
    towers = Towers("encoder", query=tower(0))
    assert towers.document_fingerprint == "encoder" != towers.fingerprint
    other = Towers("encoder", query=tower(0, seed=1))
    assert other.fingerprint != towers.fingerprint != Towers("another", query=tower(0)).fingerprint
    assert Towers("encoder", document=tower(0)).document_fingerprint != "encoder"


SHARED = tower(2)


@pytest.mark.parametrize(
    ("towers", "sides"),
    [
        (Towers("e"), "query"),
        (Towers("e", tower(0)), "query"),
        (Towers("e", SHARED, SHARED), "shared"),
        (Towers("e", tower(2), tower(0, 1)), "both"),
    ],
    ids=["identity", "query", "shared", "both"],
)
def test_what_is_saved_comes_back(towers: Towers, sides: str, tmp_path: Path) -> None:
    towers.save(tmp_path / "towers")
    back = load(tmp_path / "towers")
    assert back.sides == towers.sides == sides
    assert back.fingerprint == towers.fingerprint
    assert back.encoder == "e"
    for a, b in ((back.queries, towers.queries), (back.documents, towers.documents)):
        np.testing.assert_array_equal(a(VECTORS), b(VECTORS))


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "manifest"])
def test_a_damaged_folder_is_refused(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "towers"
    Towers("e", tower(2)).save(folder)
    file = folder / ("manifest.json" if damage == "manifest" else FILE)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(bytes(content if damage != "cut" else content[:-1]))
    if damage == "gone":
        file.unlink()
    with pytest.raises(ArtifactError, match=str(folder)):
        load(folder)


def arrays(*shapes: tuple[int, int]) -> list[Float32]:
    return [np.zeros(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize(
    "shapes", [((6, 5), (6, 0), (0, 6)), ((6, 6), (6, 2), (3, 6)), ((6, 6), (5, 2), (2, 6))]
)
def test_arrays_that_do_not_fit_are_refused(shapes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(DataError, match=r"expected a tower \[d, d\]"):
        Tower(*arrays(*shapes))


def test_a_tower_is_finite() -> None:
    linear, into, out = arrays((6, 6), (6, 0), (0, 6))
    linear[0, 0] = np.nan
    with pytest.raises(DataError, match="finite"):
        Tower(linear, into, out)
