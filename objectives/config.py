"""Every knob of a training run, with its default. What it may be and who reads it: `knobs.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

GROUPS = ("data", "network", "optimizer", "schedule", "loss", "training")


def _knob(default: Any, group: str, about: str) -> Any:
    """A field with its default, the group it is listed in, and what it is in one line."""
    return field(default=default, metadata={"group": group, "about": about})


@dataclass(frozen=True)
class TrainConfig:
    """One configuration. Defaults that depend on the optimizer stand in its row."""

    dataset: str = field(metadata={"group": "data", "about": "images to learn and to be judged on"})
    data_dir: str | None = _knob(
        None, "data", "folder of the data sets; without it OPTSEARCH_DATA, or the user's cache"
    )
    validation: float | None = _knob(None, "data", "fraction of the training images held out")
    split_seed: int = _knob(0, "data", "which training images are held out")
    image_size: int | None = _knob(
        None, "data", "side in pixels that images are scaled to; without it their own"
    )
    resize: str | None = _knob(
        None,
        "data",
        "how pictures become square; without it crop, of an npz squash",
    )
    skip_broken: bool = _knob(
        False, "data", "of your own images, leave out those that cannot be read"
    )
    columns: Mapping[str, str] | None = _knob(
        None, "data", "of a table, what its columns image, label, split and group are called"
    )
    flip: bool = _knob(False, "data", "mirror half of the images, drawn anew each epoch")
    vertical_flip: bool = _knob(False, "data", "turn half of the images upside down")
    crop: int = _knob(0, "data", "shift images by up to so many pixels")
    rotate: float = _knob(0.0, "data", "turn images by up to so many degrees, either way")
    auto_augment: str = _knob(
        "none", "data", "operations drawn for each image: TrivialAugment, RandAugment or AugMix"
    )
    num_ops: int = _knob(2, "data", "operations that rand applies to an image")
    magnitude: int = _knob(9, "data", "how strong the operations of rand are, of 30")
    color_jitter: float = _knob(
        0.0, "data", "brightness, contrast and saturation times 1 - it to 1 + it"
    )
    cutout: int = _knob(0, "data", "side in pixels of a square that is blotted out")
    erase: float = _knob(0.0, "data", "part of the images that lose a rectangle of any shape")
    transform: str | None = _knob(
        None, "data", "a function of your own, ./file.py:name, that augments an image"
    )
    mixup: float = _knob(
        0.0, "data", "blend images in pairs, in shares from Beta(mixup, mixup); 0: none"
    )
    cutmix: float = _knob(
        0.0, "data", "put a rectangle of one image into another, likewise; 0: none"
    )
    normalize: bool = _knob(False, "data", "shift and scale each channel to mean 0, deviation 1")

    sampling: str = _knob(
        "natural", "data", "balanced: draw each class as often as the others, images repeatedly"
    )

    network: str = _knob("", "network", "which network is trained")
    init: str = _knob("keras", "network", "first weights: Glorot uniform (keras), or torch's own")
    weights: str = _knob(
        "none", "network", "weights to begin with: torchvision's own (default), or a state dict"
    )
    freeze: str = _knob("none", "network", "backbone: only the new last layer learns")

    optimizer: str = _knob("sgd", "optimizer", "how gradients become steps")
    lr: float = _knob(1e-3, "optimizer", "learning rate; the highest one of its schedule")
    momentum: float = _knob(
        0.0, "optimizer", "part of a step that the next one goes on with; 0: none"
    )
    nesterov: bool = _knob(False, "optimizer", "look ahead along the momentum; nothing at 0")
    weight_decay: float = _knob(
        0.0,
        "optimizer",
        "pull of the weights to zero: an L2 term, or decoupled (see the optimizer)",
    )
    decay_norm_and_bias: bool = _knob(
        True, "optimizer", "false: weight_decay leaves norms and biases alone"
    )
    ema_decay: float | None = _knob(
        None, "optimizer", "score and keep a moving average of the weights, with this memory"
    )
    clip_grad_norm: float | None = _knob(
        None, "optimizer", "longest gradient of a step, over all weights; a longer one is scaled"
    )
    rho: float = _knob(
        0.9, "optimizer", "memory of squared gradients (torch calls rmsprop's alpha)"
    )
    centered: bool = _knob(False, "optimizer", "divide by the deviation of gradients, not the size")
    beta1: float = _knob(0.9, "optimizer", "memory of gradients (torch: betas[0], Keras: beta_1)")
    beta2: float = _knob(
        0.999, "optimizer", "memory of squared gradients (torch: betas[1], Keras: beta_2)"
    )
    beta3: float = _knob(
        0.99, "optimizer", "memory of squared gradients, where beta2 is that of differences"
    )
    epsilon: float = _knob(1e-7, "optimizer", "kept from dividing by zero (torch: eps)")
    amsgrad: bool = _knob(False, "optimizer", "never forget the largest squared gradient")
    momentum_decay: float = _knob(
        1.0, "optimizer", "how momentum warms up (torch: 0.004; 1.0 is Keras' nadam)"
    )
    initial_accumulator: float = _knob(
        0.1, "optimizer", "squared gradients to begin with (torch: initial_accumulator_value)"
    )
    final_lr: float = _knob(0.1, "optimizer", "rate that adabound turns into SGD with")
    d_coef: float = _knob(1.0, "optimizer", "factor of the rate that prodigy finds")

    optimizer_args: Mapping[str, Any] | None = _knob(
        None, "optimizer", "further arguments of a class, by its own names"
    )

    schedule: str = _knob("constant", "schedule", "how the learning rate changes")
    warmup_epochs: float = _knob(0.0, "schedule", "epochs of linear rise up to lr, before the rest")
    lr_decay: float = _knob(
        0.0, "schedule", "lr / (1 + lr_decay * step), a step a batch (Keras' old decay)"
    )
    step_size: int = _knob(10, "schedule", "epochs between two reductions")
    gamma: float = _knob(0.1, "schedule", "factor of a reduction (exponential: each epoch)")
    min_lr: float = _knob(0.0, "schedule", "rate at the lowest point (torch also: eta_min)")
    t_0: int = _knob(10, "schedule", "epochs of the first period (torch: T_0)")
    t_mult: int = _knob(1, "schedule", "each period is so many times as long (torch: T_mult)")
    step_size_up: float = _knob(2.0, "schedule", "epochs of a rise, half a cycle")
    cycle_mode: str = _knob("triangular", "schedule", "triangular2 halves each cycle (torch: mode)")
    div_factor: float = _knob(25.0, "schedule", "the rate begins at lr / div_factor")
    pct_start: float = _knob(0.3, "schedule", "part of all epochs in which the rate rises")
    final_div_factor: float = _knob(
        1e4, "schedule", "it ends at lr / div_factor / final_div_factor"
    )
    factor: float = _knob(0.1, "schedule", "factor of a reduction on a plateau")
    plateau_patience: int = _knob(
        10, "schedule", "epochs without improvement before one (torch: patience)"
    )
    phases: tuple[float, ...] = _knob(
        (), "schedule", "learning rates of runs one after the other, each from the last's weights"
    )

    loss: str = _knob("cross_entropy", "loss", "what training makes small")
    label_smoothing: float = _knob(0.0, "loss", "part of the target shared by all classes")
    margin: float = _knob(1.0, "loss", "how far ahead the right class must be")

    focal_gamma: float = _knob(
        2.0, "loss", "how much less an image counts that is easy; 0: cross entropy"
    )
    class_weight: str | Mapping[str, float] = _knob(
        "none", "loss", "factor of a class's loss; balanced: by how rare it is in training"
    )

    batch_size: int | Literal["full"] = _knob(
        32, "training", "images a step; full: all of them at once"
    )
    drop_last: bool = _knob(False, "training", "leave out the last batch where it is smaller")
    epochs: int = _knob(20, "training", "epochs at most; under phases, of each phase")
    score: str = _knob("val_accuracy", "training", "what a trial returns")
    monitor: str = _knob(
        "", "training", "picks the best epoch and feeds patience; without it the score"
    )
    patience: int | None = _knob(
        None, "training", "stop after so many epochs in a row that were no better"
    )
    min_delta: float = _knob(0.0, "training", "what counts as an improvement of monitor")
    restore_best_weights: bool = _knob(
        True, "training", "score and keep the best epoch's weights, not the last one's"
    )
    precision: str = _knob(
        "auto", "training", "auto: bfloat16 or float16, as the hardware multiplies, else float32"
    )
    deterministic: bool = _knob(
        True, "training", "on a GPU, kernels that repeat; false: those chosen by timing"
    )

    @property
    def epochs_planned(self) -> int:
        """The most epochs the run can take, all phases together: the pruner's resource."""
        return self.epochs * max(len(self.phases), 1)


KNOBS = tuple(field.name for field in fields(TrainConfig))
DATA_KNOBS = (
    "dataset",
    "data_dir",
    "validation",
    "split_seed",
    "image_size",
    "resize",
    "skip_broken",
    "columns",
)
ABOUT = {field.name: dict(field.metadata) for field in fields(TrainConfig)}  # group and about
DEFAULTS = {field.name: field.default for field in fields(TrainConfig)}
