"""Who may import whom, read from the source of every module, and proof that the reading can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS: dict[str, dict[str, set[str]]] = {
    # The rooms of each package, lowest first, each with those it may import.
    "ranking": {
        "errors": set(),
        "compiled": {"errors"},
        "data": {"errors", "compiled"},
        "metrics": {"errors", "compiled", "data"},
        "objectives": {"errors", "compiled", "data", "metrics"},
        "losses": {"errors", "compiled", "data", "metrics", "objectives"},
        "trees": {"errors", "compiled", "data", "metrics"},
        "neural": {"errors", "compiled", "data", "losses"},
        "models": {"errors", "data", "objectives", "trees", "neural"},
        "training": {
            "errors", "compiled", "data", "metrics", "objectives", "losses", "trees", "neural", "models",
        },
        "retrieval": {"errors", "data", "metrics", "losses", "models"},
        "cli": {
            "errors", "compiled", "data", "metrics", "objectives", "losses", "models", "training",
            "retrieval",
        },
    },
    "service": {
        "echo": set(),
        "errors": {"echo"},
        "settings": set(),
        "telemetry": set(),
        "wire": {"echo", "errors"},
        "models": {"echo", "errors", "settings", "telemetry", "wire"},
        "edge": {"echo", "errors", "settings", "telemetry", "wire"},
        "answers": {"echo", "errors", "settings", "wire", "models"},
        "observers": {"errors", "telemetry", "wire", "models", "answers"},
        "routes": {
            "echo", "errors", "settings", "telemetry", "wire", "models", "edge", "answers", "observers",
        },
        "app": {
            "errors", "settings", "telemetry", "wire", "models", "edge", "answers", "observers", "routes",
        },
        "server": {"errors", "settings", "telemetry", "edge", "app"},
        "__main__": {"settings", "server"},
    },
}  # fmt: skip

SERVICE_SEES = {"errors", "compiled", "data", "models"}
"""What the service may import of `ranking`."""

OWNERS: dict[str, tuple[str, ...]] = {
    # Libraries that live in some rooms alone.
    "lightgbm": ("ranking.trees.boosting",),
    "xgboost": ("ranking.trees.boosting",),
    "torch": ("ranking.losses", "ranking.neural", "ranking.retrieval"),
    "safetensors": ("ranking.neural", "ranking.retrieval"),
    "bm25s": ("ranking.retrieval",),
    "Stemmer": ("ranking.retrieval",),
    "tokenizers": ("ranking.retrieval",),
    "sentence_transformers": ("ranking.retrieval",),
    "fastapi": ("service",),
    "starlette": ("service",),
    "uvicorn": ("service",),
    "typer": ("ranking.cli",),
    "pyarrow": ("ranking.data.parquet",),
    "optuna": ("ranking.training.tuning",),
}

UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_NAMES = {"eval", "exec", "__import__"}
UNSAFE_ATTRIBUTES = {("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load")}


class Import:
    """One imported module, and how: `lazy` inside a function, `typing` under TYPE_CHECKING."""

    def __init__(self, module: str, *, lazy: bool, typing: bool) -> None:
        self.module, self.lazy, self.typing = module, lazy, typing


def room_of(module: str) -> tuple[str, str]:
    """(package, room) of a module; ("ranking", "") is the package itself."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def imports(tree: ast.AST, *, lazy: bool = False, typing: bool = False) -> Iterator[Import]:
    """Every import below a node; `from a import b` counts as a and as a.b, "a.b:c" is opened later."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, lazy=lazy, typing=typing)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            # The names of a package may be modules of its own; only the first step below a root matters.
            names = [prefix] if "." in prefix else [f"{prefix}.{alias.name}" for alias in node.names]
            for name in names:
                yield Import(name, lazy=lazy, typing=typing)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if named := re.fullmatch(r"((?:ranking|service)(?:\.\w+)+):[\w.]+", node.value):
                yield Import(named[1], lazy=True, typing=typing)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from imports(ast.Module([statement], []), lazy=lazy, typing=True)
            for statement in node.orelse:
                yield from imports(ast.Module([statement], []), lazy=lazy, typing=typing)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, lazy=lazy or inside, typing=typing)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def faults(name: str, source: str) -> list[str]:
    """What this module does that it may not."""
    tree = ast.parse(source)
    return [*wrong_imports(name, list(imports(tree))), *unsafe_calls(tree)]


def wrong_imports(name: str, found: Iterable[Import]) -> Iterator[str]:
    package, room = room_of(name)
    below = {(package, one) for one in {room, *ROOMS[package].get(room, set())}}
    if package == "service":
        below |= {("ranking", one) for one in SERVICE_SEES}
    for one in found:
        top = one.module.partition(".")[0]
        if one.module.startswith("."):
            yield f"a relative import of {one.module}"
        elif top in UNSAFE_MODULES:
            yield f"import of {one.module}"
        elif top in OWNERS and not any(name == o or name.startswith(f"{o}.") for o in OWNERS[top]):
            yield f"import of {one.module}, which is for {OWNERS[top]}"
        elif top == "service" and package == "ranking":
            if not (name == "ranking.cli.serve" and one.lazy):
                yield f"import of {one.module}: the core knows nothing of HTTP"
        elif top in ROOMS and not one.typing and room_of(one.module) not in below:
            why = f"not below {room or 'the package'}" if top == package else "not for the service to see"
            yield f"import of {one.module}, which is {why}"


def unsafe_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in UNSAFE_NAMES:
                yield f"{name} in line {node.lineno}"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in UNSAFE_ATTRIBUTES:
                yield f"{owner}.{name} in line {node.lineno}"
            case ast.keyword(arg="allow_pickle", value=value) if ast.unparse(value) != "False":
                yield f"allow_pickle in line {node.lineno}"


@cache
def modules() -> dict[str, Path]:
    """Every module of both packages by its dotted name."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for package in ("ranking", "service")
        for file in sorted((ROOT / package).rglob("*.py"))
    }


# --- The house --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_only_what_lies_below_it(name: str) -> None:
    assert faults(name, modules()[name].read_text()) == []


FOLDERS = [path for package in ROOMS for path in sorted((ROOT / package).rglob("__init__.py"))]


@pytest.mark.parametrize("init", FOLDERS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_folder_names_all_that_lies_in_it(init: Path) -> None:
    """In its docstring: a map for whoever comes in."""
    text = ast.get_docstring(ast.parse(init.read_text())) or ""
    named = {
        word
        for line in re.findall(r"^ *(\w+(?:, \w+)*)  +\S", text, re.MULTILINE)
        for word in line.split(", ")
    }
    inside = {path.stem for path in init.parent.glob("[a-z]*.py")}
    inside |= {path.parent.name for path in init.parent.glob("*/__init__.py")}
    assert inside - named == set()


@pytest.mark.parametrize("package", ROOMS)
def test_the_table_names_every_room_and_no_other(package: str) -> None:
    """A new room takes its place in the table."""
    assert {room for top, room in map(room_of, modules()) if top == package} - {""} == set(ROOMS[package])


@pytest.mark.parametrize("package", ROOMS)
def test_the_table_allows_nothing_that_nobody_does(package: str) -> None:
    """What no room needs any more goes, before one comes to lean on it."""
    done: set[tuple[str, str]] = set()
    for name, path in modules().items():
        top, room = room_of(name)
        if top == package:
            found = imports(parsed(path))
            done |= {(room, below) for one in found for owner, below in [room_of(one.module)] if owner == top}
    assert {(room, one) for room, below in ROOMS[package].items() for one in below} <= done


@pytest.mark.parametrize("package", ROOMS)
def test_the_table_goes_one_way(package: str) -> None:
    """Every room stands after all those it may import."""
    order = list(ROOMS[package])
    assert all(one in order[: order.index(room)] for room, below in ROOMS[package].items() for one in below)


# --- The checker ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        (
            "ranking.metrics",
            "from ranking.training.run import train",
            "ranking.training.run, which is not below metrics",
        ),
        ("ranking.metrics", "from ranking import training", "not below metrics"),
        (
            "ranking.metrics",
            "import ranking.training.run",
            "ranking.training.run, which is not below metrics",
        ),
        ("ranking.metrics.kernels", "from ranking.cli.console import say", "not below metrics"),
        (
            "ranking.errors",
            "def f():\n    from ranking.data.arrays import Strings",
            "not below errors",
        ),
        ("ranking.errors", 'OPENER = "ranking.data.letor:read_letor"', "not below errors"),
        (
            "ranking.errors",
            "try:\n    import ranking.data.dataset\nfinally:\n    pass",
            "not below errors",
        ),
        ("ranking", "from ranking.data.arrays import Strings", "not below the package"),
        ("ranking.newroom", "from ranking.errors import DataError", "not below newroom"),
        ("ranking.models.loading", "import lightgbm", r"which is for ('ranking.trees.boosting',)"),
        ("ranking.trees.boostingx", "import lightgbm", r"which is for ('ranking.trees.boosting',)"),
        (
            "ranking.data.dataset",
            "from torch import nn",
            r"which is for ('ranking.losses', 'ranking.neural', 'ranking.retrieval')",
        ),
        ("ranking.cli.serve", "def f():\n    import uvicorn", r"which is for ('service',)"),
        ("ranking.cli.serve", "from service.server.run import serve", "knows nothing of HTTP"),
        ("ranking.cli.train", "def f():\n    from service.server.run import serve", "knows nothing of HTTP"),
        ("ranking.models.loading", "if TYPE_CHECKING:\n    from service import app", "knows nothing of HTTP"),
        ("service.app", "from ranking.training.run import train", "not for the service to see"),
        ("service.app", "from ranking import trees", "not for the service to see"),
        (
            "service.telemetry.metrics",
            "from service.models.table import Model",
            "not below telemetry",
        ),
        ("service.routes.rank", "from service.app import create_app", "not below routes"),
        ("ranking.models.folder", "import pickle", "import of pickle"),
        ("ranking.models.folder", "from joblib import load", "import of joblib"),
        ("ranking.training.config", "value = eval(text)", "eval in line 1"),
        ("ranking.training.config", "run = exec", "exec in line 1"),
        ("ranking.losses", "import torch\ntorch.load('x')", "torch.load in line 2"),
        ("ranking.training.config", "import yaml\nyaml.load('x')", "yaml.load in line 2"),
        ("ranking.models.folder", "np.load(file, allow_pickle=True)", "allow_pickle in line 1"),
        ("ranking.models.folder", "from . import manifest", "a relative import"),
    ],
)
def test_a_bad_module_is_found(name: str, source: str, fault: str) -> None:
    found = faults(name, source)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "ranking.metrics",
            "import numpy\nfrom ranking.errors import DataError\nimport ranking.metrics.kernels",
        ),
        ("ranking.training.watch", "if TYPE_CHECKING:\n    from ranking.training.run import TrainResult"),
        ("ranking.trees.boosting.lightgbm", "import lightgbm"),
        ("ranking.losses.pairwise", "import torch\nmodel.eval()"),
        ("ranking.cli.serve", "def f():\n    from service.server.run import serve"),
        ("service.models.sources", "from ranking.models.loading import load_ranker"),
        ("ranking.training.config", "ast.literal_eval(text)\nnp.load(file, allow_pickle=False)"),
    ],
)
def test_a_good_module_is_left_alone(name: str, source: str) -> None:
    assert faults(name, source) == []
