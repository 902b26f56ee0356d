"""The companion that looks at data and device once, before a study is made."""

from __future__ import annotations

from typing import Any

import torch

from objectives import (
    datasets,
    feed,
    knobs,
    memory,
    networks,
    norms,
    optimizers,
    own,
    scores,
    uneven,
)
from objectives import device as devices
from objectives.check import combinations, ends
from objectives.config import DATA_KNOBS, DEFAULTS

NETWORK_KNOBS = ("init", "weights", "freeze")


def prepare(
    settings: dict[str, Any],
    device: str = "auto",
    space: dict[str, Any] | None = None,
    configurations: list[dict[str, Any]] | None = None,
    splits: int = 1,
) -> dict[str, Any]:
    """Find and decode the data, check the device, pin the precision; once, in a worker.

    configurations: the parameters of each, where they are enumerated; `space` holds their values.
    splits: of the training images, on which the best are going to be confirmed.
    Returns `settings` with the precision, `data` (what the data is), `device` (on GPUs with what is
    needed to deal them out; `notes`, lines to be told), `metric`, and `epochs`, the most that a
    trial can take. Raises ValueError or OSError, in one line for the user.
    """
    space = space or {}
    place = devices.pick(device)
    precision = devices.precision(settings.get("precision", "auto"), place)
    if splits > 1:
        _check_splits(settings)
    about = datasets.describe(**_data_knobs(settings))
    _check_classes(settings, space, about["classes"])
    reachable = _reachable(settings, space, configurations or [])
    _check_large(reachable, about["n_train"])
    built = _networks(settings, space, about)
    _check_ones(reachable, built, tuple(about["shape"]))
    found = {**devices.describe(place), **devices.gpus(place)}
    if note := devices.unused(device, place):
        found["notes"] = [note]
    shape: tuple[int, int, int] = tuple(about["shape"])
    count, free = about["n_train"] + about["n_validation"], _free(found, place)
    if streamed := feed.too_large(count, shape, free):
        about["notes"] = [*about.get("notes", ()), streamed]
    if "visible" in found:
        batch = max(about["n_train"] if size == "full" else int(size) for _, size in reachable)
        images = 0 if streamed else count
        kept = _kept(settings, space)
        found["worker_bytes"] = memory.of_worker([*built.values()], shape, images, batch, kept)
    epochs = max(ends(space.get("epochs", {})) or [settings.get("epochs", DEFAULTS["epochs"])])
    return {
        "settings": {**settings, "precision": precision},
        "data": about,
        "device": found,
        "metric": settings.get("score", DEFAULTS["score"]),
        "epochs": epochs * max(len(settings.get("phases", ())), 1),
    }


def _data_knobs(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: settings[name] for name in DATA_KNOBS if name in settings and name != "split_seed"
    }


def _check_classes(settings: dict[str, Any], space: dict[str, Any], classes: int) -> None:
    """Raise ValueError where a score or `class_weight` does not suit the classes."""
    wanted: list[str] = []
    for name in ("score", "monitor"):
        wanted += ends(space.get(name, {})) or [settings.get(name, DEFAULTS[name])]
    needs_each = any(name.endswith("auroc") for name in wanted)
    scores.check(wanted, classes, _unvalidated(settings) if needs_each else ())
    if not isinstance(by_class := settings.get("class_weight", "none"), str):
        read = {name: v for name, v in _data_knobs(settings).items() if name != "validation"}
        uneven.check(by_class, datasets.class_names(**read))


def _unvalidated(settings: dict[str, Any]) -> list[str]:
    """The classes that no validation image is of: of images that the data brings, as of those that
    are drawn each class has one (split.py)."""
    found = datasets.load(**_data_knobs(settings))
    return scores.absent(torch.from_numpy(found.validation.labels), found.classes)


def _networks(
    settings: dict[str, Any], space: dict[str, Any], about: dict[str, Any]
) -> dict[str, torch.nn.Module]:
    """Every network that a trial can train, by name."""
    how = {name: settings[name] for name in NETWORK_KNOBS if name in settings}
    return {
        network: networks.build(
            network, classes=about["classes"], shape=tuple(about["shape"]), **how
        )
        for network in [settings.get("network"), *ends(space.get("network", {}))]
        if network
    }


def _kept(settings: dict[str, Any], space: dict[str, Any]) -> int:
    """Numbers that a trial keeps for each weight at most: its optimizer's, and an average's."""
    names = ends(space.get("optimizer", {})) or [settings.get("optimizer", DEFAULTS["optimizer"])]
    averages = "ema_decay" in space or settings.get("ema_decay") is not None
    args = knobs.optimizer_args({**settings, **{name: ends(space[name])[-1] for name in space}})
    return max(optimizers.moments(name, args) for name in names) + averages


def _free(found: dict[str, Any], place: torch.device) -> int:
    """Bytes free where the images are to lie, on the smallest of several GPUs."""
    return int(found.get("memory_bytes", 0)) or devices.available_bytes(place)


def _check_splits(settings: dict[str, Any]) -> None:
    """Raise ValueError where nothing is drawn of which there could be another split."""
    dataset = settings["dataset"]
    if own.is_own(dataset) and own.brings_validation(dataset, settings.get("columns")):
        raise ValueError(
            f"confirm.splits: {dataset} brings its validation images, which are used as they are; "
            "leave splits out, or put these images among the training images"
        )


Reachable = list[tuple[str | None, int | str]]  # network, batch size


def _reachable(
    settings: dict[str, Any], space: dict[str, Any], configurations: list[dict[str, Any]]
) -> Reachable:
    """What can meet in a trial; of a range of batch sizes both ends."""
    listed = [{**settings, **one} for one in configurations]
    default, found = DEFAULTS["batch_size"], []
    for values in listed or combinations(settings, space, ("network", "batch_size")):
        whole = space.get("batch_size", {}).get("int", ()) if not listed else ()
        sizes = whole if "batch_size" in values and whole else [values.get("batch_size", default)]
        found += [(values.get("network"), size) for size in sizes]
    return list(dict.fromkeys(found))


def _check_large(reachable: Reachable, n_train: int) -> None:
    """Raise ValueError where a batch is larger than all the training images."""
    large = dict.fromkeys(size for _, size in reachable if size != "full" and int(size) > n_train)
    if large:
        raise ValueError(
            f"batch_size <= {n_train} training images must hold, got "
            f"{', '.join(map(str, large))}; drop what is larger (the default is "
            f"{DEFAULTS['batch_size']}), or use batch_size: full"
        )


def _check_ones(
    reachable: Reachable, built: dict[str, torch.nn.Module], shape: tuple[int, int, int]
) -> None:
    """Raise ValueError where a network that may get batches of one image cannot train on them."""
    for network, size in reachable:
        if size == 1 and network in built and (why := norms.fails_on_one(built[network], shape)):
            raise ValueError(
                f"batch_size 1: {network} cannot train on one image of {shape[1]}x{shape[2]}: "
                f"{why}; use batch_size 2 or more, or a larger image_size"
            )
