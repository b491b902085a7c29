"""Towers learn a planted map and are kept; where there is nothing to learn the encoder stays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ranking.errors import DataError
from ranking.losses import LOSSES, TrainingAudit, info_nce
from ranking.retrieval.fitting import VECTOR_LOSSES, Settings, fit, guarded
from ranking.retrieval.fitting.loop import _Run
from ranking.retrieval.fitting.losses import StepLoss
from ranking.retrieval.fitting.towers import TrainedTowers
from ranking.retrieval.index import ExactIndex
from ranking.retrieval.judgments import Judgments, ndcg
from ranking.retrieval.towers import Sides
from tests.ranking.retrieval.fitting.planted import planted

QUERIES, DOCUMENTS, JUDGMENTS = planted()
QUICK = Settings(epochs=6, learning_rate=0.02, weight_pull=0.0, batch=20, depth=20, negatives=4, margin=None)


def run(settings: Settings) -> _Run:
    return _Run(QUERIES, DOCUMENTS, JUDGMENTS, settings)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- The guard --------------------------------------------------------------------------------------


def test_towers_that_learn_a_planted_map_are_kept() -> None:
    decision = guarded(QUERIES, DOCUMENTS, JUDGMENTS, QUICK, encoder="e")
    assert decision.kept
    assert decision.towers is decision.fitted.towers
    assert decision.interval[0] > 0.05
    assert decision.new.how == "grouped"
    assert decision.again is None
    assert decision.sharing == 0
    assert "kept" in decision.reason
    assert f"{decision.new.comparison.mean_a:.4f}" in decision.reason
    found = ExactIndex.of(DOCUMENTS, "e").search(decision.towers.queries(QUERIES), 10)
    base = ExactIndex.of(DOCUMENTS, "e").search(QUERIES, 10)
    assert ndcg(found, JUDGMENTS).mean() > 0.1 + ndcg(base, JUDGMENTS).mean()
    json.dumps(decision.as_json(), allow_nan=False)


@pytest.mark.parametrize("seed", range(2))
def test_where_labels_are_random_the_encoder_stays(seed: int) -> None:
    decision = guarded(*planted(seed, of_random=True), QUICK, encoder="e", folds=3)
    assert not decision.kept
    assert decision.towers.identity
    assert decision.towers.fingerprint == "e"
    assert "stays" in decision.reason


def test_documents_asked_for_again_are_told_apart() -> None:
    """Labels at random, each document asked for twice: memory helps on random folds, and only there."""
    queries, documents, judgments = planted(of_random=True)
    twice = np.concatenate([queries, queries])
    again = Judgments(np.arange(120), np.tile(judgments.documents, 2), np.ones(120, np.float32))
    decision = guarded(twice, documents, again, replace(QUICK, epochs=10), encoder="e", folds=3)
    assert not decision.kept
    assert decision.sharing == 120
    assert decision.again is not None
    assert decision.again.comparison.interval[0] > 0
    assert "asked for again" in decision.reason


# --- Training ---------------------------------------------------------------------------------------

MOVING = ("lambdarank", "lambdarank_dcg", "lambdarank_map", "lambdarank_mrr", "lambdarank_err",
          "lambdarank_precision", "ndcg_loss2", "ndcg_loss2pp", "xendcg")  # fmt: skip
NAMES = [*VECTOR_LOSSES, *(name for name, loss in LOSSES.items() if not loss.needs_positions)]


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_falls(name: str) -> None:
    """On one batch, in one epoch; but those whose weights move with ranks or draws: they are tested below."""
    settings = Settings(
        loss=name,
        epochs=1,
        learning_rate=1e-3,
        batch=60,
        depth=20,
        negatives=16,
        weight_pull=0.0,
        margin=None,
    )
    mine = run(settings)
    query, document, grade = mine.known.drawn(8, np.random.default_rng(0))
    mined = mine._mined(np.unique(query))
    step = mine._step(query, document, grade, mined.rows)[0]
    first = float(mine.loss(step).detach())
    list(mine.epochs(1, TrainingAudit()))
    after = float(mine.loss(mine._step(query, document, grade, mined.rows)[0]).detach())
    assert after < first or (name in MOVING and after != first)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in LOSSES or LOSSES[name].shift_invariant]
)
def test_every_loss_of_differences_learns_the_map(name: str) -> None:
    mine = run(replace(QUICK, loss=name, epochs=5, negatives=12))
    list(mine.epochs(5, TrainingAudit()))
    index = ExactIndex.of(DOCUMENTS, "e")
    before, after = (
        ndcg(index.search(vectors, 10), JUDGMENTS).mean()
        for vectors in (QUERIES, mine.towers.frozen("e").queries(QUERIES))
    )
    assert after > before + 0.05


def test_a_list_holds_positives_by_grade_and_mined_negatives() -> None:
    """Softmax over a query's list, by hand."""
    judgments = Judgments(np.array([0, 0, 1]), np.array([4, 5, 6]), np.array([2, 1, 1], np.float32))
    settings = replace(QUICK, loss="softmax", depth=5)
    mine = _Run(QUERIES[:2], DOCUMENTS, judgments, settings)
    query, document, grade = mine.known.drawn(8, np.random.default_rng(0))
    mined = np.array([[1, 2, -1, -1], [3, 7, 8, -1]])
    step, _ = mine._step(query, document, grade, mined)
    expected = []
    for q, rows, grades in ((0, [4, 5, 1, 2], [2, 1, 0, 0]), (1, [6, 3, 7, 8], [1, 0, 0, 0])):
        scores = torch.from_numpy(QUERIES[q] @ DOCUMENTS[rows].T)[None] / settings.temperature
        expected.append(LOSSES["softmax"](scores, torch.tensor([grades], dtype=torch.float32)))
    torch.testing.assert_close(StepLoss(settings)(step), torch.stack(expected).mean(), rtol=1e-4, atol=1e-5)


def test_info_nce_takes_no_known_positive_for_a_negative() -> None:
    """Queries of one document, and one with a second positive in the batch: by hand over what is left."""
    judgments = Judgments(np.array([0, 1, 1, 2]), np.array([4, 4, 5, 6]), np.ones(4, np.float32))
    mine = _Run(QUERIES[:3], DOCUMENTS, judgments, replace(QUICK, negatives=2))
    query, document = np.array([0, 1, 1, 2]), np.array([4, 4, 5, 6])
    mined = np.array([[5, 9], [6, 9], [9, 4]])  # what one mined is a positive of another
    step, masked = mine._step(query, document, np.ones(4, np.float32), mined)
    keys = np.array([4, 4, 5, 6, 4, 5, 6, 9])
    positives = {0: [4], 1: [4, 5], 2: [6]}
    values, out = [], 0
    for place, (q, d) in enumerate(zip(query, document, strict=True)):
        left = [at for at, key in enumerate(keys) if at == place or key not in positives[q]]
        out += len(keys) - len(left)
        logits = np.exp(QUERIES[q].astype(float) @ DOCUMENTS[keys[left]].T / 0.05)
        values.append(-np.log(np.exp(QUERIES[q].astype(float) @ DOCUMENTS[d] / 0.05) / logits.sum()))
    assert float(mine.loss(step).detach()) == pytest.approx(np.mean(values), rel=1e-4)
    assert masked == pytest.approx(out / (4 * 8 - 4))


@pytest.mark.parametrize("sides", ["query", "shared", "both"])
@pytest.mark.parametrize("hidden", [0, 5])
def test_towers_in_numpy_are_those_in_torch(sides: Sides, hidden: int) -> None:
    settings = replace(QUICK, sides=sides, hidden=hidden)
    mine = run(settings)
    list(mine.epochs(2, TrainingAudit()))
    frozen = mine.towers.frozen("e")
    assert frozen.sides == sides
    assert frozen.query is not None
    assert len(frozen.query.out) == hidden
    for theirs, ours in ((mine.towers.query, frozen.queries), (mine.towers.document, frozen.documents)):
        np.testing.assert_allclose(
            theirs(torch.from_numpy(QUERIES)).detach().numpy(), ours(QUERIES), atol=1e-5
        )
    assert np.abs(frozen.queries(QUERIES) - QUERIES).max() > 0.01


def test_the_same_seed_gives_the_same_towers() -> None:
    settings = replace(QUICK, hidden=3, sides="both", learnable=True)
    first, again = (fit(QUERIES, DOCUMENTS, JUDGMENTS, settings, encoder="e") for _ in range(2))
    other = fit(QUERIES, DOCUMENTS, JUDGMENTS, replace(settings, seed=1), encoder="e")
    assert first.best > 0
    assert first.towers.fingerprint == again.towers.fingerprint
    assert other.towers.fingerprint != first.towers.fingerprint


def test_epoch_0_is_a_candidate() -> None:
    """A rate that destroys everything: the encoder itself is the best epoch."""
    aligned = DOCUMENTS.copy()
    ruinous = replace(QUICK, learning_rate=0.9, epochs=2)
    fitted = fit(aligned, DOCUMENTS, JUDGMENTS, ruinous, encoder="e")
    assert fitted.best == 0
    assert fitted.towers.identity
    assert len(fitted.epochs) == 3


def test_the_pull_leads_back_to_the_identity() -> None:
    towers = TrainedTowers(4, Settings(sides="shared"))
    torch.nn.init.ones_(towers.query.linear)
    towers.pull(0.25)
    assert float(towers.query.linear.detach()[0, 0]) == 0.75


def test_queue_and_temperature_are_learned_with() -> None:
    mine = run(replace(QUICK, queue=32, learnable=True, sides="both", momentum=0.5))
    list(mine.epochs(3, TrainingAudit()))
    assert mine.queue is not None
    assert len(mine.queue) == 32
    assert mine.loss.learned is not None
    assert float(mine.loss.learned().detach()) != pytest.approx(0.05)
    place = int(mine.queue.pushed) % 32 - 1
    slow = mine.slow(torch.from_numpy(DOCUMENTS))[mine.queue.ids[place]]
    torch.testing.assert_close(mine.queue.keys[place], slow)


def test_the_bound_stands_only_where_it_holds() -> None:
    plain = fit(QUERIES, DOCUMENTS, JUDGMENTS, replace(QUICK, negatives=0), encoder="e")
    mined = fit(QUERIES, DOCUMENTS, JUDGMENTS, QUICK, encoder="e")
    assert plain.audit.entries[-1].bound is not None
    assert "bounds" in plain.information
    assert plain.audit.entries[-1].bound.cap == pytest.approx(np.log(20))
    assert mined.audit.entries[-1].bound is None
    assert "no bound" in mined.information
    last = mined.audit.entries[-1]
    assert last.embeddings is not None
    assert last.embeddings.alignment is not None
    assert last.masked is not None
    assert last.gradient_norm is not None
    assert last.gradient_norm > 0
    json.dumps(mined.as_json(), allow_nan=False)


def test_progress_is_told_and_shapes_are_checked() -> None:
    lines: list[str] = []
    fit(QUERIES, DOCUMENTS, JUDGMENTS, QUICK, encoder="e", progress=lines.append)
    assert lines[0].startswith("epoch 0, held-out nDCG@10")
    assert lines[-1].startswith("all queries: epoch")
    with pytest.raises(DataError, match="one width"):
        fit(QUERIES[:, :3], DOCUMENTS, JUDGMENTS, QUICK, encoder="e")
    with pytest.raises(DataError, match="document 59"):
        fit(QUERIES, DOCUMENTS[:30], JUDGMENTS, QUICK, encoder="e")


def test_symmetric_is_info_nce_both_ways() -> None:
    settings = replace(QUICK, negatives=0, symmetric=True)
    mine = run(settings)
    rows = np.arange(20)
    step, _ = mine._step(rows, rows, np.ones(20, np.float32), np.zeros((60, 0), np.int64))
    queries, documents = torch.from_numpy(QUERIES[:20]), torch.from_numpy(DOCUMENTS[:20])
    expected = (info_nce(queries, documents, 0.05) + info_nce(documents, queries, 0.05)) / 2
    torch.testing.assert_close(mine.loss(step), expected, rtol=1e-4, atol=1e-5)
