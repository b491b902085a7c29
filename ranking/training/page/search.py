"""The page `rankwright tune` leaves: what was found, how much better it is, what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ranking.training.page.charts import Curve, importance_bars, learning_curves, number, text
from ranking.training.page.frame import keys, page, section

_MOST_ROWS = 50


@dataclass(frozen=True)
class TrialRow:
    """One line of the table of trials."""

    number: int
    state: str
    folds: int
    value: float | None
    is_default: bool
    seconds: float
    choices: str


@dataclass(frozen=True, kw_only=True)
class SearchReport:
    """Everything the page shows, already computed; `best` is the number of the best trial."""

    title: str
    summary: Sequence[tuple[str, str]]
    metric: str
    trials: Sequence[TrialRow]
    best: int
    config: Sequence[tuple[str, str]]
    importance: Sequence[tuple[str, float]] = ()


def render_search(report: SearchReport) -> str:
    """The whole page as HTML text, to be written as UTF-8."""
    return page(
        report.title,
        report.summary,
        f"""<div class="pair">
{section("Value by trial", _curve_part(report))}
{section("What mattered", _importance_part(report))}
</div>
{section("Best configuration", keys(report.config, "keys", "None."))}
{section("Trials", _table(report))}""",
    )


def _curve_part(report: SearchReport) -> str:
    """The best so far, and each completed trial."""
    done = [t for t in report.trials if t.state == "complete" and t.value is not None]
    numbers = [t.number for t in done]
    values = [t.value for t in done if t.value is not None]
    best_so_far = [max(values[: i + 1]) for i in range(len(values))]
    curves = [Curve("best", numbers, best_so_far), Curve("trial", numbers, values)]
    note = "Of the best of many trials chance has its share: judge it on queries that were not searched on."
    return f"<p>{note}</p>{learning_curves(curves, report.metric, report.best, 'trial')}"


def _importance_part(report: SearchReport) -> str:
    if not report.importance:
        return "<p>Too few completed trials to say what mattered.</p>"
    note = "Each parameter's share in what sets the best trials apart from the others (PED-ANOVA)."
    return f"<p>{note}</p>{importance_bars(report.importance, 'Share by parameter')}"


def _table(report: SearchReport) -> str:
    ranked = sorted(report.trials, key=lambda t: (t.state != "complete", -(t.value or 0.0), t.number))
    shown = ranked[:_MOST_ROWS]
    rows = "".join(
        f'<tr><th scope="row">{row.number}{" (default)" if row.is_default else ""}</th>'
        f"<td>{'' if row.value is None else number(row.value)}</td><td>{text(_state(row))}</td>"
        f"<td>{row.seconds:.1f}</td><td>{text(row.choices)}</td></tr>"
        for row in shown
    )
    left = len(ranked) - len(shown)
    note = f"<p>{left} more are in trials.jsonl.</p>" if left else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in (
        "Trial", report.metric, "State", "Seconds", "Choices"
    ))  # fmt: skip
    return (
        '<div class="scroll" role="region" aria-label="Trials" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _state(row: TrialRow) -> str:
    return f"pruned after fold {row.folds}" if row.state == "pruned" else row.state
