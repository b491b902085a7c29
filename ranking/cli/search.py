"""`rankwright search`: text in, candidates out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli.console import Json, show, show_json

app = typer.Typer(
    help="Search collections of texts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

CollectionFolder = Annotated[
    Path,
    typer.Argument(
        metavar="COLLECTION",
        help="A folder: BEIR, TREC, SMART, or tables in TSV or JSON Lines; plain or .gz.",
        show_default=False,
    ),
]


@app.callback()
def search() -> None:
    """Search collections of texts."""


@app.command("describe")
def describe(collection: CollectionFolder, json: Json = False) -> None:
    """Documents with their fields, queries, the judgments of each split, and what these name in vain."""
    from ranking.retrieval.collections import read_collection
    from ranking.retrieval.collections.description import describe_collection

    found = describe_collection(read_collection(collection))
    if json:
        show_json(found.as_json())
    else:
        show(found.as_text())
