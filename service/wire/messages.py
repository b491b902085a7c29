"""What goes over the wire. The structs are the decoder, the encoder and the OpenAPI schema at once.

An explicit null means the same as leaving the key out.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

MAX_ID = 512
"""Characters of an id."""
Identifier = Annotated[str, Meta(max_length=MAX_ID)]
RequestId = Annotated[str, Meta(min_length=1, max_length=128)]
Value = float | None
Features = list[Value] | dict[str, Value] | None
NULL = Raw(b"null")
MAX_EVENTS = 1000
"""In one call of /v1/feedback."""


class Candidate(Struct, forbid_unknown_fields=True, gc=False):
    """One document to rank: `features` in the model's order (null is missing), or by name (absent too).

    Without `features` they come from the feature store, by `id`.
    """

    id: Identifier
    features: Features = None


class Query(Struct, forbid_unknown_fields=True):
    """What the candidates answer; rankers of given features do not read it."""

    id: str | None = None
    text: str | None = None


class Explain(Struct, forbid_unknown_fields=True):
    """Name this many features of the largest contribution; the others are summed in `other`."""

    top_features: Annotated[int, Meta(ge=1, le=10_000)] = 5


class Asked(Struct, forbid_unknown_fields=True):
    """What a request says beside its candidates.

    `top_k` cuts the answer, `explain` adds contributions to what is left of it.
    """

    model: str | None = None
    request_id: RequestId | None = None
    query: Query | None = None
    top_k: Annotated[int, Meta(ge=1)] | None = None
    explain: bool | Explain | None = False


class RankRequest(Asked):
    """Candidates one by one (`candidates`), or as a table (`ids`, `columns`, `matrix`).

    `context` gives features of the query or the user by name: they hold for every candidate that does not
    give its own.
    """

    context: dict[str, Value] | None = None
    candidates: list[Candidate] | None = None
    ids: list[Identifier] | None = None
    columns: list[str] | None = None
    matrix: list[list[Value]] | None = None


class RawCandidate(Struct, forbid_unknown_fields=True, gc=False):
    """A candidate whose features were not looked at yet."""

    id: Identifier
    features: Raw = NULL


class RawRankRequest(Asked):
    """A `RankRequest` of which all that may be long was not looked at yet."""

    context: Raw = NULL
    candidates: list[RawCandidate] | None = None
    ids: Raw = NULL
    columns: Raw = NULL
    matrix: Raw = NULL


class BatchRequest(Struct, forbid_unknown_fields=True):
    """Many requests at once, each a `RankRequest`; a bad one is refused by itself, the others answered."""

    requests: list[Any]


class RawBatchRequest(Struct, forbid_unknown_fields=True):
    """A `BatchRequest` whose requests were not looked at yet."""

    requests: list[Raw]


class Contributions(Struct):
    """bias + the sum of `values` + `other` is the score."""

    bias: float
    values: dict[str, float]
    other: float


class Result(Struct, gc=False):
    """`index` is the candidate's place in the request (from 0), `rank` its place in the answer (from 1).

    `team` is the version that drafted it, in an interleaved list.
    """

    id: str
    index: int
    rank: int
    score: float
    contributions: Contributions | UnsetType = UNSET
    team: str | UnsetType = UNSET


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


class BatchItem(Struct, omit_defaults=True):
    """`reply` with status 200, `error` with any other."""

    status: int
    reply: RankReply | None = None
    error: dict[str, Any] | None = None


class BatchReply(Struct):
    """The answers in the order of the requests."""

    results: list[BatchItem]


class Event(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What happened to a document of a ranking: `position` counts from 1, `time` is Unix seconds."""

    id: Identifier
    type: Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
    position: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    time: Annotated[float, Meta(ge=0)] | None = None


class Feedback(Struct, forbid_unknown_fields=True):
    """Events on the ranking that was answered under this request id."""

    request_id: RequestId
    events: Annotated[list[Event], Meta(min_length=1, max_length=MAX_EVENTS)]


class FeedbackReply(Struct):
    accepted: int


class StoredRow(Struct, forbid_unknown_fields=True):
    """Features by name; absent and null are missing."""

    features: dict[str, Value]


class RawStoredRow(Struct, forbid_unknown_fields=True):
    """A `StoredRow` that was not looked into yet."""

    features: Raw


class StoredRows(Struct, forbid_unknown_fields=True):
    """Rows of a table for the feature store; a row replaces the whole row of its id."""

    ids: list[Identifier]
    columns: list[str]
    matrix: list[list[Value]]


class RawStoredRows(Struct, forbid_unknown_fields=True):
    """`StoredRows` that were not looked into yet."""

    ids: Raw
    columns: Raw
    matrix: Raw


class StoreReply(Struct):
    stored: int


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
    max_batch: int


class FeatureSchema(Struct, omit_defaults=True):
    """A column: its name, and the least and greatest value it had in training."""

    name: str
    low: float | None = None
    high: float | None = None


class ModelDescription(Struct):
    """What a caller needs to build a request, and what the manifest says of quality.

    `digest` is the SHA-256 of the model's file.
    """

    name: str
    version: str
    kind: str
    digest: str
    feature_count: int
    feature_names: list[str]
    features: list[FeatureSchema]
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
