"""What is compiled before it is needed: pieces of compiled code by name, each with a call that runs it once.

A piece whose code is not yet on disk is run in a child process first, so that this one, too, loads what is
kept. That is not for speed: a function compiled here is joined to those it calls while they are there in two
forms, as the one being called and as a part of each caller, and sums that the compiler may reorder can then
end in another last bit than in all later processes. So the first run on a machine equals those that follow.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import llvmlite.binding as llvm

from ranking.compiled.jit import code_folder

PIECES: dict[str, Callable[[], object]] = {}
"""A call that runs all of a piece, by its name; it is there once the module that registers it is imported."""

_LOADED: dict[str, Path] = {}
"""The note of each piece that was run here with its code on disk: it need not run again."""

_PROGRAM = "import sys; from ranking.compiled.warming import compile_here; compile_here(*sys.argv[1:])"


def warms(name: str, run: Callable[[], object]) -> str:
    """Register a piece: `run`, defined in a module that can be imported, calls all functions of it.

    Gives its name: whoever warms a piece takes it from the module that registers it.
    """
    PIECES[name] = run
    return name


def warm_up(*names: str) -> None:
    """Compile these pieces, or find them compiled on disk: afterwards nothing of them waits for a compiler.

    What was loaded from there before costs nothing. Where the code can be kept nowhere they are compiled in
    this process.
    """
    notes = {name: _note(name) for name in names}
    waiting = [name for name, note in notes.items() if note is None or _LOADED.get(name) != note]
    missing = [name for name in waiting if not _is_kept(name)]
    if missing:
        _compile_in_a_child(missing)
    for name in waiting:
        PIECES[name]()
        if (note := notes[name]) is not None and note.exists():
            _LOADED[name] = note


def compile_here(*modules_and_names: str) -> None:
    """Run the pieces, given as module, name, module, name …, and note that their code is kept now."""
    for module, name in zip(modules_and_names[::2], modules_and_names[1::2], strict=True):
        import_module(module)
        PIECES[name]()
        if (note := _note(name)) is not None:
            with suppress(OSError):
                note.touch()


def _compile_in_a_child(names: list[str]) -> None:
    """A child that fails leaves it to this process, which can say what is wrong."""
    if code_folder() is None:
        return
    given = [word for name in names for word in (PIECES[name].__module__, name)]
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM, *given],
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )  # fmt: skip


def _is_kept(name: str) -> bool:
    note = _note(name)
    return note is None or note.exists()


def _note(name: str) -> Path | None:
    """A file beside the code of a piece, there once all of it is kept for this kind of processor."""
    folder = code_folder()
    return None if folder is None else folder / f"{name}.{_processor()}.kept"


@cache
def _processor() -> str:
    """Numba keeps code for one kind, by its name and what it can do."""
    kind = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    return hashlib.sha256(kind.encode()).hexdigest()[:8]
