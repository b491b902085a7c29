"""Requests a second: this service against the obvious FastAPI handler, on the same model, in one run.

    python benchmarks/serve_rank.py [--seconds 4] [--clients 4]

100 candidates x 136 features, LightGBM of 300 trees. Each server is a uvicorn process of its own with one
worker; the clients are threads of this process that send the same bytes over keep-alive connections. The
variants take turns, twice, so that a busy machine hits them alike. Before timing, the answers are compared.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
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

CANDIDATES, FEATURES, TREES = 100, 136, 300
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


def write_model(folder: Path) -> None:
    """A LightGBM model folder in `folder/model`, and its bare text in `folder/model.txt`."""
    import lightgbm

    from ranking.artifact import save_artifact
    from ranking.scorer import TreeRanker

    generator = np.random.default_rng(0)
    features = generator.normal(size=(5000, FEATURES)).astype(np.float32)
    labels = features[:, :20].sum(axis=1) + generator.normal(size=5000)
    parameters = {"verbosity": -1, "num_leaves": 31, "num_threads": 1}
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


def ask(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/v1/rank", body, {"content-type": "application/json"})
    reply = connection.getresponse()
    content = reply.read()
    if reply.status != 200:
        raise RuntimeError(f"{reply.status}: {content[:200]!r}")
    return content


def measure(port: int, body: bytes, clients: int, seconds: float) -> list[float]:
    """Latencies of every request the clients made in that time."""
    latencies: list[float] = []
    ends = time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (started := time.perf_counter()) < ends:
            ask(connection, body)
            latencies.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def bodies() -> dict[str, bytes]:
    rows = np.random.default_rng(1).normal(size=(CANDIDATES, FEATURES)).round(6).tolist()
    ids = [f"d{i}" for i in range(CANDIDATES)]
    dense = [{"id": name, "features": row} for name, row in zip(ids, rows, strict=True)]
    named = [
        {"id": name, "features": dict(zip(NAMES, row, strict=True))}
        for name, row in zip(ids, rows, strict=True)
    ]
    forms: dict[str, Any] = {
        "dense": {"candidates": dense},
        "named": {"candidates": named},
        "columnar": {"ids": ids, "columns": NAMES, "matrix": rows},
    }
    return {form: json.dumps(body).encode() for form, body in forms.items()}


def variants(folder: Path) -> dict[str, tuple[list[str], dict[str, str], str]]:
    """Name -> (command, environment, form of the body)."""
    ours = (["-m", "service"], {"RANKWRIGHT_MODEL": str(folder / "model"), "RANKWRIGHT_PORT": "0"})

    def obvious(handler: str, threads: str) -> str:
        return OBVIOUS.replace("HANDLER", handler).replace("THREADS", threads)

    plain = {
        "obvious, async def": obvious("async def", ""),
        "obvious, def": obvious("def", ""),
        "obvious, def, 1 thread": obvious("def", "num_threads=1"),
    }
    cases: dict[str, tuple[list[str], dict[str, str], str]] = {
        name: (["-c", code, str(folder / "model.txt"), str(18_500 + i)], {}, "dense")
        for i, (name, code) in enumerate(plain.items())
    }
    return cases | {f"rankwright, {form}": (*ours, form) for form in ("dense", "named", "columnar")}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--clients", type=int, default=4)
    chosen = options.parse_args()
    sent = bodies()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder)
        cases = variants(folder)
        rates: dict[str, list[float]] = {case: [] for case in cases}
        delays: dict[str, list[float]] = {case: [] for case in cases}
        orders = set()
        for _ in range(2):
            for case, (command, variables, form) in cases.items():
                with server(command, **variables) as port:
                    warm = http.client.HTTPConnection("127.0.0.1", port)
                    reply = json.loads(ask(warm, sent[form]))
                    warm.close()
                    orders.add(tuple(result["id"] for result in reply["results"]))
                    latencies = measure(port, sent[form], chosen.clients, chosen.seconds)
                    rates[case].append(len(latencies) / chosen.seconds)
                    delays[case] += latencies
        if len(orders) != 1:
            raise RuntimeError("the servers disagree on the order")
    report(rates, delays, chosen.clients)


def report(rates: dict[str, list[float]], delays: dict[str, list[float]], clients: int) -> None:
    print(f"{CANDIDATES} candidates x {FEATURES} features, {TREES} trees, {clients} clients, 1 worker")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    base = statistics.mean(rates["obvious, async def"])
    print(f"{'':26}{'req/s':>8}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}")
    for case, each in rates.items():
        rate = statistics.mean(each)
        p50, p99 = (np.percentile(delays[case], q) * 1000 for q in (50, 99))
        print(f"{case:26}{rate:8.0f}{rate / base:8.1f}{p50:9.1f}{p99:9.1f}")


if __name__ == "__main__":
    main()
