"""One worker: claim a trial, suggest its parameters, call the objective, tell how it ended."""

import functools
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import optuna

from search import (
    budget,
    objective,
    outcomes,
    provenance,
    pruners,
    results,
    samplers,
    space,
    storage,
    study,
)
from search.spec import StudySpec

KEEP_BEST = 5  # complete trials whose models stay on disk


class Stop:
    """Asked to stop: by SIGINT at the end of the running epoch, by SIGTERM at once."""

    def __init__(self) -> None:
        self.requested = False
        self._interruptible = False

    def install(self) -> None:
        signal.signal(signal.SIGINT, self._finish_epoch)
        signal.signal(signal.SIGTERM, self._at_once)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # pool.serve held it back

    def run(self, function: Callable[[], outcomes.Outcome]) -> outcomes.Outcome:
        """Call a function that SIGTERM may interrupt; outside of it nothing is interrupted."""
        self._interruptible = True
        try:
            return function()
        except outcomes.Preempted:  # it fell between the objective's end and here
            return outcomes.Outcome(optuna.trial.TrialState.FAIL, reason="preempted")
        finally:
            self._interruptible = False

    def _finish_epoch(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True

    def _at_once(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True
        if self._interruptible:
            self._interruptible = False
            raise outcomes.Preempted


class LiveTrial(optuna.Trial):
    """A trial that ends at the next report once its worker is asked to stop."""

    def __init__(self, study: optuna.Study, trial_id: int, stop: Stop) -> None:
        super().__init__(study, trial_id)
        self._stop = stop

    def report(self, value: float, step: int) -> None:
        super().report(value, step)
        if self._stop.requested:
            raise outcomes.Preempted


def work(
    spec: StudySpec, url: str, *, device: str, workdir: str, index: int = 0, threads: int = 1
) -> None:
    """Run trials of a study until its budget is used up or the worker is asked to stop.

    Args:
        index: of this worker among those of the run, from 0.
        threads: CPU threads that the objective may use.
    """
    stop = Stop()
    stop.install()
    joined = join(spec, url, index)
    function = objective.load(spec.objective, spec.folder)
    folder = study.folder(joined, workdir)
    machine = {"device": device, "threads": threads}
    call = functools.partial(train, function, spec, folder=folder, machine=machine)
    while not stop.requested and (claimed := budget.claim(joined, spec.trials)) is not None:
        stop.install()  # an objective may have put handlers of its own in their place
        live = LiveTrial(joined, claimed, stop)
        begin(live, spec)
        try:
            outcome = stop.run(functools.partial(outcomes.attempt, call, live))
            outcomes.tell(joined, live, outcome)
        except optuna.exceptions.UpdateFinishedTrialError:
            continue  # somebody else ended this trial: a lost lease, not a failure
        if outcome.is_retried:
            budget.enqueue_retry(joined, joined.trials[live.number])
        tidy(joined, folder, keep=max(KEEP_BEST, len(spec.configurations)))
        if outcome.error and budget.first_failures(joined.get_trials(deepcopy=False)):
            return


def join(spec: StudySpec, url: str, index: int) -> optuna.Study:
    """Open the study with this worker's own sampler and the study's pruner."""
    joined = optuna.load_study(study_name=spec.name, storage=storage.open_storage(url))
    session = len(joined.get_trials(deepcopy=False))  # no two workers draw the same first samples
    seed = study.trial_seed(spec, 10_000_000 * (index + 1) + session)
    joined.sampler = samplers.build(spec.sampler.name, spec.sampler.options, seed)
    epochs = spec.settings.get("epochs")
    joined.pruner = pruners.build(spec.pruner.name, spec.pruner.options, epochs)
    return joined


def begin(trial: optuna.Trial, spec: StudySpec) -> None:
    """Note what the trial runs with, and draw its parameters, before the objective is called."""
    attrs = trial.user_attrs
    if "seed" not in attrs:
        trial.set_user_attr("seed", study.trial_seed(spec, attrs.get(budget.CHAIN, trial.number)))
    trial.set_user_attr("versions", provenance.of_trial(spec.objective, spec.folder))
    if not spec.configurations:
        space.suggest(trial, spec.space)
        return
    listed = [item.params for item in spec.configurations]
    enumerated = space.of_configurations(listed)
    own = spec.configuration(attrs["configuration"]).params
    space.suggest(trial, {name: enumerated[name] for name in own if name in enumerated})


def train(
    function: Callable[..., float],
    spec: StudySpec,
    trial: optuna.trial.BaseTrial,
    *,
    folder: Path,
    machine: dict[str, Any],
) -> float:
    """Call the objective with its settings, and what it declares of seed, workdir and machine.

    Args:
        folder: of the study; each chain of trials has one of its own in it.
        machine: `device`, and `threads` that the objective may use.
    """
    attrs = trial.user_attrs
    workdir = folder / str(attrs.get(budget.CHAIN, trial.number))
    offered = {"seed": attrs["seed"], "workdir": workdir, **machine}
    settings = spec.settings_for(attrs.get("configuration"))
    return function(trial, **settings, **objective.accepted(function, offered))


def tidy(joined: optuna.Study, folder: Path, keep: int) -> None:
    """Remove what ended trials left on disk, except for the best `keep` and open chains."""
    trials = joined.get_trials(deepcopy=False)
    last = {budget.chain_of(t): t for t in trials}
    kept = {
        chain
        for chain, t in last.items()  # a preempted one gets its retry in a moment
        if not t.state.is_finished() or t.user_attrs.get("reason") == "preempted"
    }
    kept |= {budget.chain_of(t) for t in results.ranking(joined)[:keep]}
    for chain in folder.iterdir() if folder.is_dir() else ():
        if chain.name.isdecimal() and int(chain.name) not in kept:
            shutil.rmtree(chain, ignore_errors=True)
