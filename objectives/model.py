"""A network on its device with all that a step needs: batches, augmentation, precision, loss."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn

from objectives import augment, losses, memory, mixing, networks, norms, scores, uneven
from objectives import device as devices
from objectives.augmenter import Augmenter
from objectives.borrowed import Transfer
from objectives.config import TrainConfig
from objectives.feed import Data, Images, evaluated
from objectives.halving import Halved
from objectives.mixing import Targets
from objectives.streaming import Streamed

ALWAYS_FITS = 1024  # images of a batch that are not worth measuring first
FEATURES = 0.5  # the share of the free memory that features of all images may take
RECOMPUTED = 50  # batches that batch norm is recomputed from, as in the code of 2405.15682


class Model:
    """The network of a configuration, in channels_last; its weights are float32 always."""

    def __init__(self, config: TrainConfig, data: Data, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        self.augmenter = Augmenter(config, data.shape, data.scale, device)
        self.network: nn.Module = networks.build(
            config.network,
            classes=data.classes,
            shape=data.shape,
            init=config.init,
            weights=config.weights,
            freeze=config.freeze,
        ).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dtype = getattr(torch, config.precision)
        statistics = (data.mean, data.std) if config.normalize else (None, None)
        self.scaling = augment.scaling(data.scale, device, *statistics)
        self.augments = self.augmenter.changes or bool(config.mixup or config.cutmix)
        self.batch_size = self._batch_size()
        labels = data.train.labels
        self.class_weights = uneven.weights(config.class_weight, labels, data.classes, data.names)
        self.balanced = uneven.Balanced(labels) if config.sampling == "balanced" else None
        self.features = ""  # of a frozen backbone: how often they are computed, and why
        self.parameters = [one for one in self.network.parameters() if one.requires_grad]
        is_cast = device.type == "cuda" and self.dtype != torch.float32  # where launches count
        self.halved = Halved(self.network, self.dtype) if is_cast else None

    def keep_features(self) -> None:
        """Run a frozen backbone once for all epochs, where it sees the same images in each.

        From then on `data` holds features in place of pixels, and only the head is run.
        """
        network, data = self.network, self.data
        if self.features or not (isinstance(network, Transfer) and network.frozen):
            return
        count = len(data.train.labels) + len(data.validation.labels)
        size, free = network.head.in_features, devices.available_bytes(self.device)
        if self.augments:
            self.features = "computed in each epoch: augmentation changes the images"
        elif count * size * 4 > free * FEATURES:
            self.features = (
                f"computed in each epoch: {count} images x {size} x 4 bytes are more than "
                f"{FEATURES:.0%} of the {free / 2**30:.1f} GiB free"
            )
        else:
            train, validation = (self._features(network, one) for one in data[:2])
            self.data = data._replace(train=train, validation=validation)
            self.features = "computed once"

    @torch.no_grad()
    def _features(self, network: Transfer, images: Images | Streamed) -> Images:
        """What the head sees of a split: float32 images of one pixel with a channel for each."""
        shape = (len(images.labels), 1, 1, network.head.in_features)
        features, start = torch.empty(shape, device=self.device), 0
        for pixels, labels in self._slices(images):
            scaled, end = self._scaled(pixels), start + len(labels)
            with self._precision():
                features[start:end, 0, 0] = network.features(scaled)
            start = end
        return Images(features, images.labels)

    def batches(self) -> list[Tensor]:
        """A fresh random order of the training images in batches, int64 [B] each, on the device;
        under `sampling: balanced` as many images, drawn class by class.

        The last one is smaller, as in Keras, or left out under `drop_last`; where batch norm could
        not train on it because it is one image, it joins the batch before.
        """
        count = len(self.data.train.labels)
        order = self.balanced.draw() if self.balanced else torch.randperm(count)
        batches = list(torch.split(order.to(self.device), self.batch_size))
        if self.config.drop_last:
            return [batch for batch in batches if len(batch) == self.batch_size]
        if (
            len(batches[-1]) == 1 < len(batches)
            and self.batch_size > 1
            and norms.norms(self.network)
        ):
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def forward(self, index: Tensor) -> tuple[Tensor, Targets]:
        """Logits [B, classes] and targets of the training batch that is due, changed at random."""
        with self.halved.in_place() if self.halved else nullcontext():
            return self._forward(index)

    def backward(self, loss: Tensor) -> None:
        """Gradients of the weights, by the logits of `forward`."""
        torch.autograd.backward(loss)
        if self.halved:
            self.halved.collect()

    def _forward(self, index: Tensor) -> tuple[Tensor, Targets]:
        images, labels = self.data.train.planned(index)
        if self.augments:
            images = self.augmenter(images, self._generator())
        mixup, cutmix = self.config.mixup, self.config.cutmix
        if not (mixup or cutmix):
            return self.logits(images), Targets(labels)
        inputs, targets = mixing.mix(
            self._scaled(images), labels, self._generator(), mixup=mixup, cutmix=cutmix
        )
        with self._precision():
            logits: Tensor = self.network(inputs)
        return logits, targets

    @torch.no_grad()
    def recompute_norms(self, batches: Sequence[Tensor]) -> None:
        """Batch norm's statistics of the weights at hand: the mean over the first RECOMPUTED
        batches, as they are in evaluation, without augmentation and dropout."""
        if not (learning := norms.learning(self.network)):
            return
        self.network.eval()
        momenta = [norm.momentum for norm in learning]
        for norm in learning:
            norm.reset_running_stats()
            norm.train()
        for count, index in enumerate(batches[:RECOMPUTED], 1):
            for norm in learning:
                norm.momentum = 1 / count  # torch's own cumulative mean would wait for the device
            self.logits(self.data.train.take(index)[0])
        for norm, momentum in zip(learning, momenta, strict=True):
            norm.momentum = momentum

    def train_mode(self) -> None:
        """Training mode, but frozen batch norm keeps its statistics, as in Keras."""
        norms.train_mode(self.network)

    @torch.inference_mode()
    def measure(self, images: Images | Streamed, names: Sequence[str] = ()) -> Tensor:
        """Sum of the losses and number of correct answers over a split, and the scores of these
        names (scores.py), float32 [2 + names]; no sync."""
        self.network.eval()
        total = torch.zeros(2, device=self.device)
        tally = scores.Tally(names, self.data.classes, self.device)
        for pixels, labels in self._slices(images):
            logits = self.logits(pixels)
            loss = losses.loss(logits, labels, self.config) * len(labels)
            total += torch.stack([loss, (logits.argmax(1) == labels).sum()])
            tally.add(logits, labels)
        return torch.stack([*total, *tally.values()])

    @torch.inference_mode()
    def predict(self, images: Images | Streamed) -> Tensor:
        """The class that each image of a split is taken for, int64 [N]."""
        self.network.eval()
        return torch.cat([self.logits(pixels).argmax(1) for pixels, _ in self._slices(images)])

    def _slices(self, images: Images | Streamed) -> Iterator[tuple[Tensor, Tensor]]:
        """A split in batches for evaluation; features are as many as pixels of one channel."""
        height, width, channels = images.pixels.shape[1:]
        return images.slices(evaluated(self.device, (channels, height, width)))

    def copy_weights(self) -> dict[str, Tensor]:
        """The weights as they are now."""
        return {name: one.detach().clone() for name, one in self.network.state_dict().items()}

    def logits(self, images: Tensor) -> Tensor:
        """images: uint8 pixels, or float32 features that a frozen backbone gave."""
        network = self.network
        if images.is_floating_point():
            network, inputs = cast(Transfer, network).head, images.flatten(1)
        else:
            inputs = self._scaled(images)
        with self._precision():
            logits: Tensor = network(inputs)
        return logits

    def _scaled(self, images: Tensor) -> Tensor:
        return augment.scale(images, self.scaling, self.dtype, torch.channels_last)

    def _precision(self) -> AbstractContextManager[Any]:
        return devices.autocast(self.device, self.dtype)

    def _generator(self) -> torch.Generator | None:
        """The device's own; None is that of any but CUDA, of Apple's MPS say."""
        if self.device.type == "cuda":
            return torch.cuda.default_generators[self.device.index or 0]
        return None

    def _batch_size(self) -> int:
        """Images a batch. Raises ValueError, or MemoryError where the host has no room for it."""
        wanted, images = self.config.batch_size, len(self.data.train.labels)
        size = images if wanted == "full" else wanted
        if size > images:
            raise ValueError(
                f"batch_size <= {images} training images must hold, got {size}; "
                "use a smaller one, or batch_size: full"
            )
        if size == 1 and any(
            isinstance(norm, nn.BatchNorm1d) for norm in norms.norms(self.network)
        ):
            raise ValueError(
                f"batch_size 1: the batch norm of {self.config.network} needs 2 images or more"
            )
        if size > ALWAYS_FITS:
            self._check_fits(size)
        return size

    def _check_fits(self, size: int) -> None:
        each = self._bytes_per_image()
        needed, free = int(size * each * memory.PEAK), devices.available_bytes(self.device)
        if needed <= free:
            return
        message = (
            f"batch_size {self.config.batch_size}: {size} images x {each / 2**20:.2f} MiB x "
            f"{memory.PEAK} = {needed / 2**30:.1f} GiB needed, {free / 2**30:.1f} GiB free; "
            "use a smaller batch"
        )
        raise ValueError(message) if self.config.batch_size == "full" else MemoryError(message)

    def _bytes_per_image(self) -> float:
        network = copy.deepcopy(self.network).train()  # its statistics stay as they are

        def forward(count: int) -> Tensor:
            pixels, _ = self.data.train.take(torch.arange(count, device=self.device))
            with self._precision():
                logits: Tensor = network(augment.scale(pixels, self.scaling, self.dtype))
            return logits

        return memory.bytes_per_image(forward)
