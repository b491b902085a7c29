"""Every member of the registry passes the loss doctor, and objectives with a known mistake do not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from ranking.objectives import OBJECTIVES, PAIR_LOSSES, RankNet, Softmax, objective_named
from ranking.objectives.doctor import CHECKS, examine
from ranking.objectives.pair_weights import WEIGHT_METRICS

EVERYTHING = [*OBJECTIVES, "gumbel:lambdarank", "gumbel:softmax", "gumbel:focal"]


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_member_passes(name: str) -> None:
    certificate = examine(objective_named(name), name)
    assert certificate.passed, certificate.text()
    assert certificate.findings.keys() == CHECKS.keys()
    assert certificate.speed is not None
    assert certificate.speed["nanoseconds"] > 0


@pytest.mark.parametrize("pair_loss", PAIR_LOSSES)
@pytest.mark.parametrize(
    "parameters",
    [
        *({"weight": "metric", "metric": metric} for metric in WEIGHT_METRICS if metric != "precision"),
        {"weight": "metric", "metric": "precision", "truncation": 10},
        {"weight": "uniform"},
        {"weight": "ndcg_loss2"},
        {"weight": "ndcg_loss2pp"},
        {"metric": "ndcg", "propensities": "estimate"},
    ],
    ids=str,
)
def test_every_pair_loss_passes_with_every_weight(pair_loss: str, parameters: Any) -> None:
    certificate = examine(objective_named("lambdarank", {"pair_loss": pair_loss, **parameters}))
    assert certificate.passed, certificate.text()


def test_what_does_not_apply_is_said_and_not_passed() -> None:
    findings = examine(RankNet(ties="file")).findings
    assert findings["permutation"].passed is None
    assert "does not apply" in findings["permutation"].detail
    assert examine(OBJECTIVES["focal"]).findings["shift"].passed is None
    assert examine(OBJECTIVES["hinge"]).findings["hessian"].passed is None


def test_certificates_are_text_and_json() -> None:
    certificate = examine(OBJECTIVES["softmax"], "softmax")
    found = json.loads(json.dumps(certificate.as_json()))
    assert found["passed"] is True
    assert found["checks"]["gradient"]["passed"] is True
    assert found["speed"]["per"] == "document"
    assert certificate.text().endswith("all checks passed")


@dataclass(frozen=True, kw_only=True)
class Broken(Softmax):
    """The listwise softmax with one mistake."""

    mistake: str

    def gradients(self, scores: Any, dataset: Any) -> tuple[Any, Any]:
        scores = np.asarray(scores)
        gradient, hessian = Softmax().gradients(scores, dataset)
        if self.mistake == "sign":
            gradient = -gradient
        elif self.mistake == "curvature":
            hessian = hessian * 2
        elif self.mistake == "negative curvature":
            hessian = hessian - 0.1
        elif self.mistake == "file order":
            # a hair of the row's number: what breaks ties by file order does
            gradient = gradient * (1 + 1e-6 * np.arange(len(gradient)))
        elif self.mistake == "absolute scores":
            gradient = gradient + 1e-7 * scores
        elif self.mistake == "one document":
            gradient = gradient + np.repeat(dataset.sizes == 1, dataset.sizes)
        elif self.mistake == "overflow":
            gradient = gradient + 0 * np.exp(scores)
        elif self.mistake == "weights":
            weightless = type(dataset)(
                features=dataset.features, labels=dataset.labels, offsets=dataset.offsets,
                query_ids=dataset.query_ids,
            )  # fmt: skip
            gradient, hessian = Softmax().gradients(scores, weightless)
        return gradient, hessian

    def prepare(self, dataset: Any, threads: int = 1, first_round: int = 0) -> Any:
        inner = Softmax().prepare(dataset, threads, first_round)
        calls = 0

        def run(scores: Any) -> tuple[Any, Any]:
            nonlocal calls
            calls += 1
            gradient, hessian = inner(scores)
            if self.mistake == "single precision":
                gradient = np.asarray(gradient, np.float16).astype(float)
            elif self.mistake == "threads":
                gradient = gradient * (1 + 1e-9 * threads)
            elif self.mistake == "resume":
                gradient = gradient * (1 + 1e-9 * calls)
            elif self.mistake == "scribbles":
                scores[0] += 1
            elif self.mistake == "long list" and len(gradient) > 10_000:
                gradient = gradient * np.nan
            elif self.mistake == "raises":
                raise ValueError("no such thing")
            return gradient, hessian

        return run


@pytest.mark.parametrize(
    ("mistake", "caught_by"),
    [
        ("sign", {"gradient", "descent"}),
        ("curvature", {"hessian"}),
        ("negative curvature", {"hessian", "curvature"}),
        ("file order", {"permutation"}),
        ("absolute scores", {"shift"}),
        ("one document", {"nothing to learn"}),
        ("overflow", {"extreme scores"}),
        ("weights", {"weights"}),
        ("single precision", {"precision"}),
        ("threads", {"repeatability"}),
        ("resume", {"repeatability"}),
        ("scribbles", {"repeatability"}),
        ("long list", {"long list"}),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_known_mistakes_are_caught(mistake: str, caught_by: set[str]) -> None:
    certificate = examine(Broken(mistake=mistake))
    failed = {name for name, finding in certificate.findings.items() if finding.passed is False}
    assert caught_by <= failed, certificate.text()
    assert not certificate.passed
    assert "checks failed" in certificate.text()


def test_the_unbroken_one_passes() -> None:
    assert examine(Broken(mistake="none")).passed


def test_a_wrong_loss_and_gradient_that_agree_are_caught_by_the_order() -> None:
    """Loss and gradient both of the wrong sign satisfy finite differences; the lists get worse."""

    class Upside(Broken):
        def gradients(self, scores: Any, dataset: Any) -> tuple[Any, Any]:
            gradient, hessian = Softmax().gradients(scores, dataset)
            return -gradient, hessian

        def loss(self, scores: Any, dataset: Any, weights_at: Any = None) -> float:
            return -super().loss(scores, dataset, weights_at)

    findings = examine(Upside(mistake="none")).findings
    assert findings["gradient"].passed
    assert findings["descent"].passed is False


def test_an_objective_that_raises_fails_its_checks_with_the_reason() -> None:
    certificate = examine(Broken(mistake="raises"))
    assert certificate.findings["precision"].passed is False
    assert certificate.findings["precision"].detail == "ValueError: no such thing"
    assert certificate.findings["gradient"].passed
    assert certificate.speed is None
