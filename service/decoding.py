"""Bytes to a `RankRequest`. What is not JSON is a 400 with its position, the rest a 422 with its path."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from service.echo import cut
from service.errors import ApiError, invalid
from service.messages import RankRequest, RawBatchRequest, RawRankRequest, RequestId

Decoded = TypeVar("Decoded")

_DECODER = msgspec.json.Decoder(RankRequest)
_RAW_DECODER = msgspec.json.Decoder(RawRankRequest)
_BATCH_DECODER = msgspec.json.Decoder(RawBatchRequest)


class _Label(msgspec.Struct):
    request_id: RequestId | None = None


_LABEL_DECODER = msgspec.json.Decoder(_Label)


def decode_raw(body: bytes | msgspec.Raw) -> RawRankRequest | None:
    """The request with its numbers left alone; None where `decode_request` has something to say."""
    try:
        return _RAW_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_batch(body: bytes) -> list[bytes]:
    """The requests of a `BatchRequest`, not looked into. Raises ApiError as `decode_request` does."""
    return [bytes(request) for request in _decode(_BATCH_DECODER, body).requests]


def decode_as(struct: type[Decoded], body: bytes) -> Decoded:
    """A body of another kind. Raises ApiError as `decode_request` does."""
    return _decode(msgspec.json.Decoder(struct), body)


def decode_request(body: bytes) -> RankRequest:
    """The request in a JSON body.

    Raises ApiError 400 for what is no JSON (NaN, Infinity and numbers beyond float64 included), 422 for other
    shapes and types than the contract's.
    """
    return _decode(_DECODER, body)


def _decode(decoder: msgspec.json.Decoder[Decoded], body: bytes) -> Decoded:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _labelled(_wrong_shape(body, str(error)), body) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(body, error) from None


def _malformed(body: bytes, error: Exception) -> ApiError:
    if isinstance(error, UnicodeDecodeError):
        try:
            body.decode()
        except UnicodeDecodeError as whole:
            return _not_json("the text is not UTF-8", body, whole.start)
    if isinstance(error, RecursionError):
        return ApiError(400, "malformed_json", "the body is not usable JSON: it is nested too deeply")
    place = re.search(r" \(byte (\d+)\)$", str(error))
    if place is None:
        return _not_json(str(error).lower(), body, len(body))
    reason = str(error)[: place.start()].removeprefix("JSON is malformed: ")
    return _not_json(reason, body, int(place[1]))


def _not_json(reason: str, body: bytes, at: int) -> ApiError:
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    hint = ""
    if re.match(rb"-?(NaN|Infinity)", body[max(at - 1, 0) : at + 9].lstrip(b":,[ ")):
        hint = "; JSON has no NaN or Infinity: write null for a missing value"
    return ApiError(
        400,
        "malformed_json",
        f"the body is not JSON: {reason} at line {line}, column {column}{hint}",
        position={"byte": at, "line": line, "column": column},
    )


def _wrong_shape(body: bytes, text: str) -> ApiError:
    reason, _, place = text.partition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    if "[...]" in path:
        try:
            path = _exact_path(body, path)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
            LookupError,
            AttributeError,
            TypeError,
        ):
            # What follows the wrong value is no JSON either: the place is as near as it can be named.
            path = path.replace("[...]", ".…")
    if reason == "Number out of range":
        return ApiError(
            400, "malformed_json", f"{path or 'the body'}: the number is beyond float64", path=path or None
        )
    return invalid("invalid_request", f"{path or 'the body'}: {cut(reason)}", path=path or None)


def _exact_path(body: bytes, path: str) -> str:
    """msgspec writes `[...]` for a key of a map: find the feature whose value is no number."""
    value: Any = msgspec.json.decode(body)
    before, _, _ = path.partition("[...]")
    for step in re.findall(r"\w+", before):
        value = value[int(step)] if isinstance(value, list) else value[step]
    wrong = (
        name
        for name, item in value.items()
        if isinstance(item, bool) or not isinstance(item, int | float | None)
    )
    return f"{before}.{cut(next(wrong, '...'))}"


def _labelled(error: ApiError, body: bytes) -> ApiError:
    """The error with the caller's request id, where one can still be read."""
    try:
        error.request_id = _LABEL_DECODER.decode(body).request_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error.request_id = None
    return error
