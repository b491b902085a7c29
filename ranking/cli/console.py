"""What the commands say: results on stdout, messages and progress on stderr, options they share."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.errors import UsageError

if TYPE_CHECKING:
    from ranking.data.dataset import Missing, RankingDataset

DataFiles = Annotated[
    list[str],
    typer.Argument(metavar="DATA...", help="LETOR files, plain or .gz; - is stdin.", show_default=False),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Regroup = Annotated[
    bool, typer.Option("--regroup", help="Bring rows of one query together instead of refusing them.")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", envvar="RANKWRIGHT_CACHE", help="Folder for memory-mapped copies of what was read."
    ),
]

_PLAIN_EVERY_SECONDS = 5.0
_MOMENT_SECONDS = 1.5


def say(message: str) -> None:
    """A message for the person at the terminal."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the one place that writes messages


@contextmanager
def waiting(message: str) -> Iterator[None]:
    """Say what is being waited for, where it takes longer than a moment."""
    timer = threading.Timer(_MOMENT_SECONDS, say, [message])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def compile_scorer(kind: str) -> None:
    """What scores models of a kind, saying so where it takes a while."""
    from ranking.models.kinds import warm_up

    with waiting("compiling the scorer for this machine (kept on disk for later runs) ..."):
        warm_up(kind)


def open_model(folder: Path) -> Any:
    """The ranker of a model folder, as `load_ranker` opens it."""
    from ranking.models.loading import load_ranker

    with waiting("opening the model; the first time on a machine its scorer is compiled (kept on disk) ..."):
        return load_ranker(folder)


def show(text: str) -> None:
    """A result in words."""
    print(text)  # noqa: T201 - the one place that writes results


def show_json(content: Mapping[str, Any]) -> None:
    """A result as the one JSON object; a value that is not a number is null."""
    print(json.dumps(_finite(content), indent=2), flush=True)  # noqa: T201 - the one place that writes results


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned by spaces: the first to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def load(
    files: Sequence[str], *, missing: Missing = "zero", regroup: bool = False, cache: Path | None = None
) -> RankingDataset:
    """The lists of these files: LETOR text, or Parquet by its suffix."""
    from ranking.data.letor import read_letor
    from ranking.data.parquet import is_parquet, read_parquet

    parquet = [file for file in files if is_parquet(file)]
    if parquet and len(parquet) < len(files):
        raise UsageError(f"{parquet[0]} is Parquet and other files are not: convert them to one format first")
    if parquet:
        return read_parquet(files, missing=missing, regroup=regroup)
    return read_letor(list(files), missing=missing, regroup=regroup, cache=cache)


def progress(metric: str, quiet: bool) -> Callable[..., None]:
    """Rounds, held-out metric and time left: one rewritten line on a terminal, else a line now and then."""
    terminal = sys.stderr.isatty()
    last = [0.0]

    def report(done: int, of: int, value: float | None, left: float | None, members: str = "") -> None:
        now = time.monotonic()
        if quiet or (now - last[0] < (0.1 if terminal else _PLAIN_EVERY_SECONDS) and done != of):
            return
        last[0] = now
        measured = "" if value is None else f"  {metric} {value:.4f}"
        told = f"  {members}" if members else ""
        text = f"round {done}/{of}{measured}{told}  at most {left or 0:.0f} s left"
        if terminal:
            sys.stderr.write(f"\r\x1b[K{text}" + ("\n" if done == of else ""))
            sys.stderr.flush()
        else:
            say(text)

    return report


def end_progress(quiet: bool) -> None:
    """Leave the progress line of a terminal behind."""
    if not quiet and sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
