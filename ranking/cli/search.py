"""`rankwright search`: text in, candidates out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ranking.cli.console import Json, say, show, show_json, table
from ranking.cli.evaluate import Against, Metrics, PerQuery, TestSeed, as_text, content, write_per_query

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


EngineFolder = Annotated[
    Path, typer.Argument(metavar="ENGINE", help="A folder that `search build` wrote.", show_default=False)
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


@app.command("build")
def build(
    collection: CollectionFolder,
    out: Annotated[Path, typer.Option("--out", help="The folder of the engine.", show_default=False)],
    encoder: Annotated[
        str,
        typer.Option(help="hashed, static, minilm, a folder, or auto: the best whose packages are there."),
    ] = "auto",
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train towers on the embeddings, kept if better.")
    ] = True,
    split: Annotated[
        str | None,
        typer.Option(help="The judgments to learn from.  [train, or the only ones]", show_default=False),
    ] = None,
    precision: Annotated[str, typer.Option(help="Of vectors: float32, or int8 in a quarter.")] = "float32",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of the training, such as temperature=0.05."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache", envvar="RANKWRIGHT_CACHE", help="Folder where embeddings are kept by content."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds and training.")] = 0,
    json: Json = False,
) -> None:
    """Make an engine: BM25, an encoder's vectors, training and fusion of the two where they help."""
    from ranking.data.places import check_folder
    from ranking.retrieval.building import BuildSettings, golden_queries
    from ranking.retrieval.building import build as make
    from ranking.retrieval.collections import read_collection
    from ranking.retrieval.engine import save_engine

    check_folder(out)
    settings = BuildSettings(split, train, precision, seed=seed, fitting=_fitting(sets, train, seed))  # type: ignore[arg-type]
    read = read_collection(collection)
    engine, report = make(read, encoder, settings, cache, say)
    save_engine(out, engine, golden_queries(read), {"report.json": report.as_json()})
    if json:
        show_json({"engine": str(out), "documents": len(read.documents), **report.as_json()})
        return
    seconds = ", ".join(f"{part} {spent:.1f} s" for part, spent in report.seconds.items())
    show("\n".join([f"{out}: {len(read.documents)} documents", *report.lines, seconds]))


@app.command("query")
def query(
    engine: EngineFolder,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to search for.", show_default=False)],
    top: Annotated[int, typer.Option(help="How many documents.", min=1)] = 10,
    json: Json = False,
) -> None:
    """Search: the best documents for a text."""
    from ranking.retrieval.engine import open_engine

    hits = open_engine(engine).hits(text, top)
    if json:
        show_json({"query": text, "results": hits})
        return
    if not hits:
        say("nothing was found: no document has a word of the query")
    rows = [[str(hit["rank"]), hit["id"], f"{hit['score']:.4f}", _shown(hit["document"])] for hit in hits]
    show(table(["rank", "document", "score", ""], rows))


@app.command("evaluate")
def evaluate(
    engine: EngineFolder,
    collection: CollectionFolder,
    metric: Metrics = None,
    split: Annotated[
        str | None,
        typer.Option(help="The judgments to measure on.  [test, or the only ones]", show_default=False),
    ] = None,
    against: Against = None,
    per_query: PerQuery = None,
    run: Annotated[Path | None, typer.Option("--run", help="Write a TREC run here.")] = None,
    gain: Annotated[str, typer.Option(help="linear, as BEIR has it, or exponential.")] = "linear",
    empty: Annotated[
        str, typer.Option(help="What a query without a relevant document counts: zero, one or skip.")
    ] = "zero",
    seed: TestSeed = 0,
    json: Json = False,
) -> None:
    """Measure an engine on judged queries, with intervals, and against another if one is named."""
    from ranking.data.places import check_file
    from ranking.metrics import Metric
    from ranking.metrics.evaluation import compare_evaluations
    from ranking.retrieval.collections import read_collection
    from ranking.retrieval.engine import open_engine
    from ranking.retrieval.measuring import measured

    for file in filter(None, (per_query, run)):
        check_file(file)
    metrics = [Metric.parse(name, gain=gain, empty=empty) for name in metric or _METRICS]
    read = read_collection(collection)
    judged = read.split(split or ("test" if "test" in read.judgments else None))
    ours = measured(open_engine(engine), read, judged, metrics, seed)
    for warning in ours.warnings:
        say(f"warning: {warning}")
    other = None if against is None else measured(open_engine(against), read, judged, metrics, seed)
    comparison = None if other is None else compare_evaluations(ours.evaluation, other.evaluation, None, seed)
    if per_query is not None:
        write_per_query(per_query, ours.evaluation, ours.lists)
    if run is not None:
        run.write_text("".join(line + "\n" for line in ours.run("rankwright")))
    if json:
        show_json(content(ours.evaluation, comparison, str(against), None, ours.warnings))
    else:
        others = [] if other is None else [(str(against), other.evaluation)]
        show(as_text([(str(engine), ours.evaluation), *others], comparison, str(against)))


_METRICS = ("ndcg@10", "mrr@10", "recall@100", "map@100")

_SHOWN = 60
"""Characters of a document in a list of hits."""


def _shown(document: Mapping[str, Any]) -> str:
    """Its first text, shortened."""
    first = next((value for name, value in document.items() if name != "_id" and isinstance(value, str)), "")
    return first if len(first) <= _SHOWN else first[: _SHOWN - 1] + "…"


def _fitting(sets: list[str] | None, train: bool, seed: int) -> Any:
    """How towers are trained, by `--set`; None for the usual way."""
    if not sets:
        return None
    from ranking.errors import MissingExtraError, UsageError
    from ranking.training.written import settings as written

    if not train:
        raise UsageError("--set is of the training, and --no-train asks for none: leave one out")
    try:
        from ranking.retrieval.fitting import Settings
    except ModuleNotFoundError as error:
        raise MissingExtraError("training towers", "neural") from error
    return Settings.of({"seed": seed, **written(sets)})
