"""Judge the product searches of data/search by rule: facets.tsv and rules.tsv in, qrels/{train,test}.tsv out.

    python scripts/judge_search.py [FOLDER]

data/search/RULES.md says what a rule means. Every product has a grade for every query; the files keep grades
1 to 3 and zeros that are easily taken for them, JUDGED products a query or more.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "data" / "search"
JUDGED = 48
LOOKALIKES = 24
"""Zeros taken for their spelling; the others come from the departments of the answers."""

Term = list[set[str]]
"""Facets that must be there together; any one set of several will do."""


@dataclass(frozen=True)
class Rule:
    """What one query asks for."""

    split: str
    what: list[Term]
    wishes: list[Term]
    unwanted: list[Term]
    related: list[Term]

    def grade(self, facets: set[str]) -> int:
        """3 less the unmet wishes, but 1 for the right thing at least; 1 for the unwanted and the related."""
        if self.what and all(holds(term, facets) for term in self.what):
            if any(holds(term, facets) for term in self.unwanted):
                return 1
            unmet = sum(not holds(term, facets) for term in self.wishes)
            return max(3 - unmet, 1)
        return int(any(holds(term, facets) for term in self.related))


def parse_terms(cell: str) -> list[Term]:
    """`kettle steel|glass+clear`: a kettle, of steel, or both of glass and clear."""
    return [[set(part.split("+")) for part in term.split("|")] for term in cell.split()]


def holds(term: Term, facets: set[str]) -> bool:
    return any(part <= facets for part in term)


def read_table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def read_json_lines(file: Path) -> dict[str, dict[str, object]]:
    records = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {record["_id"]: record for record in records}


def read_rules(folder: Path) -> dict[str, Rule]:
    return {
        row["query-id"]: Rule(
            row["split"], *(parse_terms(row[name]) for name in ("what", "wishes", "unwanted", "related"))
        )
        for row in read_table(folder / "rules.tsv")
    }


def trigrams(text: str) -> set[str]:
    """Those of each word with its borders: what a misspelling or a split compound leaves standing."""
    return {
        word[start : start + 3]
        for word in (f" {word} " for word in text.lower().split())
        for start in range(len(word) - 2)
    }


def likeness(queries: dict[str, str], products: dict[str, str]) -> Iterator[tuple[str, dict[str, float]]]:
    """For each query, how much the products look like it.

    The sum over shared trigrams of log(products / those with the trigram), divided by the root of the number
    of trigrams in the product's text.
    """
    grams = {name: trigrams(text) for name, text in products.items()}
    having = Counter(gram for held in grams.values() for gram in held)
    rarity = {gram: math.log(len(products) / count) for gram, count in having.items()}
    for query, text in queries.items():
        asked = sorted(trigrams(text) & rarity.keys())
        alike = {
            name: sum(rarity[gram] for gram in asked if gram in held) / math.sqrt(len(held))
            for name, held in grams.items()
        }
        yield query, {name: round(value, 9) for name, value in alike.items()}


def judge(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Split, query and product to grade."""
    corpus = read_json_lines(folder / "corpus.jsonl")
    facets = {row["corpus-id"]: set(row["facets"].split()) for row in read_table(folder / "facets.tsv")}
    queries = {name: str(query["text"]) for name, query in read_json_lines(folder / "queries.jsonl").items()}
    products = {name: f"{product['title']} {product['text']}" for name, product in corpus.items()}
    categories = {name: str(product["category"]) for name, product in corpus.items()}
    rules = read_rules(folder)

    judged: dict[str, dict[str, dict[str, int]]] = {}
    for query, alike in likeness(queries, products):
        grades = {name: rules[query].grade(facets[name]) for name in corpus}
        kept = [name for name, grade in grades.items() if grade]
        kept += choose_zeros(query, grades, alike, categories)
        kept.sort(key=lambda name: (-grades[name], name))
        judged.setdefault(rules[query].split, {})[query] = {name: grades[name] for name in kept}
    return judged


def choose_zeros(
    query: str, grades: dict[str, int], alike: dict[str, float], categories: dict[str, str]
) -> list[str]:
    """Those that look most like the query; then, drawn, of an answer's category, its department, or any."""
    zeros = sorted((name for name, grade in grades.items() if not grade), key=lambda name: -alike[name])
    answers = {categories[name] for name, grade in grades.items() if grade > 1}
    departments = {category.split(" > ")[0] for category in answers}

    def distance(name: str) -> tuple[bool, bool, int]:
        department = categories[name].split(" > ")[0]
        drawn = zlib.crc32(f"{query} {name}".encode())
        return categories[name] not in answers, department not in departments, drawn

    wanted = max(JUDGED - (len(grades) - len(zeros)), LOOKALIKES)
    return zeros[:LOOKALIKES] + sorted(zeros[LOOKALIKES:], key=distance)[: wanted - LOOKALIKES]


def write_qrels(folder: Path) -> None:
    (folder / "qrels").mkdir(exist_ok=True)
    for split, judged in judge(folder).items():
        rows = [
            f"{query}\t{name}\t{grade}" for query, grades in judged.items() for name, grade in grades.items()
        ]
        text = "\n".join(["query-id\tcorpus-id\tscore", *rows, ""])
        (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_qrels(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
