"""TREC: <DOC> documents, <top> topics, and judgments as `query iteration document grade`.

Documents lie in one file or several, whatever their names: those that begin with <DOC>. Tags in capitals or
small letters; of a topic's parts the title is the query, or the description where there is no title.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ranking.retrieval.collections.collection import Collection
from ranking.retrieval.collections.folder import (
    chosen_split,
    collection_of,
    files_in,
    judgments_by_split,
    role,
)
from ranking.retrieval.collections.lines import beginning, fault, lines_of, shown
from ranking.retrieval.collections.records import Record, documents_of, queries_of

_DOCUMENT = re.compile(r"<(/?)doc(?:\s[^>]*)?>", re.IGNORECASE)
_TOPIC = re.compile(r"<(/?)top(?:\s[^>]*)?>", re.IGNORECASE)
_NUMBER = re.compile(r"<docno>(.*?)</docno>", re.IGNORECASE | re.DOTALL)
_ASIDE = re.compile(r"<(docid|fileid|dochdr)>.*?</\1>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<(title|headline|head|ttl|hl)>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_PART = re.compile(r"<(num|title|desc|narr)>", re.IGNORECASE)
_LABEL = {
    "num": re.compile(r"\s*number\s*:", re.IGNORECASE),
    "title": re.compile(r"\s*topic\s*:", re.IGNORECASE),
    "desc": re.compile(r"\s*description\s*:", re.IGNORECASE),
}


def documents_files(folder: Path) -> list[Path]:
    return _beginning_with(folder, _DOCUMENT)


def read_trec(folder: Path, split: str | None) -> Collection:
    """The collection of a folder with files that begin with <DOC>."""
    topics = _beginning_with(folder, _TOPIC)
    splits = judgments_by_split(folder, files_in(folder))
    chosen = chosen_split(splits, split)
    documents = documents_of(folder, chain.from_iterable(map(_documents, documents_files(folder))))
    queries = queries_of(chain.from_iterable(map(_topics, topics))) if topics else None
    return collection_of(folder, "TREC", documents, queries, chosen)


def _beginning_with(folder: Path, tag: re.Pattern[str]) -> list[Path]:
    files = [path for path in files_in(folder) if role(path) != "judgments"]
    return [path for path in files if tag.match(beginning(path))]


def _documents(path: Path) -> Iterator[Record]:
    """Title and text of each document; the text is all that is not title, id or tag."""
    for line, content in _elements(path, _DOCUMENT, "DOC"):
        number = _NUMBER.search(content)
        if number is None or not number[1].strip():
            raise fault(path, line, "expected <DOCNO>id</DOCNO> in the document that begins here, got none")
        content = _ASIDE.sub(" ", content[: number.start()] + content[number.end() :])
        titles = [title[2] for title in _TITLE.finditer(content)]
        fields = {"title": _words(" ".join(titles))} if titles else {}
        fields["text"] = _words(_TITLE.sub(" ", content))
        yield Record(path, line, number[1].strip(), fields, {})


def _topics(path: Path) -> Iterator[Record]:
    for line, content in _elements(path, _TOPIC, "top"):
        cut = _PART.split(content)
        parts = {
            name: _words(_LABEL[name].sub("", text, count=1) if name in _LABEL else text)
            for name, text in zip(map(str.lower, cut[1::2]), cut[2::2], strict=True)
        }
        if not parts.get("num"):
            raise fault(path, line, "expected <num>id in the topic that begins here, got none")
        text = parts.get("title") or parts.get("desc", "")
        yield Record(path, line, parts["num"], {"text": " ".join(text.split())}, {})


def _elements(path: Path, tag: re.Pattern[str], name: str) -> Iterator[tuple[int, str]]:
    """(line where it begins, what is between the tags) of each element."""
    begun: int | None = None
    inside: list[str] = []
    for number, line in lines_of(path):
        place = 0
        for found in tag.finditer(line):
            before, closes = line[place : found.start()], bool(found[1])
            if closes and begun is None:
                raise fault(path, number, f"expected <{name}>, got </{name}>")
            if not closes and begun is not None:
                raise fault(path, number, f"expected </{name}> of what begins in line {begun}, got <{name}>")
            if begun is None:
                _check_nothing(path, number, before, name)
                begun = number
            else:
                inside.append(before)
                yield begun, "\n".join(inside)
                begun, inside = None, []
            place = found.end()
        if begun is None:
            _check_nothing(path, number, line[place:], name)
        else:
            inside.append(line[place:])
    if begun is not None:
        raise fault(path, begun, f"expected </{name}> of what begins here, got the end of the file")


def _check_nothing(path: Path, number: int, text: str, name: str) -> None:
    """Between elements there are at most tags, as of an element around them all."""
    if _TAG.sub("", text).strip():
        raise fault(path, number, f"expected <{name}>, got {shown(text.strip())}")


def _words(content: str) -> str:
    return html.unescape(_TAG.sub(" ", content)).strip()
