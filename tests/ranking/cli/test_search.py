"""`rankwright search`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranking.retrieval.building import BuildSettings, build, golden_queries
from ranking.retrieval.collections import read_collection
from ranking.retrieval.engine import save_engine
from tests.ranking.cli.conftest import Cli
from tests.ranking.retrieval.collections.folders import BEIR, write


def test_describe_counts_what_lies_there(cli: Cli, tmp_path: Path) -> None:
    folder = write(tmp_path / "fruit", {**BEIR, "qrels/dev.tsv": "query-id\tcorpus-id\tscore\nq1\tgone\t1\n"})
    found = cli("search", "describe", folder, "--json").json
    assert (found["form"], found["documents"], found["queries"]) == ("BEIR", 3, 2)
    assert set(found["splits"]) == {"train", "dev", "test"}
    assert found["splits"]["dev"]["first_unknown_documents"] == [["q1", "gone", f"{folder}/qrels/dev.tsv:2"]]
    text = cli("search", "describe", folder).out
    assert text.startswith("fruit  (BEIR)\ndocuments  3\n")
    assert "  title              66.7% of documents        1.0 words\n" in text
    assert "  year               33.3% of documents  from 1999 to 1999\n" in text
    assert "judgments  train\n  2 of 1 queries\n" in text
    assert f"    {folder}/qrels/dev.tsv:2  query q1, document gone" in text


def test_bad_data_ends_in_4_and_names_the_line(cli: Cli, tmp_path: Path) -> None:
    ran = cli("search", "describe", write(tmp_path, {**BEIR, "corpus.jsonl": "{}\n"}))
    assert (ran.code, ran.out) == (4, "")
    assert "corpus.jsonl:1:1: expected an id" in ran.err
    assert cli("search", "describe", tmp_path / "none").code == 4


PRODUCTS = Path(__file__).parents[3] / "data/search"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("search") / "engine"
    products = read_collection(PRODUCTS)
    made, report = build(products, "hashed", BuildSettings(train=False))
    save_engine(place, made, golden_queries(products), {"report.json": report.as_json()})
    return place


def test_build_says_what_was_chosen_and_why(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    built = cli("search", "build", PRODUCTS, "--out", out, "--encoder", "hashed", "--no-train", "--json").json
    assert (built["engine"], built["documents"]) == (str(out), 546)
    assert "is chosen" in built["fusion"]["reason"]
    assert built["bm25"]["settings"]["k1"] > 0
    again = cli("search", "build", PRODUCTS, "--out", out, "--encoder", "hashed", "--no-train")
    assert again.code == 0
    assert again.out.startswith(f"{out}: 546 documents\nencoder: hashed")


def test_query_lists_hits(cli: Cli, engine: Path) -> None:
    found = cli("search", "query", engine, "bread knife", "--top", "3", "--json").json
    assert [hit["rank"] for hit in found["results"]] == [1, 2, 3]
    assert "knife" in found["results"][0]["document"]["title"].lower()
    text = cli("search", "query", engine, "bread knife", "--top", "3").out
    assert all(hit["id"] in text for hit in found["results"])
    empty = cli("search", "query", engine, " ")
    assert empty.code == 2
    assert "give it some words" in empty.err


def test_evaluate_measures_compares_and_writes(cli: Cli, engine: Path, tmp_path: Path) -> None:
    files = {"--per-query": tmp_path / "q.tsv", "--run": tmp_path / "run.txt"}
    flags = [part for pair in files.items() for part in pair]
    found = cli("search", "evaluate", engine, PRODUCTS, "--against", engine, *flags, "--json").json
    assert found["queries"] == 64
    assert 0.5 < found["metrics"]["ndcg@10"] < 1
    low, high = found["intervals"]["ndcg@10"]
    assert low < found["metrics"]["ndcg@10"] < high
    assert found["conventions"]["gain"] == "linear"
    assert found["comparison"]["metrics"]["ndcg@10"]["difference"] == 0
    lines = (tmp_path / "q.tsv").read_text().splitlines()
    assert lines[0] == "query\tndcg@10\tmrr@10\trecall@100\tmap@100"
    assert len(lines) == 65
    first = (tmp_path / "run.txt").read_text().splitlines()[0].split()
    assert (first[1], first[3], first[5]) == ("Q0", "1", "rankwright")
    text = cli("search", "evaluate", engine, PRODUCTS, "--metric", "mrr@5", "--split", "train")
    assert "mrr@5" in text.out
    assert "96 of 96 queries are those that this engine was made from" in text.err


def test_what_cannot_be_built_is_refused_with_a_remedy(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    cases = [
        (["--encoder", "hashd"], "did you mean 'hashed'"),
        (["--split", "tain"], "did you mean 'train'"),
        (["--precision", "int4"], "unknown precision 'int4'"),
        (["--no-train", "--set", "epochs=3"], "--no-train asks for none"),
        (["--set", "epoch=3"], "did you mean 'epochs'"),
        (["--set", "epochs=few"], "epochs must be like 8, got 'few'"),
        (["--set", "temperature=0"], "temperature must be in 0.01"),
    ]
    for flags, words in cases:
        ran = cli("search", "build", PRODUCTS, "--out", out, "--encoder", "hashed", *flags)
        assert ran.code == 2, ran.err
        assert words in ran.err
    assert not out.exists()
    assert cli("search", "query", tmp_path / "none", "x").code == 4
