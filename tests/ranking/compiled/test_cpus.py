"""The CPU limit of a container is found where the core count would hide it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ranking.compiled.cpus import available_cpus, limit_openmp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),
        ("250000 100000\n", 3),
        ("max 100000\n", 64),
        ("odd\n", 64),
    ],
)
def test_the_quota_is_rounded_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert available_cpus(file) == expected


def test_a_machine_without_cgroups_has_its_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3}, raising=False)
    assert available_cpus(tmp_path / "absent") == 2


def test_a_given_number_of_openmp_threads_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    limit_openmp()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    limit_openmp()
    assert os.environ["OMP_NUM_THREADS"] == str(available_cpus())
