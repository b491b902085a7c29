"""What a request says in its headers and parameters rather than in its body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from service.echo import cut, shown
from service.edge.incoming import Incoming
from service.errors import ApiError, invalid
from service.settings import Settings
from service.wire.messages import Asked, Explain, Identifier

DEADLINE_HEADER = "x-deadline-ms"
"""How long the caller waits for the work to begin; it can shorten the service's own limit only."""
IDS_HEADER = "x-candidate-ids"
"""A JSON array of strings: the ids of an npy body's rows."""

_IDS = msgspec.json.Decoder(list[Identifier])


@dataclass(frozen=True)
class Manner:
    """`unit` is who an experiment is split by, `deadline_seconds` how long the caller waits; or None."""

    unit: str | None
    deadline_seconds: float | None

    @classmethod
    def of(cls, incoming: Incoming, settings: Settings) -> Manner:
        """Raises ApiError 400 for a deadline that is no positive number of milliseconds."""
        text = incoming.header(DEADLINE_HEADER)
        deadline = None
        if text is not None:
            if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) == 0:
                raise ApiError(
                    400,
                    "invalid_deadline",
                    f"{DEADLINE_HEADER}: a number of milliseconds from 1, got {shown(text)}",
                )
            deadline = int(text) / 1000
        return cls(incoming.header(settings.split_header.lower()), deadline)


def asked_by_parameters(incoming: Incoming) -> tuple[Asked, list[str] | None]:
    """(what a body of numbers alone cannot say, the ids of its rows or None): `?model=…&top_k=10&explain=5`.

    Raises ApiError 422 for parameters that are unknown or of another kind.
    """
    given: dict[str, Any] = dict(QueryParams(incoming.scope["query_string"]))
    explain = given.pop("explain", None)
    unknown = sorted(given.keys() - {"model", "request_id", "top_k"})
    if unknown:
        raise invalid("invalid_parameter", f"there is no parameter {shown(unknown[0])}", path=cut(unknown[0]))
    try:
        asked = msgspec.convert(given, Asked, strict=False)
        if explain is not None:
            asked.explain = msgspec.convert({"top_features": explain}, Explain, strict=False)
        ids = incoming.header(IDS_HEADER)
        return asked, None if ids is None else _IDS.decode(ids)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("invalid_parameter", f"parameters or {IDS_HEADER}: {cut(str(error))}") from None
