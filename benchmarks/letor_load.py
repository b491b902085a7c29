"""How fast and how lean LETOR text is read, beside scikit-learn's load_svmlight_file.

    python benchmarks/letor_load.py [--megabytes 250] [--repeats 3]

The readers alternate in one process; medians and ratios are printed. Two inputs: a generated plain file in
the shape of MSLR-WEB (136 features, about 120 documents a query), and MSRD (four gzip files) where
RANKWRIGHT_DATA names a folder that holds `msrd-letor`. Peak memory (Linux) is measured in a process of its
own, against its peak after the imports and a first parse of a tiny file.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_svmlight_file

from ranking.data.dataset import RankingDataset
from ranking.data.letor import read_letor, write_letor

FEATURES, DOCUMENTS_A_QUERY, MEGABYTE = 136, 120, 1e6

PEAK = """
import pathlib, re, sys, tempfile
from ranking.data.letor import read_letor
def peak():
    # Not ru_maxrss: a child inherits that of the process that started it.
    return int(re.search("VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024
with tempfile.TemporaryDirectory() as folder:
    tiny = pathlib.Path(folder) / "tiny.txt"
    tiny.write_text("1 qid:1 1:0.5\\n")
    read_letor(tiny)
before = peak()
data = read_letor(sys.argv[1:])
print(peak() - before, data.features.nbytes)
"""


def mslr_shaped(queries: int, rng: np.random.Generator) -> RankingDataset:
    """Counts, ratios of six decimals and many zeros, as MSLR-WEB's columns have them."""
    sizes = rng.integers(DOCUMENTS_A_QUERY // 2, DOCUMENTS_A_QUERY * 3 // 2, queries)
    rows = int(sizes.sum())
    features = np.zeros((rows, FEATURES), np.float32)
    for column in range(FEATURES):
        kind = column % 4
        if kind == 0:
            features[:, column] = rng.geometric(0.3, rows) - 1
        elif kind == 1:
            features[:, column] = np.round(rng.lognormal(1.5, 1.2, rows), 6)
        elif kind == 2:
            features[:, column] = np.where(rng.random(rows) < 0.6, 0, np.round(rng.random(rows), 6))
        else:
            features[:, column] = np.floor(rng.lognormal(3, 2, rows))
    return RankingDataset(
        features=features,
        labels=rng.integers(0, 5, rows).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        query_ids=[str(query) for query in range(queries)],
    )


def generate(path: Path, megabytes: float) -> None:
    """Writes about this much text, and says how fast."""
    queries = max(1, int(megabytes * MEGABYTE / (DOCUMENTS_A_QUERY * 1150)))
    data = mslr_shaped(queries, np.random.default_rng(0))
    start = time.perf_counter()
    write_letor(data, path)
    seconds = time.perf_counter() - start
    size = path.stat().st_size / MEGABYTE
    shape = f"{data.document_count} x {FEATURES}"
    print(f"wrote {size:.0f} MB ({shape}) in {seconds:.1f} s: {size / seconds:.0f} MB/s")
    long_ago = time.time_ns() - 10**10  # a file just written is never trusted to be as remembered
    os.utime(path, ns=(long_ago, long_ago))


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def check_equal(files: list[Path]) -> None:
    """All values equal scikit-learn's."""
    for path in files:
        matrix, labels, _ = load_svmlight_file(str(path), dtype=np.float32, query_id=True)
        data = read_letor(path, feature_count=matrix.shape[1])
        for start in range(0, len(labels), 4096):
            rows = slice(start, start + 4096)
            if not np.array_equal(data.features[rows], matrix[rows].toarray()):
                raise SystemExit(f"{path}: values differ from scikit-learn's")
        if not np.array_equal(data.labels, labels):
            raise SystemExit(f"{path}: labels differ from scikit-learn's")


def compare(title: str, files: list[Path], repeats: int) -> None:
    """One input: load, reopen, memory."""
    with tempfile.TemporaryDirectory() as cache:
        readers: dict[str, Callable[[], object]] = {
            "scikit-learn": lambda: [
                load_svmlight_file(str(path), dtype=np.float32, query_id=True) for path in files
            ],
            "read_letor, 1 thread": lambda: read_letor(files, threads=1),
            "read_letor": lambda: read_letor(files),
            "reopened": lambda: read_letor(files, cache=cache),
        }
        first = seconds_of(readers["reopened"])
        times: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(repeats):
            for name, reader in readers.items():
                times[name].append(seconds_of(reader))
    stored = sum(path.stat().st_size for path in files) / MEGABYTE
    print(f"\n{title}: {stored:.0f} MB stored; first reading with a cache {first:.2f} s")
    slow = statistics.median(times["scikit-learn"])
    for name, values in times.items():
        median = statistics.median(values)
        each = ", ".join(f"{value:.4f}" for value in values)
        print(f"  {name:22} {median:9.4f} s  {slow / median:8.1f}x   ({each})")
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, files)], check=True, capture_output=True, text=True
    )
    grown, matrix = (int(number) for number in ran.stdout.split())
    share = f"{grown / matrix:.2f} x the matrix of {matrix / MEGABYTE:.0f} MB"
    print(f"  peak memory {grown / MEGABYTE:.0f} MB = {share}")
    check_equal(files)
    print("  values and labels equal scikit-learn's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=250)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    root = os.environ.get("RANKWRIGHT_DATA")
    if root is not None:
        compare("MSRD", sorted(Path(root, "msrd-letor").glob("*.gz")), arguments.repeats)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mslr.txt"
        generate(path, arguments.megabytes)
        compare("MSLR-shaped", [path], arguments.repeats)


if __name__ == "__main__":
    main()
