"""Machine code is never that of other sources, and is kept wherever there is a place."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ranking.compiled import jit
from ranking.compiled.jit import (
    NAME,
    SHIPPED_VARIABLE,
    code_folder,
    compiled,
    compiled_sources,
    source_digest,
)

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "ranking"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that holds every place, with nothing decided yet: numba/, package/, home/, temporary/."""
    for name in ("package", "home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(SHIPPED_VARIABLE, raising=False)
    monkeypatch.setattr(jit, "_PACKAGE", tmp_path / "package")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    code_folder.cache_clear()
    source_digest.cache_clear()
    yield tmp_path
    code_folder.cache_clear()
    source_digest.cache_clear()


def closed(place: Path) -> None:
    """Nothing can be made in it, not even by root: it is a file."""
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("")


def test_the_first_place_that_can_be_written_to_is_taken(
    places: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """NUMBA_CACHE_DIR, the package, the user's cache, the temporary folder; else none, which is said once."""
    taken = []
    for name in ("numba", "package", "home", "temporary"):
        code_folder.cache_clear()
        folder = code_folder()
        assert folder is not None
        taken.append(folder.relative_to(places).as_posix())
        closed(places / name)
    digest = source_digest()
    assert taken == [
        f"numba/{NAME}/{digest}",
        f"package/__pycache__/{NAME}/{digest}",
        f"home/{NAME}/{digest}",
        f"temporary/{NAME}-{os.getuid()}/{digest}",
    ]
    code_folder.cache_clear()
    assert caplog.text == ""
    assert compiled(lambda value: value + 1)(1) == 2
    assert compiled(lambda value: value + 2)(1) == 3
    assert caplog.text.count("NUMBA_CACHE_DIR") == 1


def test_a_temporary_folder_of_others_is_not_trusted(places: Path) -> None:
    """What lies there is run."""
    for name in ("numba", "package", "home"):
        closed(places / name)
    mine = places / "temporary" / f"{NAME}-{os.getuid()}"
    mine.mkdir(mode=0o700)
    assert code_folder() is not None
    code_folder.cache_clear()
    mine.chmod(0o777)
    assert code_folder() is None
    code_folder.cache_clear()
    mine.rename(places / "elsewhere")
    mine.symlink_to(places / "elsewhere")
    assert code_folder() is None


def test_shipped_code_of_the_same_sources_is_brought_once(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never over what is there, never half of it, never that of other sources."""
    shipped = places / "image" / source_digest()
    shipped.mkdir(parents=True)
    (shipped / "a.nbc").write_bytes(b"code")
    monkeypatch.setenv(SHIPPED_VARIABLE, str(places / "image"))

    def full(source: Path, target: Path) -> None:
        Path(target).mkdir(parents=True)
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        folder = code_folder()
        assert folder is not None
        assert list(folder.parent.iterdir()) == []
    code_folder.cache_clear()
    assert code_folder() == folder
    assert (folder / "a.nbc").read_bytes() == b"code"
    (folder / "a.nbc").write_bytes(b"newer")
    code_folder.cache_clear()
    code_folder()
    assert (folder / "a.nbc").read_bytes() == b"newer"
    shutil.rmtree(folder)
    shipped.rename(places / "image" / "of other sources")
    code_folder.cache_clear()
    code_folder()
    assert not folder.exists()


def test_code_of_older_sources_is_removed_after_a_month(places: Path) -> None:
    """What is younger may belong to a process that runs."""
    place = places / "numba" / NAME
    for name, days in (("older", 31), ("younger", 29)):
        (place / name).mkdir(parents=True)
        os.utime(place / name, (0, time.time() - days * 24 * 3600))
    code_folder()
    assert [path.name for path in place.iterdir()] == ["younger"]


CALLER = """
from ranking.compiled.jit import compiled
from ranking.helper import STEP, helper

@compiled
def called(value):
    return helper(value) + STEP
"""
HELPER = """
from ranking.compiled.jit import compiled

STEP = {step}

@compiled
def helper(value):
    return value * {factor}
"""
RUN = (
    "from ranking import caller; print(caller.called(10)); print(dict(caller.called.stats.cache_hits) != {})"
)


def test_an_edit_of_a_helper_in_another_file_is_seen(tmp_path: Path) -> None:
    """And of a constant there; without one the code comes from disk."""
    package = tmp_path / "ranking"
    shutil.copytree(PACKAGE / "compiled", package / "compiled", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text("")
    (package / "caller.py").write_text(CALLER)

    def run(factor: int, step: int) -> list[str]:
        (package / "helper.py").write_text(HELPER.format(factor=factor, step=step))
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
        return subprocess.run(
            [sys.executable, "-B", "-c", RUN], cwd=tmp_path, env=environment | {"PYTHONPATH": str(tmp_path)},
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip

    assert run(2, 1) == ["21", "False"]
    assert run(2, 1) == ["21", "True"]
    assert run(3, 1) == ["31", "False"]
    assert run(3, 5) == ["35", "False"]


def _compiled_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("compiled" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def _defines(module: str, name: str) -> bool:
    """Does the file of this module count, and define the name rather than pass it on?"""
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return (
        file in compiled_sources(PACKAGE)
        and re.search(
            rf"^(def )?{name}\b|^[\w, ]*\b{name}\b[\w, ]* = |^\([\w,\s]*\b{name}\b[\w,\s]*\) = ",
            file.read_text(),
            re.MULTILINE,
        )
        is not None
    )


def test_what_compiled_code_reads_stands_in_sources_that_count() -> None:
    """Functions and constants that it takes from other files of ours are under the digest too."""
    sources = compiled_sources(PACKAGE)
    assert len(sources) > 8
    seen = 0
    assert {path.relative_to(ROOT).parts[0] for path in sources} == {"ranking", "service"}
    for path in sources:
        tree = ast.parse(path.read_text())
        used = {
            node.id
            for function in _compiled_functions(tree)
            for statement in function.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("ranking", "service")):
                read = used & {alias.asname or alias.name for alias in node.names}
                seen += len(read)
                for name in read:
                    assert _defines(node.module or "", name), f"{path}: {name} of {node.module}"
    assert seen > 10
