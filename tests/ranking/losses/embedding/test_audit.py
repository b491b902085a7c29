"""What training looks like: values by hand, alarms, the line and the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from ranking.losses import TrainingAudit, info_nce, mutual_information_bound, triplet_in_batch
from ranking.losses.embedding import (
    active_pair_share,
    active_share,
    alignment,
    audit_embeddings,
    effective_rank,
    gradient_norm,
    masked_share,
    uniformity,
)


def test_a_collapse_is_seen() -> None:
    torch.manual_seed(0)
    point = torch.ones(50, 8) + 1e-3 * torch.randn(50, 8)
    found = audit_embeddings(point)
    assert found.collapsed
    assert found.mean_cosine > 0.999
    assert found.effective_rank < 1.2
    assert found.uniformity == pytest.approx(0.0, abs=1e-3)
    even = audit_embeddings(torch.randn(2000, 8), torch.randn(2000, 8))
    assert not even.collapsed
    assert even.spread == pytest.approx(1.0, abs=0.05)
    assert even.effective_rank > 7.5
    assert even.alignment == pytest.approx(2.0, abs=0.1)
    assert set(even.as_json()) >= {"spread", "collapsed", "alignment"}


def test_alignment_and_uniformity_by_hand() -> None:
    """Opposite unit vectors: squared distance 4."""
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[-3.0, 0.0]])
    assert alignment(x, y) == pytest.approx(4.0)
    assert uniformity(torch.cat([x, y])) == pytest.approx(-8.0)
    assert audit_embeddings(torch.zeros(1, 3)).effective_rank == 0


def test_the_rank_of_equal_axes_is_their_number() -> None:
    """k orthogonal directions: k equal singular values, entropy log k."""
    assert effective_rank(torch.eye(5)[:3].repeat(4, 1)) == pytest.approx(3.0)
    assert effective_rank(torch.ones(6, 5)) == pytest.approx(1.0)


def test_a_line_is_a_collapse_too() -> None:
    line = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]).repeat(5, 1)
    found = audit_embeddings(line)
    assert found.spread > 0.5
    assert found.collapsed


def test_the_norm_is_of_all_gradients_together() -> None:
    a, b, unused = (torch.zeros(2, requires_grad=True) for _ in range(3))
    (3 * a[0] + 4 * b[1]).backward()
    assert gradient_norm([a, b, unused]) == pytest.approx(5.0)
    assert gradient_norm([unused]) == 0


def test_pairs_within_the_margin_are_active() -> None:
    """Labels 0 0 1 at 0, 3 and 0.5: of the pairs of two labels, 0.5 apart and 2.5 apart."""
    at = torch.tensor([[0.0], [3.0], [0.5]])
    labels = torch.tensor([0, 0, 1])
    assert active_pair_share(at, labels, margin=1.0, normalize=False) == pytest.approx(1 / 2)
    assert active_pair_share(at, labels, margin=3.0, normalize=False) == 1
    assert active_pair_share(at, torch.zeros(3), normalize=False) == 0


def test_equal_ids_are_masked_and_negative_ids_are_none() -> None:
    ids = torch.tensor([7, 7, 8, -1, -1])
    assert masked_share(ids) == pytest.approx(2 / 20)
    ignored = torch.zeros(5, 5, dtype=torch.bool)
    ignored[3, 4] = ignored[0, 1] = ignored[2, 2] = True
    assert masked_share(ids, ignored) == pytest.approx(3 / 20)
    assert masked_share(ids[:1]) == 0


def trained(tmp_path: Path) -> tuple[TrainingAudit, Path]:
    """A linear encoder on random pairs for three steps."""
    torch.manual_seed(0)
    model, audit = torch.nn.Linear(6, 4), TrainingAudit()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x = torch.randn(16, 6)
    ids = torch.arange(16) // 2
    for step in range(3):
        queries, keys = model(x), model(x + 0.1)
        loss = info_nce(queries, keys, key_ids=ids)
        optimizer.zero_grad()
        loss.backward()
        audit.record(
            step, loss, embeddings=queries, partners=keys, gradient_norm=gradient_norm(model.parameters()),
            masked=masked_share(ids), bound=mutual_information_bound(loss, 15),
        )  # fmt: skip
        optimizer.step()
    audit.write(tmp_path / "audit.json")
    return audit, tmp_path / "audit.json"


def test_training_is_gathered_said_and_stored(tmp_path: Path) -> None:
    audit, file = trained(tmp_path)
    stored = json.loads(file.read_text())
    assert stored == audit.as_json()
    assert [entry["step"] for entry in stored["entries"]] == [0, 1, 2]
    first = stored["entries"][0]
    assert first["bound"]["cap"] == pytest.approx(math.log(16))
    assert first["bound"]["nats"] == pytest.approx(math.log(16) - first["loss"])
    assert first["masked"] == pytest.approx(16 / (16 * 15))
    assert first["gradient_norm"] > 0
    assert first["active"] is None
    for words in ("step 2: loss", "gradient", "masked 6.7%", "of 2.77 nats", "effective rank", "alignment"):
        assert words in audit.line()


def test_alarms_name_their_steps(tmp_path: Path) -> None:
    audit = TrainingAudit()
    assert audit.line() == "nothing recorded"
    audit.record(1, 0.7, active=0.5, embeddings=torch.randn(20, 5))
    assert audit.alarms == {}
    audit.record(2, math.nan, active=0.0, gradient_norm=0.0, embeddings=torch.ones(20, 5))
    audit.record(3, 0.01, bound=mutual_information_bound(0.01, 15), embeddings=torch.ones(20, 5))
    assert audit.alarms == {
        "the loss is not finite": [2],
        "the embeddings have collapsed": [2, 3],
        "the gradient is zero": [2],
        "no pair or triplet is active: nothing is left to learn": [2],
        "the bound is at its cap: more negatives would show more": [3],
    }
    assert audit.line().endswith("; the bound is at its cap: more negatives would show more")
    audit.write(tmp_path / "audit.json")
    assert json.loads((tmp_path / "audit.json").read_text())["entries"][1]["loss"] is None


def test_separated_classes_leave_no_triplet_active() -> None:
    embeddings, labels = torch.eye(2).repeat_interleave(3, 0), torch.tensor([0, 0, 0, 1, 1, 1])
    assert active_share(embeddings, labels) == 0
    assert float(triplet_in_batch(embeddings, labels, "all", 0.2)) == 0
