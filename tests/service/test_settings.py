"""Settings come from arguments and variables, and a wrong one is named."""

from __future__ import annotations

import pytest

from ranking.errors import UsageError
from service.app import create_app
from service.settings import Settings


def test_defaults_are_the_published_limits() -> None:
    """What the documentation promises."""
    settings = Settings()
    assert (settings.max_body_bytes, settings.max_candidates, settings.port) == (8 << 20, 10_000, 8000)


def test_variables_are_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument stands above a variable, a variable above the default."""
    monkeypatch.setenv("RANKWRIGHT_PORT", "9001")
    monkeypatch.setenv("RANKWRIGHT_MAX_CANDIDATES", "7")
    settings = Settings(port=9002)
    assert (settings.port, settings.max_candidates) == (9002, 7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": "http"}, r"`port` \(RANKWRIGHT_PORT\).*got 'http'"),
        ({"port": 70_000}, r"`port`.*65535"),
        ({"scoring_threads": 0}, r"`scoring_threads`.*got 0"),
        ({"prot": 1}, r"unknown setting `prot` \(known: config, model, registry"),
        ({"model": "a", "registry": "b"}, r"`model` and `registry` exclude each other"),
    ],
)
def test_a_bad_setting_is_a_usage_error_naming_the_key(values: dict[str, object], message: str) -> None:
    """The key, what was expected and what came."""
    with pytest.raises(UsageError, match=message):
        Settings(**values)


def test_a_bad_variable_is_a_usage_error_naming_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment's mistake reads like a caller's."""
    monkeypatch.setenv("RANKWRIGHT_QUEUE_SECONDS", "soon")
    with pytest.raises(UsageError, match=r"RANKWRIGHT_QUEUE_SECONDS.*got 'soon'"):
        Settings()


def test_nothing_to_serve_is_a_usage_error() -> None:
    """An app needs a ranker, a folder or a registry."""
    with pytest.raises(UsageError, match="nothing to serve"):
        create_app(Settings())
