"""The training loop: one `Training` is one configuration being trained, an epoch a call.

    run = Training(config, data, device, seed)
    while not run.finished:
        row = run.epoch()

Every random draw of an epoch (order, augmentation, dropout) follows from (seed, epoch) alone, so
weights, optimizer and history are the whole state: a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from objectives import augment, losses, networks, optimizers, schedules
from objectives.config import TrainConfig

if TYPE_CHECKING:
    from objectives.datasets import Dataset, Split

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")
Row = dict[str, float]


class DivergenceError(ArithmeticError):
    """The loss was not finite; says in which epoch and step, both from 0."""


class Images(NamedTuple):
    """One split on the device."""

    pixels: Tensor  # uint8 [N, H, W, C]: one image is one run of memory, and channels_last
    labels: Tensor  # int64 [N]

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """A batch as uint8 [B, C, H, W] in channels_last, and its labels."""
        return self.pixels.index_select(0, index).permute(0, 3, 1, 2), self.labels[index]


class Data(NamedTuple):
    """A data set on the device; several trials share it."""

    train: Images
    validation: Images
    classes: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        height, width, channels = self.train.pixels.shape[1:]
        return channels, height, width


def to_device(dataset: Dataset, device: torch.device) -> Data:
    """Put a data set onto the device, once for all trials of a process."""
    mean, std = augment.statistics(dataset.train.images, dataset.scale)
    splits = [put(split, device) for split in (dataset.train, dataset.validation)]
    return Data(*splits, len(dataset.classes), dataset.scale, mean, std)


def put(split: Split, device: torch.device) -> Images:
    """Put one split onto the device."""
    pixels = np.ascontiguousarray(split.images.transpose(0, 2, 3, 1))
    return Images(torch.tensor(pixels, device=device), torch.tensor(split.labels, device=device))


class Training:
    """One configuration in training. `config.precision` is float32 or bfloat16 here, never auto.

    Raises ValueError where the configuration does not suit the data.
    """

    def __init__(self, config: TrainConfig, data: Data, device: torch.device, seed: int) -> None:
        self.config, self.data, self.device, self.seed = config, data, device, seed
        self.batch_size = _batch_size(config, data)
        torch.manual_seed(derived_seed(seed, 0))
        self.network = build_network(config, data.classes, data.shape, device)
        self.scaling = scaling(config, data, device)
        self.history: list[Row] = []
        self.ends: list[int] = []  # how many epochs had run when each finished phase ended
        self.reason = ""
        self.best_epoch = -1
        self.best_weights: dict[str, Tensor] = {}
        self._start_phase()

    @property
    def finished(self) -> bool:
        """Whether every phase has run to its end."""
        return len(self.ends) == len(self._phases)

    @property
    def score(self) -> float:
        """What the weights at hand are worth: the best monitored epoch's score, or the last's."""
        epoch = self.best_epoch if self.config.restore_best_weights else -1
        return self.history[epoch][self.config.score]

    @property
    def _phases(self) -> tuple[float, ...]:
        return self.config.phases or (self.config.lr,)

    def epoch(self) -> Row:
        """Train one epoch and validate. Raises DivergenceError."""
        started = time.perf_counter()
        epoch, in_phase = len(self.history), len(self.history) - sum(self.ends[-1:])
        torch.manual_seed(derived_seed(self.seed, epoch + 1))
        batches = self._batches()
        monitored = [row[self.config.monitor] for row in self.history[sum(self.ends[-1:]) :]]
        rates = schedules.learning_rates(
            self.config, self._phases[len(self.ends)], in_phase, len(batches), monitored
        )
        measured = torch.cat([self._train(batches, rates), self._validate()]).tolist()
        row = _row(measured, batches, len(self.data.validation.labels), epoch)
        row |= {"lr": float(rates[-1]), "seconds": time.perf_counter() - started}
        self.history.append(row)
        self._judge(row[self.config.monitor])
        return row

    def _batches(self) -> list[Tensor]:
        order = torch.randperm(len(self.data.train.labels)).to(self.device)
        return list(order.split(self.batch_size))

    def _train(self, batches: list[Tensor], rates: schedules.Rates) -> Tensor:
        """One pass over the batches; losses and correct answers of each, float32 [2 * steps]."""
        train_mode(self.network)
        steps = []
        for index, rate in zip(batches, rates.tolist(), strict=True):
            optimizers.set_rate(self.optimizer, rate)
            steps.append(self._step(index))
        losses_, hits = zip(*steps, strict=True)
        return torch.cat([torch.stack(losses_), torch.stack(hits).float()])

    def _step(self, index: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = self.data.train.take(index)
        images = self._augment(images)
        with autocast(self.config, self.device):
            logits = self.network(self._scale(images))
        loss = losses.loss(logits, labels, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def _augment(self, images: Tensor) -> Tensor:
        config = self.config
        if not (config.flip or config.crop or config.cutout):
            return images
        generator = _generator(self.device)
        return augment.augment(
            images, generator, flip=config.flip, crop=config.crop, cutout=config.cutout
        )

    def _scale(self, images: Tensor) -> Tensor:
        dtype = getattr(torch, self.config.precision)
        return augment.scale(images, self.scaling, dtype)

    def _validate(self) -> Tensor:
        return measure(self.network, self.data.validation, self.config, self.scaling)

    def _judge(self, value: float) -> None:
        """Keep the best weights; end the phase where patience or epochs are used up."""
        sign = 1 if self.config.monitor.endswith("accuracy") else -1
        delta = self.config.min_delta
        if sign * value - delta > self._phase_best:
            self._phase_best, self._waited = sign * value, 0
        else:
            self._waited += 1
        if sign * value - delta > self._best:
            self._best, self.best_epoch = sign * value, len(self.history) - 1
            if self.config.restore_best_weights:
                self.best_weights = _copy(self.network.state_dict())
        in_phase = len(self.history) - sum(self.ends[-1:])
        patience = self.config.patience
        plateau = patience is not None and self._waited >= max(patience, 1)
        if plateau or in_phase == self.config.epochs:
            self.reason = "plateau" if plateau else "all_epochs"
            self._end_phase()

    def _end_phase(self) -> None:
        self.ends.append(len(self.history))
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
        if not self.finished:
            self._start_phase()

    def _start_phase(self) -> None:
        """A fresh optimizer and fresh patience; the weights stay."""
        lr = self._phases[len(self.ends)]
        self.optimizer = optimizers.build(self.network.parameters(), self.config, lr)
        self._phase_best, self._waited = -float("inf"), 0
        if not self.ends:
            self._best = -float("inf")

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs; tensors are the live ones."""
        names = ("history", "ends", "reason", "best_epoch", "best_weights")
        names += ("_best", "_phase_best", "_waited")
        state = {name: getattr(self, name) for name in names}
        parts = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        return state | parts

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()` of a run with the same configuration, data and seed."""
        state = dict(state)
        network, optimizer = state.pop("network"), state.pop("optimizer")
        for name, value in state.items():
            setattr(self, name, value)
        self.network.load_state_dict(network)
        if not self.finished:
            lr = self._phases[len(self.ends)]
            self.optimizer = optimizers.build(self.network.parameters(), self.config, lr)
            self.optimizer.load_state_dict(optimizer)


def derived_seed(seed: int, stream: int) -> int:
    """A seed of its own for each epoch; stream 0 draws the initial weights."""
    return int(np.random.SeedSequence((seed, stream)).generate_state(1, np.uint64)[0] >> 1)


def build_network(
    config: TrainConfig, classes: int, shape: tuple[int, int, int], device: torch.device
) -> nn.Module:
    """The network of a configuration, on the device, in channels_last, weights in float32."""
    network = networks.build(
        config.network,
        classes=classes,
        shape=shape,
        init=config.init,
        weights=config.weights,
        freeze=config.freeze,
    )
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def scaling(config: TrainConfig, data: Data, device: torch.device) -> augment.Scaling:
    """How pixels become numbers: 0..1, or normalised by the training split."""
    if config.normalize:
        return augment.scaling(data.scale, device, data.mean, data.std)
    return augment.scaling(data.scale, device)


def train_mode(network: nn.Module) -> None:
    """Training mode, but frozen batch norm keeps its statistics, as in Keras."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not any(
            parameter.requires_grad for parameter in module.parameters()
        ):
            module.eval()


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 arithmetic on float32 weights, or nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")


@torch.inference_mode()
def measure(
    network: nn.Module, images: Images, config: TrainConfig, scaling: augment.Scaling
) -> Tensor:
    """Sum of losses and number of correct answers over a split, float32 [2], no host sync."""
    network.eval()
    device = images.pixels.device
    dtype = getattr(torch, config.precision)
    total = torch.zeros(2, device=device)
    for pixels, labels in _slices(images, 256 if device.type == "cpu" else 2048):
        with autocast(config, device):
            logits = network(augment.scale(pixels, scaling, dtype))
        loss = losses.loss(logits, labels, config) * len(labels)
        total += torch.stack([loss, (logits.argmax(1) == labels).sum()])
    return total


def _slices(images: Images, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for pixels, labels in zip(images.pixels.split(size), images.labels.split(size), strict=True):
        yield pixels.permute(0, 3, 1, 2), labels


def _row(measured: list[float], batches: list[Tensor], validation: int, epoch: int) -> Row:
    """Means over images, as Keras shows them. Raises DivergenceError at the first loss not finite."""
    steps = len(batches)
    losses_, hits, (val_loss, val_hits) = measured[:steps], measured[steps:-2], measured[-2:]
    for step, loss in enumerate([*losses_, val_loss]):
        if not np.isfinite(loss):
            raise DivergenceError(f"epoch {epoch} step {min(step, steps - 1)}")
    sizes = [len(batch) for batch in batches]
    total = sum(sizes)
    return {
        "loss": sum(loss * size for loss, size in zip(losses_, sizes, strict=True)) / total,
        "accuracy": sum(hits) / total,
        "val_loss": val_loss / validation,
        "val_accuracy": val_hits / validation,
    }


def _batch_size(config: TrainConfig, data: Data) -> int:
    images = len(data.train.labels)
    if config.batch_size == "full":
        return images
    if config.batch_size > images:
        raise ValueError(
            f"batch_size <= training images must hold, got batch_size {config.batch_size} and "
            f"{images} images; use a smaller one, or batch_size: full"
        )
    return config.batch_size


def _generator(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in weights.items()}
