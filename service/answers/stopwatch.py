"""When a request was there, read and ranked."""

from __future__ import annotations

import time

from service.wire.messages import Timing


class Stopwatch:
    """Started when the body is there; `read` and `ranked` are told by whoever has done it."""

    __slots__ = ("_ended", "_parsed", "_started")

    def __init__(self) -> None:
        self._started = self._parsed = self._ended = time.perf_counter()

    def read(self) -> None:
        """The request is a matrix now."""
        self._parsed = time.perf_counter()

    def ranked(self) -> None:
        """Its candidates are in order."""
        self._ended = time.perf_counter()

    def timing(self) -> Timing:
        parse, score = self._parsed - self._started, self._ended - self._parsed
        return Timing(_ms(parse), _ms(score), _ms(parse + score))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
