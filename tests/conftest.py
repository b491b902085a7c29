"""One thread a test process: the suite runs in as many as there are processors, and more get in their way."""

from __future__ import annotations

import os

# Before NumPy, torch or a booster is imported, since their libraries look once.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
