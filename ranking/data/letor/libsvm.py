"""LIBSVM rows without query ids, beside a file of group sizes (`rank.train.query` beside `rank.train`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ranking.data.arrays import Int64
from ranking.data.dataset import Missing, RankingDataset
from ranking.data.letor.lists import MAX_FEATURES, read_options, read_rows
from ranking.data.letor.writing import replacing, write_rows
from ranking.errors import DataError, ParseError

_SUFFIX = ".query"


def read_libsvm(
    path: str | Path,
    groups: str | Path | None = None,
    *,
    first_id: int = 1,
    missing: Missing = "zero",
    feature_count: int | None = None,
    feature_names: Sequence[str] | None = None,
    threads: int = 2,
    max_features: int = MAX_FEATURES,
) -> RankingDataset:
    """The lists in rows `label id:value ...`, cut by the sizes in `groups`, one a line.

    By default `groups` is the file of the same name (less `.gz`) with `.query` added, as LightGBM has it. The
    lists are named "1", "2", ...; ids count from `first_id` (0 or 1). The rest is as for `read_letor`.

    Raises ParseError at the first malformed line of either file, and DataError where the sizes do not add up.
    """
    options = read_options(
        missing=missing,
        feature_count=feature_count,
        feature_names=feature_names,
        threads=threads,
        max_features=max_features,
        first_id=first_id,
        with_qid=False,
    )
    group_path = _group_path(Path(path)) if groups is None else Path(groups)
    sizes = _read_sizes(group_path)
    rows = read_rows([str(path)], options)
    if sizes.sum() != len(rows.labels):
        raise DataError(
            f"expected group sizes that add up to the {len(rows.labels)} rows of {path}, "
            f"got {sizes.sum()} in {group_path}; name the group file that belongs to it"
        )
    return RankingDataset(
        features=rows.features,
        labels=rows.labels,
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        query_ids=[str(number) for number in range(1, len(sizes) + 1)],
        document_ids=rows.document_ids,
        feature_names=feature_names,
        trusted=True,
    )


def write_libsvm(
    dataset: RankingDataset,
    path: str | Path,
    groups: str | Path | None = None,
    *,
    first_id: int = 1,
    missing: Missing = "zero",
) -> None:
    """Writes rows and their group sizes, to be found by `read_libsvm`; numbers as `write_letor` writes them.

    Ids of queries and documents have no place there: not every reader of LIBSVM text takes comments.
    """
    with replacing(Path(path)) as stream:
        write_rows(dataset, stream, missing=missing, first_id=first_id, with_qid=False)
    with replacing(_group_path(Path(path)) if groups is None else Path(groups)) as stream:
        stream.write("".join(f"{size}\n" for size in dataset.sizes.tolist()).encode())


def _group_path(path: Path) -> Path:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    return plain.with_name(plain.name + _SUFFIX)


def _read_sizes(path: Path) -> Int64:
    """The sizes in a group file, int64 [queries]."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(
            f"expected a file of group sizes, got {error.strerror}: {path}; "
            "name it as groups, or read rows that have a qid with read_letor"
        ) from error
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not (text.isdigit() and 0 < len(text) < 18 and int(text) > 0):
            shown = line[:40].decode("utf-8", "backslashreplace")
            raise ParseError(
                str(path),
                number,
                1,
                f"expected a group size of 1 or more, got {shown!r}; write one size a line",
            )
    return np.array([int(line) for line in lines if line.strip()], np.int64)
