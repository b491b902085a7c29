"""The doctor passes every loss of ours and finds what is wrong with well-known bad ones."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor

from ranking.errors import UsageError
from ranking.losses import LOSSES, facts_of, loss_named
from ranking.losses.classification import focal, quality_focal, varifocal
from ranking.losses.doctor import examine, form_of
from ranking.losses.embedding import EMBEDDING_LOSSES, PAIR_LOSSES

CLASSIFIERS: dict[str, Any] = {
    "focal_loss": focal,
    "focal_loss, sharp": functools.partial(focal, gamma=0.5),
    "quality_focal_loss": quality_focal,
    "varifocal_loss": varifocal,
}


@pytest.mark.parametrize("name", [*LOSSES, "gumbel:lambdarank", "gumbel:approx_ndcg"])
def test_ranking_losses_pass(name: str) -> None:
    loss = loss_named(name)
    certificate = examine(loss, name, facts_of(loss))
    assert certificate.passed, certificate.text()


@pytest.mark.parametrize("name", [*EMBEDDING_LOSSES, *PAIR_LOSSES])
def test_embedding_losses_pass(name: str) -> None:
    certificate = examine({**EMBEDDING_LOSSES, **PAIR_LOSSES}[name], name)
    assert certificate.passed, certificate.text()
    assert certificate.findings["not a number"].detail.startswith("refused: "), certificate.text()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_pass(name: str) -> None:
    certificate = examine(CLASSIFIERS[name], name)
    assert certificate.passed, certificate.text()


def clamped_lambda(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """LambdaLoss by log(clamp(clamp(sigmoid)^w)): the worst pairs lose their gradient."""
    gap = scores[..., :, None] - scores[..., None, :]
    better = (labels[..., :, None] > labels[..., None, :]) & where[..., :, None] & where[..., None, :]
    weight = (labels[..., :, None] - labels[..., None, :]).abs()
    p = torch.sigmoid(torch.where(better, gap, 0.0)).clamp(min=1e-10)
    value = torch.log2((p**weight).clamp(min=1e-10))
    return -torch.where(better, value, 0.0).sum((-2, -1))


def both_in_top(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """Pairs count where both documents are among the ten best: who is below never comes up."""
    gap = scores[..., :, None] - scores[..., None, :]
    ranks = torch.where(where, -scores, torch.inf).argsort(-1).argsort(-1)
    top = (ranks < 10) & where
    better = (labels[..., :, None] > labels[..., None, :]) & top[..., :, None] & top[..., None, :]
    return torch.where(better, torch.nn.functional.softplus(-torch.where(better, gap, 0.0)), 0.0).sum(
        (-2, -1)
    )


def overflowing(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """RankNet by log(1 + exp(−d))."""
    gap = scores[..., :, None] - scores[..., None, :]
    better = (labels[..., :, None] > labels[..., None, :]) & where[..., :, None] & where[..., None, :]
    return torch.where(better, torch.log(1 + torch.exp(-gap)), 0.0).sum((-2, -1))


def infinite_padding(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """Softmax cross-entropy with padding at −inf: 0 · −inf."""
    target = torch.where(where, labels, 0.0)
    target = target / target.sum(-1, keepdim=True).clamp(min=1e-9)
    return -(target * scores.masked_fill(~where, -torch.inf).log_softmax(-1)).sum(-1)


def padded_mean(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """A mean over the padded width: more padding, smaller loss."""
    return LOSSES["ranknet"](scores, labels, where, reduction="none") / scores.shape[-1]


def raw_gains(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """Softmax cross-entropy against exp(labels), summed before it is divided: too large for 30 in half."""
    target = torch.where(where, torch.exp(labels.half() * labels.half()), 0.0).to(scores)
    target = target / target.sum(-1, keepdim=True)
    return -(target * torch.where(where, scores, -1e30).log_softmax(-1)).sum(-1)


def wrong_way(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """The sign turned."""
    return -LOSSES["softmax"](scores, labels, where, reduction="none")


def detached(scores: Tensor, labels: Tensor, where: Tensor) -> Tensor:
    """A constant where there are no pairs: nothing to take a gradient of."""
    value = LOSSES["ranknet"](scores, labels, where, reduction="none")
    return value if bool(value.any()) else torch.zeros(len(scores))


def naive_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """(1 − exp(−ce))^g ce with g = 1/2."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return ((1 - torch.exp(-entropy)) ** 0.5 * entropy).sum()


def one_class_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """The gradient as it is printed for y = 1, used for both classes."""
    p = torch.sigmoid((2 * targets - 1) * logits).detach()
    return (logits * (1 - p) ** 2 * (2 * p * p.clamp(min=1e-30).log() + p - 1)).sum()


def acos_arcface(embeddings: Tensor, labels: Tensor) -> Tensor:
    """ArcFace through acos: its derivative is infinite where a vector is on its class' axis."""
    unit = torch.nn.functional.normalize(embeddings, dim=-1)
    cosine = unit[:, : int(labels.max()) + 1]
    own = torch.nn.functional.one_hot(labels, cosine.shape[-1]).bool()
    logits = torch.where(own, torch.cos(torch.acos(cosine) + 0.5), cosine) * 8
    return torch.nn.functional.cross_entropy(logits, labels)


def root_of_squares(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Contrastive loss by sqrt of the sum of squares: NaN for identical vectors."""
    distance = ((embeddings[:, None] - embeddings[None]) ** 2).sum(-1).sqrt()
    alike = labels[:, None] == labels[None]
    return torch.where(alike, distance**2, (1 - distance).clamp(min=0) ** 2).mean()


KNOWN_BAD: dict[Any, str] = {
    clamped_lambda: "far scores",
    both_in_top: "reach",
    overflowing: "far scores",
    infinite_padding: "padding",
    padded_mean: "padding",
    raw_gains: "grades",
    wrong_way: "improves",
    detached: "nothing to learn",
    naive_focal: "far logits",
    one_class_focal: "wrong answers",
    acos_arcface: "odd batches",
    root_of_squares: "odd batches",
}


@pytest.mark.parametrize("loss", KNOWN_BAD, ids=lambda loss: loss.__name__)
def test_known_mistakes_are_found(loss: Any) -> None:
    certificate = examine(loss, loss.__name__)
    assert certificate.findings[KNOWN_BAD[loss]].passed is False, certificate.text()
    assert not certificate.passed
    assert certificate.as_json()["checks"][KNOWN_BAD[loss]]["passed"] is False


def test_the_form_is_told_by_the_first_parameter() -> None:
    assert form_of(naive_focal) == "logits"
    assert form_of(LOSSES["softmax"]) == "lists"
    with pytest.raises(UsageError, match="its first parameter is 'x'"):
        form_of(lambda x, y: x)
