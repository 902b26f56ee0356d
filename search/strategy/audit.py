"""The pruning audit: how often the pruner ends a trial that would have been among the best.

A share of the prune decisions (`audit:` of the study file), drawn by the trial's own seed, is not
carried out: these trials run to their end (live_trial.py). They are a random sample of all
decisions, whatever the trials are like, so the rate among them estimates the pruner's, without
bias while the share stays as it is.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.record import chains, results

TOP = 5  # best trials: a decision against one of them was false


@dataclass(frozen=True)
class Audit:
    """What is known about a study's prune decisions.

    `decisions` counts trials that the pruner has ended or would have; of these `drawn` were to run
    on, and `audited` have: `false` of them ended among the `top` best, at a `rate` of 0 to 1. The
    rate of all decisions lies between `low` and `high` with 95 % confidence; all three are None
    where none is audited. `epochs_saved`: planned by the trials that were ended, and not run;
    `epochs_spent`: run by the drawn ones after they would have been ended.
    """

    decisions: int
    drawn: int
    audited: int
    false: int
    top: int
    rate: float | None
    low: float | None
    high: float | None
    epochs_saved: int
    epochs_spent: int

    @property
    def words(self) -> str:
        """One sentence for people."""
        epochs = f"pruning saved {self.epochs_saved} epochs, the audit took {self.epochs_spent}"
        if self.rate is None:
            return (
                f"audit: none of {self.decisions} prune decisions is audited yet, so how many were "
                f"false is not known; {epochs}"
            )
        return (
            f"audit: of {self.decisions} prune decisions {self.audited} were audited, and "
            f"{self.false} of these ended among the {self.top} best: {self.rate:.1%} "
            f"(95 % interval {self.low:.1%} to {self.high:.1%}); {epochs}"
        )


def audit(trials: Sequence[FrozenTrial], direction: StudyDirection, top: int = TOP) -> Audit | None:
    """The audit of a study so far, chains counted once; None where nothing was to be pruned.

    A drawn trial is audited once it has ended, complete or pruned for another reason (it diverged);
    a failure tells nothing.
    """
    last = [links[-1] for links in chains.grouped(trials).values()]
    drawn = [t for t in last if chains.AUDIT in t.user_attrs]
    ended = [t for t in last if chains.AUDIT not in t.user_attrs and _is_hopeless(t)]
    if not drawn and not ended:
        return None
    audited = [t for t in drawn if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    best = {t.number for t in results.ranked(trials, direction)[:top]}
    false = sum(t.number in best for t in audited)
    low, high = wilson(false, len(audited)) if audited else (None, None)
    return Audit(
        decisions=len(drawn) + len(ended),
        drawn=len(drawn),
        audited=len(audited),
        false=false,
        top=top,
        rate=false / len(audited) if audited else None,
        low=low,
        high=high,
        epochs_saved=sum(_unrun(t) for t in ended),
        epochs_spent=sum(_run_since(t) for t in drawn),
    )


def is_drawn(seed: int | None, share: float) -> bool:
    """Whether the trial of that seed runs on: the same whoever asks, and however often."""
    return random.Random(f"audit {seed}").random() < share


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion at 95 %."""
    from scipy import stats  # takes a second, and few studies audit

    found = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _is_hopeless(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.PRUNED and chains.reason_of(trial) == "hopeless"


def _unrun(trial: FrozenTrial) -> int:
    """Planned epochs that were not run; 0 where the objective tells no plan."""
    run = results.epochs_run(trial)
    return max(int(trial.user_attrs.get("epochs_planned", run)) - run, 0)


def _run_since(trial: FrozenTrial) -> int:
    """Epochs run after the trial would have been pruned; 0 where a retry has not come so far."""
    until = int(trial.user_attrs[chains.AUDIT]["epoch"]) + 1
    return max(results.epochs_run(trial) - until, 0)
