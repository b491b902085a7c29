"""A bounded pool for scoring: one thread a request, a short queue, and a refusal beyond it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from service.errors import RETRY_AFTER, ApiError

Answer = TypeVar("Answer")


class ScoringPool:
    """At most `threads` jobs run and `queue_size` wait, none longer than `queue_seconds`.

    A refused request costs nothing but its body, so overload does not slow down those that were accepted.
    """

    def __init__(self, threads: int, queue_size: int, queue_seconds: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._capacity, self._queue_seconds = threads + queue_size, queue_seconds
        self._held = 0
        self._lock = threading.Lock()

    async def run(self, job: Callable[[], Answer]) -> Answer:
        """The job's answer. Raises ApiError 429 when the pool is full, or was for too long."""
        with self._lock:
            if self._held >= self._capacity:
                raise _overloaded()
            self._held += 1
        deadline = time.monotonic() + self._queue_seconds

        def in_time() -> Answer:
            if time.monotonic() > deadline:
                raise _overloaded()
            return job()

        future = self._executor.submit(in_time)
        # Counted until the job really ends, whether or not someone still waits for it.
        future.add_done_callback(self._release)
        return await asyncio.wrap_future(future)

    def _release(self, future: Future[Answer]) -> None:
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def _overloaded() -> ApiError:
    return ApiError(429, "overloaded", "all scoring threads are busy: try again soon", headers=RETRY_AFTER)
