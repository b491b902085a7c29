"""The command as a whole: what it loads, how it ends, and where it speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ranking.data import parquet
from ranking.errors import RankwrightError
from tests.ranking.cli.conftest import Cli

ROOT = Path(__file__).parents[3]
RANKWRIGHT = [sys.executable, "-c", "from ranking.cli import main; main()"]
HEAVY = ("lightgbm", "xgboost", "torch", "pandas", "numba", "fastapi", "scipy")

LOADED = f"""
import sys
try:
    {{statement}}
except SystemExit:
    pass
print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    "statement",
    ["import ranking", "sys.argv = ['rankwright', '--help']; from ranking.cli import main; main()"],
    ids=["import", "help"],
)
def test_importing_and_helping_load_none_of_the_heavy_libraries(statement: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement=statement)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert ran.stderr.strip() == ""


def test_the_check_of_loaded_libraries_can_fail() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement="import numba")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "numba" in ran.stderr


COMMANDS = [
    "train",
    "evaluate",
    "predict",
    "shrink",
    "distil",
    "cv",
    "data check",
    "data convert",
    "data describe",
    "inspect",
    "verify",
    "publish",
    "models list",
    "models promote",
    "models rollback",
    "search describe",
    "serve",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    """On stdout, and each can answer in JSON."""
    ran = cli(*command.split(), "--help")
    assert ran.code == 0
    assert "Usage: rankwright" in ran.out
    assert "--json" in ran.out


def test_the_help_lists_the_commands(cli: Cli) -> None:
    text = cli("--help").out
    assert all(command.split()[0] in text for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "x.txt", "--out", "m", "--nope"],
        ["train", "--out", "m"],
        ["train", "x.txt"],
        ["tarin"],
        ["models", "promote", "movies", "seven", "--registry", "r"],
        ["train", "x.txt", "--out", "m", "--rounds", "many"],
    ],
    ids=["option", "no data", "no out", "command", "not a number", "rounds"],
)
def test_a_call_that_cannot_be_understood_ends_with_2(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Usage:" in ran.err


def test_a_name_that_is_not_known_ends_with_2_before_any_data_is_read(cli: Cli, tmp_path: Path) -> None:
    ran = cli(
        "train", tmp_path / "none.txt", "--out", tmp_path / "model", "--objective", "lamdarank", "--json"
    )
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("rankwright: unknown objective 'lamdarank'; did you mean 'lambdarank'?")


def test_a_missing_extra_ends_with_3(
    cli: Cli, tmp_path: Path, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "find_spec", lambda name: None)
    ran = cli("data", "convert", judged, tmp_path / "data.parquet")
    assert (ran.code, ran.out) == (3, "")
    assert "pip install 'rankwright[parquet]'" in ran.err


MALFORMED = "1 qid:1 1:0.5 2:1\n0 qid:1 1:abc 2:1\n"


@pytest.mark.parametrize(
    "command",
    [
        ["train", "DATA", "--out", "OUT", "--json"],
        ["evaluate", "MODEL", "DATA", "--json"],
        ["predict", "MODEL", "DATA"],
        ["cv", "DATA", "--json"],
        ["data", "describe", "DATA", "--json"],
        ["data", "convert", "DATA", "OUT", "--json"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_malformed_text_ends_with_4_and_its_place_on_stderr(
    cli: Cli, tmp_path: Path, model: Path, command: list[str]
) -> None:
    data = tmp_path / "bad.txt"
    data.write_text(MALFORMED)
    places = {"DATA": data, "OUT": tmp_path / "out", "MODEL": model}
    ran = cli(*(places.get(word, word) for word in command))
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith(f"rankwright: {data}:2:9: ")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_ends_with_4(cli: Cli, tmp_path: Path) -> None:
    ran = cli("data", "describe", tmp_path / "none.txt")
    assert (ran.code, ran.out) == (4, "")
    assert "none.txt" in ran.err


def test_an_error_of_no_kind_ends_with_1(cli: Cli, judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RankwrightError("the sky fell")

    monkeypatch.setattr("ranking.data.description.describe", fail)
    ran = cli("data", "describe", judged)
    assert (ran.code, ran.out, ran.err) == (1, "", "rankwright: the sky fell\n")


def test_ctrl_c_while_reading_ends_with_130(cli: Cli, judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ranking.data.letor.read_letor", interrupt)
    assert cli("data", "describe", judged).code == 130


@pytest.mark.parametrize("rows", [3, 30_000], ids=["within the buffer", "beyond it"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, rows: int) -> None:
    """As `| head` does; before anything was written, and in the middle of it."""
    data = tmp_path / "bad.txt"
    data.write_text("nonsense\n" * rows)
    command = [*RANKWRIGHT, "data", "check", str(data), "--limit", str(rows)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=buffered
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (said, process.returncode) == ("", 0)
