"""The real server: uvicorn in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from ranking.errors import UsageError
from service.server.run import serve
from service.settings import Settings
from tests.service.server.processes import ROOT, running, started

# A server whose ranker takes half a second, so that a request is under way when the signal comes.
SLOW_SERVER = """
import time
from unittest import mock
from service.server import run as server
from service.app import create_app
from service.settings import Settings
from tests.service.conftest import Linear

class Slow(Linear):
    def score(self, features):
        if features[0, 0] == 7:
            time.sleep(0.5)
        return super().score(features)

with mock.patch.object(server, "create_app", lambda settings: create_app(settings, Slow())):
    server.serve(Settings(port=0))
print("ended")
"""


def body(first: float) -> dict[str, object]:
    return {"candidates": [{"id": "a", "features": [first, 0, 0]}]}


def test_sigterm_finishes_the_request_under_way_and_ends_cleanly() -> None:
    """The accepted request gets its answer, later ones no connection, and the exit code is 0."""
    with running("-c", SLOW_SERVER) as (process, url):
        assert httpx.post(f"{url}/v1/rank", json=body(1)).json()["results"][0]["score"] == 1.5
        answers: list[int] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/v1/rank", json=body(7), timeout=10).status_code)
        )
        asking.start()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        asking.join()
        output, _ = process.communicate(timeout=10)
        assert answers == [200]
        assert process.returncode == 0
        assert output == "ended\n"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")


@pytest.mark.slow
def test_an_oversized_body_does_not_hold_the_server() -> None:
    """413 on the wire, declared and chunked; the next request is answered."""
    with running("-c", SLOW_SERVER, RANKWRIGHT_MAX_BODY_BYTES="1000") as (_, url):
        chunks = (b" " * 500 for _ in range(10))
        for content in (b" " * 1001, chunks):
            assert httpx.post(f"{url}/v1/rank", content=content).status_code == 413
        assert httpx.post(f"{url}/v1/rank", json=body(1)).status_code == 200


def test_the_limits_of_headers_are_settings() -> None:
    """Above them a 431, and others are answered."""
    limits = {"RANKWRIGHT_MAX_HEADER_BYTES": "2000", "RANKWRIGHT_MAX_HEADERS": "20"}
    with running("-c", SLOW_SERVER, **limits) as (_, url):
        many = {f"x-{number}": "1" for number in range(20)}
        for headers, status in (({}, 200), ({"x": "1" * 2000}, 431), (many, 431), ({"x": "1" * 1000}, 200)):
            reply = httpx.get(f"{url}/healthz", headers=headers)
            assert reply.status_code == status
            assert status == 200 or reply.json()["error"] == "headers_too_large"


@pytest.mark.parametrize(("trusted", "last"), [("", 429), ("127.0.0.1", 200)])
def test_a_forwarded_address_counts_only_from_a_trusted_proxy(trusted: str, last: int) -> None:
    """On the wire, where uvicorn would believe it over loopback."""
    limits = {"RANKWRIGHT_RATE": "0.001", "RANKWRIGHT_RATE_BURST": "2"}
    with running("-c", SLOW_SERVER, RANKWRIGHT_TRUSTED_PROXIES=trusted, **limits) as (_, url):
        found = [
            httpx.get(f"{url}/v1/models", headers={"x-forwarded-for": f"192.0.2.{i}"}).status_code
            for i in range(3)
        ]
        assert found == [200, 200, last]


@pytest.mark.slow
def test_a_registry_is_served_by_the_module_and_by_workers(tmp_path: Path) -> None:
    """`python -m service` with two processes on one port; SIGTERM ends them all."""
    variables = {
        "RANKWRIGHT_REGISTRY": str(tmp_path),
        "RANKWRIGHT_PORT": "0",
        "RANKWRIGHT_WORKERS": "2",
    }
    with running("-m", "service", **variables) as (process, url):
        assert httpx.get(f"{url}/healthz", timeout=20).status_code == 200
        assert httpx.get(f"{url}/readyz", timeout=20).status_code == 503
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


def ended(**variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m service` that is to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=os.environ | {"RANKWRIGHT_PORT": "0"} | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RANKWRIGHT_KEYS", "", "setting `keys` holds no key"),
        ("RANKWRIGHT_KEYS", "#x", "setting `keys` holds no key"),
        ("RANKWRIGHT_KEY_FILE", "keys.txt", "variable RANKWRIGHT_KEY_FILE is no setting"),
    ],
)
def test_a_service_that_was_meant_to_be_closed_does_not_start(
    tmp_path: Path, workers: str, variable: str, value: str, message: str
) -> None:
    """Exit code 2 and one line."""
    run = ended(**{"RANKWRIGHT_REGISTRY": str(tmp_path), "RANKWRIGHT_WORKERS": workers, variable: value})
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1), run.stderr
    assert message in run.stderr


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_the_start_says_who_may_call_and_which_variable_is_unknown(tmp_path: Path, workers: str) -> None:
    """Once, however many workers; the variables that Kubernetes injects end nothing."""
    digest = hashlib.sha256(b"secret").hexdigest()
    variables = {
        "RANKWRIGHT_REGISTRY": str(tmp_path),
        "RANKWRIGHT_WORKERS": workers,
        "RANKWRIGHT_KEYS": f"shop read {digest},ops admin {digest}",
        "RANKWRIGHT_REGION": "north",
        "RANKWRIGHT_PORT": "tcp://10.96.7.4:80",
        "RANKWRIGHT_SERVICE_HOST": "10.96.7.4",
    }
    command = (
        "from service.server import run; from service.settings import Settings; run.serve(Settings(port=0))"
    )
    with started("-c", command, **variables) as (process, said):
        url = said[-1].split()[2]
        assert httpx.get(f"{url}/v1/models", timeout=20).status_code == 401
        reply = httpx.get(f"{url}/v1/models", headers={"x-api-key": "secret"}, timeout=20)
        assert reply.status_code == 200
        process.send_signal(signal.SIGTERM)
        _, later = process.communicate(timeout=20)
    assert said[-1] == f"serving on {url}  (docs: {url}/docs; 2 keys, 1 admin)\n"
    warnings = [line for line in (*said, *later.splitlines()) if "is no setting" in line]
    assert [json.loads(line)["message"] for line in warnings] == [
        "variable RANKWRIGHT_REGION is no setting, and is ignored"
    ]
    assert "secret" not in "".join(said)


def test_a_missing_model_folder_ends_with_its_own_error(tmp_path: Path) -> None:
    """Exit code 4 and one line that names the folder, no traceback."""
    run = ended(RANKWRIGHT_MODEL=str(tmp_path / "nothing"))
    assert run.returncode == 4
    assert "nothing is no model folder" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_a_taken_port_is_a_usage_error() -> None:
    """Said before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}.*--port"):
            serve(Settings(port=port, registry="anywhere"))


@pytest.mark.slow
def test_slow_senders_are_cut_off_and_harm_nobody() -> None:
    """Half a header, half a body and silence all end at the deadline; a good client is answered meanwhile."""
    with running("-c", SLOW_SERVER, RANKWRIGHT_RECEIVE_SECONDS="0.5") as (_, url):
        port = int(url.rpartition(":")[2])
        sent = (
            b"", b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Le",
            b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
        )  # fmt: skip
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(21)]
        for number, connection in enumerate(slow):
            connection.sendall(sent[number % 3])
        assert httpx.post(f"{url}/v1/rank", json=body(1)).status_code == 200
        for connection in slow:
            connection.settimeout(5)
            while connection.recv(1000):  # a 408 perhaps, and then the end
                pass
            connection.close()


@pytest.mark.slow
def test_connections_beyond_the_limit_are_closed_at_once() -> None:
    """The others go on."""
    with running("-c", SLOW_SERVER, RANKWRIGHT_MAX_CONNECTIONS="2") as (_, url):
        port = int(url.rpartition(":")[2])
        with httpx.Client() as client:
            assert client.get(f"{url}/healthz").status_code == 200
            with socket.create_connection(("127.0.0.1", port)):
                time.sleep(0.2)
                third = socket.create_connection(("127.0.0.1", port))
                third.settimeout(5)
                with suppress(ConnectionResetError):
                    assert third.recv(100) == b""
                third.close()
                assert client.get(f"{url}/healthz").status_code == 200


@pytest.mark.slow
def test_readiness_fails_first_and_the_rest_goes_on_until_it_has_drained() -> None:
    """So that whoever balances the load has time to look away."""
    with running("-c", SLOW_SERVER, RANKWRIGHT_DRAIN_SECONDS="1") as (process, url), httpx.Client() as client:
        assert client.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        reply = client.get(f"{url}/readyz")
        assert (reply.status_code, reply.json()["error"]) == (503, "draining")
        assert client.post(f"{url}/v1/rank", json=body(1)).status_code == 200
        output, _ = process.communicate(timeout=10)
        assert (process.returncode, output) == (0, "ended\n")


@pytest.mark.slow
def test_workers_share_their_metrics_and_drain_together(tmp_path: Path) -> None:
    """Whichever of them is asked tells of all requests; one signal makes all of them unready."""
    variables = {"RANKWRIGHT_REGISTRY": str(tmp_path), "RANKWRIGHT_PORT": "0", "RANKWRIGHT_WORKERS": "2"}
    with running("-m", "service", RANKWRIGHT_DRAIN_SECONDS="1", **variables) as (process, url):
        for _ in range(20):
            assert httpx.get(f"{url}/healthz", timeout=20).status_code == 200
        counts = set()
        for _ in range(5):
            (line,) = re.findall(
                r'rankwright_requests_total\{.*route="/healthz".*\} (\S+)', httpx.get(f"{url}/metrics").text
            )
            counts.add(float(line))
        assert counts == {20}
        process.send_signal(signal.SIGTERM)
        time.sleep(0.8)
        assert {httpx.get(f"{url}/readyz").json()["error"] for _ in range(5)} == {"draining"}
        process.communicate(timeout=20)
        assert process.returncode == 0
