"""The options that decide a training run: the same for every command that trains."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from ranking.training.config import TrainConfig

Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any field, such as objective.truncation=20, booster.num_leaves=63 or neural.hidden=256,128.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What was given on the command line; None was not."""

    backend: Annotated[
        str | None, typer.Option(help="lightgbm, xgboost or neural.  [lightgbm]", show_default=False)
    ] = None
    objective: Annotated[
        str | None,
        typer.Option(
            help="A name of `rankwright objectives` (for neural: `rankwright losses`), FILE.py, or builtin, "
            "the booster's own.  [blend, neural: softmax]",
            show_default=False,
        ),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option(
            help="standard; best: four models in one, better for three times the time; fast: a third of the "
            "time; plain: the booster's own trees.  [standard]",
            show_default=False,
        ),
    ] = None
    sets: Sets = None
    rounds: Annotated[
        int | None, typer.Option(help="Trees at most, or epochs.  [500, neural: 15]", show_default=False)
    ] = None
    metric: Annotated[
        str | None, typer.Option(help="What early stopping watches.  [ndcg@10]", show_default=False)
    ] = None
    gain: Annotated[
        str | None,
        typer.Option(
            help="What a label is worth, to metrics and objective: exponential (2^label - 1), linear, "
            "numbers by label (0,1,3), or FILE.py:FUNCTION.  [exponential]",
            show_default=False,
        ),
    ] = None
    discount: Annotated[
        str | None,
        typer.Option(
            help="What a rank is worth: log2 (1 / log2(1 + rank)), reciprocal, numbers from rank 1, or "
            "FILE.py:FUNCTION.  [log2]",
            show_default=False,
        ),
    ] = None
    early_stopping: Annotated[
        int | None,
        typer.Option(
            help="Rounds without a better value before stopping; 0 never.  [100, neural: 8]",
            show_default=False,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed and threads give the same bytes.  [1]", show_default=False),
    ] = None
    threads: Annotated[int | None, typer.Option(help="Threads to train with.  [all]", show_default=False)] = (
        None
    )
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file; flags override it.")] = None
    missing: Annotated[
        str | None,
        typer.Option("--missing", help="What an absent feature is: zero or nan.  [zero]", show_default=False),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(help="Where a network is trained: auto, cpu or cuda.  [auto]", show_default=False),
    ] = None

    def settings(self, **changes: Any) -> TrainConfig:
        """The run of these options, with some changed, over the file's, over the defaults."""
        from ranking.metrics.conventions import written
        from ranking.training.config import WORTHS, TrainConfig

        flags = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | changes
        file, sets, device = (flags.pop(name) for name in ("config", "sets", "device"))
        flags |= {name: written(flags[name]) for name in WORTHS if flags[name] is not None}
        given = {key: value for key, value in flags.items() if value is not None}
        return TrainConfig.load(
            file, given, [*(sets or []), *([] if device is None else [f"neural.device={device}"])]
        )


def objective_settings(name: str, sets: list[str] | None, **changes: object) -> TrainConfig:
    """A run on this objective with its `--set` parameters, with or without `objective.` before them."""
    from ranking.training.config import TrainConfig

    written = [text if text.startswith("objective.") else f"objective.{text}" for text in sets or []]
    return TrainConfig.load(None, {"objective": name, **changes}, written)


Command = Callable[..., None]


def takes_run_options(*, without: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """A command whose parameter `run: RunOptions` is given as one option a field, but for those left out."""

    def spread(command: Command) -> Command:
        hints = get_type_hints(RunOptions, include_extras=True)
        fields = [field.name for field in dataclasses.fields(RunOptions) if field.name not in without]
        parameters: list[inspect.Parameter] = []
        for one in inspect.signature(command, eval_str=True).parameters.values():
            if one.name == "run":
                parameters += [one.replace(name=n, default=None, annotation=hints[n]) for n in fields]
            else:
                parameters.append(one)

        @functools.wraps(command)
        def called(**given: Any) -> None:
            run = RunOptions(**{name: given.pop(name) for name in fields})
            command(run=run, **given)

        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        return called

    return spread
