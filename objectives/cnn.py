"""The objective: train one CNN with a trial's parameters, and the companions that search/ asks.

The only file of this room that touches an `optuna.Trial`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import torch

from objectives import (
    checkpoint,
    datasets,
    faults,
    knobs,
    portable,
    rows,
    schedules,
    shared,
    size,
    train,
)
from objectives import device as devices
from objectives.check import check  # companions too, as are these
from objectives.config import TrainConfig
from objectives.convert import convert, formats
from objectives.describe import describe
from objectives.ensemble import gain, load
from objectives.measured import confusion, evaluate
from objectives.portable import save
from objectives.portfolio import portfolio
from objectives.prepare import prepare
from objectives.proposal import propose
from objectives.sheet import inspect

__all__ = [
    "check",
    "confusion",
    "convert",
    "describe",
    "evaluate",
    "formats",
    "gain",
    "inspect",
    "load",
    "objective",
    "portfolio",
    "prepare",
    "propose",
    "resolve",
    "save",
]

HISTORY_EVERY_S = 3.0  # an attribute is a database transaction
CHECKPOINT_EVERY_S = 30.0
OUT_OF_MEMORY = "out_of_memory"
ONE_BY_ONE = "a graph takes memory of its own, which ran out"


def objective(
    trial: optuna.trial.BaseTrial,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    workdir: Path | None = None,
    initial_weights: Path | None = None,
    split_seed: int | None = None,
    all_data: int | None = None,
    **settings: Any,
) -> float:
    """Train with `settings` and `trial.params` on `threads` CPU threads; return the score.

    initial_weights: a model that `save` wrote, to go on from with a fresh optimizer and patience.
    all_data: train on the validation images, too, for so many epochs; what is reported and returned
    is then the loss of training.

    Reports the score of every epoch. Raises TrialPruned where the trial is hopeless, diverged or
    out of memory (user attribute `reason`), ValueError where the configuration is wrong. A file
    that cannot be written is told in the user attribute `not_saved`.
    """
    place = devices.pick(device)
    if split_seed is not None:  # named, as that is how optsearch sees that it can be given
        settings["split_seed"] = split_seed
    config = shared.configured(settings, _params(trial), place)
    devices.configure(place, threads, deterministic=config.deterministic)
    trial.set_user_attr("epochs_planned", config.epochs_planned)
    if schedules.SCHEDULES[config.schedule].is_horizon_bound:
        trial.set_user_attr("horizon", config.epochs_planned)  # whom the pruner compares it with
    trial.set_user_attr("device", devices.describe(place)["name"])
    if place.type == "cpu":  # a sum in another order is another result
        trial.set_user_attr("threads", torch.get_num_threads())
    once = functools.partial(_once, trial, config, place, seed, workdir, initial_weights, all_data)
    score, reason = once()
    if reason == OUT_OF_MEMORY and (why := faults.room(place)):
        trial.set_user_attr("trained_again", why)
        score, reason = once(ONE_BY_ONE)
    if score is not None:
        return score
    if reason == OUT_OF_MEMORY:
        trial.set_constraint("memory", 1.0)
    trial.set_user_attr("reason", reason)
    raise optuna.TrialPruned(reason)


def _once(
    trial: optuna.trial.BaseTrial,
    config: TrainConfig,
    place: torch.device,
    seed: int,
    workdir: Path | None,
    initial_weights: Path | None,
    all_data: int | None,
    eager_because: str = "",
) -> tuple[float | None, str]:
    """The score, or why there is none; then no tensor of the run is left on the device."""
    try:
        data = shared.data(config, place, together=all_data is not None)
        run = train.Training(
            config, data, place, seed, epochs=all_data, eager_because=eager_because
        )
        return _train(trial, run, workdir, initial_weights), ""
    except optuna.TrialPruned:
        raise
    except rows.DivergenceError as error:
        trial.set_user_attr("diverged_at", str(error))
        reason = "diverged"
    except Exception as error:
        faults.ask(place, error)
        if not devices.is_out_of_memory(error):
            raise
        reason = OUT_OF_MEMORY
    faults.give_memory_back()  # outside the except, whose traceback holds the tensors
    return None, reason


def resolve(settings: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Every knob that this configuration reads, with its value; as settings it runs again."""
    config = knobs.configure(settings, params)
    fraction = datasets.resolved_validation(config.dataset, config.validation, config.columns)
    return knobs.as_dict(dataclasses.replace(config, validation=fraction))


def _train(
    trial: optuna.trial.BaseTrial,
    run: train.Training,
    workdir: Path | None,
    initial_weights: Path | None,
) -> float:
    config = run.config
    if initial_weights:
        run.began_with = portable.load_into(run.model.network, config.network, initial_weights)
    keeper = _Keeper(trial, run, workdir)
    try:
        while not run.finished:
            row = run.epoch()
            keeper.keep()
            if run.finished:  # before the last report: whoever may pause a trial there need not
                trial.set_user_attr("stop_epoch", len(run.history) - 1)
            try:
                _report(trial, row[run.reported], len(run.history) - 1)
            except BaseException:  # the worker's wrapper raises to preempt
                keeper.save()
                raise
            if not run.finished and trial.should_prune():
                trial.set_user_attr("reason", "hopeless")
                raise optuna.TrialPruned("hopeless")
        keeper.finish()
    finally:
        keeper.leave()
    return run.score


def _report(trial: optuna.trial.BaseTrial, value: float, epoch: int) -> None:
    """As the trial's; an epoch that it knows already, from before a crash or a second try, it
    ignores."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The reported value is ignored")
        trial.report(value, epoch)


class _Keeper:
    """What outlives a crash: the history in the database, a checkpoint and the model in workdir."""

    def __init__(
        self, trial: optuna.trial.BaseTrial, run: train.Training, workdir: Path | None
    ) -> None:
        self.trial, self.run = trial, run
        self.workdir = Path(workdir) if workdir else None
        self.config = knobs.as_dict(run.config)
        self.identity = {"config": self.config, "seed": run.seed, "torch": str(torch.__version__)}
        if run.began_with:
            self.identity["began_with"] = run.began_with
        if run.epochs:
            self.identity["all_data"] = run.epochs
        self.wrote = self.saved = time.monotonic()
        self.checkpointed = 0  # epochs in the newest checkpoint of this run; 0: there is none
        if self.workdir:
            state = checkpoint.load(self.workdir / checkpoint.CHECKPOINT, self.identity)
            if state is not None:
                run.load_state_dict(state["run"])
                self.checkpointed = len(run.history)
                trial.set_user_attr("resumed_from", self.checkpointed)
                self._report_again()

    def _report_again(self) -> None:
        """Tell the trial of the epochs before a crash."""
        for epoch, row in enumerate(self.run.history):
            _report(self.trial, row[self.run.reported], epoch)

    def keep(self) -> None:
        """Write what is due."""
        now = time.monotonic()
        if now - self.wrote > HISTORY_EVERY_S:
            self.write_history()
        if now - self.saved > CHECKPOINT_EVERY_S:
            self.save()

    def write_history(self) -> None:
        """The learning curve so far, to six digits."""
        self.wrote = time.monotonic()
        rows = self.run.history
        columns = {name: [float(f"{row[name]:.6g}") for row in rows] for name in self.run.columns}
        self.trial.set_user_attr("history", columns)

    def save(self) -> None:
        """Write a checkpoint, unless the newest one is as new."""
        self.saved = time.monotonic()
        epochs = len(self.run.history)
        if epochs == self.checkpointed:
            return
        state = {"identity": self.identity, "run": self.run.state_dict()}
        if self._write(checkpoint.CHECKPOINT, state, f"the checkpoint of {epochs} epoch(s)"):
            self.checkpointed = epochs
            self.trial.set_user_attr("checkpointed", epochs)

    def _write(self, name: str, state: dict[str, Any], what: str) -> bool:
        """Write a file into workdir, if there is one. A full disk costs the file, not the trial."""
        if self.workdir is None:
            return False
        try:
            checkpoint.save(self.workdir / name, state)
        except (OSError, MemoryError) as error:
            why = getattr(error, "strerror", None) or str(error) or "out of memory"
            message = f"{self.workdir / name}: {what} was not saved ({why}); "
            self.trial.set_user_attr("not_saved", message + "make room, or use another workdir")
            return False
        return True

    def leave(self) -> None:
        """Say what happened so far, however it ended."""
        self.write_history()
        run = self.run
        about = {"eager_because": run.eager_because, "features": run.model.features}
        about["streamed"] = run.data.streamed
        for name, value in about.items():
            if value:
                self.trial.set_user_attr(name, value)

    def finish(self) -> None:
        """Say how it ended; keep the weights that were scored."""
        run = self.run
        about = {"best_epoch": run.best_epoch, "reason": run.reason}
        for name, value in about.items():
            self.trial.set_user_attr(name, value)
        state = {"config": self.config, "weights": run.model.network.state_dict()}
        if run.epochs:
            state["all_data"] = {"epochs": run.epochs, "images": len(run.data.train.labels)}
        self._write(checkpoint.MODEL, state, "the trained model")
        with contextlib.suppress(RuntimeError, ValueError, MemoryError):  # it costs no score
            self.trial.set_user_attr("size", size.of(run.model))
        if self.checkpointed:  # a retry then ends at once
            self.save()


def _params(trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """A trial's parameters; a FixedTrial publishes only those that were suggested already."""
    return {**getattr(trial, "_params", {}), **trial.params}
