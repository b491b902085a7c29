"""Training a network: epochs over batches of lists, early stopping by the watch, byte-identical resume.

Every draw of an epoch (batches, dropout, noise, perturbed scores) is seeded by the run's seed and the epoch
alone, so that a run continued from a checkpoint ends with the weights of one that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from ranking.data.arrays import Float32, Int64
from ranking.data.dataset import Missing, RankingDataset
from ranking.errors import DataError, UsageError
from ranking.neural.audit import Audit, EpochAudit
from ranking.neural.batches import Lists, batches_of, epoch_of
from ranking.neural.inputs import Inputs, fit_inputs
from ranking.neural.lesson import Lesson, lesson_for
from ranking.neural.network import Network
from ranking.neural.ranker import MOST_IN_A_LIST, NeuralRanker
from ranking.neural.settings import NeuralSettings

_EVALUATED_TOGETHER = 256
_LARGE = 1e6
"""Scores beyond are no ranking but a training that has gone astray."""
_COMPARED = 8
"""Batches by which an objective is brought to the size of the usual one."""
_CHUNK = 65_536
_KEPT = 1 << 28
"""Numbers of the rows of a data set, 1 GiB, up to which they are kept as the network takes them. The encoding
makes 17 columns of a feature: more is made anew for each batch, for a fifth more time."""


class Watch(Protocol):
    """What is asked after each epoch (`ranking.training.watch.RunWatch`)."""

    @property
    def best_round(self) -> int | None: ...
    @property
    def finished(self) -> bool: ...
    @property
    def wants_train_scores(self) -> bool: ...
    def see_train_scores(self, scores: Any) -> None: ...
    def __call__(self, rounds: int, valid_scores: Any, snapshot: Callable[[], bytes]) -> bool: ...
    def fail(self, reason: str, snapshot: bytes) -> None: ...


@dataclass(frozen=True)
class NeuralJob:
    """One training.

    settings   `inputs` is one of `ranking.neural.inputs.FORMS`
    teacher    float32 [training documents]: scores of deviation 1 within lists, learned beside the labels
    watch      is asked after each epoch
    start      what an earlier snapshot gave
    """

    train: RankingDataset
    valid: RankingDataset | None
    loss: Any
    settings: NeuralSettings
    epochs: int
    seed: int
    threads: int
    missing: Missing
    watch: Watch
    teacher: Float32 | None = None
    start: bytes | None = None


def fit(job: NeuralJob) -> NeuralRanker:
    """Train; the network of the best epoch on the held-out lists, or of the last one without any.

    Where an epoch cannot be finished (a loss that is no number, a batch that memory does not hold) the run
    ends with what the epochs before it gave, and the watch is told. Raises DataError where it is the first,
    or a list is too long for the network, and UsageError for a GPU that is not there.
    """
    with _threads(job.threads), torch.random.fork_rng(devices=[]):
        return _Training(job).run()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_of(settings: NeuralSettings) -> torch.device:
    """Raises UsageError where a GPU is asked for and none is there."""
    found = torch.cuda.is_available()
    if settings.device == "cuda" and not found:
        raise UsageError("neural.device=cuda: this torch finds no GPU; use auto or cpu")
    return torch.device("cuda" if found and settings.device != "cpu" else "cpu")


class _Training:
    """The state of one run: network, optimizer, the best weights so far."""

    def __init__(self, job: NeuralJob) -> None:
        self.job, self.settings = job, job.settings
        self.device = device_of(job.settings)
        _check_lengths(job)
        on_gpu = self.device.type == "cuda"
        half = job.settings.precision == "bfloat16" or (job.settings.precision == "auto" and on_gpu)
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=half)
        self.inputs = fit_inputs(job.train.features, job.settings.inputs, job.seed)
        self.train = _lists(job.train, self.inputs, job.loss, self.device, job.teacher)
        self.valid = None if job.valid is None else _lists(job.valid, self.inputs, job.loss, self.device)
        torch.manual_seed(job.seed)
        self.network = Network(self.inputs.width, job.settings).to(self.device)
        self.optimizer = torch.optim.AdamW(_groups(self.network, job.settings), lr=job.settings.rate)
        self.lists_a_step = job.settings.lists_a_step(job.train.query_count)
        first = epoch_of(job.train.sizes, self.lists_a_step, job.seed, 0)
        self.steps = len(first)
        self.lesson = Lesson(job.loss, 0.0)
        if job.teacher is not None:
            some = (self.train.batch(queries) for queries in first[:_COMPARED])
            self.lesson = lesson_for(job.loss, job.settings.teacher_share, some)
        self.audit = Audit()
        self.epoch = self.kept = 0
        self.best: dict[str, Tensor] = {}
        self.last = job.start or b""
        if job.start is not None:
            self._restore(job.start)

    def run(self) -> NeuralRanker:
        # A run may have been killed after its last epoch: then there is nothing left to train.
        ended = self.job.start is not None and self.job.watch.finished
        while not ended and self.epoch < self.job.epochs:
            if self.job.watch.wants_train_scores and self.epoch:
                self.job.watch.see_train_scores(self._scores(self.train))
            try:
                self._one_epoch()
            except DataError as error:
                if not self.epoch:
                    raise
                self.job.watch.fail(str(error), self.last)
                break
            self.epoch += 1
            scores = None if self.valid is None else self._scores(self.valid)
            seen = self.job.watch(self.epoch, scores, self._snapshot)
            if self.job.watch.best_round in (None, self.epoch):
                self.best, self.kept = self._weights(), self.epoch
            self.last = self._snapshot()
            if seen:
                break
        return NeuralRanker.of(
            self.best or self._weights(), self.inputs, self.settings, rounds=self.kept or self.epoch,
            names=tuple(self.job.train.name_of(i) for i in range(self.job.train.feature_count)),
            missing=self.job.missing, sample=self.job.train, audit=self.audit.as_json(),
        )  # fmt: skip

    def _one_epoch(self) -> None:
        torch.manual_seed(int(np.random.default_rng([self.job.seed, self.epoch, 1]).integers(1 << 62)))
        self.network.train()
        seen = EpochAudit()
        batches = epoch_of(self.job.train.sizes, self.lists_a_step, self.job.seed, self.epoch)
        for number, queries in enumerate(batches):
            rows, where, padded = self.train.batch(queries)
            if len(rows) < 2:
                continue  # one document has no norm over the batch, and nothing to be ranked against
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate(self.epoch + number / len(batches))
            if self.settings.noise:
                rows = rows + self.settings.noise * torch.randn_like(rows)
            with self._named(number, len(batches), queries):
                with self.autocast:
                    scores = self.network(rows, where)
                scores = scores.float()
                value, apart = self.lesson(scores, where, padded)
                _check_number("loss", value.item(), scores)
                self.optimizer.zero_grad()
                torch.autograd.backward(value)
                norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
                _check_number("gradient", float(norm), scores)
            self.optimizer.step()
            seen.step(value.item(), float(norm), scores.detach(), padded["labels"], where, apart)
        self.audit.add(seen)

    @contextmanager
    def _named(self, number: int, count: int, queries: Int64) -> Iterator[None]:
        """Says of a batch what goes wrong in it: a number that is none, and memory that does not hold it."""
        sizes = self.job.train.sizes[queries]
        longest = int(queries[np.argmax(sizes)])
        place = (
            f"epoch {self.epoch + 1}, batch {number + 1} of {count} ({len(queries)} lists from query "
            f"{self.job.train.query_ids[int(queries[0])]}, the longest, {self.job.train.query_ids[longest]}, "
            f"of {sizes.max()} documents)"
        )
        try:
            yield
        except _NotFiniteError as error:
            raise DataError(f"{place}: {error}") from error
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate" not in str(error):
                raise
            raise DataError(
                f"{place}: memory does not hold it ({str(error).splitlines()[0]}): lower "
                "neural.batch_queries, shorten the longest lists, or take softmax, which needs no pairs"
            ) from error

    def _rate(self, epoch: float) -> float:
        """A linear rise over the first steps, then a half cosine to 0."""
        rate, risen = self.settings.rate, self.settings.warm_up * self.job.epochs
        if epoch < risen:
            return rate * (epoch + 1 / self.steps) / (risen + 1 / self.steps)
        past = (epoch - risen) / max(self.job.epochs - risen, 1e-9)
        return rate * 0.5 * (1 + math.cos(math.pi * min(past, 1.0)))

    @torch.no_grad()
    def _scores(self, lists: Lists) -> Float32:
        """float32 [documents], as the network is now."""
        self.network.eval()
        sizes = np.diff(lists.offsets)
        out = np.empty(int(lists.offsets[-1]), np.float32)
        by_size = np.argsort(sizes, kind="stable")
        for queries in batches_of(sizes, by_size, _EVALUATED_TOGETHER):
            rows, where, _ = lists.batch(queries)
            found = self.network(rows, where)[where].float().cpu().numpy()
            places = np.concatenate([np.arange(lists.offsets[q], lists.offsets[q + 1]) for q in queries])
            out[places] = found
        return out

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.weights().items()}

    # --- Checkpoints --------------------------------------------------------------------------------

    def _snapshot(self) -> bytes:
        """Everything that the next epoch depends on, and the best weights so far."""
        improved = self.job.watch.best_round in (None, self.epoch)
        best, kept = (self._weights(), self.epoch) if improved else (self.best, self.kept)
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors["epoch"], tensors["kept"] = torch.tensor(self.epoch), torch.tensor(kept)
        tensors["audit"] = torch.frombuffer(bytearray(self.audit.to_bytes()), dtype=torch.uint8)
        return bytes(save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))

    def _restore(self, content: bytes) -> None:
        tensors = load(content)
        self.network.load_state_dict(_below(tensors, "network."))
        self.best = _below(tensors, "best.")
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "optimizer.").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": state})
        self.epoch, self.kept = int(tensors["epoch"]), int(tensors["kept"])
        self.audit = Audit.of_bytes(tensors["audit"].numpy().tobytes())


class _NotFiniteError(Exception):
    """A loss or gradient that is no number, and what it may come from."""


def _check_number(what: str, value: float, scores: Tensor) -> None:
    """Raises _NotFiniteError saying where to look: at the steps or at the objective."""
    if math.isfinite(value):
        return
    largest = float(scores.detach().abs().max())
    if largest < _LARGE:
        cause = (
            f"the scores are numbers, up to {largest:.3g}, so that the objective gives none for them: look "
            "at it with `rankwright losses check`, at the labels with `rankwright data check`"
        )
    else:
        cause = f"the scores are up to {largest:.3g}, which comes of steps too large: lower neural.rate"
    raise _NotFiniteError(f"the {what} is {value}; {cause}")


def _check_lengths(job: NeuralJob) -> None:
    """Raises DataError for a list that a network over lists could not score."""
    for data in (job.train, job.valid):
        if data is not None and job.settings.blocks and data.sizes.max() > MOST_IN_A_LIST:
            longest = int(np.argmax(data.sizes))
            raise DataError(
                f"query {data.query_ids[longest]} has {data.sizes[longest]} documents, and a network with "
                f"attention takes at most {MOST_IN_A_LIST} together: shorten the list, or take "
                "neural.architecture=mlp"
            )


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _groups(network: Network, settings: NeuralSettings) -> list[dict[str, Any]]:
    """Weight decay on matrices alone: not on biases and norms."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _lists(
    data: RankingDataset, inputs: Inputs, loss: Any, device: torch.device, teacher: Float32 | None = None
) -> Lists:
    weights = data.query_weights
    more: dict[str, Tensor] = {}
    labels = data.lessons if loss.labels == "real" else data.labels
    if loss.needs_positions:
        winners = np.asarray(loss.clicks.winner_weights(data), np.float32)
        more["winners"] = torch.from_numpy(winners).to(device)
    if teacher is not None:
        more["teacher"] = torch.from_numpy(np.asarray(teacher, np.float32)).to(device)
    return Lists(
        rows_at=_rows_at(data.features, inputs, device),
        labels=torch.from_numpy(np.array(labels, np.float32)).to(device),
        weights=None if weights is None else torch.from_numpy(np.asarray(weights, np.float32)).to(device),
        more=more,
        offsets=data.offsets,
    )


def _rows_at(features: Float32, inputs: Inputs, device: torch.device) -> Callable[[Int64], Tensor]:
    if len(features) * inputs.width > _KEPT:
        return lambda places: torch.from_numpy(inputs(features[places]).astype(np.float32)).to(device)
    rows = np.empty((len(features), inputs.width), np.float32)
    step = min(_CHUNK, inputs.rows_together)
    for start in range(0, len(features), step):
        rows[start : start + step] = inputs(features[start : start + step])
    kept = torch.from_numpy(rows).to(device)
    return lambda places: kept[torch.from_numpy(places).to(device)]
