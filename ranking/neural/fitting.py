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

from ranking.data.arrays import Float32
from ranking.data.dataset import Missing, RankingDataset
from ranking.errors import DataError, UsageError
from ranking.neural.audit import Audit, EpochAudit
from ranking.neural.batches import Lists, batches_of, epoch_of
from ranking.neural.inputs import Inputs, fit_inputs
from ranking.neural.network import Network
from ranking.neural.ranker import NeuralRanker
from ranking.neural.settings import NeuralSettings

_EVALUATED_TOGETHER = 256
_CHUNK = 65_536


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


@dataclass(frozen=True)
class NeuralJob:
    """One training; `watch` is asked after each epoch, `start` is what an earlier snapshot gave."""

    train: RankingDataset
    valid: RankingDataset | None
    loss: Any
    settings: NeuralSettings
    epochs: int
    seed: int
    threads: int
    missing: Missing
    watch: Watch
    start: bytes | None = None


def fit(job: NeuralJob) -> NeuralRanker:
    """Train; the network of the best epoch on the held-out lists, or of the last one without any.

    Raises UsageError for a GPU that is not there, DataError where the loss stops being a number.
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
        on_gpu = self.device.type == "cuda"
        half = job.settings.precision == "bfloat16" or (job.settings.precision == "auto" and on_gpu)
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=half)
        self.inputs = fit_inputs(job.train.features, job.settings.scaling, job.seed)
        self.train = _lists(job.train, self.inputs, job.loss, self.device)
        self.valid = None if job.valid is None else _lists(job.valid, self.inputs, job.loss, self.device)
        torch.manual_seed(job.seed)
        self.network = Network(self.inputs.width, job.settings).to(self.device)
        self.optimizer = torch.optim.AdamW(_groups(self.network, job.settings), lr=job.settings.rate)
        self.steps = len(epoch_of(job.train.sizes, job.settings.batch_queries, job.seed, 0))
        self.audit = Audit()
        self.epoch = self.kept = 0
        self.best: dict[str, Tensor] = {}
        if job.start is not None:
            self._restore(job.start)

    def run(self) -> NeuralRanker:
        # A run may have been killed after its last epoch: then there is nothing left to train.
        ended = self.job.start is not None and self.job.watch.finished
        while not ended and self.epoch < self.job.epochs:
            if self.job.watch.wants_train_scores and self.epoch:
                self.job.watch.see_train_scores(self._scores(self.train))
            self._one_epoch()
            self.epoch += 1
            scores = None if self.valid is None else self._scores(self.valid)
            seen = self.job.watch(self.epoch, scores, self._snapshot)
            if self.job.watch.best_round in (None, self.epoch):
                self.best, self.kept = self._weights(), self.epoch
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
        batches = epoch_of(self.job.train.sizes, self.settings.batch_queries, self.job.seed, self.epoch)
        for number, queries in enumerate(batches):
            rows, where, padded = self.train.batch(queries)
            if len(rows) < 2:
                continue  # one document has no norm over the batch, and nothing to be ranked against
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate(self.epoch + number / len(batches))
            if self.settings.noise:
                rows = rows + self.settings.noise * torch.randn_like(rows)
            with self.autocast:
                scores = self.network(rows, where)
            labels, weights = padded.pop("labels"), padded.pop("weights", None)
            scores = scores.float()
            value = self.job.loss(scores, labels, where, weights, reduction="mean", **padded)
            if not math.isfinite(value.item()):
                raise DataError(
                    f"the loss is {value.item()} in epoch {self.epoch + 1}: lower neural.rate, or look for "
                    "extreme values with `rankwright data describe`"
                )
            self.optimizer.zero_grad()
            value.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
            self.optimizer.step()
            seen.step(value.item(), float(norm), scores.detach(), labels, where, self.job.loss)
        self.audit.add(seen)

    def _rate(self, epoch: float) -> float:
        """A linear rise over the first epochs, then a half cosine to 0."""
        settings = self.settings
        if epoch < settings.warm_up:
            return settings.rate * (epoch + 1 / self.steps) / (settings.warm_up + 1 / self.steps)
        left = (epoch - settings.warm_up) / max(self.job.epochs - settings.warm_up, 1e-9)
        return settings.rate * 0.5 * (1 + math.cos(math.pi * min(left, 1.0)))

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


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _groups(network: Network, settings: NeuralSettings) -> list[dict[str, Any]]:
    """Weight decay on matrices alone: not on biases and norms."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _lists(data: RankingDataset, inputs: Inputs, loss: Any, device: torch.device) -> Lists:
    scaled = np.empty((data.document_count, inputs.width), np.float32)
    step = min(_CHUNK, inputs.rows_together)
    for start in range(0, data.document_count, step):
        scaled[start : start + step] = inputs(data.features[start : start + step])
    weights = data.query_weights
    more: dict[str, Tensor] = {}
    labels = data.lessons if loss.labels == "real" else data.labels
    if loss.needs_positions:
        winners = np.asarray(loss.clicks.winner_weights(data), np.float32)
        more["winners"] = torch.from_numpy(winners).to(device)
    return Lists(
        rows=torch.from_numpy(scaled).to(device),
        labels=torch.from_numpy(np.array(labels, np.float32)).to(device),
        weights=None if weights is None else torch.from_numpy(np.asarray(weights, np.float32)).to(device),
        more=more,
        offsets=data.offsets,
    )
