"""The wire formats of other rerank services: Cohere v1 and v2, Jina, Voyage, TEI, infinity and vLLM.

A dialect is known by path and body. Documents are objects with `features` (a list in the model's order, or a
map by name) or with an `id` whose features are stored. For clients that send strings only, a string may hold
such an object as JSON or, where there is a feature store, be the id itself. Scores are 1 / (1 + exp(−score)),
in [0, 1] as these formats promise, unless `raw_scores` asks for the ranker's own.

Unset and null are the same everywhere; keys we do not know are ignored, and named in `meta.warnings`, as is a
model name that we do not know, with the model that answered.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from service.echo import cut, shown
from service.errors import ApiError, invalid
from service.wire.bounds import PART, SMALL, Shape, elements, parts, shape_of, too_many_candidates
from service.wire.envelope import Keys, decoded_rest, is_stand_in
from service.wire.messages import (
    NULL,
    Asked,
    Explain,
    Identifier,
    Query,
    RankReply,
    RawCandidate,
    RawRankRequest,
    RequestId,
    Result,
)

WARNINGS_HEADER = "X-Warnings"
"""A JSON array of strings, for TEI, whose answer is a bare list: the others have `meta.warnings`."""

_IGNORED = frozenset({
    "max_chunks_per_doc", "max_tokens_per_doc", "max_tokens_per_query", "priority", "rank_fields",
    "relevant_spans", "return_embeddings", "truncate", "truncate_prompt_tokens", "truncation",
    "truncation_direction", "truncation_side", "use_activation", "user",
})  # fmt: skip
"""What these services are asked about texts, and has no meaning for features."""
_READ = frozenset({
    "query", "documents", "texts", "model", "top_n", "top_k", "return_documents", "return_text", "raw_scores",
    "explain", "context", "request_id",
})  # fmt: skip
_VLLM_ONLY = frozenset(
    {"truncate_prompt_tokens", "truncation_side", "use_activation", "max_tokens_per_query"}
)

WARNED_FIELDS = 10


class Names(Protocol):
    """Finds the model that a client means."""

    def reference(self, name: str | None, *, needed: bool = True) -> tuple[str | None, bool]:
        """(the reference here, None for the default; whether the name is known).

        `needed` says that the name is part of the dialect's format. Raises ApiError 404 where nobody answers.
        """


class _Nothing(msgspec.Struct):
    """An object of which nothing is kept."""


_KEYS = Keys(("documents", "texts"))
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
_NOTHING = msgspec.json.Decoder(_Nothing)


class Document(msgspec.Struct):
    """A document as an object; what else it holds is not read."""

    id: Identifier | None = None
    text: str | None = None
    features: Raw = Raw(b"null")


@dataclass(frozen=True)
class Foreign:
    """A request of another dialect: what it asks, and what its answer needs.

    `documents` are those of the request where the answer repeats them.
    """

    asked: Asked
    context: Raw
    documents: list[Raw]
    answer: Callable[[RankReply, Foreign], Any]
    raw_scores: bool
    return_documents: bool
    vllm: bool
    unknown_model: str | None
    unknown_fields: list[str]


def read_foreign(
    body: bytes, path: str, names: Names, max_documents: int, *, stored: bool
) -> tuple[Foreign, RawRankRequest]:
    """The request in a body that was posted to /v2/rerank, /v1/rerank or /rerank, and the same as our own.

    `names` finds the model that is meant; `stored` says that ids can be looked up. Raises ApiError 400 for
    what is no JSON, no documents, a limit below 1 or two that differ, and texts without features; 404 for a
    model that nobody stands in for; 422 for values of other types and more than `max_documents`, before any
    of them is decoded.
    """
    shape = shape_of(body) if len(body) > SMALL else Shape(0, 0, 0)
    fields = _fields(body, shape.members)
    name = _documents_key(fields, path)
    if shape.longest > max_documents:
        _check_count(fields, name, max_documents)
    documents = _documents(fields, name)
    foreign = _foreign(fields, documents, path, names)
    asked = RawRankRequest(
        **{key: getattr(foreign.asked, key) for key in Asked.__struct_fields__},
        context=foreign.context,
        candidates=_candidates(documents, name, stored=stored),
    )
    return foreign, asked


def open_foreign(body: bytes, path: str, names: Names) -> tuple[Foreign, memoryview] | None:
    """The request, and its documents as text; or None where it is not as usual: `read_foreign` says why."""
    envelope = _KEYS.open(body)
    fields = None if envelope is None else decoded_rest(envelope, _FIELDS)
    if envelope is None or fields is None or not is_stand_in(fields[envelope.key]):
        return None
    if envelope.key != _documents_key(fields, path):
        return None
    try:
        foreign = _foreign(fields, [], path, names)
        if foreign.return_documents:
            foreign = replace(foreign, documents=_LIST.decode(envelope.rows))
    except (ApiError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return foreign, envelope.rows


def _documents_key(fields: Mapping[str, Raw], path: str) -> str:
    return "texts" if path == "/rerank" and "texts" in fields else "documents"


def _foreign(fields: Mapping[str, Raw], documents: list[Raw], path: str, names: Names) -> Foreign:
    tei = _documents_key(fields, path) == "texts"
    voyage = path == "/v1/rerank" and ("top_k" in fields or "truncation" in fields)
    vllm = path == "/rerank" and not tei and bool(_VLLM_ONLY & fields.keys())
    model = _field(fields, "model", str | None, None)
    # TEI serves one model, and its clients send whatever name they were given.
    reference, known = names.reference(model, needed=not tei)
    asked = Asked(
        model=reference,
        request_id=_field(fields, "request_id", RequestId | None, None),
        query=Query(text=_query(fields)),
        top_k=_top(fields, zero_is_all=vllm),
        explain=_field(fields, "explain", bool | Explain | None, None),
    )
    answers = {"/v2/rerank": _cohere, "/v1/rerank": _cohere, "/rerank": _infinity}
    return Foreign(
        asked,
        fields.get("context", NULL),
        documents,
        _tei if tei else _voyage if voyage else answers[path],
        raw_scores=bool(_field(fields, "raw_scores", bool | None, None)),
        return_documents=bool(
            _field(fields, "return_text" if tei else "return_documents", bool | None, None)
        ),
        vllm=vllm,
        unknown_model=None if known else model,
        unknown_fields=sorted(fields.keys() - _READ - _IGNORED)[:WARNED_FIELDS],
    )


def answer_foreign(reply: RankReply, foreign: Foreign) -> tuple[bytes, list[tuple[str, str]]]:
    """(the answer in the request's dialect, headers)."""
    answer = foreign.answer(reply, foreign)
    warnings = _warnings(reply, foreign) if isinstance(answer, list) else []
    return msgspec.json.encode(answer), [(WARNINGS_HEADER, json.dumps(warnings))] if warnings else []


def foreign_error(error: ApiError, path: str) -> ApiError:
    """The error as every foreign client can read it: TEI's `error_type`, infinity's list of details at a 422.

    What we call candidates they call documents.
    """
    told = ApiError(
        error.status, error.code, error.message.replace("candidates", "documents"), headers=error.headers
    )
    told.request_id = error.request_id
    told.extra = {**error.extra, "error_type": _tei_type(error)}
    if isinstance(found := error.extra.get("path"), str):
        told.extra["path"] = found.replace("candidates", "documents")
    if path == "/rerank" and error.status == 422:
        place = ["body", told.extra.get("path") or "documents"]
        told.extra["detail"] = [{"loc": place, "msg": told.message, "type": error.code}]
    return told


def _tei_type(error: ApiError) -> str:
    if error.code == "no_documents":
        return "Empty"
    return {429: "Overloaded", 503: "Unhealthy", 500: "Backend"}.get(error.status, "Validation")


# --- Reading ----------------------------------------------------------------------------------------


def _fields(body: bytes, members: int) -> dict[str, Raw]:
    """What we know by name, and the first of the rest for a warning: there may be very many."""
    try:
        if members <= PART:
            return _FIELDS.decode(body)
        _NOTHING.decode(body)  # so that the parts are sound
        fields: dict[str, Raw] = {}
        for part in parts(body):
            fields |= _FIELDS.decode(part)
            for name in sorted(fields.keys() - _READ - _IGNORED)[WARNED_FIELDS:]:
                del fields[name]
        return fields
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "malformed_json", f"the body is no JSON object: {cut(str(error))}") from None


def _field(fields: Mapping[str, Raw], name: str, kind: Any, default: Any) -> Any:
    if name not in fields:
        return default
    try:
        return msgspec.json.decode(fields[name], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("invalid_request", f"{name}: {cut(str(error))}", path=name) from None


def _query(fields: Mapping[str, Raw]) -> str | None:
    """A text; vLLM's multimodal queries are objects, which rankers of features do not read."""
    raw = fields.get("query")
    if raw is not None and bytes(raw).lstrip().startswith((b"{", b"[")):
        return None
    found: str | None = _field(fields, "query", str | None, None)
    return found


def _check_count(fields: Mapping[str, Raw], name: str, most: int) -> None:
    if (count := elements(fields.get(name, NULL))) > most:
        raise too_many_candidates(count, most, "candidates")


def _documents(fields: Mapping[str, Raw], name: str) -> list[Raw]:
    found: list[Raw] = _field(fields, name, list[Raw] | None, None) or []
    if not found:
        raise ApiError(400, "no_documents", f"list of {name} must not be empty", path=name)
    return found


def _top(fields: Mapping[str, Raw], *, zero_is_all: bool) -> int | None:
    """How many to answer, None for all: Voyage's `top_k` and the others' `top_n` mean the same everywhere."""
    tops = {name: _field(fields, name, int | None, None) for name in ("top_n", "top_k")}
    given = {name: top for name, top in tops.items() if top is not None}
    if len(set(given.values())) > 1:
        both = " and ".join(f"{name} {cut(str(top))}" for name, top in given.items())
        raise ApiError(400, "invalid_top", f"{both} mean the same, and differ: send one", path="top_k")
    name, top = next(iter(given.items()), ("top_n", None))
    if top == 0 and zero_is_all:
        return None
    if top is not None and top < 1:
        raise ApiError(400, "invalid_top", f"{name} must be at least 1, got {cut(str(top))}", path=name)
    return top


def _candidates(documents: list[Raw], name: str, *, stored: bool) -> list[RawCandidate]:
    found = []
    for place, raw in enumerate(documents):
        where = f"{name}[{place}]"
        document = _document(raw, where, stored=stored)
        if document.id is None and bytes(document.features) == b"null":
            raise _plain_text(where)
        found.append(document)
    owned = {document.id for document in found}
    return [
        RawCandidate(_unowned(place, owned) if document.id is None else document.id, document.features)
        for place, document in enumerate(found)
    ]


def _unowned(place: int, owned: Set[str | None]) -> str:
    """The name of a document without an id, for the journal: its place, which is no other document's id."""
    name = str(place)
    while name in owned:
        name = f"#{name}"
    return name


def _document(raw: Raw, where: str, *, stored: bool) -> Document:
    try:
        content = bytes(raw)
        if not content.startswith(b'"'):
            return msgspec.json.decode(content, type=Document)
        text = msgspec.json.decode(content, type=str)
        if text.lstrip().startswith("{"):
            return msgspec.json.decode(text, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("invalid_document", f"{where}: {cut(str(error))}", path=where) from None
    if not stored:
        raise _plain_text(where)
    if len(text) > 512:
        raise invalid("invalid_document", f"{where}: an id has at most 512 characters", path=where)
    return Document(id=text)


def _plain_text(where: str) -> ApiError:
    return ApiError(
        400,
        "text_not_supported",
        f"{where} has no features: this model ranks by features, not by text. Send objects such as "
        '{"features": {"bm25": 7.2}} (or that as a string), or ids where the service has a feature store',
        path=where,
    )


# --- Answering --------------------------------------------------------------------------------------


def _score(result: Result, foreign: Foreign) -> float:
    score = result.score
    if foreign.raw_scores:
        return score
    # Without overflow on either side.
    return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))


def _text(raw: Raw) -> str:
    found = msgspec.json.decode(raw)
    if isinstance(found, str):
        return found
    text = found.get("text")
    return text if isinstance(text, str) else bytes(raw).decode()


def _results(reply: RankReply, foreign: Foreign, document: Callable[[Raw], Any]) -> list[dict[str, Any]]:
    results = []
    for result in reply.results:
        item: dict[str, Any] = {"index": result.index, "relevance_score": _score(result, foreign)}
        # Clients break on a null here: the key is there or it is not.
        if foreign.return_documents:
            item["document"] = document(foreign.documents[result.index])
        if result.contributions is not msgspec.UNSET:
            item["contributions"] = result.contributions
        results.append(item)
    return results


def _model(reply: RankReply) -> str:
    return f"{reply.model}@{reply.version}"


def _warnings(reply: RankReply, foreign: Foreign) -> list[str]:
    name = foreign.unknown_model
    return [
        *([] if name is None else [f"model {shown(name)} is not known: {_model(reply)} answers for it"]),
        *(f"unknown field {shown(field)} is ignored" for field in foreign.unknown_fields),
    ]


def _object(raw: Raw) -> dict[str, str]:
    return {"text": _text(raw)}


def _cohere(reply: RankReply, foreign: Foreign) -> dict[str, Any]:
    meta: dict[str, Any] = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    if warnings := _warnings(reply, foreign):
        meta["warnings"] = warnings
    return {
        "id": reply.request_id,
        "model": _model(reply),
        "results": _results(reply, foreign, _object),
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
        "meta": meta,
    }


def _infinity(reply: RankReply, foreign: Foreign) -> dict[str, Any]:
    """infinity's, which vLLM's clients read too; a document is text for one, an object for the other."""
    return {
        **_cohere(reply, foreign),
        "object": "rerank",
        "created": int(time.time()),
        "results": _results(reply, foreign, _object if foreign.vllm else _text),
    }


def _voyage(reply: RankReply, foreign: Foreign) -> dict[str, Any]:
    warnings = _warnings(reply, foreign)
    return {
        "object": "list",
        "data": _results(reply, foreign, _text),
        "model": _model(reply),
        "usage": {"total_tokens": 0},
        **({"meta": {"warnings": warnings}} if warnings else {}),
    }


def _tei(reply: RankReply, foreign: Foreign) -> list[dict[str, Any]]:
    """Best first; all of them where no limit came, as its clients count them."""
    items = []
    for result in reply.results:
        item: dict[str, Any] = {"index": result.index, "score": _score(result, foreign)}
        if foreign.return_documents:
            item["text"] = _text(foreign.documents[result.index])
        items.append(item)
    return items
