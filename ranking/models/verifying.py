"""Every check of a model folder, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ranking.errors import RankwrightError
from ranking.models.folder import Artifact, read_artifact, read_manifest
from ranking.models.kinds import warm_up
from ranking.models.loading import NOT_PROTECTED, check_structure, open_compared
from ranking.models.probe import probe as run_probe


@dataclass(frozen=True)
class Check:
    """One step of a verification."""

    name: str
    ok: bool
    detail: str


def verify(folder: Path | str, *, remembered: str | None = None) -> list[Check]:
    """Every check of `load_ranker`, one by one; after a failed one the others are skipped.

    A child process opens models of every kind here, not only of foreign ones.
    `remembered` is the digest of the manifest that the folder was published with, where that is known.
    """
    checked = _Checked(Path(folder), remembered)
    steps: dict[str, Callable[[], str]] = {
        "manifest": checked.manifest,
        "hashes": checked.hashes,
        "structure": checked.structure,
        "probe": checked.child,
        "golden": checked.golden,
    }
    checks: list[Check] = []
    for name, step in steps.items():
        failed = next((check.name for check in checks if not check.ok), None)
        if failed is not None:
            checks.append(Check(name, False, f"skipped because {failed} failed"))
            continue
        try:
            checks.append(Check(name, True, step()))
        except (RankwrightError, OSError) as error:
            checks.append(Check(name, False, str(error)))
    return checks


@dataclass(frozen=True)
class _Checked:
    """The steps, each saying what it found; RankwrightError where it fails."""

    folder: Path
    remembered: str | None

    def manifest(self) -> str:
        found = read_manifest(self.folder)
        found.check_digest(self.remembered, self.folder)
        told = f"{found.kind}, {found.feature_count} features, missing is {found.missing}"
        protected = found.sealed or self.remembered is not None
        return told if protected else f"{told}; {NOT_PROTECTED}"

    def hashes(self) -> str:
        return f"{len(self.artifact.manifest.files)} files have their size and SHA-256"

    def structure(self) -> str:
        check_structure(self.artifact)
        return f"{len(self.artifact.model)} bytes of a sound {self.artifact.manifest.kind} model"

    def child(self) -> str:
        warm_up(self.artifact.manifest.kind)
        run_probe(self.artifact)
        return "a child process opened it and scored the golden rows"

    def golden(self) -> str:
        open_compared(self.artifact)
        same = self.artifact.manifest.same_platform
        exactly = "to the bit" if same else "to 1e-6 (other library version or machine)"
        return f"{len(self.artifact.golden.scores)} golden rows score the same {exactly}"

    @cached_property
    def artifact(self) -> Artifact:
        return read_artifact(self.folder)
