"""What is told of a budget that is used up, and what goes on."""

import optuna

from search.record import budget, chains, ended, enough, next_step, tried
from search.record.budget import Limits


def used_up(study: optuna.Study, limits: Limits) -> str:
    """A line that says so where the study has no slot left; "" otherwise."""
    trials = study.get_trials(deepcopy=False)
    if not budget.is_over(trials, limits, budget.settled(study, limits)):
        return ""
    if words := ended.words(study):
        return words
    if line := enough.why(trials, limits.enough):
        return f"{line}: nothing to train; --set {enough.off(line)} goes on"
    if limits.points is not None and tried.is_all(limits.points, trials):
        return f"each of the {limits.points.number} points of the space is tried: nothing to train"
    if limits.trials is not None and chains.started(trials) >= limits.trials:
        spent = f"the budget of {limits.trials} trials is used up"
        both = " with --set budget.epochs=N" if limits.epochs is not None else ""
        return f"{spent}: nothing to train; --trials N{both} goes on"
    if limits.steps:
        return (
            f"of the search's {limits.epochs} epochs {budget.left(trials, limits)} are left, too "
            "few to change the answer: nothing to train; --set budget.epochs=N goes on"
        )
    return (
        f"the budget of {limits.epochs} epochs has no room for a trial of up to {limits.longest}: "
        "nothing to train; --set budget.epochs=N goes on"
    )


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
