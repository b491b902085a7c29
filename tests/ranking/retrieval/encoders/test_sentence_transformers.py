"""The adapter, with a stand-in for the package: what it is asked for, and what becomes of its vectors."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ranking.errors import ArtifactError, MissingPackageError, UsageError
from ranking.retrieval.encoders import load_encoder
from ranking.retrieval.encoders.sentence_transformers import SentenceTransformersEncoder

ASKED: dict[str, Any] = {}


class StandIn:
    """Vectors (length of the text, 1, 0)."""

    def __init__(self, path: str, **options: Any) -> None:
        ASKED.update(options, path=path)
        if (Path(path) / "broken").exists():
            raise OSError("no weights")

    def encode(self, texts: str | list[str], **_: Any) -> np.ndarray:
        if isinstance(texts, str):
            return np.array([len(texts), 1, 0], np.float64)
        return np.array([[len(text), 1, 0] for text in texts], np.float64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = ModuleType("sentence_transformers")
    package.SentenceTransformer = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    place = tmp_path / "mpnet"
    (place / "1_Pooling").mkdir(parents=True)
    (place / "modules.json").write_text("[]")
    (place / "1_Pooling" / "config.json").write_text("{}")
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "pytorch_model.bin").write_bytes(b"pickled")
    return place


def test_a_folder_is_opened_offline_without_its_code_and_without_pickles(folder: Path) -> None:
    encoder = load_encoder(folder)
    assert isinstance(encoder, SentenceTransformersEncoder)
    assert (encoder.name, encoder.width) == ("mpnet", 3)
    assert (ASKED["path"], ASKED["local_files_only"]) == (str(folder.resolve()), True)
    assert ASKED["trust_remote_code"] is False
    assert ASKED["model_kwargs"] == {"use_safetensors": True}


def test_vectors_are_of_length_1_and_blank_texts_are_zeros(folder: Path) -> None:
    found = SentenceTransformersEncoder(folder).encode(["", "red", " "])
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[0, 0, 0], [3, 1, 0], [0, 0, 0]]) / np.sqrt(10), abs=1e-6)


def test_a_saved_folder_is_the_same_encoder_until_it_changes(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "saved"
    place.mkdir()
    encoder = SentenceTransformersEncoder(folder, "mine")
    encoder.save(place)
    again = load_encoder(place)
    assert (again.name, again.fingerprint) == ("mine", encoder.fingerprint)
    assert not (place / "pytorch_model.bin").exists()
    (place / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    with pytest.raises(ArtifactError, match="its weights are not those that were saved"):
        load_encoder(place)


def test_a_name_is_never_looked_up(folder: Path) -> None:
    ASKED.clear()
    with pytest.raises(UsageError, match="opened by path, and never fetched by name"):
        SentenceTransformersEncoder(Path("sentence-transformers/all-MiniLM-L6-v2"))
    assert ASKED == {}


def test_what_cannot_be_opened_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "broken").touch()
    with pytest.raises(ArtifactError, match="mpnet: sentence-transformers cannot open it: no weights"):
        SentenceTransformersEncoder(folder)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingPackageError, match="pip install sentence-transformers"):
        SentenceTransformersEncoder(folder)
