"""What goes over the wire. The structs are the decoder, the encoder and the OpenAPI schema at once.

An explicit null means the same as leaving the key out.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

Identifier = Annotated[str, Meta(max_length=512)]
RequestId = Annotated[str, Meta(min_length=1, max_length=128)]
Value = float | None


class Candidate(Struct, forbid_unknown_fields=True, gc=False):
    """One document to rank: `features` in the model's order (null is missing), or by name (absent too)."""

    id: Identifier
    features: list[Value] | dict[str, Value]


class Query(Struct, forbid_unknown_fields=True):
    """What the candidates answer; rankers of given features do not read it."""

    id: str | None = None
    text: str | None = None


class Explain(Struct, forbid_unknown_fields=True):
    """Name this many features of the largest contribution; the others are summed in `other`."""

    top_features: Annotated[int, Meta(ge=1, le=10_000)] = 5


class RankRequest(Struct, forbid_unknown_fields=True):
    """Candidates one by one (`candidates`), or as a table (`ids`, `columns`, `matrix`)."""

    model: str | None = None
    request_id: RequestId | None = None
    query: Query | None = None
    candidates: list[Candidate] | None = None
    ids: list[Identifier] | None = None
    columns: list[str] | None = None
    matrix: list[list[Value]] | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None
    explain: bool | Explain | None = False


class Contributions(Struct):
    """bias + the sum of `values` + `other` is the score."""

    bias: float
    values: dict[str, float]
    other: float


class Result(Struct, gc=False):
    """`index` is the candidate's place in the request (from 0), `rank` its place in the answer (from 1)."""

    id: str
    index: int
    rank: int
    score: float
    contributions: Contributions | UnsetType = UNSET


class RankWarning(Struct, omit_defaults=True):
    """Something the caller may not have meant."""

    code: str
    feature: str | None = None
    count: int | None = None


class Timing(Struct):
    """Milliseconds: decoding to a matrix, scoring (with contributions), and all since the body was there."""

    parse: float
    score: float
    total: float


class RankReply(Struct):
    """Candidates by falling score; equal scores keep the order of the request."""

    request_id: str
    model: str
    version: str
    results: list[Result]
    warnings: list[RankWarning]
    timing_ms: Timing


class ModelSummary(Struct):
    """A name, its versions on disk, and the one that answers to the bare name now."""

    name: str
    serving: str
    versions: list[str]
    aliases: dict[str, str]
    default: bool


class ModelList(Struct):
    models: list[ModelSummary]
    default: str | None


class Limits(Struct):
    max_candidates: int
    max_body_bytes: int
    max_explained: int


class ModelDescription(Struct):
    """What a caller needs to build a request, and what the manifest says of quality."""

    name: str
    version: str
    kind: str
    feature_count: int
    feature_names: list[str]
    missing: str
    metrics: dict[str, Any]
    conventions: dict[str, Any]
    limits: Limits


class Health(Struct):
    status: str


class ErrorReply(Struct):
    """Every error. Some carry more keys: `path`, `position`, `expected`, `nearest`, `known`, `limit`."""

    error: str
    message: str
    detail: str
    request_id: str
