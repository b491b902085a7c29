"""Compile what serving uses, into NUMBA_CACHE_DIR: run when an image is built.

On a machine with another kind of processor the code is compiled anew at the first start.
"""

from __future__ import annotations

import ranking.trees.reading.lightgbm
import ranking.trees.scoring  # noqa: F401
import service.app  # noqa: F401 - its rooms register what they compile
from ranking.compiled.warming import PIECES, warm_up

warm_up(*PIECES)
