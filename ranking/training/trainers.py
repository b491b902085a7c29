"""Who trains which backend: lists and a watch in, a ranker out."""

from __future__ import annotations

from typing import Any, Protocol

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError
from ranking.models.ranker import Ranker
from ranking.neural.ranker import NeuralRanker
from ranking.training.checkpoint import Checkpoint
from ranking.training.config import NEURAL, TrainConfig
from ranking.training.watch import RunWatch
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


class Trainer(Protocol):
    """Trains the rankers of some backends."""

    def fit(
        self,
        config: TrainConfig,
        data: RankingDataset,
        valid: RankingDataset | None,
        watch: RunWatch,
        checkpoint: Checkpoint | None,
    ) -> Trained:
        """The ranker of the best round, where the watch looks for one.

        Raises UsageError for a config, and DataError for data, that cannot be trained on.
        """

    def unrestorable(self, config: TrainConfig) -> str | None:
        """What keeps a state between rounds that a checkpoint does not hold, or None."""

    def alarms(self, ranker: Any) -> tuple[str, ...]:
        """What to tell the user of a ranker that may have gone wrong."""


class Trees:
    """LightGBM and XGBoost, and whatever else stands in `ranking.trees.backends`."""

    def fit(
        self,
        config: TrainConfig,
        data: RankingDataset,
        valid: RankingDataset | None,
        watch: RunWatch,
        checkpoint: Checkpoint | None,
    ) -> TreeRanker:
        """The ranker, cut to its best round where early stopping is on or the run was interrupted."""
        job = _tree_job(config, data, valid, watch, checkpoint)
        # A run may have been killed after its last round: then there is nothing left to train.
        ended = checkpoint is not None and watch.finished
        model = checkpoint.model if checkpoint is not None and ended else boost(config.backend, job)
        names = tuple(data.name_of(i) for i in range(data.feature_count))
        ranker = TreeRanker.from_bytes(config.backend, model, feature_names=names, missing=config.missing)
        if not ranker.importance().any():
            raise DataError(
                "the booster found no split to make, so that every score would be the same: for little data "
                "lower booster.min_data_in_leaf (LightGBM) or booster.min_child_weight (XGBoost); "
                "or check the labels"
            )
        rescaled = rescales(config.backend, config.booster_settings)
        keep = watch.best_round if (config.early_stopping or watch.interrupted) and not rescaled else None
        if keep is None or keep >= ranker.rounds:
            return ranker
        short = first_rounds(config.backend, model, keep)
        return TreeRanker.from_bytes(config.backend, short, feature_names=names, missing=config.missing)

    def unrestorable(self, config: TrainConfig) -> str | None:
        return stateful(config.backend, config.booster_settings, config.builtin)

    def alarms(self, ranker: TreeRanker) -> tuple[str, ...]:
        return ()


def _tree_job(
    config: TrainConfig,
    data: RankingDataset,
    valid: RankingDataset | None,
    watch: RunWatch,
    checkpoint: Checkpoint | None,
) -> Job:
    """The run as a booster sees it."""
    if valid is not None and config.early_stopping and rescales(config.backend, config.booster_settings):
        raise UsageError(
            "dart rescales earlier trees in every round, so that the best round cannot be kept: "
            "use --early-stopping 0"
        )
    own = config.builtin
    return Job(
        train=data,
        valid=valid,
        objective=config.training_objective if own is None else own or BACKENDS[config.backend].builtin,
        booster=config.booster_settings,
        categorical=categorical_columns(config.categorical, data),
        gain=config.gain,
        discount=config.discount,
        query_fraction=config.queries_a_tree,
        rounds=config.rounds,
        seed=config.seed,
        threads=config.threads,
        watch=watch,
        start=None if checkpoint is None else checkpoint.model,
    )


class Networks:
    """Networks of `ranking.neural`; training them needs torch."""

    def fit(
        self,
        config: TrainConfig,
        data: RankingDataset,
        valid: RankingDataset | None,
        watch: RunWatch,
        checkpoint: Checkpoint | None,
    ) -> NeuralRanker:
        """The network of the best epoch. Raises MissingExtraError without torch."""
        loss = config.loss()
        from ranking.neural.fitting import NeuralJob
        from ranking.neural.fitting import fit as fit_network

        job = NeuralJob(
            train=data, valid=valid, loss=loss, settings=config.network, epochs=config.rounds,
            seed=config.seed, threads=config.threads, missing=config.missing, watch=watch,
            start=None if checkpoint is None else checkpoint.model,
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
