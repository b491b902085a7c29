"""What holds of every encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ranking.errors import ArtifactError
from ranking.retrieval.encoders import Encoder, load_encoder
from ranking.retrieval.encoders.hashed import HashedNGrams
from ranking.retrieval.encoders.minilm import MiniLM
from ranking.retrieval.encoders.static import StaticEncoder
from tests.ranking.retrieval.encoders.small import bert_folder, table_folder

TEXTS = ["red sea", "the blue of the seaside", "green", "red sea", "a red green blue " * 9, "sea the of"]

ENCODERS: dict[str, Callable[[Path], Encoder]] = {
    "hashed": lambda _: HashedNGrams(buckets=256, width=32),
    "hashed, fitted": lambda _: HashedNGrams(buckets=256, width=32).fitted(TEXTS),
    "static": lambda place: StaticEncoder.load(table_folder(place / "table")),
    "static, idf": lambda place: StaticEncoder.load(table_folder(place / "table")).idf_weighted(TEXTS),
    "minilm, float32": lambda place: MiniLM.load(bert_folder(place / "bert"), "float32"),
    "minilm, bfloat16": lambda place: MiniLM.load(bert_folder(place / "bert"), "bfloat16"),
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Encoder:
    return ENCODERS[request.param](tmp_path)


def test_vectors_are_float32_of_length_1(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.width)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)


def test_no_text_and_texts_without_a_known_token_give_zeros(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.width)
    vectors = encoder.encode(["", "red", " \n ", "☃ ☃"])
    assert np.abs(vectors).sum(1).tolist()[::2] == [0, 0]
    assert vectors[3].tolist() == [0] * encoder.width
    assert np.linalg.norm(vectors[1]) == pytest.approx(1, abs=1e-6)


def test_a_text_has_one_vector_whatever_stands_beside_it(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert together[0].tolist() == together[3].tolist()
    # Bits differ where sums are taken in another order; in bfloat16 they have eight.
    assert together == pytest.approx(
        alone, abs=2e-2 if getattr(encoder, "precision", "") == "bfloat16" else 1e-5
    )
    assert np.abs(together[0] - together[2]).max() > 0.05


def test_half_a_character_does_no_harm(encoder: Encoder) -> None:
    assert np.isfinite(encoder.encode(["red \ud800 sea"])).all()


def test_a_saved_encoder_is_the_same_one(encoder: Encoder, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    encoder.save(folder)
    again = load_encoder(folder)
    assert type(again) is type(encoder)
    assert (again.name, again.width, again.fingerprint) == (encoder.name, encoder.width, encoder.fingerprint)
    assert again.encode(TEXTS).tolist() == encoder.encode(TEXTS).tolist()


def test_a_changed_weight_is_noticed(encoder: Encoder, tmp_path: Path) -> None:
    """The last byte of a file of weights is one of a number."""
    folder = tmp_path / "saved"
    folder.mkdir()
    encoder.save(folder)
    for file in folder.glob("*.safetensors"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        with pytest.raises(ArtifactError, match="its weights are not those that were saved"):
            load_encoder(folder)


def test_no_two_encoders_have_one_fingerprint(tmp_path: Path) -> None:
    prints = {make(tmp_path / name).fingerprint for name, make in ENCODERS.items()}
    prints |= {HashedNGrams(buckets=256, width=32, seed=1).fingerprint, HashedNGrams().fingerprint}
    assert len(prints) == len(ENCODERS) + 2
    assert all(len(one) == 64 for one in prints)
