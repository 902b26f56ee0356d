"""Every knob of a training run, with its default. What it may be and who reads it: `knobs.py`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """One configuration. Defaults that depend on the optimizer stand in its row."""

    # data
    dataset: str
    data_dir: str | None = None
    validation: float | None = None  # fraction of the training images; None: the data set's own
    split_seed: int = 0
    image_size: int | None = None
    skip_broken: bool = False  # of a folder, leave out the files that cannot be read
    flip: bool = False
    crop: int = 0  # pixels of shift
    cutout: int = 0  # pixels of the square's side
    normalize: bool = False
    # network
    network: str = ""
    init: str = "keras"
    weights: str = "none"
    freeze: str = "none"
    # optimizer
    optimizer: str = "sgd"
    lr: float = 1e-3
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    rho: float = 0.9
    centered: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False
    momentum_decay: float = 1.0
    initial_accumulator: float = 0.1
    final_lr: float = 0.1
    # schedule; lengths in epochs
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    lr_decay: float = 0.0
    step_size: int = 10
    gamma: float = 0.1
    min_lr: float = 0.0
    t_0: int = 10
    t_mult: int = 1
    step_size_up: float = 2.0
    cycle_mode: str = "triangular"
    div_factor: float = 25.0
    pct_start: float = 0.3
    final_div_factor: float = 1e4
    factor: float = 0.1
    plateau_patience: int = 10
    phases: tuple[float, ...] = ()
    # loss
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    margin: float = 1.0
    # training
    batch_size: int | Literal["full"] = 32
    epochs: int = 20  # at most; under `phases` at most so many in each phase
    score: str = "val_accuracy"  # what a trial returns
    monitor: str = ""  # what picks the best epoch and feeds patience; empty: the score
    patience: int | None = None
    min_delta: float = 0.0
    restore_best_weights: bool = True
    precision: str = "auto"

    @property
    def epochs_planned(self) -> int:
        """The most epochs the run can take, all phases together: the pruner's resource."""
        return self.epochs * max(len(self.phases), 1)


KNOBS = tuple(field.name for field in fields(TrainConfig))
DATA_KNOBS = ("dataset", "data_dir", "validation", "split_seed", "image_size", "skip_broken")
DEFAULTS = {field.name: field.default for field in fields(TrainConfig)}
