"""GET /v1/models and /v1/models/{reference}."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
from fastapi import APIRouter, Response

from service.models.table import Model, Models
from service.settings import Settings
from service.wire.messages import FeatureSchema, Limits, ModelDescription, ModelList, ModelSummary
from service.wire.schema import replies

History = Callable[[str], tuple[list[str], dict[str, str]]]
"""The versions and aliases of a name, as its source has them now."""


def model_routes(models: Models, history: History, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["models"])
    limits = Limits(
        settings.max_candidates, settings.max_body_bytes, settings.max_explained, settings.max_batch
    )

    @router.get(
        "/v1/models",
        summary="List models",
        response_class=Response,
        responses=replies(ModelList, 401, 429, 500),
    )
    def list_models() -> Response:
        table, default = models.table, models.default
        chosen = table.get(default or "")
        named = {reference: model for reference, model in table.items() if reference == model.name}
        summaries = [
            ModelSummary(name, model.version, *history(name), chosen is not None and chosen.name == name)
            for name, model in sorted(named.items())
        ]
        return _reply(ModelList(summaries, default))

    @router.get(
        "/v1/models/{reference}",
        summary="Describe a model",
        response_class=Response,
        responses=replies(ModelDescription, 401, 404, 422, 429, 500, 503),
    )
    def describe_model(reference: str) -> Response:
        return _reply(_describe(models.find(reference), limits))

    return router


def _describe(model: Model, limits: Limits) -> ModelDescription:
    ranker, manifest = model.ranker, model.manifest
    return ModelDescription(
        model.name,
        model.version,
        ranker.kind,
        model.digest,
        ranker.feature_count,
        list(ranker.feature_names),
        _schema(model),
        ranker.missing,
        manifest.get("metrics") or {},
        manifest.get("conventions") or {},
        limits,
    )


def _schema(model: Model) -> list[FeatureSchema]:
    return [
        FeatureSchema(name, low, high) if low > -math.inf else FeatureSchema(name)
        for name, low, high in zip(model.feature_names, model.low.tolist(), model.high.tolist(), strict=True)
    ]


def _reply(message: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(message), media_type="application/json")
