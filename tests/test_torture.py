"""Short forms of `make torture`: nothing is lost, mixed or damaged; how fast is measured there, not here.

The shortest runs with the suite, the others with `-m slow`.
"""

from __future__ import annotations

import pytest

from benchmarks import torture

QUICK = ("swaps", "kills", "slow_senders", "sigterm")


@pytest.mark.parametrize("name", ["damaged", *(pytest.param(name, marks=pytest.mark.slow) for name in QUICK)])
def test_nothing_fails(name: str) -> None:
    """`failures` counts what must not happen."""
    line = torture.run(name, short=True)
    assert line["n"] > 0
    assert line["failures"] == 0, line


@pytest.mark.slow
def test_overload_is_refused_and_not_dropped() -> None:
    """Every request beyond what can be done gets a 429 or 503; some are still answered."""
    line = torture.run("overload", short=True)
    assert line["failures"] == 0, line
    assert line["refused"] > 0
    assert line["goodput_of_peak"] > 0.1


@pytest.mark.slow
def test_large_bodies_are_refused_within_memory() -> None:
    """Eight at once; they took 1.9 GB."""
    line = torture.run("large_bodies", short=True)
    assert line["n"] == 24
    assert line["failures"] == 0, line
    assert line["peak_mb"] <= torture.MEMORY_MB


@pytest.mark.slow
def test_generated_requests_find_no_fault() -> None:
    """Schemathesis over the published schema."""
    pytest.importorskip("schemathesis")
    line = torture.run("fuzz", short=True)
    assert line["n"] > 100
    assert line["failures"] == 0, line


def test_a_damaged_file_differs_from_the_sound_one() -> None:
    """The corpus damages something, in every way it knows."""
    import random

    content = b"tree\nleft_child=1 2\nright_child=3 4\nleaf_value=0.5 0.25\n" * 3
    changed = {torture._damage(content, random.Random(seed)) for seed in range(60)}
    assert len(changed) > 20
    assert any(b"nan" in one for one in changed)
