"""Requests a second and latency: this service against the obvious FastAPI handler, same model, one run.

    python -m benchmarks.serve_rank [--seconds 3] [--rounds 3]

100 candidates x 136 features, LightGBM of 500 trees x 64 leaves. Each server is a uvicorn process of its own
with one worker; clients are threads that send the same bytes over keep-alive connections and read the reply
without looking into it. The variants take turns, so that a busy machine hits them alike; a round asks each
with one connection (latency) and with four (rate). Ratios are medians of those of the rounds. Before timing
the orders are compared.

The empty handler is FastAPI that reads the same bytes and answers nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CANDIDATES, FEATURES, TREES, LEAVES = 100, 136, 500, 64
FORMS = ("dense", "named", "columnar", "npy", "ids only")
NAMES = tuple(f"feature_{i}" for i in range(FEATURES))

# What one writes first: a pydantic model in, the booster called in the handler, a pydantic model out.
OBVIOUS = """
import lightgbm, numpy as np, sys, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

class Candidate(BaseModel):
    id: str
    features: list[float]
class Request(BaseModel):
    candidates: list[Candidate]
class Result(BaseModel):
    id: str
    index: int
    rank: int
    score: float
class Reply(BaseModel):
    results: list[Result]

app, booster = FastAPI(), lightgbm.Booster(model_file=sys.argv[1])

@app.post("/v1/rank")
HANDLER rank(request: Request) -> Reply:
    scores = booster.predict(np.array([c.features for c in request.candidates]), THREADS)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return Reply(results=[Result(id=request.candidates[i].id, index=i, rank=r, score=scores[i])
                          for r, i in enumerate(order, 1)])

@app.on_event("startup")
def ready():
    print("serving on http://127.0.0.1:" + sys.argv[2], file=sys.stderr, flush=True)

uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""

EMPTY = """
import sys, uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()

@app.post("/v1/rank")
async def rank(request: Request) -> Response:
    await request.body()
    return Response()

@app.on_event("startup")
def ready():
    print("serving on http://127.0.0.1:" + sys.argv[2], file=sys.stderr, flush=True)

uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


def write_model(folder: Path) -> None:
    """A LightGBM model folder in `folder/model`, and its bare text in `folder/model.txt`."""
    import lightgbm

    from ranking.models.folder import save_artifact
    from ranking.trees.ranker import TreeRanker

    generator = np.random.default_rng(0)
    features = generator.normal(size=(5000, FEATURES)).astype(np.float32)
    labels = features[:, :20].sum(axis=1) + generator.normal(size=5000)
    parameters = {"verbosity": -1, "num_leaves": LEAVES, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, labels), num_boost_round=TREES)
    text = booster.model_to_string()
    (folder / "model.txt").write_text(text)
    ranker = TreeRanker.from_bytes("lightgbm", text.encode(), feature_names=NAMES, missing="nan")
    save_artifact(folder / "model", ranker, facts={}, golden=features[:5])


@contextmanager
def server(command: list[str], **variables: str) -> Iterator[int]:
    """The port of a running server."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | variables
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *command], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"serving on http://[^:]+:(\d+)", line):
                time.sleep(0.3)
                yield int(found[1])
                return
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.communicate()


class Connection:
    """A keep-alive connection that sends one request again and again."""

    def __init__(self, port: int, body: bytes, kind: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
        self.request = f"{head}\r\n\r\n".encode() + body

    def ask(self) -> bytes:
        self.socket.sendall(self.request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        if not received.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(received[:300])
        length = int(re.search(rb"(?i)content-length: (\d+)", received)[1])  # type: ignore[index]
        while len(received) < end + 4 + length:
            received += self._more()
        return received[end + 4 :]

    def _more(self) -> bytes:
        content = self.socket.recv(1 << 18)
        if not content:
            raise RuntimeError("the server closed the connection")
        return content


def measure(port: int, body: bytes, kind: str, clients: int, seconds: float) -> list[float]:
    """Latencies of every request the clients made in that time."""
    latencies: list[float] = []
    ends = time.perf_counter() + seconds

    def client() -> None:
        connection = Connection(port, body, kind)
        while (started := time.perf_counter()) < ends:
            connection.ask()
            latencies.append(time.perf_counter() - started)
        connection.socket.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def bodies() -> dict[str, tuple[bytes, str]]:
    """Form -> (body, media type)."""
    matrix = np.random.default_rng(1).normal(size=(CANDIDATES, FEATURES)).round(6).astype(np.float32)
    rows = [[float(f"{value:.6g}") for value in row] for row in matrix.tolist()]
    ids = [f"d{i}" for i in range(CANDIDATES)]
    forms: dict[str, Any] = {
        "dense": {"candidates": [{"id": n, "features": row} for n, row in zip(ids, rows, strict=True)]},
        "named": {
            "candidates": [
                {"id": n, "features": dict(zip(NAMES, row, strict=True))}
                for n, row in zip(ids, rows, strict=True)
            ]
        },
        "columnar": {"ids": ids, "columns": NAMES, "matrix": rows},
        "ids only": {"candidates": [{"id": n} for n in ids]},
    }
    found = {form: (json.dumps(body).encode(), "application/json") for form, body in forms.items()}
    buffer = io.BytesIO()
    np.save(buffer, np.array(rows, np.float32))
    return {**found, "npy": (buffer.getvalue(), "application/x-npy")}


def write_store(folder: Path, body: bytes) -> None:
    """The dense request's rows by id, among 100,000 others."""
    from ranking.data.store import Table, build_store

    candidates = json.loads(body)["candidates"]
    others = np.random.default_rng(2).normal(size=(100_000, FEATURES)).astype(np.float32)
    matrix = np.concatenate([others, np.array([c["features"] for c in candidates], np.float32)])
    ids = [*(f"other-{i}" for i in range(len(others))), *(c["id"] for c in candidates)]
    build_store(str(folder / "store"), Table(NAMES, ids, matrix))


def variants(folder: Path) -> dict[str, tuple[list[str], dict[str, str], str]]:
    """Name -> (command, environment, form of the body)."""
    variables = {
        "RANKWRIGHT_MODEL": str(folder / "model"),
        "RANKWRIGHT_PORT": "0",
        "RANKWRIGHT_FEATURES": str(folder / "store"),
    }

    def obvious(handler: str, threads: str) -> str:
        return OBVIOUS.replace("HANDLER", handler).replace("THREADS", threads)

    plain = {
        "obvious, async def": obvious("async def", ""),
        "obvious, def, 1 thread": obvious("def", "num_threads=1"),
        "empty handler": EMPTY,
    }
    cases: dict[str, tuple[list[str], dict[str, str], str]] = {
        name: (["-c", code, str(folder / "model.txt"), str(18_500 + i)], {}, "dense")
        for i, (name, code) in enumerate(plain.items())
    }
    return cases | {f"rankwright, {form}": (["-m", "service"], variables, form) for form in FORMS}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    sent = bodies()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder)
        write_store(folder, sent["dense"][0])
        cases = variants(folder)
        rates: dict[str, list[float]] = {case: [] for case in cases}
        medians: dict[str, list[float]] = {case: [] for case in cases}
        orders = set()
        for _ in range(chosen.rounds):
            for case, (command, variables, form) in cases.items():
                with server(command, **variables) as port:
                    content = Connection(port, *sent[form]).ask()
                    if case != "empty handler":
                        orders.add(tuple(result["index"] for result in json.loads(content)["results"]))
                    measure(port, *sent[form], 2, 0.5)
                    alone = measure(port, *sent[form], 1, chosen.seconds)
                    medians[case].append(statistics.median(alone))
                    together = measure(port, *sent[form], 4, chosen.seconds)
                    rates[case].append(len(together) / chosen.seconds)
    if len(orders) != 1:
        raise RuntimeError("the servers disagree on the order")
    report(rates, medians)


def report(rates: dict[str, list[float]], medians: dict[str, list[float]]) -> None:
    """Beside the better of the obvious handlers, round by round."""
    print(f"{CANDIDATES} candidates x {FEATURES} features, {TREES} trees x {LEAVES} leaves, 1 worker")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    plain = [case for case in rates if case.startswith("obvious")]
    best = np.max([rates[case] for case in plain], axis=0)
    quickest = np.min([medians[case] for case in plain], axis=0)
    print(
        "| | requests/s | over the obvious | p50 ms alone | over the obvious | over the empty | over dense |"
    )
    print("|---|---|---|---|---|---|---|")
    for case in rates:
        rate, p50 = np.array(rates[case]), np.array(medians[case])
        ratios = (p50 / quickest, p50 / medians["empty handler"], p50 / medians["rankwright, dense"])
        cells = " | ".join(f"{np.median(ratio):.2f}" for ratio in ratios)
        over = f"{np.median(rate):.0f} | {np.median(rate / best):.1f}"
        print(f"| {case} | {over} | {1000 * np.median(p50):.2f} | {cells} |")


if __name__ == "__main__":
    main()
