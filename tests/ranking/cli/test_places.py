"""A result that could not be written is refused before the work for it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ranking.cli.conftest import Cli

UNWRITABLE = {
    # What cannot be a folder or a file, for anybody.
    "no such device": Path("/proc/m9"),
    "below a file": Path("/dev/null/m9"),
}


@pytest.mark.parametrize("place", UNWRITABLE.values(), ids=UNWRITABLE)
@pytest.mark.parametrize(
    "command",
    [
        ["train", "DATA", "--out"],
        ["tune", "DATA", "--out"],
        ["tune", "DATA", "--out", "OUT", "--study"],
        ["ensemble", "MODEL", "MODEL", "--valid", "DATA", "--out"],
        ["distil", "MODEL", "DATA", "--out"],
        ["publish", "MODEL", "--name", "m", "--registry"],
        ["evaluate", "MODEL", "DATA", "--per-query"],
        ["predict", "MODEL", "DATA", "--output"],
        ["data", "convert", "DATA"],
        ["features", "build", "DATA", "--out"],
        ["log", "export", "DATA", "--out"],
    ],
    ids=lambda command: " ".join(command),
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(
    cli: Cli, tmp_path: Path, command: list[str], place: Path
) -> None:
    """The model and the data are not even there. Nothing is left behind."""
    named = {word: tmp_path / word for word in ("DATA", "MODEL", "OUT")}
    ran = cli(*(named.get(word, word) for word in command), place)
    assert (ran.code, ran.out) == (2, "")
    assert str(place) in ran.err
    assert "choose another place" in ran.err
    assert not any(tmp_path.iterdir())


def test_data_that_cannot_be_read_leaves_no_folder_for_the_model(cli: Cli, tmp_path: Path) -> None:
    ran = cli("train", tmp_path / "none.txt", "--out", tmp_path / "new" / "model", "--json")
    assert (ran.code, ran.out) == (4, "")
    assert not any(tmp_path.iterdir())
