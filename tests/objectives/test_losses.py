"""Losses against formulas written out."""

import pytest
import torch

from objectives.knobs import configure
from objectives.losses import LOSSES, loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
LABELS = torch.tensor([0, 2])


def config_of(**values):
    return configure({"dataset": "digits", "network": "digits_cnn"}, values)


def test_cross_entropy():
    """Mean of -log p(label)."""
    wanted = -LOGITS.softmax(1).log()[[0, 1], LABELS].mean()
    torch.testing.assert_close(loss(LOGITS, LABELS, config_of()), wanted)


def test_label_smoothing_mixes_in_the_uniform_distribution():
    """Keras' and torch's meaning: (1 - s) one-hot + s / classes."""
    target = 0.9 * torch.eye(3)[LABELS] + 0.1 / 3
    wanted = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss(LOGITS, LABELS, config_of(label_smoothing=0.1)), wanted)


def test_mse_is_taken_on_probabilities():
    """Keras' mse on softmax outputs: the mean over images and classes."""
    wanted = ((LOGITS.softmax(1) - torch.eye(3)[LABELS]) ** 2).mean()
    torch.testing.assert_close(loss(LOGITS, LABELS, config_of(loss="mse")), wanted)


def test_multi_margin_is_the_hinge():
    """Sum over the other classes of max(0, margin - own + other), over the number of classes."""
    wanted = []
    for row, label in zip(LOGITS, LABELS, strict=True):
        others = [max(0.0, 0.7 - float(row[label] - row[k])) for k in range(3) if k != label]
        wanted.append(sum(others) / 3)
    got = loss(LOGITS, LABELS, config_of(loss="multi_margin", margin=0.7))
    assert float(got) == pytest.approx(sum(wanted) / 2)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_is_cross_entropy_of_what_is_hard(gamma):
    """Mean of -(1 - p) ** gamma log p."""
    p = LOGITS.softmax(1)[[0, 1], LABELS]
    wanted = -((1 - p) ** gamma * p.log()).mean()
    got = loss(LOGITS, LABELS, config_of(loss="focal", focal_gamma=gamma))
    torch.testing.assert_close(got, wanted)


def test_focal_has_a_gradient_where_all_is_certain():
    """(1 - p) is 0 there, and its root has none."""
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    loss(logits, torch.tensor([0]), config_of(loss="focal", focal_gamma=0.5)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_bce_asks_of_each_class_whether_it_is_there(smoothing):
    """Mean over images and classes; the target is timm's: smoothing / classes elsewhere."""
    target = (1 - smoothing) * torch.eye(3)[LABELS] + smoothing / 3
    p = LOGITS.sigmoid()
    wanted = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    got = loss(LOGITS, LABELS, config_of(loss="bce", label_smoothing=smoothing))
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_float32_and_differentiable(name):
    """Also from bfloat16 logits, which autocast leaves behind."""
    logits = LOGITS.bfloat16().requires_grad_()
    value = loss(logits, LABELS, config_of(loss=name))
    value.backward()
    assert value.dtype == torch.float32
    assert logits.grad is not None
