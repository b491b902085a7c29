"""A bounded pool for scoring: one thread a request, a short queue, and a refusal beyond it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from service.errors import RETRY_AFTER, ApiError

Done = TypeVar("Done")

MEAN_WEIGHT = 0.1
"""Of the last job in the moving mean of their times."""


class ScoringPool:
    """At most `threads` jobs run and `queue_size` wait, none longer than `queue_seconds`.

    A refused request costs nothing but its body, so overload does not slow down those that were accepted. It
    is refused at once where the jobs before it would take longer than it may wait, by their mean time.
    `waited` is told how long each job waited, in seconds.
    """

    def __init__(
        self,
        threads: int,
        queue_size: int,
        queue_seconds: float,
        waited: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._capacity, self._queue_seconds = threads + queue_size, queue_seconds
        self._waited = waited
        self._threads, self._job_seconds = threads, 0.0
        self._held = 0
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether a job that may wait as long as any would be refused now."""
        return self._held >= self._capacity or self._expected_wait() > self._queue_seconds

    async def run(self, job: Callable[[], Done], seconds: float | None = None) -> Done:
        """The job's answer. Raises ApiError 429 when the pool is full, or was for too long.

        A caller that waits only `seconds` gets a 503 if the job was not begun by then, and it never is.
        """
        patience = self._queue_seconds if seconds is None else min(seconds, self._queue_seconds)
        with self._lock:
            if self._held >= self._capacity or self._expected_wait() > patience:
                raise overloaded()
            self._held += 1
            queued = self._held > self._threads
        began = time.monotonic()

        def in_time() -> Done:
            waited = time.monotonic() - began
            self._waited(waited)
            if seconds is not None and waited > seconds:
                raise _too_late(seconds)
            # Without others before it the wait was the machine's own, and refusing would not shorten it.
            if queued and waited > self._queue_seconds:
                raise overloaded()
            try:
                return self._timed(job)
            except StopIteration as error:
                # A future cannot carry it: whoever waits would wait for ever.
                raise RuntimeError("a job ran off an iterator") from error

        future = self._executor.submit(in_time)
        # Counted until the job really ends, whether or not someone still waits for it.
        future.add_done_callback(self._release)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # The traceback of its exception holds this frame: with the future in the frame they would hold
            # one another, and the job's body, until the garbage collector comes.
            del future

    def _timed(self, job: Callable[[], Done]) -> Done:
        started = time.monotonic()
        answer = job()
        self._job_seconds += MEAN_WEIGHT * (time.monotonic() - started - self._job_seconds)
        return answer

    def _expected_wait(self) -> float:
        """Seconds until one more job would be done: those before it, and itself."""
        if self._held < self._threads:
            return 0.0
        return (self._held + 1) / self._threads * self._job_seconds

    def _release(self, future: Future[Done]) -> None:
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def overloaded() -> ApiError:
    return ApiError(429, "overloaded", "all scoring threads are busy: try again soon", headers=RETRY_AFTER)


def _too_late(seconds: float) -> ApiError:
    return ApiError(
        503,
        "deadline_exceeded",
        f"no scoring thread was free within the {1000 * seconds:g} ms the request allows",
        headers=RETRY_AFTER,
    )
