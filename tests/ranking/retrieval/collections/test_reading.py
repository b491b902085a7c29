"""Folders of every form become the same values; what cannot be read is named by file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ranking.errors import DataError, ParseError, UsageError
from ranking.retrieval.collections import Collection, read_collection
from tests.ranking.retrieval.collections.folders import (
    BEIR,
    CARRIED,
    FORMS,
    SMART,
    TABLES,
    TREC,
    write,
)


def pairs(collection: Collection) -> set[tuple[str, str, float]]:
    """(query, document, grade) over all splits."""
    return {
        (collection.queries.ids[query], collection.documents.ids[document], grade)
        for split in collection.judgments.values()
        for query, document, grade in zip(
            split.queries.tolist(), split.documents.tolist(), split.grades.tolist(), strict=True
        )
    }


JUDGED = {("q1", "d1", 1.0), ("q1", "d2", 2.0), ("q2", "d2", 1.0), ("q2", "d3", 0.0)}


# --- The forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_by_what_lies_there(tmp_path: Path, form: str, packed: bool) -> None:
    found = read_collection(write(tmp_path / "fruit", FORMS[form], packed=packed))
    assert (found.name, found.form) == ("fruit", form)
    assert list(found.queries.texts) == ["what is an apple", "pears"]
    assert [text.split()[0] for text in found.documents.fields["text"]] == ["red", "green", "blue"]
    if form == "SMART":
        assert found.documents.ids == ["1", "2", "3"]
        assert pairs(found) == {("1", "1", 1.0), ("1", "2", 1.0), ("2", "2", 1.0)}
    else:
        assert found.documents.ids == ["d1", "d2", "d3"]
        assert pairs(found) == JUDGED
    for split in found.judgments.values():
        assert (split.queries.dtype, split.documents.dtype) == (np.int64, np.int64)
        assert split.grades.dtype == np.float32


def test_beir_has_splits_fields_and_numbers(tmp_path: Path) -> None:
    """Whatever an object has beside its id: strings, lists of strings, numbers, also those of metadata."""
    found = read_collection(write(tmp_path, BEIR))
    assert list(found.judgments) == ["test", "train"]
    assert found.documents.fields == {
        "title": ["Apples", "Pears", ""],
        "text": ["red apples", "green pears", "blue plums"],
        "place": ["Kent", "", ""],
        "tags": ["", "fruit tree", ""],
    }
    assert list(found.documents.numbers) == ["year", "price", "sold"]
    np.testing.assert_array_equal(found.documents.numbers["year"], [1999, np.nan, np.nan])
    np.testing.assert_array_equal(found.documents.numbers["price"], [np.nan, np.nan, 2.5])
    np.testing.assert_array_equal(found.documents.numbers["sold"], [np.nan, np.nan, 1])


def test_beir_is_its_names_and_others_are_tables(tmp_path: Path) -> None:
    other = {"docs.jsonl": BEIR["corpus.jsonl"], "queries.jsonl": BEIR["queries.jsonl"]}
    assert read_collection(write(tmp_path / "a", other)).form == "tables"
    assert read_collection(write(tmp_path / "b", {"corpus.jsonl": BEIR["corpus.jsonl"]})).form == "tables"


def test_a_file_in_qrels_is_a_split_by_all_of_its_name(tmp_path: Path) -> None:
    write(tmp_path, {**BEIR, "qrels/test.tsv": None, "qrels/hard-train.tsv": BEIR["qrels/test.tsv"]})
    assert list(read_collection(tmp_path).judgments) == ["hard-train", "train"]


def test_trec_takes_titles_out_of_the_text_and_tags_out_of_both(tmp_path: Path) -> None:
    """A sign below that is no tag stays; ids other than DOCNO go."""
    found = read_collection(write(tmp_path, TREC))
    assert found.documents.fields["title"] == ["Apples", "", ""]
    assert [" ".join(text.split()) for text in found.documents.fields["text"]] == [
        "red apples & more",
        "green pears, 1 < 2",
        "blue plums",
    ]
    assert list(found.judgments) == ["all"]


def test_trec_topics_of_any_layout(tmp_path: Path) -> None:
    """As Vaswani has them: number and title on one line, the words on the next."""
    topics = "<top>\n<num>q1</num><title>\nWHAT IS\n</title>\n</top>\n<TOP><NUM>q2<TITLE> Topic: pears</TOP>"
    found = read_collection(write(tmp_path, {**TREC, "topics.txt": topics}))
    assert dict(zip(found.queries.ids, found.queries.texts, strict=True)) == {"q1": "WHAT IS", "q2": "pears"}


def test_smart_has_parts_as_fields_and_skips_references(tmp_path: Path) -> None:
    found = read_collection(write(tmp_path, SMART))
    assert found.documents.fields == {
        "title": ["Apples", "Pears", ""],
        "text": ["red apples\n. and more", "green pears", "blue plums"],
        "author": ["Smith", "", ""],
        "source": ["Kent, 1999", "", ""],
    }


def test_smart_judgments_by_number_where_all_are_numbers_of_queries(tmp_path: Path) -> None:
    found = read_collection(write(tmp_path, {**SMART, "fruit.rel": "1 1 0 0.0\n04 3 0 0.0\n"}))
    assert found.queries.ids == ["1", "4"]
    assert pairs(found) == {("1", "1", 1.0), ("4", "3", 1.0)}


def test_smart_judgments_by_number_where_one_is_beyond_all_ordinals(tmp_path: Path) -> None:
    found = read_collection(write(tmp_path, {**SMART, "fruit.rel": "4 3 0 0.0\n9 1 0 0.0\n"}))
    assert found.queries.ids == ["1", "4"]
    assert pairs(found) == {("4", "3", 1.0)}
    assert [one[0] for one in found.split().unknown_queries] == ["9"]


def test_cranfields_codes_fall_as_relevance_rises(tmp_path: Path) -> None:
    """1, a complete answer, to 5, no interest; -1 is the paper that the question came from."""
    codes = "1 1 -1\n1 2 1\n1 3 4\n2 1 5\n2 2 2 \n2 3 3\n"
    found = read_collection(
        write(tmp_path, {**SMART, "fruit.rel": None, "cranqrel": codes, "cranqrel.readme": "codes"})
    )
    assert pairs(found) == {
        ("1", "1", 5.0), ("1", "2", 4.0), ("1", "3", 1.0), ("2", "1", 0.0), ("2", "2", 3.0), ("2", "3", 2.0),
    }  # fmt: skip


def test_cranfields_corrected_judgments_go_before_the_others(tmp_path: Path) -> None:
    other = {"fruit.rel": None, "cranqrel": "1 1 1\n", "QRelsCorrectedforTRECeval": "1 0 1 4\r\n2 0 3 2\r\n"}
    found = read_collection(write(tmp_path, {**SMART, **other, "cranqrel.readme": "what is what"}))
    assert pairs(found) == {("1", "1", 4.0), ("2", "3", 2.0)}


def test_tables_take_splits_from_names_of_files(tmp_path: Path) -> None:
    found = read_collection(write(tmp_path, TABLES))
    assert list(found.judgments) == ["train", "validation"]
    assert len(found.split("train")) == 2
    assert list(read_collection(tmp_path, split="train").judgments) == ["train"]
    with pytest.raises(UsageError, match=r"unknown split 'dev' \(known: train, validation\)"):
        read_collection(tmp_path, split="dev")


def test_tables_with_names_of_columns(tmp_path: Path) -> None:
    """A column of numbers alone is one of numbers; an absent one is NaN; a title of digits is a text."""
    corpus = 'title\tid\tyear\ttext\tplace\n1984\td1\t1949\t"a" b\tKent\n\td2\t\t\t7\n'
    queries = "query_id\tquery\nq1\twhat is an apple\nq2\tpears\n"
    found = read_collection(write(tmp_path, {**TABLES, "corpus.tsv": corpus, "queries.tsv": queries}))
    assert found.documents.fields == {"title": ["1984", ""], "text": ['"a" b', ""], "place": ["Kent", "7"]}
    np.testing.assert_array_equal(found.documents.numbers["year"], [1949, np.nan])
    assert list(found.documents.numbers) == ["year"]
    assert found.queries.texts == ["what is an apple", "pears"]


def test_judgments_may_carry_the_words_of_queries(tmp_path: Path) -> None:
    found = read_collection(write(tmp_path, {**CARRIED, "NOTICE.txt": "corpus of fruit"}))
    assert found.documents.ids == ["1", "2"]
    assert found.documents.fields == {"title": ["Apples", "Pears"], "tags": ["", "a b c"]}
    assert (found.queries.ids, found.queries.texts) == (["x:1", "x:2"], ["red fruit", "pears"])
    assert pairs(found) == {("x:1", "2", 0.0), ("x:1", "1", 1.0), ("x:2", "2", 1.0)}


def test_a_column_query_is_the_id_where_no_other_is(tmp_path: Path) -> None:
    judged = "query\tdocument\tgrade\nq1\td1\t1\n"
    files = {"corpus.tsv": TABLES["corpus.tsv"], "qrels.tsv": judged}
    with pytest.raises(DataError, match=r"has judgments \(qrels\.tsv\) and no queries"):
        read_collection(write(tmp_path, files))
    assert pairs(read_collection(write(tmp_path, {"queries.tsv": TABLES["queries.tsv"]}))) == {
        ("q1", "d1", 1.0)
    }


def test_documents_alone_are_a_collection(tmp_path: Path) -> None:
    found = read_collection(write(tmp_path, {"fruit.jsonl": BEIR["corpus.jsonl"]}))
    assert (len(found.documents), len(found.queries), found.judgments) == (3, 0, {})
    with pytest.raises(DataError, match="has no judgments"):
        found.split()
    with pytest.raises(DataError, match="expected judgments of the split 'train', got none"):
        read_collection(tmp_path, split="train")


@pytest.mark.parametrize("form", FORMS)
def test_ends_of_lines_marks_and_blank_last_lines_do_no_harm(tmp_path: Path, form: str) -> None:
    plain = read_collection(write(tmp_path / "a" / "fruit", FORMS[form]))
    odd = {
        name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n"
        for name, text in FORMS[form].items()
    }
    found = read_collection(write(tmp_path / "b" / "fruit", odd))
    assert pairs(found) == pairs(plain)
    assert found.documents.ids == plain.documents.ids
    assert found.documents.fields == plain.documents.fields
    assert (found.queries.ids, found.queries.texts) == (plain.queries.ids, plain.queries.texts)


# --- Judgments --------------------------------------------------------------------------------------


def test_unknown_ids_are_left_out_and_listed(tmp_path: Path) -> None:
    judged = "q1 0 d9 1\nq9 0 d1 1\nq1 0 d1 1\nq9 0 d9 1\n"
    found = read_collection(write(tmp_path, {**TREC, "qrels": judged})).split()
    assert len(found) == 1
    assert found.unknown_documents == (
        ("q1", "d9", f"{tmp_path}/qrels:1"),
        ("q9", "d9", f"{tmp_path}/qrels:4"),
    )
    assert [(query, place[-8:]) for query, _, place in found.unknown_queries] == [
        ("q9", "/qrels:2"),
        ("q9", "/qrels:4"),
    ]


def test_judgments_come_by_query_in_the_order_of_the_file(tmp_path: Path) -> None:
    """A pair judged twice alike counts once."""
    judged = "q2 0 d3 1\nq1 0 d2 1\nq2 0 d1 1.5\nq1 0 d1 0\nq2 0 d3 1\n"
    found = read_collection(write(tmp_path, {**TREC, "qrels": judged})).split()
    assert found.queries.tolist() == [0, 0, 1, 1]
    assert found.documents.tolist() == [1, 0, 2, 0]
    assert found.grades.tolist() == [1, 0, 1, 1.5]


# --- What is wrong ----------------------------------------------------------------------------------

FAULTS = [
    # form, file, content, what is said
    (
        "BEIR",
        "corpus.jsonl",
        '{"_id": "d1", "text": "é" "x"}\n',
        r"corpus\.jsonl:1:28: expected one JSON obj",
    ),
    (
        "BEIR",
        "corpus.jsonl",
        '{"_id": "d1", "text": "a"}\n[1]\n',
        r":2:1: expected a JSON object, got '\[1\]'",
    ),
    ("BEIR", "corpus.jsonl", '{"text": "a"}\n', r":1:1: expected an id under '_id', .* got the keys text"),
    ("BEIR", "corpus.jsonl", '{"_id": null, "text": "a"}\n', r":1:1: expected an id under '_id', got 'null'"),
    ("BEIR", "corpus.jsonl", '{"_id": " ", "text": "a"}\n', r":1:1: expected an id under '_id'"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "n": NaN}\n', r":1:1: .* NaN is no number; write null"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "n": 1e999}\n', r":1:1: expected a number within .*'n'"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "n": 1' + "0" * 400 + "}\n", r":1:1: expected a number within"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "n": 1' + "0" * 5000 + "}\n", r":1:1: expected one JSON object"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "n": ' + "[" * 100_000 + "\n", r":1:1: expected one JSON object"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "text": "\\ud800"}\n', r":1:1: .*got \\ud800, one half of"),
    ("BEIR", "corpus.jsonl", '{"_id": "a", "n": 1}\n', "expected documents with a text"),
    ("BEIR", "corpus.jsonl", " \n\n", r"corpus\.jsonl is empty"),
    ("BEIR", "corpus.jsonl", b"", r"corpus\.jsonl is empty"),
    (
        "BEIR",
        "corpus.jsonl",
        b'{"_id": "a", "text": ""}\n{"_id": "\xe9"}',
        r":2:10: expected UTF-8, got .* 0xe9",
    ),
    (
        "BEIR",
        "corpus.jsonl",
        '{"_id": "a", "text": "x"}\n\n{"_id": "b"}\n{"_id": "a"}\n',
        r"corpus\.jsonl:4:1: expected each document once, got the id 'a' again, first in .*corpus\.jsonl:1;",
    ),
    (
        "BEIR",
        "queries.jsonl",
        '{"_id": "q1", "words": "a"}\n',
        r":1:1: expected the words of query 'q1' under",
    ),
    (
        "BEIR",
        "queries.jsonl",
        '{"_id": "q1", "text": " "}\n',
        r":1:1: expected the words of query 'q1', got no",
    ),
    (
        "BEIR",
        "queries.jsonl",
        '{"_id": "q1", "text": "a"}\n{"_id": "q1", "text": "b"}\n',
        r":2:1: expected each query once, got the id 'q1' again, first in .*queries\.jsonl:1;",
    ),
    ("BEIR", "queries.jsonl", None, r"has judgments \(test\.tsv, train\.tsv\) and no queries"),
    (
        "BEIR",
        "qrels/test.tsv",
        "query-id\tcorpus-id\tscore\nq1\td1\n",
        r"test\.tsv:2:1: expected 3 .*, got 2",
    ),
    (
        "BEIR",
        "qrels/test.tsv",
        "query-id\tcorpus-id\tscore\nq1\t\t1\n",
        r":2:1: expected the id of a document",
    ),
    (
        "BEIR",
        "qrels/test.tsv",
        "query-id\tcorpus-id\tscore\nq1\td1\tgood\n",
        r":2:1: expected a grade.*'good'",
    ),
    ("BEIR", "qrels/test.tsv", "", r"test\.tsv is empty"),
    ("TREC", "qrels", "q1 0 d1 1\nq1 0 d1\n", r"qrels:2:1: expected 4 columns between white space.*got 3"),
    ("TREC", "qrels", "q1 d1\n", r"qrels:1:1: expected the names of columns .* got 'q1 d1'"),
    ("TREC", "qrels", "q1 0 d1 nan\n", r"qrels:1:1: expected a grade, .* got 'nan'"),
    ("TREC", "qrels", "q1 0 d1 1_0\n", r"qrels:1:1: expected a grade"),
    ("TREC", "qrels", "q1 0 d1 ٢\n", r"qrels:1:1: expected a grade"),
    ("TREC", "qrels", "q1 0 d1 1\nq1 0 d2 1\nq1 0 d1 2\n", r"qrels:3:1: .* got 2 after 1 in .*qrels:1"),
    (
        "TREC",
        "more.sgml",
        "<DOC>\n<DOCNO>d3</DOCNO>\nblue\n",
        r"more\.sgml:1:1: expected </DOC> .* end of the",
    ),
    ("TREC", "more.sgml", "<DOC>\n<DOC>\n", r"more\.sgml:2:1: expected </DOC> of what begins in line 1"),
    ("TREC", "more.sgml", "<DOC><DOCNO>a</DOCNO>\n</DOC>\n</DOC>\n", r":3:1: expected <DOC>, got </DOC>"),
    ("TREC", "more.sgml", "<DOC><DOCNO>a</DOCNO>\n</DOC> stray\n", r":2:1: expected <DOC>, got 'stray'"),
    ("TREC", "more.sgml", "<DOC>\nno number\n</DOC>\n", r"more\.sgml:1:1: expected <DOCNO>id</DOCNO>"),
    ("TREC", "more.sgml", "<DOC>\n<DOCNO>d1</DOCNO>\n</DOC>", r"more\.sgml:1:1: .*fruit\.sgml:1;"),
    ("TREC", "topics.txt", "<top>\n<title>a\n</top>\n", r"topics\.txt:1:1: expected <num>id"),
    ("TREC", "topics.txt", "<top>\n<num>q1\n</top>\n", r"topics\.txt:1:1: expected the words of query 'q1'"),
    ("TREC", "topics.txt", "", r"topics\.txt is empty: expected queries"),
    ("SMART", "fruit.all", ".I 1\n.W\na\n.I\n.W\nb\n", r"fruit\.all:4:1: expected \.I and an id, got '\.I'"),
    ("SMART", "fruit.all", ".I 1\nstray\n", r"fruit\.all:2:1: expected a part .* got 'stray'"),
    ("SMART", "fruit.all", ".I 1\n.W\na\n.I 01\n.W\nb\n", r":4:1: expected each document once, .*all:1;"),
    ("SMART", "fruit.qry", ".I 1\n.W\na\n.I 1\n.W\nb\n", r":4:1: expected each query once, .*qry:1;"),
    ("SMART", "fruit.rel", "1 1 0 0.0\n1 2\n", r"fruit\.rel:2:1: expected query .* got '1 2'"),
    ("SMART", "fruit.rel", "1 1 7\n", r"fruit\.rel:1:1: expected one of the codes -1, 1, .* got '7'"),
    ("SMART", "fruit.rel", "1 0 1 x\n", r"fruit\.rel:1:1: expected a grade"),
    (
        "SMART",
        "cranqrel",
        "1 1 1\n",
        r"expected one file of judgments in .*, got cranqrel, fruit\.rel: keep one",
    ),
    (
        "tables",
        "corpus.tsv",
        "d1\ta\nd2\n",
        r"corpus\.tsv:2:1: expected 2 columns .*\(id, text\), got 1: 'd2'",
    ),
    ("tables", "corpus.tsv", "a\tb\tc\td\n", r"corpus\.tsv:1:1: expected the names of columns, .* got 4"),
    ("tables", "corpus.tsv", "id\ttext\ttext\n", r"corpus\.tsv:1:1: expected each column once"),
    ("tables", "corpus.tsv", "id\ttext\n", r"corpus\.tsv has the names of columns and nothing below"),
    ("tables", "corpus.tsv", "d1\ta\n \tb\n", r"corpus\.tsv:2:1: expected the id of a document, got none"),
    ("tables", "corpus.tsv", "d1\ta\nd1\tb\n", r"corpus\.tsv:2:1: expected each document once, .*tsv:1;"),
    ("tables", "queries.tsv", "id\tnote\nq1\ta\n", r"queries\.tsv:1:1: expected a column text, query"),
    ("tables", "docs.tsv", "d1\ta\n", r"expected one file of documents in .*, got corpus\.tsv, docs\.tsv"),
    (
        "tables",
        "qrels.train.txt",
        "q1 0 d1 1\n",
        r"one file of judgments of the split 'train', got .* and .*",
    ),
]


@pytest.mark.parametrize(("form", "file", "content", "message"), FAULTS)
def test_what_is_wrong_is_said_by_file_and_line(
    tmp_path: Path, form: str, file: str, content: str | bytes | None, message: str
) -> None:
    write(tmp_path, {**FORMS[form], file: content})
    with pytest.raises(DataError, match=message):
        read_collection(tmp_path)


def test_a_query_with_two_texts_is_refused(tmp_path: Path) -> None:
    judged = "query_id\tquery\tdoc_id\tgrade\nx\ta\t1\t0\nx\tb\t2\t1\n"
    write(tmp_path, {**CARRIED, "fruit-judgments.tsv": judged})
    with pytest.raises(
        ParseError, match=r"tsv:3:1: expected one text of query 'x', got 'b' after 'a' in .*tsv:2"
    ):
        read_collection(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_gzip_data_that_ends_early_or_is_damaged_is_named_by_its_line(tmp_path: Path, form: str) -> None:
    write(tmp_path, FORMS[form], packed=True)
    for name in FORMS[form]:
        place = tmp_path / f"{name}.gz"
        whole = place.read_bytes()
        for damaged in (whole[:-6], whole[:30], whole[:10] + b"\xff" * 8 + whole[18:]):
            place.write_bytes(damaged)
            with pytest.raises(
                DataError, match=rf"{name}\.gz(:\d+:1: expected gzip data.* damage| is empty)"
            ):
                read_collection(tmp_path)
        place.write_bytes(whole)
    assert read_collection(tmp_path).form == form


def test_the_line_where_gzip_data_ends_is_the_first_that_is_not_whole(tmp_path: Path) -> None:
    """Stored without compression, so that what is cut off can be counted."""
    content = "".join(f"d{number}\ta\n" for number in range(10, 20))
    write(tmp_path, {**TABLES, "corpus.tsv": None})
    packed = gzip.compress(content.encode(), 0)
    (tmp_path / "corpus.tsv.gz").write_bytes(packed[: -8 - 15])
    with pytest.raises(ParseError, match=r"corpus\.tsv\.gz:8:1: expected gzip data up to its end"):
        read_collection(tmp_path)


def test_gzip_data_of_several_members_is_one_file(tmp_path: Path) -> None:
    first, second = TABLES["corpus.tsv"][:15], TABLES["corpus.tsv"][15:]
    write(tmp_path, {**TABLES, "corpus.tsv": None})
    (tmp_path / "corpus.tsv.gz").write_bytes(gzip.compress(first.encode()) + gzip.compress(second.encode()))
    assert read_collection(tmp_path).documents.ids == ["d1", "d2", "d3"]


def test_a_folder_without_a_collection_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, {"picture.bin": b"\x00\xff", "notes.txt": "hello"})
    with pytest.raises(
        DataError, match=r"looked for corpus\.jsonl .*TREC.*SMART.*found notes\.txt, picture\.bin"
    ):
        read_collection(tmp_path)
    with pytest.raises(DataError, match="got a file at"):
        read_collection(tmp_path / "notes.txt")
    with pytest.raises(DataError, match="got nothing at"):
        read_collection(tmp_path / "none")
