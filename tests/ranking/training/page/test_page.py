"""The report page: complete, self-contained, escaped, and drawn inside its frames whatever comes in."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.training.page import Curve, Estimate, LabelScores, MetricRow, Report, ScoreDistribution, render
from ranking.training.page.charts import importance_bars, learning_curves, number, score_ridges, ticks

VOID = {"meta", "br", "link"}


def full_report() -> Report:
    """A report with every part filled in."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0.0, 1.0, 2.0], [60, 30, 10])
    return Report(
        title="products",
        summary=[("backend", "lightgbm"), ("rounds", "3")],
        curves=[Curve("valid", [1, 2, 3], [0.5, 0.625, 0.6]), Curve("train", [1, 2, 3], [0.6, 0.7, 0.8])],
        curve_metric="ndcg@10",
        best_round=2,
        systems=["model", "bm25_title"],
        metrics=[
            MetricRow("ndcg@10", [Estimate(0.7961, 0.75, 0.84), Estimate(0.5721, 0.5, 0.6, 0.224, 0.0002)]),
            MetricRow("map", [Estimate(0.61), None]),
        ],
        importance=[("price", 0.25), ("bm25_title", 0.75), ("unused", 0.0)],
        distribution=ScoreDistribution.of(labels + rng.normal(size=100), labels),
        conventions="Gain 2^label - 1.",
        config=[("booster.num_leaves", "31")],
        fingerprints=[("train", "sha256:abc")],
    )


def drawings(page: str) -> list[ET.Element]:
    """Every SVG of the page, parsed as XML."""
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.S)]


def points_of(shape: ET.Element) -> list[tuple[float, float]]:
    """Every point at which a shape of ours is drawn."""
    at = {name: float(value) for name, value in shape.attrib.items() if re.fullmatch(r"-?[\d.]+", value)}
    if shape.tag == "line":
        return [(at["x1"], at["y1"]), (at["x2"], at["y2"])]
    if shape.tag == "circle":
        return [(at["cx"] + s * at["r"], at["cy"] + s * at["r"]) for s in (-1, 1)]
    if shape.tag == "rect":
        return [(at["x"], at["y"]), (at["x"] + at["width"], at["y"] + at["height"])]
    if shape.tag == "text":
        return [(at["x"], at["y"])]
    if shape.tag in ("polyline", "polygon"):
        return [(float(x), float(y)) for x, y in (p.split(",") for p in shape.attrib["points"].split())]
    assert shape.tag in ("svg", "title", "desc"), f"a shape this test does not measure: {shape.tag}"
    return []


def assert_inside(svg: str) -> None:
    """Every drawn point is a finite number inside the viewBox."""
    drawing = ET.fromstring(svg)
    left, top, width, height = map(float, drawing.attrib["viewBox"].split())
    found = [point for shape in drawing.iter() for point in points_of(shape)]
    assert found
    for x, y in found:
        assert left <= x <= left + width, svg
        assert top <= y <= top + height, svg


class Balance(HTMLParser):
    """Raises where an element is closed that is not the innermost open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_elements_are_balanced() -> None:
    """Every element opened is closed, in order."""
    parser = Balance()
    parser.feed(render(full_report()))
    assert parser.open == []


def test_every_chart_is_wellformed_and_described() -> None:
    """Three charts parse as XML and carry role, title and description."""
    charts = drawings(render(full_report()))
    assert [chart.findtext("title") for chart in charts] == [
        "ndcg@10 by round",
        "Distribution of scores by label",
        "Share of the total gain by feature",
    ]
    assert all(chart.attrib["role"] == "img" and chart.findtext("desc") for chart in charts)


def test_the_page_needs_nothing_outside_itself() -> None:
    """No script, link, image, import or address; the page's own policy forbids them too."""
    page = render(full_report()).lower()
    for forbidden in (
        "http:",
        "https:",
        "//",
        "<script",
        "<link",
        "<img",
        "@import",
        "url(",
        " onload",
        "src=",
    ):
        assert forbidden not in page
    assert "default-src 'none'" in page


def test_light_dark_and_print_are_styled() -> None:
    """The style sheet answers the reader's colour scheme and the printer."""
    page = render(full_report())
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_values_are_on_the_page() -> None:
    """Means, intervals, differences, p values, facts, config and fingerprints are all shown."""
    page = render(full_report())
    for shown in (
        "0.7961",
        "[0.7500, 0.8400]",
        "Δ +0.2240, p &lt; 0.001",
        "not measured",
        "best round 2",
        "valid 0.6250",
        "train 0.7000",
        "75.0 %",
        "2 of 3 features are used",
        "booster.num_leaves",
        "sha256:abc",
        "Gain 2^label - 1.",
    ):
        assert shown in page, shown


def test_importance_is_sorted_and_cut_at_twenty() -> None:
    """The twenty largest shares are drawn, largest first, whatever order they come in."""
    shares = [(f"f{i:02d}", (i + 1) / 325) for i in range(25)]
    chart = drawings(render(replace(full_report(), importance=shares)))[2]
    names = [label.findtext("title") for label in chart.iter("text") if label.find("title") is not None]
    assert names == [f"f{i:02d}" for i in range(24, 4, -1)]


def test_markup_in_any_text_is_shown_as_text() -> None:
    """A title, feature, label, key or value that holds markup cannot become markup."""
    evil = "<script>alert('1')</script>\"&\x00\ud800"
    report = replace(
        full_report(),
        title=evil,
        summary=[(evil, evil)],
        curves=[Curve(evil, [1, 2], [0.1, 0.2])],
        curve_metric=evil,
        systems=[evil, evil],
        metrics=[MetricRow(evil, [Estimate(1.0), Estimate(2.0)])],
        importance=[(evil, 1.0)],
        distribution=ScoreDistribution([0.0, 1.0], [LabelScores(evil, [2], 0.5)]),
        conventions=evil,
        config=[(evil, evil)],
        fingerprints=[(evil, evil)],
    )
    page = render(report)
    page.encode("utf-8")
    assert "<script" not in page
    assert "\x00" not in page
    assert page.count("&lt;script&gt;") >= 15
    assert len(drawings(page)) == 3
    parser = Balance()
    parser.feed(page)
    assert parser.open == []


def test_empty_parts_give_way_to_a_sentence() -> None:
    """A report of a title alone renders, without a chart or table, and says what is missing."""
    page = render(Report(title="bare", summary=[]))
    assert drawings(page) == []
    assert "<table" not in page
    for sentence in ("nothing was measured", "No learning curve", "No distribution", "No importance"):
        assert sentence in page


def test_zero_importance_is_said_not_drawn() -> None:
    """A model whose features all have no gain gets a sentence instead of empty bars."""
    page = render(replace(full_report(), importance=[("a", 0.0), ("b", 0.0)]))
    assert "No feature was split on" in page
    assert len(drawings(page)) == 2


@pytest.mark.parametrize(
    "values",
    [[0.5], [0.5, 0.5, 0.5], [0.0, 0.0], [float("nan"), 0.25], [1e-12, 2e-12], [-3.0, 1e9]],
    ids=["one round", "constant", "zero", "a gap", "tiny", "huge"],
)
def test_degenerate_curves_stay_inside(values: list[float]) -> None:
    """One round, constant, tiny and huge curves are drawn inside the frame."""
    curve = Curve("valid", list(range(1, len(values) + 1)), values)
    assert_inside(learning_curves([curve, replace(curve, name="train")], "ndcg@10", len(values)))


def test_a_curve_without_a_finite_value_is_left_out() -> None:
    """NaN alone draws nothing."""
    assert learning_curves([Curve("valid", [1, 2], [float("nan")] * 2)], "ndcg@10", 1) == ""


def test_a_best_round_outside_the_curves_is_not_marked() -> None:
    """A best round that no curve reached is no reason to draw outside the frame."""
    svg = learning_curves([Curve("valid", [1, 2, 3], [0.1, 0.2, 0.3])], "ndcg@10", 90)
    assert_inside(svg)
    assert "best round" not in svg


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    """Ten thousand rounds are drawn with a few hundred points, the first and the last among them."""
    svg = learning_curves(
        [Curve("v", list(range(1, 10_001)), np.linspace(0, 1, 10_000).tolist())], "map", None
    )
    (line,) = ET.fromstring(svg).iter("polyline")
    drawn = points_of(line)
    assert len(drawn) <= 400
    assert (drawn[0][0], drawn[-1][0]) == (52.0, 400.0)


def test_close_curves_have_separate_labels() -> None:
    """Four curves that end at one value have labels at least a line of text apart."""
    curves = [Curve(f"c{i}", [1, 2], [0.1, 0.5]) for i in range(4)]
    labels = ET.fromstring(learning_curves(curves, "map", None)).iter("text")
    heights = sorted(float(t.attrib["y"]) for t in labels if t.attrib["class"].startswith("f"))
    assert len(heights) == 4
    assert min(np.diff(heights)) >= 15


@pytest.mark.parametrize("score", [0.0, 7.5, -1e6])
def test_constant_scores_fill_one_bin(score: float) -> None:
    """A model that gives every document one score is drawn, with all documents counted."""
    made = ScoreDistribution.of(np.full(6, score), np.array([0, 0, 0, 1, 1, 2.0]))
    assert [sum(row.counts) for row in made.rows] == [1, 2, 3]
    assert all(np.count_nonzero(row.counts) == 1 for row in made.rows)
    assert_inside(score_ridges(made.edges, made.rows))


def test_distribution_counts_every_document_once() -> None:
    """Outliers are counted in the end bins; rows run from the highest label down; medians are exact."""
    scores = np.concatenate([np.arange(2000.0), [1e9, -1e9]])
    labels = np.concatenate([np.repeat([0.0, 3.0], 1000), [3.0, 0.0]])
    made = ScoreDistribution.of(scores, labels)
    assert [(row.label, sum(row.counts)) for row in made.rows] == [("3", 1001), ("0", 1001)]
    assert [row.median for row in made.rows] == [1500.0, 499.0]
    assert made.edges[-1] < 1e7
    assert_inside(score_ridges(made.edges, made.rows))


def test_a_label_of_outliers_alone_stays_inside() -> None:
    """The one document of a label may lie beyond the axis: its median is drawn at the edge."""
    made = ScoreDistribution.of(np.append(np.arange(3000.0), 1e9), np.append(np.zeros(3000), 4.0))
    assert made.rows[0].median == 1e9
    assert_inside(score_ridges(made.edges, made.rows))


def test_many_labels_become_eight_ranges() -> None:
    """Continuous labels are shown as ranges, none lost."""
    labels = np.linspace(0, 16, 200)
    made = ScoreDistribution.of(labels, labels)
    assert len(made.rows) == 8
    assert made.rows[-1].label == "0–2"
    assert sum(sum(row.counts) for row in made.rows) == 200


def test_no_held_out_documents_make_no_distribution() -> None:
    """Empty scores give an empty distribution, and the page says so."""
    empty = ScoreDistribution.of(np.array([], np.float32), np.array([], np.float32))
    assert "No distribution" in render(replace(full_report(), distribution=empty))


def test_a_single_feature_fills_the_bar() -> None:
    """One feature with all of the gain stays inside, its value beside it."""
    svg = importance_bars([("a_feature_with_a_name_far_too_long_for_the_axis", 1.0)])
    assert_inside(svg)
    assert "100.0 %" in svg
    assert "a_feature_with_a_name_far_too_long_for_the_axis" in svg


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.integers(0, 40),
)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_every_point_is_inside_whatever_the_numbers(
    values: list[float], shares: list[float], best: int
) -> None:
    """Any finite curve, share and score is drawn inside its viewBox."""
    assert_inside(learning_curves([Curve("v", list(range(1, len(values) + 1)), values)], "map", best))
    assert_inside(importance_bars([(f"f{i}", share) for i, share in enumerate(shares)]))
    made = ScoreDistribution.of(np.array(values), np.arange(len(values)) % 3.0)
    assert_inside(score_ridges(made.edges, made.rows))


def test_ticks_are_round_and_inside() -> None:
    """Ticks are 1, 2 or 5 times a power of ten apart and do not leave the range."""
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(0.78, 0.99) == pytest.approx([0.8, 0.85, 0.9, 0.95])
    assert ticks(-3.0, 12.0) == pytest.approx([0, 5, 10])


def test_negative_numbers_carry_a_true_minus() -> None:
    """The minus sign is U+2212, as wide as the digits beside it."""
    assert number(-0.25) == "\u22120.2500"
