"""A bounded pool: what runs where, what waits, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from contextlib import suppress

import pytest

from service.edge.pool import ScoringPool
from service.errors import ApiError


def test_a_job_that_would_wait_too_long_is_refused_at_once() -> None:
    """By the mean time of those before it."""
    pool = ScoringPool(1, 100, 0.5)

    async def many() -> list[int]:
        for _ in range(3):
            await pool.run(lambda: time.sleep(0.1))
        jobs = [asyncio.ensure_future(pool.run(lambda: time.sleep(0.1))) for _ in range(60)]
        await asyncio.sleep(0.01)
        refused = sum(job.done() and isinstance(job.exception(), ApiError) for job in jobs)
        done = await asyncio.gather(*jobs, return_exceptions=True)
        return [refused, sum(answer is None for answer in done)]

    refused, answered = asyncio.run(many())
    assert refused > 30
    assert answered >= 3
    pool.close()


def test_a_caller_that_does_not_wait_is_told_and_the_job_is_never_begun() -> None:
    """503, which may pass."""
    pool = ScoringPool(1, 10, 5)
    begun: list[int] = []

    async def two() -> None:
        first = asyncio.ensure_future(pool.run(lambda: time.sleep(0.2)))
        await asyncio.sleep(0.01)
        with pytest.raises(ApiError) as late:
            await pool.run(lambda: begun.append(1), 0.05)
        assert (late.value.status, late.value.code) == (503, "deadline_exceeded")
        await first

    asyncio.run(two())
    assert begun == []
    pool.close()


def test_a_job_that_failed_is_freed_at_once() -> None:
    """With the body it was about: nothing that holds it holds itself, and waits for the garbage collector."""
    pool = ScoringPool(1, 1, 1)

    class Body:
        def refuse(self) -> None:
            raise ApiError(422, "no", "no")

    async def freed() -> bool:
        body = Body()
        held = weakref.ref(body)
        with suppress(ApiError):
            await pool.run(body.refuse)
        del body
        # The worker lets go of its last job when it has the next.
        await pool.run(lambda: None)
        return held() is None

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(freed())
    finally:
        gc.enable()
    pool.close()


def test_an_iterator_run_off_is_an_error_and_no_hang() -> None:
    """A future cannot carry StopIteration."""
    pool = ScoringPool(1, 1, 1)
    with pytest.raises(RuntimeError, match="iterator"):
        asyncio.run(pool.run(lambda: next(iter([]))))
    pool.close()


def test_a_job_given_up_before_it_begins_makes_room_at_once() -> None:
    """Whose caller has gone is never begun, and what it held of the queue is free."""
    pool = ScoringPool(1, 1, 5)
    begun: list[int] = []

    async def three() -> None:
        first = asyncio.ensure_future(pool.run(lambda: time.sleep(0.2)))
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(pool.run(lambda: begun.append(2)))
        await asyncio.sleep(0.01)
        assert pool.full
        second.cancel()
        await asyncio.sleep(0.01)
        assert not pool.full
        await pool.run(lambda: begun.append(3))
        await first

    asyncio.run(three())
    assert begun == [3]
    pool.close()


def test_a_job_that_runs_counts_though_its_caller_has_gone() -> None:
    pool = ScoringPool(1, 0, 5)

    async def two() -> None:
        first = asyncio.ensure_future(pool.run(lambda: time.sleep(0.2)))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0.01)
        assert pool.full
        with pytest.raises(ApiError):
            await pool.run(lambda: None)
        await asyncio.sleep(0.3)
        await pool.run(lambda: None)

    asyncio.run(two())
    pool.close()


def test_closing_ends_the_threads() -> None:
    pool = ScoringPool(2, 2, 5)
    asyncio.run(pool.run(lambda: None))
    pool.close()
    assert not any(thread.is_alive() for thread in pool._threads)
