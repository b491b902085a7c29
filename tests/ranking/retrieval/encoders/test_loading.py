"""Encoders by name and by folder: which of them opens what."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ranking.errors import ArtifactError, UsageError
from ranking.retrieval.encoders import encoder_named, load_encoder
from ranking.retrieval.encoders.hashed import HashedNGrams
from ranking.retrieval.encoders.loading import _kind_of
from ranking.retrieval.encoders.minilm import MiniLM
from ranking.retrieval.encoders.static import StaticEncoder
from tests.ranking.retrieval.encoders.small import bert_folder, table_folder

MODULES = [
    {"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Normalize")
]


def test_a_name_or_a_folder(tmp_path: Path) -> None:
    assert isinstance(encoder_named("hashed"), HashedNGrams)
    assert isinstance(encoder_named(str(table_folder(tmp_path / "table"))), StaticEncoder)
    assert isinstance(encoder_named(str(bert_folder(tmp_path / "bert"))), MiniLM)


def test_another_name_is_not_looked_for_elsewhere() -> None:
    with pytest.raises(
        UsageError, match=r"unknown encoder 'minilmm'; did you mean 'minilm'\? .*PATH of a folder"
    ):
        encoder_named("minilmm")
    with pytest.raises(UsageError, match="unknown encoder 'sentence-transformers/all-MiniLM-L6-v2'"):
        encoder_named("sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(UsageError, match="expected the folder of an encoder"):
        load_encoder(Path("nowhere"))


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, "minilm"),
        ({"modules.json": MODULES}, "minilm"),
        ({"modules.json": MODULES, "1_Pooling/config.json": {"pooling_mode_mean_tokens": True}}, "minilm"),
        ({"modules.json": MODULES, "1_Pooling/config.json": {"pooling_mode": "mean"}}, "minilm"),
        (
            {"modules.json": MODULES, "1_Pooling/config.json": {"pooling_mode_cls_token": True}},
            "sentence-transformers",
        ),
        (
            {"modules.json": MODULES, "1_Pooling/config.json": {"pooling_mode": "cls"}},
            "sentence-transformers",
        ),
        ({"modules.json": [*MODULES[:2], {"type": "x.Dense"}]}, "sentence-transformers"),
        (
            {"modules.json": MODULES, "config_sentence_transformers.json": {"default_prompt_name": "query"}},
            "sentence-transformers",
        ),
        ({"modules.json": MODULES, "config.json": {"model_type": "mpnet"}}, "sentence-transformers"),
    ],
)
def test_minilm_opens_what_it_computes_alike(files: dict, kind: str, tmp_path: Path) -> None:
    """A BERT with mean pooling and no prompt; sentence-transformers the rest."""
    folder = bert_folder(tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    assert _kind_of(folder) == kind


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"expected encoder\.json of a saved encoder"):
        load_encoder(tmp_path)
    (tmp_path / "encoder.json").write_text('{"kind": "quantum", "parameters": {}, "fingerprint": ""}')
    with pytest.raises(ArtifactError, match="an encoder of the unknown kind 'quantum'"):
        load_encoder(tmp_path)
    (tmp_path / "encoder.json").unlink()
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json: expected JSON"):
        load_encoder(tmp_path)


def test_the_room_opens_without_torch_and_tokenizers() -> None:
    code = (
        "import sys, ranking.retrieval.encoders as e; e.encoder_named('hashed').encode(['x'])\n"
        "print([m for m in ('torch', 'tokenizers', 'pandas', 'sentence_transformers') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
