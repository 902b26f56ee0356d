"""Why trials paused, went on or were ended, where a strategy grants epochs step by step."""

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.answers import effort, groups
from search.record import budget, chains, next_step, results
from search.record import study as studies

SHOWN = 10  # trials, the best first: `show --csv` has all


def rows(study: optuna.Study) -> list[dict[str, str]]:
    """A row a trial, the best that was shown first; [] under a strategy that pauses nothing."""
    return [
        {
            "trial": str(trial.number),
            "epochs": str(results.epochs_run(trial)),
            "is": results.state_of(trial, set()),
            "why": why(trial),
        }
        for trial in _told(study)[:SHOWN]
    ]


def more(study: optuna.Study) -> str:
    """How many trials `rows` leaves out; "" where none."""
    left = len(_told(study)) - SHOWN
    show = next_step.of(study, "show", "--csv")
    return f"And {left} more, with their reasons in `{show}`." if left > 0 else ""


def why(trial: FrozenTrial) -> str:
    """The last decision about a trial, in the strategy's words; "" where there was none."""
    paused, granted = (trial.user_attrs.get(k) for k in (budget.PAUSED_WORDS, budget.GRANTED))
    if chains.is_paused(trial):
        return f"paused {paused}"
    if paused and chains.PAUSED in trial.user_attrs:
        return f"paused {paused}; ended there, as nothing more was worth training"
    return f"granted {granted}" if granted else ""


def _told(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that a decision is told of, the best that was shown first."""
    spec = studies.stored_spec(study)
    if spec is None or not spec.is_stepwise:
        return []
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    told = [t for t in groups.last_links(study) if why(t)]
    return sorted(told, key=lambda t: (-effort.shown(t, sign), t.number))


def saved(study: optuna.Study) -> str:
    """Epochs that were planned and not run; "" where nothing was ended early."""
    planned = [
        t
        for t in groups.last_links(study)
        if "epochs_planned" in t.user_attrs and not chains.is_known(t)
    ]
    ended = [t for t in planned if t.state.is_finished()]
    whole = sum(t.user_attrs["epochs_planned"] for t in ended)
    spared = {
        reason: sum(
            t.user_attrs["epochs_planned"] - results.epochs_run(t)
            for t in ended
            if chains.reason_of(t) == reason
        )
        for reason in ("hopeless", "plateau")
    }
    if not any(spared.values()):
        return ""
    return (
        f"Of {whole} epochs planned, pruning saved {spared['hopeless']} and patience "
        f"{spared['plateau']}."
    )
