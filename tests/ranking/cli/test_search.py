"""`rankwright search`."""

from __future__ import annotations

from pathlib import Path

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
