"""Several models as one: the mean of what each says, and what that gains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from PIL import Image

from objectives import classifier, cnn, datasets, ensemble

SETTINGS = {"dataset": "digits", "network": "digits_cnn", "epochs": 1, "precision": "float32"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """The folder of a model with those of two other seeds; where each was trained."""
    root = tmp_path_factory.mktemp("ensemble")
    places = [root / str(seed) for seed in range(3)]
    for seed, place in enumerate(places):
        trial = FixedTrial({"lr": 0.05, "batch_size": 128})
        cnn.objective(trial, seed=seed, device="cpu", threads=1, workdir=place, **SETTINGS)
    best = root / "best"
    for place, to in zip(places, ("", "seeds/1", "seeds/2"), strict=True):
        (best / to).mkdir(exist_ok=True, parents=True)
        cnn.save(place, best / to)
    return best, places


def test_an_ensemble_gives_the_mean_of_the_probabilities(
    trained: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    """Of pixels as of files; one alone is what it was."""
    best, _ = trained
    pixels = torch.from_numpy(np.array(datasets.load("digits").validation.images[:9]))
    alone = [classifier.load(best / one) for one in ("", "seeds/1", "seeds/2")]
    shares = torch.stack([one.probabilities(pixels) for one in alone])
    whole = cnn.load(best, "cpu", ensemble=True)
    assert torch.allclose(whole.probabilities(pixels), shares.mean(0), atol=1e-6)
    assert torch.equal(cnn.load(best).probabilities(pixels), shares[0])
    file = tmp_path / "a.png"
    Image.fromarray(pixels[0, 0].numpy() * 15).save(file)
    read = torch.stack([one.probabilities(one.read(file)[0][None])[0] for one in alone]).mean(0)
    (row,) = whole.predict([file])
    assert row["probability"] == pytest.approx(read.max().item(), abs=1e-6)
    with pytest.raises(ValueError, match="holds the model of one seed alone"):
        cnn.load(best / "seeds/1", ensemble=True)


def test_what_it_gains_is_measured_on_the_validation_images(
    trained: tuple[Path, list[Path]],
) -> None:
    """Each model's scores as `evaluate` has them, and last those of the mean."""
    _, places = trained
    *alone, mean = cnn.gain(places, "cpu")
    assert alone == [cnn.evaluate(place, "validation", "cpu") for place in places]
    images = datasets.load("digits").validation
    pixels = torch.from_numpy(np.array(images.images))
    models = [cnn.load(trained[0] / one) for one in ("", "seeds/1", "seeds/2")]
    shares = torch.stack([one.probabilities(pixels) for one in models]).mean(0)
    hits = (shares.argmax(1) == torch.from_numpy(images.labels)).float().mean().item()
    assert mean["accuracy"] == pytest.approx(hits)
    assert mean["n"] == len(images.labels)
    assert mean["loss"] < max(one["loss"] for one in alone)


def test_models_of_several_splits_are_not_scored_together(
    trained: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    """Each would be judged on images that the others were trained on."""
    trial = FixedTrial({"lr": 0.05, "batch_size": 256})
    cnn.objective(trial, device="cpu", threads=1, workdir=tmp_path, split_seed=1, **SETTINGS)
    with pytest.raises(ValueError, match="2 splits of validation images"):
        ensemble.gain([trained[1][0], tmp_path], "cpu")
