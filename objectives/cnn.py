"""The objective: train one CNN with a trial's parameters, and the companions that search/ asks.

The only file of this room that touches an `optuna.Trial`.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna
import torch

from objectives import checkpoint, datasets, train
from objectives import device as devices
from objectives.check import check
from objectives.config import TrainConfig
from objectives.knobs import as_dict, configure

__all__ = ["check", "evaluate", "objective", "prepare", "resolve"]

HISTORY_EVERY_S = 3.0  # an attribute is a database transaction
CHECKPOINT_EVERY_S = 30.0


def objective(
    trial: optuna.trial.BaseTrial,
    *,
    seed: int = 0,
    device: str = "auto",
    workdir: Path | None = None,
    **settings: Any,
) -> float:
    """Train with `settings` and `trial.params`; return the score.

    Reports the score of every epoch. Raises TrialPruned where the trial is hopeless, diverged or
    out of memory (user attribute `reason`), ValueError where the configuration is wrong.
    """
    place = devices.pick(device)
    config = _config(settings, _params(trial), place)
    devices.configure(place)
    trial.set_user_attr("epochs_planned", config.epochs_planned)
    trial.set_user_attr("device", devices.describe(place)["name"])
    problem = ""
    try:
        return _train(trial, config, place, seed, workdir)
    except train.DivergenceError as error:
        trial.set_user_attr("diverged_at", str(error))
        problem = "diverged"
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        problem = "out_of_memory"
        trial.set_constraint("memory", 1.0)
    _give_memory_back()  # outside the except: the traceback holds the tensors
    trial.set_user_attr("reason", problem)
    raise optuna.TrialPruned(problem)


def _train(
    trial: optuna.trial.BaseTrial,
    config: TrainConfig,
    place: torch.device,
    seed: int,
    workdir: Path | None,
) -> float:
    run = train.Training(config, _data(_data_key(config), place), place, seed)
    keeper = _Keeper(trial, run, workdir)
    try:
        while not run.finished:
            row = run.epoch()
            keeper.keep()
            try:
                trial.report(row[config.score], len(run.history) - 1)
            except BaseException:  # the worker's wrapper raises to preempt
                keeper.save()
                raise
            if not run.finished and trial.should_prune():
                trial.set_user_attr("reason", "hopeless")
                raise optuna.TrialPruned("hopeless")
        keeper.finish()
        trial.set_user_attr("reason", run.reason)
    finally:
        keeper.write_history()
    return run.score


class _Keeper:
    """What outlives a crash: the history in the database, a checkpoint and the model in workdir."""

    def __init__(
        self, trial: optuna.trial.BaseTrial, run: train.Training, workdir: Path | None
    ) -> None:
        self.trial, self.run, self.workdir = trial, run, workdir
        self.identity = {
            "config": as_dict(run.config),
            "seed": run.seed,
            "torch": torch.__version__,
        }
        self.wrote = self.saved = time.monotonic()
        if workdir and (state := checkpoint.load(workdir / checkpoint.CHECKPOINT, self.identity)):
            run.load_state_dict(state["run"])

    def keep(self) -> None:
        """Write what is due."""
        now = time.monotonic()
        if now - self.wrote > HISTORY_EVERY_S:
            self.write_history()
        if now - self.saved > CHECKPOINT_EVERY_S:
            self.save()

    def write_history(self) -> None:
        self.wrote = time.monotonic()
        columns = {
            name: [float(f"{row[name]:.6g}") for row in self.run.history] for name in train.COLUMNS
        }
        self.trial.set_user_attr("history", columns)
        self.trial.set_user_attr("best_epoch", self.run.best_epoch)
        self.trial.set_user_attr("stop_epoch", len(self.run.history) - 1)

    def save(self) -> None:
        self.saved = time.monotonic()
        if self.workdir:
            state = {"identity": self.identity, "run": self.run.state_dict()}
            checkpoint.save(self.workdir / checkpoint.CHECKPOINT, state)

    def finish(self) -> None:
        """Keep the scored weights."""
        if self.workdir:
            self.save()
            weights = self.run.network.state_dict()
            state = {"config": dataclasses.asdict(self.run.config), "weights": weights}
            checkpoint.save(self.workdir / checkpoint.MODEL, state)


def prepare(settings: dict[str, Any], device: str = "auto") -> dict[str, Any]:
    """Find and decode the data, check the device, pin the precision; once, in the worker.

    Raises ValueError or OSError with one line for the user.
    """
    place = devices.pick(device)
    precision = devices.precision(settings.get("precision", "auto"), place)
    keys = ("data_dir", "validation", "split_seed", "image_size")
    about = datasets.describe(
        settings["dataset"], **{key: settings[key] for key in keys if key in settings}
    )
    return {"settings": {**settings, "precision": precision}, "data": about}


def resolve(settings: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Every knob that this configuration reads, its value filled in."""
    return as_dict(configure(settings, params))


def evaluate(workdir: Path, split: str) -> dict[str, Any]:
    """Loss, accuracy and n of the model kept in workdir on "validation" or "test"."""
    state = checkpoint.load(workdir / checkpoint.MODEL)
    if state is None:
        raise ValueError(f"{workdir}: no trained model is kept here; run the trial again")
    config, place = TrainConfig(**state["config"]), devices.pick("auto")
    data = _data(_data_key(config), place)
    images = data.validation
    if split == "test":
        test = datasets.load_test(
            config.dataset, data_dir=config.data_dir, image_size=config.image_size
        )
        images = train.put(test, place)
    network = train.build_network(config, data.classes, data.shape, place)
    network.load_state_dict(state["weights"])
    sums = train.measure(network, images, config, train.scaling(config, data, place)).tolist()
    n = len(images.labels)
    return {"loss": sums[0] / n, "accuracy": sums[1] / n, "n": n}


def _params(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """A trial's parameters; a FixedTrial publishes only those that were already suggested."""
    return {**getattr(trial, "_params", {}), **trial.params}


def _config(settings: dict[str, Any], params: dict[str, Any], place: torch.device) -> TrainConfig:
    config = configure(settings, params)
    return dataclasses.replace(config, precision=devices.precision(config.precision, place))


DataKey = tuple[Any, ...]


def _data_key(config: TrainConfig) -> DataKey:
    return (
        config.dataset,
        config.data_dir,
        config.validation,
        config.split_seed,
        config.image_size,
    )


@lru_cache(maxsize=1)  # the trials of a process share their data
def _data(key: DataKey, place: torch.device) -> train.Data:
    dataset, data_dir, validation, split_seed, image_size = key
    loaded = datasets.load(
        dataset,
        data_dir=data_dir,
        validation=validation,
        split_seed=split_seed,
        image_size=image_size,
    )
    return train.to_device(loaded, place)


def _give_memory_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
