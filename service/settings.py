"""What the service can be told, from arguments or RANKWRIGHT_* variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ranking.cpus import available_cpus
from ranking.errors import UsageError

PREFIX = "RANKWRIGHT_"


class Settings(BaseSettings):
    """Arguments win over `RANKWRIGHT_<KEY>` variables, which win over the defaults.

    Raises UsageError that names the key when a value does not fit.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    model: Path | None = Field(default=None, description="a model folder; or name a registry")
    registry: Path | None = Field(default=None, description="a registry folder; or name a model")
    default_model: str | None = Field(
        default=None,
        description="what answers a request that names no model; a single name is its own default",
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, description="0 takes a free one")
    workers: int = Field(default=1, ge=1, description="processes; each has its own models and metrics")

    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1)
    max_candidates: int = Field(default=10_000, ge=1)
    max_explained: int = Field(default=100, ge=1, description="contributions cost far more than scores")

    scoring_threads: int = Field(default_factory=available_cpus, ge=1)
    queue_size: int = Field(default=64, ge=0, description="requests that may wait for a scoring thread")
    queue_seconds: float = Field(default=1.0, gt=0, description="the longest such wait")
    receive_seconds: float = Field(default=10.0, gt=0, description="to receive a whole body")
    reload_seconds: float = Field(default=1.0, gt=0, description="between two looks at the registry")
    grace_seconds: int = Field(default=30, ge=0, description="for requests under way at shutdown")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError(_explain(error)) from None
        if self.model is not None and self.registry is not None:
            raise UsageError("settings `model` and `registry` exclude each other: name one of them")


def load_settings(**values: Any) -> Settings:
    """Settings from these arguments and the environment; UsageError as above."""
    return Settings(**values)


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = str(first["loc"][0]) if first["loc"] else "?"
    if first["type"] == "extra_forbidden":
        return f"unknown setting `{key}` (known: {', '.join(Settings.model_fields)})"
    return f"setting `{key}` ({PREFIX}{key.upper()}): {first['msg']}, got {first['input']!r}"
