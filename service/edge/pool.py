"""A bounded pool for scoring: one thread a request, a short queue, and a refusal beyond it.

Jobs go over a plain queue, and answers come back by a callback on the event loop: that takes half the time of
an executor and its futures. Everything is counted on the loop, without a lock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

from service.errors import RETRY_AFTER, ApiError

Done = TypeVar("Done")

MEAN_WEIGHT = 0.1
"""Of the last job in the moving mean of their times."""


@dataclass(eq=False)
class _Ticket:
    """One job, and where its answer is waited for."""

    job: Callable[[], Any]
    answer: asyncio.Future[Any]
    queued: bool
    """are there others before it?"""
    seconds: float | None
    began: float = field(default_factory=time.monotonic)
    first: threading.Lock = field(default_factory=threading.Lock)
    """taken by the thread that begins the job, or by the caller that gives it up before"""

    def claimed(self) -> bool:
        return self.first.acquire(blocking=False)


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
        self._capacity, self._queue_seconds = threads + queue_size, queue_seconds
        self._waited = waited
        self._job_seconds = 0.0
        self._held = 0
        self._queue: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"scoring-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def full(self) -> bool:
        """Whether a job that may wait as long as any would be refused now."""
        return self._held >= self._capacity or self._expected_wait() > self._queue_seconds

    async def run(self, job: Callable[[], Done], seconds: float | None = None) -> Done:
        """The job's answer. Raises ApiError 429 when the pool is full, or was for too long.

        A caller that waits only `seconds` gets a 503 if the job was not begun by then, and it never is.
        """
        patience = self._queue_seconds if seconds is None else min(seconds, self._queue_seconds)
        if self._held >= self._capacity or self._expected_wait() > patience:
            raise overloaded()
        self._held += 1
        answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        ticket = _Ticket(job, answer, self._held > len(self._threads), seconds)
        self._queue.put(ticket)
        try:
            return await answer
        except asyncio.CancelledError:
            # Counted until the job really ends, whether or not someone still waits for it.
            if ticket.claimed():
                self._held -= 1
            raise
        finally:
            # The traceback of its exception holds this frame: with the future in the frame they would hold
            # one another, and the job's body, until the garbage collector comes.
            del answer, ticket

    def _work(self) -> None:
        """What a thread of the pool does until it is closed."""
        while (ticket := self._queue.get()) is not None:
            if ticket.claimed():
                # An error's traceback holds the ticket; with the future there they would hold one another.
                answer = ticket.answer
                del ticket.answer
                found: Any = None
                failed: BaseException | None = None
                try:
                    found = self._done(ticket)
                except BaseException as error:
                    failed = error
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    answer.get_loop().call_soon_threadsafe(self._answered, answer, found, failed)
                del answer, found, failed
            del ticket  # and with it the job's body, while the thread waits for another

    def _done(self, ticket: _Ticket) -> Any:
        waited = time.monotonic() - ticket.began
        self._waited(waited)
        if ticket.seconds is not None and waited > ticket.seconds:
            raise _too_late(ticket.seconds)
        # Without others before it the wait was the machine's own, and refusing would not shorten it.
        if ticket.queued and waited > self._queue_seconds:
            raise overloaded()
        started = time.monotonic()
        try:
            answer = ticket.job()
        except StopIteration as error:
            # A future cannot carry it: whoever waits would wait for ever.
            raise RuntimeError("a job ran off an iterator") from error
        self._job_seconds += MEAN_WEIGHT * (time.monotonic() - started - self._job_seconds)
        return answer

    def _answered(self, answer: asyncio.Future[Any], found: Any, failed: BaseException | None) -> None:
        """On the loop."""
        self._held -= 1
        if answer.cancelled():
            return
        if failed is None:
            answer.set_result(found)
        else:
            answer.set_exception(failed)

    def _expected_wait(self) -> float:
        """Seconds until one more job would be done: those before it, and itself."""
        if self._held < len(self._threads):
            return 0.0
        return (self._held + 1) / len(self._threads) * self._job_seconds

    def close(self) -> None:
        """Let the jobs that were begun end; those that wait are given up."""
        while not self._queue.empty():
            self._queue.get()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()


def overloaded() -> ApiError:
    return ApiError(429, "overloaded", "all scoring threads are busy: try again soon", headers=RETRY_AFTER)


def _too_late(seconds: float) -> ApiError:
    return ApiError(
        503,
        "deadline_exceeded",
        f"no scoring thread was free within the {1000 * seconds:g} ms the request allows",
        headers=RETRY_AFTER,
    )
