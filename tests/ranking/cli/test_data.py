"""`rankwright data`: check, describe, convert."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ranking.data.letor import read_letor, read_libsvm, write_letor
from ranking.data.parquet import read_parquet
from tests.ranking.cli.conftest import Cli
from tests.ranking.training.runs import letor, lists

# --- check ------------------------------------------------------------------------------------------


def test_check_lists_twenty_errors_counts_the_rest_and_ends_with_4(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "bad.txt"
    data.write_text("".join(f"{'x' if i % 2 else 1} qid:{i} 1:0.5\n" for i in range(60)))
    ran = cli("data", "check", data)
    lines = ran.out.splitlines()
    assert ran.code == 4
    assert [line.startswith(f"{data}:{2 * i + 2}:1: ") for i, line in enumerate(lines[:20])] == [True] * 20
    assert lines[20:] == ["... and 10 more", "30 errors in 60 lines, 60 documents, 30 queries"]


def test_check_json_holds_places_and_counts(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "bad.txt"
    data.write_text("1 qid:1 1:0.5\nx qid:1 1:0.5\ny qid:1 1:0.5\n")
    ran = cli("data", "check", data, "--limit", 1, "--json")
    assert ran.code == 4
    found = ran.object
    assert (found["count"], found["lines"], found["queries"]) == (2, 3, 1)
    assert [(e["file"], e["line"], e["column"]) for e in found["errors"]] == [(str(data), 2, 1)]


def test_check_of_sound_data_ends_with_0(cli: Cli, judged: Path) -> None:
    count = read_letor(judged).document_count
    assert cli("data", "check", judged, "--json").json["documents"] == count
    piped = cli("data", "check", "-", stdin=judged.read_bytes())
    assert piped.out == f"0 errors in {count} lines, {count} documents, 40 queries\n"


# --- describe ---------------------------------------------------------------------------------------


def test_describe_says_what_is_in_the_data(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("2 qid:1 1:0.5 2:7\n0 qid:1 1:1 2:7\n0 qid:2 2:7\n")
    found = cli("data", "describe", data, "--json").json
    assert (found["queries"], found["documents"], found["features"]) == (2, 3, 2)
    assert found["labels"] == {"0": 2, "2": 1}
    assert found["missing"] == {"1": pytest.approx(1 / 3)}
    assert found["constant"] == ["2"]
    assert cli("data", "describe", data, "--missing", "zero", "--json").json["missing"] == {}
    assert "queries    2" in cli("data", "describe", data).out


def test_describe_refuses_a_policy_it_does_not_know(cli: Cli, judged: Path) -> None:
    ran = cli("data", "describe", judged, "--missing", "mean")
    assert (ran.code, ran.out) == (2, "")
    assert "--missing must be zero or nan, got 'mean'" in ran.err


# --- convert ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["zero", "nan"])
def test_letor_to_parquet_to_libsvm_and_back_is_the_same_data(cli: Cli, tmp_path: Path, missing: str) -> None:
    """Names of queries have no place in LIBSVM text; everything else comes back."""
    data = lists()
    # A row of zeros alone would leave nothing of the width.
    features = np.where(data.features[:, :3] > 1, 0 if missing == "zero" else np.nan, data.features[:, :3])
    data = replace(data, features=np.column_stack([features, data.features[:, 3]]))
    first = tmp_path / "data.txt"
    write_letor(data, first, missing=missing)  # type: ignore[arg-type]  # one of the two
    policy = ["--missing", missing]
    assert cli("data", "convert", first, tmp_path / "data.parquet", *policy).code == 0
    assert (
        cli(
            "data", "convert", tmp_path / "data.parquet", tmp_path / "data.svm", "--to", "libsvm", *policy
        ).code
        == 0
    )
    assert (
        cli("data", "convert", tmp_path / "data.svm", tmp_path / "back.txt", "--from", "libsvm", *policy).code
        == 0
    )
    again = read_letor(tmp_path / "back.txt", missing=missing)  # type: ignore[arg-type]  # the same
    renamed = replace(data, query_ids=[str(i + 1) for i in range(data.query_count)])
    assert again.fingerprint() == renamed.fingerprint()
    assert read_parquet([tmp_path / "data.parquet"], missing=missing).fingerprint() == data.fingerprint()  # type: ignore[arg-type]  # the same


def test_libsvm_may_name_its_groups_and_count_from_zero(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "rows.svm").write_text("1 0:0.5 1:2\n0 0:0.25 1:1\n2 1:4\n")
    (tmp_path / "sizes").write_text("2\n1\n")
    ran = cli(
        "data", "convert", tmp_path / "rows.svm", tmp_path / "out.txt",
        "--from", "libsvm", "--groups", tmp_path / "sizes", "--zero-based", "--json",
    )  # fmt: skip
    assert ran.json == {"target": str(tmp_path / "out.txt"), "queries": 2, "documents": 3}
    assert read_letor(tmp_path / "out.txt").features[:, 1].tolist() == [2, 1, 4]
    assert (
        cli(
            "data", "convert", tmp_path / "out.txt", tmp_path / "back.svm", "--to", "libsvm", "--zero-based"
        ).code
        == 0
    )
    assert read_libsvm(tmp_path / "back.svm", first_id=0).sizes.tolist() == [2, 1]


def test_convert_reads_stdin_and_compresses_by_suffix(cli: Cli, tmp_path: Path) -> None:
    plain = letor(tmp_path / "plain.txt")
    ran = cli("data", "convert", "-", tmp_path / "data.txt.gz", "--missing", "zero", stdin=plain.read_bytes())
    assert ran.code == 0
    assert ran.out == ""
    assert "wrote " in ran.err
    with gzip.open(tmp_path / "data.txt.gz") as file:
        assert file.read() == plain.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--to", "csv"], 2, "a format is letor, libsvm or parquet, got 'csv'"),
        (["--missing", "none"], 2, "--missing must be zero or nan"),
        (["--from", "libsvm"], 4, "expected a file of group sizes"),
        (["--from", "parquet"], 4, "test.txt is not Parquet"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    cli: Cli, tmp_path: Path, judged: Path, words: list[str], code: int, message: str
) -> None:
    ran = cli("data", "convert", judged, tmp_path / "out.txt", *words, "--json")
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert not (tmp_path / "out.txt").exists()
