"""InfoNCE in all its forms, SupCon, SigLIP, and what goes with them."""

from __future__ import annotations

import math
import resource
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from ranking.errors import UsageError
from ranking.losses.embedding import (
    LearnableTemperature,
    MomentumEncoder,
    NegativeQueue,
    cached_step,
    clip_loss,
    info_nce,
    mutual_information_bound,
    nt_xent,
    siglip,
    supcon,
)


def pair(size: int = 6, width: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    q, k = torch.randn(2, size, width, generator=torch.manual_seed(seed), dtype=torch.float64)
    return q.requires_grad_(), k.requires_grad_()


def logits_of(q: Tensor, k: Tensor, temperature: float = 0.07) -> Tensor:
    return normalize(q, dim=-1) @ normalize(k, dim=-1).T / temperature


def test_it_is_the_cross_entropy_of_the_matrix() -> None:
    q, k = pair()
    value = info_nce(q, k)
    expected = cross_entropy(logits_of(q, k), torch.arange(6))
    assert value.item() == pytest.approx(expected.item())
    ours, theirs = torch.autograd.grad(value, (q, k)), torch.autograd.grad(expected, (q, k))
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other)
    assert torch.autograd.gradcheck(info_nce, (q, k))


def test_symmetric_is_the_mean_of_both_ways() -> None:
    q, k = pair()
    s, own = logits_of(q, k, 0.07), torch.arange(6)
    expected = (cross_entropy(s, own) + cross_entropy(s.T, own)) / 2
    assert clip_loss(q, k).item() == pytest.approx(expected.item())
    assert clip_loss(q, k, LearnableTemperature()).item() == pytest.approx(expected.item(), rel=1e-6)


def test_symmetric_in_blocks_with_masks_is_that_of_one_matrix() -> None:
    """A key that is ignored by a query ignores it: masks are turned for the way back."""
    q, k = pair()
    generator = torch.manual_seed(2)
    ignored = torch.rand(6, 6, generator=generator) < 0.3
    masks = {"ignored": ignored, "key_ids": torch.tensor([1, 1, 2, 3, 4, 5])}
    one = info_nce(q, k, symmetric=True, **masks)  # type: ignore[arg-type]
    blocks = info_nce(q, k, symmetric=True, block_bytes=1, **masks)  # type: ignore[arg-type]
    back = info_nce(k, q, **{**masks, "ignored": ignored.T})  # type: ignore[arg-type]
    assert one.item() == pytest.approx((info_nce(q, k, **masks) + back).item() / 2)  # type: ignore[arg-type]
    assert blocks.item() == pytest.approx(one.item())
    positives = torch.eye(6, dtype=torch.bool) | (torch.rand(6, 6, generator=generator) < 0.3)
    several = info_nce(q, k, symmetric=True, positives=positives)
    both = info_nce(q, k, positives=positives) + info_nce(k, q, positives=positives.T)
    assert several.item() == pytest.approx(both.item() / 2)


def test_negatives_of_all_and_of_each_are_further_columns() -> None:
    q, k = pair()
    more = torch.randn(4, 5, generator=torch.manual_seed(3), dtype=torch.float64)
    wide = cross_entropy(logits_of(q, torch.cat([k, more])), torch.arange(6)).item()
    assert info_nce(q, k, negatives=more).item() == pytest.approx(wide)
    assert info_nce(q, k, negatives=more.expand(6, 4, 5)).item() == pytest.approx(wide)


@pytest.mark.parametrize("each", [False, True], ids=["shared", "a query's own"])
def test_without_the_batch_there_are_given_negatives_alone(each: bool) -> None:
    q, k = pair()
    more = torch.randn(4, 5, generator=torch.manual_seed(3), dtype=torch.float64)
    own = logits_of(q, k).diagonal()[:, None]
    expected = cross_entropy(torch.cat([own, logits_of(q, more)], 1), torch.zeros(6, dtype=torch.int64))
    value = info_nce(q, k, negatives=more.expand(6, 4, 5) if each else more, in_batch=False)
    assert value.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("on", ["negatives", "all"])
def test_ids_and_log_q_hold_without_the_batch_too(on: Any) -> None:
    """The first negative is the second query's own document; the correction of a key follows it."""
    q, k = pair(3)
    more = torch.randn(2, 5, generator=torch.manual_seed(3), dtype=torch.float64)
    log_q = torch.tensor([-1.0, -2.0, -0.5, -0.1, -3.0], dtype=torch.float64)
    given: dict[str, Any] = {"key_ids": torch.tensor([0, 1, 2, 1, 9]), "log_q": log_q, "log_q_on": on}
    value = info_nce(q, k, negatives=more, in_batch=False, **given, reduction="none")
    own = logits_of(q, k).diagonal() - (log_q[:3] if on == "all" else 0)
    s = torch.cat([own[:, None], logits_of(q, more) - log_q[3:]], 1)
    assert value[0].item() == pytest.approx((s[0].logsumexp(0) - s[0, 0]).item())
    assert value[1].item() == pytest.approx((s[1, [0, 2]].logsumexp(0) - s[1, 0]).item())


def probabilities(q: Tensor, k: Tensor, **given: Any) -> Tensor:
    """The size of d L_i / d k_j: 0 exactly where the softmax gives key j no probability."""
    columns = torch.zeros(len(q), len(k), dtype=torch.float64)
    for i in range(len(q)):
        value = info_nce(q, k, **given, reduction="none")[i]
        (by_key,) = torch.autograd.grad(value, k, retain_graph=True)
        columns[i] = by_key.abs().sum(-1)
    return columns


def test_a_key_of_the_own_id_has_probability_zero() -> None:
    """Not nearly: exactly; and the loss is that of the matrix without it. A negative id is none."""
    q, k = pair(4)
    ids = torch.tensor([7, -1, 7, -1])
    masked = probabilities(q, k, key_ids=ids)
    assert masked[0, 2] == 0
    assert masked[2, 0] == 0
    assert masked[0, 1] > 0
    assert masked[1, 3] > 0
    value = info_nce(q, k, key_ids=ids, reduction="none")
    rest = logits_of(q, k)[0, [0, 1, 3]]
    assert value[0].item() == pytest.approx((rest.logsumexp(0) - rest[0]).item())


def test_ids_reach_shared_negatives() -> None:
    """Those of a queue, which may have been seen before; ids of the batch alone say nothing of them."""
    q, k = pair(4)
    queue = torch.randn(3, 5, generator=torch.manual_seed(3), dtype=torch.float64)
    ids = torch.tensor([0, 1, 2, 3, -1, 2, 50])
    value = info_nce(q, k, negatives=queue, key_ids=ids, reduction="none")
    s = logits_of(q, torch.cat([k, queue]))
    without = s[2, [0, 1, 2, 3, 4, 6]]
    assert value[2].item() == pytest.approx((without.logsumexp(0) - s[2, 2]).item())
    assert value[1].item() == pytest.approx((s[1].logsumexp(0) - s[1, 1]).item())
    short = info_nce(q, k, negatives=queue, key_ids=ids[:4], reduction="none")
    assert short[2].item() == pytest.approx((s[2].logsumexp(0) - s[2, 2]).item())


def test_ignored_keys_are_left_out() -> None:
    q, k = pair(4)
    known = torch.zeros(4, 4, dtype=torch.bool)
    known[0, 3] = known[0, 0] = True  # its own key stays, whatever is said of it
    value = info_nce(q, k, ignored=known, reduction="none")
    rest = logits_of(q, k)[0, :3]
    assert value[0].item() == pytest.approx((rest.logsumexp(0) - rest[0]).item())


@pytest.mark.parametrize("on", ["negatives", "all"])
def test_log_q_is_subtracted_where_it_says(on: Any) -> None:
    q, k = pair()
    log_q = torch.log(torch.tensor([0.5, 0.1, 0.1, 0.1, 0.1, 0.1], dtype=torch.float64))
    s = logits_of(q, k)
    own = torch.eye(6, dtype=torch.bool)
    shifted = {"all": s - log_q, "negatives": torch.where(own, s, s - log_q)}[on]
    value = info_nce(q, k, log_q=log_q, log_q_on=on)
    assert value.item() == pytest.approx(cross_entropy(shifted, torch.arange(6)).item())


def test_several_positives_are_averaged_outside_the_logarithm() -> None:
    q, k = pair(4)
    positives = torch.eye(4, dtype=torch.bool)
    positives[0, 2] = True
    logs = logits_of(q, k).log_softmax(1)
    value = info_nce(q, k, positives=positives, reduction="none")
    assert value[0].item() == pytest.approx(-(logs[0, 0] + logs[0, 2]).item() / 2)


def test_blocks_give_what_the_whole_matrix_gives() -> None:
    q, k = pair(50)
    given: dict[str, Any] = {
        "key_ids": torch.arange(50) % 40,
        "negatives": torch.randn(50, 3, 5, dtype=torch.float64),
        "log_q": torch.rand(50, dtype=torch.float64).log(),
    }
    plain = info_nce(q, k, **given)
    expected = torch.autograd.grad(plain, (q, k))
    blocked = info_nce(q, k, **given, block_bytes=7 * 50 * 8)  # seven rows
    assert blocked.item() == pytest.approx(plain.item())
    for mine, other in zip(torch.autograd.grad(blocked, (q, k)), expected, strict=True):
        assert torch.allclose(mine, other, atol=1e-12)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory as Linux counts it")
def test_a_large_batch_takes_memory_of_its_blocks() -> None:
    """6,000 × 6,000 float32 is 144 MB a matrix, of which a plain softmax keeps several; a block is 16 MB."""
    q = torch.randn(6000, 32, requires_grad=True)
    k = torch.randn(6000, 32, requires_grad=True)
    info_nce(q[:10], k[:10]).backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info_nce(q, k, block_bytes=1 << 24).backward()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 280


def test_siglip_is_a_decision_for_each_pair() -> None:
    a, b = pair(3)
    cosine = normalize(a, dim=-1) @ normalize(b, dim=-1).T
    total = sum(
        math.log1p(math.exp(-(1 if i == j else -1) * (10 * cosine[i, j].item() - 10)))
        for i in range(3)
        for j in range(3)
    )
    assert siglip(a, b).item() == pytest.approx(total / 3)


def test_the_temperature_stays_at_its_ceiling_and_comes_back() -> None:
    temperature = LearnableTemperature(start=0.01, lowest=0.01)
    with torch.no_grad():
        temperature.log_scale += 3
    value = temperature()
    assert value.item() == pytest.approx(0.01)
    value.backward()
    assert temperature.log_scale.grad is not None
    assert temperature.log_scale.grad != 0
    with pytest.raises(UsageError, match="at least lowest"):
        LearnableTemperature(start=0.001)


def test_shapes_and_choices_are_checked() -> None:
    q, k = pair()
    with pytest.raises(UsageError, match="alike"):
        info_nce(q, k[:3])
    with pytest.raises(UsageError, match="symmetric InfoNCE"):
        info_nce(q, k, symmetric=True, negatives=k)
    with pytest.raises(UsageError, match="unknown log_q_on"):
        info_nce(q, k, log_q_on="some")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"negatives must be \[m, 5\] or \[6, k, 5\]"):
        info_nce(q, k, negatives=torch.zeros(3, 4))
    with pytest.raises(UsageError, match="give some"):
        info_nce(q, k, in_batch=False)


# --- SupCon -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["out", "in", "alone"])
def test_with_one_positive_each_it_is_nt_xent(form: Any) -> None:
    """Two views of each of four items: rivals are the other seven."""
    a, b = pair(4)
    z = torch.cat([a, b])
    s = logits_of(z, z, 0.07).masked_fill(torch.eye(8, dtype=torch.bool), -1e30)
    expected = cross_entropy(s, torch.arange(8).roll(4))
    labels = torch.arange(4).repeat(2)
    assert supcon(z, labels, 0.07, form=form).item() == pytest.approx(expected.item())
    assert nt_xent(a, b, 0.07).item() == pytest.approx(expected.item())


def test_inside_is_at_most_outside() -> None:
    for seed in range(5):
        z, _ = pair(12, seed=seed)
        labels = torch.arange(12) % 3
        assert supcon(z, labels, form="in") <= supcon(z, labels, form="out") + 1e-12


def test_alone_a_positive_has_no_rival_of_its_label() -> None:
    """Labels 0 0 0 1: of each anchor of 0, two positives, each against item 3 alone; item 3 has none."""
    z, _ = pair(4)
    s = logits_of(z, z, 0.1)
    terms = [
        -(s[a, p] - torch.stack([s[a, p], s[a, 3]]).logsumexp(0))
        for a in range(3)
        for p in range(3)
        if a != p
    ]
    value = supcon(z, torch.tensor([0, 0, 0, 1]), form="alone")
    assert value.item() == pytest.approx(torch.stack(terms).mean().item())


def test_anchors_without_a_positive_are_left_out_of_the_mean() -> None:
    z, _ = pair(5)
    logs = logits_of(z, z, 0.07).masked_fill(torch.eye(5, dtype=torch.bool), -1e30).log_softmax(1)
    expected = -(logs[0, 1] + logs[1, 0]) / 2
    assert supcon(z, torch.tensor([0, 0, 1, 2, 3]), 0.07).item() == pytest.approx(expected.item())
    assert supcon(z, torch.arange(5)).item() == 0


# --- MoCo, large batches, information -----------------------------------------------------------------


def test_the_queue_holds_only_what_was_put_in() -> None:
    queue = NegativeQueue(5, 2)
    assert len(queue.keys) == 0
    first = torch.arange(6.0).reshape(3, 2).requires_grad_()
    queue.push(first, torch.tensor([10, 11, 12]))
    keys, ids = queue.keys, queue.ids
    assert torch.equal(keys, first.detach())
    assert not keys.requires_grad
    assert ids.tolist() == [10, 11, 12]
    queue.push(torch.full((4, 2), 9.0))
    assert sorted(queue.ids.tolist()) == [-1, -1, -1, -1, 12]  # the oldest two made room
    other = NegativeQueue(5, 2)
    other.load_state_dict(queue.state_dict())
    assert torch.equal(other.keys, queue.keys)
    queue.push(torch.arange(14.0).reshape(7, 2), torch.arange(7))
    assert sorted(queue.ids.tolist()) == [2, 3, 4, 5, 6]


def test_the_first_steps_have_no_invented_negatives() -> None:
    q, k = pair()
    queue = NegativeQueue(100, 5)
    keys, ids = queue.keys, queue.ids
    value = info_nce(q, k, negatives=keys, key_ids=torch.cat([torch.arange(6), ids]))
    assert value.item() == pytest.approx(info_nce(q, k).item())


def test_the_momentum_encoder_follows() -> None:
    """And neither trains nor saves the encoder it follows."""
    encoder = nn.Linear(2, 1)
    momentum = MomentumEncoder(encoder, 0.9)
    start = encoder.weight.detach().clone()
    with torch.no_grad():
        encoder.weight += 1
    momentum.update()
    assert torch.allclose(momentum.copy.weight, start + 0.1)
    assert not momentum(torch.ones(1, 2)).requires_grad
    assert set(momentum.state_dict()) == {"copy.weight", "copy.bias"}
    assert not any(parameter.requires_grad for parameter in momentum.parameters())


def test_cached_gradients_are_those_of_the_whole_batch_with_dropout_on() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).double()
    queries, keys = torch.randn(2, 7, 4, dtype=torch.float64)

    torch.manual_seed(5)
    encoded = [torch.cat([encoder(part) for part in batch.split(3)]) for batch in (queries, keys)]
    expected = info_nce(*encoded)
    expected.backward()
    gradients = [p.grad.clone() for p in encoder.parameters() if p.grad is not None]
    following = torch.rand(1)
    encoder.zero_grad()
    torch.manual_seed(5)
    value = cached_step(encoder, (queries, keys), info_nce, chunk=3)
    assert value.item() == pytest.approx(expected.item())
    for parameter, gradient in zip(encoder.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient, atol=1e-12)
    assert torch.rand(1) == following  # the random stream goes on as if nothing had been replayed


def test_the_bound_stays_below_the_information_of_gaussians() -> None:
    """Ten dimensions of correlation 0.5 have −5 log(1 − 1/4) nats; the best critic is the density ratio."""
    rho, width, size, truth = 0.5, 10, 256, -5 * math.log(1 - 0.25)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(20):
        x = torch.randn(size, width, generator=generator)
        y = rho * x + math.sqrt(1 - rho**2) * torch.randn(size, width, generator=generator)
        ratio = (-((y[None] - rho * x[:, None]) ** 2) / (2 * (1 - rho**2)) + y[None] ** 2 / 2).sum(-1)
        values.append(
            mutual_information_bound(cross_entropy(ratio, torch.arange(size)).item(), size - 1).value
        )
    mean, error = torch.tensor(values).mean().item(), torch.tensor(values).std().item() / math.sqrt(20)
    assert truth - 0.15 < mean < truth + 3 * error


def test_a_saturated_bound_says_so() -> None:
    bound = mutual_information_bound(0.01, 15)
    assert bound.cap == pytest.approx(math.log(16))
    assert bound.saturated
    assert "saturated" in str(bound)
    assert not mutual_information_bound(2.0, 15).saturated
    with pytest.raises(UsageError, match="at least one negative"):
        mutual_information_bound(1.0, 0)
    assert float(bound) == bound.value == pytest.approx(math.log(16) - 0.01)
