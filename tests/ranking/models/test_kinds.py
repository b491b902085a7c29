"""Every kind of model opens from its bytes, and only as itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ranking.errors import ArtifactError, UsageError
from ranking.models.ensemble import EnsembleRanker, Part
from ranking.models.kinds import KINDS, open_model, warm_up
from tests.ranking.models import small
from tests.ranking.neural import networks


def bytes_of(kind: str) -> bytes:
    if kind == "neural":
        return networks.ranker_of().to_bytes()
    if kind == "ensemble":
        parts = (Part(small.ranker_of("xgboost"), 1.0, 0.0, 1.0), Part(networks.ranker_of(), 0.5, 0.0, 1.0))
        return EnsembleRanker(parts).to_bytes()
    return small.ranker_of(kind).to_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_and_scores(kind: str) -> None:
    warm_up(kind)
    ranker = open_model(kind, bytes_of(kind), feature_names=small.NAMES, missing="nan")
    assert ranker.kind == kind
    assert np.isfinite(ranker.score(small.rows()[:10])).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_bytes_of_another_kind_are_refused(kind: str, other: str) -> None:
    if kind != other:
        with pytest.raises(ArtifactError):
            open_model(other, bytes_of(kind), feature_names=small.NAMES, missing="nan")


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"kind of model 'forest'.*lightgbm"):
        open_model("forest", b"", feature_names=("a",), missing="nan")


def test_a_network_is_opened_and_scored_without_torch() -> None:
    """What serves a network needs no extra."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from ranking.models.kinds import open_model\n"
        "ranker = open_model('neural', sys.stdin.buffer.read(), feature_names=tuple('abcd'), missing='nan')\n"
        "print(ranker.score(np.ones((1, 4), np.float32))[0])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], input=bytes_of("neural"), capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    expected = networks.ranker_of().score(np.ones((1, 4), np.float32))[0]
    assert float(ran.stdout) == pytest.approx(float(expected), abs=1e-6)
