"""Memory for bodies that are being decoded: a share for each, and a short wait where there is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from service.errors import RETRY_AFTER, ApiError
from service.wire.bounds import SMALL

Decoded = TypeVar("Decoded")


class Room:
    """Bodies inside have at most `size` bytes together, or are one larger one; none waits over `seconds`.

    Small bodies pass large ones that wait: those would otherwise stop everybody. For one event loop.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self._size, self._seconds = size, seconds
        self._held = 0
        self._waiting: dict[asyncio.Future[None], int] = {}

    @asynccontextmanager
    async def taken(self, size: int, seconds: float | None = None) -> AsyncIterator[float | None]:
        """Room for a body of `size` bytes; what is left of the `seconds` that its caller waits, or None.

        Raises ApiError 429 when there is none in time, 503 when the caller would not have waited that long.
        """
        left = seconds
        if self._fits(size):
            self._held += size
        else:
            began = time.monotonic()
            await self._wait(size, seconds)
            left = None if seconds is None else seconds - (time.monotonic() - began)
        try:
            yield left
        finally:
            self._leave(size)

    async def decode(self, body: bytes, decoder: Callable[[bytes], Decoded]) -> Decoded:
        """What the decoder makes of a body; of a large one on a thread, so that the loop stays free."""
        async with self.taken(len(body)):
            return decoder(body) if len(body) <= SMALL else await asyncio.to_thread(decoder, body)

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._size

    async def _wait(self, size: int, seconds: float | None) -> None:
        patience = self._seconds if seconds is None else min(seconds, self._seconds)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place] = size
        try:
            async with asyncio.timeout(patience):
                await place
        except BaseException as error:
            if self._waiting.pop(place, None) is None:  # it was let in at the same moment
                self._leave(size)
            if isinstance(error, TimeoutError):
                raise _no_room(seconds if patience == seconds else None) from None
            raise

    def _leave(self, size: int) -> None:
        self._held -= size
        for place, wanted in list(self._waiting.items()):
            if self._fits(wanted):
                del self._waiting[place]
                self._held += wanted
                place.set_result(None)


def _no_room(seconds: float | None) -> ApiError:
    if seconds is not None:
        return ApiError(
            503,
            "deadline_exceeded",
            f"the bodies before it were not decoded within the {1000 * seconds:g} ms the request allows",
            headers=RETRY_AFTER,
        )
    return ApiError(
        429,
        "overloaded",
        "too many large bodies are being decoded: try again soon",
        headers=RETRY_AFTER,
    )
