"""Results as JSON: what the encoder of structs makes of them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from service.wire.ids import Ids
from service.wire.messages import Result
from service.wire.results import results_json


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, 11, 99, 100, 1001])
def test_results_are_written_as_structs_are(count: int) -> None:
    generator = np.random.default_rng(count)
    ids = Ids.of([f'é{i}"\n' if i % 3 else f"d{i}" for i in range(1001)])
    shown = generator.permutation(1001)[:count]
    scores = (generator.normal(size=count) * 10.0 ** generator.integers(-30, 30, count)).astype(np.float32)
    expected = [
        Result(ids[index], index, place, score)
        for place, (index, score) in enumerate(zip(shown.tolist(), scores.tolist(), strict=True), 1)
    ]
    assert results_json(ids, shown, scores) == msgspec.json.encode(expected)
