"""`read_letor`: LETOR text to a RankingDataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ranking.data.dataset import Missing, RankingDataset
from ranking.data.letor.cache import cached
from ranking.data.letor.lists import MAX_FEATURES, names_beside, read_lists, read_options
from ranking.data.letor.parser.sources import Paths, path_list


def read_letor(
    paths: Paths,
    *,
    missing: Missing = "zero",
    regroup: bool = False,
    feature_count: int | None = None,
    feature_names: Sequence[str] | None = None,
    threads: int = 2,
    max_features: int = MAX_FEATURES,
    cache: str | Path | None = None,
) -> RankingDataset:
    """The judged lists in LETOR text: one file or several, plain or gzip, `-` for stdin.

    missing        what an absent feature is: 0, or NaN
    regroup        bring the rows of one query together (where its first row stands, their order kept; this
                   copies the matrix once) instead of refusing a query that comes twice
    feature_count  the width; otherwise that of `feature_names`, otherwise the largest id in the text
    feature_names  one a feature; by default those of `features.txt` beside the first file, if there is one
    threads        how many threads parse
    max_features   the largest width accepted where none is given, so that a wild id cannot fill the memory
    cache          a folder for a memory-mapped copy, used again while the files stay as they are (stdin is
                   never kept)

    Values equal float32(float(text)). Document ids come from the comment: X of `docid = X`, or its first
    word; a row without one gets "" where others have one.

    Raises ParseError at the first malformed line, DataError for a file that cannot be read, and UsageError
    for options that contradict each other.
    """
    files = path_list(paths)
    if feature_names is None:
        feature_names = names_beside(files[0])
    options = read_options(
        missing=missing,
        regroup=regroup,
        feature_count=feature_count,
        feature_names=feature_names,
        threads=threads,
        max_features=max_features,
    )
    return read_lists(files, options) if cache is None else cached(Path(cache), files, options)
