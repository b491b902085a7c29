"""The command line run in this process, and models for it to work on."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from ranking.cli import app, main
from ranking.training.run import train
from ranking.trees.backends import BACKENDS
from ranking.trees.scoring import warm_up
from tests.ranking.models.small import rewrite
from tests.ranking.training.runs import letor, lists, quick

COMMAND = typer.main.get_command(app)


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as exactly one JSON object, of a command that ended well."""
        assert self.code == 0, self.err
        return self.object

    @property
    def object(self) -> Any:
        """The same, of a command that ended with a verdict of its own."""
        content = json.loads(self.out)
        assert isinstance(content, dict)
        return content


Cli = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def compiled_scorer() -> None:
    """So that no command says, where its stderr is read, that it compiles for the first time."""
    for backend in BACKENDS:
        warm_up(backend)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`cli("train", file, "--out", folder)`; opening a model starts no child process."""
    for room in ("loading", "verifying"):
        monkeypatch.setattr(f"ranking.models.{room}.run_probe", lambda _: None)
    # Typer builds all commands anew each time it is called, which a process does once.
    monkeypatch.setattr("ranking.cli.app", COMMAND)
    monkeypatch.delenv("RANKWRIGHT_CACHE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["rankwright", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        assert isinstance(code, int | None)
        return Ran(code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder by backend; not to be changed."""
    place = tmp_path_factory.mktemp("trained")
    return {backend: train(quick(backend), lists(), None, place / backend).folder for backend in BACKENDS}


@pytest.fixture(scope="session")
def model(trained: dict[str, Path]) -> Path:
    return trained["lightgbm"]


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LETOR text the models have not seen."""
    return letor(tmp_path_factory.mktemp("judged") / "test.txt", lists(seed=1))


@pytest.fixture
def damaged(tmp_path: Path, model: Path) -> Path:
    """A model folder whose hash was made to fit, and whose structure gives it away."""
    folder = shutil.copytree(model, tmp_path / "damaged")
    content = (folder / "model.txt").read_bytes()
    rewrite(folder, "model.txt", content.replace(b"left_child=", b"left_child=9", 1))
    return folder
