"""TrainConfig: a training run as data. The defaults are the recommended run.

Order of precedence: command line over `--config FILE.toml` over the defaults. Unknown keys are errors.

    backend = "lightgbm"
    rounds = 500
    [objective]
    name = "lambdarank"
    truncation = 20
    [booster]
    num_leaves = 63

For `backend = "neural"` the tables are `objective` and `neural` (`ranking.neural.settings`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.compiled.cpus import available_cpus
from ranking.errors import MissingExtraError, UsageError, unknown_name
from ranking.metrics import Metric
from ranking.neural.settings import NeuralSettings
from ranking.training.presets import PRESETS, BestSettings
from ranking.training.written import BEST, NEURAL, fields, nested
from ranking.trees.backends import BACKENDS

if TYPE_CHECKING:
    from ranking.data.dataset import Missing, RankingDataset
    from ranking.losses import Loss
    from ranking.objectives import Objective

BUILTIN_PREFIX = "builtin"

_UNSET = -(1 << 40)
WORTHS = {"gain": "exponential", "discount": "log2"}
"""Settings of metrics that objectives have too, and what metrics take where none is named."""
_USUAL: dict[str, tuple[str, int, int]] = {NEURAL: ("softmax", 15, 8)}
_MIXED = "lambdarank,xendcg,squared_hinge,hinge"
"""What the members of preset best are trained on in turns, LambdaRank without its score normalisation."""
_USUAL_TREES = ("blend", 500, 100)
"""Objective, rounds and patience where none is named: a network's round is an epoch, and few are enough."""

_SMOOTHED = 21
"""Rounds; of trees."""


def _choices() -> dict[str, tuple[str, ...]]:
    """What each of these may be."""
    return {
        "preset": tuple(PRESETS),
        "backend": (*BACKENDS, NEURAL),
        "missing": ("zero", "nan"),
        "empty": ("zero", "one", "skip"),
        "ties": ("average", "file", "pessimistic", "trec"),
    }


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training run gives, but the data.

    backend            "lightgbm", "xgboost" or "neural"
    preset             "standard"; "best": several members, each trained without a part of the queries, as one
                       forest; "fast": fewer bins, features and documents a tree; "plain": nothing drawn, the
                       trees the booster grows by itself (`ranking.training.presets`)
    query_fraction     share of the training queries, drawn anew for each tree, that it learns from; None is
                       the preset's. Only for Rankwright's objectives
    objective          a name of `ranking.objectives.OBJECTIVES`, `gumbel:NAME` for it over perturbed scores,
                       or a file `FILE.py`; `builtin` is the booster's own LambdaMART, `builtin:NAME` any
                       other of its own objectives. Preset best takes several with commas between, which its
                       members have in turns
    objective_parameters  changes to that objective's parameters; where there are several `NAME.parameter` is
                       of one, `parameter` of all that have it
    booster            parameters by the booster's own names
    categorical        features whose values are categories (whole numbers from 0), for trees: LETOR numbers
                       (from 1) or names, as a list or a text with commas between
    best               the members of preset best (`ranking.training.presets.BestSettings`)
    neural             the network and its training (`ranking.neural.settings.NeuralSettings`)
    rounds             trees, or a network's epochs, at most; by default 500, or 15
    metric             what early stopping watches on held-out queries
    early_stopping     rounds without a better value before stopping; 0 never stops; by default 100, or 8
                       epochs
    valid_fraction     share of the queries held out where no --valid file is named; 0 trains on all
    seed, threads      the same seed and threads give the same bytes
    missing            what an absent feature is: "zero" or "nan"
    gain, discount     what a label and a rank are worth: a name of `ranking.metrics`, a table, or
                       `file.py:function`; both to the metrics and, where it has such a parameter that is not
                       set itself, to the objective. By default "exponential" and "log2" in metrics, and the
                       objective's own
    empty, ties        other conventions of the metrics
    checkpoint_seconds how often a run that is killed can be resumed from
    """

    backend: str = "lightgbm"
    preset: str = "standard"
    query_fraction: float | None = None
    objective: str = ""
    objective_parameters: Mapping[str, object] = field(default_factory=dict)
    booster: Mapping[str, object] = field(default_factory=dict)
    categorical: Sequence[int | str] | str = ()
    best: BestSettings | Mapping[str, object] = field(default_factory=dict)
    neural: NeuralSettings | Mapping[str, object] = field(default_factory=dict)
    rounds: int = _UNSET
    metric: str = "ndcg@10"
    early_stopping: int = _UNSET
    valid_fraction: float = 0.2
    seed: int = 1
    threads: int = field(default_factory=available_cpus)
    missing: Missing = "zero"
    gain: str | Sequence[float] | None = None
    discount: str | Sequence[float] | None = None
    empty: str = "zero"
    ties: str = "average"
    checkpoint_seconds: float = 20.0

    def __post_init__(self) -> None:
        for name, choices in _choices().items():
            value = getattr(self, name)
            if value not in choices:
                raise _refused(name, value, choices)
        self._fill_in()
        for name in ("objective", "metric"):
            if not isinstance(getattr(self, name), str):
                raise UsageError(f"{name} must be a name, got {getattr(self, name)!r}")
        for name, least in (("rounds", 1), ("early_stopping", 0), ("seed", 0), ("threads", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 31:
                raise UsageError(f"{name} must be an integer of at least {least}, below 2^31, got {value!r}")
        if not (isinstance(self.valid_fraction, int | float) and 0 <= self.valid_fraction < 1):
            raise UsageError(f"valid_fraction must be in [0, 1), got {self.valid_fraction!r}")
        share = self.query_fraction
        if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):
            raise UsageError(f"query_fraction must be above 0 and at most 1, got {share!r}")
        if not (isinstance(self.checkpoint_seconds, int | float) and self.checkpoint_seconds >= 0):
            raise UsageError(f"checkpoint_seconds must be at least 0, got {self.checkpoint_seconds!r}")
        for name in WORTHS:
            self._check_worths(name)
        object.__setattr__(self, "categorical", _features(self.categorical))
        if self.backend == NEURAL and self.categorical:
            raise UsageError("categorical is for trees: a network reads every feature as a number")
        if self.builtin is not None and self.objective_parameters:
            raise UsageError(
                f"objective {self.objective} is the booster's own: set its parameters as booster.NAME "
                f"(got objective.{next(iter(self.objective_parameters))})"
            )

    def _fill_in(self) -> None:
        """What was not asked for is the default of backend and preset; settings of another are errors."""
        usual = _USUAL.get(self.backend, _USUAL_TREES)
        if self.preset == BEST:
            self._fill_in_best()
        elif self.best:
            key = next(iter(self.best)) if isinstance(self.best, Mapping) else "members"
            raise UsageError(f"best.{key} is for --preset best, got --preset {self.preset}")
        for name, value in zip(("objective", "rounds", "early_stopping"), usual, strict=True):
            if getattr(self, name) in ("", _UNSET):
                object.__setattr__(self, name, value)
        if self.backend == NEURAL and (self.booster or self.query_fraction is not None):
            key = f"booster.{next(iter(self.booster))}" if self.booster else "query_fraction"
            raise UsageError(f"{key} is for trees: a network is set by neural.NAME")
        if self.backend != NEURAL and self.neural:
            key = next(iter(self.neural)) if isinstance(self.neural, Mapping) else "architecture"
            raise UsageError(f"neural.{key} is for --backend neural; {self.backend} has booster.NAME")
        if self.backend == NEURAL and isinstance(self.neural, Mapping):
            object.__setattr__(self, NEURAL, NeuralSettings.of(self.neural))

    def _fill_in_best(self) -> None:
        if self.backend == NEURAL:
            raise UsageError("preset best is for trees: take --backend lightgbm or xgboost")
        if isinstance(self.best, Mapping):
            object.__setattr__(self, BEST, BestSettings.of(self.best))
        if self.objective in ("", _MIXED):
            object.__setattr__(self, "objective", _MIXED)
            given = {"lambdarank.score_normalization": False, **self.objective_parameters}
            object.__setattr__(self, "objective_parameters", given)

    def _check_worths(self, name: str) -> None:
        """A gain or discount of the run, which the objective's own may not contradict."""
        rule = getattr(self, name)
        if rule is None:
            return
        if not isinstance(rule, str | Sequence):
            raise UsageError(
                f"{name} must be a name, numbers, or FILE.py:FUNCTION for a function of your own, which a "
                f"manifest can name, got {rule!r}"
            )
        Metric.parse("ndcg", **{name: rule})
        rule = rule if isinstance(rule, str) else list(rule)
        object.__setattr__(self, name, rule)
        own = self.objective_parameters.get(name, rule)
        if (list(own) if isinstance(own, tuple) else own) != rule:
            raise UsageError(
                f"objective.{name}={own} contradicts {name}={rule}, which is for the objective and the "
                f"metrics: leave one of the two out"
            )

    @property
    def conventions(self) -> dict[str, Any]:
        """How the run's metrics are measured, as `Metric.parse` takes it."""
        worths = {
            name: usual if (own := getattr(self, name)) is None else own for name, usual in WORTHS.items()
        }
        return {**worths, "empty": self.empty, "ties": self.ties}

    def remarks(self) -> list[str]:
        """What may not be meant: an objective that learns with other worths than the metrics have; and a
        torch loss for which its compiled twin stands in."""
        if len(self.runs) > 1:
            return list(dict.fromkeys(remark for run in self.runs for remark in run.remarks()))
        twin = self.backend != NEURAL and self._has_twin()
        return [f"{self.objective} is compiled too: its twin trains the trees"] * twin + [
            f"the objective learns with {name}={own}, the metrics are measured with {name}={usual}: "
            f"--{name} {','.join(map(str, own)) if isinstance(own, list | tuple) else own} sets both"
            for name, usual in WORTHS.items()
            if getattr(self, name) is None and (own := self.objective_parameters.get(name, usual)) != usual
        ]

    @cached_property
    def watched(self) -> Metric:
        """What early stopping watches, with the run's conventions. Raises UsageError for an unknown name."""
        return self.measured(self.metric)

    def measured(self, name: str) -> Metric:
        """A metric of this name with the run's conventions."""
        return Metric.parse(name, **self.conventions)

    @property
    def smoothing(self) -> int:
        """Over how many rounds held-out values are averaged to choose the best one: an epoch stands alone."""
        return 1 if self.backend == NEURAL else _SMOOTHED

    @property
    def network(self) -> NeuralSettings:
        """The network of the `neural` table, of a run whose backend is a network."""
        assert isinstance(self.neural, NeuralSettings)
        return self.neural

    @property
    def members(self) -> BestSettings:
        """The `best` table of a run whose preset is best."""
        assert isinstance(self.best, BestSettings)
        return self.best

    @cached_property
    def runs(self) -> tuple[TrainConfig, ...]:
        """The runs that it is made of: its members, each with its objective and seed; or itself."""
        if self.preset != BEST:
            return (self,)
        names = [name.strip() for name in self.objective.split(",")]
        own = self._parameters_by_name(list(dict.fromkeys(names)))
        at_once = min(self.members.members, self.threads)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.members.members) >> 1
        return tuple(
            dataclasses.replace(
                self, preset="standard", best={}, objective=name, objective_parameters=own[name],
                query_fraction=self.query_fraction, seed=int(seed), threads=self.threads // at_once,
            )
            for seed, name in zip(seeds, itertools.cycle(names), strict=False)
        )  # fmt: skip

    def _parameters_by_name(self, names: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        """What was asked of each of the members' objectives."""
        if len(names) == 1:
            return {names[0]: self.objective_parameters}
        from ranking.objectives.blend import dealt
        from ranking.training.objectives import objective_for

        ours = {name: objective_for(name, {}) for name in names if name.partition(":")[0] != BUILTIN_PREFIX}
        return {**{key: {} for key in names}, **dealt(self.objective_parameters, ours)}

    @property
    def builtin(self) -> str | None:
        """The booster's own objective this names ("" for its LambdaMART), or None for one of ours."""
        prefix, _, name = self.objective.partition(":")
        return name if prefix == BUILTIN_PREFIX else None

    @property
    def booster_settings(self) -> dict[str, Any]:
        """The booster's parameters: the preset's, then what was asked for."""
        return {**BACKENDS[self.backend].presets.get(self.preset, {}), **self.booster}

    @property
    def queries_a_tree(self) -> float:
        """The share of the queries each tree learns from; the boosters' own objectives know no such thing."""
        if self.builtin is not None:
            return 1.0
        given = self.query_fraction
        return float(PRESETS[self.preset].query_fraction if given is None else given)

    def _has_twin(self) -> bool:
        from ranking.training.objectives import has_twin

        return has_twin(self.objective)

    @property
    def learns_real_numbers(self) -> bool:
        """Does its objective learn a data set's targets, a teacher's scores, rather than grades?"""
        if len(self.runs) > 1:
            kinds = {run.learns_real_numbers for run in self.runs}
            if len(kinds) > 1:
                raise UsageError(
                    f"of the objectives {self.objective} some learn from grades, and some from a teacher's "
                    "scores: name those of one kind"
                )
            return kinds.pop()
        if self.builtin is not None:
            return False
        learner = self.loss() if self.backend == NEURAL else self.training_objective
        return learner.labels == "real"

    @cached_property
    def training_objective(self) -> Objective:
        """What trees are trained on, made once: by the backend's parameters, the run's gain and discount, and
        what was asked for.

        Raises UsageError for an unknown name or parameter.
        """
        from ranking.training.objectives import objective_for

        asked = objective_for(self.objective, self.objective_parameters)
        usual = {**BACKENDS[self.backend].objective, **self._worths_among(asked.parameters())}
        # Asked for last: of a blend the usual ones go to every part, also to one that was given its own.
        return asked.with_parameters(usual).with_parameters(self.objective_parameters)

    def settled(self, data: RankingDataset) -> TrainConfig:
        """The same run with what its objective takes from these training lists as numbers."""
        objective = self._compiled()
        if objective is None:
            return self
        before, after = objective.parameters(), objective.fitted(data).parameters()
        found = {name: value for name, value in after.items() if value != before[name]}
        return dataclasses.replace(self, objective_parameters={**self.objective_parameters, **found})

    def _compiled(self) -> Objective | None:
        """The compiled objective that is trained on, or whose torch form is; None where there is none."""
        if self.backend != NEURAL:
            return None if self.builtin is not None else self.training_objective
        loss = self.loss()
        objective: Objective | None = getattr(getattr(loss, "loss", loss), "objective", None)
        return objective

    def _worths_among(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The gain and discount of the run that are parameters of an objective too, or of a part of it."""
        tables = [parameters, *(value for value in parameters.values() if isinstance(value, Mapping))]
        return {
            name: value
            for name in WORTHS
            if (value := getattr(self, name)) is not None and any(name in table for table in tables)
        }

    def resolved(self) -> dict[str, Any]:
        """The run as nested plain data, the form of the TOML file, each objective parameter spelled out."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        parameters = plain.pop("objective_parameters")
        if self.backend == NEURAL:
            return self._resolved_network(plain)
        plain.pop(NEURAL)
        plain.pop(BEST)
        names = dict.fromkeys(run.objective for run in self.runs)
        told = {run.objective: run.told_parameters() for run in self.runs}
        parameters = told[self.objective] if len(names) == 1 else told
        return plain | {
            "query_fraction": self.queries_a_tree,
            "objective": {"name": self.objective, **parameters},
            "booster": self.booster_settings,
            **({BEST: dataclasses.asdict(self.members)} if self.preset == BEST else {}),
        }

    def told_parameters(self) -> Mapping[str, object]:
        """Those of the objective that trees are trained on, spelled out."""
        return self.objective_parameters if self.builtin is not None else self.training_objective.parameters()

    def _resolved_network(self, plain: dict[str, Any]) -> dict[str, Any]:
        loss = self.loss()
        for unused in ("booster", "preset", "query_fraction", "categorical", BEST):
            plain.pop(unused)
        objective = {"name": self.objective, **loss.parameters()}
        return plain | {"objective": objective, NEURAL: self.network.plain()}

    def loss(self) -> Loss:
        """The torch loss that a network is trained on.

        Raises UsageError for an unknown name or parameter, MissingExtraError without torch.
        """
        if self.builtin is not None:
            raise UsageError(f"objective {self.objective} is a booster's own: a network has none")
        try:
            from ranking.losses import loss_named
        except ModuleNotFoundError as error:
            raise MissingExtraError("--backend neural", "neural") from error
        from ranking.training.objectives import TORCH_PREFIX

        name = self.objective.removeprefix(TORCH_PREFIX)
        asked = loss_named(name, self.objective_parameters)
        worths = self._worths_among(asked.parameters())
        return loss_named(name, {**worths, **self.objective_parameters})

    @classmethod
    def load(
        cls, file: Path | None = None, changes: Mapping[str, object] | None = None, sets: Sequence[str] = ()
    ) -> TrainConfig:
        """Defaults, then the TOML file, then flags (`changes`), then each `--set key=value`."""
        known = {one.name for one in dataclasses.fields(cls)} - {"objective_parameters"}
        # Each field is checked as it is set.
        given: dict[str, Any] = fields(nested(file, changes or {}, sets), known)
        return cls(**given)


def _features(given: Any) -> list[int | str]:
    """Feature numbers and names, each once, of a list or of a text with commas between."""
    if isinstance(given, str):
        texts = [text.strip() for text in given.split(",")]
        given = [int(text) if text.isdecimal() else text for text in texts if text]
    if isinstance(given, int):
        given = [given]
    features = list(given or ()) if isinstance(given, list | tuple | None) else [given]
    for one in features:
        if isinstance(one, bool) or not (isinstance(one, str) or (isinstance(one, int) and one >= 1)):
            raise UsageError(
                f"categorical takes feature numbers (from 1) and names, such as brand,3, got {one!r}"
            )
    return list(dict.fromkeys(features))


def _refused(name: str, value: Any, choices: Sequence[str]) -> UsageError:
    return unknown_name(name, str(value), choices)
