"""`rankwright predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli.console import Cache, DataFiles, Model, Regroup, load, open_model, show_json


def register(app: typer.Typer) -> None:
    app.command("predict")(predict)


def predict(
    model: Model,
    data: DataFiles,
    output: Annotated[Path | None, typer.Option("--output", help="A file instead of stdout.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="scores (one a line, in input order), trec (a run), or jsonl.")
    ] = "scores",
    regroup: Regroup = False,
    cache: Cache = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: all scores, or the file they went to.")
    ] = False,
) -> None:
    """Score every document."""
    from ranking.data.places import check_file
    from ranking.data.runs import FORMATS, write_predictions
    from ranking.errors import unknown_name
    from ranking.models.ranker import score_dataset

    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    if output is not None:
        check_file(output)
    ranker = open_model(model)
    dataset = load(data, missing=ranker.missing, regroup=regroup, cache=cache)
    scores = score_dataset(ranker, dataset)
    if output is not None or not json:
        write_predictions(scores, dataset, form, output)
    if json:
        facts = {"model": str(model), "queries": dataset.query_count, "documents": dataset.document_count}
        show_json(facts | ({"scores": scores.tolist()} if output is None else {"output": str(output)}))
