"""Kept embeddings: what is computed, how often, and that damage never becomes a vector."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ranking.errors import DataError
from ranking.retrieval.encoders import cache as module
from ranking.retrieval.encoders import embed

WIDTH = 4
TEXTS = ["sea", "a long text", "", "sea", "red", "mid one"]


class Counting:
    """A text's vector is made of its letters; every text asked for is noted."""

    name, width = "counting", WIDTH

    def __init__(self, fingerprint: str = "f" * 64, stop_at: int | None = None) -> None:
        self.fingerprint, self.stop_at = fingerprint, stop_at
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        if self.stop_at is not None and len(self.asked) > self.stop_at:
            raise KeyboardInterrupt
        return np.array([vector(text) for text in texts], np.float32)

    def save(self, folder: Path) -> None: ...


def vector(text: str) -> list[float]:
    return [len(text), text.count("e"), text.count("a"), float(bool(text))]


def expected(texts: Sequence[str] = TEXTS) -> list[list[float]]:
    return [vector(text) for text in texts]


@pytest.fixture(autouse=True)
def chunks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 2)


def files(cache: Path) -> list[Path]:
    return sorted((cache / ("f" * 64)).iterdir())


def test_vectors_come_in_the_order_given_and_a_text_is_encoded_once() -> None:
    encoder = Counting()
    found = embed(encoder, TEXTS)
    assert found.dtype == np.float32
    assert found.tolist() == expected()
    assert encoder.asked == ["a long text", "mid one", "sea", "red", ""]  # the longest first
    assert embed(encoder, []).shape == (0, WIDTH)


def test_kept_texts_are_not_encoded_again(tmp_path: Path) -> None:
    embed(Counting(), TEXTS[:3], tmp_path)
    encoder = Counting()
    assert embed(encoder, TEXTS, tmp_path).tolist() == expected()
    assert encoder.asked == ["mid one", "red"]
    last = Counting()
    assert embed(last, TEXTS[::-1], tmp_path).tolist() == expected()[::-1]
    assert last.asked == []
    assert [file.name for file in files(tmp_path)] == ["0000.index", "0000.vectors"]


def test_another_encoder_has_other_vectors(tmp_path: Path) -> None:
    embed(Counting(), TEXTS, tmp_path)
    other = Counting("e" * 64)
    embed(other, TEXTS, tmp_path)
    assert len(other.asked) == 5


def test_progress_counts_distinct_texts(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    embed(Counting(), TEXTS[:2], tmp_path)
    embed(Counting(), TEXTS, tmp_path, lambda done, total: said.append((done, total)))
    assert said == [(2, 5), (4, 5), (5, 5)]


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(Counting(stop_at=4), TEXTS, tmp_path)
    encoder = Counting()
    assert embed(encoder, TEXTS, tmp_path).tolist() == expected()
    assert encoder.asked == [""]


@pytest.mark.parametrize("suffix", ["index", "vectors"])
@pytest.mark.parametrize("lost", [1, 7, 25, 200])
def test_a_half_written_end_is_cut_off(suffix: str, lost: int, tmp_path: Path) -> None:
    """As a kill leaves it: any number of the last bytes of either file are not there."""
    embed(Counting(), TEXTS, tmp_path)
    file = tmp_path / ("f" * 64) / f"0000.{suffix}"
    content = file.read_bytes()
    file.write_bytes(content[: max(0, len(content) - lost)])
    first, then = Counting(), Counting()
    assert embed(first, TEXTS, tmp_path).tolist() == expected()
    assert first.asked
    assert embed(then, TEXTS, tmp_path).tolist() == expected()
    assert then.asked == []
    index, vectors = files(tmp_path)
    assert (index.stat().st_size, vectors.stat().st_size) == (5 * 20, 5 * 4 * WIDTH)


@pytest.mark.parametrize("change", ["vectors", "index"])
def test_a_damaged_vector_is_encoded_again(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bit of the third vector, or of its checksum: the new one is found from then on."""
    embed(Counting(), TEXTS, tmp_path)
    file = tmp_path / ("f" * 64) / f"0000.{change}"
    content = bytearray(file.read_bytes())
    content[2 * 4 * WIDTH + 5 if change == "vectors" else 2 * 20 + 17] ^= 4
    file.write_bytes(content)
    first, then = Counting(), Counting()
    with caplog.at_level(logging.WARNING):
        assert embed(first, TEXTS, tmp_path).tolist() == expected()
    assert first.asked == ["sea"]
    assert "0000.vectors: 1 damaged vectors are encoded again" in caplog.text
    assert embed(then, TEXTS, tmp_path).tolist() == expected()
    assert then.asked == []


def test_a_vector_under_the_name_of_another_text_is_not_used(tmp_path: Path) -> None:
    embed(Counting(), TEXTS, tmp_path)
    file = files(tmp_path)[0]
    entries = np.fromfile(file, module._ENTRY)
    entries["text"][[0, 1]] = entries["text"][[1, 0]]
    entries.tofile(file)
    encoder = Counting()
    assert embed(encoder, TEXTS, tmp_path).tolist() == expected()
    assert encoder.asked == ["a long text", "mid one"]


def test_any_changed_byte_gives_no_wrong_vector(tmp_path: Path) -> None:
    embed(Counting(), TEXTS, tmp_path)
    for file in files(tmp_path):
        whole = file.read_bytes()
        for place in range(len(whole)):
            content = bytearray(whole)
            content[place] ^= 0x41
            file.write_bytes(content)
            assert embed(Counting(), TEXTS, tmp_path).tolist() == expected()
            for other in files(tmp_path):  # without what the healing appended
                other.write_bytes(other.read_bytes()[: 5 * (20 if other.suffix == ".index" else 4 * WIDTH)])
        file.write_bytes(whole)


def test_two_writers_have_files_of_their_own(tmp_path: Path) -> None:
    """While another holds the first pair a second is begun; both are read."""
    embed(Counting(), TEXTS[:2], tmp_path)
    with files(tmp_path)[0].open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        embed(Counting(), TEXTS, tmp_path)
    assert [file.name for file in files(tmp_path)] == [
        "0000.index",
        "0000.vectors",
        "0001.index",
        "0001.vectors",
    ]
    encoder = Counting()
    assert embed(encoder, TEXTS, tmp_path).tolist() == expected()
    assert encoder.asked == []
    embed(Counting(), [*TEXTS, "new"], tmp_path)
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda texts: np.zeros((len(texts), 3)), r"expected vectors \[2, 4\], got \[2, 3\]"),
        (lambda texts: np.full((len(texts), 4), np.nan), "expected finite vectors"),
    ],
)
def test_an_encoder_that_errs_is_not_kept(
    wrong: Callable, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Counting()
    monkeypatch.setattr(encoder, "encode", wrong)
    with pytest.raises(DataError, match=message):
        embed(encoder, TEXTS, tmp_path)
    assert [file.stat().st_size for file in files(tmp_path)] == [0, 0]


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="expected a cache of embeddings that can be read and written"):
        embed(Counting(), TEXTS, tmp_path / "file")
