"""Two journeys on one screen. Features: train, compare, publish, serve, ask over HTTP. Texts: search.

    python scripts/demo.py [DATA_FOLDER]

Runs the `rankwright` command as a user would. DATA_FOLDER holds LETOR files, plain or .gz: train, valid
(or vali) and test by name, or at least three files, of which the last tests and the one before validates.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranking.data.dataset import RankingDataset

COMMAND = str(Path(sys.executable).with_name("rankwright"))
ROUNDS = "300"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "data"
    train, valid, test = find_files(folder)
    runs = Path(tempfile.mkdtemp(prefix="rankwright-demo-"))
    ours, builtin, registry = runs / "model", runs / "builtin", runs / "registry"
    said = f"data: {folder}   train {names(train)}, valid {names(valid)}, test {names(test)}"
    print(said)

    policy = ["--missing", "nan", "--rounds", ROUNDS, "--quiet"]
    sources = [*map(str, train), *(flag for file in valid for flag in ("--valid", str(file)))]
    print("\n1. train: LightGBM on our compiled LambdaRank, and on its own built-in one at the same settings")
    print("   (a first run also compiles the kernels, once)")
    other = rankwright("train", *sources, "--out", str(builtin), "--objective", "builtin", *policy)
    result = rankwright("train", *sources, "--out", str(ours), "--against", str(builtin), *policy)
    for label, run in (("ours", result), ("built-in", other)):
        print(f"   {label:<9} {run['rounds']} rounds in {run['seconds']:.1f} s")

    print("\n2. evaluate on held-out queries")
    report = rankwright(
        "evaluate",
        str(ours),
        *map(str, test),
        "--against",
        str(builtin),
        "--metric",
        "ndcg@10",
        "--metric",
        "map",
    )
    show_evaluation(report)

    published = rankwright(
        "publish", str(ours), "--registry", str(registry), "--name", "demo", "--alias", "production"
    )
    print(f"\n3. publish: demo@{published['version']} is demo:production")
    with Service(registry) as service:
        print(f"\n4. serve and ask: POST {service.url}/v1/rank")
        show_ranking(service.url, ours, test[0])
    print(f"   service stopped. Report: {ours / 'report.html'}")
    show_search(runs / "engine")


def show_search(engine: Path) -> None:
    """An engine of the embedded products, measured and asked once."""
    products = str(Path(__file__).parent.parent / "data" / "search")
    print("\n5. search the embedded products: BM25 tuned, texts encoded, fused where that helps")
    built = rankwright("search", "build", products, "--out", str(engine), "--encoder", "hashed")
    for line in built["lines"]:
        print(f"   {line[:150]}")
    report = rankwright("search", "evaluate", str(engine), products)
    values = ", ".join(f"{name} {value:.4f}" for name, value in report["metrics"].items())
    print(f"   {report['queries']} held-out queries: {values}")
    query = "left-handed scissors"
    print(f"   {query!r} finds")
    for hit in rankwright("search", "query", str(engine), query, "--top", "3")["results"]:
        print(f"   {hit['rank']:>5}  {hit['id']:<10} {hit['score']:6.3f}  {hit['document']['title']}")


def find_files(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """(train, valid, test) files of a folder, by name or by order."""
    files = sorted(f for f in folder.glob("*") if re.search(r"\.(txt|letor|dat)(\.gz)?$", f.name))
    files = [f for f in files if not re.match(r"(features|readme)", f.name, re.IGNORECASE)]
    parts = [
        [f for f in files if re.match(name, f.name, re.IGNORECASE)] for name in ("train", "vali", "test")
    ]
    if all(parts):
        return parts[0], parts[1], parts[2]
    if len(files) < 3:
        sys.exit(
            f"{folder}: expected train, valid and test files (.txt, .letor or .dat, or .gz of them), "
            f"found {names(files)}"
        )
    return files[:-2], files[-2:-1], files[-1:]


def variety(data: RankingDataset, query: int) -> int:
    """How many different judgments a query has: the more, the more there is to see."""
    return len(set(data.labels[slice(*data.offsets[query : query + 2])].tolist()))


def names(files: list[Path]) -> str:
    return " ".join(f.name for f in files) or "none"


def rankwright(*arguments: str) -> Any:
    """What the command answers with --json; its messages are shown only when it fails."""
    run = subprocess.run([COMMAND, *arguments, "--json"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"rankwright {' '.join(arguments)}\n{run.stderr}")
    return json.loads(run.stdout)


def show_evaluation(report: Any) -> None:
    compared = report["comparison"]["metrics"]
    baseline = report["baseline"]
    print(
        f"   {report['queries']} queries, {report['documents']} documents; "
        f"empty={report['conventions']['empty']}, ties={report['conventions']['ties']}"
    )
    print(f"   {'':<38} " + " ".join(f"{name:>9}" for name in report["metrics"]))
    rows = {
        f"best single feature ({baseline['system'].removesuffix(' alone')})": baseline["metrics"],
        "LightGBM's own lambdarank": {name: c["mean_b"] for name, c in compared.items()},
        "ours": report["metrics"],
    }
    for label, values in rows.items():
        print(f"   {label:<38} " + " ".join(f"{values[name]:9.4f}" for name in report["metrics"]))
    for name, c in compared.items():
        low, high = c["interval"]
        print(
            f"   ours minus built-in, {name}: {c['difference']:+.4f} [{low:+.4f}, {high:+.4f}], "
            f"p = {c['p_holm']:.2f} (paired, Holm)"
        )


class Service:
    """`rankwright serve` on a free loopback port, stopped on the way out."""

    def __init__(self, registry: Path) -> None:
        command = [COMMAND, "serve", "--registry", str(registry), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        heard = []
        for line in self.process.stderr:
            heard.append(line)
            if match := re.search(r"serving on (http://\S+)", line):
                self.url = match.group(1)
                return
        sys.exit("the service did not start:\n" + "".join(heard))

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def show_ranking(url: str, model: Path, test: Path) -> None:
    """One query of the test file, in the order of the file and in the model's."""
    from ranking.data.letor import read_letor
    from ranking.models.loading import load_ranker

    width = load_ranker(model).feature_count
    data = read_letor(test, missing="nan").with_width(width, "nan")
    query = max(range(data.query_count), key=lambda q: (variety(data, q), data.sizes[q]))
    rows = range(*data.offsets[query : query + 2])
    ids = [data.document_ids[row] if data.document_ids is not None else "" for row in rows]
    if len(set(ids)) < len(ids) or "" in ids:
        ids = [f"row {row + 1}" for row in rows]
    candidates = [
        {"id": name, "features": [None if x != x else float(x) for x in data.features[row]]}
        for name, row in zip(ids, rows, strict=True)
    ]
    body = {"query": {"id": data.query_ids[query]}, "candidates": candidates}
    started = time.perf_counter()
    request = urllib.request.Request(
        f"{url}/v1/rank", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    answer = json.load(urllib.request.urlopen(request))
    spent = 1000 * (time.perf_counter() - started)
    print(
        f"   query {data.query_ids[query]}, {len(candidates)} candidates, "
        f"answered by {answer['model']}@{answer['version']} in {spent:.0f} ms"
    )
    print(f"   {'rank':>5} {'was':>4}  {'document':<18} {'score':>8}  judged")
    shown = answer["results"][:8]
    for result in shown:
        label, was = data.labels[rows[result["index"]]], result["index"] + 1
        print(f"   {result['rank']:>5} {was:>4}  {result['id']:<18} {result['score']:8.3f}  {label:g}")
    if len(shown) < len(candidates):
        print(f"   ... and {len(candidates) - len(shown)} more")


if __name__ == "__main__":
    main()
