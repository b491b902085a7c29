"""Keys, scopes and rates: who gets in, and what those who do not are told."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from ranking.errors import UsageError
from service.edge.access import Buckets, needs_admin, parse_keys, who_may
from service.errors import ApiError
from tests.service.conftest import Client, Linear, OpenClient

A = {"id": "a", "features": [1, 2, 3]}
OPEN = {"/healthz", "/readyz"}


def line(name: str, scope: str, key: str) -> str:
    return f"{name} {scope} {hashlib.sha256(key.encode()).hexdigest()}"


KEYS = f"{line('shop', 'read', 'rk')},{line('ops', 'admin', 'ak')}"


def routes(client: Client) -> list[tuple[str, str]]:
    """Every route of the published schema, so that a new one cannot be missed."""
    return [
        (method.upper(), path.replace("{reference}", "default").replace("{document}", "d"))
        for path, operations in client.get("/openapi.json").json()["paths"].items()
        for method in operations
    ]


def statuses(client: Client, headers: dict[str, str]) -> dict[tuple[str, str], int]:
    return {
        route: client.request(*route, headers=headers, json=None if route[0] == "GET" else {}).status_code
        for route in routes(client)
    }


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "r"}, {"x-api-key": ""}]
)
def test_without_a_valid_key_nothing_but_health_is_there(
    open_client: OpenClient, headers: dict[str, str]
) -> None:
    """401 with the scheme to use, before the body is read."""
    client = open_client(Linear(), keys=KEYS)
    for (method, path), status in statuses(client, headers).items():
        assert status == (200 if path in OPEN else 401), (method, path)
    reply = client.request("POST", "/v1/rank", headers=headers, content=b"no JSON")
    assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer rk"}, {"authorization": "bearer  rk"}, {"x-api-key": "rk"}]
)
def test_a_read_key_reads_and_an_admin_key_writes(open_client: OpenClient, headers: dict[str, str]) -> None:
    """A read key is told what it lacks."""
    client = open_client(Linear(), keys=KEYS)
    for (method, path), status in statuses(client, headers).items():
        assert (status == 403) == needs_admin(path, method), (method, path, status)
    assert client.request("POST", "/v1/rank", headers=headers, json={"candidates": [A]}).status_code == 200
    for status in statuses(client, {"x-api-key": "ak"}).values():
        assert status not in (401, 403)


def test_without_keys_only_admin_routes_are_off(client: Client) -> None:
    """Nobody writes to a service that knows nobody."""
    for (method, path), status in statuses(client, {}).items():
        assert (status == 403) == needs_admin(path, method), (method, path, status)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop read", "f:1: expected NAME"),
        ("\n# x\nshop root " + "0" * 64, "f:3: the scope"),
        ("a read 00", "digest"),
    ],
)
def test_a_bad_line_of_keys_is_named(text: str, message: str) -> None:
    """By file and line; a service meant to be closed does not open by mistake."""
    with pytest.raises(UsageError, match=message):
        parse_keys(text, "f")


def test_a_file_of_keys(open_client: OpenClient, tmp_path: Path) -> None:
    """Read at the start; an empty one is a mistake."""
    file = tmp_path / "keys"
    file.write_text(f"# the shop\n{line('shop', 'read', 'rk')}\n")
    client = open_client(Linear(), keys_file=file)
    assert client.request("GET", "/v1/models", headers={"x-api-key": "rk"}).status_code == 200
    assert client.get("/v1/models").status_code == 401
    for content in ("", "# none\n"):
        file.write_text(content)
        with pytest.raises(UsageError, match="holds no key"):
            open_client(Linear(), keys_file=file)


@pytest.mark.parametrize("keys", ["", ",", "#x", " , #x,", "# shop read"])
def test_keys_that_hold_none_are_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, open_client: OpenClient, keys: str
) -> None:
    """As an argument and as a variable: the service does not open where it was meant to be closed."""
    with pytest.raises(UsageError, match="`keys` holds no key"):
        open_client(Linear(), keys=keys)
    monkeypatch.setenv("RANKWRIGHT_KEYS", keys)
    with pytest.raises(UsageError, match="`keys` holds no key"):
        open_client(Linear())


def test_who_may_call_is_said_in_a_few_words() -> None:
    """None, one and several."""
    assert who_may([]) == "open to everyone"
    assert who_may(parse_keys(line("a", "read", "1"), "f")) == "1 key, no admin"
    lines = "\n".join(
        line(name, scope, name) for name, scope in (("a", "read"), ("b", "admin"), ("c", "read"))
    )
    assert who_may(parse_keys(lines, "f")) == "3 keys, 1 admin"


def test_a_key_is_never_shown(open_client: OpenClient, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    """Not in answers, logs or metrics."""
    client = open_client(Linear(), keys=line("ops", "admin", "canary-key"))
    replies = [
        client.request("POST", path, headers={"x-api-key": "canary-key"}, content=b"{")
        for path in ("/v1/rank", "/rerank", "/v1/feedback", "/nope")
    ]
    replies.append(client.request("GET", "/metrics", headers={"x-api-key": "canary-key"}))
    seen = "".join([*(reply.text for reply in replies), caplog.text, *capfd.readouterr()])
    assert "canary-key" not in seen


def test_a_rate_is_kept_and_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`burst` at once, then `rate` a second, for each caller."""
    now = [100.0]
    monkeypatch.setattr("service.edge.access.time.monotonic", lambda: now[0])
    buckets = Buckets(rate=0.5, burst=2)
    buckets.take("a")
    buckets.take("a")
    with pytest.raises(ApiError) as refused:
        buckets.take("a")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
    buckets.take("b")
    now[0] += 2
    buckets.take("a")
    with pytest.raises(ApiError):
        buckets.take("a")
    now[0] += 3600
    buckets.take("a")
    buckets.take("a")
    with pytest.raises(ApiError):
        buckets.take("a")


def test_callers_are_forgotten_beyond_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one not seen for longest first: memory is bounded, whoever calls."""
    monkeypatch.setattr("service.edge.access.KEPT_BUCKETS", 3)
    monkeypatch.setattr("service.edge.access.time.monotonic", lambda: 100.0)
    buckets = Buckets(rate=0.5, burst=1)
    for caller in ("a", "b", "c"):
        buckets.take(caller)
    for caller in ("a", "d", "a", "c"):
        with nullcontext() if caller == "d" else pytest.raises(ApiError):
            buckets.take(caller)
    buckets.take("b")
    assert len(buckets._held) == 3


def test_a_rate_limits_requests(open_client: OpenClient) -> None:
    """Health checks are free."""
    client = open_client(Linear(), rate=0.001, rate_burst=2)
    found = [client.rank({"candidates": [A]}).status_code for _ in range(3)]
    assert found == [200, 200, 429]
    assert client.get("/healthz").status_code == 200


def test_refused_requests_cost_a_token_too(open_client: OpenClient) -> None:
    """Keys cannot be guessed faster than the rate; whoever has one is not held up by those who guess."""
    client = open_client(Linear(), keys=KEYS, rate=0.001, rate_burst=2)
    guesses = [client.request("GET", "/v1/models", headers={"x-api-key": str(i)}) for i in range(3)]
    assert [reply.status_code for reply in guesses] == [401, 401, 429]
    assert client.request("GET", "/v1/models", headers={"x-api-key": "rk"}).status_code == 200


def test_callers_are_told_apart_behind_a_proxy_that_is_named(open_client: OpenClient) -> None:
    """httpx's transport calls from 127.0.0.1; without the setting the header changes nothing."""
    limits = {"rate": 0.001, "rate_burst": 2}
    for trusted, expected in (
        ([], [200, 200, 429, 429, 429]),
        (["127.0.0.0/8"], [200] * 5),
        (["10.0.0.0/8"], [200, 200, 429, 429, 429]),
    ):
        client = open_client(Linear(), trusted_proxies=trusted, **limits)
        replies = [
            client.request("GET", "/v1/models", headers={"x-forwarded-for": f"192.0.2.{i}"}) for i in range(5)
        ]
        assert [reply.status_code for reply in replies] == expected
    client = open_client(Linear(), trusted_proxies=["127.0.0.0/8"], **limits)
    # The proxy adds the caller's address behind what the caller wrote.
    replies = [
        client.request("GET", "/v1/models", headers={"x-forwarded-for": f"192.0.2.{i}, 198.51.100.7"})
        for i in range(3)
    ]
    assert [reply.status_code for reply in replies] == [200, 200, 429]


@pytest.mark.parametrize("path", ["/", "/healthz", "/nope", "/v1/models"])
def test_every_answer_is_hardened_and_no_origin_is_allowed(client: Client, path: str) -> None:
    """nosniff, no frames, no referrer; CORS is off."""
    headers = client.request("GET", path, headers={"origin": "http://elsewhere"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers
