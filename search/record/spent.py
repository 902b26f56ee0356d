"""What is told of a budget that is used up, and what goes on."""

import optuna

from search.record import budget, chains, ended, enough, next_step, tried
from search.record.budget import Limits


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
