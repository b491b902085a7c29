"""The product searches of data/search: whole, varied, and judged by their rules."""

from __future__ import annotations

import csv
import json
import math
import re
import runpy
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "data" / "search"
SPLITS = ("train", "test")
NUMBERS = {"price": (0.5, 5000), "rating": (1, 5), "reviews": (1, 100_000), "weight_g": (1, 200_000)}
JUDGING: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "judge_search.py"))


def json_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


CORPUS = json_lines("corpus.jsonl")
QUERIES = json_lines("queries.jsonl")


def read_qrels(split: str) -> list[tuple[str, str, int]]:
    with (FOLDER / "qrels" / f"{split}.tsv").open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines, delimiter="\t")
    assert header == ["query-id", "corpus-id", "score"]
    return [(query, product, int(grade)) for query, product, grade in rows]


QRELS = {split: read_qrels(split) for split in SPLITS}
ROWS = [row for split in SPLITS for row in QRELS[split]]


def most_common(values: list[str]) -> int:
    return max(Counter(values).values())


def test_ids_are_unique_and_no_text_stands_twice() -> None:
    for field in ("_id", "title", "text"):
        assert most_common([product[field] for product in CORPUS]) == 1, field
    for field in ("_id", "text"):
        assert most_common([query[field] for query in QUERIES]) == 1, field


def test_every_product_has_its_fields_and_only_these() -> None:
    words = {"_id", "title", "text", "brand", "category", "tags"}
    for product in CORPUS:
        assert words | {"price"} <= product.keys() <= words | NUMBERS.keys(), product["_id"]
        assert re.fullmatch(r"[a-z]{3}-\d{4}", product["_id"])
        assert re.fullmatch(r"[^>]+ > [^>]+", product["category"])
        assert product["tags"]
        for text in (*(product[field] for field in words - {"tags"}), *product["tags"]):
            assert text
            assert text == " ".join(text.split()), product["_id"]


def test_numbers_are_finite_and_sane_and_some_are_missing() -> None:
    for field, (low, high) in NUMBERS.items():
        values = [product[field] for product in CORPUS if field in product]
        assert all(math.isfinite(value) and low <= value <= high for value in values), field
        assert (len(values) < len(CORPUS)) == (field != "price")
        assert len(values) > 0.8 * len(CORPUS)


def test_the_catalogue_is_as_large_and_varied_as_a_shop() -> None:
    prose = " ".join(" ".join([product["title"], product["text"], *product["tags"]]) for product in CORPUS)
    words = set(re.findall(r"[^\W_]+", prose.lower()))
    departments = {product["category"].split(" > ")[0] for product in CORPUS}
    assert len(CORPUS) == 546
    assert len(departments) == 13
    assert len({product["brand"] for product in CORPUS}) > 40
    assert len(words) > 3_500


def test_no_sentence_is_filled_in_from_a_template() -> None:
    """Not a whole sentence more than twice, and no five words in a row in three texts."""
    texts = [product["text"] for product in CORPUS]
    assert most_common([sentence for text in texts for sentence in re.split(r"(?<=[.!?])\s+", text)]) <= 2
    runs = [
        run
        for text in texts
        for run in {tuple(text.split()[at : at + 5]) for at in range(len(text.split()) - 4)}
    ]
    assert most_common([" ".join(run) for run in runs]) <= 2


def test_queries_are_of_many_kinds_in_both_splits() -> None:
    kinds = {query["_id"]: query["metadata"]["kind"] for query in QUERIES}
    assert len(QUERIES) == 160
    assert len(set(kinds.values())) == 12
    for split in SPLITS:
        assert {kinds[query] for query, _, _ in QRELS[split]} == set(kinds.values()), split


def test_splits_share_no_query_and_hold_all() -> None:
    train, test = ({query for query, _, _ in QRELS[split]} for split in SPLITS)
    assert not train & test
    assert train | test == {query["_id"] for query in QUERIES}
    assert 0.55 <= len(train) / len(QUERIES) <= 0.65


def test_no_need_is_asked_in_both_splits() -> None:
    """Two queries for the same products, `couch` and `sofa`, would leak the answers of one into the other."""
    answers: dict[str, dict[str, int]] = {}
    for query, product, grade in ROWS:
        if grade:
            answers.setdefault(query, {})[product] = grade
    same: dict[tuple[tuple[str, int], ...], set[str]] = {}
    splits = {query: split for split in SPLITS for query, _, _ in QRELS[split]}
    for query, graded in answers.items():
        same.setdefault(tuple(sorted(graded.items())), set()).add(splits[query])
    assert all(len(found) == 1 for found in same.values())


def test_judgments_name_known_ids_once_with_grades_0_to_3() -> None:
    assert {query for query, _, _ in ROWS} <= {query["_id"] for query in QUERIES}
    assert {product for _, product, _ in ROWS} <= {product["_id"] for product in CORPUS}
    assert len({(query, product) for query, product, _ in ROWS}) == len(ROWS)
    assert {grade for _, _, grade in ROWS} == {0, 1, 2, 3}


def test_every_query_has_forty_judgments_and_an_answer_unless_it_says_not() -> None:
    judged = Counter(query for query, _, _ in ROWS)
    best = {query: max(grade for other, _, grade in ROWS if other == query) for query in judged}
    without = {query["_id"] for query in QUERIES if query["metadata"].get("answer") is False}
    assert min(judged.values()) >= 40
    assert len(without) == 10
    assert all((best[query] == 0) if query in without else (best[query] >= 2) for query in judged)
    for split in SPLITS:
        assert without & {query for query, _, _ in QRELS[split]}


def test_the_committed_judgments_are_those_of_the_rules() -> None:
    judged = JUDGING["judge"](FOLDER)
    assert {
        split: [(query, name, grade) for query, grades in queries.items() for name, grade in grades.items()]
        for split, queries in judged.items()
    } == QRELS


def test_facets_and_rules_speak_of_the_same_things() -> None:
    """A rule whose facet no product has would be silently dead."""
    facets = {
        row["corpus-id"]: set(row["facets"].split()) for row in JUDGING["read_table"](FOLDER / "facets.tsv")
    }
    assert list(facets) == [product["_id"] for product in CORPUS]
    known = set().union(*facets.values())
    rules = JUDGING["read_rules"](FOLDER)
    assert list(rules) == [query["_id"] for query in QUERIES]
    for name, rule in rules.items():
        terms = [*rule.what, *rule.wishes, *rule.unwanted, *rule.related]
        assert set().union(*(part for term in terms for part in term)) <= known, name


@pytest.mark.parametrize(
    ("facets", "grade"),
    [
        ("kettle plastic-free 1.5l", 3),
        ("kettle plastic-free 1l", 2),
        ("kettle 1l", 1),
        ("kettle plastic-free 1.5l whistling", 1),
        ("teapot 1.5l", 1),
        ("jug glass clear", 1),
        ("jug glass", 0),
        ("vase", 0),
    ],
)
def test_a_rule_takes_a_grade_for_each_unmet_wish(facets: str, grade: int) -> None:
    terms = map(
        JUDGING["parse_terms"], ("kettle", "plastic-free 1.5l|1.7l", "whistling", "teapot|glass+clear")
    )
    assert JUDGING["Rule"]("train", *terms).grade(set(facets.split())) == grade


def test_a_rule_without_a_thing_finds_nothing() -> None:
    assert JUDGING["Rule"]("train", [], [], [], []).grade({"kettle"}) == 0


def test_the_tables_in_the_docs_count_right() -> None:
    """data/README.md: queries, judgments and grades of each split."""
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for split in SPLITS:
        grades = Counter(grade for _, _, grade in QRELS[split])
        queries = len({query for query, _, _ in QRELS[split]})
        counts = [queries, len(QRELS[split]), *(grades[grade] for grade in range(4))]
        row = " | ".join([f"`qrels/{split}.tsv`", *(f"{count:,}" for count in counts)])
        assert f"| {row} |" in page


def test_products_are_in_the_order_of_their_ids_within_a_department() -> None:
    for before, after in pairwise(CORPUS):
        same = before["_id"][:3] == after["_id"][:3]
        assert not same or before["_id"] < after["_id"]
