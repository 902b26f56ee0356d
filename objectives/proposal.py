"""A study that fits a data set: the companion that `optsearch init` and `run --data` ask."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from objectives import cgroups, datasets, feed, knobs, networks, train
from objectives import device as devices
from objectives.look import Look, dataset_of, look, size_words

BROKEN = 0.05  # share of the files that may be left out without anybody having said so
SIDES = {"cpu": (16, 32, 64), "gpu": (16, 32, 64, 128)}  # image sizes, by what a device can do
OWN_SIDE = 64  # pictures of one size up to here stay as they are
LEAST_SIDE = 64  # below, photos lose what tells them apart; fewer trials are the smaller loss
SHARES = (0.2, 0.3)  # validation images, where those of the data set are too few
EACH, ALL = 10, 100  # of them, at least: of the smallest class, and in all
MEASURED = 1024  # images, at most, of the epoch that is timed
# Of a trial; on average of all, its share of the confirm stage included: hopeless ones end early.
# Fewer, but not below the least, where the time would not pay for so many trials.
EPOCHS, LEAST_EPOCHS = 20, 5
PATIENCE = 5
# At least and at most. The least pay three optimizers: each is brought to an end once, and two of
# them and the baseline are confirmed with two seeds each.
TRIALS = (12, 60)
FEW_TRIALS = 40  # below, six optimizers could not all be tuned and confirmed
SPARE = 0.6  # of the time that is planned with: machines have other work, too
LOADED = ("dataset", "image_size", "skip_broken", "validation", "columns")
BALANCED = "val_balanced_accuracy"
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta")
FEW_OPTIMIZERS = ("sgd", "adam", "adamw")


def propose(
    data: str,
    device: str = "auto",
    hours: float = 1.0,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Look at a data set, time an epoch, and say which study fits.

    data: a folder, a file, `folder:PATH` and the like, or a name. columns: of a
    table, what some of image, label, split and group are called. Returns `name`, `question`,
    `settings`, `space`, `baselines` and `budget` of a study file, `why` (a comment for some of
    their keys) and `told` (lines about the data). Raises ValueError or OSError, in one line.
    """
    place = devices.pick(device)
    seen = look(dataset_of(data), columns=columns)
    _refuse_broken(seen)
    for side in _sides(seen, place):
        settings, why = _settings(seen, side, place)
        loaded = datasets.load(**{name: settings[name] for name in LOADED if name in settings})
        seconds = epoch_seconds(settings, loaded, place)
        if _paid(seconds, hours, place) >= TRIALS[1] * EPOCHS:
            break
    counts, n_train = seen.counts, len(loaded.train.labels)
    epochs = _epochs(seconds, hours, place)
    for given, added in zip((settings, why), _length(epochs), strict=True):
        given.update(added)
    budget, why["budget"] = _budget(seconds, hours, place, epochs)
    space, baselines = _space(n_train, budget["trials"])
    why["space"] = _why_space(n_train, budget["trials"])
    name = Path(data.partition(":")[2] or data).stem or "study"
    listed = ", ".join(
        f"{one} {number:,}" for one, number in zip(seen.classes[:8], counts.sum(1), strict=False)
    )
    more = f" and {len(seen.classes) - 8} more" * (len(seen.classes) > 8)
    whole = f"{len(seen.labels):,} images of {len(seen.classes)} classes ({listed}{more})"
    return {
        "name": name,
        "question": f"Which optimizer, learning rate and batch size train a network on {name}?",
        "settings": settings,
        "space": space,
        "baselines": baselines,
        "budget": budget,
        "why": {**why, "dataset": whole},
        "told": [f"{whole}, {size_words(seen.sizes)}", *seen.notes],
    }


def _refuse_broken(seen: Look) -> None:
    every = len(seen.labels) + len(seen.broken)
    if len(seen.broken) > BROKEN * every:
        first, reason = next(iter(seen.broken.items()))
        raise ValueError(
            f"{seen.dataset}: {len(seen.broken):,} of {every:,} files are broken, such as {first}: "
            f"{reason}; repair or remove them, or write a study file with "
            "settings.skip_broken: true"
        )


def _sides(seen: Look, place: torch.device) -> list[int | None]:
    """Image sizes that may do, the largest first; None where pictures stay as they are."""
    if len(np.unique(seen.sizes, axis=0)) == 1 and seen.sizes.max() <= OWN_SIDE:
        return [None]
    shorter = int(np.median(seen.sizes.min(1)))
    known = SIDES["cpu" if place.type == "cpu" else "gpu"]
    fit = [side for side in known if side <= shorter] or [known[0]]
    return [side for side in reversed(fit) if side >= min(LEAST_SIDE, fit[-1])]


def _settings(
    seen: Look, side: int | None, place: torch.device
) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings, and why each is as it is."""
    settings: dict[str, Any] = {"dataset": seen.dataset}
    why = {}
    width, height = (side, side) if side else seen.sizes[0].tolist()
    shape = (seen.images.shape[1], height, width)
    if side:
        settings["image_size"] = side
        why["image_size"] = f"the pictures are {size_words(seen.sizes)}; a smaller side is faster"
    if share := _validation(seen):
        settings["validation"], why["validation"] = share
    if seen.broken:
        settings["skip_broken"] = True
        named = ", ".join(list(seen.broken)[:3])
        why["skip_broken"] = f"{len(seen.broken)} cannot be read, such as {named}"
    if seen.columns:
        settings["columns"] = dict(seen.columns)
        why["columns"] = "what the columns of the table are called"
    settings["network"] = _network(shape, place)
    why["network"] = f"fits images of {shape[2]}x{shape[1]}; `optsearch knobs network` has more"
    if seen.is_uneven and BALANCED in knobs.SCORES:
        settings["score"] = BALANCED
        counts = seen.counts.sum(1)
        why["score"] = (
            f"the classes are uneven ({counts.min():,} to {counts.max():,} images): each counts "
            "the same"
        )
    return settings, why


def _validation(seen: Look) -> tuple[float, str] | None:
    """The share of the training images that is held out, and why; None where what the data set has
    by itself will do, or where it brings its validation images."""
    images = seen.counts[:, 0]
    if seen.counts[:, 1].any():
        return None
    usual = datasets.validation_fraction(seen.dataset, None)

    def held_out(share: float) -> tuple[int, int]:
        return math.floor(images.min() * share), math.floor(images.sum() * share)

    def is_enough(share: float) -> bool:
        least, whole = held_out(share)
        return least >= EACH and whole >= ALL

    if is_enough(usual):
        return None
    larger = [share for share in SHARES if share > usual]
    share = next(filter(is_enough, larger), max(larger, default=usual))
    least, whole = held_out(share)
    words = f"about {whole:,} images, {least:,} of the smallest class, instead of"
    return share, f"{words} {held_out(usual)[1]:,}: a score of few images is mostly chance"


def _network(shape: tuple[int, int, int], place: torch.device) -> str:
    """The largest of our networks that images of a shape [C, H, W] pass through."""
    side = min(shape[1:])
    wanted = ["resnet9"] if place.type != "cpu" and side >= 32 else []
    wanted += ["keras_cnn"] if side >= 24 else []
    for network in (*wanted, "digits_cnn"):
        try:
            networks.check(network, shape=shape)
        except ValueError:
            continue
        return network
    raise ValueError(
        f"images of {shape[2]}x{shape[1]} are too small for every network here; scale them up "
        "with settings.image_size in a study file of your own"
    )


def epoch_seconds(settings: dict[str, Any], data: datasets.Dataset, place: torch.device) -> float:
    """Seconds of an epoch on one CPU thread, or on a GPU: measured on the second of two epochs of
    at most MEASURED images."""
    count = len(data.train.labels)
    rows = np.linspace(0, count - 1, min(count, MEASURED)).astype(np.int64)
    images = data.train.rows[rows] if data.train.rows is not None else rows
    few = datasets.Split(data.train.stored[images], data.train.labels[rows])
    part = feed.to_device(dataclasses.replace(data, train=few), place)
    devices.configure(place, 1)
    batch = min(32, len(rows))
    config = knobs.configure({**settings, "batch_size": batch, "precision": "float32"}, {})
    run = train.Training(config, part, place, 0)
    took = 0.0
    for _ in range(2):
        began = time.perf_counter()
        run.epoch()
        took = time.perf_counter() - began
    return took * count / len(rows)


def _epochs(seconds: float, hours: float, place: torch.device) -> int:
    """The most epochs of a trial."""
    paid = _paid(seconds, hours, place) / TRIALS[0]
    return min(max(math.floor(paid), LEAST_EPOCHS), EPOCHS)


def _length(epochs: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of a trial's length, and why."""
    settings, why = {"epochs": epochs}, {}
    if epochs < EPOCHS:
        why["epochs"] = f"the time pays for {TRIALS[0]} of no more; longer ones score higher"
    if epochs > PATIENCE:
        settings["patience"] = PATIENCE
        why["patience"] = "a training ends after so many epochs without gain"
    return settings, why


def _budget(
    seconds: float, hours: float, place: torch.device, epochs: int
) -> tuple[dict[str, Any], str]:
    """As many trials as fit, within bounds; and in words how long they take."""
    fit = math.floor(_paid(seconds, hours, place) / epochs)
    trials = min(max(fit, TRIALS[0]), TRIALS[1])
    whole = trials * epochs * seconds / _workers(place)
    words = (
        f"an epoch takes about {_time(seconds)} here: at most {trials} trials, {trials * epochs} "
        f"epochs with those that confirm, are about {_time(whole)}"
    )
    if fit > trials:
        words += f"; {_time(3600 * hours)} would do for {fit:,} trials"
    elif fit < trials:
        words += f"; more than {_time(3600 * hours)}, which ends it: give it more"
    budget = {"trials": trials, "epochs": trials * epochs, "hours": round(hours, 3)}
    return budget, words


def _workers(place: torch.device) -> int:
    return cgroups.cores() if place.type == "cpu" else 1


def _paid(seconds: float, hours: float, place: torch.device) -> float:
    """Epochs that the time pays for, of all trials together."""
    return SPARE * hours * 3600 * _workers(place) / seconds


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _batches(n_train: int) -> list[int]:
    """Batch sizes that leave some steps an epoch."""
    fit = [size for size in (8, 16, 32, 64, 128, 256) if size <= n_train / 8]
    return fit[-5:] or [max(n_train // 4, 1)]


def _space(n_train: int, trials: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    optimizers = OPTIMIZERS if trials >= FEW_TRIALS else FEW_OPTIMIZERS
    batches = _batches(n_train)
    space = {
        "optimizer": {"choice": [*optimizers]},
        "lr": {"float": [1e-5, 1.0], "log": True},
        "momentum": {
            "float": [0.0, 0.99],
            "when": {"optimizer": [one for one in optimizers if one in ("sgd", "rmsprop")]},
        },
        "batch_size": {"choice": batches},
    }
    usual = {"optimizer": "adam", "lr": 1e-3, "batch_size": min(batches, key=lambda n: abs(n - 32))}
    return space, [{"name": "usual", "params": usual}]


def _why_space(n_train: int, trials: int) -> str:
    few = "" if trials >= FEW_TRIALS else "; few trials, so three optimizers of six"
    return f"{n_train:,} training images: batches leave eight steps an epoch at least{few}"
