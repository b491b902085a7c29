"""serve(settings): uvicorn with our socket, our signals, and one line when it is ready."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from ranking.errors import RankwrightError, UsageError
from service.app import create_app
from service.edge.access import read_keys, who_may
from service.edge.draining import Draining
from service.server.protocol import BoundedConfig
from service.settings import DRAINING_VARIABLE, PREFIX, Settings, unknown_variables
from service.telemetry.metrics import METRICS_VARIABLE, log_as_json

logger = logging.getLogger(__name__)


def serve(settings: Settings, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first.

    `on_ready` is called with the URL once it is listened on, after the line on stderr that says so, and who
    may call. Raises UsageError where the address is taken, keys are meant and there are none, or there is
    nothing to serve, and what loading raises.
    """
    log_as_json()
    for name in unknown_variables():
        logger.warning("variable %s is no setting, and is ignored", name)
    who = who_may(read_keys(settings.keys_file, settings.key_lines()))
    listening = _listen(settings.host, settings.port)
    url = _url(listening, settings.host)

    def ready() -> None:
        _announce(url, who)
        if on_ready is not None:
            on_ready(url)

    try:
        if settings.workers == 1:
            _run_here(create_app(settings), settings, listening, ready)
        else:
            _run_workers(settings, listening, ready)
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """Says once that it is ready; after a first signal it goes on for `drain_seconds`, but is not ready."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], draining: Draining, drain_seconds: float
    ) -> None:
        super().__init__(config)
        self.ready, self.draining, self.drain_seconds = ready, draining, drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.drain_seconds > 0 and not self.draining and self.started:
            self.draining.begin()
            drained = threading.Timer(self.drain_seconds, super().handle_exit, (sig, None))
            drained.daemon = True
            drained.start()
            return
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # A start that fails is raised by `serve`; uvicorn would print its traceback as well.
        log = logging.getLogger("uvicorn.error")
        log.disabled = True
        try:
            await super().startup(sockets)
        finally:
            log.disabled = False
        self.ready()


def _run_here(app: FastAPI, settings: Settings, listening: socket.socket, ready: Callable[[], None]) -> None:
    server = _Server(_config(app, settings), ready, app.state.draining, settings.drain_seconds)

    def terminate(number: int, frame: FrameType | None) -> None:
        # uvicorn raises the signal again after it has drained: that is a clean end, not a death by signal.
        if not server.should_exit:
            sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        server.run([listening])
    except SystemExit:
        if (error := getattr(app.state, "startup_error", None)) is not None:
            raise error from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_workers(settings: Settings, listening: socket.socket, ready: Callable[[], None]) -> None:
    # Workers are fresh processes (a fork would inherit the boosters' threads): the environment reaches them.
    os.environ |= _as_variables(settings)
    with tempfile.TemporaryDirectory(prefix="rankwright-") as shared:
        # One place for the metrics of all of them, and one file that tells them all to drain.
        os.environ |= {METRICS_VARIABLE: shared, DRAINING_VARIABLE: str(Path(shared) / "draining")}
        supervisor = _Workers(
            _config("service.server.run:app_from_environment", settings), [listening], settings.drain_seconds
        )
        ready()
        supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise RankwrightError("a worker could not start: its log says why")


class _Workers(Multiprocess):
    """Workers that are told to drain before they are told to stop; a second signal stops them at once."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], drain_seconds: float) -> None:
        super().__init__(config, sockets)
        self.drain_seconds = drain_seconds

    def handle_term(self) -> None:
        file = Path(os.environ[DRAINING_VARIABLE])
        if self.drain_seconds == 0 or file.exists():
            super().handle_term()
            return
        file.touch()
        drained = threading.Timer(self.drain_seconds, super().handle_term)
        drained.daemon = True
        drained.start()


def _as_variables(settings: Settings) -> dict[str, str]:
    """The settings as variables that give the same ones."""
    values = settings.model_dump(mode="json", exclude_none=True, exclude={"config"})
    if settings.keys is not None:
        values["keys"] = settings.key_lines()
    return {
        f"{PREFIX}{key.upper()}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
    }


def app_from_environment() -> FastAPI:
    """The app of a worker process."""
    log_as_json()
    return create_app(Settings())


def _config(app: FastAPI | str, settings: Settings) -> uvicorn.Config:
    options: dict[str, Any] = {"factory": True, "workers": settings.workers} if isinstance(app, str) else {}
    return BoundedConfig(
        app,
        # The body has its own deadline, which is answered; this one is for whoever does not get that far.
        receive_seconds=settings.receive_seconds + 1,
        max_connections=settings.max_connections,
        max_header_bytes=settings.max_header_bytes,
        max_headers=settings.max_headers,
        access_log=False,
        log_config=None,
        lifespan="on",
        server_header=False,
        # It would believe whatever comes over loopback; setting `trusted_proxies` says whom to believe.
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=settings.grace_seconds,
        **options,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Bound before uvicorn starts, so that a taken port is an error with a name, and port 0 is known."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from error


def _url(listening: socket.socket, host: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _announce(url: str, who: str) -> None:
    line = f"serving on {url}  (docs: {url}/docs; {who})"
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # the ready line
