"""create_app: everything is wired here, and nothing is global."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI

from service.boundary import Boundary
from service.errors import install_error_handlers
from service.openapi import publish_schema
from service.pool import ScoringPool
from service.routes.models import model_routes
from service.routes.operations import operation_routes
from service.routes.rank import rank_routes
from service.settings import Settings
from service.sources import Source, source_of
from service.telemetry import Telemetry

if TYPE_CHECKING:
    from ranking.rankers import Ranker

DESCRIPTION = "Candidates in, the same candidates in order out, with scores and reasons."


def create_app(settings: Settings, ranker: Ranker | None = None) -> FastAPI:
    """The service over a ranker, or over what the settings name; models are loaded when it starts.

    Raises UsageError where there is nothing to serve. Starting raises ArtifactError for a damaged model
    folder; a registry without a usable model starts, and is not ready until there is one.
    """
    telemetry = Telemetry()
    source = source_of(settings, ranker, telemetry)
    pool = ScoringPool(settings.scoring_threads, settings.queue_size, settings.queue_seconds)
    app = FastAPI(
        title="Rankwright",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan(source, pool, loaded=ranker is not None),
        redirect_slashes=False,
    )
    app.include_router(rank_routes(source.models, pool, telemetry, settings))
    app.include_router(model_routes(source.models, source.history, settings))
    app.include_router(operation_routes(source.models, telemetry))
    app.add_middleware(Boundary, telemetry=telemetry)
    install_error_handlers(app)
    publish_schema(app)
    return app


def _lifespan(
    source: Source, pool: ScoringPool, *, loaded: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            if not loaded:
                await asyncio.to_thread(source.load)
        except Exception as error:
            # uvicorn only says that startup failed; whoever runs it wants to know why.
            app.state.startup_error = error
            raise
        watching = asyncio.create_task(source.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            pool.close()

    return lifespan
