"""A piece of the tests, in a module that a child imports quickly: it notes which process ran it."""

from __future__ import annotations

import os
from pathlib import Path

from ranking.compiled.warming import warms

NAME = "a piece of the tests"
PLACE, FAILS = "TEST_WARMING_PLACE", "TEST_WARMING_FAILS_BUT_IN"


def _note_the_process() -> None:
    if os.environ.get(FAILS, str(os.getpid())) != str(os.getpid()):
        raise MemoryError
    with Path(os.environ[PLACE]).open("a") as file:
        file.write(f"{os.getpid()}\n")


warms(NAME, _note_the_process)
