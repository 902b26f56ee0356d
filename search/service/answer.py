"""The answer of a study: tested once, and written to YAML. `run` and `confirm` end so."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import Signals
from typing import NamedTuple

import optuna

from search import plots
from search.answers import confirm, evidence, export, kept, seeds, testset
from search.errors import ObjectiveError, OutputError, RunFailedError
from search.record import budget, chains, results
from search.record.listener import Listener
from search.service.prepare import Order
from search.studyfile.spec import Confirm, StudySpec
from search.workers import process


class Answered(NamedTuple):
    """How a run has ended.

    `file` holds the best configuration, None where no trial is complete or none was wanted;
    `stopped` is the signal that broke the run off; `is_settled` tells that nothing of the search
    and its confirming is left to do; `trouble` is to be raised once the rest has been told; `needs`
    are the seconds that confirming takes, where the time was too short for it.
    """

    study: optuna.Study
    spec: StudySpec
    file: Path | None
    stopped: Signals | None
    is_settled: bool
    trouble: BaseException | None
    needs: float | None = None


def answer(
    study: optuna.Study,
    spec: StudySpec,
    order: Order,
    listener: Listener,
    *,
    stopped: Signals | None,
    plan: Confirm,
    halted: bool = False,
) -> Answered:
    """Write the best, and read the test set where nothing is chosen any more.

    Args:
        halted: somebody has asked for the end, and expects no answer of it.

    Raises:
        RunFailedError: each of the first trials failed.
    """
    trials = study.get_trials(deepcopy=False)
    if failed := budget.first_failures(trials):
        told = failed.user_attrs.get("error", "its process died (no traceback can tell why)")
        raise RunFailedError(
            f"stopped: each of the first trials failed; the first:\n{told.rstrip()}"
        )
    best, trouble = confirm.answer(study), None
    if best is not None:
        trouble = _tell(study, spec, best, order, listener, tests=stopped is None)
    elif trials and all(_has_had_its_turn(t, stopped) for t in trials):
        trouble = RunFailedError(
            "no trial has completed, so there is no best configuration; "
            "the lines above tell how the trials ended"
        )
    elif stopped is None and not halted:
        trouble = RunFailedError(
            "the run ended before a trial had completed, so there is no answer; what was trained "
            "is kept, and more time goes on with it"
        )
    is_settled = stopped is None and _is_confirmed(study, plan)
    return Answered(study, spec, order.out if best else None, stopped, is_settled, trouble)


def _has_had_its_turn(trial: optuna.trial.FrozenTrial, stopped: Signals | None) -> bool:
    """Whether it has ended, or is queued beyond the budget of a search that has come to its end."""
    return trial.state.is_finished() or (stopped is None and chains.is_queued(trial))


def _tell(
    study: optuna.Study,
    spec: StudySpec,
    best: optuna.trial.FrozenTrial,
    order: Order,
    listener: Listener,
    *,
    tests: bool,
) -> BaseException | None:
    """Write the file, test, and write it again; what went wrong in the tests, for later."""
    trouble: BaseException | None = None
    write = _writer(study, spec, best, order.out, listener)
    write()
    try:
        if tests:
            _test(study, spec, order.workdir, order.wish.device)
    except ObjectiveError as error:  # what is known is told all the same
        trouble = ObjectiveError(f"the test set could not be read by `evaluate`: {error}")
    except KeyboardInterrupt as error:
        trouble = error
    write()
    if tests and order.out is not None and trouble is None:
        trouble = _keep(study, spec, best, order, listener)
    plots.store(study)  # for whoever looks with optuna-dashboard
    return trouble


def _writer(
    study: optuna.Study,
    spec: StudySpec,
    best: optuna.trial.FrozenTrial,
    out: Path | None,
    listener: Listener,
) -> Callable[[], None]:
    """What writes the file as things stand then."""
    if out is None:
        return lambda: None
    with process.Process() as asked:
        resolved = asked.ask("resolve", study=spec, **export.identity(best))
    if (other := export.study_in(out)) not in (None, study.study_name):
        listener.warn(study.study_name, f"{out}: replaces the answer of study '{other}'")
    return lambda: export.write(out, export.document(study, spec, best, resolved, out))


def _keep(
    study: optuna.Study,
    spec: StudySpec,
    best: optuna.trial.FrozenTrial,
    order: Order,
    listener: Listener,
) -> BaseException | None:
    """Leave the winner's model beside the file; what went wrong with it, for later."""
    assert order.out is not None
    with process.Process() as asked:

        def save(workdir: Path, out: Path) -> list[str] | None:
            found: list[str] | None = asked.ask(
                "save", study=spec, workdir=str(workdir), out=str(out)
            )
            return found

        def confusion(workdir: Path) -> kept.Matrix | None:
            about = {"workdir": str(workdir), "device": order.wish.device}
            try:
                found: kept.Matrix | None = asked.ask("confusion", study=spec, **about)
            except ObjectiveError as error:  # no table, but a model
                listener.warn(study.study_name, f"no table by class: {error}")
                return None
            return found

        def gain(folders: Sequence[Path]) -> seeds.Gain | None:
            about = {"workdirs": list(map(str, folders)), "device": order.wish.device}
            try:
                found: seeds.Gain | None = asked.ask("gain", study=spec, **about)
            except ObjectiveError as error:  # models all the same
                listener.warn(study.study_name, f"what their mean gains is not told: {error}")
                return None
            return found

        try:
            saves = asked.ask("offers", study=spec, companion="save")
            companions = kept.Asked(save, confusion, saves, gain)
            told = kept.keep(study, spec, best, order.out, order.workdir, companions)
        except (ObjectiveError, OutputError, KeyboardInterrupt) as error:
            return error
    listener.say(study.study_name, told)
    return None


def _test(study: optuna.Study, spec: StudySpec, workdir: Path, device: str) -> None:
    """One look at the test set: at all of a study that enumerates, and at confirmed models."""
    finished = all(t.state.is_finished() for t in study.get_trials(deepcopy=False))
    enumerated = results.ranking(study) if spec.configurations and finished else []
    runs, known = evidence.sibling(study), evidence.of(study)
    with process.Process() as asked:
        ask = functools.partial(asked.ask, "evaluate", study=spec, device=device)
        testset.read_once(study, enumerated, workdir, lambda folder: ask(workdir=folder))
        if runs is not None and known is not None and _is_over(known) and known.winner is not None:
            confirm.publish(study)
            confirm.test(runs, workdir, lambda folder: ask(workdir=folder))
            confirm.publish(study)


def _is_confirmed(study: optuna.Study, plan: Confirm) -> bool:
    """Whether the confirm stage has come to its end, or was not wanted."""
    known = evidence.of(study)
    return not plan.seeds or (known is not None and _is_over(known))


def _is_over(known: evidence.Evidence) -> bool:
    """Whether nothing is being confirmed any more."""
    return known.over and known.pending is None
