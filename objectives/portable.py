"""A trained model to take away: weights as safetensors, all that reading them needs beside them.

Nothing in such a file is ever unpickled, and one that was changed since is known by its digest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from objectives import augment, borrowed, checkpoint, datasets, own, paths, resizing
from objectives.config import DATA_KNOBS
from objectives.pictures import BACKGROUND

FORMAT = "optsearch-model-1"  # raise the number when a file changes its meaning
WEIGHTS, ABOUT = "model.safetensors", "model.json"


@dataclass(frozen=True)
class Portable:
    """A model that was read back: weights by name, and how they were trained."""

    weights: dict[str, Tensor]
    about: dict[str, Any]  # `config` (every knob), `classes` (names in order), `input`
    digest: str  # sha256 over all of it


def save(workdir: Path, out: Path) -> list[str]:
    """Write the model kept in workdir into the folder `out`; the names of the files.

    `model.json` says what network it is, how it was trained, what its classes are called, and what
    becomes of a pixel. Of a network of the user's own its file goes along, to be read: `load` runs
    the one that its name means where it is called, and no other. Raises ValueError where no model
    is kept, OSError where a file cannot be written.
    """
    state = checkpoint.load(Path(workdir) / checkpoint.MODEL)
    if state is None:
        raise ValueError(f"{workdir}: no trained model is kept here; train it again")
    about = _about(state["config"], state.get("all_data"))
    weights = {name: one.contiguous().clone() for name, one in state["weights"].items()}
    digest = _digest(weights, about)
    metadata = {"format": FORMAT, "sha256": digest, "about": json.dumps(about)}
    paths.write(Path(out) / WEIGHTS, safetensors.torch.save(weights, metadata))
    beside = {"format": FORMAT, "weights": WEIGHTS, "sha256": digest, **about}
    paths.write(Path(out) / ABOUT, (json.dumps(beside, indent=2) + "\n").encode())
    if (code := borrowed.user_file(about["config"]["network"])) is None:
        return [WEIGHTS, ABOUT]
    paths.write(Path(out) / code.name, code.read_bytes())
    return [WEIGHTS, ABOUT, code.name]


def _about(config: dict[str, Any], all_data: dict[str, int] | None) -> dict[str, Any]:
    """all_data: `epochs` and `images` of a training on the validation images, too."""
    knobs = {name: config[name] for name in DATA_KNOBS if name in config}
    dataset = datasets.load(**knobs, together=all_data is not None)
    train = dataset.train
    shape = list(train.stored.shape[1:])
    about: dict[str, Any] = {"pictures": _pictures(config, shape, dataset.scale), "shape": shape}
    about["divide_by"] = dataset.scale
    if dataset.bits:  # of which a picture of 16 bits gives the upper eight
        about["bits"] = dataset.bits
    if config["normalize"]:
        mean, std = augment.statistics(train.stored, dataset.scale, train.rows)
        about |= {"then_subtract": list(mean), "then_divide_by": list(std)}
    told = {"config": config, "classes": list(dataset.classes), "input": about}
    return told | ({"all_data": all_data} if all_data else {})


def _pictures(config: dict[str, Any], shape: list[int], scale: float = 255) -> list[str]:
    """What becomes of a picture before its values are divided, step by step."""
    channels, height, width = shape
    steps, way = [], resizing.WAYS[own.resize(str(config["dataset"]), config.get("resize"))]
    if own.has_files(str(config["dataset"])):
        steps.append("turn upright, as the EXIF orientation says")
        steps.append(f"draw what is transparent on {BACKGROUND}")
        steps.append("convert to sRGB" if channels == 3 else "convert to gray values (PIL mode L)")
        if config.get("image_size"):
            steps.append(f"{way.about} {width}x{height}, bilinear ({way.by})")
    elif config.get("image_size"):
        steps.append(f"{way.about} {width}x{height}, bilinear with antialiasing")
    return [*steps, f"values 0 to {scale:g} as [{channels}, {height}, {width}], channels first"]


def _digest(weights: dict[str, Tensor], about: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read(file: Path) -> Portable:
    """Read what `save` wrote. Raises ValueError, in one line, for any other or changed file."""
    try:
        with safetensors.safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ValueError(
            f"{file}: cannot be read as a model ({reason}); give a {WEIGHTS} of `optsearch train`"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{file}: not written by `optsearch train` (format {metadata.get('format')}, expected "
            f"{FORMAT}); for weights from elsewhere there is settings.weights"
        )
    try:
        about = json.loads(metadata["about"])
        digest = _digest(weights, about)
        whole = digest == metadata["sha256"] and {"config", "classes", "input"} <= about.keys()
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        whole = False  # a description can be anything
    if not whole:
        raise ValueError(
            f"{file}: changed since it was written (its sha256 differs); take another copy of it"
        )
    return Portable(weights, about, digest)


def load_into(network: nn.Module, name: str, file: Path) -> str:
    """Put every weight of a saved model into the network of that name; the model's digest.

    Raises ValueError where the model is another network, or of other classes.
    """
    given = read(file)
    trained = given.about["config"]["network"]
    if trained != name:
        raise ValueError(
            f"{file}: holds a {trained}, this configuration trains a {name}; "
            f"add --set network={trained}, or give another model"
        )
    own = network.state_dict()
    wrong = [
        key for key in {**own, **given.weights} if _shape(own, key) != _shape(given.weights, key)
    ]
    if wrong:
        raise ValueError(
            f"{file}: {wrong[0]} is {_shape(given.weights, wrong[0])} in the model of "
            f"{len(given.about['classes'])} classes and {_shape(own, wrong[0])} in this network "
            f"({len(wrong)} such); give a model of the same network, classes and image size"
        )
    network.load_state_dict(given.weights)
    return given.digest


def _shape(weights: dict[str, Tensor], key: str) -> str:
    return "x".join(map(str, weights[key].shape)) or "a scalar" if key in weights else "missing"
