"""`rankwright losses`: what networks can be trained on, what each is, and the loss doctor's certificate."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from ranking.cli.console import Json, show, show_json, table
from ranking.cli.options import objective_settings

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="One of the list, gumbel:NAME, or FILE.py[:FUNCTION].", show_default=False
    ),
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter, such as temperature=0.5.")
]

app = typer.Typer(help="List, explain and examine losses in torch.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def losses(context: typer.Context, json: Json = False) -> None:
    """List all losses with formula and source: of lists, of vectors, of pairs, of logits."""
    if context.invoked_subcommand is not None:
        return
    lists, vectors, pairs, logits = _rooms()
    from ranking.losses import facts_of

    if json:
        described = [{"name": name, "form": "lists", **facts_of(loss)} for name, loss in lists.items()]
        others = [("vectors", vectors), ("pairs", pairs), ("logits", logits)]
        described += [
            {"name": name, "form": form, "formula": _first_line(loss)}
            for form, room in others
            for name, loss in room.items()
        ]
        show_json({"losses": described})
        return
    rows = ["of lists: loss(scores, labels, where); rankwright train --backend neural --objective NAME"]
    for name, loss in lists.items():
        facts = facts_of(loss)
        rows.append(f"  {name}  ({facts['family']})\n      {facts['formula']}\n      {facts['source']}")
    rows.append("\nof vectors: loss(embeddings, labels), in ranking.losses.embedding")
    rows += [f"  {name}\n      {_first_line(loss)}" for name, loss in vectors.items()]
    rows.append("\nof pairs of vectors: loss(first, second), in ranking.losses.embedding")
    rows += [f"  {name}\n      {_first_line(loss)}" for name, loss in pairs.items()]
    rows.append("\nof logits: loss(logits, targets), in ranking.losses.classification")
    rows += [f"  {name}\n      {_first_line(loss)}" for name, loss in logits.items()]
    show("\n".join(rows))
    show("\ngumbel:NAME is any loss of lists over perturbed scores; FILE.py one of your own.")


@app.command("show")
def show_one(name: Name, sets: Sets = None, json: Json = False) -> None:
    """Say what one loss computes, and its parameters with their values."""
    loss = _named(name, sets)
    from ranking.losses import facts_of

    if not hasattr(loss, "__dataclass_fields__"):
        show_json({"name": name, "documentation": inspect.getdoc(loss)}) if json else show(
            f"{name}\n\n{inspect.getdoc(loss)}"
        )
        return
    facts = facts_of(loss)
    documentation = loss.documentation()
    if json:
        show_json({"name": name, **facts, "documentation": documentation})
        return
    rows = [[key, "none" if value is None else str(value)] for key, value in facts["parameters"].items()]
    told = f"{loss.formula}\n{loss.family}; source: {loss.source}"
    show(f"{name}\n\n{told}\n\n{documentation}\n\n{table(['parameter', 'value'], rows)}")


@app.command("check")
def check(name: Name, sets: Sets = None, json: Json = False) -> None:
    """Examine one loss and print its certificate; exit code 5 where a check fails.

    FILE.py:FUNCTION examines a function of your own: loss(scores, labels, where), loss(embeddings, labels),
    loss(first, second) or loss(logits, targets).
    """
    loss = _named(name, sets)
    from ranking.errors import CheckFailedError
    from ranking.losses import facts_of
    from ranking.losses.doctor import examine

    facts = facts_of(loss) if hasattr(loss, "__dataclass_fields__") else None
    certificate = examine(loss, name, facts)
    if json:
        show_json(certificate.as_json())
    else:
        show(certificate.text())
    if not certificate.passed:
        raise CheckFailedError(f"{name} does not pass the loss doctor")


def _rooms() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The losses of lists, of vectors, of pairs and of logits. Raises MissingExtraError without torch."""
    from ranking.errors import MissingExtraError

    try:
        from ranking.losses import LOSSES
        from ranking.losses.classification import CLASSIFICATION_LOSSES
        from ranking.losses.embedding import EMBEDDING_LOSSES, PAIR_LOSSES
    except ModuleNotFoundError as error:
        raise MissingExtraError("rankwright losses", "neural") from error
    return LOSSES, EMBEDDING_LOSSES, PAIR_LOSSES, CLASSIFICATION_LOSSES


def _named(name: str, sets: list[str] | None) -> Any:
    """The loss with its `--set` parameters, which may be written as `train` has them."""
    from ranking.compiled.own_code import function_named, is_file_name
    from ranking.errors import unknown_name

    lists, *rest = _rooms()
    if is_file_name(name) and ":" in name:
        return function_named(name)
    other = {name: loss for room in rest for name, loss in room.items()}
    if name in other:
        return other[name]
    if name not in lists and ":" not in name and not is_file_name(name):
        raise unknown_name("loss", name, [*lists, *other, "gumbel:NAME", "FILE.py"])
    return objective_settings(name, sets, backend="neural").loss()


def _first_line(loss: Any) -> str:
    return (inspect.getdoc(loss) or "").partition("\n")[0]
