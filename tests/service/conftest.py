"""A ranker small enough to compute by hand, and an app around it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from ranking.data.arrays import Float32, Float64
from ranking.data.dataset import Missing
from service.app import create_app
from service.settings import Settings


class Linear:
    """score = weights · features + bias, in float32."""

    kind = "linear"
    per_list = False

    def __init__(
        self,
        weights: tuple[float, ...] = (1.0, 10.0, 100.0),
        bias: float = 0.5,
        missing: Missing = "zero",
        feature_names: tuple[str, ...] = ("bm25", "ctr", "price"),
    ) -> None:
        self.weights, self.bias = np.asarray(weights, np.float32), np.float32(bias)
        self.missing: Missing = missing
        self.feature_names = feature_names
        self.feature_count = len(feature_names)
        self.seen: Float32 | None = None

    def score(self, features: Float32) -> Float32:
        self.seen = features
        filled = np.nan_to_num(features, nan=-1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            scores: Float32 = (filled * self.weights).sum(axis=1, dtype=np.float32) + self.bias
        return scores

    def contributions(self, features: Float32) -> Float64:
        parts = np.nan_to_num(features, nan=-1.0).astype(np.float64) * self.weights
        return np.hstack([parts, np.full((len(features), 1), float(self.bias))])

    def save(self, folder: Path) -> None:
        raise NotImplementedError


class Client:
    """httpx in the app's own process, its lifespan running."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._runner = asyncio.Runner()
        self._lifespan: AbstractAsyncContextManager[Any] = app.router.lifespan_context(app)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://service"
        )

    def __enter__(self) -> Client:
        try:
            self._runner.run(self._lifespan.__aenter__())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def finish_background(self) -> None:
        """Wait until what was submitted to the background is done."""
        done = threading.Event()
        while not self.app.state.background.submit(done.set):
            time.sleep(0.01)
        assert done.wait(10)

    def rank(self, body: Any) -> httpx.Response:
        """POST /v1/rank: bytes as they are, anything else as JSON."""
        if isinstance(body, bytes):
            headers = {"content-type": "application/json"}
            return self.request("POST", "/v1/rank", content=body, headers=headers)
        return self.request("POST", "/v1/rank", json=body)


OpenClient = Callable[..., Client]


@pytest.fixture
def open_client() -> Iterator[OpenClient]:
    """open_client(ranker, **settings) is a client; all are closed at the end."""
    opened: list[Client] = []

    def open_one(ranker: Any = None, **settings: Any) -> Client:
        client = Client(create_app(Settings(**settings), ranker)).__enter__()
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.__exit__()


@pytest.fixture
def client(open_client: OpenClient) -> Client:
    return open_client(Linear())
