"""Tiny collections of every form, written for these tests.

All hold the documents d1 (apples), d2 (pears), d3 (plums) and the queries q1, q2; SMART has numbers for ids.
Relevant are d1 and d2 (grade 2) for the first query, d2 for the second; d3 is judged and not relevant.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

BEIR = {
    "corpus.jsonl": (
        '{"_id": "d1", "title": "Apples", "text": "red apples", "metadata": '
        '{"year": 1999, "place": "Kent", "title": "not this one"}}\n'
        '{"_id": "d2", "title": "Pears", "text": "green pears", "tags": ["fruit", "tree"], "metadata": {}}\n'
        '{"_id": "d3", "title": "", "text": "blue plums", "price": 2.5, "sold": true, "note": null}\n'
    ),
    "queries.jsonl": (
        '{"_id": "q1", "text": "what is an apple", "metadata": {"d1": [{"label": "X"}]}}\n'
        '{"_id": "q2", "text": "pears"}\n'
    ),
    "qrels/train.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t2\n",
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq2\td2\t1\nq2\td3\t0\n",
}

TREC = {
    "fruit.sgml": (
        "<DOC>\n<DOCNO> d1 </DOCNO>\n<TITLE>Apples</TITLE>\n<TEXT>\n"
        "red <b>apples</b> &amp; more\n</TEXT>\n</DOC>\n"
        "<DOC><DOCNO>d2</DOCNO>green pears, 1 < 2</DOC>\n"
    ),
    "more.sgml": "<DOC>\n<docno>d3</docno>\n<DOCID>x7</DOCID>\nblue\nplums\n</DOC>\n",
    "topics.txt": (
        "<top>\n<num> Number: q1\n<title> what is\nan apple\n<desc> Description:\nlong words\n</top>\n\n"
        "<top>\n<num>q2</num><title></title><desc>pears</desc>\n</top>\n"
    ),
    "qrels": "q1 0 d1 1\nq1 0 d2 2\nq2 0 d2 1\nq2 0 d3 -2\n",
}

SMART = {
    "fruit.all": (
        ".I 1\n.T\nApples\n.A\nSmith\n.B\nKent, 1999\n.W\nred apples\n. and more\n.X\n1\t5\t1\n"
        ".I 2\n.T \nPears\n.W\ngreen pears\n"
        ".I 3\n.W\nblue plums\n"
    ),
    "fruit.qry": ".I 001\n.W\nwhat is\nan apple\n.I 004\n.W\npears\n",
    "fruit.rel": "     1      1\t0\t0.000000\n     1      2\t0\t0.000000\n     2      2\t0\t0.000000\n",
}

TABLES = {
    "corpus.tsv": "d1\tred apples\nd2\tgreen pears\nd3\tblue plums\n",
    "queries.tsv": "q1\twhat is an apple\nq2\tpears\n",
    "train.qrels.tsv": "q1\t0\td1\t1\nq1\t0\td2\t2\n",
    "validation.qrels.tsv": "query-id\tcorpus-id\tscore\nq2\td2\t1\nq2\td3\t0\n",
}

CARRIED = {
    "fruit-corpus.jsonl": (
        '{"id": 1, "title": "Apples", "tags": [], "year": 1999}\n'
        '{"id": 2, "title": "Pears", "tags": ["a", "b c"]}\n'
    ),
    "fruit-judgments.tsv": (
        "query_id\tquery\tdoc_id\tgrade\nx:1\tred fruit\t2\t0\nx:1\tred fruit\t1\t1\nx:2\tpears\t2\t1\n"
    ),
}

FORMS = {"BEIR": BEIR, "TREC": TREC, "SMART": SMART, "tables": TABLES}


def write(folder: Path, files: Mapping[str, str | bytes | None], *, packed: bool = False) -> Path:
    """The folder with these files (None leaves one out), all as .gz if `packed`."""
    for name, content in files.items():
        if content is None:
            continue
        data = content.encode() if isinstance(content, str) else content
        place = folder / (f"{name}.gz" if packed else name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(data) if packed else data)
    return folder
