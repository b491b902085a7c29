"""Room for bodies that are being decoded: who enters, who waits, and who is refused."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest

from ranking.data.arrays import Float32
from service.app import create_app
from service.edge.room import Room
from service.errors import ApiError
from service.settings import Settings
from tests.service.conftest import Linear
from tests.service.replies import assert_shape


async def hold(room: Room, size: int, seconds: float, order: list[int]) -> None:
    async with room.taken(size):
        order.append(size)
        await asyncio.sleep(seconds)


def test_bodies_wait_for_room_and_small_ones_pass() -> None:
    """60 and 30 fit into 100; 80 waits for both, while 10 and 9 do not."""
    order: list[int] = []

    async def several() -> None:
        room = Room(100, 5)
        sizes = [(60, 0.1), (30, 0.05), (80, 0.0), (10, 0.0), (9, 0.0)]
        await asyncio.gather(*(hold(room, size, seconds, order) for size, seconds in sizes))
        async with room.taken(100):  # all of it is free again
            pass

    asyncio.run(several())
    assert order == [60, 30, 10, 9, 80]


def test_a_body_larger_than_the_room_is_in_it_alone() -> None:
    """It would never be decoded otherwise."""
    order: list[int] = []

    async def several() -> None:
        room = Room(100, 5)
        sizes = [(1, 0.05), (500, 0.05), (2, 0.0)]
        await asyncio.gather(*(hold(room, size, seconds, order) for size, seconds in sizes))

    asyncio.run(several())
    assert order == [1, 2, 500]


def test_who_waits_too_long_is_refused_and_takes_no_room() -> None:
    """429, or 503 where the caller set the time; a cancelled one leaves nothing behind either."""

    async def several() -> None:
        room = Room(10, 0.05)
        async with room.taken(10, 1) as left:
            assert left == 1
            with pytest.raises(ApiError) as full:
                await hold(room, 1, 0, [])
            assert (full.value.status, full.value.code) == (429, "overloaded")
            assert full.value.headers == {"Retry-After": "1"}
            with pytest.raises(ApiError) as late:
                async with room.taken(1, 0.01):
                    pass
            assert (late.value.status, late.value.code) == (503, "deadline_exceeded")
            gone = asyncio.create_task(hold(room, 1, 0, []))
            await asyncio.sleep(0.01)
            gone.cancel()
            waiting = asyncio.create_task(rest(room))
            await asyncio.sleep(0.02)
        assert 0 < await waiting < 0.99
        await hold(room, 10, 0, [])

    async def rest(room: Room) -> float:
        async with room.taken(1, 1) as left:
            assert left is not None
            return left

    asyncio.run(several())


def test_a_large_body_is_decoded_beside_the_loop() -> None:
    """A small one is not worth a thread."""

    async def both() -> list[threading.Thread]:
        room = Room(100, 5)
        return [
            await room.decode(body, lambda body: threading.current_thread())
            for body in (b"{}", bytes(1 << 20))
        ]

    small, large = asyncio.run(both())
    assert small is threading.main_thread()
    assert large is not small


def test_the_service_bounds_the_bodies_it_decodes_at_once() -> None:
    """Threads are free, memory is not: the second body is told to come again, a later one is answered."""
    go = threading.Event()

    class Slow(Linear):
        def score(self, features: Float32) -> Float32:
            go.wait(10)
            return super().score(features)

    body = b'{"candidates":[{"id":"a","features":[1,2,3]}]}'

    async def three() -> list[httpx.Response]:
        settings = Settings(scoring_threads=4, queue_seconds=0.05, max_decoding_bytes=len(body) + 10)
        transport = httpx.ASGITransport(create_app(settings, Slow()))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            first = asyncio.create_task(client.post("/v1/rank", content=body))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            foreign = await client.post("/v2/rerank", content=b'{"documents":[{"features":[1,2,3]}]}')
            assert 0.04 < time.monotonic() - began < 5
            go.set()
            return [await first, foreign, await client.post("/v1/rank", content=body)]

    first, refused, later = asyncio.run(three())
    assert (first.status_code, refused.status_code, later.status_code) == (200, 429, 200)
    assert assert_shape(refused)["error"] == "overloaded"
    assert refused.headers["retry-after"] == "1"
