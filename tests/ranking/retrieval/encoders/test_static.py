"""Static embeddings: pooling by hand, idf weights, files of others, and what does not fit."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ranking.errors import ArtifactError, MissingPackageError
from ranking.retrieval.encoders import static
from ranking.retrieval.encoders.static import StaticEncoder
from tests.ranking.retrieval.encoders.small import WORDS, sentencepiece, table_folder, wordpiece

TOKENIZER = json.dumps(wordpiece()).encode()
TABLE = np.eye(len(WORDS), dtype=np.float32)
RED, SEA, SIDE, THE = (WORDS.index(word) for word in ("red", "sea", "##side", "the"))


def test_a_text_is_the_direction_of_its_tokens_sum() -> None:
    """Two of `red`, one each of `sea` and `##side`: (2, 1, 1) / √6; what is unknown adds nothing."""
    vector = StaticEncoder(TABLE, TOKENIZER).encode(["red seaside? RED"])[0]
    expected = np.zeros(len(WORDS))
    expected[[RED, SEA, SIDE]] = np.array([2, 1, 1]) / math.sqrt(6)
    assert vector == pytest.approx(expected, abs=1e-6)


def test_idf_weights_are_those_of_the_texts() -> None:
    """Of three texts `the` is in all, `red` in one: ln(1 + .5 / 3.5) and ln(1 + 2.5 / 1.5)."""
    encoder = StaticEncoder(TABLE, TOKENIZER).idf_weighted(["the red the", "the sea", "the sea"])
    expected = np.zeros(len(WORDS))
    expected[[THE, RED]] = math.log(1 + 0.5 / 3.5), math.log(1 + 2.5 / 1.5)
    assert encoder.encode(["the red"])[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


def test_spaces_are_no_text_though_some_tokenizers_have_tokens_for_them() -> None:
    told = sentencepiece()
    encoder = StaticEncoder(np.eye(len(told["model"]["vocab"]), dtype=np.float32), json.dumps(told).encode())
    assert encoder._tokens.ids(["  "]) != [[]]
    spaces, letters = encoder.encode(["  ", "a  b"])
    assert not spaces.any()
    assert letters.any()


def test_capitals_change_nothing() -> None:
    """This tokenizer keeps case, and its vocabulary has small letters alone."""
    told = sentencepiece()
    encoder = StaticEncoder(np.eye(len(told["model"]["vocab"]), dtype=np.float32), json.dumps(told).encode())
    small, shouted = encoder.encode(["a b", "A B"])
    assert small.any()
    assert small.tolist() == shouted.tolist()


def test_half_precision_tables_are_kept_as_they_are(tmp_path: Path) -> None:
    encoder = StaticEncoder(TABLE.astype(np.float16), TOKENIZER)
    encoder.save(tmp_path)
    again = StaticEncoder.load(tmp_path)
    assert again.table.dtype == np.float16
    assert again.fingerprint == encoder.fingerprint != StaticEncoder(TABLE, TOKENIZER).fingerprint


def test_a_folder_of_model2vec_is_opened(tmp_path: Path) -> None:
    encoder = StaticEncoder.load(table_folder(tmp_path / "potion"))
    assert (encoder.name, encoder.width) == ("potion", 8)


def test_the_installed_package_is_opened_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder laid out as wordllama's wheel, whose own code would fail."""
    package = tmp_path / "wordllama"
    for folder in ("weights", "tokenizers"):
        (package / folder).mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    told = sentencepiece()
    size = len(told["model"]["vocab"])
    save_file({"embedding.weight": np.ones((size, 4), np.float16)}, package / "weights/l2_256.safetensors")
    (package / "tokenizers/l2.json").write_text(json.dumps(told))
    monkeypatch.syspath_prepend(tmp_path)
    encoder = StaticEncoder.installed()
    assert (encoder.name, encoder.width) == ("wordllama", 4)
    (package / "weights/l2_256.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"expected weights/\*_256\.safetensors"):
        StaticEncoder.installed()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranking.retrieval.encoders.packages.find_spec", lambda _: None)
    with pytest.raises(
        MissingPackageError, match=r"'static' needs a package .*: pip install --no-deps wordllama"
    ):
        static.StaticEncoder.installed()


def test_tables_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"the tokenizer has 12 tokens, the table is \[5, 12\]"):
        StaticEncoder(TABLE[:5], TOKENIZER)
    with pytest.raises(ArtifactError, match=r"expected weights \[12\], got \[3\]"):
        StaticEncoder(TABLE, TOKENIZER, np.ones(3, np.float32))
    folder = table_folder(tmp_path / "one")
    save_file({"a": TABLE, "b": TABLE}, folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"expected one table \[tokens, width\], got"):
        StaticEncoder.load(folder)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match="expected a token table and its tokenizer"):
        StaticEncoder.load(folder)
