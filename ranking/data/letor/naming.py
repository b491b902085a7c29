"""`features.txt`: the names of LETOR's numbered features, one `ID<TAB>NAME` a line."""

from __future__ import annotations

from pathlib import Path

from ranking.errors import DataError, ParseError


def read_feature_names(path: str | Path) -> list[str]:
    """The names in `path`, which must number 1, 2, 3, ... in order.

    Raises ParseError at a line of another form or a repeated name, DataError where the file cannot be read.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"expected a readable file of feature names, got {error.strerror}: {path}") from error
    names: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        text = line.decode("utf-8", "surrogateescape").rstrip("\r")
        if not text.strip():
            continue
        identifier, tab, name = text.partition("\t")
        if not tab or identifier != str(len(names) + 1) or not name.strip():
            raise ParseError(
                str(path),
                number,
                1,
                f"expected '{len(names) + 1}<TAB>NAME', got {text[:60]!r}; "
                "number the features from 1 in order, or rename the file if it is no list of features",
            )
        if name in names:
            message = f"expected distinct names, got {name!r} for {names[name]} and {identifier}; rename one"
            raise ParseError(str(path), number, len(identifier) + 2, message)
        names[name] = len(names) + 1
    if not names:
        raise ParseError(
            str(path), 1, 1, "expected '1<TAB>NAME', got an empty file; list the features or delete it"
        )
    return list(names)
