"""A disposable process that opens a model first.

A damaged model that got past the structural check can still end, or never end, the process that opens it.
So a child opens it, under limits of memory and time, scores the golden rows and compares. It gets the
verified bytes in a private folder, never the original path: a file swapped in between goes unseen.

    python -m ranking.models.probe FOLDER      writes `verdict` into FOLDER: empty where all is well
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from ranking.errors import ArtifactError
from ranking.models.folder import Artifact, read_golden
from ranking.models.kinds import open_model
from ranking.models.manifest import GOLDEN, MANIFEST, Manifest

_MEMORY_BYTES = 4 << 30
"""Address space; the libraries alone take 0.7 GB of it."""
_MEMORY_PER_MODEL_BYTE = 16
_CPU_SECONDS = 30
_WALL_SECONDS = 60
_BYTES_PER_SECOND = 10_000_000
"""More time for a large model: both libraries read several times faster."""


def probe(artifact: Artifact) -> None:
    """Open the model in a child process and compare its golden scores.

    Raises ArtifactError where the child crashed (named by its signal), ran out of time, refused the model
    or scored the golden rows otherwise.
    """
    where = artifact.where / artifact.manifest.model
    extra = len(artifact.model) // _BYTES_PER_SECOND
    with tempfile.TemporaryDirectory(prefix="rankwright-probe-") as name:
        folder = Path(name)
        for file in (MANIFEST, GOLDEN, artifact.manifest.model):
            (folder / file).write_bytes(artifact.contents[file])
        with (folder / "output").open("wb") as output:
            try:
                code = subprocess.run(
                    [sys.executable, "-P", "-m", "ranking.models.probe", name],
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    env=_environment(),
                    timeout=_WALL_SECONDS + extra,
                ).returncode
            except subprocess.TimeoutExpired:
                raise ArtifactError(
                    f"{where}: opening it did not end within {_WALL_SECONDS + extra} s"
                ) from None
        if code < 0:
            raise ArtifactError(f"{where}: opening it ended a test process with {signal.Signals(-code).name}")
        verdict = folder / "verdict"
        if code != 0 or not verdict.exists():
            last = (folder / "output").read_bytes()[-500:].decode(errors="replace").strip().splitlines()[-1:]
            raise ArtifactError(f"{where}: opening it failed in a test process with exit code {code}: {last}")
        if reason := verdict.read_text():
            raise ArtifactError(f"{where}: {reason}")


def _environment() -> dict[str, str]:
    """The child finds this very package, and one thread is enough."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def _limit(model_bytes: int) -> None:
    memory = _MEMORY_BYTES + _MEMORY_PER_MODEL_BYTE * model_bytes
    seconds = _CPU_SECONDS + model_bytes // _BYTES_PER_SECOND
    for kind, wanted in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        # Some systems refuse a limit; the others, and the wall clock, still hold.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (wanted, wanted))


def _verdict(folder: Path) -> str:
    """What is wrong with the model, or nothing."""
    manifest = Manifest.from_json((folder / MANIFEST).read_bytes(), folder / MANIFEST)
    golden = read_golden((folder / GOLDEN).read_bytes(), manifest.feature_count, folder / GOLDEN)
    model = (folder / manifest.model).read_bytes()
    _limit(len(model))
    try:
        ranker = open_model(
            manifest.kind, model, feature_names=manifest.feature_names, missing=manifest.missing
        )
        scores = ranker.score(golden.features)
    except ArtifactError as error:
        return str(error)
    return golden.mismatch(scores, exact=manifest.same_platform) or ""


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    _text = _verdict(_folder)
    (_folder / "verdict").write_text(_text)
