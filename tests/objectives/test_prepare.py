"""Rules of the look before a study: what would fail trial by trial is refused once, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from optuna.trial import FixedTrial
from PIL import Image
from torch import nn

from objectives import checkpoint, cnn, norms, portable
from objectives.prepare import prepare

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own, one thread."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    torch.set_num_threads(1)


def folder(root: Path, counts: dict[str, int], side: int = 8) -> str:
    for part in ("train", "test"):
        for kind, count in counts.items():
            (root / part / kind).mkdir(parents=True)
            for i in range(count):
                noise = RANDOM.integers(0, 256, (side, side, 3)).astype(np.uint8)
                Image.fromarray(noise).save(root / part / kind / f"{i}.png")
    return f"folder:{root}"


def ask(settings: dict[str, Any], space: dict[str, Any] | None = None, **more: Any) -> Any:
    base = {"dataset": "digits", "network": "digits_cnn", "epochs": 1}
    return prepare({**base, **settings}, "cpu", space, **more)


# Few images -------------------------------------------------------------------------------------


@pytest.mark.soak
def test_three_images_train(tmp_path: Path) -> None:
    """Two classes of three: prepared, and every trial comes to its end."""
    settings = {"dataset": folder(tmp_path / "photos", {"a": 3, "b": 3}), "batch_size": 2}
    settings |= {"network": "digits_cnn", "epochs": 1}
    about = ask(settings)["data"]
    assert (about["n_train"], about["n_validation"]) == (4, 2)
    for network in ("digits_cnn", "resnet9"):
        score = cnn.objective(FixedTrial({}), device="cpu", **{**settings, "network": network})
        assert 0 <= score <= 1


def test_the_default_batch_size_must_fit_too(tmp_path: Path) -> None:
    """It is refused before any trial, as one that is given is."""
    dataset = folder(tmp_path / "photos", {"a": 3, "b": 3})
    with pytest.raises(
        ValueError, match=r"batch_size <= 4 training .* got 32; drop .* default is 32"
    ):
        ask({"dataset": dataset})
    with pytest.raises(ValueError, match="got 16; drop"):
        ask({"dataset": dataset}, {"batch_size": {"choice": [2, 16]}})
    with pytest.raises(ValueError, match="got 64"):
        ask({"dataset": dataset}, {"batch_size": {"int": [2, 64]}})
    listed = [{"batch_size": 2}, {"optimizer": "sgd"}]
    with pytest.raises(ValueError, match="got 32"):
        ask({"dataset": dataset}, {"batch_size": {"choice": [2]}}, configurations=listed)
    assert ask({"dataset": dataset, "batch_size": "full"})["data"]["n_train"] == 4


def test_a_class_of_one_image_is_refused_by_name(tmp_path: Path) -> None:
    """Before a trial."""
    dataset = folder(tmp_path / "photos", {"big": 9, "rare": 1})
    with pytest.raises(ValueError, match="class 'rare' has one training image"):
        ask({"dataset": dataset, "batch_size": 2})


def test_a_score_of_each_class_needs_validation_images_of_each(tmp_path: Path) -> None:
    """Before a trial, also where the data brings its validation images; other scores do not."""
    dataset = folder(tmp_path / "photos", {"big": 6, "rare": 6})
    rows = [
        f"photos/{part}/{kind}/{i}.png,{kind},{'val' if i > 3 and part == 'train' else part}"
        for part in ("train", "test")
        for kind in ("big", "rare")
        for i in range(6 if (part, kind) != ("train", "rare") else 4)
    ]
    (tmp_path / "photos.csv").write_text("\n".join(["image,label,split", *rows]))
    settings = {"dataset": f"csv:{tmp_path / 'photos.csv'}", "batch_size": 2}
    with pytest.raises(ValueError, match=r"val_auroc needs validation images of each.* of 'rare'"):
        ask({**settings, "score": "val_auroc"})
    assert ask({**settings, "score": "val_f1_macro"})["metric"] == "val_f1_macro"
    drawn = {"dataset": dataset, "batch_size": 2, "score": "val_auroc"}
    assert ask(drawn)["metric"] == "val_auroc"


# Batches of one ---------------------------------------------------------------------------------

RESNET = {"network": "torchvision:resnet18", "init": "torch", "image_size": 32}


@pytest.mark.soak
def test_one_image_that_a_batch_norm_sees_as_one_pixel_is_refused() -> None:
    """The layer is named; nothing is trained."""
    message = r"batch_size 1: torchvision:resnet18 .* 32x32: backbone\.layer4\.\S+ \(BatchNorm2d\)"
    for settings, space in (
        ({"batch_size": 1}, {}),
        ({}, {"batch_size": {"choice": [16, 1]}}),
        ({}, {"batch_size": {"int": [1, 64]}}),
    ):
        with pytest.raises(ValueError, match=message):
            ask({**RESNET, **settings}, space)
    assert ask({**RESNET, "batch_size": 2})


def test_one_image_of_a_flat_batch_norm_is_refused() -> None:
    """mnist_cnn's head."""
    with pytest.raises(ValueError, match=r"mnist_cnn cannot train .* \(BatchNorm1d\)"):
        ask({"network": "mnist_cnn", "image_size": 28, "batch_size": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {"network": "digits_cnn"},
        {"network": "resnet9", "image_size": 16},
        {**RESNET, "freeze": "backbone"},
        {**RESNET, "image_size": 64},
    ],
)
def test_one_image_is_fine_elsewhere(settings: dict[str, Any]) -> None:
    """Without batch norm, with pixels enough, frozen."""
    assert ask({**settings, "batch_size": 1})


@pytest.mark.soak
def test_only_what_can_meet_is_refused() -> None:
    """By the space's conditions, and by the configurations one by one."""
    networks = {"network": {"choice": ["digits_cnn", "torchvision:resnet18"]}}
    settings = {"dataset": "digits", "image_size": 32, "epochs": 1}
    one = {"batch_size": {"choice": [1, 2], "when": {"network": ["digits_cnn"]}}}
    assert prepare(settings, "cpu", networks | one)
    both = networks | {"batch_size": {"choice": [1, 2]}}
    with pytest.raises(ValueError, match="batch_size 1"):
        prepare(settings, "cpu", both)
    listed = [{"network": "digits_cnn", "batch_size": 1}]
    listed += [{"network": "torchvision:resnet18", "batch_size": 2}]
    assert prepare(settings, "cpu", both, listed)
    with pytest.raises(ValueError, match="batch_size 1"):
        prepare(settings, "cpu", both, [{**listed[1], "batch_size": 1}])


@pytest.mark.parametrize(
    ("layer", "named"),
    [(nn.InstanceNorm2d(4), "InstanceNorm2d"), (nn.GroupNorm(4, 4), "GroupNorm"), (None, "")],
)
def test_other_norms_are_tried_too(layer: nn.Module | None, named: str) -> None:
    """Whatever a network of one's own holds; it stays as it is."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), *([layer] if layer else []), nn.Flatten())
    why = norms.fails_on_one(network, (3, 3, 3))
    assert why.startswith(f"1 ({named})") if named else why == ""
    assert not any(module._forward_pre_hooks for module in network.modules())


# Left out files ---------------------------------------------------------------------------------


def test_skipped_files_are_skipped_by_every_companion(tmp_path: Path) -> None:
    """Training, evaluation, confusion and the model to take away see the same images."""
    dataset = folder(tmp_path / "photos", {"a": 6, "b": 6})
    for part in ("train", "test"):
        (tmp_path / "photos" / part / "a" / "broken.jpg").write_bytes(b"broken")
    settings = {"dataset": dataset, "network": "digits_cnn", "epochs": 1, "batch_size": 4}
    with pytest.raises(ValueError, match="2 of 26 files cannot be read"):
        ask(settings)
    settings["skip_broken"] = True
    assert ask(settings)["data"]["n_skipped"] == 2
    cnn.objective(FixedTrial({}), device="cpu", workdir=tmp_path / "work", **settings)
    assert cnn.evaluate(tmp_path / "work", "test")["n"] == 12
    assert np.sum(cnn.confusion(tmp_path / "work", "validation")) == 2
    (tmp_path / "out").mkdir()
    assert cnn.save(tmp_path / "work", tmp_path / "out")
    kept = portable.read(tmp_path / "out" / portable.WEIGHTS)
    assert kept.about["config"]["skip_broken"] is True
    assert cnn.resolve(settings, {})["skip_broken"] is True


def test_a_model_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its configuration does not name skip_broken."""
    dataset = folder(tmp_path / "photos", {"a": 6, "b": 6})
    settings = {"dataset": dataset, "network": "digits_cnn", "epochs": 1, "batch_size": 4}
    cnn.objective(FixedTrial({}), device="cpu", workdir=tmp_path / "work", **settings)
    state = checkpoint.load(tmp_path / "work" / checkpoint.MODEL)
    assert state is not None
    assert "skip_broken" not in state["config"]
    (tmp_path / "out").mkdir()
    assert cnn.save(tmp_path / "work", tmp_path / "out")
    assert cnn.evaluate(tmp_path / "work", "test")["n"] == 12


def test_images_that_are_given_to_validate_have_no_other_split(tmp_path: Path) -> None:
    """Confirming on several is refused; drawn ones have as many as are asked for."""
    root = tmp_path / "photos"
    dataset = folder(root, {"a": 4, "b": 4})
    assert ask({"dataset": dataset, "batch_size": 2}, splits=5)["data"]["n_validation"] == 2
    (root / "test").rename(root / "val")
    with pytest.raises(
        ValueError, match=r"confirm\.splits: folder:.* brings its validation images"
    ):
        ask({"dataset": dataset, "batch_size": 2}, splits=5)
