"""Rules of a look at data, and of the study that is proposed for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from objectives import check, knobs, proposal
from objectives.look import Look, dataset_of, look

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own, and the folder of its data."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Uneven classes, one file of them broken, one of one colour, one twice, sizes that differ."""
    root = tmp_path / "photos"
    for kind, count in (("cat", 30), ("dog", 12), ("fox", 5)):
        (root / kind).mkdir(parents=True)
        for i in range(count):
            side = 40 if i % 2 else 90
            pixels = RANDOM.integers(0, 256, (side, side, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / kind / f"{i:02}.png")
    (root / "cat" / "00.png").write_bytes(b"broken")
    Image.new("RGB", (40, 40), (9, 9, 9)).save(root / "dog" / "flat.png")
    (root / "fox" / "again.png").write_bytes((root / "fox" / "01.png").read_bytes())
    return root


def test_a_look_tells_what_is_odd(photos: Path) -> None:
    """Counts by class and part, and a line each for what a person would want to know."""
    seen = look("folder:photos")
    assert seen.counts.sum(1).tolist() == [29, 13, 6]
    assert (seen.counts[:, [0, 2]] > 0).all()
    told = "\n".join(seen.notes)
    assert "1 class of fewer than 10 images (fox 6): add some" in told
    assert "1 of 48 images are of one colour all over, such as dog/flat.png" in told
    assert "sizes differ much, from 40x40 to 90x90" in told
    assert "are identical to" in told
    assert seen.is_uneven
    assert "always saying cat would be right for 60% of the images" in told
    assert [*seen.broken] == ["cat/00.png"]


def test_a_proposal_runs(photos: Path) -> None:
    """Settings and space that the objective's own check has nothing against."""
    found = proposal.propose("photos/", "cpu", hours=0.5)
    settings, space = found["settings"], found["space"]
    assert settings["dataset"] == "folder:photos"
    assert settings["image_size"] in proposal.SIDES["cpu"]
    assert settings["skip_broken"] is True
    assert settings["network"] == "keras_cnn"
    assert max(space["batch_size"]["choice"]) <= 48 // 4
    assert settings["validation"] == 0.3
    assert check.check(settings, space) == []
    assert ("score" in settings) == (proposal.BALANCED in knobs.SCORES)
    assert found["budget"]["trials"] <= proposal.TRIALS[1]
    assert "48 images of 3 classes (cat 29, dog 13, fox 6)" in found["told"][0]


def test_little_time_means_few_trials_and_optimizers(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shorter trials too, but not smaller images than the network sees anything in."""
    monkeypatch.setattr(proposal, "epoch_seconds", lambda *_: 60.0)
    found = proposal.propose("photos", "cpu", hours=0.5)
    assert found["settings"]["image_size"] == 32
    assert found["budget"]["trials"] == proposal.TRIALS[0]
    assert found["space"]["optimizer"]["choice"] == ["sgd", "adam", "adamw"]
    settings = found["settings"]
    assert settings["epochs"] == proposal.LEAST_EPOCHS
    assert "patience" not in settings
    assert found["budget"]["epochs"] == proposal.TRIALS[0] * proposal.LEAST_EPOCHS
    assert "more than 30 min, which ends it" in found["why"]["budget"]


@pytest.mark.parametrize(
    ("seconds", "epochs", "trials"), [(0.1, 20, 60), (3.6, 20, 15), (9.0, 10, 12), (30.0, 5, 12)]
)
def test_trials_are_shorter_before_they_are_too_few(
    seconds: float, epochs: int, trials: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within half an hour on one core, of which 0.6 are planned with."""
    monkeypatch.setattr(proposal, "_workers", lambda place: 1)
    place = torch.device("cpu")
    found = proposal._epochs(seconds, 0.5, place)
    assert found == epochs
    budget, words = proposal._budget(seconds, 0.5, place, found)
    assert budget["trials"] == trials
    assert ("give it more" in words) is (seconds == 30.0)


def seen_of(side: int, counts: list[int], validation: int = 0) -> Look:
    """A look at photos of a side, so many of each class to train with."""
    rows = [(label, 0) for label, count in enumerate(counts) for _ in range(count)]
    labels, parts = np.array(rows + [(0, 1)] * validation).T
    classes = tuple("abc"[: len(counts)])
    images = np.zeros((len(labels), 3, 1, 1), np.uint8)
    sizes = np.array([[side, side + i % 2] for i in range(len(labels))])
    names = [str(i) for i in range(len(labels))]
    return Look("folder:x", classes, images, labels, parts, sizes, names, {}, [])


@pytest.mark.parametrize(
    ("side", "on_cpu", "on_gpu"),
    [(640, [64], [128, 64]), (70, [64], [64]), (40, [32], [32]), (9, [16], [16])],
)
def test_photos_are_not_made_smaller_than_64(side: int, on_cpu: list[int], on_gpu: list[int]):
    """Unless they are smaller; where the time is short there are fewer trials instead."""
    seen = seen_of(side, [3, 3])
    assert proposal._sides(seen, torch.device("cpu")) == on_cpu
    assert proposal._sides(seen, torch.device("cuda")) == on_gpu


@pytest.mark.parametrize(
    ("counts", "share", "told"),
    [
        ([500, 500], None, ""),
        ([300, 60], 0.3, "about 108 images, 18 of the smallest class, instead of 36"),
        ([500, 60], 0.2, "about 112 images, 12 of the smallest class, instead of 56"),
        ([50, 50], 0.3, "about 30 images, 15 of the smallest class, instead of 10"),
    ],
)
def test_enough_images_are_held_out(counts: list[int], share: float | None, told: str) -> None:
    """Of each class, as far as they go; where the data brings its own there is nothing to say."""
    found = proposal._validation(seen_of(64, counts))
    assert (found or (None, ""))[0] == share
    assert told in (found or (None, ""))[1]
    assert proposal._validation(seen_of(64, counts, validation=9)) is None


def test_many_broken_files_are_refused(photos: Path) -> None:
    """Leaving them out is then a decision."""
    for i in range(5):
        (photos / "cat" / f"{i:02}.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"5 of 49 files are broken, such as cat/00\.png"):
        proposal.propose("photos", "cpu")


def test_what_data_means(photos: Path) -> None:
    """A folder, a name, what is written out; anything else is refused with what there is."""
    assert dataset_of("photos/") == "folder:photos"
    assert dataset_of("digits") == "digits"
    assert dataset_of("folder:x") == "folder:x"
    Path("hub/data").mkdir(parents=True)
    Path("hub/README.md").touch()
    Path("hub/data/train-0-of-1.parquet").touch()
    assert dataset_of("hub/") == "parquet:hub"
    Path("hub/data/a.png").touch()
    assert dataset_of("hub") == "folder:hub"
    with pytest.raises(ValueError, match="did you mean mnist"):
        dataset_of("mnits")
