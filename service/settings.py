"""What the service can be told, from arguments or RANKWRIGHT_* variables."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ranking.compiled.cpus import available_cpus
from ranking.compiled.jit import SHIPPED_VARIABLE
from ranking.errors import UsageError, nearest

PREFIX = "RANKWRIGHT_"
DRAINING_VARIABLE = "RANKWRIGHT_DRAINING_FILE"
"""Names a file whose existence tells all workers of one service that it drains; the service sets it."""
OTHER_VARIABLES = frozenset(
    {
        SHIPPED_VARIABLE,
        DRAINING_VARIABLE,
        f"{PREFIX}CACHE",
        f"{PREFIX}DATA",
        f"{PREFIX}FUZZ_EXAMPLES",
    }
)
"""Variables of this project that are no settings."""

_INJECTED = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_INJECTED_PORT = re.compile(r"(tcp|udp|sctp)://.*")
"""What Kubernetes adds to the environment beside a Service called rankwright, or rankwright-…"""

NEAR = 0.75
"""Names that are so alike, as difflib measures it, are the same name misspelt."""


def _listed(value: Any) -> Any:
    """A text as a list: JSON, or names between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


Listed = (NoDecode, BeforeValidator(_listed))
"""For lists that a variable gives as `a,b`."""


class Settings(BaseSettings):
    """Arguments win over `RANKWRIGHT_<KEY>` variables, which win over the `config` file and the defaults.

    Raises UsageError that names the key when a value does not fit, and for a RANKWRIGHT_* variable whose name
    is nearly a key's: a service meant to be closed must not open because of a misspelt KEYS_FILE.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    config: Path | None = Field(default=None, description="a TOML file of these settings")

    model: Path | None = Field(default=None, description="a model folder; or name a registry")
    registry: Path | None = Field(default=None, description="a registry folder; or name a model")
    default_model: str | None = Field(
        default=None,
        description="what answers a request that names no model; a single name is its own default",
    )
    aliases: dict[str, str] = Field(
        default_factory=dict,
        description='names that rerank clients send for models here, as {"rerank-v3.5": "movies"}',
    )
    foreign_model: str | None = Field(
        default=None,
        description="what answers rerank clients whose model name is not known; a single name does anyway",
    )
    features: str | None = Field(default=None, description="a feature store: a folder, or redis://…")
    unknown_id: Literal["error", "missing"] = Field(
        default="error", description="an id the feature store does not have"
    )
    journal: Path | None = Field(default=None, description="a folder for rankings shown and feedback")
    journal_bytes: int = Field(default=128 * 1024 * 1024, ge=1024, description="a journal file is closed at")
    journal_fsync_seconds: float = Field(
        default=1.0, ge=0, description="a line is forced to disk after at most"
    )
    events: Annotated[list[str], *Listed] = Field(
        default_factory=lambda: ["view", "click", "cart", "purchase"],
        description="types of feedback that the metrics count by name; all others are `other`",
    )
    journal_share: float = Field(default=1.0, ge=0, le=1, description="share of the rankings to keep")

    split: dict[str, int] = Field(
        default_factory=dict, description='shares of a name\'s requests, as {"movies@7": 90, "movies@8": 10}'
    )
    split_header: str = Field(default="x-experiment-unit", description="the header that says who is served")
    interleave: list[str] = Field(
        default_factory=list, description='two versions, as ["movies@7", "movies@8"]'
    )
    shadow: str | None = Field(default=None, description="a version that scores in the background as well")
    shadow_share: float = Field(default=0.1, ge=0, le=1, description="share of the requests for it")

    keys: SecretStr | None = Field(default=None, description="lines NAME SCOPE SHA256, separated by commas")
    keys_file: Path | None = Field(default=None, description="a file of such lines")
    rate: float | None = Field(default=None, gt=0, description="requests a second of one caller")
    rate_burst: int = Field(default=50, ge=1, description="requests at once of one caller")
    trusted_proxies: Annotated[list[IPvAnyNetwork], *Listed] = Field(
        default_factory=list,
        description='addresses and networks whose X-Forwarded-For is believed, as ["10.0.0.0/8"]',
    )
    log_answers: bool = Field(default=False, description="a log line for each ranking, with its request id")
    tracing: bool = Field(default=False, description="traces by OTLP, to where the OTEL_* variables say")
    max_connections: int = Field(default=4096, ge=1)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, description="0 takes a free one")
    workers: int = Field(default=1, ge=1, description="processes; each has its own models and metrics")

    max_header_bytes: int = Field(
        default=64 * 1024, ge=1024, description="request line and headers together; above it a 431"
    )
    max_headers: int = Field(default=200, ge=1, description="headers of a request")
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1)
    max_decoding_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1,
        description="of bodies decoded and scored at once; memory is a few times that",
    )
    max_candidates: int = Field(default=10_000, ge=1)
    max_batch: int = Field(default=100, ge=1, description="requests in one call of /v1/rank:batch")
    max_explained: int = Field(default=100, ge=1, description="contributions cost far more than scores")

    scoring_threads: int = Field(default_factory=available_cpus, ge=1)
    queue_size: int = Field(default=64, ge=0, description="requests that may wait for a scoring thread")
    queue_seconds: float = Field(default=0.25, gt=0, description="the longest such wait")
    receive_seconds: float = Field(default=10.0, gt=0, description="to receive a whole body")
    reload_seconds: float = Field(default=1.0, gt=0, description="between two looks at the registry")
    model_memory_bytes: int = Field(
        default=1 << 30, ge=0, description="models asked for by version stay loaded within this"
    )
    observed_per_second: float = Field(
        default=10.0, ge=0, description="requests whose features and scores the metrics look at"
    )
    drain_seconds: float = Field(
        default=0.0, ge=0, description="after SIGTERM /readyz fails and all else goes on for so long"
    )
    grace_seconds: int = Field(default=30, ge=0, description="for requests under way at shutdown")

    def __init__(self, **values: Any) -> None:
        for name in unknown_variables():
            if (near := _nearest(name)) is not None:
                raise UsageError(
                    f"variable {name} is no setting: write {PREFIX}{near.upper()} for `{near}`, or remove it"
                )
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError(_explain(error)) from None
        if self.model is not None and self.registry is not None:
            raise UsageError("settings `model` and `registry` exclude each other: name one of them")
        if self.split and self.interleave:
            raise UsageError(
                "settings `split` and `interleave` exclude each other: run one experiment at a time"
            )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then the file that one of them names."""
        variables = _Variables(settings_cls)
        file = init_settings().get("config") or os.environ.get(f"{PREFIX}CONFIG")
        if not file:
            return init_settings, variables
        return init_settings, variables, _TomlFile(settings_cls, Path(file))

    def shown(self) -> dict[str, Any]:
        """What is in force, for people: secrets are not in it."""
        return {key: value for key, value in self.model_dump(mode="json").items() if key != "keys"}

    def references(self) -> list[str]:
        """The versions and aliases that an experiment names."""
        return [*self.split, *self.interleave, *([] if self.shadow is None else [self.shadow])]

    def key_lines(self) -> str | None:
        """`keys` in clear."""
        return None if self.keys is None else self.keys.get_secret_value()


class _Variables(EnvSettingsSource):
    """Settings from the environment, without the RANKWRIGHT_PORT that Kubernetes puts there."""

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        if _INJECTED_PORT.fullmatch(str(found.get("port"))):
            del found["port"]
        return found


class _TomlFile(PydanticBaseSettingsSource):
    """Settings from a file. Raises UsageError where it cannot be read."""

    def __init__(self, settings_cls: type[BaseSettings], file: Path) -> None:
        super().__init__(settings_cls)
        try:
            self._content = tomllib.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"settings file {file}: {error}") from error

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._content.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._content


def load_settings(**values: Any) -> Settings:
    """Settings from these arguments and the environment; UsageError as above."""
    return Settings(**values)


def unknown_variables() -> list[str]:
    """The RANKWRIGHT_* variables in force that are neither settings nor known to mean something else."""
    return sorted(name for name, value in os.environ.items() if _is_unknown(name.upper(), value))


def _is_unknown(name: str, value: str) -> bool:
    if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
        return False
    rest = name.removeprefix(PREFIX)
    injected = _INJECTED.fullmatch(rest) or (rest.endswith("_PORT") and _INJECTED_PORT.fullmatch(value))
    return rest.lower() not in Settings.model_fields and not injected


def _nearest(variable: str) -> str | None:
    """The setting whose name a variable's nearly is; whatever speaks of keys is meant to be one of theirs."""
    name = variable[len(PREFIX) :].lower()
    if "key" in name:
        return nearest(name, ("keys_file", "keys"), 0.0)
    return nearest(name, Settings.model_fields, NEAR)


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = str(first["loc"][0]) if first["loc"] else "?"
    if first["type"] == "extra_forbidden":
        return f"unknown setting `{key}` (known: {', '.join(Settings.model_fields)})"
    return f"setting `{key}` ({PREFIX}{key.upper()}): {first['msg']}, got {first['input']!r}"
