"""Settings say what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from ranking.errors import UsageError
from ranking.retrieval.fitting import Settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "info_nse"}, "info_nce"),
        ({"loss": "lambdarnk"}, "lambdarank"),
        ({"loss": "triplet", "parameters": {"margn": 1}}, "margin"),
        ({"sides": "documents"}, "query"),
        ({"temperature": 0.0}, "temperature"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"weight_pull": 1.0}, "weight_pull"),
        ({"momentum": 1.5}, "momentum"),
        ({"margin": -0.1}, "margin"),
        ({"skip": 49}, "skip"),
        ({"epochs": -1}, "epochs"),
        ({"batch": 1}, "batch"),
        ({"held_out": 1}, "held_out"),
        ({"loss": "triplet", "negatives": 0}, "negatives"),
        ({"loss": "softmax", "negatives": 0}, "negatives"),
        ({"loss": "supcon", "queue": 9}, "queue"),
        ({"symmetric": True}, "negatives=0"),
        ({"loss": "unbiased_lambdarank"}, "clicks"),
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings(**given)
