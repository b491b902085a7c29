"""`rankwright features`: features by id, for those who post ids alone."""

from __future__ import annotations

from typing import Annotated

import typer

from ranking.cli.console import Json, show, show_json, table

app = typer.Typer(
    help="Build and read stores of features by document id.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Store = Annotated[str, typer.Argument(metavar="STORE", help="A folder, or redis://HOST:PORT/DB?prefix=NAME.")]


@app.command("build")
def build(
    data: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="CSV, Parquet or LETOR with document ids.")
    ],
    out: Annotated[str, typer.Option("--out", help="A folder, or redis://HOST:PORT/DB?prefix=NAME.")],
    id_column: Annotated[str, typer.Option("--id", help="The column of ids, of CSV and Parquet.")] = "id",
    names: Annotated[
        str | None, typer.Option("--names", help="A model folder whose feature names LETOR's columns have.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the rows of files to a store; a folder's rows are replaced, a Redis server's added to."""
    from pathlib import Path

    from ranking.data.places import check_folder
    from ranking.data.store import build_store, read_table
    from ranking.data.store.opening import is_redis
    from ranking.models.folder import read_manifest

    if not is_redis(out):
        check_folder(Path(out))
    known = None if names is None else read_manifest(Path(names)).feature_names
    rows = read_table(data, id_column, known)
    build_store(out, rows)
    if json:
        show_json({"store": out, "documents": len(rows.ids), "features": len(rows.feature_names)})
    else:
        show(f"{len(rows.ids)} documents with {len(rows.feature_names)} features in {out}")


@app.command("show")
def show_rows(
    store: Store,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Documents; none for the columns.")
    ] = None,
    json: Json = False,
) -> None:
    """The features of documents, or the names of the columns."""
    from ranking.data.store import open_store
    from ranking.errors import DataError

    opened = open_store(store)
    columns = opened.feature_names
    matrix, unknown = opened.rows(ids or [])
    opened.close()
    if len(unknown):
        raise DataError(f"{store} has no document {(ids or [])[unknown[0]]!r}")
    found = {
        name: dict(zip(columns, row.tolist(), strict=True))
        for name, row in zip(ids or [], matrix, strict=True)
    }
    if json:
        show_json({"store": store, "features": list(columns), "documents": found})
    elif found:
        lines = ([column, *(f"{found[name][column]:g}" for name in found)] for column in columns)
        show(table(["feature", *found], lines))
    else:
        show("\n".join(columns))
