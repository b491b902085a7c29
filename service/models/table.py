"""Which model answers to which reference, at one instant.

The table is replaced whole, never changed: a request takes its `Model` once, and its name, version and scores
belong together whatever is swapped meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.compiled.names import NameTable, name_table
from ranking.compiled.warming import warm_up as compile_pieces
from ranking.data.arrays import Float32
from ranking.models.kinds import warm_up
from ranking.models.ranker import explainer
from service.echo import nearest, shown
from service.errors import RETRY_AFTER, ApiError
from service.wire.bounds import COUNTING
from service.wire.candidates import CANDIDATES
from service.wire.envelope import ENVELOPES
from service.wire.ids import IDS
from service.wire.results import RESULTS
from service.wire.scan import SCANNING

if TYPE_CHECKING:
    from ranking.models.ranker import Ranker


@dataclass(frozen=True, eq=False)
class Model:
    """A ranker under the name and version it answers with; `manifest` is what its folder says of it.

    `digest` is the SHA-256 of its file, `file_bytes` the size of its folder's files. `low` and `high` float32
    [features] are the ends of what training saw, infinite where that is not known.
    """

    name: str
    version: str
    ranker: Ranker
    manifest: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    file_bytes: int = 0
    columns: Mapping[str, int] = field(init=False)
    names: NameTable = field(init=False)
    low: Float32 = field(init=False)
    high: Float32 = field(init=False)

    def __post_init__(self) -> None:
        low, high = _ranges(self.manifest.get("feature_ranges"), self.feature_count)
        found = {
            "columns": {name: i for i, name in enumerate(self.feature_names)},
            "names": name_table(self.feature_names),
            "low": low,
            "high": high,
        }
        for key, value in found.items():
            object.__setattr__(self, key, value)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return self.ranker.feature_names

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, version and kind."""
        return self.name, self.version, self.ranker.kind

    @property
    def feature_count(self) -> int:
        return self.ranker.feature_count


def _ranges(found: Any, width: int) -> tuple[Float32, Float32]:
    """(lowest, highest) of each feature; a manifest without usable ranges limits nothing."""
    low, high = np.full(width, -np.inf, np.float32), np.full(width, np.inf, np.float32)
    if isinstance(found, list) and len(found) == width:
        for column, ends in enumerate(found):
            if isinstance(ends, list) and len(ends) == 2:
                low[column], high[column] = ends
    return low, high


def warmed(ranker: Ranker) -> Ranker:
    """The ranker after one row was read, scored and explained: no request waits for code to be compiled."""
    compile_pieces(SCANNING, COUNTING, CANDIDATES, ENVELOPES, IDS, RESULTS)
    explaining = explainer(ranker)
    warm_up(ranker.kind, contributions=explaining is not None)
    row = np.zeros((1, ranker.feature_count), np.float32)
    ranker.score(row)
    if explaining is not None:
        explaining.contributions(row)
    return ranker


Load = Callable[[str], Model | None]
"""Opens a version that the table does not hold ("movies@7"), or says that there is none."""


class Models:
    """References ("movies", "movies:production", "movies@7") to models.

    `default` answers requests that name none; without it, a table of a single name has its own.
    """

    def __init__(self, default: str | None = None, load: Load = lambda reference: None) -> None:
        self._default, self._load = default, load
        self._table: Mapping[str, Model] = {}

    def replace(self, table: Mapping[str, Model]) -> None:
        self._table = table

    @property
    def table(self) -> Mapping[str, Model]:
        return self._table

    @property
    def default(self) -> str | None:
        """The reference behind a request that names no model."""
        if self._default is not None:
            return self._default
        names = self.names
        return next(iter(names)) if len(names) == 1 else None

    @property
    def names(self) -> set[str]:
        """What is served, without versions and aliases."""
        return {model.name for model in self._table.values()}

    def knows(self, reference: str) -> bool:
        """Whether it is of a name that is served; that name may not have this version or alias."""
        return reference in self._table or reference.partition("@")[0].partition(":")[0] in self.names

    @property
    def ready(self) -> bool:
        return self._default in self._table if self._default is not None else bool(self._table)

    def find(self, reference: str | None) -> Model:
        """The model behind a reference, or behind none.

        Raises ApiError 503 while there is no model at all, 404 for a reference that is not known (with those
        that are), 422 where one has to be named.
        """
        table = self._table
        if not table or (reference is None and not self.ready):
            raise ApiError(503, "not_ready", "no model is loaded yet: try again soon", headers=RETRY_AFTER)
        wanted = reference if reference is not None else self.default
        if wanted is None:
            names = sorted(table)
            raise ApiError(
                422,
                "model_required",
                f"name a `model`, one of: {', '.join(names)}",
                path="model",
                known=names,
            )
        model = table.get(wanted) or self._load(wanted)
        if model is None:
            raise unknown_model(wanted, sorted(table))
        return model


def unknown_model(reference: str, known: list[str], more: str = "") -> ApiError:
    """A 404 with the references that are known; `more` ends the sentence."""
    near = nearest(reference, known)
    hint = f"; did you mean {near!r}?" if near else ""
    return ApiError(
        404,
        "unknown_model",
        f"there is no model {shown(reference)}{hint} (known: {', '.join(known)}){more}",
        nearest=near,
        known=known,
    )
