"""One worker: claim a trial, suggest its parameters, call the objective, tell how it ended."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search import objective, provenance
from search.database import storage
from search.errors import WorkerPoisonedError
from search.record import (
    budget,
    chains,
    changed,
    ended,
    enough,
    outcomes,
    pauses,
    results,
    study,
    untried,
)
from search.strategy import pruners, samplers
from search.strategy import untried as proposals
from search.studyfile import space
from search.studyfile.spec import StudySpec
from search.workers import leases, output
from search.workers.chooser import Chooser
from search.workers.live_trial import LiveTrial
from search.workers.stop import Stop
from search.workers.trial_study import Numbered

KEEP_BEST = 5  # complete trials whose models stay on disk


def work(spec: StudySpec, url: str, *, device: str, workdir: str, threads: int = 1) -> None:
    """Run trials of a study until nothing is to be done or the worker is asked to stop.

    Args:
        threads: CPU threads that the objective may use.

    Raises:
        WorkerPoisonedError: the GPU context of this process is broken; another one goes on.
    """
    joined = join(spec, url)
    running: list[LiveTrial] = []
    stop = Stop(last_words=lambda: give_back(joined, running, spec.budget.retries))
    stop.watch_for_hangs()
    stop.install()
    folder = study.folder(joined, workdir).absolute()  # before an objective goes elsewhere
    function = objective.load(spec.objective, spec.folder)
    resumes = objective.resumes(function)
    machine = {"device": device, "threads": threads}
    call = functools.partial(train, function, spec, folder=folder, machine=machine)
    following = changed.Follower(joined, spec)
    way = functools.partial(_way, joined, following, folder, function)
    chooser, claim = way()
    while not stop.requested:
        if following.look():  # another command has changed the budget, say
            chooser, claim = way()
        spec, limits = following.spec, following.limits
        if (claimed := claim()) is None:
            return
        stop.install()  # an objective may have put handlers of its own in their place
        try:
            with leases.Heart(joined, claimed):
                live = LiveTrial(joined, claimed, stop, spec.audit, chooser)
                running[:] = [live]
                begin(live, spec, threads, resumes=resumes)
                outcome = attempt(call, live, stop, spec.budget.trial_timeout)
                tell(joined, live, outcome, limits)
        except optuna.exceptions.UpdateFinishedTrialError:
            continue  # somebody else ended this trial: a lost lease, not a failure
        finally:
            running.clear()
        if outcome.reason in chains.RETRIED:
            chains.mend(joined, spec.budget.retries)
        if chooser is not None and outcome.state == TrialState.WAITING:
            chooser.keep_few()
        if not limits.queued_only:  # what confirms is tested later: all of its models stay
            tidy(joined, folder, keep=max(KEEP_BEST, len(spec.configurations)))
        if outcome.poisoned:
            raise WorkerPoisonedError(outcome.error or "")
        if outcome.error and budget.first_failures(joined.get_trials(deepcopy=False)):
            return


def _way(
    joined: optuna.Study, following: changed.Follower, folder: Path, function: Callable[..., float]
) -> tuple[Chooser | None, Callable[[], int | None]]:
    """Who decides what is trained (`_chooser`), and what takes the next trial."""
    spec, limits = following.spec, following.limits
    chooser = _chooser(joined, spec, limits, folder, function)
    claim = chooser.claim if chooser else _claim(joined, limits, spec.seed)
    return chooser, functools.partial(_while_open, joined, limits, claim)


def _while_open(
    joined: optuna.Study, limits: budget.Limits, claim: Callable[[], int | None]
) -> int | None:
    """What is next; where an objective has ended the search, what is to go on only, and after that
    what is paused ends."""
    if ended.by(joined) is None:
        return claim()
    retry = budget.claim_retry(joined)
    if retry is None and limits.steps:
        pauses.settle(joined, limits)
    return retry


def _claim(joined: optuna.Study, limits: budget.Limits, seed: int) -> Callable[[], int | None]:
    """What takes the next trial where the queue, the sampler and the pruner decide."""
    if limits.points is None:
        return functools.partial(budget.claim, joined, limits)
    draw = functools.partial(proposals.draw, joined, limits.points, seed)
    return functools.partial(untried.claim, joined, limits, draw)


def _chooser(
    joined: optuna.Study,
    spec: StudySpec,
    limits: budget.Limits,
    folder: Path,
    function: Callable[..., float],
) -> Chooser | None:
    """Who decides what is trained; None where the queue, the sampler and the pruner do."""
    if not limits.steps:
        return None
    resumes = objective.resumes(function) and joined.user_attrs.get(pauses.RESUMES, True)
    return Chooser(joined, spec, limits, folder, resumes=bool(resumes))


def attempt(
    call: Callable[[Any], float], live: LiveTrial, stop: Stop, timeout_s: float | None
) -> outcomes.Outcome:
    """Call the objective; of its time, what it took before a pause is gone."""
    left = None if timeout_s is None else max(timeout_s - live.seconds, 0.001)
    return stop.run(functools.partial(outcomes.attempt, call, live), left)


def tell(
    joined: optuna.Study, live: LiveTrial, outcome: outcomes.Outcome, limits: budget.Limits
) -> None:
    """Write how the trial ended, or that it pauses."""
    counts = limits.steps or (limits.enough is not None and limits.enough.counts_epochs)
    if outcome.state == TrialState.COMPLETE and counts:
        so_far = enough.spent(joined.get_trials(deepcopy=False))
        optuna.Trial.set_user_attr(live, enough.SPENT, so_far)
    if outcome.state == TrialState.WAITING:
        pauses.pause(joined, live._trial_id, live.epochs, outcome.reason or "", live.seconds)
    else:
        outcomes.tell(joined, live, outcome)


def join(spec: StudySpec, url: str) -> optuna.Study:
    """Open the study with this worker's own sampler and the study's pruner."""
    joined = optuna.load_study(study_name=spec.name, storage=storage.open_storage(url))
    if spec.is_stepwise:  # the strategy does what they would
        joined.sampler = samplers.build("random", {}, spec.seed)
        joined.pruner = pruners.build("none", {}, None)
        return joined
    joined.sampler = samplers.build(
        spec.sampler.name, spec.sampler.options, study.sampler_seed(joined, spec)
    )
    epochs = joined.user_attrs.get("longest") or spec.settings.get("epochs")
    joined.pruner = pruners.build(spec.pruner.name, spec.pruner.options, epochs)
    return joined


def begin(trial: Numbered, spec: StudySpec, threads: int, *, resumes: bool = True) -> None:
    """Note what the trial runs with, and draw its parameters, before the objective is called.

    Args:
        resumes: whether the objective goes on where it is interrupted; else that is noted, as its
            end may be told by another process.
    """
    attrs = trial.user_attrs
    if "seed" not in attrs:
        seed = study.trial_seed(spec, attrs.get(chains.CHAIN, trial.row))
        optuna.Trial.set_user_attr(trial, "seed", seed)  # not an objective's to write (LiveTrial)
    versions = provenance.of_trial(spec.objective, spec.folder)
    optuna.Trial.set_user_attr(trial, "versions", versions)
    optuna.Trial.set_user_attr(trial, "threads", threads)  # with as many it can be trained again
    if not resumes:
        optuna.Trial.set_user_attr(trial, chains.ANEW_ONLY, True)
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
    trial: Numbered,
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
    workdir = folder / str(attrs.get(chains.CHAIN, trial.row))
    offered = {"seed": attrs["seed"], "workdir": workdir, **machine}
    given = objective.accepted(function, offered)
    if "workdir" in given:
        if isinstance(trial, LiveTrial):
            trial.had_folder = workdir.is_dir()
        workdir.mkdir(parents=True, exist_ok=True)
    settings = spec.settings_for(attrs.get("configuration"))
    if chains.SPLIT in attrs:
        settings[chains.SPLIT] = attrs[chains.SPLIT]
    with output.of_trial(trial.row, workdir):
        return function(trial, **settings, **given)


def give_back(joined: optuna.Study, running: list[LiveTrial], retries: int) -> None:
    """Queue the running trial again, from beside a main thread that does not come back."""
    for live in running:
        outcomes.tell(joined, live, outcomes.ended(outcomes.Preempted()))
        chains.mend(joined, retries)


def tidy(joined: optuna.Study, folder: Path, keep: int) -> None:
    """Remove what ended trials left on disk, except for the best `keep` and open chains."""
    # Listed first: of a folder that is there now the trial is in the database, as a trial is
    # claimed before its folder is made. The other way round, one that begins in between would lose
    # its folder.
    folders = [c for c in folder.iterdir() if c.name.isdecimal()] if folder.is_dir() else []
    trials = joined.get_trials(deepcopy=False)
    last = {chains.of(t): t for t in trials}
    kept = {
        chain
        for chain, t in last.items()  # a retried one gets its next link in a moment
        if not t.state.is_finished() or chains.reason_of(t) in chains.RETRIED
    }
    kept |= {chains.of(t) for t in results.ranking(joined)[:keep]}
    for chain in folders:
        if int(chain.name) not in kept:
            shutil.rmtree(chain, ignore_errors=True)
