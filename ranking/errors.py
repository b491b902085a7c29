"""Every failure a user can cause, each with the exit code the command line ends with.

A message says what was expected, what came, where, and what to do about it.

    RankwrightError          1   base; anything unforeseen
      UsageError             2   a wrong flag, config key or value
      MissingExtraError      3   an optional dependency is not installed
        MissingPackageError  3   the same of a package that none of our extras brings
      DataError              4   bad data
        ParseError           4   bad data at FILE:LINE:COL
        ArtifactError        4   a model folder that is damaged or not ours
      CheckFailedError       5   a verification or threshold did not hold
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RankwrightError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code = 1


class UsageError(RankwrightError):
    """A flag, config key or argument that cannot be used as given."""

    exit_code = 2


class MissingExtraError(RankwrightError):
    """An optional dependency is needed and not installed."""

    exit_code = 3

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an optional dependency: pip install 'rankwright[{extra}]'")


class MissingPackageError(MissingExtraError):
    """A package that none of our extras brings is needed and not installed.

    `install` is what follows `pip install`.
    """

    def __init__(self, purpose: str, install: str) -> None:
        RankwrightError.__init__(self, f"{purpose} needs a package that is missing: pip install {install}")


class DataError(RankwrightError):
    """Data that cannot be used as given."""

    exit_code = 4


class ParseError(DataError):
    """A malformed place in a text file.

    `line` and `column` count from 1; the column counts bytes.
    """

    def __init__(self, file: str, line: int, column: int, message: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {message}")
        self.file, self.line, self.column, self.message = file, line, column, message


class ArtifactError(DataError):
    """A model folder that is damaged, incomplete or of an unknown kind."""


class CheckFailedError(RankwrightError):
    """A verification ran and its answer was no."""

    exit_code = 5


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not in a table: all known names, the nearest first to try."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f"; did you mean {near!r}?" if near else ""
    return UsageError(f"unknown {kind} {name!r}{hint} (known: {', '.join(names)})")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name that this one may be a slip of: at least so alike, as difflib measures it, if any is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)
