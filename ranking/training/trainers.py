"""Who trains which backend: lists and a watch in, a ranker out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ranking.data.arrays import Float32
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.models.ranker import Ranker
from ranking.neural.ranker import NeuralRanker
from ranking.training.checkpoint import Checkpoint
from ranking.training.config import TrainConfig
from ranking.training.watch import RunWatch
from ranking.training.written import NEURAL
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting import Job, boost, categorical_columns, first_rounds, rescales, stateful
from ranking.trees.ranker import TreeRanker


class Trained(Ranker, Protocol):
    """A ranker fresh from its training."""

    @property
    def rounds(self) -> int:
        """Trees, or epochs, behind it."""

    def importance(self) -> Any:
        """[features]: what each contributed, as its kind measures it."""


@dataclass(frozen=True)
class Task:
    """What is to be trained, on what, watched by whom, and from where it goes on."""

    config: TrainConfig
    data: RankingDataset
    valid: RankingDataset | None
    watch: RunWatch
    checkpoint: Checkpoint | None = None
    teacher: Float32 | None = None
    """scores that a network learns beside the labels, of deviation 1 within lists"""

    @property
    def start(self) -> bytes | None:
        """The model so far."""
        return None if self.checkpoint is None else self.checkpoint.model


class Trainer(Protocol):
    """Trains the rankers of some backends."""

    def fit(self, task: Task) -> Trained:
        """The ranker of the best round, where the watch looks for one.

        Raises UsageError for a config, and DataError for data, that cannot be trained on.
        """

    def unrestorable(self, config: TrainConfig) -> str | None:
        """What keeps a state between rounds that a checkpoint does not hold, or None."""

    def alarms(self, ranker: Any) -> tuple[str, ...]:
        """What to tell the user of a ranker that may have gone wrong."""


class Trees:
    """LightGBM and XGBoost, and whatever else stands in `ranking.trees.backends`."""

    def fit(self, task: Task) -> TreeRanker:
        """The ranker, cut to its best round where early stopping is on or the run was interrupted."""
        config, data, watch = task.config, task.data, task.watch
        job = _tree_job(task)
        # A run may have been killed after its last round: then there is nothing left to train.
        model = task.start if task.start is not None and watch.finished else boost(config.backend, job)
        rescaled = rescales(config.backend, config.booster_settings)
        keep = watch.best_round if (config.early_stopping or watch.interrupted) and not rescaled else None
        if keep is not None and keep < watch.rounds:
            model = first_rounds(config.backend, model, keep)
        names = tuple(data.name_of(i) for i in range(data.feature_count))
        ranker = TreeRanker.from_bytes(config.backend, model, feature_names=names, missing=config.missing)
        if not ranker.importance().any():
            raise DataError(
                "the booster found no split to make, so that every score would be the same: for little data "
                "lower booster.min_data_in_leaf (LightGBM) or booster.min_child_weight (XGBoost); "
                "or check the labels"
            )
        return ranker

    def unrestorable(self, config: TrainConfig) -> str | None:
        return stateful(config.backend, config.booster_settings, config.builtin)

    def alarms(self, ranker: TreeRanker) -> tuple[str, ...]:
        return ()


def _tree_job(task: Task) -> Job:
    """The run as a booster sees it."""
    config, valid = task.config, task.valid
    if valid is not None and config.early_stopping and rescales(config.backend, config.booster_settings):
        raise UsageError(
            "dart rescales earlier trees in every round, so that the best round cannot be kept: "
            "use --early-stopping 0"
        )
    own = config.builtin
    return Job(
        train=task.data,
        valid=valid,
        objective=config.training_objective if own is None else own or BACKENDS[config.backend].builtin,
        booster=config.booster_settings,
        categorical=categorical_columns(config.categorical, task.data),
        gain=config.gain,
        discount=config.discount,
        query_fraction=config.queries_a_tree,
        rounds=config.rounds,
        seed=config.seed,
        threads=config.threads,
        watch=task.watch,
        start=task.start,
    )


class Networks:
    """Networks of `ranking.neural`; training them needs torch."""

    def fit(self, task: Task) -> NeuralRanker:
        """The network of the best epoch. Raises MissingExtraError without torch."""
        config = task.config
        loss = config.loss()
        from ranking.neural.fitting import NeuralJob
        from ranking.neural.fitting import fit as fit_network

        job = NeuralJob(
            train=task.data, valid=task.valid, loss=loss, settings=config.network, epochs=config.rounds,
            seed=config.seed, threads=config.threads, missing=config.missing, watch=task.watch,
            teacher=task.teacher, start=task.start,
        )  # fmt: skip
        return fit_network(job)

    def unrestorable(self, config: TrainConfig) -> str | None:
        return None

    def alarms(self, ranker: NeuralRanker) -> tuple[str, ...]:
        if not ranker.audit.get("collapsed"):
            return ()
        return (
            "the network has collapsed: it gives the documents of a list all but one score. Lower "
            "neural.rate, or take an objective that separates them (`rankwright losses`)",
        )


def trainer_of(config: TrainConfig) -> Trainer:
    return Networks() if config.backend == NEURAL else Trees()
