"""Requests as they came: what they ask, and their candidates, by a quick way and by the generic one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec
from msgspec import Raw

from service.answers.candidates import Array, Candidates, Rows, Table, Whole
from service.wire.decoding import decode_request
from service.wire.dialects import Foreign, Names, open_foreign, read_foreign
from service.wire.envelope import Keys, decoded_rest, is_stand_in
from service.wire.messages import NULL, Asked

_KEYS = Keys(("candidates", "matrix"), numbers=("matrix",))


class _Rest(Asked):
    """A `RankRequest` without its rows."""

    context: Raw = NULL
    candidates: Raw = NULL
    ids: Raw = NULL
    columns: Raw = NULL
    matrix: Raw = NULL


_REST = msgspec.json.Decoder(_Rest)


@dataclass(frozen=True)
class Request:
    """What is asked, and of which candidates; `foreign` is how another dialect wants it answered."""

    asked: Asked
    candidates: Candidates
    foreign: Foreign | None = None


class Posted(Protocol):
    """A body in one of the forms that are taken."""

    def quick(self) -> Request | None:
        """The request with its candidates as text, or None where a glance is not enough."""

    def whole(self) -> Request:
        """The request decoded. Raises ApiError for whatever is wrong with it."""


@dataclass(frozen=True)
class JsonBody:
    """A `RankRequest` of at most `most` candidates."""

    body: bytes
    most: int

    def quick(self) -> Request | None:
        envelope = _KEYS.open(self.body)
        rest = None if envelope is None else decoded_rest(envelope, _REST)
        if envelope is None or rest is None or not is_stand_in(getattr(rest, envelope.key)):
            return None
        table = (rest.ids, rest.columns)
        if envelope.key == "matrix":
            if rest.candidates != NULL or NULL in table:
                return None
            return Request(rest, Table(*table, envelope.rows, rest.context, self.most))
        if rest.matrix != NULL or table != (NULL, NULL):
            return None
        return Request(rest, Rows(envelope.rows, rest.context, self.most))

    def whole(self) -> Request:
        asked = decode_request(self.body, self.most)
        return Request(asked, Whole(asked, self.most))


@dataclass(frozen=True)
class NpyBody:
    """An npy file of at most `most` rows, which `asked` and `ids` came beside."""

    body: bytes
    asked: Asked
    ids: list[str] | None
    most: int

    def quick(self) -> Request | None:
        return None

    def whole(self) -> Request:
        return Request(self.asked, Array(self.body, self.ids, self.most))


@dataclass(frozen=True)
class ForeignBody:
    """A request of another dialect, known by path and body; `stored` says that ids can be looked up."""

    body: bytes
    path: str
    names: Names
    most: int
    stored: bool

    def quick(self) -> Request | None:
        found = open_foreign(self.body, self.path, self.names)
        if found is None:
            return None
        foreign, rows = found
        return Request(foreign.asked, Rows(rows, foreign.context, self.most, documents=True), foreign)

    def whole(self) -> Request:
        foreign, asked = read_foreign(self.body, self.path, self.names, self.most, stored=self.stored)
        return Request(asked, Whole(asked, self.most, distinct=False), foreign)
