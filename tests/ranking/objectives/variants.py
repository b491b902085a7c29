"""Objectives with other parameters than their defaults: what holds for all is tried on each of these."""

from __future__ import annotations

from typing import Any

from ranking.objectives import (
    OBJECTIVES,
    Focal,
    Hinge,
    LambdaRank,
    NDCGLoss2,
    NDCGLoss2PlusPlus,
    QualityFocal,
    RankNet,
    Softmax,
    SquaredHinge,
    UnbiasedLambdaRank,
    objective_named,
)

SHOWN_IN_ORDER: dict[str, Any] = {"positions": "rows", "propensities": [1 / (1 + i) for i in range(40)]}
"""For lists of up to 40 documents that tell no positions."""


def has_kinks(objective: Any) -> bool:
    """Is its pair loss not differentiable where a gap equals the margin?"""
    return "margin" in objective.parameters()


VARIANTS: dict[str, Any] = {
    **{name: o for name, o in OBJECTIVES.items() if not o.needs_positions},
    # Its scales are the training lists': settled, so that lists are independent.
    "blend": objective_named("blend", {"scales": [1, 0.03]}),
    "blend, ranknet over all pairs": objective_named(
        "blend", {"scales": [1, 0.03], "ranknet.truncation": None, "lambdarank.truncation": 3}
    ),
    "blend of three": objective_named(
        "blend", {"parts": "ranknet,softmax,logistic", "shares": [1, 2, 0.5], "scales": [1, 0.5, 0.25]}
    ),
    "unbiased_lambdarank": UnbiasedLambdaRank(**SHOWN_IN_ORDER),
    **{
        f"unbiased_lambdarank, {metric}, top {top}": UnbiasedLambdaRank(
            metric=metric, truncation=top, **SHOWN_IN_ORDER
        )
        for metric in ("dcg", "map", "mrr", "err", "precision")
        for top in (3, 30)
        if (metric, top) != ("precision", 30)  # of a whole list it knows no order
    },
    "unbiased_lambdarank, map, by label gaps": UnbiasedLambdaRank(
        metric="map", label_gap=1.5, **SHOWN_IN_ORDER
    ),
    "unbiased_lambdarank, err at 4, file ties": UnbiasedLambdaRank(
        metric="err", truncation=4, truncation_rule="exact", ties="file", **SHOWN_IN_ORDER
    ),
    "gumbel:lambdarank": objective_named("gumbel:lambdarank", {"draws": 3}),
    "gumbel:focal": objective_named("gumbel:focal"),
    "gumbel:softmax": objective_named("gumbel:softmax", {"strength": 1.0}),
    "squared hinge, normalised": SquaredHinge(margin=0.5, score_normalization=True),
    "squared hinge, truncated": SquaredHinge(margin=0.7, truncation=3, score_normalization=True),
    "ranknet, ties as half": RankNet(ties_as_half=True),
    "ranknet, ties as half, top 3, normalised": RankNet(
        ties_as_half=True, truncation=3, score_normalization=True, lambda_normalization=True
    ),
    "ranknet, by label gaps": RankNet(label_gap=1.5),
    "ranknet, steep, normalised": RankNet(sigma=3.0, score_normalization=True, lambda_normalization=True),
    "ranknet, truncated, normalised": RankNet(
        sigma=2.0, truncation=3, score_normalization=True, lambda_normalization=True
    ),
    "ranknet, truncated, file ties": RankNet(truncation=3, ties="file"),
    "hinge, truncated": Hinge(margin=0.7, truncation=2),
    "hinge, wide margin, truncated": Hinge(margin=2.5, truncation=2),
    "lambdarank, plain": LambdaRank(score_normalization=False, lambda_normalization=False, truncation=None),
    "lambdarank, exact at 3": LambdaRank(truncation=3, truncation_rule="exact"),
    "lambdarank, map, top 2": LambdaRank(metric="map", truncation=2),
    "lambdarank, map at 3, file ties": LambdaRank(
        metric="map", truncation=3, truncation_rule="exact", ties="file"
    ),
    "lambdarank, mrr at 2": LambdaRank(metric="mrr", truncation=2, truncation_rule="exact"),
    "lambdarank, err at 4": LambdaRank(metric="err", truncation=4, truncation_rule="exact"),
    "lambdarank, tables": LambdaRank(gain=[0, 1, 3, 9, 20], discount=[1, 0.7, 0.2], truncation=5),
    "lambdarank, linear, reciprocal, top 2": LambdaRank(gain="linear", discount="reciprocal", truncation=2),
    "lambdarank, linear, top 3, file ties": LambdaRank(gain="linear", truncation=3, ties="file"),
    "ndcg_loss2, sound at 3": NDCGLoss2(truncation=3, truncation_rule="lambdaloss"),
    "ndcg_loss2pp, all pairs": NDCGLoss2PlusPlus(truncation=None, mu=2.0, score_normalization=False),
    **{
        f"{pair} by {metric}, top {top}": objective_named(
            pair, {"metric": metric, "truncation": top, "score_normalization": top == 3}
        )
        for pair in ("hinge", "squared_hinge")
        for metric in ("ndcg", "dcg", "map", "mrr", "err", "precision")
        for top in (3, 30)
        if (metric, top) != ("precision", 30)
    },
    **{
        f"{pair} by {weight}": objective_named(pair, {"weight": weight, "lambda_normalization": True})
        for pair in ("hinge", "squared_hinge")
        for weight in ("ndcg_loss2", "ndcg_loss2pp")
    },
    **{
        f"{pair}, clicks": objective_named(pair, SHOWN_IN_ORDER)
        for pair in ("ranknet", "hinge", "squared_hinge", "ndcg_loss2", "ndcg_loss2pp")
    },
    "hinge by err, clicks, file ties": objective_named(
        "hinge", {**SHOWN_IN_ORDER, "metric": "err", "ties": "file", "margin": 0.6}
    ),
    "softmax of labels": Softmax(target="softmax"),
    "softmax, raw labels": Softmax(target="raw", gain="exponential"),
    "softmax, exponential": Softmax(gain="exponential"),
    "focal, sharp": Focal(gamma=0.5, alpha=0.6),
    "focal, sharp, relevant from 2": Focal(gamma=0.5, alpha=0.6, relevant_from=2.0),
    "quality_focal, 1.5": QualityFocal(beta=1.5),
}
"""The whole registry is among them; `unbiased_lambdarank` with the positions of the rows."""
