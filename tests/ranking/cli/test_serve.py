"""`rankwright serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ranking.cli.conftest import Cli


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "nothing to serve"), (["--model", "m", "--registry", "r"], "exclude each other: name one of them")],
    ids=["neither", "both"],
)
def test_serve_needs_a_model_or_a_registry(cli: Cli, words: list[str], message: str) -> None:
    ran = cli("serve", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_serve_hands_its_flags_to_the_service(cli: Cli, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("service.server.run.serve", lambda settings, *_: seen.append(settings))
    assert cli("serve", "--model", model, "--port", 0, "--host", "0.0.0.0", "--workers", 2).code == 0
    settings = seen[0]
    assert (settings.model, settings.port, settings.host, settings.workers) == (model, 0, "0.0.0.0", 2)
    assert settings.registry is None
