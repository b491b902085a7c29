"""An engine built from the embedded products: asked, measured, stored, opened, damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.arrays import Float32
from ranking.errors import ArtifactError, DataError, UsageError
from ranking.metrics import Metric
from ranking.retrieval.building import BuildSettings, Report, build, golden_queries, searchable
from ranking.retrieval.candidates import Candidates
from ranking.retrieval.collections import Collection, Documents, Judgments, Queries, read_collection
from ranking.retrieval.documents import open_documents, stored
from ranking.retrieval.encoders.encoder import unit
from ranking.retrieval.engine import SearchEngine, open_engine, save_engine
from ranking.retrieval.fitting import Settings
from ranking.retrieval.fusion import Fusion
from ranking.retrieval.measuring import judged_lists, measured

PRODUCTS = Path(__file__).parents[3] / "data/search"
NO_JUDGMENTS = Judgments(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


@pytest.fixture(scope="module")
def products() -> Collection:
    return read_collection(PRODUCTS)


@pytest.fixture(scope="module")
def made(products: Collection) -> tuple[SearchEngine, Report]:
    return build(products, "hashed", BuildSettings(train=False))


@pytest.fixture(scope="module")
def folder(
    products: Collection, made: tuple[SearchEngine, Report], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    place = tmp_path_factory.mktemp("engines") / "products"
    save_engine(place, made[0], golden_queries(products), {"report.json": made[1].as_json()})
    return place


def tiny(texts: list[str], **more: list[str]) -> Collection:
    ids = [f"d{row}" for row in range(len(texts))]
    return Collection("tiny", Documents(ids, {"text": texts, **more}), Queries([], []), {})


def test_what_was_chosen_stands_in_the_report(made: tuple[SearchEngine, Report]) -> None:
    engine, report = made
    told = "\n".join(report.lines)
    for words in ("encoder: hashed", "bm25: ", "training: the base stays: not asked for", "fusion: "):
        assert words in told
    assert report.facts["fusion"]["fusion"] == engine.fusion.as_json()
    assert set(report.seconds) == {"encoder", "bm25", "embeddings", "training", "fusion"}
    json.dumps(report.as_json(), allow_nan=False)


def test_hits_are_documents_best_first(made: tuple[SearchEngine, Report]) -> None:
    hits = made[0].hits("left-handed scissors", 4)
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]
    assert hits[0]["id"] == hits[0]["document"]["_id"]
    assert "scissors" in hits[0]["document"]["title"].lower()
    assert sorted((hit["score"] for hit in hits), reverse=True) == [hit["score"] for hit in hits]
    assert isinstance(hits[0]["document"]["price"], float)
    with pytest.raises(UsageError, match="an empty query finds nothing"):
        made[0].hits("  ")


@pytest.mark.parametrize(
    "fusion", [Fusion("lexical"), Fusion("dense"), Fusion("rrf"), Fusion("convex", 0.4)], ids=str
)
def test_one_query_finds_what_it_finds_among_others(
    made: tuple[SearchEngine, Report], fusion: Fusion
) -> None:
    engine = replace(made[0], fusion=fusion)
    texts = ["bread knife", "tent for two", "blue"]
    together = engine.search(texts, 7)
    for query, text in enumerate(texts):
        alone = engine.search([text], 7)
        assert alone.rows[0].tolist() == together.rows[query].tolist()
        assert alone.scores[0] == pytest.approx(together.scores[query])
    full = engine.search(texts, 20)
    assert full.rows[:, :7].tolist() == together.rows.tolist()


def test_an_opened_engine_answers_as_the_one_that_was_saved(
    made: tuple[SearchEngine, Report], folder: Path
) -> None:
    opened = open_engine(folder)
    texts = ["kettle without plastic", "headphnes"]
    ours, theirs = made[0].search(texts, 10), opened.search(texts, 10)
    assert ours.rows.tolist() == theirs.rows.tolist()
    assert ours.scores == pytest.approx(theirs.scores)
    assert opened.facts["collection"]["documents"] == 546
    assert json.loads((folder / "report.json").read_text())["lines"] == made[1].lines


FILES = ["documents/lines.npy", "lexical/manifest.json", "vectors/vectors.npy", "encoder/encoder.json",
         "towers/manifest.json", "golden.json", "manifest.json"]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_damage_is_refused(folder: Path, tmp_path: Path, name: str, harm: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / name
    content = file.read_bytes()
    middle = len(content) // 2
    changed = {
        "cut": content[:middle],
        "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    }
    file.unlink()
    if harm != "gone":
        file.write_bytes(changed[harm])
    with pytest.raises(ArtifactError, match=r"copy"):
        open_engine(copy)


def test_golden_queries_find_out_another_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes hold, and yet the terms of a query are others than when the index was built."""
    monkeypatch.setattr("ranking.retrieval.lexical.terms", lambda text, language: text.upper().split())
    with pytest.raises(ArtifactError, match="the lexical arm scores the golden query"):
        open_engine(folder)


def test_without_judgments_the_usual_weight_is_taken() -> None:
    engine, report = build(tiny(["red shoe", "blue shoe", "green hat"]), "hashed")
    assert engine.fusion == Fusion("convex", 0.1)
    assert any("too few judged queries to choose by" in line for line in report.lines)
    assert engine.hits("hat", 1)[0]["id"] == "d2"
    with pytest.raises(UsageError, match="has no judgments, and so no split 'train'"):
        build(tiny(["red shoe"]), "hashed", BuildSettings(split="train"))


class Turned:
    """An encoder whose queries, "ask nROW", are their documents' vectors, all turned by one rotation."""

    name, width, fingerprint = "turned", 12, "0" * 64

    def __init__(self, documents: int) -> None:
        random = np.random.default_rng(0)
        self.vectors = unit(random.normal(size=(documents, self.width)).astype(np.float32))
        self.rotation = np.linalg.qr(random.normal(size=(self.width, self.width)))[0].astype(np.float32)

    def encode(self, texts: Sequence[str]) -> Float32:
        rows = [self.vectors[int(text.split()[1].lstrip("n"))] for text in texts]
        turned = [text.startswith("ask") for text in texts]
        made = np.array(rows, np.float32).reshape(-1, self.width)
        return np.where(np.array(turned)[:, None], made @ self.rotation, made).astype(np.float32)

    def save(self, folder: Path) -> None:
        raise AssertionError("this engine is asked, and not kept")


def test_trained_towers_are_kept_and_fused_by_what_each_fold_had_not_seen() -> None:
    """No word is shared, so BM25 finds nothing; a rotation is what a linear tower can learn."""
    count = 150
    encoder, rows = Turned(count), np.arange(count)
    documents = Documents([f"d{row}" for row in rows], {"text": [f"about {row}" for row in rows]})
    queries = Queries([f"q{row}" for row in rows], [f"ask n{row}" for row in rows])
    judged = Judgments(rows, rows, np.ones(count, np.float32))
    collection = Collection("turned", documents, queries, {"train": judged})
    fitting = Settings(epochs=60, learning_rate=0.02, weight_pull=0.0, negatives=0)
    engine, report = build(collection, encoder, BuildSettings(fitting=fitting))
    assert report.facts["training"]["kept"], report.lines
    assert not engine.towers.identity
    found = measured(replace(engine, fusion=Fusion("dense")), collection, judged, [Metric.parse("ndcg@10")])
    assert found.evaluation.means["ndcg@10"] > 0.9
    assert report.facts["fusion"]["ndcg@10"]["lexical"] == 0
    (audit,) = (line for line in report.lines if line.startswith("audit: "))
    assert "uniformity" in audit
    assert len(report.facts["training"]["fitted"]["audit"]["entries"]) > 0
    on_new = report.facts["training"]["new_documents"]["comparison"]["mean_a"]
    assert report.facts["fusion"]["ndcg@10"]["dense"] == pytest.approx(on_new, abs=0.01)


def test_golden_queries_of_a_collection_without_queries() -> None:
    assert golden_queries(tiny(["", "one two three four five six seven"])) == ["one two three four five six"]
    with pytest.raises(DataError, match="all documents are empty"):
        golden_queries(tiny(["", " "]))


def test_links_are_not_searched() -> None:
    documents = tiny(["a", "b"], url=["https://x.org/red", ""], mixed=["https://x.org", "red"]).documents
    assert searchable(documents) == ["text", "mixed"]


def test_documents_are_read_by_row(tmp_path: Path) -> None:
    documents = Documents(
        ["a", "b"], {"title": ["Zelt für 2", ""], "text": ["", "x"]}, {"price": np.array([np.nan, 2.5])}
    )
    stored(documents).save(tmp_path / "d")
    opened = open_documents(tmp_path / "d")
    assert [opened[0], opened[1]] == [
        {"_id": "a", "title": "Zelt für 2"},
        {"_id": "b", "text": "x", "price": 2.5},
    ]
    assert opened.ids() == ["a", "b"]


# --- Measuring --------------------------------------------------------------------------------------


def test_lists_hold_what_was_found_and_what_was_missed() -> None:
    """Found rows 4, 7 of depth 3; 7 is relevant, so is 9, which was not found."""
    found = Candidates(np.array([[4, 7, -1]]), np.array([[2.0, 1.0, -np.inf]], np.float32))
    judged = Judgments(np.array([0, 0, 0]), np.array([4, 7, 9]), np.array([0, 1, 2], np.float32))
    lists, places = judged_lists(found, judged, ["q"])
    assert lists.labels.tolist() == [0, 1, 0, 2]
    assert places.tolist() == [3, 2, 1, 0]


def test_ndcg_by_hand() -> None:
    """One relevant document, found second: 1 / log2(3); another query's is not found."""
    documents = Documents(["a", "b", "c"], {"text": ["red shoe red", "red shoe", "hat"]})
    judged = Judgments(np.array([0, 1]), np.array([1, 0]), np.array([1, 1], np.float32))
    collection = Collection("c", documents, Queries(["q", "r"], ["red", "hat"]), {"all": judged})
    engine = replace(build(collection, "hashed")[0], fusion=Fusion("lexical"))
    found = measured(engine, collection, judged, [Metric.parse("ndcg@10"), Metric.parse("recall@10")])
    assert found.evaluation.per_query["ndcg@10"].tolist() == pytest.approx([1 / np.log2(3), 0])
    assert found.evaluation.per_query["recall@10"].tolist() == [1, 0]
    assert found.warnings == [
        "2 of 2 queries are those that this engine was made from: measured on them it is flattered"
    ]
    assert list(found.run("us"))[:2] == [
        f"q Q0 a 1 {float(found.found.scores[0, 0])!r} us",
        f"q Q0 b 2 {float(found.found.scores[0, 1])!r} us",
    ]


def test_documents_that_the_engine_has_not_count_as_not_found(
    products: Collection, made: tuple[SearchEngine, Report]
) -> None:
    engine = made[0]
    some = replace(products, documents=replace(products.documents, ids=[*products.documents.ids[:-1], "new"]))
    judged = Judgments(np.array([0]), np.array([len(some.documents) - 1]), np.array([1], np.float32))
    found = measured(engine, some, judged, [Metric.parse("ndcg@10")])
    assert found.elsewhere == 1
    assert found.evaluation.means["ndcg@10"] == 0
    assert any("1 judgments name documents that the engine has not" in line for line in found.warnings)
    with pytest.raises(DataError, match="there is nothing to measure"):
        measured(engine, products, NO_JUDGMENTS, [Metric.parse("ndcg@10")])
