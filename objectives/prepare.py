"""The companion that looks at data and device once, before a study is made."""

from __future__ import annotations

import math
from typing import Any

import torch

from objectives import datasets, model, networks, norms
from objectives import device as devices
from objectives.check import combinations, ends
from objectives.config import DATA_KNOBS, DEFAULTS

CUDA_CONTEXT = 600 * 2**20  # bytes that a process takes on a GPU before it holds any tensor
NETWORK_KNOBS = ("init", "weights", "freeze")


def prepare(
    settings: dict[str, Any],
    device: str = "auto",
    space: dict[str, Any] | None = None,
    configurations: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Find and decode the data, check the device, pin the precision; once, in a worker.

    configurations: the parameters of each, where they are enumerated; `space` holds their values.
    Returns `settings` with the precision, `data` (what the data is), `device` (on GPUs with what is
    needed to deal them out), `metric`, and `epochs`, the most that a trial can take. Raises
    ValueError or OSError, in one line for the user.
    """
    space = space or {}
    place = devices.pick(device)
    precision = devices.precision(settings.get("precision", "auto"), place)
    names = [name for name in DATA_KNOBS if name in settings and name != "split_seed"]
    about = datasets.describe(**{name: settings[name] for name in names})
    sizes = _batch_sizes(settings, space, about)
    how = {name: settings[name] for name in NETWORK_KNOBS if name in settings}
    built = {
        network: networks.build(
            network, classes=about["classes"], shape=tuple(about["shape"]), **how
        )
        for network in [settings.get("network"), *ends(space.get("network", {}))]
        if network
    }
    _check_ones(settings, space, configurations, built, tuple(about["shape"]))
    found = {**devices.describe(place), **devices.gpus(place)}
    if "visible" in found:
        batch = max(about["n_train"] if size == "full" else int(size) for size in sizes)
        found["worker_bytes"] = _worker_bytes(list(built.values()), about, batch)
    epochs = max(ends(space.get("epochs", {})) or [settings.get("epochs", DEFAULTS["epochs"])])
    return {
        "settings": {**settings, "precision": precision},
        "data": about,
        "device": found,
        "metric": settings.get("score", DEFAULTS["score"]),
        "epochs": epochs * max(len(settings.get("phases", ())), 1),
    }


def _batch_sizes(
    settings: dict[str, Any], space: dict[str, Any], about: dict[str, Any]
) -> list[int | str]:
    """All sizes that may be asked for. Raises ValueError where the training images are fewer."""
    fixed = settings.get("batch_size", DEFAULTS["batch_size"])
    sizes: list[int | str] = ends(space.get("batch_size", {})) or [fixed]
    large = [size for size in sizes if isinstance(size, int) and size > about["n_train"]]
    if large:
        default = "" if {**settings, **space}.get("batch_size") else " (the default)"
        raise ValueError(
            f"batch_size <= {about['n_train']} training images must hold, got "
            f"{', '.join(map(str, large))}{default}; drop what is larger, or use batch_size: full"
        )
    return sizes


def _check_ones(
    settings: dict[str, Any],
    space: dict[str, Any],
    configurations: list[dict[str, Any]] | None,
    built: dict[str, torch.nn.Module],
    shape: tuple[int, int, int],
) -> None:
    """Raise ValueError where a network that may get batches of one image cannot train on them."""
    listed = [{**settings, **one} for one in configurations or ()]
    for values in listed or combinations(settings, space, ("network", "batch_size")):
        size, network = values.get("batch_size", DEFAULTS["batch_size"]), values.get("network")
        if size == 1 and network in built and (why := norms.fails_on_one(built[network], shape)):
            raise ValueError(
                f"batch_size 1: {network} cannot train on one image of {shape[1]}x{shape[2]}: "
                f"{why}; use batch_size 2 or more, or a larger image_size"
            )


def _worker_bytes(built: list[torch.nn.Module], about: dict[str, Any], batch: int) -> int:
    """About what one worker takes on a GPU at most: its context, the data, and a training run."""
    shape: tuple[int, int, int] = tuple(about["shape"])
    data = (about["n_train"] + about["n_validation"]) * math.prod(shape)
    training = (model.training_bytes(network, shape, batch) for network in built)
    return int(CUDA_CONTEXT + data + max(training, default=0))
