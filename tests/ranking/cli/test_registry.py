"""`rankwright publish` and `models`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ranking.models.registry import Registry
from tests.ranking.cli.conftest import Cli


def test_models_are_published_promoted_and_rolled_back(cli: Cli, tmp_path: Path, model: Path) -> None:
    place = ["--registry", tmp_path / "registry"]
    assert cli("models", "list", *place).out == f"no models in {tmp_path / 'registry'}\n"
    publish = ["publish", model, *place, "--name", "movies"]
    assert cli(*publish, "--alias", "production", "--json").json == {
        "name": "movies",
        "version": 1,
        "alias": "production",
    }
    assert cli(*publish).out == "movies@2\n"
    assert cli(*publish, "--alias", "canary").out == "movies@3 is now movies:canary\n"
    moved = cli("models", "promote", "movies", 3, *place, "--json").json
    assert moved == {"name": "movies", "alias": "production", "version": 3}
    listing = cli("models", "list", *place, "--json").json
    assert listing == {
        "models": [{"name": "movies", "versions": [1, 2, 3], "aliases": {"canary": 3, "production": 3}}]
    }
    assert cli("models", "list", *place).out.splitlines()[3].split() == [
        "movies",
        "3",
        "canary,",
        "production",
    ]
    assert cli("models", "rollback", "movies", *place, "--json").json["version"] == 1
    assert Registry(tmp_path / "registry").aliases("movies")["production"] == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["models", "promote", "movie", "1"], 2, "unknown model in .* 'movie'; did you mean 'movies'"),
        (["models", "promote", "movies", "9"], 2, "unknown version of movies '9'"),
        (["models", "rollback", "movies"], 2, "movies:production has always been version 1"),
        (["models", "rollback", "movies", "--alias", "beta"], 2, "beta"),
    ],
)
def test_what_is_not_in_the_registry_ends_with_2(
    cli: Cli, tmp_path: Path, model: Path, words: list[str], code: int, message: str
) -> None:
    place = ["--registry", tmp_path / "registry"]
    assert cli("publish", model, *place, "--name", "movies", "--alias", "production").code == 0
    ran = cli(*words, *place, "--json")
    assert (ran.code, ran.out) == (code, "")
    assert re.search(message, ran.err)


def test_a_damaged_model_is_not_published(cli: Cli, tmp_path: Path, damaged: Path) -> None:
    ran = cli("publish", damaged, "--registry", tmp_path / "registry", "--name", "movies", "--json")
    assert (ran.code, ran.out) == (4, "")
    assert Registry(tmp_path / "registry").names() == []


# --- serve ------------------------------------------------------------------------------------------
