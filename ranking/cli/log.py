"""`rankwright log`: the service's journal as training data, and what an experiment says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ranking.cli.console import Json, show, show_json, table
from ranking.errors import UsageError

app = typer.Typer(
    help="Turn the service's journal into training data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="JOURNAL", help="The folder of serve --journal.")]


@app.command("export")
def export(
    journal: Folder,
    out: Annotated[
        Path, typer.Option("--out", help="FILE.parquet keeps positions; else LETOR in the order shown.")
    ],
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="TYPE=LABEL", help="Label of an event type.  [click=1]"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Of several models, the one to export.")
    ] = None,
    keep_all: Annotated[bool, typer.Option("--all", help="Keep rankings nothing came of, too.")] = False,
    json: Json = False,
) -> None:
    """Join what was shown with its events: lists with labels, features as scored, and positions."""
    from ranking.data.journal import ANY_EVENT, labelled_lists, read_journal
    from ranking.data.letor import write_letor
    from ranking.data.parquet import is_parquet, write_parquet
    from ranking.data.places import check_file

    check_file(out)
    found = read_journal(journal)
    by_type = dict(map(_label, labels)) if labels else ANY_EVENT
    lists = labelled_lists(found, by_type, model=model, only_with_events=not keep_all)
    if is_parquet(out):
        write_parquet(lists, out)
    else:
        write_letor(lists, out)
    facts = {
        "rankings": len(found.rankings),
        "exported": lists.query_count,
        "documents": lists.document_count,
        "labelled": int((lists.labels > 0).sum()),
        "damaged_lines": found.damaged,
        "out": str(out),
    }
    if json:
        show_json(facts)
    else:
        show(
            f"{lists.query_count} of {len(found.rankings)} rankings, {lists.document_count} documents, "
            f"{facts['labelled']} of them with an event, in {out}"
        )


def _label(text: str) -> tuple[str, float]:
    kind, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return kind, float(value)
    except ValueError:
        raise UsageError(f"--label {text}: write TYPE=LABEL, such as purchase=3") from None


@app.command("compare")
def compare(
    journal: Folder,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Event types that count.  [click]")
    ] = None,
    json: Json = False,
) -> None:
    """Who won an interleaved experiment: rankings won by each version, and the sign test's p-value."""
    from scipy.stats import binomtest

    from ranking.data.journal import read_journal, team_credits

    won = team_credits(read_journal(journal), types or ["click"])
    decided = sum(won.values())
    p_value = float(binomtest(max(won.values()), decided).pvalue) if decided and len(won) == 2 else None
    if json:
        show_json({"won": won, "p_value": p_value})
    elif not won:
        show("the journal holds no interleaved ranking")
    else:
        show(table(["version", "rankings won"], ([team, str(count)] for team, count in sorted(won.items()))))
        show("p-value of the sign test: " + ("-" if p_value is None else f"{p_value:.4f}"))
