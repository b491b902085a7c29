"""Malformed files: each is refused at its line and column, in words that say what to do."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from ranking.data.letor import lint, read_feature_names, read_letor, read_libsvm
from ranking.errors import DataError, ParseError

GOOD = b"1 qid:1 1:0.5 2:1\n"
BIG = 1 << 40

# name: (content, line, column, what the message must match)
CORPUS: dict[str, tuple[bytes, int, int, str]] = {
    "empty file": (b"", 1, 1, "at least one row, got an empty file"),
    "only comments": (b"# nothing\n\n", 1, 1, "at least one row, got only comments"),
    "label missing": (b"qid:1 1:1\n", 1, 1, r"a label .* got 'qid:1'; start each row as in '0 qid:7 1:0.5'"),
    "label a word": (GOOD + b"good qid:1 1:1\n", 2, 1, "expected a label .* got 'good'"),
    "label after blanks": (b"  x qid:1 1:1\n", 1, 3, "expected a label .* got 'x'"),
    "label negative": (b"-1 qid:1 1:1\n", 1, 1, "expected a label .* got '-1'; map the labels"),
    "label tiny and negative": (b"-1e-40 qid:1 1:1\n", 1, 1, "got '-1e-40'; map the labels"),
    "label nan": (b"nan qid:1 1:1\n", 1, 1, "expected a label .* got 'nan'; leave unjudged rows out"),
    "label inf": (b"inf qid:1 1:1\n", 1, 1, "expected a label .* got 'inf'; leave unjudged rows out"),
    "label huge": (b"1e999 qid:1 1:1\n", 1, 1, "within float32, got '1e999'"),
    "label with underscore": (b"1_0 qid:1 1:1\n", 1, 1, "got '1_0'"),
    "label sign only": (b"+ qid:1 1:1\n", 1, 1, r"got '\+'"),
    "label two points": (b"1.2.3 qid:1 1:1\n", 1, 1, "got '1.2.3'"),
    "label exponent only": (b"1e qid:1 1:1\n", 1, 1, "got '1e'"),
    "label alone": (b"1\n", 1, 2, "expected qid:ID after the label, got the end of the row"),
    "label and comment": (b"1 # doc\n", 1, 3, "expected qid:ID after the label, got the end of the row"),
    "qid missing": (b"1 1:0.5\n", 1, 3, "expected qid:ID after the label, got '1:0.5'; name the query"),
    "qid empty": (b"1 qid: 1:0.5\n", 1, 3, "expected an id after 'qid:', got nothing"),
    "qid upper case": (b"1 QID:3 1:0.5\n", 1, 3, "expected qid:ID after the label, got 'QID:3'"),
    "qid with control byte": (b"1 qid:a\x01 1:0.5\n", 1, 8, "the control byte 0x01"),
    "qid twice": (b"1 qid:1 qid:2 1:0.5\n", 1, 9, "whole number as feature id, got 'qid'"),
    "no colon": (b"1 qid:1 1:1 5\n", 1, 13, "expected id:value, got '5'"),
    "no id": (b"1 qid:1 :2\n", 1, 9, "expected a feature id before ':', got ':2'"),
    "no value": (b"1 qid:1 1: 2:1\n", 1, 9, "value of feature 1, got nothing"),
    "no value at the end": (b"1 qid:1 1:\n", 1, 9, "value of feature 1, got nothing"),
    "id a name": (b"1 qid:1 bm25:2\n", 1, 9, r"whole number as feature id, got 'bm25'; .*features.txt"),
    "id a fraction": (b"1 qid:1 1.5:2\n", 1, 9, "whole number as feature id, got '1.5'"),
    "id negative": (b"1 qid:1 -1:2\n", 1, 9, "whole number as feature id, got '-1'"),
    "id signed": (b"1 qid:1 +1:2\n", 1, 9, r"whole number as feature id, got '\+1'"),
    "id 0": (b"1 qid:1 0:2 1:3\n", 1, 9, "feature ids from 1, got '0'; add 1 to every id"),
    "id above the limit": (b"1 qid:1 1:1 16385:2\n", 1, 13, "up to 16384, got '16385'; raise max_features"),
    "id 2^31": (b"1 qid:1 2147483648:2\n", 1, 9, "feature id up to 16384, got '2147483648'"),
    "id 2^80": (b"1 qid:1 1208925819614629174706176:2\n", 1, 9, "feature id up to 16384, got '12089258"),
    "id of 5000 digits": (b"1 qid:1 " + b"9" * 5000 + b":2\n", 1, 9, r"got '9{40}'\.\.\. \(5000 bytes\)"),
    "id twice": (b"1 qid:1 3:1 3:2\n", 1, 13, "ascending feature ids, got 3 twice"),
    "ids descending": (b"1 qid:1 3:1 2:2\n", 1, 13, "ascending feature ids, got 2 after 3"),
    "ids descending from far": (b"1 qid:1 9000:1 2:2\n", 1, 16, "ascending feature ids, got 2 after 9000"),
    "value a word": (b"1 qid:1 1:high\n", 1, 9, "value of feature 1, got 'high'; write a decimal number"),
    "value nan": (b"1 qid:1 1:0 2:NaN\n", 1, 13, "got 'NaN'; leave .* out and read with missing='nan'"),
    "value inf": (b"1 qid:1 1:-inf\n", 1, 9, "feature 1, got '-inf'; write a finite number"),
    "value infinity": (b"1 qid:1 1:infinity\n", 1, 9, "got 'infinity'; write a finite number"),
    "value 1e999": (b"1 qid:1 1:1e999\n", 1, 9, r"feature 1 within float32 \(3.4e38\), got '1e999'; scale"),
    "value 1e39": (b"1 qid:1 1:-1e39\n", 1, 9, r"feature 1 within float32 \(3.4e38\), got '-1e39'"),
    "value hexadecimal": (b"1 qid:1 1:0x1p3\n", 1, 9, "got '0x1p3'"),
    "value with underscore": (b"1 qid:1 1:1_000\n", 1, 9, "got '1_000'"),
    "value with comma": (b"1 qid:1 1:0,5\n", 1, 9, "got '0,5'"),
    "value of two numbers": (b"1 qid:1 1:2:3\n", 1, 9, "got '2:3'"),
    "value a point": (b"1 qid:1 1:.\n", 1, 9, "got '.'"),
    "value two signs": (b"1 qid:1 1:+-1\n", 1, 9, r"got '\+-1'"),
    "exponent of nothing": (b"1 qid:1 1:1e+\n", 1, 9, r"got '1e\+'"),
    "no-break space": (b"1 qid:1 1:1\xc2\xa02:1\n", 1, 9, "got '1\\\\xa02:1'"),
    "NUL in a value": (b"1 qid:1 1:0.\x00\n", 1, 13, "the control byte 0x00"),
    "NUL in a comment": (GOOD + b"1 qid:1 1:1 # a\x00b\n", 2, 16, "the control byte 0x00"),
    "NULs after the data": (GOOD + b"\x00\x00\x00\n", 2, 1, "the control byte 0x00"),
    "escape byte": (b"1 qid:1 \x1b1:1\n", 1, 9, "the control byte 0x1b"),
    "delete byte": (b"1 qid:1 1:1 # \x7f\n", 1, 15, "the control byte 0x7f"),
    "vertical tab": (b"1 qid:1\x0b1:1\n", 1, 8, "the control byte 0x0b"),
    "carriage return inside": (b"1 qid:1 1:1\r 2:1\n", 1, 12, "carriage return inside a line"),
    "carriage return in a comment": (b"1 qid:1 1:1 # a\rb\n", 1, 16, "carriage return inside a line"),
    "two carriage returns": (b"1 qid:1 1:1\r\r\n", 1, 12, "carriage return inside a line"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, 1, 1, r"byte order mark; take it out: sed '1s/\^\\xEF"),
    "UTF-16": (GOOD.decode().encode("utf-16"), 1, 1, "got UTF-16; convert it: iconv -f UTF-16"),
    "UTF-16 without mark": (GOOD.decode().encode("utf-16-le"), 1, 1, "got UTF-16"),
    "last line without newline": (GOOD + b"1 qid:1 1:0.2", 2, 14, r"newline after the last row.* echo >> "),
    "one line without newline": (b"1 qid:1 1:1", 1, 12, "newline after the last row"),
    "query comes again": (
        GOOD + b"1 qid:2 1:1\n  1 qid:1 1:1\n", 3, 5,
        r"query '1' together, got it again at \S+:3 after it began at \S+:1;",
    ),
    "gzip cut short": (gzip.compress(GOOD * 50, mtime=0)[:-8], 51, 1, "end of the gzip data"),
    "gzip damaged": (gzip.compress(GOOD, mtime=0)[:-6] + b"abcdef", 1, 1, "got damage"),
    "gzip with garbage after": (gzip.compress(GOOD, mtime=0) + b"garbage", 2, 1, "got damage"),
    "gzip without last newline": (gzip.compress(GOOD[:-1], mtime=0), 1, 18, r"echo \| gzip >> "),
    "error far into the file": (GOOD * 70_000 + b"1 qid:1 2:x\n", 70_001, 9, "got 'x'"),
    "line of a megabyte": (b"1 qid:1 " + b"7" * (1 << 20) + b"\n" + GOOD, 1, 9, r"'7+'\.\.\. \(1048576 b"),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_a_malformed_file_is_refused_at_its_place(name: str, tmp_path: Path) -> None:
    """The error names file, line, column, what was expected, what came and what to do."""
    content, line, column, message = CORPUS[name]
    path = tmp_path / "data.txt"
    path.write_bytes(content)
    with pytest.raises(ParseError) as caught:
        read_letor(path)
    error = caught.value
    assert (error.file, error.line, error.column) == (str(path), line, column), error
    assert re.search(message, error.message), error.message
    assert re.fullmatch("expected .+, got .+; .+", error.message, re.DOTALL), error.message
    assert len(error.message) < 300 + 3 * len(str(path))


def test_lint_agrees_with_reading_on_the_first_error(tmp_path: Path) -> None:
    """What refuses a file when it is read is the first thing that lint reports."""
    for number, (content, line, column, message) in enumerate(CORPUS.values()):
        path = tmp_path / f"{number}.txt"
        path.write_bytes(content)
        first = lint(path).errors[0]
        assert (first.line, first.column) == (line, column), first
        assert re.search(message, first.message), first.message


def test_lint_goes_on_after_every_error(tmp_path: Path) -> None:
    """All malformed lines are counted, the first `limit` are shown in order, with the file's own faults."""
    bad = [b"x qid:1 1:1\n", b"1 1:1\n", b"1 qid:1 0:1\n", b"1 qid:1 1:1e999\n"]
    path = tmp_path / "data.txt"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"".join(bad) * 10 + b"1 qid:2 1:1\n1 qid:1 1:1\n1 qid:3 1:1")
    found = lint(path, limit=5)
    assert [error.line for error in found.errors] == [1, 2, 3, 4, 5]
    assert "1e999" in found.errors[4].message
    assert (found.count, found.lines, found.documents, found.queries) == (43, 43, 43, 2)
    assert lint(path, limit=100).errors[-1].line == 44


def test_lint_of_a_sound_file_counts_it(tmp_path: Path) -> None:
    """A sound file has no errors, and its lines, documents and queries are counted."""
    path = tmp_path / "data.txt"
    path.write_bytes(b"# head\n" + GOOD * 3 + b"\n0 qid:b 7:1\n")
    found = lint(path)
    assert (found.errors, found.count, found.lines, found.documents, found.queries) == ((), 0, 6, 4, 2)


def test_the_same_query_in_two_files_names_both(tmp_path: Path) -> None:
    """A query that comes in a second file is refused with both places, even where the files meet."""
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_bytes(GOOD)
    two.write_bytes(b"# head\n" + GOOD)
    with pytest.raises(ParseError, match=rf"{two}:2:3: .* again at {two}:2 after it began at {one}:1"):
        read_letor([one, two])


def test_an_id_beyond_the_given_width_is_refused(tmp_path: Path) -> None:
    """feature_count and feature_names bound the ids."""
    path = tmp_path / "data.txt"
    path.write_bytes(b"1 qid:1 1:1 3:1\n")
    with pytest.raises(ParseError, match=r":1:13: expected a feature id up to 2, got '3'; .* 2 features"):
        read_letor(path, feature_count=2)
    with pytest.raises(ParseError, match="up to 1, got '3'"):
        read_letor(path, feature_names=["only"])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file and a folder are bad data (exit code 4), not a traceback."""
    with pytest.raises(DataError, match=r"No such file.*absent\.txt") as caught:
        read_letor(tmp_path / "absent.txt")
    assert caught.value.exit_code == 4
    with pytest.raises(DataError, match="expected a file, got the folder"):
        read_letor(tmp_path)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("1\ta\n3\tb\n", ":2:1:", "expected '2<TAB>NAME', got '3\\\\tb'"),
        ("1 a\n", ":1:1:", "expected '1<TAB>NAME'"),
        ("1\ta\n2\ta\n", ":2:3:", "expected distinct names, got 'a' for 1 and 2"),
        ("", ":1:1:", "got an empty file"),
    ],
)
def test_malformed_feature_names_are_refused(text: str, place: str, message: str, tmp_path: Path) -> None:
    """features.txt numbers its names from 1 in order, each once."""
    path = tmp_path / "features.txt"
    path.write_text(text)
    with pytest.raises(ParseError, match=f"{place}.*{message}"):
        read_feature_names(path)


@pytest.mark.parametrize(
    ("rows", "groups", "message"),
    [
        ("1 1:1\n0 1:2\n", "3\n", "add up to the 2 rows of .*, got 3 in .*query"),
        ("1 1:1\n", "0\n", "query:1:1: expected a group size of 1 or more, got '0'"),
        ("1 1:1\n", "1\nx\n", "query:2:1: expected a group size of 1 or more, got 'x'"),
        ("1 qid:4 1:1\n", "1\n", "got 'qid'; read the file with read_letor"),
        ("1 0:1\n", "1\n", "ids from 1, got '0'"),
    ],
)
def test_libsvm_files_that_do_not_fit_are_refused(
    rows: str, groups: str, message: str, tmp_path: Path
) -> None:
    """Sizes must be positive and add up to the rows; rows have no query id."""
    (tmp_path / "rank.train").write_text(rows)
    (tmp_path / "rank.train.query").write_text(groups)
    with pytest.raises(DataError, match=message):
        read_libsvm(tmp_path / "rank.train")


NUMBER = rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
ROW = re.compile(
    rb"[ \t]*(?P<label>%b)[ \t]+qid:[^\x00-\x20\x7f#]+(?P<features>(?:[ \t]+[0-9]{1,7}:%b)*)[ \t]*"
    rb"(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?\r?" % (NUMBER, NUMBER)
)
SKIPPED = re.compile(rb"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?\r?")


def is_sound(line: bytes) -> bool:
    """The row form again, as a regular expression."""
    row = ROW.fullmatch(line)
    if row is None:
        return SKIPPED.fullmatch(line) is not None
    pairs = [token.split(b":") for token in row["features"].split()]
    ids = [int(name) for name, _ in pairs]
    ascending = all(a < b for a, b in zip([0, *ids], [*ids, 16385], strict=False))
    return ascending and 0 <= float(row["label"]) < 3.4e38 and all(abs(float(v)) < 3.4e38 for _, v in pairs)


def test_mutated_lines_are_judged_as_the_row_form_says(tmp_path: Path) -> None:
    """Bytes changed, taken out, put in and doubled: the compiled scan and the regular expression agree."""
    rng = np.random.default_rng(6)
    seeds = [
        b"1 qid:12 1:0.5 2:-1e-3 17:22.076928 136:3 #docid = D1 x",
        b"0\tqid:a 3:1234567.12345678 4:.5\r",
    ]
    alphabet = b" \t:#.+-eE0123456789qid\r\x00\x7f\xff,n"
    lines = []
    for _ in range(20_000):
        line = bytearray(seeds[rng.integers(2)])
        for _ in range(rng.integers(1, 4)):
            at, byte = int(rng.integers(len(line))), alphabet[rng.integers(len(alphabet))]
            stop = at + int(rng.integers(0, 3))
            line[at:stop] = bytes([byte]) if rng.random() < 0.7 else line[at : at + 8]
        lines.append(bytes(line))
    path = tmp_path / "data.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    refused = {e.line for e in lint(path, limit=100_000).errors if " together, got it again" not in e.message}
    expected = {number for number, line in enumerate(lines, 1) if not is_sound(line)}
    assert 5_000 < len(expected) < 19_000
    assert refused == expected
