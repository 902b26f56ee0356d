"""What is new in a study, and how it stands: read from the database alone, so that any process
that can reach it sees the same. What becomes of it is a listener's to say (search/terminal)."""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.record import chains, results, tried
from search.record.budget import Limits
from search.record.listener import Listener

MIN_INTERVAL_S = 0.5  # between two reads of the database
MOST = 5  # trials that a line names
RECENT = 20  # ended trials that tell how long the next ones take


class Standing(NamedTuple):
    """How a study stands now: all that a panel shows."""

    name: str
    metric: str
    trials: Sequence[FrozenTrial]
    best: FrozenTrial | None
    limits: Limits
    seconds: float  # since somebody looks
    seconds_left: float | None
    is_high_good: bool = True
    study: optuna.Study | None = None  # for who shows more of it than this

    @property
    def running(self) -> list[FrozenTrial]:
        return [t for t in self.trials if t.state == TrialState.RUNNING]

    @property
    def paused(self) -> list[FrozenTrial]:
        return [t for t in self.trials if chains.is_paused(t)]

    @property
    def ended(self) -> int:
        """Chains that have ended."""
        counts = results.counts(self.trials)
        return sum(counts[state] for state in ("complete", "pruned", "failed"))

    @property
    def most(self) -> int | None:
        """Trials in all: those of the budget, or fewer where the space has no more points."""
        budget, points = self.limits.trials, self.limits.points
        if points is None:
            return budget
        new = points.number - len(tried.points(points, self.trials))
        whole = chains.started(self.trials) + sum(map(chains.is_queued, self.trials)) + new
        return whole if budget is None else min(budget, whole)

    @property
    def epochs(self) -> int:
        """Epochs of all chains so far; those that a retry found in a checkpoint count once."""
        return results.epochs_in_all(self.trials)


def _pause(trial: FrozenTrial) -> tuple[int, int]:
    return trial.number, len(trial.intermediate_values)


class Progress:
    """Tells a listener what happens. Use as a context manager and call `update` often."""

    def __init__(
        self,
        study: optuna.Study,
        limits: Limits,
        deadline: float | None,
        listener: Listener,
        earlier: int = 0,
    ) -> None:
        """
        Args:
            deadline: a `time.monotonic()` moment.
            earlier: how many of the trials that have ended already are told first.
        """
        self._study, self.limits, self._deadline, self._listener = study, limits, deadline, listener
        self._started, self._read_at = time.monotonic(), -math.inf
        self._waits = 0
        self._epochs: int | None = None  # of all trials, at the first look
        self._anew: set[int] = set()
        trials = study.get_trials(deepcopy=False)
        self._paused = {_pause(t) for t in trials if chains.is_paused(t)}
        ended = [t for t in trials if t.state.is_finished()]
        ended.sort(key=lambda t: results.moment(t.datetime_complete))
        self._begun = {t.number for t in ended}
        self._told = {t.number for t in ended[: max(0, len(ended) - earlier)]}

    def __enter__(self) -> "Progress":
        self._listener.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:  # else the study may be gone, or its database
                self.update(force=True)
        finally:
            self._listener.close()

    def update(self, force: bool = False) -> None:
        """Read the database, at most every MIN_INTERVAL_S, and tell what is new."""
        if not force and time.monotonic() - self._read_at < MIN_INTERVAL_S:
            return
        trials = self._study.get_trials(deepcopy=False)
        self._tell_begun(trials)
        self._tell_paused(trials)
        self._tell_ended(trials)
        self._tell_begun_anew(trials)
        self._listener.saw(self._study.study_name, trials)
        if self._listener.is_visual:
            self._listener.show(self._standing(trials))
        self._read_at = time.monotonic()

    def say(self, message: str) -> None:
        self._listener.say(self._study.study_name, message)

    def printed(self, trial: int | None, line: str) -> None:
        """Pass on a line that a trial's objective has printed; None: a worker between trials."""
        self._listener.printed(self._study.study_name, trial, line)

    def waits(self, others: int) -> None:
        """Say once that only other commands, here or elsewhere, have trials left."""
        if others and not self._waits:
            self.say(
                f"waiting for {others} {'trial' if others == 1 else 'trials'} of other commands or "
                "machines; Ctrl-C ends here without them"
            )
        self._waits = others

    def waits_for(self, running: Sequence[FrozenTrial], seconds: float, remedy: str) -> None:
        """Say what is still running though it is to end."""
        named = [
            f"trial {t.number} ({len(t.intermediate_values) or 'none'} reported)"
            for t in running[:MOST]
        ]
        more = f" and {len(running) - MOST} more" if len(running) > MOST else ""
        self.say(
            f"after {duration(seconds)} still waiting for {', '.join(named)}{more}: a trial ends "
            f"at its next report; {remedy}"
        )

    def _tell_begun(self, trials: Sequence[FrozenTrial]) -> None:
        """Once a trial has drawn its parameters, as far as can be seen from here."""
        for trial in trials:
            waits = trial.state == TrialState.WAITING and not chains.is_paused(trial)
            if waits or trial.number in self._begun:
                continue
            if trial.params or trial.intermediate_values or trial.state.is_finished():
                self._begun.add(trial.number)
                self._listener.began(self._study.study_name, trial)

    def _tell_paused(self, trials: Sequence[FrozenTrial]) -> None:
        """Each time that a trial has come further."""
        for trial in trials:
            if chains.is_paused(trial) and (pause := _pause(trial)) not in self._paused:
                self._paused.add(pause)
                self._listener.paused(self._study.study_name, trial)

    def _tell_ended(self, trials: Sequence[FrozenTrial]) -> None:
        """In the order in which they ended."""
        new = [t for t in trials if t.state.is_finished() and t.number not in self._told]
        best = results.ranking(self._study)[:1] if new else []
        for trial in sorted(new, key=lambda t: results.moment(t.datetime_complete)):
            self._told.add(trial.number)
            is_best = trial.number in [t.number for t in best]
            self._listener.ended(self._study.study_name, trial, is_best)

    def _tell_begun_anew(self, trials: Sequence[FrozenTrial]) -> None:
        """Say once of a trial that goes on that it begins anew: its checkpoint is far, or torn."""
        for links in chains.grouped(trials).values():
            last, why = links[-1], chains.begun_anew(links)
            if why and last.number not in self._anew:
                self._anew.add(last.number)
                self.say(f"trial {last.number} begins anew with its seed: {why}")

    def _standing(self, trials: Sequence[FrozenTrial]) -> Standing:
        ranked = results.ranking(self._study)
        now = time.monotonic()
        standing = Standing(
            name=self._study.study_name,
            metric=results.metric(self._study),
            trials=trials,
            best=ranked[0] if ranked else None,
            limits=self.limits,
            seconds=now - self._started,
            seconds_left=None,
            is_high_good=self._study.direction == optuna.study.StudyDirection.MAXIMIZE,
            study=self._study,
        )
        self._epochs = standing.epochs if self._epochs is None else self._epochs
        guesses = [] if self._deadline is None else [max(0.0, self._deadline - now)]
        by_epochs = _by_epochs(standing, self._epochs)
        by_pace = None if standing.limits.steps else _by_pace(standing)  # few of those end
        guesses += [guess for guess in (by_epochs, by_pace) if guess is not None]
        return standing._replace(seconds_left=min(guesses, default=None))


def _by_pace(standing: Standing) -> float | None:
    """Seconds until the budget of trials is used up, by the time that the last ones took and with
    as many side by side as now; None where there is nothing to go by."""
    found = (s for t in reversed(standing.trials) if (s := results.wall(t)))
    took = list(itertools.islice(found, RECENT))
    if standing.most is None or not took or not standing.running:
        return None
    left = max(0, standing.most - standing.ended)
    return mean(took) * left / min(len(standing.running), max(1, left))


def _by_epochs(standing: Standing, before: int) -> float | None:
    """Seconds until the budget of epochs is used up, at the pace since somebody looks; None where
    there is none, or nothing to go by.

    Args:
        before: epochs of all trials when somebody began to look.
    """
    run, most = standing.epochs - before, standing.limits.epochs
    if most is None or run < 1 or not standing.running:
        return None
    return standing.seconds * max(0, most - standing.epochs) / run


def seconds_left(
    trials: Sequence[FrozenTrial], limits: Limits, *, like: Sequence[FrozenTrial] = ()
) -> float | None:
    """Seconds until a budget is used up, by what the trials tell themselves, for who looks once;
    None where nothing runs, or there is nothing to go by.

    Args:
        like: earlier trials, whose epochs take as long.
    """
    now = Standing("", "", trials, None, limits, 0.0, None)
    took = [s for t in now.running if (s := results.seconds_an_epoch(t))]
    if not took:  # each has just begun
        known = [(t, s) for t in (*like, *trials) if (s := results.seconds(t))]
        known.sort(key=lambda one: results.moment(one[0].datetime_complete))
        took = [s / n for t, s in known if (n := results.epochs_run(t))][-RECENT:]
    guesses = [] if limits.steps or (by_pace := _by_pace(now)) is None else [by_pace]
    if limits.epochs is not None and took and now.running:
        left = max(0, limits.epochs - now.epochs)
        guesses.append(left * mean(took) / len(now.running))
    return min(guesses, default=None)


def state_word(trial: FrozenTrial) -> str:
    """How a trial ended or paused: `queued` is one whose retry is."""
    if chains.is_paused(trial):
        return "paused"
    if chains.reason_of(trial) == "preempted":
        return "queued"
    return {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name]


def params_words(params: Mapping[str, Any]) -> str:
    """`sgd lr=0.012 momentum=0.9`: parameters in the fewest words."""
    return " ".join(
        str(v) if isinstance(v, str) else f"{k}={f'{v:.3g}' if isinstance(v, float) else v}"
        for k, v in params.items()
    )


def duration(seconds: float) -> str:
    """`0.17 s`, `45 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"
