"""What the service and the registry withstand: each part prints one JSON line, and the exit status says all.

    python -m benchmarks.torture [--parts overload,swaps,...] [--short] [--table FILE]

Loopback only, bounded in count and time. `--short` is what the test suite runs. A line has `name`, `n`,
`failures` (what must not happen), `ok` (failures and the part's own bar) and what was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = 8
NAMES = tuple(f"feature_{i}" for i in range(FEATURES))
ROWS = np.random.default_rng(1).normal(size=(10, FEATURES)).round(4).astype(np.float32)
CANDIDATES = [{"id": f"d{i}", "features": [round(float(v), 4) for v in row]} for i, row in enumerate(ROWS)]
ROOT = Path(__file__).parents[1]


# --- Servers, models and clients --------------------------------------------------------------------


def write_model(folder: Path, seed: int, kind: str = "lightgbm", trees: int = 50) -> Path:
    """A small model folder; another seed, other scores."""
    from ranking.models.folder import golden_rows, save_artifact
    from ranking.trees.ranker import TreeRanker

    generator = np.random.default_rng(seed)
    features = generator.normal(size=(500, FEATURES)).astype(np.float32)
    labels = features @ generator.normal(size=FEATURES)
    if kind == "lightgbm":
        import lightgbm

        settings: dict[str, Any] = {"verbosity": -1, "num_leaves": 31, "num_threads": 1}
        content = (
            lightgbm.train(settings, lightgbm.Dataset(features, labels), trees).model_to_string().encode()
        )
    else:
        import xgboost

        settings = {"max_depth": 5, "nthread": 1}
        content = bytes(xgboost.train(settings, xgboost.DMatrix(features, labels), trees).save_raw("ubj"))
    ranker = TreeRanker.from_bytes(kind, content, feature_names=NAMES, missing="nan")
    save_artifact(folder, ranker, facts={}, golden=golden_rows(features, seed))
    return folder


@contextmanager
def serving(**variables: Any) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """(process, port) of the service with these settings."""
    named = {f"RANKWRIGHT_{key.upper()}": str(value) for key, value in variables.items()}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RANKWRIGHT_PORT": "0"} | named
    process = subprocess.Popen(
        [sys.executable, "-m", "service"], env=environment, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stderr is not None
    # Once the port is known, what it logs is read and dropped: a full pipe would stop whatever thread logs.
    reader = threading.Thread(target=deque, args=(process.stderr, 0), daemon=True)
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"serving on http://[^:]+:(\d+)", line):
                break
        else:
            raise RuntimeError("".join(said))
        reader.start()
        wait_ready(int(found[1]))
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()
        if reader.ident:
            reader.join()
        process.stderr.close()


def wait_ready(port: int) -> None:
    for _ in range(400):
        if asyncio.run(_once(port, b"", "/readyz", "GET"))[0] == 200:
            return
        time.sleep(0.05)
    raise RuntimeError("the service did not become ready")


async def _once(port: int, body: bytes, path: str = "/v1/rank", method: str = "POST") -> tuple[int, bytes]:
    connection = Connection(port)
    try:
        return await connection.ask(body, path, method)
    finally:
        connection.close()


class Connection:
    """A keep-alive HTTP connection that opens itself."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, body: bytes, path: str = "/v1/rank", method: str = "POST", headers: str = ""
    ) -> tuple[int, bytes]:
        """(status, content); OSError or IncompleteReadError where the connection ends."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        try:
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length: ")[2].split(b"\r\n")[0])
            content = await reader.readexactly(length)
            if b"connection: close" in answer:
                self.close()
            return int(answer.split()[1]), content
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def rank_body(**more: Any) -> bytes:
    return json.dumps({"candidates": CANDIDATES, **more}).encode()


def percentile(values: list[float], q: float) -> float:
    return round(float(np.percentile(values, q)) if values else float("nan"), 4)


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- The parts --------------------------------------------------------------------------------------


def overload(folder: Path, short: bool) -> dict[str, Any]:
    """Ten times what it can do, by the clock and not by its answers: goodput, latency, refusals, recovery."""
    seconds = 3 if short else 30
    deadline_ms = 500
    model = write_model(folder / "model", 1, trees=1000)
    body = rank_body(explain=True)

    async def closed_loop(port: int, clients: int, length: float) -> list[float]:
        ends, delays = time.perf_counter() + length, []

        async def client() -> None:
            connection = Connection(port)
            while (started := time.perf_counter()) < ends:
                if (await connection.ask(body))[0] == 200:
                    delays.append(time.perf_counter() - started)
            connection.close()

        await asyncio.gather(*(client() for _ in range(clients)))
        return delays

    async def open_loop(port: int, rate: float, length: float) -> list[tuple[int, float]]:
        found: list[tuple[int, float]] = []
        idle: list[Connection] = []
        tasks = set()

        async def one() -> None:
            started = time.perf_counter()
            connection = idle.pop() if idle else Connection(port)
            try:
                status, _ = await connection.ask(body, headers=f"X-Deadline-Ms: {deadline_ms}\r\n")
            except (OSError, asyncio.IncompleteReadError):
                status = 0
            found.append((status, time.perf_counter() - started))
            idle.append(connection)

        began = time.perf_counter()
        for number in range(int(rate * length)):
            await asyncio.sleep(max(0, began + number / rate - time.perf_counter()))
            tasks.add(task := asyncio.create_task(one()))
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for connection in idle:
            connection.close()
        return found

    with serving(model=model, max_explained=100) as (_, port):
        asyncio.run(closed_loop(port, 4, 1))
        alone = asyncio.run(closed_loop(port, 1, 2))
        peak = len(asyncio.run(closed_loop(port, 4, 3))) / 3
        found = asyncio.run(open_loop(port, 10 * peak, seconds))
        ended = time.perf_counter()
        while percentile(asyncio.run(closed_loop(port, 1, 0.2)), 50) > 2 * percentile(alone, 50):
            if time.perf_counter() - ended > 10:
                break
        recovery = time.perf_counter() - ended
    good = [delay for status, delay in found if status == 200]
    refused = [delay for status, delay in found if status in (429, 503)]
    failures = sum(status not in (200, 429, 503) for status, _ in found)
    goodput = len(good) / seconds / peak
    p99, refused_p99 = percentile(good, 99), percentile(refused, 99)
    within = goodput >= 0.8 and p99 <= deadline_ms / 1000 and refused_p99 < 0.05 and recovery <= 2
    return {
        "n": len(found), "failures": failures, "ok": failures == 0 and within,
        "peak_per_second": round(peak, 1), "goodput_of_peak": round(goodput, 2), "accepted_p99_s": p99,
        "refused": len(refused), "refused_p99_s": refused_p99, "recovery_s": round(recovery, 2),
    }  # fmt: skip


def swaps(folder: Path, short: bool) -> dict[str, Any]:
    """Promotions under load: every answer has the scores of the version it names."""
    from ranking.models.registry import Registry

    count, clients, versions = (10, 8, 4) if short else (200, 32, 4)
    registry = Registry(folder / "registry")
    expected: dict[str, list[float]] = {}
    for seed in range(1, versions + 1):
        version = registry.publish(write_model(folder / f"m{seed}", seed), "m", "production")
        scores = registry.load(f"m@{version}").score(ROWS)
        expected[str(version)] = scores.tolist()
    body = rank_body()
    tally: Counter[str] = Counter()
    delays: list[float] = []

    async def client(port: int, stop: asyncio.Event) -> None:
        connection = Connection(port)
        while not stop.is_set():
            started = time.perf_counter()
            try:
                status, content = await connection.ask(body)
            except (OSError, asyncio.IncompleteReadError):
                status, content = 0, b""
            delays.append(time.perf_counter() - started)
            if status != 200:
                tally["failed"] += 1
                continue
            reply = json.loads(content)
            wanted = expected[reply["version"]]
            mixed = any(result["score"] != wanted[result["index"]] for result in reply["results"])
            tally["mixed"] += mixed
            tally[f"version {reply['version']}"] += 1
        connection.close()

    async def run(port: int) -> int:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(client(port, stop)) for _ in range(clients)]
        swapped, last = 0, ""
        for number in range(count):
            wanted = 1 + number % versions
            await asyncio.to_thread(registry.promote, "m", wanted, "production")
            for _ in range(500):
                await asyncio.sleep(0.01)
                now = json.loads((await _once(port, body))[1])["version"]
                if now == str(wanted):
                    swapped += now != last
                    last = now
                    break
        stop.set()
        await asyncio.gather(*tasks)
        return swapped

    settings = {"reload_seconds": 0.02, "queue_seconds": 5}
    with serving(registry=registry.root, **settings) as (process, port):
        asyncio.run(_once(port, body))
        before = memory(process.pid)
        swapped = asyncio.run(run(port))
        grown = (memory(process.pid) - before) / 1e6
    failures = tally["failed"] + tally["mixed"]
    return {
        "n": len(delays), "failures": failures, "ok": failures == 0 and swapped >= count - 1 and grown < 30,
        "swaps": swapped, "clients": clients, "mixed": tally["mixed"], "p50_s": percentile(delays, 50),
        "p99_s": percentile(delays, 99), "memory_grown_mb": round(grown, 1),
    }  # fmt: skip


# Without the child that tries a model first: it takes a second, and nothing is written meanwhile.
CHANGES = """
import sys
from ranking.models import loading as rankers
from ranking.models.registry import Registry
rankers.run_probe = lambda artifact: None
registry = Registry(sys.argv[1])
registry.load("m@1")
print("begun", flush=True)
for number in range(1000):
    registry.publish(sys.argv[2 + number % 2], "m", "production")
    for version in (1, 2, 1):
        registry.promote("m", version, "production")
    registry.rollback("m")
"""


def kills(folder: Path, short: bool) -> dict[str, Any]:
    """kill -9 at random while versions are published, promoted and rolled back."""
    from ranking.models.registry import Registry

    count = 4 if short else 200
    random_times = random.Random(3)
    models = [str(write_model(folder / f"m{seed}", seed, trees=3)) for seed in (1, 2)]
    place = folder / "registry"
    for model in models:
        Registry(place).publish(model, "m", "production")
    failures = 0
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-c", CHANGES, str(place), *models], stdout=subprocess.PIPE, cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random_times.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        try:
            registry = Registry(place)
            registry.load("m:production")
            registry.load(f"m@{registry.versions('m')[-1]}")
        except Exception as error:
            failures += 1
            print(f"after a kill: {error}", file=sys.stderr)
    versions = Registry(place).versions("m")
    return {"n": count, "failures": failures, "ok": failures == 0, "versions_published": len(versions)}


def _damage(content: bytes, how: random.Random) -> bytes:
    kind = how.choice(["truncate", "flip", "duplicate", "digit", "nan", "cycle"])
    place = how.randrange(len(content))
    if kind == "truncate":
        return content[:place]
    if kind == "flip":
        return content[:place] + bytes([content[place] ^ 1 << how.randrange(8)]) + content[place + 1 :]
    if kind == "duplicate":
        return content[:place] + content[place : place + 64] * 2 + content[place + 64 :]
    digits = [m.start() for m in re.finditer(rb"\d", content)]
    place = how.choice(digits)
    if kind == "digit":
        return content[:place] + str(how.randrange(10)).encode() + content[place + 1 :]
    if kind == "nan" and b"leaf_value=" in content:
        return re.sub(rb"leaf_value=\S+", b"leaf_value=nan", content, count=1)
    if kind == "nan":
        return content[:place] + b"\x7f\xc0\x00\x00" + content[place + 4 :]
    children = [m.end() for m in re.finditer(rb"(?:left_child|right_child)=", content)]
    return (
        content[: how.choice(children)] + b"0 " + content[how.choice(children) :]
        if children
        else content[place:]
    )


def damaged(folder: Path, short: bool) -> dict[str, Any]:
    """Damaged files of both formats, with old and with re-computed hashes.

    A registry refuses them all. A folder alone can be rewritten by whoever re-computes every hash in it: such
    a model has to be refused or to score, and golden rows that it still scores as before cannot tell.
    """
    from ranking.errors import ArtifactError
    from ranking.models.folder import read_manifest
    from ranking.models.loading import load_ranker
    from ranking.models.manifest import FileFacts, digest_of
    from ranking.models.registry import Registry

    count = 20 if short else 400
    how = random.Random(5)
    tally: Counter[str] = Counter()
    registry = Registry(folder / "registry")
    for kind in ("lightgbm", "xgboost"):
        registry.publish(write_model(folder / kind, 1, kind, trees=10), kind)
        version = registry.resolve(kind)
        scores = registry.load(version).score(ROWS)
        manifest_content = (version.folder / "manifest.json").read_bytes()
        name = read_manifest(version.folder).model
        content = (version.folder / name).read_bytes()
        for number in range(count // 2):
            while (changed := _damage(content, how)) == content:
                continue
            (version.folder / name).write_bytes(changed)
            manifest = json.loads(manifest_content)
            fitting = number % 4 > 0
            if fitting:
                facts = FileFacts.of(changed)
                manifest["files"][name] = {"sha256": facts.sha256, "bytes": facts.size}
                manifest["sha256"] = digest_of(manifest)
            (version.folder / "manifest.json").write_text(json.dumps(manifest))
            with suppress(ArtifactError):
                registry.load(version)
                tally["loaded by the registry"] += 1
            try:
                found = load_ranker(version.folder).score(ROWS)
            except ArtifactError:
                tally["refused"] += 1
            else:
                same = np.array_equal(found, scores)
                tally["as before" if same else "rewritten" if fitting else "other scores"] += 1
    failures = tally["loaded by the registry"] + tally["other scores"]
    return {
        "n": count, "failures": failures, "ok": failures == 0, "refused": tally["refused"],
        "scored_as_before": tally["as before"], "rewritten_whole": tally["rewritten"],
    }  # fmt: skip


SLOW_TEXT = b"POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000


def slow_senders(folder: Path, short: bool) -> dict[str, Any]:
    """Senders of a byte a second and silent connections beside good clients."""
    bad, good, seconds = (20, 5, 2.0) if short else (200, 20, 30.0)
    model = write_model(folder / "model", 1)
    body = rank_body()

    async def good_clients(port: int, length: float) -> tuple[list[float], int]:
        ends, delays, failed = time.perf_counter() + length, [], 0

        async def client() -> None:
            nonlocal failed
            connection = Connection(port)
            while (started := time.perf_counter()) < ends:
                try:
                    failed += (await connection.ask(body))[0] != 200
                except (OSError, asyncio.IncompleteReadError):
                    failed += 1
                delays.append(time.perf_counter() - started)
                await asyncio.sleep(0.02)
            connection.close()

        await asyncio.gather(*(client() for _ in range(good)))
        return delays, failed

    async def dribble(port: int, ends: float, held: list[float], silent: bool) -> None:
        while time.perf_counter() < ends:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened = time.perf_counter()
            try:
                with suppress(OSError):
                    await send_slowly(reader, writer, ends, silent)
                held.append(time.perf_counter() - opened)
            finally:
                # Also when it is cancelled: what is left open would outlive its event loop.
                writer.close()

    async def send_slowly(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: float, silent: bool
    ) -> None:
        """A byte a second, or none, until the other side closes."""
        for byte in SLOW_TEXT:
            if not silent:
                writer.write(bytes([byte]))
            try:
                if await asyncio.wait_for(reader.read(1), 1.0) == b"":
                    return
            except TimeoutError:
                pass
            if time.perf_counter() > ends + 5:
                return

    async def together(port: int) -> tuple[list[float], int, list[float]]:
        ends, held = time.perf_counter() + seconds, []
        tasks = [asyncio.create_task(dribble(port, ends, held, i % 2 == 0)) for i in range(2 * bad)]
        await asyncio.sleep(0.5)
        delays, failed = await good_clients(port, seconds - 0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return delays, failed, held

    with serving(model=model, receive_seconds=1 if short else 5) as (_, port):
        asyncio.run(good_clients(port, 1))
        before, _ = asyncio.run(good_clients(port, min(seconds, 5)))
        delays, failed, held = asyncio.run(together(port))
    ratio = percentile(delays, 99) / percentile(before, 99)
    return {
        "n": len(delays), "failures": failed, "ok": failed == 0 and ratio <= 2,
        "baseline_p99_s": percentile(before, 99), "p99_s": percentile(delays, 99), "ratio": round(ratio, 2),
        "closed": len(held), "longest_held_s": percentile(held, 100),
    }  # fmt: skip


def sigterm(folder: Path, short: bool) -> dict[str, Any]:
    """SIGTERM under load: every request that was accepted is answered."""
    times, clients = (2, 8) if short else (20, 16)
    model = write_model(folder / "model", 1)
    body = rank_body(explain=True)
    tally: Counter[str] = Counter()

    async def client(port: int) -> None:
        connection = Connection(port)
        while True:
            try:
                status, _ = await connection.ask(body)
            except ConnectionRefusedError:
                return
            except asyncio.IncompleteReadError as error:
                # Half an answer is a loss. An idle connection closed before any byte came back is HTTP's own
                # race, safe to send again to another server.
                tally["lost" if error.partial else "not taken"] += 1
                return
            except OSError:
                tally["not taken"] += 1
                return
            tally["answered" if status == 200 else "failed"] += 1

    async def run(process: subprocess.Popen[str], port: int) -> None:
        tasks = [asyncio.create_task(client(port)) for _ in range(clients)]
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*tasks)

    exits = []
    for _ in range(times):
        with serving(model=model, drain_seconds=0.3) as (process, port):
            asyncio.run(run(process, port))
            exits.append(process.wait(30))
    failures = tally["lost"] + tally["failed"] + sum(code != 0 for code in exits)
    return {
        "n": tally["answered"], "failures": failures, "ok": failures == 0, "stops": times,
        "connections_closed_idle": tally["not taken"],
    }  # fmt: skip


def fuzz(folder: Path, short: bool) -> dict[str, Any]:
    """Schemathesis over the OpenAPI document, with every check."""
    count = 5 if short else 150
    model = write_model(folder / "model", 1)
    store = folder / "store"
    _write_store(store)
    variables = {"model": model, "features": store, "journal": folder / "journal"}
    with serving(**variables) as (_, port):
        ran = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run",
                f"http://127.0.0.1:{port}/openapi.json", "--checks", "all", "--max-examples", str(count),
                "--exclude-checks", "unsupported_method,ignored_auth,positive_data_acceptance",
                "--generation-deterministic", "--suppress-health-check", "all", "--no-color",
                "--workers", "2",
            ],
            capture_output=True, text=True, check=False, cwd=folder,
        )  # fmt: skip
    cases = re.search(r"(\d+) generated", ran.stdout)
    failed = re.search(r"(\d+) found (?:\d+ )?unique failures|(\d+) unique failures?", ran.stdout)
    if ran.returncode:
        print(ran.stdout[-6000:], ran.stderr[-2000:], file=sys.stderr)
    failures = int(next(filter(None, failed.groups()))) if failed else int(ran.returncode != 0)
    return {"n": int(cases[1]) if cases else 0, "failures": failures, "ok": ran.returncode == 0}


def bodies(folder: Path, short: bool) -> dict[str, Any]:
    """Nearly valid bodies made by hypothesis: the suite's own test, with more of them."""
    count = 200 if short else 5000
    ran = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider",
            "tests/service/test_fuzz.py",
        ],
        cwd=ROOT, env=os.environ | {"RANKWRIGHT_FUZZ_EXAMPLES": str(count)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if ran.returncode:
        print(ran.stdout[-6000:], file=sys.stderr)
    return {"n": count, "failures": int(ran.returncode != 0), "ok": ran.returncode == 0}


LARGE = 8_100_000
"""Bytes of a large body; the service takes 8 MiB."""


MEMORY_MB = 512
"""Half of what the service is given by docs/kubernetes/rankwright.yaml."""


def _filled(before: str, item: str, after: str) -> bytes:
    """A body of `LARGE` bytes: the item as often as it fits; a `#` in it becomes its number."""
    parts, size = [], len(before) + len(after)
    while size < LARGE:
        parts.append(item.replace("#", str(len(parts))))
        size += len(parts[-1]) + 1
    return (before + ",".join(parts) + after).encode()


def large_bodies(folder: Path, short: bool) -> dict[str, Any]:
    """Eight bodies at once of more elements than a limit allows: refused in little memory, the loop free."""
    together, bar_s = 8, 0.5
    model = write_model(folder / "model", 1)
    store = folder / "store"
    _write_store(store)
    key = "secret"
    admin = f"ops admin {hashlib.sha256(key.encode()).hexdigest()}"
    kinds = {
        "empty documents": ("/v2/rerank", '{"documents":[', "{}", "]}"),
        "texts": ("/rerank", '{"texts":[', '"{}"', "]}"),
        "ids of documents": ("/v1/rerank", '{"documents":[', '"#"', "]}"),
        "unknown keys": ("/v2/rerank", '{"documents":[{}],', '"#":0', "}"),
        "rows of one": ("/v1/rank", '{"ids":["a"],"columns":["feature_0"],"matrix":[', "[0]", "]}"),
        "ids": ("/v1/rank", '{"columns":[],"matrix":[],"ids":[', '""', "]}"),
        "columns": ("/v1/rank", '{"ids":["a"],"matrix":[[]],"columns":[', '""', "]}"),
        "context": ("/v1/rank", '{"candidates":[{"id":"a","features":{}}],"context":{', '"#":0', "}}"),
        "candidates": ("/v1/rank", '{"candidates":[', '{"id":""}', "]}"),
        "named features": ("/v1/rank", '{"candidates":[{"id":"a","features":{', '"#":0', "}}]}"),
        "values": ("/v1/rank", '{"candidates":[{"id":"a","features":[', "0", "]}]}"),
        "batch of numbers": ("/v1/rank:batch", '{"requests":[', "0", "]}"),
        "events": ("/v1/feedback", '{"request_id":"r","events":[', '{"id":"","type":"a"}', "]}"),
        "stored row": ("/v1/features/a", '{"features":{', '"#":0', "}}"),
        "stored rows": (
            "/v1/features:bulk", '{"ids":["a"],"columns":["feature_0"],"matrix":[', "[0]", "]}"
        ),
    }  # fmt: skip
    if short:
        kinds = {name: kinds[name] for name in ("empty documents", "rows of one", "batch of numbers")}
    peaks: dict[str, float] = {}
    slowest: dict[str, float] = {}
    statuses: Counter[int] = Counter()

    async def one(port: int, path: str, body: bytes) -> int:
        connection = Connection(port)
        method = "PUT" if path == "/v1/features/a" else "POST"
        status, _ = await connection.ask(body, path, method, f"X-API-Key: {key}\r\n")
        connection.close()
        return status

    async def all_at_once(port: int, path: str, body: bytes) -> list[int]:
        return await asyncio.gather(*(one(port, path, body) for _ in range(together)))

    variables = {"model": model, "features": store, "journal": folder / "journal", "keys": admin}
    with serving(**variables) as (process, port):
        for name, (path, *parts) in kinds.items():
            body = _filled(*parts)
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
            with watched_latency(port) as delays:
                statuses.update(asyncio.run(all_at_once(port, path, body)))
            peaks[name] = round(peak_memory(process.pid) / 1e6)
            slowest[name] = percentile(delays, 100)
    failures = sum(count for status, count in statuses.items() if status // 100 != 4)
    most, last = max(peaks, key=lambda name: peaks[name]), max(slowest, key=lambda name: slowest[name])
    within = peaks[most] <= MEMORY_MB and slowest[last] <= bar_s
    return {
        "n": statuses.total(), "failures": failures, "ok": failures == 0 and within,
        "peak_mb": peaks[most], "peak_at": most, "worst_healthz_s": slowest[last], "worst_at": last,
        "told_to_come_again": statuses[429],
    }  # fmt: skip


def peak_memory(pid: int) -> int:
    """The most resident bytes that a process had."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


@contextmanager
def watched_latency(port: int) -> Iterator[list[float]]:
    """Seconds that /healthz took, asked over and over from another thread meanwhile."""
    delays: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while not stop.wait(0.002):
            started = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            delays.append(time.perf_counter() - started)
        connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield delays
    finally:
        stop.set()
        thread.join()


def _write_store(folder: Path) -> None:
    from ranking.data.store import Table, build_store

    build_store(str(folder), Table(NAMES, [c["id"] for c in CANDIDATES], ROWS))  # type: ignore[misc]


PARTS: dict[str, Callable[[Path, bool], dict[str, Any]]] = {
    "overload": overload, "swaps": swaps, "kills": kills, "damaged": damaged, "slow_senders": slow_senders,
    "sigterm": sigterm, "fuzz": fuzz, "bodies": bodies, "large_bodies": large_bodies,
}  # fmt: skip


_COLUMNS = ("name", "n", "failures", "ok", "seconds")


def run(name: str, *, short: bool) -> dict[str, Any]:
    """One part's line."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = PARTS[name](Path(folder), short)
    return {"name": name, **found, "seconds": round(time.perf_counter() - started, 1)}


def table(lines: list[dict[str, Any]]) -> str:
    """The lines as Markdown; the last line of a name counts."""
    rows = ["| part | n | failures | ok | measured | seconds |", "|---|---|---|---|---|---|"]
    for name, line in {line["name"]: line for line in lines}.items():
        own = {key: value for key, value in line.items() if key not in _COLUMNS}
        measured = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in own.items()) or "–"
        ok = "yes" if line["ok"] else "**no**"
        cells = (
            name.replace("_", " "),
            f"{line['n']:,}",
            line["failures"],
            ok,
            measured,
            round(line["seconds"]),
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--parts", default=",".join(PARTS))
    options.add_argument("--short", action="store_true")
    options.add_argument("--table", metavar="FILE", help="print the lines of a file as a table; runs nothing")
    chosen = options.parse_args()
    if chosen.table:
        print(table([json.loads(line) for line in Path(chosen.table).read_text().splitlines()]))
        return 0
    good = True
    for name in chosen.parts.split(","):
        line = run(name, short=chosen.short)
        good &= bool(line["ok"])
        print(json.dumps(line), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
