"""Mixup and cutmix: shares, pairs and rectangles; losses of two labels."""

import pytest
import torch
from torch.nn import functional as F

from objectives import losses, mixing
from objectives.knobs import configure
from objectives.losses import LOSSES
from objectives.mixing import Targets

LABELS = torch.tensor([0, 1, 2, 1])


def images():
    """Four images of one value each, so that a pixel tells whose it is."""
    return torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 8, 6).contiguous()


def mixed(seed, **alphas):
    torch.manual_seed(seed)
    return mixing.mix(images(), LABELS, None, **{"mixup": 0.0, "cutmix": 0.0} | alphas)


@pytest.mark.parametrize("seed", range(5))
def test_mixup_blends_each_image_with_the_one_before(seed):
    """In the share that the loss is told, one for the batch."""
    result, targets = mixed(seed, mixup=0.4)
    own, before = images(), images().roll(1, 0)
    torch.testing.assert_close(result, targets.share * own + (1 - targets.share) * before)
    assert torch.equal(targets.labels, LABELS)
    assert torch.equal(targets.others, LABELS.roll(1))


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_puts_a_rectangle_of_the_one_before_into_each(seed):
    """The same in all; the share is that of the pixels that stayed, also at the border."""
    result, targets = mixed(seed, cutmix=1.0)
    stays = result == images()
    assert torch.equal(result, torch.where(stays, images(), images().roll(1, 0)))
    assert float(targets.share) == pytest.approx(float(stays.float().mean()))
    gone = ~stays[0, 0]
    assert torch.equal(gone, gone.any(1, keepdim=True) & gone.any(0, keepdim=True))


def test_with_both_each_batch_is_one_of_them():
    """By the toss of a coin."""
    cut = [
        bool(torch.isin(mixed(seed, mixup=1.0, cutmix=1.0)[0], torch.arange(4.0)).all())
        for seed in range(60)
    ]
    assert 15 < sum(cut) < 45


def test_shares_are_those_of_the_beta_distribution():
    """Beta(1, 1) is uniform; Beta(0.2, 0.2) is mostly near its ends, half of it on each side."""
    for alpha, inside in ((1.0, 0.8), (0.2, 0.33)):  # SciPy's beta.cdf(0.9) - beta.cdf(0.1)
        torch.manual_seed(0)
        shares = torch.stack([mixing._beta(alpha, torch.device("cpu")) for _ in range(3000)])
        between = ((shares > 0.1) & (shares < 0.9)).float().mean()
        assert float(between) == pytest.approx(inside, abs=0.03)
        assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)


def test_the_right_answer_is_the_larger_share():
    """What training's accuracy counts, as in torchvision's references."""
    others = LABELS.roll(1)
    for share, wanted in ((0.7, LABELS), (0.3, others), (0.5, LABELS)):
        assert torch.equal(Targets(LABELS, others, torch.tensor(share)).main, wanted)
    assert Targets(LABELS).main is LABELS


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_two_labels_is_theirs_by_their_shares(name):
    """With the weights of their classes; under cross entropy and bce, that of the soft target."""
    torch.manual_seed(0)
    logits, others = torch.randn(4, 3), LABELS.roll(1)
    config = configure({"dataset": "d", "network": "digits_cnn", "loss": name}, {})
    weights = torch.tensor([1.0, 2.0, 3.0])
    both = Targets(LABELS, others, torch.tensor(0.3))
    parts = [losses.loss(logits, labels, config, weights) for labels in (LABELS, others)]
    got = losses.of_targets(logits, both, config, weights)
    torch.testing.assert_close(got, 0.3 * parts[0] + 0.7 * parts[1])
    soft = 0.3 * F.one_hot(LABELS, 3) + 0.7 * F.one_hot(others, 3)
    plain = losses.of_targets(logits, both, config)
    if name == "cross_entropy":
        torch.testing.assert_close(plain, F.cross_entropy(logits, soft))
    if name == "bce":
        torch.testing.assert_close(plain, F.binary_cross_entropy_with_logits(logits, soft))


def test_mse_of_two_labels_pulls_as_that_of_the_soft_target():
    """Their difference is a constant."""
    others, gradients = LABELS.roll(1), []
    config = configure({"dataset": "d", "network": "digits_cnn", "loss": "mse"}, {})
    soft = 0.3 * F.one_hot(LABELS, 3) + 0.7 * F.one_hot(others, 3)
    for is_soft in (True, False):
        torch.manual_seed(0)
        logits = torch.randn(4, 3, requires_grad=True)
        both = Targets(LABELS, others, torch.tensor(0.3))
        plain = losses.of_targets(logits, both, config)
        (F.mse_loss(logits.softmax(1), soft) if is_soft else plain).backward()
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)
