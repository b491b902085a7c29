"""The page `train` leaves beside a model: one HTML file that says what was trained and how good it is.

frame   `render`, from a `Report` to text
charts  SVG
style   the style sheet
search  the page `tune` leaves

It holds its style and its SVG charts, runs no script, refers to nothing outside itself, follows the reader's
light or dark setting and prints on about one sheet. Parts with nothing to show give way to a sentence that
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.training.page.charts import (
    Curve,
    LabelScores,
    importance_bars,
    learning_curves,
    number,
    score_ridges,
    text,
)
from ranking.training.page.frame import keys, page, section

__all__ = ["Curve", "Estimate", "LabelScores", "MetricRow", "Report", "ScoreDistribution", "render"]

_TOP_FEATURES = 20
_MOST_LABELS = 8


@dataclass(frozen=True)
class Estimate:
    """One system's value of a metric.

    `low`, `high`   bounds of its confidence interval, where one was computed
    `difference`    the model's value minus this one, for a baseline
    `p`             p value of that difference in a paired test
    """

    mean: float
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class MetricRow:
    """A metric's name and its estimate for each of `Report.systems`, None where it was not measured."""

    metric: str
    estimates: Sequence[Estimate | None]


@dataclass(frozen=True)
class ScoreDistribution:
    """Held-out scores by label: histograms over the bins between `edges`, the highest label first."""

    edges: Sequence[float]
    rows: Sequence[LabelScores]

    @classmethod
    def of(
        cls, scores: npt.NDArray[np.floating], labels: npt.NDArray[np.floating], bins: int = 40
    ) -> ScoreDistribution:
        """From scores and labels [documents]; more than 8 distinct labels are put into 8 equal ranges.

        The axis leaves out the outer 0.1 % of scores on each side (counted in the end bins), so that one
        outlier does not flatten the picture.
        """
        scores = np.asarray(scores, np.float64)
        low, high = (float(v) for v in np.quantile(scores, [0.001, 0.999])) if len(scores) else (0.0, 0.0)
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
            low, high = low - 0.5 - abs(low) * 0.1, high + 0.5 + abs(high) * 0.1
        edges = np.linspace(low, high, bins + 1)
        rows = []
        for name, chosen in _label_groups(np.asarray(labels, np.float64)):
            part = scores[chosen]
            counts, _ = np.histogram(np.clip(part, low, high), edges)
            rows.append(LabelScores(name, counts.tolist(), float(np.median(part))))
        return cls(edges.tolist(), rows[::-1])


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the page shows, already computed.

    summary        (name, value) facts under the title: backend, objective, rounds, seconds, data sizes
    curves         learning curves of `curve_metric`, at most four drawn; `best_round` is marked in them
    systems        names of the compared systems, the model first; the columns of `metrics`
    importance     (feature, share of the total gain); the largest 20 are drawn
    distribution   held-out scores by label
    conventions    one line: gain, discount, ties, queries without a relevant document, test, interval
    measured_on    "held-out", "training" or "out of fold": the queries behind the metrics
    config         (key, value) of the resolved configuration
    fingerprints   (data set, digest)
    """

    title: str
    summary: Sequence[tuple[str, str]]
    curves: Sequence[Curve] = ()
    curve_metric: str = "metric"
    best_round: int | None = None
    systems: Sequence[str] = ()
    metrics: Sequence[MetricRow] = ()
    importance: Sequence[tuple[str, float]] = ()
    distribution: ScoreDistribution | None = None
    conventions: str = ""
    measured_on: str = "held-out"
    config: Sequence[tuple[str, str]] = ()
    fingerprints: Sequence[tuple[str, str]] = ()


def render(report: Report) -> str:
    """The whole page as HTML text, to be written as UTF-8."""
    return page(
        report.title,
        report.summary,
        f"""{section(_heading(report), _metric_table(report))}
<div class="pair">
{section("Learning curve", _curve_part(report))}
{section("Scores by label", _distribution_part(report))}
</div>
<div class="pair">
{section("Feature importance", _importance_part(report))}
{section("Configuration", keys(report.config, "keys", "No configuration was recorded."))}
</div>
{section("Data", keys(report.fingerprints, "keys prints", "No fingerprint of the data was recorded."))}""",
    )


def _heading(report: Report) -> str:
    if report.measured_on == "out of fold":
        return "Quality out of fold"
    return f"Quality on {report.measured_on} queries"


def _metric_table(report: Report) -> str:
    note = f'<p class="note">{text(report.conventions)}</p>' if report.conventions else ""
    if not report.metrics:
        return f"<p>No held-out data was given, so nothing was measured.</p>{note}"
    head = "".join(
        f'<th scope="col"{_model_class(i)}>{text(name)}</th>' for i, name in enumerate(report.systems)
    )
    rows = "".join(
        f'<tr><th scope="row">{text(row.metric)}</th>'
        + "".join(f"<td{_model_class(i)}>{_cell(estimate)}</td>" for i, estimate in enumerate(row.estimates))
        + "</tr>"
        for row in report.metrics
    )
    return (
        f'<p>{_caption(report)}</p><div class="scroll" role="region" aria-label="Metrics" tabindex="0">'
        f'<table class="metrics"><thead><tr><th scope="col">Metric</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _caption(report: Report) -> str:
    known = [e for row in report.metrics for e in row.estimates if e is not None]
    told = ["Mean over queries"]
    if any(e.low is not None for e in known):
        told.append("with its confidence interval")
    if any(e.difference is not None for e in known):
        told.append("and, for a baseline, how much better the model is (\u0394)")
    return " ".join(told) + "."


def _model_class(column: int) -> str:
    return ' class="model"' if column == 0 else ""


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "<small>not measured</small>"
    lines = [number(estimate.mean)]
    if estimate.low is not None and estimate.high is not None:
        lines.append(f' <small class="interval">[{number(estimate.low)}, {number(estimate.high)}]</small>')
    compared = []
    if estimate.difference is not None:
        sign = "+" if estimate.difference > 0 else ""
        compared.append(f"\u0394 {sign}{number(estimate.difference)}")
    if estimate.p is not None:
        compared.append("p &lt; 0.001" if estimate.p < 0.001 else f"p = {number(estimate.p, 3)}")
    if compared:
        lines.append(f"<small>{', '.join(compared)}</small>")
    return "".join(lines)


def _curve_part(report: Report) -> str:
    chart = learning_curves(report.curves, report.curve_metric, report.best_round)
    return chart or "<p>No learning curve: no metric was measured while training.</p>"


def _distribution_part(report: Report) -> str:
    if report.distribution is None or not report.distribution.rows:
        return "<p>No distribution: no held-out documents were scored.</p>"
    note = "Each histogram is scaled to its own peak; the mark is the median."
    return f"<p>{note}</p>{score_ridges(report.distribution.edges, report.distribution.rows)}"


def _importance_part(report: Report) -> str:
    if not report.importance:
        return "<p>No importance: this kind of model reports no gain by feature.</p>"
    used = [(name, share) for name, share in report.importance if share > 0]
    if not used:
        return "<p>No feature was split on: every gain is zero.</p>"
    shown = sorted(used, key=lambda pair: -pair[1])[:_TOP_FEATURES]
    note = f"Share of the total gain. {len(used)} of {len(report.importance)} features are used"
    note += f"; the first {len(shown)} are shown." if len(shown) < len(used) else "."
    return f"<p>{note}</p>{importance_bars(shown)}"


def _label_groups(labels: npt.NDArray[np.float64]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """(name, which documents), lowest label first."""
    distinct = np.unique(labels)
    if len(distinct) <= _MOST_LABELS:
        return [(f"{value:g}", labels == value) for value in distinct]
    bounds = np.linspace(distinct[0], distinct[-1], _MOST_LABELS + 1)
    group = np.clip(np.searchsorted(bounds, labels, side="right") - 1, 0, _MOST_LABELS - 1)
    return [
        (f"{bounds[i]:.3g}\u2013{bounds[i + 1]:.3g}", group == i)
        for i in range(_MOST_LABELS)
        if (group == i).any()
    ]
