"""What is told of a budget that is used up, and what goes on."""

import time

import optuna

from search.record import budget, chains, ended, enough, floors, next_step, results, tried
from search.record import study as studies
from search.record.budget import Limits
from search.record.progress import duration
from search.studyfile.spec import StudySpec


def outline(study: optuna.Study, spec: StudySpec, seconds: float | None) -> str:
    """`8 trials (3 begun), 72 epochs (20 run, 36 kept to confirm), 4 min`: what is asked for.

    Args:
        seconds: of this command.
    """
    trials, most = study.get_trials(deepcopy=False), floors.trials(spec)
    begun, run = chains.started(trials), results.epochs_in_all(trials)
    kept = study.user_attrs.get(studies.RESERVED, 0)
    of_epochs = ", ".join([f"{run} run"] * bool(run) + [f"{kept} kept to confirm"] * bool(kept))
    told = [
        "" if most is None else _counted(most, "trial") + f" ({begun} begun)" * bool(begun),
        ""
        if not spec.budget.epochs
        else f"{spec.budget.epochs} epochs" + f" ({of_epochs})" * bool(of_epochs),
        "" if seconds is None else _short(seconds),
    ]
    return ", ".join(filter(None, told)) or "no end but yours"


def left(study: optuna.Study, limits: Limits) -> str:
    """`5 of 8 trials left, 30 of 72 epochs left`; "" where nothing but time ends the search."""
    trials = study.get_trials(deepcopy=False)
    told = []
    if limits.trials is not None:
        told.append(f"{max(0, limits.trials - chains.started(trials))} of {limits.trials} trials")
    if limits.epochs is not None:
        told.append(f"{max(0, budget.left(trials, limits))} of {limits.epochs} epochs")
    return f"{' and '.join(told)} left" if told else ""


def time_left(deadline: float | None) -> str:
    """`4 min`, until a `time.monotonic()` moment; "" where there is none."""
    return "" if deadline is None else _short(max(0.0, deadline - time.monotonic()))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _short(seconds: float) -> str:
    """`4 min`, `2 h`, `1 h 30 min`."""
    return duration(seconds).removesuffix(" 00 s").removesuffix(" 00 min")


def used_up(study: optuna.Study, limits: Limits) -> str:
    """A line that says so where the study has no slot left; "" otherwise."""
    reason, more = _told(study, limits)
    how = f"; {more}" if more else ""
    return f"{reason}: nothing to train{how}" if reason else ""


def why(study: optuna.Study, limits: Limits) -> str:
    """Why the study has no slot left; "" where it has one."""
    return _told(study, limits)[0]


def _told(study: optuna.Study, limits: Limits) -> tuple[str, str]:
    """Why no slot is left, "" where one is; and what goes on."""
    trials = study.get_trials(deepcopy=False)
    if not budget.is_over(trials, limits, budget.settled(study, limits)):
        return "", ""
    if words := ended.words(study):
        return words, ended.OPENS
    if line := enough.why(trials, limits.enough):
        return line, f"--set {enough.off(line)} goes on"
    if limits.points is not None and tried.is_all(limits.points, trials):
        return f"each of the {limits.points.number} points of the space is tried", ""
    if limits.trials is not None and chains.started(trials) >= limits.trials:
        both = " with --set budget.epochs=N" if limits.epochs is not None else ""
        return f"the budget of {limits.trials} trials is used up", f"--trials N{both} goes on"
    more = "--set budget.epochs=N goes on"
    if limits.steps:
        if (left := budget.left(trials, limits)) <= 0:
            return f"the {limits.epochs} epochs of the search are spent", more
        of_all = f"of the search's {limits.epochs} epochs {left} are left"
        return f"{of_all}, too few to change the answer", more
    spent = (
        f"the budget of {limits.epochs} epochs has no room for a trial of up to {limits.longest}"
    )
    return spent, more


def beyond(study: optuna.Study, limits: Limits) -> str:
    """A line that says so where the last of what is queued has no slot; "" otherwise."""
    trials = study.get_trials(deepcopy=False)
    if line := enough.why(trials, limits.enough):
        return f"{line}; `{next_step.run_on(study, set=enough.off(line))}` goes on"
    needed = chains.started(trials) + sum(map(chains.is_queued, trials))
    if limits.trials is not None and needed > limits.trials:
        over = f"beyond the budget of {limits.trials} trials"
        return f"{over}; `{next_step.run_on(study, trials=needed)}` goes on"
    if budget.has_slot(trials, limits):
        return ""
    assert limits.epochs is not None
    missing = limits.longest * sum(map(chains.is_queued, trials)) - budget.left(trials, limits)
    more = next_step.run_on(study, set=f"budget.epochs={limits.epochs + missing}")
    return f"beyond the budget of {limits.epochs} epochs; `{more}` goes on"
