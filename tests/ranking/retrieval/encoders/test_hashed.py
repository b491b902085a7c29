"""Hashed n-grams: the sums of the definition, what fitting does, and that no process differs from another."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from Stemmer import Stemmer

from ranking.errors import ArtifactError, UsageError
from ranking.retrieval.encoders.hashed import HashedNGrams

TEXTS = ["The cats sat. The cat sat!", "dogs", "a cat, a dog and other animals", ""]


def mixed(number: int) -> int:
    """splitmix64 with Python's own integers."""
    mask = (1 << 64) - 1
    number = (number + 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)


def bucket(feature: int, kind: int, encoder: HashedNGrams) -> int:
    return mixed((feature + (kind << 60)) & ((1 << 64) - 1)) % encoder.buckets


def signs(place: int, encoder: HashedNGrams) -> np.ndarray:
    """Sign i of a bucket is bit 7 − i % 8 of byte i // 8 of its row of little-endian hashes."""
    found = []
    for bit in range(encoder.width):
        byte = place * encoder.width // 8 + bit // 8
        number = mixed((byte // 8 + mixed(encoder.seed)) & ((1 << 64) - 1))
        found.append(2 * (number >> (8 * (byte % 8)) >> (7 - bit % 8) & 1) - 1)
    return np.array(found, float)


def features(text: str, encoder: HashedNGrams) -> list[tuple[int, float]]:
    """(bucket, weight) of every feature of a text, one at a time, as the head of the module says."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    stems = [zlib.crc32(Stemmer("english").stemWord(word).encode()) for word in words]
    found = []
    for word, stem in dict(zip(words, stems, strict=True)).items():
        count = 1 + math.log(words.count(word))
        found.append((bucket(stem, 1, encoder), count))
        marked = f"<{word}>"
        grams = [marked[i : i + 4] for i in range(len(marked) - 3)] or [marked]
        share = count / math.sqrt(len(grams))
        found += [(bucket(zlib.crc32(gram.encode()), 3, encoder), share) for gram in grams]
    pairs = [(left << 32) | right for left, right in pairwise(stems)]
    return found + [(bucket(mixed(pair), 2, encoder), 0.1) for pair in pairs]


@pytest.mark.parametrize("fitted", [False, True])
def test_vectors_are_the_sums_of_the_definition(fitted: bool) -> None:
    encoder = HashedNGrams(buckets=64, width=24, seed=7)
    if fitted:
        encoder = encoder.fitted(TEXTS)
    weights = np.ones(64) if encoder.weights is None else encoder.weights
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        expected = np.zeros(24)
        for place, weight in features(text, encoder):
            expected += weight * weights[place] * signs(place, encoder)
        length = np.linalg.norm(expected)
        assert vector == pytest.approx(expected / length if length else expected, abs=1e-5)


def test_fitting_learns_the_idf_of_buckets() -> None:
    encoder = HashedNGrams(buckets=1024, width=8)
    fitted = encoder.fitted(iter(TEXTS))
    frequency = np.zeros(1024)
    for text in TEXTS:
        frequency[list({place for place, _ in features(text, encoder)})] += 1
    assert fitted.weights == pytest.approx(np.log(1 + (4 - frequency + 0.5) / (frequency + 0.5)), rel=1e-6)
    assert fitted.weights is not None
    assert len(set(fitted.weights.tolist())) == 3  # in no, one or two texts
    assert encoder.weights is None


def test_more_texts_than_are_taken_together() -> None:
    texts = [f"word{number} common" for number in range(600)]
    encoder = HashedNGrams(buckets=4096, width=16)
    assert encoder.encode(texts)[599].tolist() == encoder.encode(texts[599:])[0].tolist()
    fitted = encoder.fitted(texts).weights
    assert fitted is not None
    assert fitted.min() == pytest.approx(math.log(1 + 0.5 / 600.5), rel=1e-5)


def test_inflections_and_slips_are_near() -> None:
    ranked, ranking, rankign, banana = HashedNGrams().encode(
        ["ranked list", "ranking lists", "rankign lst", "bananas"]
    )
    assert ranked @ ranking > ranked @ rankign > 0.2 > abs(ranked @ banana)


def test_it_is_the_same_in_every_process() -> None:
    """Written down from a run: a change here is a change of all indexes that were built."""
    encoder = HashedNGrams(buckets=1024, width=16)
    assert encoder.fingerprint.startswith(FINGERPRINT)
    assert encoder.encode(["learning to rank"])[0, :4].tolist() == pytest.approx(FIRST, abs=1e-6)


FINGERPRINT = "7e8368df660dfd1b"
FIRST = [0.0796132, -0.2229549, -0.0902778, -0.5011097]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"buckets": 1000}, "buckets must be a power of two, got 1000"),
        ({"width": 12}, "width must be a multiple of 8, got 12"),
        ({"language": "englsh"}, "did you mean 'english'"),
        ({"weights": np.ones(3, np.float32)}, r"weights must be \[262144\]"),
    ],
)
def test_parameters_out_of_range(wrong: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(HashedNGrams(), **wrong)


def test_a_damaged_folder(tmp_path: Path) -> None:
    encoder = HashedNGrams(buckets=64, width=8).fitted(TEXTS)
    encoder.save(tmp_path)
    (tmp_path / "idf.safetensors").write_bytes(b"no")
    with pytest.raises(ArtifactError, match="not a sound hashed encoder"):
        HashedNGrams.load(tmp_path)
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"encoder\.json: expected kind, parameters and fingerprint"):
        HashedNGrams.load(tmp_path)
