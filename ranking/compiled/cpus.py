"""How many CPUs this process may use: its affinity, and the quota of its container."""

from __future__ import annotations

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""`QUOTA PERIOD` in microseconds, or `max PERIOD`: the limit of a cgroup, version 2."""


def available_cpus(cpu_max: Path = CPU_MAX) -> int:
    """At least 1. A container limited to 2.5 CPUs on a large machine has 3, which the core count hides."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text().split()
        return max(1, min(cpus, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cpus


def limit_openmp() -> None:
    """Let OpenMP start as many threads as there are CPUs; it reads this when a booster is first loaded."""
    os.environ.setdefault("OMP_NUM_THREADS", str(available_cpus()))
