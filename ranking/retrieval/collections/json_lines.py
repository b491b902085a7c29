"""Documents and queries as one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ranking.retrieval.collections.lines import fault, filled_lines, shown
from ranking.retrieval.collections.records import Record

DOCUMENT_IDS = ("_id", "id", "doc_id", "doc-id", "docid", "docno", "document_id", "corpus-id", "pid")
QUERY_IDS = ("_id", "id", "query_id", "query-id", "qid")
QUERY_TEXTS = ("text", "query", "title")


def document_records(path: Path) -> Iterator[Record]:
    """The documents of a file: the id under one of `DOCUMENT_IDS`, and whatever else they have.

    A string is a field; a list of strings is one too, joined by spaces; a number is a number, true and false
    are 1 and 0. The same of `metadata`, where the object itself has not that key. null is absent, and other
    nested values are left out. Raises ParseError for a line that is no such object.
    """
    for line, content in _objects(path):
        key, name = _id(path, line, content, DOCUMENT_IDS)
        metadata = content.pop("metadata", None)
        if isinstance(metadata, dict):
            content = {**content, **{k: v for k, v in metadata.items() if k not in content}}
        fields: dict[str, str] = {}
        numbers: dict[str, float] = {}
        for other, value in content.items():
            if other == key:
                continue
            if isinstance(value, str):
                fields[other] = value
            elif isinstance(value, int | float):
                numbers[other] = _finite(path, line, other, value)
            elif isinstance(value, list) and all(isinstance(one, str) for one in value):
                fields[other] = " ".join(value)
        yield Record(path, line, name, fields, numbers)


def query_records(path: Path) -> Iterator[Record]:
    """The queries of a file: the id under one of `QUERY_IDS`, the words under one of `QUERY_TEXTS`."""
    for line, content in _objects(path):
        _, name = _id(path, line, content, QUERY_IDS)
        text = next((content[key] for key in QUERY_TEXTS if isinstance(content.get(key), str)), None)
        if text is None:
            raise fault(
                path, line, f"expected the words of query {name!r} under {_one_of(QUERY_TEXTS)}, got none"
            )
        yield Record(path, line, name, {"text": text}, {})


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in filled_lines(path):
        try:
            content = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            column = len(line[: error.pos].encode()) + 1
            raise fault(path, number, f"expected one JSON object a line: {error.msg}", column) from None
        except (ValueError, RecursionError) as error:
            raise fault(path, number, f"expected one JSON object a line: {error}") from None
        if not isinstance(content, dict):
            raise fault(path, number, f"expected a JSON object, got {shown(line)}")
        if "\\ud" in line or "\\uD" in line:
            _check_surrogates(path, number, content)
        yield number, content


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number; write null for what is absent")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _check_surrogates(path: Path, line: int, content: Mapping[str, Any]) -> None:
    """Half a pair is no character: it could be read and never be written."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise fault(path, line, f"expected characters, got {half}, one half of a surrogate pair") from None


def _id(path: Path, line: int, content: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, str]:
    """The key of the id, and the id, which may be written as a whole number."""
    for key in keys:
        if key in content:
            value = content[key]
            if isinstance(value, str) and value.strip():
                return key, value.strip()
            if isinstance(value, int) and not isinstance(value, bool):
                return key, str(value)
            raise fault(path, line, f"expected an id under {key!r}, got {shown(json.dumps(value))}")
    raise fault(
        path, line, f"expected an id under {_one_of(keys)}, got the keys {', '.join(content) or 'none'}"
    )


def _finite(path: Path, line: int, name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise fault(
            path, line, f"expected a number within double precision under {name!r}, got a greater one"
        )
    return number


def _one_of(keys: tuple[str, ...]) -> str:
    return f"{', '.join(map(repr, keys[:-1]))} or {keys[-1]!r}"
