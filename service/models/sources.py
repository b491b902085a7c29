"""Where the models come from: one ranker or folder that stays, or a registry that is followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ranking.errors import UsageError
from service.models.table import Model, Models, warmed
from service.models.watching import Watcher
from service.settings import Settings
from service.telemetry.metrics import Telemetry

if TYPE_CHECKING:
    from ranking.models.ranker import Ranker


class Source(Protocol):
    """`load` blocks until there is what can be served now; `watch` runs as long as the service."""

    models: Models

    def load(self) -> None: ...

    async def watch(self) -> None: ...

    def history(self, name: str) -> tuple[list[str], dict[str, str]]:
        """The versions of a name, and alias -> version."""


class OneModel:
    """A single model that does not change."""

    def __init__(self, name: str, open_model: Callable[[], Model], telemetry: Telemetry) -> None:
        self.models = Models(name)
        self._open, self._telemetry = open_model, telemetry

    def load(self) -> None:
        model = self._open()
        self.models.replace({model.name: model, f"{model.name}@{model.version}": model})
        self._telemetry.serving([model.identity])

    async def watch(self) -> None:
        return

    def history(self, name: str) -> tuple[list[str], dict[str, str]]:
        return [self.models.find(name).version], {}


def source_of(settings: Settings, ranker: Ranker | None, telemetry: Telemetry) -> Source:
    """The ranker if one is given, else what the settings name. Raises UsageError where they name nothing."""
    if ranker is not None:
        name, given = settings.default_model or "default", ranker
        source = OneModel(name, lambda: Model(name, "0", given), telemetry)
        source.load()  # nothing to wait for
        return source
    if settings.model is not None:
        folder = settings.model
        name = settings.default_model or folder.resolve().name
        return OneModel(name, lambda: open_folder(folder, name), telemetry)
    if settings.registry is not None:
        from ranking.models.registry import Registry

        return Watcher(
            Registry(settings.registry),
            telemetry,
            settings.default_model,
            settings.reload_seconds,
            settings.model_memory_bytes,
        )
    raise UsageError("nothing to serve: name a `model` folder or a `registry`")


def open_folder(folder: Path, name: str) -> Model:
    """A model folder, with every check of `load_ranker`; its version begins the model's SHA-256."""
    from ranking.models.folder import read_artifact
    from ranking.models.loading import open_artifact

    artifact = read_artifact(folder)
    manifest = artifact.manifest
    version = manifest.files[manifest.model].sha256[:12]
    digest = manifest.files[manifest.model].sha256
    return Model(name, version, warmed(open_artifact(artifact)), manifest.facts, digest)
