"""create_app: everything is wired here, and nothing is global."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI

from service.answers.answering import Answering, Observer
from service.answers.experiments import Interleaving, Split
from service.answers.lookup import StoredFeatures
from service.edge.access import Access, read_keys
from service.edge.boundary import Boundary
from service.edge.draining import Draining
from service.edge.pool import ScoringPool
from service.edge.proxies import Proxies
from service.edge.room import Room
from service.errors import install_error_handlers
from service.models.sources import Source, source_of
from service.models.table import Models
from service.observers.background import Background
from service.observers.journal import Journal
from service.observers.metrics import Observing, log_answer
from service.observers.shadow import Shadow
from service.routes.features import feature_routes
from service.routes.feedback import feedback_routes
from service.routes.models import model_routes
from service.routes.operations import operation_routes
from service.routes.page import page_routes
from service.routes.rank import rank_endpoints, rank_routes
from service.routes.rerank import rerank_endpoints, rerank_routes
from service.routes.scoring import Scoring
from service.settings import Settings
from service.telemetry.metrics import Telemetry
from service.telemetry.tracing import trace_requests
from service.wire.schema import publish_schema

if TYPE_CHECKING:
    from ranking.models.ranker import Ranker

DESCRIPTION = "Candidates in, the same candidates in order out, with scores and reasons."


def create_app(settings: Settings, ranker: Ranker | None = None) -> FastAPI:
    """The service over a ranker, or over what the settings name; models are loaded when it starts.

    Raises UsageError where there is nothing to serve. Starting raises ArtifactError for a damaged model
    folder; a registry without a usable model starts, and is not ready until there is one.
    """
    telemetry = Telemetry(settings.events, settings.references())
    source = source_of(settings, ranker, telemetry)
    access = Access(
        read_keys(settings.keys_file, settings.key_lines()),
        settings.rate,
        settings.rate_burst,
        Proxies(settings.trusted_proxies),
    )
    parts = _Parts(settings, source.models, telemetry)
    answering = Answering(
        source.models,
        settings,
        parts.stored,
        parts.observers,
        Split(settings.split) if settings.split else None,
        Interleaving(settings.interleave) if settings.interleave else None,
    )
    pool = ScoringPool(
        settings.scoring_threads, settings.queue_size, settings.queue_seconds, telemetry.queue_wait.observe
    )
    room = Room(settings.max_decoding_bytes, settings.queue_seconds)
    draining = Draining()
    scoring = Scoring(pool, room, settings)
    ranking, reranking = rank_endpoints(answering, scoring), rerank_endpoints(answering, scoring)
    app = FastAPI(
        title="Rankwright",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan(source, pool, parts, loaded=ranker is not None),
        redirect_slashes=False,
    )
    app.state.draining, app.state.models, app.state.telemetry = draining, source.models, telemetry
    app.state.background, app.state.journal = parts.background, parts.journal
    app.include_router(rank_routes(ranking))
    app.include_router(rerank_routes(reranking))
    app.include_router(feedback_routes(parts.journal, telemetry, room, settings))
    app.include_router(feature_routes(parts.stored, room, settings))
    app.include_router(model_routes(source.models, source.history, settings))
    app.include_router(operation_routes(source.models, telemetry, draining))
    app.include_router(page_routes())
    app.add_middleware(Boundary, telemetry=telemetry, access=access, pool=pool, scoring=ranking | reranking)
    if settings.tracing:
        trace_requests(app)
    install_error_handlers(app)
    publish_schema(app)
    return app


class _Parts:
    """What the settings add around answering, and has to be closed at the end."""

    def __init__(self, settings: Settings, models: Models, telemetry: Telemetry) -> None:
        self.background = Background("observing", 100, telemetry.dropped.labels("observing").inc)
        self.stored = None
        if settings.features is not None:
            from ranking.data.store import open_store

            self.stored = StoredFeatures(open_store(settings.features), settings.unknown_id)
        self.journal = None
        if settings.journal is not None:
            self.journal = Journal(
                settings.journal,
                telemetry,
                max_bytes=settings.journal_bytes,
                fsync_seconds=settings.journal_fsync_seconds,
                share=settings.journal_share,
            )
        self.observers: list[Observer] = [Observing(telemetry, self.background, settings.observed_per_second)]
        if settings.log_answers:
            self.observers.append(log_answer)
        if self.journal is not None:
            self.observers.append(self.journal)
        if settings.shadow is not None:
            self.observers.append(
                Shadow(settings.shadow, settings.shadow_share, models, telemetry, self.background)
            )

    def close(self) -> None:
        self.background.close()
        if self.journal is not None:
            self.journal.close()
        if self.stored is not None:
            self.stored.store.close()


def _lifespan(
    source: Source, pool: ScoringPool, parts: _Parts, *, loaded: bool
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
            parts.close()

    return lifespan
