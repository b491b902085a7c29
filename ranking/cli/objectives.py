"""`rankwright objectives`: what can be trained on, what each is, and the loss doctor's certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ranking.cli.console import Json, show, show_json, table, waiting
from ranking.cli.options import objective_settings

if TYPE_CHECKING:
    from ranking.objectives import Objective
    from ranking.objectives.doctor import Finding

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="One of the list, gumbel:NAME, or FILE.py.", show_default=False)
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter, such as truncation=20."),
]

app = typer.Typer(help="List, explain and examine training objectives.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def objectives(context: typer.Context, json: Json = False) -> None:
    """List all objectives with formula, facts and source."""
    if context.invoked_subcommand is not None:
        return
    from ranking.objectives import OBJECTIVES

    if json:
        show_json({"objectives": [_described(name, one) for name, one in OBJECTIVES.items()]})
        return
    rows = []
    for name, one in OBJECTIVES.items():
        rows.append(f"{name}  ({one.family}, {one.hessian} hessian)\n    {one.formula}\n    {one.source}")
    show("\n".join(rows))
    show("\ngumbel:NAME is any of them over perturbed scores; FILE.py one of your own.")


@app.command("show")
def show_one(name: Name, sets: Sets = None, json: Json = False) -> None:
    """Say what one objective computes, and its parameters with their values."""
    objective = _named(name, sets)
    if json:
        show_json(_described(name, objective) | {"documentation": objective.documentation()})
        return
    from ranking.training.written import flattened

    values = flattened(objective.parameters())
    rows = [[key, "none" if value is None else str(value)] for key, value in values]
    facts = (
        f"{objective.formula}\n{objective.family}, {objective.hessian} hessian; source: {objective.source}"
    )
    show(f"{name}\n\n{facts}\n\n{objective.documentation()}\n\n{table(['parameter', 'value'], rows)}")


@app.command("check")
def check(name: Name, sets: Sets = None, json: Json = False) -> None:
    """Examine one objective and print its certificate; exit code 5 where a check fails."""
    from ranking.errors import CheckFailedError
    from ranking.objectives import warm_up
    from ranking.objectives.doctor import examine
    from ranking.training.objectives import TORCH_PREFIX

    objective = _named(name, sets)
    with waiting("compiling the objective for this machine (kept on disk for later runs) ..."):
        warm_up(objective)
    certificate = examine(objective, name)
    if name.startswith(TORCH_PREFIX):
        certificate = certificate.with_findings(_of_torch(name, sets))
    if json:
        show_json(certificate.as_json())
    else:
        show(certificate.text())
    if not certificate.passed:
        raise CheckFailedError(f"{name} does not pass the loss doctor")


def _named(name: str, sets: list[str] | None) -> Objective:
    from ranking.training.objectives import objective_for

    return objective_for(name, objective_settings(name, sets).objective_parameters)


def _of_torch(name: str, sets: list[str] | None) -> dict[str, Finding]:
    """What the doctor of torch losses finds of `torch:NAME`, padding and far scores among it."""
    from ranking.losses.doctor import examine

    loss = objective_settings(name, sets, backend="neural").loss()
    return {f"torch {title}": finding for title, finding in examine(loss, name).findings.items()}


def _described(name: str, objective: Objective) -> dict[str, Any]:
    from ranking.objectives.protocol import FACTS

    facts = {fact: getattr(objective, fact) for fact in FACTS}
    return {"name": name, **facts, "parameters": objective.parameters()}
