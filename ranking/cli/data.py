"""`rankwright data`: check, describe and convert judged lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.cli.console import DataFiles, Json, Regroup, load, say, show, show_json
from ranking.errors import DataError, UsageError

if TYPE_CHECKING:
    from ranking.data.dataset import Missing

app = typer.Typer(
    help="Check, describe and convert judged lists.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

MissingPolicy = Annotated[str, typer.Option("--missing", help="What an absent feature is: zero or nan.")]


@app.command("check")
def check(
    data: DataFiles,
    limit: Annotated[int, typer.Option(help="Errors to list; the rest are counted.")] = 20,
    json: Json = False,
) -> None:
    """List what is malformed, by FILE:LINE:COL, without stopping at the first."""
    from ranking.data.letor import lint

    found = lint(data, limit=limit)
    if json:
        show_json(
            {
                "errors": [
                    {"file": e.file, "line": e.line, "column": e.column, "message": e.message}
                    for e in found.errors
                ],
                "count": found.count,
                "lines": found.lines,
                "documents": found.documents,
                "queries": found.queries,
            }
        )
    else:
        for error in found.errors:
            show(str(error))
        if found.count > len(found.errors):
            show(f"... and {found.count - len(found.errors)} more")
        read = f"{found.lines} lines, {found.documents} documents, {found.queries} queries"
        show(f"{found.count} errors in {read}")
    if found.count:
        raise typer.Exit(DataError.exit_code)


@app.command("describe")
def describe(
    data: DataFiles, missing: MissingPolicy = "nan", regroup: Regroup = False, json: Json = False
) -> None:
    """Queries, documents, list lengths, labels, missing rates, constant features."""
    from ranking.data.description import describe as summarise

    summary = summarise(load(data, missing=_policy(missing), regroup=regroup))
    if json:
        show_json(summary.as_json())
    else:
        show(summary.as_text())


@app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help="LETOR, LIBSVM or Parquet; - is stdin.")],
    target: Annotated[
        Path, typer.Argument(help="Written by its suffix: .parquet, else text (.gz compressed).")
    ],
    source_format: Annotated[
        str | None,
        typer.Option("--from", help="letor, libsvm or parquet.  [by suffix, else letor]", show_default=False),
    ] = None,
    target_format: Annotated[
        str | None,
        typer.Option("--to", help="letor, libsvm or parquet.  [by suffix, else letor]", show_default=False),
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="LIBSVM: file of group sizes.  [SOURCE.query]", show_default=False)
    ] = None,
    zero_based: Annotated[bool, typer.Option("--zero-based", help="LIBSVM: feature ids start at 0.")] = False,
    missing: MissingPolicy = "nan",
    regroup: Regroup = False,
    json: Json = False,
) -> None:
    """Convert between LETOR text, LIBSVM with a group-size file, and Parquet."""
    from ranking.data.letor import read_letor, read_libsvm, write_letor, write_libsvm
    from ranking.data.parquet import read_parquet, write_parquet
    from ranking.data.places import check_file

    check_file(target)
    policy = _policy(missing)
    first = 0 if zero_based else 1
    read_as, write_as = _format(source, source_format), _format(target, target_format)
    if read_as == "libsvm":
        dataset = read_libsvm(source, groups, first_id=first, missing=policy)
    elif read_as == "parquet":
        dataset = read_parquet([source], missing=policy, regroup=regroup)
    else:
        dataset = read_letor(source, missing=policy, regroup=regroup)
    if write_as == "libsvm":
        write_libsvm(dataset, target, first_id=first, missing=policy)
    elif write_as == "parquet":
        write_parquet(dataset, target)
    else:
        write_letor(dataset, target, missing=policy)
    if json:
        show_json(
            {"target": str(target), "queries": dataset.query_count, "documents": dataset.document_count}
        )
    else:
        say(f"wrote {dataset.document_count} documents of {dataset.query_count} queries to {target}")


def _policy(text: str) -> Missing:
    if text not in ("zero", "nan"):
        raise UsageError(f"--missing must be zero or nan, got {text!r}")
    return "zero" if text == "zero" else "nan"


def _format(file: str | Path, named: str | None) -> str:
    from ranking.data.parquet import is_parquet

    if named is None:
        return "parquet" if is_parquet(file) else "letor"
    if named not in ("letor", "libsvm", "parquet"):
        raise UsageError(f"a format is letor, libsvm or parquet, got {named!r}")
    return named
