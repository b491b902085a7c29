"""Code that was compiled when an image was built, brought to where Numba may write.

Numba keeps compiled code only in a folder that it can write to; a container's root is read-only.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

VARIABLE = "RANKWRIGHT_COMPILED"
"""Names the folder of the image; its content is copied to NUMBA_CACHE_DIR."""


def bring_compiled_code() -> None:
    """Copy it once, before anything is compiled; without room for it everything is compiled here instead."""
    source, target = os.environ.get(VARIABLE), os.environ.get("NUMBA_CACHE_DIR")
    if source and target and Path(source).is_dir() and not Path(target).exists():
        try:
            shutil.copytree(source, target)
        except (OSError, shutil.Error):
            shutil.rmtree(target, ignore_errors=True)
