"""BM25: its numbers by hand, its fields, its folder."""

from __future__ import annotations

import json
import re
from math import log
from pathlib import Path

import numpy as np
import pytest

from ranking.errors import ArtifactError, DataError, UsageError
from ranking.retrieval.lexical import BM25, build, load

FIELDS = {
    "title": ["Red shoes", "Blue shoes", "", "Red red wine"],
    "text": ["for running", "for walking in the rain", "a hat", "for running"],
}
INDEX = build(FIELDS)


def test_scores_are_the_formula_by_hand() -> None:
    """red: in 2 of 4 documents, once in the first (3 terms), twice in the last (4); mean length 3."""
    idf = log(1 + 2.5 / 2.5)
    first = idf * 1 / (1 + 1.2 * (0.5 + 0.5 * 3 / 3))
    last = idf * 2 / (2 + 1.2 * (0.5 + 0.5 * 4 / 3))
    found = INDEX.search(["red"], 3)
    assert found.rows.tolist() == [[3, 0, -1]]
    np.testing.assert_allclose(found.scores[0, :2], [last, first], rtol=1e-6)
    assert found.scores[0, 2] == -np.inf


def test_a_term_counts_as_often_as_a_query_has_it() -> None:
    np.testing.assert_allclose(
        INDEX.search(["red red"], 2).scores, 2 * INDEX.search(["red"], 2).scores, rtol=1e-6
    )


def test_documents_without_a_term_of_the_query_are_left_out() -> None:
    found = INDEX.search(["unheard", "", "the", "hats"], 4)
    assert found.rows.tolist() == [[-1] * 4] * 3 + [[2, -1, -1, -1]]


def test_equal_scores_stand_by_row() -> None:
    index = build({"text": ["rare word", "word", "word", "word"]})
    assert index.search(["word"], 2).rows.tolist() == [[1, 2]]


def test_a_weight_adds_the_score_of_its_field_alone() -> None:
    weighted = build(FIELDS, BM25(weights={"title": 0.5}))
    rows = np.arange(4)
    for query in ("red shoes", "running", "rain hat"):
        together, title = INDEX.scores(query, rows), build({"title": FIELDS["title"]}).scores(query, rows)
        np.testing.assert_allclose(weighted.scores(query, rows), together + 0.5 * title, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_any_rows_are_those_of_the_search_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = [f"w{number}" for number in range(30)]
    texts = {name: [" ".join(rng.choice(words, 6)) for _ in range(50)] for name in ("title", "text")}
    index = build(texts, BM25(weights={"title": 0.3}))
    queries = [" ".join(rng.choice(words, 4)) for _ in range(10)]
    for query, rows, scores in zip(queries, *vars(index.search(queries, 50)).values(), strict=True):
        expected = np.zeros(50, np.float32)
        expected[rows[rows >= 0]] = scores[rows >= 0]
        some = rng.permutation(50)[:20]
        np.testing.assert_array_equal(index.scores(query, some), expected[some])


def test_a_loaded_index_gives_the_same_and_its_folder_the_same_bytes(tmp_path: Path) -> None:
    index = build(FIELDS, BM25(k1=0.9, b=0.3, weights={"title": 0.5}, language="german"))
    for name in ("one", "two", "two"):
        index.save(tmp_path / name)
    loaded = load(tmp_path / "two")
    assert (loaded.settings, len(loaded)) == (index.settings, 4)
    ours, theirs = (one.search(["red shoes", "hat"], 4) for one in (index, loaded))
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert (tmp_path / "one/manifest.json").read_bytes() == (tmp_path / "two/manifest.json").read_bytes()
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".npy", ".json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "it has no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[1"), "no manifest of an index"),
        (lambda folder: (folder / "0/data.csc.index.npy").unlink(), "data.csc.index.npy is missing"),
        (lambda folder: damaged(folder / "0/data.csc.index.npy"), "its content is not what was written"),
        (lambda folder: (folder / "0/vocab.index.json").write_text("{}"), "expected .* bytes, got 2"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                (folder / "manifest.json").read_text().replace('"k1": 1.2', '"k1": 1.3')
            ),
            "changed after it was written",
        ),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    INDEX.save(tmp_path / "index")
    load(tmp_path / "index")
    damage(tmp_path / "index")  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path / "index")


def test_files_that_make_no_index_are_refused(tmp_path: Path) -> None:
    from ranking.retrieval.stored import write_index

    write_index(tmp_path / "other", "vectors", {}, lambda fresh: None)
    with pytest.raises(ArtifactError, match="expected bm25 of format 1, got 'vectors'"):
        load(tmp_path / "other")
    write_index(tmp_path / "empty", "bm25", {"settings": {"k1": -1.0}}, lambda fresh: None)
    with pytest.raises(ArtifactError, match="its files make no index: k1 of BM25"):
        load(tmp_path / "empty")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k1": 0.0}, "k1 of BM25 must be a number above 0"),
        ({"k1": float("nan")}, "k1 of BM25"),
        ({"b": 1.5}, "b of BM25 must lie in 0 … 1, got 1.5"),
        ({"weights": {"title": 0.0}}, "weight of field 'title' must be above 0, got 0.0: leave it out"),
        ({"weights": {"titel": 1.0}}, "unknown field 'titel'; did you mean 'title'"),
        ({"language": "klingon"}, "unknown language 'klingon'"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        build(FIELDS, BM25(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "weights", "message"),
    [
        ({}, {}, "one document at least"),
        ({"text": []}, {}, "one document at least"),
        ({"text": ["a", "b"], "title": ["a"]}, {}, "a text for every document"),
        ({"text": ["", "the"]}, {}, "none of the 2 documents has a term"),
        ({"text": ["word"], "tags": [""]}, {"tags": 1.0}, "field 'tags' has a weight and no term"),
    ],
)
def test_texts_that_cannot_be_searched_are_refused(
    fields: dict[str, list[str]], weights: dict[str, float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        build(fields, BM25(weights=weights))


def test_settings_go_through_json() -> None:
    settings = BM25(k1=0.9, weights={"title": 0.25})
    assert BM25(**json.loads(json.dumps(settings.as_json()))) == settings
