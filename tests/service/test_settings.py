"""Settings come from arguments and variables, and a wrong one is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ranking.errors import UsageError
from service.app import create_app
from service.settings import OTHER_VARIABLES, Settings, unknown_variables

ROOT = Path(__file__).parents[2]


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
        ({"trusted_proxies": ["10.0.0.0/8", "nginx"]}, r"`trusted_proxies`.*network, got 'nginx'"),
        ({"trusted_proxies": "10.0.0.300"}, r"`trusted_proxies`.*network, got '10.0.0.300'"),
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


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("10.0.0.1, fd00::/8,", ["10.0.0.1/32", "fd00::/8"]),
        ('["10.0.0.0/8", "::1"]', ["10.0.0.0/8", "::1/128"]),
        ("", []),
    ],
)
def test_a_variable_gives_a_list_by_commas_or_as_json(
    monkeypatch: pytest.MonkeyPatch, value: str, networks: list[str]
) -> None:
    """As an argument does, which --set may give as text too."""
    assert Settings(trusted_proxies=value).shown()["trusted_proxies"] == networks
    monkeypatch.setenv("RANKWRIGHT_TRUSTED_PROXIES", value)
    assert Settings().shown()["trusted_proxies"] == networks


@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("RANKWRIGHT_KEY_FILE", "keys_file"),
        ("RANKWRIGHT_KEYSFILE", "keys_file"),
        ("rankwright_key_file", "keys_file"),
        ("RANKWRIGHT_KEY", "keys"),
        ("RANKWRIGHT_API_KEYS", "keys"),
        ("RANKWRIGHT_KEYS_PATH", "keys"),
        ("RANKWRIGHT_RATES", "rate"),
        ("RANKWRIGHT_MAX_BODY_BYTE", "max_body_bytes"),
        ("RANKWRIGHT_DRAIN_SECOND", "drain_seconds"),
    ],
)
def test_a_misspelt_variable_is_a_usage_error_naming_the_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, setting: str
) -> None:
    """A limit or a key that is meant and not there is worse than no start."""
    monkeypatch.setenv(variable, "x")
    with pytest.raises(
        UsageError, match=f"{variable} is no setting.*RANKWRIGHT_{setting.upper()} for `{setting}`"
    ):
        Settings()


def test_other_variables_are_unknown_or_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service warns of the first, and ignores what Kubernetes injects beside a Service of its name."""
    for name in ("RANKWRIGHT_REGION", "rankwright_colour"):
        monkeypatch.setenv(name, "x")
    for name, value in {
        "RANKWRIGHT_PORT": "tcp://10.96.7.4:80",
        "RANKWRIGHT_PORT_80_TCP": "tcp://10.96.7.4:80",
        "RANKWRIGHT_PORT_80_TCP_PROTO": "tcp",
        "RANKWRIGHT_PORT_80_TCP_PORT": "80",
        "RANKWRIGHT_PORT_80_TCP_ADDR": "10.96.7.4",
        "RANKWRIGHT_SERVICE_HOST": "10.96.7.4",
        "RANKWRIGHT_SERVICE_PORT": "80",
        "RANKWRIGHT_SERVICE_PORT_HTTP": "80",
        "RANKWRIGHT_REDIS_PORT": "tcp://10.96.7.5:6379",
        "RANKWRIGHT_REDIS_SERVICE_HOST": "10.96.7.5",
        "RANKWRIGHT_COMPILED": "/opt/numba",
    }.items():
        monkeypatch.setenv(name, value)
    assert Settings().port == 8000
    assert Settings(port=9).port == 9
    assert unknown_variables() == ["RANKWRIGHT_REGION", "rankwright_colour"]


def test_a_port_that_is_no_address_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what Kubernetes writes is put aside."""
    monkeypatch.setenv("RANKWRIGHT_PORT", "//80")
    with pytest.raises(UsageError, match=r"`port` \(RANKWRIGHT_PORT\).*got '//80'"):
        Settings()


def test_every_variable_this_project_uses_is_known() -> None:
    """In code, image, manifests and pages."""
    known = {f"RANKWRIGHT_{key.upper()}" for key in Settings.model_fields} | OTHER_VARIABLES
    texts = [ROOT / "Dockerfile", ROOT / "Makefile", ROOT / "compose.yaml", ROOT / "README.md"]
    for folder in ("ranking", "service", "benchmarks", "scripts", "docs"):
        texts += [
            file for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".sh", ".md", ".yaml")
        ]
    used = {name for file in texts for name in re.findall(r"RANKWRIGHT_[A-Z_]*[A-Z]", file.read_text())}
    assert {"RANKWRIGHT_KEYS_FILE", "RANKWRIGHT_DATA", "RANKWRIGHT_COMPILED"} <= used
    # How the pages speak of any of them, and what they warn of.
    assert used - known <= {"RANKWRIGHT_KEY", "RANKWRIGHT_PORT"}
