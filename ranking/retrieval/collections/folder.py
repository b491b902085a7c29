"""The files of a collection: what each is, told by its name and by how it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ranking.errors import DataError, unknown_name
from ranking.retrieval.collections.collection import Collection, Documents, Queries
from ranking.retrieval.collections.judgments import Judged, judged_lines, judgments_of
from ranking.retrieval.collections.lines import beginning
from ranking.retrieval.judgments import Judgments

_NOTICE = re.compile(r"readme|notice|licen[cs]e|copying", re.IGNORECASE)
_JUDGMENTS = re.compile(r"qrel|judg|\.rel$", re.IGNORECASE)
_QUERIES = re.compile(r"quer|topic|\.qry|question", re.IGNORECASE)
_DOCUMENTS = re.compile(r"corpus|doc|collection|article|\.all\b", re.IGNORECASE)
_SPLIT = re.compile(
    r"(?:^|[._-])(train|training|dev|valid|validation|val|test|eval)(?=[._-]|$)", re.IGNORECASE
)
_SUFFIX = re.compile(r"\.(?:tsv|txt|qrels?|jsonl)$", re.IGNORECASE)


def files_in(folder: Path) -> list[Path]:
    """The files that may be part of a collection, by name: no hidden ones, no notices."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error
    return [
        path
        for path in inside
        if path.is_file() and not path.name.startswith(".") and not _NOTICE.search(path.name)
    ]


def plain_name(path: Path) -> str:
    """The name without .gz."""
    return path.name.removesuffix(".gz")


def role(path: Path) -> str | None:
    """judgments, queries or documents, as the name says; None where it says nothing."""
    name = plain_name(path)
    roles = {"judgments": _JUDGMENTS, "queries": _QUERIES, "documents": _DOCUMENTS}
    return next((role for role, pattern in roles.items() if pattern.search(name)), None)


def with_role(files: Sequence[Path], wanted: str) -> list[Path]:
    return [path for path in files if role(path) == wanted]


def check_filled(files: Sequence[Path]) -> None:
    """Raise DataError for a file with nothing in it where its name says that it is part of the collection."""
    for path in files:
        if role(path) and not beginning(path):
            raise DataError(
                f"{path} is empty: expected {role(path)}; take it away, or copy or download it again"
            )


def the_only(files: Sequence[Path], what: str) -> Path | None:
    """The one file, if there is any. Raises DataError where there are several."""
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise DataError(
            f"expected one file of {what} in {files[0].parent}, got {names}: keep one of them there"
        )
    return files[0] if files else None


def judgments_by_split(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Files of judgments by the split they are of: train.qrels.tsv, qrels.train.txt, qrels/train.tsv.

    In the folder `qrels` each file is a split by its name. Elsewhere one whose name holds none of the usual
    words is named all, or by its whole name where there are more.
    """
    splits: dict[str, Path] = {}
    beside = with_role(files, "judgments")
    below = files_in(folder / "qrels") if (folder / "qrels").is_dir() else []
    for path in [*beside, *below]:
        stem = _SUFFIX.sub("", plain_name(path))
        word = _SPLIT.search(stem)
        if path in below:
            split = stem
        elif word:
            split = word[1].lower()
        else:
            split = "all" if len(beside) == 1 else stem
        if split in splits:
            raise DataError(
                f"expected one file of judgments of the split {split!r}, got {splits[split]} and {path}: "
                "keep one of them there"
            )
        splits[split] = path
    return splits


def chosen_split(splits: dict[str, Path], split: str | None) -> dict[str, Path]:
    """All splits, or the one asked for.

    Raises UsageError for one that is not there, DataError where there are no judgments.
    """
    if split is None:
        return splits
    if not splits:
        raise DataError(f"expected judgments of the split {split!r}, got none at all")
    if split not in splits:
        raise unknown_name("split", split, splits)
    return {split: splits[split]}


def collection_of(
    folder: Path,
    form: str,
    documents: Documents,
    queries: Queries | None,
    splits: dict[str, Path],
    pairs: Callable[[Path], Iterator[Judged]] = judged_lines,
) -> Collection:
    """Everything together; a folder of documents alone is a collection too.

    Raises DataError where there are judgments and no queries.
    """
    if queries is None and splits:
        raise DataError(
            f"{folder} has judgments ({', '.join(path.name for path in splits.values())}) and no queries: "
            "expected a file of them, such as queries.tsv, or a column `query` beside `query_id`"
        )
    asked = queries or Queries([], [])
    judgments: dict[str, Judgments] = {
        split: judgments_of(path, pairs(path), asked, documents) for split, path in splits.items()
    }
    return Collection(folder.resolve().name, documents, asked, judgments, form)
