"""What a model scores that a trial has kept in its workdir."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from objectives import checkpoint, feed, model, scores, shared
from objectives import device as devices
from objectives.streaming import Streamed


def evaluate(workdir: Path, split: str, device: str = "auto") -> dict[str, Any]:
    """Loss, accuracy, what score and monitor are besides, and n, of the model kept in workdir.

    split: "validation" or "test". There is no auroc where the split lacks a class.
    """
    return scores_of(*kept(workdir, split, device))


def scores_of(trained: model.Model, images: feed.Images | Streamed) -> dict[str, Any]:
    """The same of a model at hand, and the images of a split."""
    names, n = scores.of(trained.config.score, trained.config.monitor), len(images.labels)
    loss, hits, *more = trained.measure(images, names).tolist()
    told = {name: value for name, value in zip(names, more, strict=True) if math.isfinite(value)}
    return {"loss": loss / n, "accuracy": hits / n, **told, "n": n}


def confusion(workdir: Path, split: str, device: str = "auto") -> list[list[int]]:
    """Of the model kept in workdir: images of each class (rows), by what they were taken for."""
    trained, images = kept(workdir, split, device)
    classes = trained.data.classes
    pairs = images.labels * classes + trained.predict(images)
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes).tolist()


def kept(workdir: Path, split: str, device: str) -> tuple[model.Model, feed.Images | Streamed]:
    """The model kept in workdir, and the images of a split, on the device."""
    state = checkpoint.load(Path(workdir) / checkpoint.MODEL)
    if state is None:
        raise ValueError(f"{workdir}: no trained model is kept here; train it again")
    if split not in ("validation", "test"):
        raise ValueError(f"unknown split {split!r}; one of: validation, test")
    place = devices.pick(device)
    precision = devices.elsewhere(state["config"]["precision"], place)
    config = shared.configured({**state["config"], "precision": precision}, {}, place)
    devices.configure(place, deterministic=config.deterministic)
    is_all = "all_data" in state
    if is_all and split == "validation":
        raise ValueError(f"{workdir}: was trained on the validation images, too; ask for the test")
    data = shared.data(config, place, together=is_all)
    trained = model.Model(config, data, place)
    trained.network.load_state_dict(state["weights"])
    return trained, data.validation if split == "validation" else shared.test_images(config, place)
