"""A trained model in the hand: a plain `nn.Module` of pixels, which reads pictures as training did.

The reading is that of `pictures.py` and `resizing.py`, the scaling that of `augment.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from objectives import augment, borrowed, cgroups, feed, networks, own, pictures, portable, resizing
from objectives import device as devices

GRAYED = "colours are turned into gray values, as the model knows no others"
FITTED = "its middle is scaled to the size of the training images"
DEEP = (
    "holds 16 bits a value, and model.json knows of no such pictures in training, whose scale they "
    "would be on; save it with 8 bits"
)
BRIGHTER = "what is brighter than all of the training set is taken for as bright as it was"


class Classifier(nn.Module):
    """A network with its preprocessing: `forward` takes raw pixels, `predict` takes files.

    classes: the names, in the order of the logits. about: what `model.json` holds.
    """

    factor: Tensor
    offset: Tensor | None

    def __init__(self, network: nn.Module, about: dict[str, Any]) -> None:
        super().__init__()
        self.network, self.about = network, about
        self.classes: list[str] = about["classes"]
        self.shape: tuple[int, int, int] = tuple(about["input"]["shape"])
        self.precision: str = about["config"]["precision"]
        told = about["input"]
        keys = ("then_subtract", "then_divide_by")
        statistics = [tuple(told[key]) if key in told else None for key in keys]
        scaling = augment.scaling(told["divide_by"], torch.device("cpu"), *statistics)
        for name, values in scaling._asdict().items():
            self.register_buffer(name, values)

    @property
    def resize(self) -> str:
        """How pictures become square, of `resizing.WAYS`."""
        config = self.about["config"]
        return own.resize(str(config["dataset"]), config.get("resize"))

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in, where it lies now."""
        found: torch.dtype = getattr(torch, devices.elsewhere(self.precision, self.factor.device))
        return found

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits float32 [B, classes] of uint8 pixels [B, C, H, W], as `read` gives them."""
        scaling = augment.Scaling(self.factor, self.offset)
        inputs = augment.scale(pixels, scaling, self.dtype, torch.channels_last)
        with devices.autocast(pixels.device, self.dtype):
            logits: Tensor = self.network(inputs)
        return logits.float()

    def read(self, file: str | PathLike[str]) -> tuple[Tensor, list[str]]:
        """A picture file as the uint8 pixels [C, H, W] that `forward` takes, and what is to be
        told of how it was read. Raises pictures.UnreadableError with the reason."""
        name, config = fspath(file), self.about["config"]
        has_files = own.has_files(str(config["dataset"]))
        side = config.get("image_size") if has_files else None
        bits, told = self.about["input"].get("bits"), []
        with warnings.catch_warnings():  # of PIL, about pictures that it reads all the same
            warnings.simplefilter("ignore")
            try:
                picture = pictures.read(name, self.shape[0], side, bits, self.resize)
            except pictures.ColourError:
                picture, told = pictures.read(name, 3, side, bits, self.resize), [GRAYED]
        if picture.pixels is None:
            raise pictures.UnreadableError(DEEP)
        if bits and picture.largest >= 2**bits:
            told.append(BRIGHTER)
        values, is_fitted = self._fitted(_of_channels(picture.pixels, self.shape[0]), has_files)
        if (levels := self.about["input"]["divide_by"]) != 255:  # of digits, whose white is 16
            values = np.round(values * (levels / 255)).astype(np.uint8)
        return torch.from_numpy(values.copy()), told + [FITTED] * is_fitted

    def _fitted(self, values: np.ndarray, has_files: bool) -> tuple[np.ndarray, bool]:
        """uint8 [C, H, W] of the size that the network takes, and whether that changed anything
        that training did not change: images with a name of their own are scaled as theirs are."""
        _, height, width = self.shape
        if values.shape == self.shape:
            return values, False
        if not has_files and self.about["config"].get("image_size"):
            is_cut = self.resize == "crop" and values.shape[1] != values.shape[2]
            return resizing.scaled(values[None], height, self.resize)[0], is_cut
        return _scaled(values, width, height), True

    def predict(self, files: Sequence[str | PathLike[str]], top: int = 1) -> list[dict[str, Any]]:
        """A row for each picture file: `file`, `class`, `probability`, `top` (the `top` likeliest
        classes with theirs), `notes`. One that cannot be read has `error`, and `foreign` (whether
        it does not even claim to be a picture), in their place."""
        with ThreadPoolExecutor(cgroups.cores()) as pool:
            names, size = [fspath(file) for file in files], self.batch_size
            return [
                row
                for start in range(0, len(names), size)
                for row in self._rows(names[start : start + size], pool, top)
            ]

    def _rows(
        self, files: list[str], pool: ThreadPoolExecutor, top: int
    ) -> Iterator[dict[str, Any]]:
        found = list(pool.map(self._tried, files))
        read = [one[0] for one in found if not isinstance(one, pictures.UnreadableError)]
        shares = iter(self.probabilities(torch.stack(read)).cpu() if read else ())
        for file, one in zip(files, found, strict=True):
            if isinstance(one, pictures.UnreadableError):
                yield {"file": file, "error": str(one), "foreign": one.foreign}
                continue
            best = next(shares).topk(min(top, len(self.classes)))
            ranked = [
                {"class": self.classes[label], "probability": share}
                for share, label in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
            yield {"file": file, **ranked[0], "top": ranked, "notes": one[1]}

    def _tried(self, file: str) -> tuple[Tensor, list[str]] | pictures.UnreadableError:
        try:
            return self.read(file)
        except pictures.UnreadableError as error:
            return error

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Softmax of the logits of uint8 pixels [B, C, H, W], float32 [B, classes]."""
        self.eval()
        logits: Tensor = self(pixels.to(self.factor.device))
        return logits.softmax(1)

    @property
    def batch_size(self) -> int:
        """Images at a time: as many as in evaluation."""
        return feed.evaluated(self.factor.device, self.shape)


def _of_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """uint8 [H, W] or [H, W, 3] as [C, H, W]; colours become gray where one channel is wanted."""
    from PIL import Image

    if channels == 1 and pixels.ndim == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


def _scaled(values: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import Image, ImageOps

    flat = values[0] if len(values) == 1 else values.transpose(1, 2, 0)
    fitted = ImageOps.fit(
        Image.fromarray(np.ascontiguousarray(flat)), (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(fitted).reshape(height, width, -1).transpose(2, 0, 1)


def load(folder: str | Path, device: str = "cpu") -> Classifier:
    """Read the model that `portable.save` wrote into a folder, ready to predict on the device.

    Nothing is unpickled or downloaded; torch's random numbers stay as they are. Raises ValueError,
    in one line, where a file is missing or was changed.
    """
    given = portable.read(Path(folder) / portable.WEIGHTS)
    config, place = given.about["config"], devices.pick(device)
    _check_code(Path(folder), config["network"])
    with torch.random.fork_rng(devices=[]):  # building draws weights, which are then replaced
        network = networks.build(
            config["network"],
            classes=len(given.about["classes"]),
            shape=tuple(given.about["input"]["shape"]),
            freeze=config.get("freeze", "none"),
        )
    if config.get("weights") == "default":  # GoogLeNet and Inception then scale their input anew
        for module in network.modules():
            if hasattr(module, "transform_input"):
                setattr(module, "transform_input", True)  # noqa: B010 - mypy takes it for a module
    try:
        network.load_state_dict(given.weights)
    except RuntimeError as error:  # code of the user's own may have changed
        raise ValueError(
            f"{folder}: its weights do not fit {config['network']} "
            f"({str(error).splitlines()[-1].strip()}); build the network that was trained"
            f"{_of_copy(Path(folder), config['network'])}"
        ) from error
    model = Classifier(network, given.about).eval()
    placed: Classifier = model.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _check_code(folder: Path, network: str) -> None:
    """Raise ValueError where the user's own code is not here. The copy in the folder is not run
    unasked: whoever was given a model by somebody else looks at it first."""
    file = borrowed.user_file(network)
    if file is not None and not file.is_file():
        raise ValueError(
            f"{folder}: its network is built by {network}, and there is no file {file}; "
            f"put it there{_of_copy(folder, network)}"
        )


def _of_copy(folder: Path, network: str) -> str:
    file = borrowed.user_file(network)
    copy = folder / file.name if file else None
    return f" ({copy} is a copy: look at it before it is run)" if copy and copy.is_file() else ""
