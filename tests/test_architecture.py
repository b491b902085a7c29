"""Who may import whom, read from the source of every module, and proof that the reading can fail."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

DATA = {"dataset", "errors"}

ROOMS: dict[str, set[str]] = {
    # The rooms of `ranking`, each with those it may import; lowest first.
    "errors": set(),
    "cpus": set(),
    "places": {"errors"},
    "report": set(),
    "compiled": set(),
    "own_code": {"errors"},
    "dataset": {"errors"},
    "decimals": {"compiled"},
    "nametable": {"compiled", "decimals"},
    "letor": {*DATA, "compiled", "decimals"},
    "featurestore": {*DATA, "letor", "nametable"},
    "metrics": {*DATA, "compiled", "own_code"},
    "propensity": DATA,
    "clicks": DATA,
    "comparison": DATA,
    "tables": DATA,
    "description": DATA,
    "predictions": DATA,
    "overlap": DATA,
    "structure": {"errors"},
    "scorer": {*DATA, "compiled", "structure"},
    "manifest": DATA,
    "checkpoint": {"errors"},
    "feature_profile": {"dataset"},
    "feedback": DATA,
    "synthetic": {*DATA, "letor"},
    "objectives": {*DATA, "compiled", "metrics", "own_code", "propensity"},
    "doctor": {*DATA, "metrics", "objectives"},
    "losses": {*DATA, "doctor", "metrics", "objectives", "own_code"},
    "neural": {*DATA, "losses"},
    "ensemble": {*DATA, "objectives"},
    "kinds": {*DATA, "ensemble", "neural", "scorer"},
    "boosting": {*DATA, "cpus", "metrics", "objectives"},
    "artifact": {*DATA, "manifest", "places"},
    "probe": {"errors", "artifact", "kinds", "manifest"},
    "rankers": {*DATA, "artifact", "kinds", "manifest", "probe", "structure"},
    "registry": {"errors", "artifact", "places", "rankers"},
    "presets": set(),
    "config": {"errors", "cpus", "losses", "metrics", "neural", "objectives", "presets"},
    "evaluation": {*DATA, "comparison", "metrics"},
    "watch": {"checkpoint", "config", "dataset", "metrics"},
    "training_report": {"dataset", "evaluation", "neural", "report", "scorer"},
    "training": {
        *DATA, "artifact", "boosting", "checkpoint", "config", "evaluation", "feature_profile", "metrics",
        "neural", "objectives", "overlap", "rankers", "report", "scorer", "training_report", "watch",
    },
    "combining": {
        *DATA, "artifact", "ensemble", "evaluation", "feature_profile", "metrics", "overlap", "rankers",
    },
    "crossvalidation": {*DATA, "config", "evaluation", "metrics", "overlap", "training"},
    "tuning": {
        *DATA, "comparison", "config", "crossvalidation", "evaluation", "metrics", "objectives", "places",
        "report", "training",
    },
    "cli": {
        *DATA, "artifact", "combining", "config", "cpus", "crossvalidation", "description",
        "doctor", "evaluation", "featurestore", "feedback", "kinds", "letor", "losses", "metrics",
        "objectives", "overlap", "own_code", "places", "predictions", "rankers", "registry", "scorer",
        "tables", "training", "tuning",
    },
}  # fmt: skip

SERVICE_SEES = {
    *DATA, "artifact", "compiled", "cpus", "decimals", "featurestore", "manifest", "nametable",
    "rankers", "registry",
}  # fmt: skip

OWNERS: dict[str, tuple[str, ...]] = {
    # Libraries that live in some rooms alone.
    "lightgbm": ("ranking.boosting",),
    "xgboost": ("ranking.boosting",),
    "torch": ("ranking.losses", "ranking.neural"),
    "safetensors": ("ranking.neural",),
    "fastapi": ("service",),
    "starlette": ("service",),
    "uvicorn": ("service",),
    "typer": ("ranking.cli",),
    "pyarrow": ("ranking.tables",),
    "optuna": ("ranking.tuning",),
}

UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_NAMES = {"eval", "exec", "__import__"}
UNSAFE_ATTRIBUTES = {("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load")}


class Import:
    """One imported module, and how: `lazy` inside a function, `typing` under TYPE_CHECKING."""

    def __init__(self, module: str, *, lazy: bool, typing: bool) -> None:
        self.module, self.lazy, self.typing = module, lazy, typing

    @property
    def room(self) -> str | None:
        """The room of `ranking` it is in, "" for the package itself, None for anything else."""
        package, _, rest = self.module.partition(".")
        return rest.partition(".")[0] if package == "ranking" else None


def imports(tree: ast.AST, *, lazy: bool = False, typing: bool = False) -> Iterator[Import]:
    """Every import below a node; `from a import b` counts as a and as a.b."""
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
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from imports(ast.Module([statement], []), lazy=lazy, typing=True)
            for statement in node.orelse:
                yield from imports(ast.Module([statement], []), lazy=lazy, typing=typing)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, lazy=lazy or inside, typing=typing)


def faults(name: str, source: str) -> list[str]:
    """What this module does that it may not."""
    tree = ast.parse(source)
    return [*wrong_imports(name, list(imports(tree))), *unsafe_calls(tree)]


def wrong_imports(name: str, found: Iterable[Import]) -> Iterator[str]:
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    for one in found:
        top = one.module.partition(".")[0]
        seen = one.room and not one.typing
        if one.module.startswith("."):
            yield f"a relative import of {one.module}"
        elif top in UNSAFE_MODULES:
            yield f"import of {one.module}"
        elif top in OWNERS and not any(name == o or name.startswith(f"{o}.") for o in OWNERS[top]):
            yield f"import of {one.module}, which is for {OWNERS[top]}"
        elif top == "service" and package == "ranking" and not (name == "ranking.cli.models" and one.lazy):
            yield f"import of {one.module}: the core knows nothing of HTTP"
        elif seen and package == "service" and one.room not in SERVICE_SEES:
            yield f"import of {one.module}, which the service does not see"
        elif seen and package == "ranking" and one.room not in {room, *ROOMS.get(room, set())}:
            yield f"import of {one.module}, which is not below {room or 'the package'}"


def unsafe_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in UNSAFE_NAMES:
                yield f"{name} in line {node.lineno}"
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in UNSAFE_ATTRIBUTES:
                yield f"{owner}.{name} in line {node.lineno}"
            case ast.keyword(arg="allow_pickle", value=value) if ast.unparse(value) != "False":
                yield f"allow_pickle in line {node.lineno}"


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


def test_the_table_names_every_room_and_no_other() -> None:
    """A new room takes its place in the table."""
    rooms = {name.split(".")[1] for name in modules() if name.startswith("ranking.")}
    assert rooms == set(ROOMS)


def test_the_table_goes_one_way() -> None:
    """No room is below itself, on any path; CycleError otherwise."""
    order = list(TopologicalSorter(ROOMS).static_order())
    assert set(order) == set(ROOMS)
    assert order.index("dataset") < order.index("boosting") < order.index("rankers") < order.index("cli")


# --- The checker ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source", "fault"),
    [
        (
            "ranking.metrics",
            "from ranking.training import train",
            "ranking.training, which is not below metrics",
        ),
        ("ranking.metrics", "from ranking import training", "ranking.training, which is not below metrics"),
        ("ranking.metrics", "import ranking.training", "ranking.training, which is not below metrics"),
        ("ranking.metrics.kernels", "from ranking.cli.console import say", "not below metrics"),
        ("ranking.errors", "def f():\n    from ranking.dataset import Strings", "not below errors"),
        ("ranking.errors", "try:\n    import ranking.dataset\nfinally:\n    pass", "not below errors"),
        ("ranking", "from ranking.dataset import Strings", "not below the package"),
        ("ranking.newroom", "from ranking.errors import DataError", "not below newroom"),
        ("ranking.rankers", "import lightgbm", r"which is for ('ranking.boosting',)"),
        ("ranking.boostingx", "import lightgbm", r"which is for ('ranking.boosting',)"),
        ("ranking.dataset", "from torch import nn", r"which is for ('ranking.losses', 'ranking.neural')"),
        ("ranking.cli.models", "def f():\n    import uvicorn", r"which is for ('service',)"),
        ("ranking.cli.models", "from service.server import serve", "knows nothing of HTTP"),
        ("ranking.cli.train", "def f():\n    from service.server import serve", "knows nothing of HTTP"),
        ("ranking.rankers", "if TYPE_CHECKING:\n    from service import app", "knows nothing of HTTP"),
        ("service.app", "from ranking.training import train", "which the service does not see"),
        ("service.app", "from ranking import boosting", "which the service does not see"),
        ("ranking.artifact", "import pickle", "import of pickle"),
        ("ranking.artifact", "from joblib import load", "import of joblib"),
        ("ranking.config", "value = eval(text)", "eval in line 1"),
        ("ranking.config", "run = exec", "exec in line 1"),
        ("ranking.losses", "import torch\ntorch.load('x')", "torch.load in line 2"),
        ("ranking.config", "import yaml\nyaml.load('x')", "yaml.load in line 2"),
        ("ranking.artifact", "np.load(file, allow_pickle=True)", "allow_pickle in line 1"),
        ("ranking.artifact", "from . import manifest", "a relative import"),
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
        ("ranking.watch", "if TYPE_CHECKING:\n    from ranking.training import TrainResult"),
        ("ranking.boosting.lightgbm", "import lightgbm"),
        ("ranking.losses.pairwise", "import torch\nmodel.eval()"),
        ("ranking.cli.models", "def f():\n    from service.server import serve"),
        ("service.sources", "from ranking.rankers import load_ranker"),
        ("ranking.config", "ast.literal_eval(text)\nnp.load(file, allow_pickle=False)"),
        ("ranking.probe", "import ranking"),
    ],
)
def test_a_good_module_is_left_alone(name: str, source: str) -> None:
    assert faults(name, source) == []
