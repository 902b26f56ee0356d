"""Classes of uneven size: weights as scikit-learn's, batches in which all are as frequent."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from objectives import cnn, losses, uneven
from objectives.knobs import as_dict, configure

LABELS = torch.tensor([0] * 60 + [1] * 10 + [2] * 30)
NAMES = ("cat", "dog", "owl")
BASE = {"dataset": "digits", "network": "digits_cnn"}


def test_balanced_weights_are_scikit_learns():
    """Of the training labels; their mean over the images is 1."""
    found = uneven.weights("balanced", LABELS, 3, NAMES)
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert float(found[LABELS].mean()) == pytest.approx(1.0)
    assert uneven.weights("none", LABELS, 3, NAMES) is None


def test_weights_by_name_leave_the_others_at_one():
    """A class that YAML reads as a number has a name all the same."""
    assert uneven.weights({"owl": 3, "cat": 0.5}, LABELS, 3, NAMES).tolist() == [0.5, 1.0, 3.0]
    config = configure({**BASE, "class_weight": {7: 2.0}}, {})
    assert config.class_weight == {"7": 2.0}
    assert configure(as_dict(config), {}) == config


@pytest.mark.parametrize("name", losses.LOSSES)
def test_each_loss_weighs_each_image(name):
    """The mean of what each image alone costs, times its class's weight; ones change nothing."""
    config = configure({**BASE, "loss": name}, {})
    logits, labels = torch.randn(6, 3, generator=torch.manual_seed(0)), torch.arange(6) % 3
    weights = torch.tensor([0.5, 2.0, 7.0])
    alone = [losses.loss(logits[i : i + 1], labels[i : i + 1], config) for i in range(6)]
    wanted = (torch.stack(alone) * weights[labels]).mean()
    torch.testing.assert_close(losses.loss(logits, labels, config, weights), wanted)
    ones = losses.loss(logits, labels, config, torch.ones(3))
    torch.testing.assert_close(ones, losses.loss(logits, labels, config))


def test_balanced_sampling_draws_each_class_as_often():
    """And within a class each image; as many as there are in all. Nothing but torch's generator."""
    sampler = uneven.Balanced(LABELS)
    torch.manual_seed(0)
    drawn = torch.cat([sampler.draw() for _ in range(300)])
    counts = torch.bincount(drawn, minlength=100) / 300
    for label, size in enumerate((60, 10, 30)):
        own = counts[label == LABELS]
        assert float(own.sum()) == pytest.approx(100 / 3, abs=1.5)
        assert own.sub(100 / 3 / size).abs().max() < 0.6
    torch.manual_seed(0)
    assert torch.equal(sampler.draw(), drawn[:100])


def test_balanced_sampling_passes_over_a_class_without_images():
    """A number that no label has is drawn from nobody."""
    labels = torch.tensor([0, 0, 2])
    assert {*torch.cat([uneven.Balanced(labels).draw() for _ in range(50)]).tolist()} == {0, 1, 2}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"3": 0.0}, "must be none, balanced, or weights above 0 by class"),
        ("balance", "must be none, balanced, or weights above 0 by class"),
    ],
)
def test_a_wrong_weight_is_refused(value, message):
    """By its rule."""
    with pytest.raises(ValueError, match=message):
        configure({**BASE, "class_weight": value}, {})


def test_a_class_that_is_not_there_is_refused_before_the_study_is_made():
    """With the nearest one."""
    with pytest.raises(ValueError, match=r"no class is called '70'; the nearest of 10 is '[07]'"):
        cnn.prepare({**BASE, "class_weight": {"70": 2.0}}, "cpu")
    assert cnn.prepare({**BASE, "class_weight": {7: 2.0}}, "cpu")["data"]["classes"] == 10


def test_what_is_not_used_leaves_no_trace():
    """An old question has its old fingerprint."""
    told = as_dict(configure(BASE, {}))
    assert not {"sampling", "class_weight"} & told.keys()
    used = {"sampling": "balanced", "class_weight": "balanced"}
    assert used.items() <= as_dict(configure(BASE | used, {})).items()
