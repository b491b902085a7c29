"""Bytes to requests. What is not JSON is a 400 with its position, the rest a 422 with its path.

What may be long is counted before it is decoded (`bounds`), or left alone (`Raw`) for `decode_piece`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from service.echo import cut
from service.errors import ApiError, invalid
from service.wire.bounds import SMALL, parts, shape_of, too_many_candidates, too_many_requests
from service.wire.messages import MAX_EVENTS, Feedback, RawBatchRequest, RawRankRequest, RequestId, Value

Decoded = TypeVar("Decoded")

_RAW_DECODER = msgspec.json.Decoder(RawRankRequest)
_BATCH_DECODER = msgspec.json.Decoder(RawBatchRequest)
_MAP_DECODER = msgspec.json.Decoder(dict[str, Value])


class _Label(msgspec.Struct):
    request_id: RequestId | None = None


_LABEL_DECODER = msgspec.json.Decoder(_Label)


def decode_batch(body: bytes, max_batch: int) -> list[bytes]:
    """The requests of a `BatchRequest`, not looked into.

    Raises ApiError as `decode_request` does, and 422 for too many of them.
    """
    if len(body) > SMALL and (count := shape_of(body).longest) > max_batch:
        raise too_many_requests(count, max_batch)
    requests = _decode(_BATCH_DECODER, body).requests
    if len(requests) > max_batch:
        raise too_many_requests(len(requests), max_batch)
    return [bytes(request) for request in requests]


def decode_as(struct: type[Decoded], body: bytes) -> Decoded:
    """A body of another kind. Raises ApiError as `decode_request` does."""
    return _decode(msgspec.json.Decoder(struct), body)


def decode_feedback(body: bytes) -> Feedback:
    """Raises ApiError as `decode_request` does."""
    if len(body) > SMALL and shape_of(body).longest > MAX_EVENTS:
        text = f"events: Expected `array` of length <= {MAX_EVENTS}"
        raise _labelled(invalid("invalid_request", text, path="events"), body)
    return decode_as(Feedback, body)


def decode_request(body: bytes, max_candidates: int) -> RawRankRequest:
    """The `RankRequest` in a JSON body.

    Raises ApiError 400 for what is no JSON (NaN and Infinity included), 422 for other shapes and types than
    the contract's, and for too many candidates.
    """
    # Each candidate is an object: with fewer braces there is nothing to count.
    if len(body) > SMALL and body.count(b"{") > max_candidates:
        objects = shape_of(body).objects
        if objects > max_candidates:
            raise _labelled(too_many_candidates(objects, max_candidates, "candidates"), body)
    return _decode(_RAW_DECODER, body)


def decode_piece(decoder: msgspec.json.Decoder[Decoded], piece: Any, path: str) -> Decoded:
    """A value at this path of a request, left alone until now. Raises ApiError as `decode_request` does."""
    try:
        return decoder.decode(piece)
    except msgspec.ValidationError as error:
        raise _wrong_shape(piece, str(error), path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = re.sub(r" \(byte \d+\)$", "", str(error))
        raise ApiError(400, "malformed_json", f"{path}: not JSON: {reason}", path=path) from None


def decode_named(piece: Any, path: str, check_names: Callable[[Iterable[str]], None]) -> dict[str, Value]:
    """A map of values by name; of equal names the last counts.

    `check_names` raises for those it does not know, and is asked before many of them are held.
    """
    found: dict[str, Value] = {}
    for part in (piece,) if len(piece) <= SMALL else parts(piece):
        some = decode_piece(_MAP_DECODER, part, path)
        check_names(some)
        found |= some
    return found


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


def _wrong_shape(body: Any, text: str, within: str = "") -> ApiError:
    reason, _, place = text.partition(" - at `$")
    path = place.rstrip("`")
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
    path = (within + path).lstrip(".")
    if reason == "Number out of range":
        return ApiError(
            400, "malformed_json", f"{path or 'the body'}: the number is beyond float64", path=path or None
        )
    return invalid("invalid_request", f"{path or 'the body'}: {cut(reason)}", path=path or None)


def _exact_path(body: Any, path: str) -> str:
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
