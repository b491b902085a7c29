"""The report's three charts as inline SVG: numbers in, one `<svg>` text out.

Every chart carries role, title and description for readers who do not see it, and takes its colours from the
page's style sheet, so that it follows light, dark and print. Coordinates are SVG units of the viewBox.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 520.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 120.0, 26.0, 44.0
_CURVE_HEIGHT = 272.0
_SERIES = 4
_MOST_POINTS = 400
_ROW, _RIDGE = 19.0, 41.0
_LABEL_WIDTH = 168.0


@dataclass(frozen=True)
class Curve:
    """One metric by boosting round (or epoch): `values[i]` was reached after `rounds[i]` rounds."""

    name: str
    rounds: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class LabelScores:
    """The scores of the documents with one label: a histogram over the shared `edges`, and the median."""

    label: str
    counts: Sequence[int]
    median: float


def text(value: object) -> str:
    """Any text as HTML or XML text: markup escaped, what neither may hold shown as U+FFFD."""
    shown = str(value).encode("utf-8", "replace").decode("utf-8")
    printable = "".join(c if c >= " " and c not in "\x7f\ufffe\uffff" else "\ufffd" for c in shown)
    return html.escape(printable, quote=True)


def number(value: float, digits: int = 4) -> str:
    """Fixed decimals with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "\u2212")


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) inside [low, high], about `count` of them."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def learning_curves(curves: Sequence[Curve], metric: str, best_round: int | None, unit: str = "round") -> str:
    """Lines over rounds (or trials: `unit`), their values at the best one beside them; empty without a
    finite point."""
    lines = [line for curve in curves if len((line := _finite(curve)).rounds)][:_SERIES]
    if not lines:
        return ""
    rounds = [float(r) for line in lines for r in (line.rounds[0], line.rounds[-1])]
    lowest, highest = min(min(line.values) for line in lines), max(max(line.values) for line in lines)
    across = _Scale(*_widened(min(rounds), max(rounds), 0.0), _LEFT, WIDTH - _RIGHT)
    down = _Scale(*_widened(lowest, highest, 0.06), _CURVE_HEIGHT - _BOTTOM, _TOP)
    if best_round is not None and not across.low <= best_round <= across.high:
        best_round = None
    parts = [*_value_axis(down, metric), *_round_axis(across, unit), *_best_mark(across, best_round, unit)]
    ends = []
    for series, line in enumerate(lines):
        at = _nearest(line.rounds, best_round)
        parts += _series(line, series, at, across, down)
        ends.append((down(line.values[-1]), series, f"{_short(line.name, 8)} {number(line.values[at])}"))
    parts += _end_labels(ends)
    where = f"at the best {unit}, {best_round}" if best_round is not None else f"at the last {unit}"
    told = "; ".join(f"{label} {where}" for _, _, label in ends)
    return _svg(f"{metric} by {unit}", told, _CURVE_HEIGHT, parts)


def importance_bars(
    shares: Sequence[tuple[str, float]], title: str = "Share of the total gain by feature"
) -> str:
    """One bar a feature (or what the title says), longest first as given; shares from 0 to 1."""
    longest = max(share for _, share in shares)
    room = WIDTH - _LABEL_WIDTH - 56
    parts = []
    for row, (name, share) in enumerate(shares):
        top = row * _ROW
        length = room * share / longest if longest > 0 else 0.0
        short = _short(name, 24)
        parts.append(
            f'<text x="{_LABEL_WIDTH - 8:.1f}" y="{top + 14:.1f}" text-anchor="end">'
            f"<title>{text(name)}</title>{text(short)}</text>"
        )
        parts.append(_rect(_LABEL_WIDTH, top + 3, length, _ROW - 6, "bar"))
        parts.append(_label(_LABEL_WIDTH + length + 6, top + 14, f"{100 * share:.1f} %", "tick"))
    told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares[:5])
    return _svg(title, f"Largest: {told}", len(shares) * _ROW + 2, parts)


def score_ridges(edges: Sequence[float], rows: Sequence[LabelScores]) -> str:
    """One histogram a label over a shared axis, each scaled to its own peak, with median and share."""
    total = sum(sum(row.counts) for row in rows)
    across = _Scale(float(edges[0]), float(edges[-1]), 64.0, WIDTH - 80)
    floor = _TOP + len(rows) * _RIDGE
    parts = [_label(0, 14, "label", "unit"), _label(WIDTH, 14, "documents", "unit", "end")]
    for value in ticks(across.low, across.high):
        parts.append(_line(across(value), _TOP, across(value), floor, "grid"))
        parts.append(_label(across(value), floor + 16, f"{value:g}".replace("-", "\u2212"), "tick", "middle"))
    for index, row in enumerate(rows):
        base = _TOP + (index + 1) * _RIDGE
        count = sum(row.counts)
        parts.append(_ridge(edges, row.counts, across, base))
        x = across(min(max(row.median, across.low), across.high))
        parts.append(_line(x, base - 10, x, base, "median"))
        parts.append(_label(0, base - 4, row.label))
        parts.append(_label(WIDTH, base - 18, f"{count:,}", anchor="end"))
        parts.append(_label(WIDTH, base - 4, f"{100 * count / total:.1f} %", "tick", "end"))
    parts.append(_label((across.start + across.stop) / 2, floor + 34, "score", "unit", "middle"))
    told = "; ".join(
        f"label {row.label}: {sum(row.counts):,} documents, median score {number(row.median, 3)}"
        for row in rows
    )
    return _svg("Distribution of scores by label", told, floor + 40, parts)


@dataclass(frozen=True)
class _Scale:
    """A linear map from [low, high] in data to [start, stop] on the page."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def _finite(curve: Curve) -> Curve:
    """The curve without the rounds at which its value is NaN or infinite."""
    pairs = [(int(r), float(v)) for r, v in zip(curve.rounds, curve.values, strict=True) if math.isfinite(v)]
    return Curve(curve.name, [r for r, _ in pairs], [v for _, v in pairs])


def _nearest(rounds: Sequence[int], best_round: int | None) -> int:
    """Index of the best round in a curve, or of the last one where no round is best."""
    if best_round is None:
        return len(rounds) - 1
    return min(range(len(rounds)), key=lambda i: abs(rounds[i] - best_round))


def _series(line: Curve, series: int, at: int, across: _Scale, down: _Scale) -> list[str]:
    kept = _thinned(len(line.rounds))
    points = " ".join(f"{across(line.rounds[i]):.1f},{down(line.values[i]):.1f}" for i in kept)
    x, y = across(line.rounds[at]), down(line.values[at])
    return [
        f'<polyline class="line s{series}" points="{points}"/>',
        f'<circle class="dot f{series}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
    ]


def _best_mark(across: _Scale, best_round: int | None, unit: str) -> list[str]:
    if best_round is None:
        return []
    x = across(best_round)
    anchor = "end" if x > (across.start + across.stop) / 2 else "start"
    return [
        _line(x, _TOP, x, _CURVE_HEIGHT - _BOTTOM, "best"),
        # Beside the axis' own name where the best round is one of the first.
        _label(
            max(x, _LEFT + 90) if anchor == "start" else x,
            _TOP - 8,
            f"best {unit} {best_round:,}",
            anchor=anchor,
        ),
    ]


def _widened(low: float, high: float, margin: float) -> tuple[float, float]:
    """The range with a margin on both sides; a single value gets a range around it."""
    spread = high - low
    if spread <= 1e-9 * max(abs(low), abs(high), 1e-300):
        spread = max(abs(low) * 0.2, 1e-3)
        return low - spread / 2, high + spread / 2
    return low - margin * spread, high + margin * spread


def _thinned(length: int) -> list[int]:
    """Indices of at most `_MOST_POINTS` points, evenly spread, both ends kept."""
    count = min(length, _MOST_POINTS)
    return sorted({round(i * (length - 1) / max(count - 1, 1)) for i in range(count)})


def _value_axis(down: _Scale, metric: str) -> list[str]:
    values = ticks(down.low, down.high)
    step = values[1] - values[0] if len(values) > 1 else 0.001
    digits = min(max(0, -math.floor(math.log10(step) + 1e-9)), 8)
    parts = [_label(0, _TOP - 8, metric, "unit")]
    for value in values:
        parts.append(_line(_LEFT, down(value), WIDTH - _RIGHT, down(value), "grid"))
        parts.append(_label(_LEFT - 8, down(value) + 4, number(value, digits), "tick", "end"))
    return parts


def _round_axis(across: _Scale, unit: str) -> list[str]:
    floor = _CURVE_HEIGHT - _BOTTOM
    parts = [_line(_LEFT, floor, WIDTH - _RIGHT, floor, "axis")]
    whole = sorted({round(v) for v in ticks(across.low, across.high)})
    parts += [
        _label(across(value), floor + 17, f"{value:,}", "tick", "middle")
        for value in whole
        if across.low <= value <= across.high
    ]
    parts.append(_label((across.start + across.stop) / 2, floor + 36, unit, "unit", "middle"))
    return parts


def _end_labels(ends: Sequence[tuple[float, int, str]]) -> list[str]:
    """Each line's name at its right end, pushed apart where two ends are closer than a line of text."""
    parts, low = [], _CURVE_HEIGHT - _BOTTOM - 15 * (len(ends) - 1)
    previous = _TOP - 11
    for y, series, label in sorted(ends):
        previous = max(min(y, low), previous + 15)
        low += 15
        parts.append(_label(WIDTH - _RIGHT + 8, previous + 4, label, f"f{series}"))
    return parts


def _ridge(edges: Sequence[float], counts: Sequence[int], across: _Scale, base: float) -> str:
    peak = max(max(counts), 1)
    points = [(across(edges[0]), base)]
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        top = base - (_RIDGE - 8) * count / peak
        points += [(across(left), top), (across(right), top)]
    points.append((across(edges[-1]), base))
    return '<polygon class="ridge" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>'


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "\u2026"


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img">'
    return f"{head}<title>{text(title)}</title><desc>{text(description)}</desc>{''.join(parts)}</svg>"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _label(x: float, y: float, value: str, kind: str = "name", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(value)}</text>'
