"""serve(settings): uvicorn with our socket, our signals, and one line when it is ready."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from ranking.errors import RankwrightError, UsageError
from service.app import create_app
from service.settings import PREFIX, Settings
from service.telemetry import log_as_json


def serve(settings: Settings, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first.

    `on_ready` is called with the URL once it is listened on, after the line on stderr that says so.
    Raises UsageError where the address is taken or there is nothing to serve, and what loading raises.
    """
    log_as_json()
    listening = _listen(settings.host, settings.port)
    url = _url(listening, settings.host)

    def ready() -> None:
        _announce(url)
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
    """Says once that it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

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
    server = _Server(_config(app, settings), ready)

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
    for key, value in settings.model_dump(mode="json", exclude_none=True).items():
        os.environ[f"{PREFIX}{key.upper()}"] = str(value)
    supervisor = Multiprocess(_config("service.server:app_from_environment", settings), [listening])
    ready()
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise RankwrightError("a worker could not start: its log says why")


def app_from_environment() -> FastAPI:
    """The app of a worker process."""
    log_as_json()
    return create_app(Settings())


def _config(app: FastAPI | str, settings: Settings) -> uvicorn.Config:
    options: dict[str, Any] = {"factory": True, "workers": settings.workers} if isinstance(app, str) else {}
    return uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="on",
        server_header=False,
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


def _announce(url: str) -> None:
    print(f"serving on {url}  (docs: {url}/docs)", file=sys.stderr, flush=True)  # noqa: T201  # the ready line
