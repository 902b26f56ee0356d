"""A person ends one trial of a study that is at work, from any machine.

Its row ends at once. Whoever trains it finds that at its next report, and goes on with another one,
as where a lease was lost.
"""

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.errors import UsageError
from search.record import chains, pauses, results

REASON = "by_hand"


def end(study: optuna.Study, number: int) -> bool:
    """End a trial that runs or is paused as pruned, with its last report.

    Returns:
        Whether it was running.

    Raises:
        UsageError: there is no such trial, or nothing of it can be ended.
    """
    place = f"--trial {number}"
    trials = study.get_trials(deepcopy=False)
    trial = next((t for t in trials if t.number == number), None)
    if trial is None:
        most = f"numbers go from 0 to {len(trials) - 1}" if trials else "it has none yet"
        raise UsageError(f"{place}: study '{study.study_name}' has no such trial; {most}")
    is_running = trial.state == TrialState.RUNNING
    if trial.state.is_finished():
        raise UsageError(f"{place}: it has ended already ({_state(trial)}); nothing was changed")
    if is_running:
        chains.prune(study, lambda t: t.number == number, REASON)
    elif chains.is_paused(trial):
        pauses.end(study, trial, REASON)
    else:
        raise UsageError(f"{place}: it has not begun; only what runs or is paused can be ended")
    now = study.get_trials(deepcopy=False)[number]
    if chains.reason_of(now) != REASON:
        raise UsageError(f"{place}: it has just ended by itself ({_state(now)})")
    return is_running


def _state(trial: FrozenTrial) -> str:
    return results.state_of(trial, set())
