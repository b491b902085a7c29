"""The time between the wish to stop and the stop: not ready any more, and still answering."""

from __future__ import annotations

import os
from pathlib import Path

from service.settings import DRAINING_VARIABLE


class Draining:
    """Set once, by a signal; several workers learn of it by a file that their parent makes."""

    def __init__(self) -> None:
        self._begun = False
        file = os.environ.get(DRAINING_VARIABLE)
        self._file = None if file is None else Path(file)

    def begin(self) -> None:
        self._begun = True

    def __bool__(self) -> bool:
        return self._begun or (self._file is not None and self._file.exists())
