"""Following a registry: a new version is loaded whole beside the old one, then takes its place at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from ranking.errors import DataError, RankwrightError
from service.echo import LONGEST
from service.models.table import Model, Models, warmed
from service.telemetry.metrics import Telemetry

if TYPE_CHECKING:
    from ranking.models.registry import ModelRef, Registry

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
"""How long a version that would not load is left alone; a published one does not mend itself."""
MEMORY_PER_BYTE = 3
"""A loaded model takes at most so many times its file."""


class Watcher:
    """Keeps `models` in step with a registry: every name in it, and every alias."""

    def __init__(
        self,
        registry: Registry,
        telemetry: Telemetry,
        default: str | None = None,
        seconds: float = 1.0,
        memory_bytes: int = 1 << 30,
    ) -> None:
        self.registry, self.telemetry, self.seconds = registry, telemetry, seconds
        self.models = Models(default, self.load_version)
        self._failed: dict[tuple[str, str], float] = {}
        self._complaints: dict[str, str] = {}
        self._memory_bytes = memory_bytes
        self._kept: OrderedDict[str, Model] = OrderedDict()
        self._keeping = threading.Lock()

    async def watch(self) -> None:
        """Look again and again until cancelled, in a worker thread: loading takes its time."""
        while True:
            await asyncio.sleep(self.seconds)
            try:
                await asyncio.to_thread(self.load)
            except Exception:
                # Whatever a failing disk brings, what is loaded goes on serving.
                logger.exception("the registry could not be followed")

    def load(self) -> None:
        """One look at the registry: load what is new, then replace the table."""
        old = self.models.table
        table: dict[str, Model] = {}
        for name in self._names():
            table |= self._table_of(name)
        if table != old:
            self.models.replace(table)
            with self._keeping:
                for numbered, model in old.items():
                    # Who rolls back wants the version that just left, and at once.
                    if "@" in numbered and numbered not in table:
                        self._keep(numbered, model)
            self.telemetry.serving(model.identity for model in table.values())
            for reference, model in table.items():
                if old.get(reference) is not model:
                    if reference in old:
                        self.telemetry.swaps.labels(model.name).inc()
                    logger.info("%s is now %s@%s", reference, model.name, model.version)

    def history(self, name: str) -> tuple[list[str], dict[str, str]]:
        """The versions on disk, and alias -> version."""
        try:
            versions = [str(version) for version in self.registry.versions(name)]
            return versions, {alias: str(version) for alias, version in self.registry.aliases(name).items()}
        except (RankwrightError, OSError) as error:
            self._complain(name, error)
            served = {model.version for model in self.models.table.values() if model.name == name}
            return sorted(served), {}

    def load_version(self, reference: str) -> Model | None:
        """A version by number, loaded when it is first asked for, of a name that is being served."""
        name, at, version = reference.partition("@")
        if not at or name not in self.models.table or len(version) > LONGEST:
            return None
        with self._keeping:
            if reference in self._kept:
                self._kept.move_to_end(reference)
                return self._kept[reference]
            try:
                ref = self.registry.resolve(reference)
            except RankwrightError:
                return None
            model = self._open(ref)
            if model is not None:
                self._keep(reference, model)
            return model

    def _keep(self, reference: str, model: Model) -> None:
        """Within the memory that such models may take, the ones asked for last; one at least."""
        self._kept[reference] = model
        while len(self._kept) > 1 and self._held_bytes() > self._memory_bytes:
            self._kept.popitem(last=False)

    def _held_bytes(self) -> int:
        return MEMORY_PER_BYTE * sum(model.file_bytes for model in self._kept.values())

    def _names(self) -> list[str]:
        served = sorted({model.name for model in self.models.table.values()})
        try:
            found = self.registry.names()
        except (RankwrightError, OSError) as error:
            self._complain("the registry", error)
            return served
        if served and not found:
            # A folder that was unmounted or emptied at one stroke: what is loaded goes on serving.
            self._complain("the registry", DataError("it holds no models any more"))
            return served
        return found

    def _table_of(self, name: str) -> dict[str, Model]:
        """References of one name to models; where a new one is unusable, to the one served until now."""
        old = {reference: model for reference, model in self.models.table.items() if model.name == name}
        try:
            references = (name, *(f"{name}:{alias}" for alias in self.registry.aliases(name)))
            wanted = {reference: self.registry.resolve(reference) for reference in references}
        except (RankwrightError, OSError) as error:
            self._complain(name, error)
            return old
        table: dict[str, Model] = {}
        for reference, ref in wanted.items():
            numbered = str(ref)
            held = table.get(numbered) or old.get(numbered) or self._kept.get(numbered)
            model = held or self._open(ref) or old.get(reference)
            if model is not None:
                table[reference] = table[f"{name}@{model.version}"] = model
        return table

    def _open(self, ref: ModelRef) -> Model | None:
        key = (ref.name, str(ref.version))
        if time.monotonic() < self._failed.get(key, 0.0):
            return None
        try:
            model = open_version(self.registry, ref)
        except Exception as error:
            # A damaged folder must not stop the others from being served, whatever its reader raised.
            self._failed[key] = time.monotonic() + RETRY_SECONDS
            self.telemetry.load_failures.labels(ref.name).inc()
            logger.error("%s could not be loaded: %s", ref, error)
            return None
        self._failed.pop(key, None)
        return model

    def _complain(self, about: str, error: Exception) -> None:
        """Log once, not at every look."""
        if self._complaints.get(about) != str(error):
            self._complaints[about] = str(error)
            logger.error("%s could not be read: %s", about, error)


def open_version(registry: Registry, ref: ModelRef) -> Model:
    """A version as a model that answers with its name and number."""
    from ranking.models.loading import open_artifact

    artifact = registry.read(ref)
    manifest = artifact.manifest
    digest = manifest.files[manifest.model].sha256
    file_bytes = sum(file.size for file in manifest.files.values())
    ranker = warmed(open_artifact(artifact, probe=False))
    return Model(ref.name, str(ref.version), ranker, manifest.facts, digest, file_bytes)
