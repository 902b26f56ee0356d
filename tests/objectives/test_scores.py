"""Scores against scikit-learn's, and what training keeps of them."""

import pytest
import torch
from optuna.trial import FixedTrial
from sklearn import metrics

from objectives import cnn, scores, train
from objectives.check import check
from objectives.feed import Data, Images
from objectives.knobs import configure

CPU = torch.device("cpu")
BASE = {
    "dataset": "synthetic", "network": "digits_cnn", "precision": "float32", "batch_size": 16,
    "epochs": 2,
}  # fmt: skip


def theirs(name, logits, labels):
    """What scikit-learn says of the same answers."""
    answers, chances = logits.argmax(1), logits.softmax(1)
    if name == "balanced_accuracy":
        return metrics.balanced_accuracy_score(labels, answers)
    if name == "f1_macro":
        return metrics.f1_score(labels, answers, average="macro")
    if name == "top5_accuracy":
        return metrics.top_k_accuracy_score(labels, logits, k=5, labels=range(logits.shape[1]))
    if logits.shape[1] == 2:
        return metrics.roc_auc_score(labels, chances[:, 1])
    chances = chances.double()  # scikit-learn wants sums of 1 beyond float32
    return metrics.roc_auc_score(labels, chances / chances.sum(1, True), multi_class="ovr")


def uneven(classes, count, seed=0):
    """Logits that are right more often than not, labels of rare and frequent classes, ties."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.arange(1.0, classes + 1) ** 2
    labels = torch.multinomial(shares, count, replacement=True, generator=generator)
    labels[:classes] = torch.arange(classes)
    logits = torch.randn(count, classes, generator=generator)
    logits[torch.arange(count), labels] += 1
    return (logits * 4).round() / 4, labels


def tallied(name, logits, labels, size=50):
    tally = scores.Tally([name], logits.shape[1], CPU)
    for part in zip(logits.split(size), labels.split(size), strict=True):
        tally.add(*part)
    return float(tally.values()[0])


@pytest.mark.parametrize("classes", [2, 7])
@pytest.mark.parametrize("name", scores.SCORES)
def test_scores_are_scikit_learns(name, classes):
    """From batches, one of them smaller."""
    if (name, classes) == ("top5_accuracy", 2):
        pytest.skip("any answer would be right")
    logits, labels = uneven(classes, 1013)
    if name == "top5_accuracy":  # which of two equal ones is the fifth is nobody's rule
        logits = logits + torch.linspace(0, 0.2, classes)
    wanted = theirs(name, logits, labels)
    assert tallied(name, logits, labels) == pytest.approx(wanted, abs=2e-6)


def test_auroc_of_the_certain_is_not_lost_to_float32():
    """50,000 images: sums of ranks are beyond what float32 holds."""
    logits, labels = uneven(2, 50_000)
    assert tallied("auroc", logits, labels) == pytest.approx(
        theirs("auroc", logits, labels), abs=1e-6
    )


def test_a_class_that_nobody_has_or_names_is_left_out_as_in_scikit_learn():
    """And one that is named without being there costs F1 alone."""
    logits, labels = torch.eye(4)[torch.tensor([0, 0, 1, 2, 1])], torch.tensor([0, 0, 1, 1, 0])
    for name in ("balanced_accuracy", "f1_macro"):
        assert tallied(name, logits, labels) == pytest.approx(theirs(name, logits, labels))


def images(count, seed, classes=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    noise = torch.randint(0, 90, (count, 8, 8, 1), generator=generator)
    return Images((labels.view(-1, 1, 1, 1) * 20 + noise).to(torch.uint8), labels)


def run(classes=3, **values):
    data = Data(images(72, 0, classes), images(60, 1, classes), classes, 255.0, (0.4,), (0.3,))
    return train.Training(configure(BASE | values, {}), data, CPU, 0)


@pytest.mark.parametrize("name", scores.SCORES)
def test_an_epoch_is_scored_as_its_own_predictions_are(name):
    """The history has the score beside accuracy and losses; measuring changes no weight."""
    asked, plain = run(classes=7, score=f"val_{name}"), run(classes=7)
    rows = [asked.epoch(), asked.epoch()]
    assert tuple(rows[-1]) == asked.columns
    assert {"val_accuracy", "val_loss", f"val_{name}"} < rows[-1].keys()
    found = asked.model.measure(asked.data.validation, [name])
    best = rows[asked.best_epoch]
    assert float(found[2]) == best[f"val_{name}"] == asked.score
    assert asked.best_epoch == max((0, 1), key=lambda epoch: rows[epoch][f"val_{name}"])
    plain.epoch()
    assert plain.history[0].items() - {("seconds", plain.history[0]["seconds"])} <= rows[0].items()


def test_the_score_of_training_is_of_the_answers_that_were_given():
    """With a rate of almost 0 they are those of the network at hand."""
    asked = run(lr=1e-12, epochs=1, network="simple_cnn", monitor="f1_macro", batch_size=50)
    row = asked.epoch()
    found = asked.model.measure(asked.data.train, ["f1_macro"])
    assert row["f1_macro"] == pytest.approx(float(found[2]), abs=1e-6)
    assert asked.score == row["val_accuracy"]


@pytest.mark.parametrize(
    ("classes", "score", "message"),
    [
        (5, "val_top5_accuracy", "needs 6 classes or more, got 5"),
        (9, "val_auroc", "needs validation images of each class, got none of '8'; hold out more"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_training(classes, score, message):
    """By the name of the class, with what to do."""
    few = images(60, 1, min(classes, 8))
    data = Data(images(72, 0, classes), few, classes, 255.0, (0.4,), (0.3,))
    with pytest.raises(ValueError, match=message):
        train.Training(configure(BASE | {"score": score}, {}), data, CPU, 0)


def test_the_direction_follows_the_score():
    """All but losses are to be maximized."""
    settings = {"dataset": "digits", "network": "digits_cnn"}
    for name in scores.SCORES:
        assert check({**settings, "score": f"val_{name}"}, {}) == []
        problems = dict(check({**settings, "score": f"val_{name}"}, {}, "minimize"))
        assert f"val_{name} is to maximize" in problems["direction"]


def test_the_kept_model_is_evaluated_by_the_score(tmp_path):
    """On validation it finds the score again; the history of a trial has it."""
    settings = {"dataset": "digits", "network": "digits_cnn", "epochs": 1, "score": "val_auroc"}
    trial = FixedTrial({"batch_size": 64})
    score = cnn.objective(trial, device="cpu", workdir=tmp_path, precision="float32", **settings)
    found = cnn.evaluate(tmp_path, "validation", device="cpu")
    assert found["auroc"] == pytest.approx(score, abs=1e-6)
    assert found.keys() == {"loss", "accuracy", "auroc", "n"}
    assert trial.user_attrs["history"]["val_auroc"] == [float(f"{score:.6g}")]
