"""Read a study back: counts, the best trials, and tables of trials and epochs."""

import csv
import io
import json
import math
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.record import chains

STATES = ("complete", "pruned", "failed", "retried", "running", "paused", "waiting", "known")
TRIAL_COLUMNS = (  # of `trial_row`, beside its parameters
    *("number", "state", "reason", "value", "best_epoch", "stop_epoch", "epochs"),
    *("seconds", "seed", "device", "configuration", "error", "granted", "paused"),
)
NULL = "null"
SECONDS = "optsearch:seconds"  # user attribute: time trained before the last pause
CONFIRMED = "optsearch:confirmed"  # study attribute: the answer on fresh seeds (confirm.py)
HISTORY_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds")
VALIDATION = "val_"  # begins the names of what was measured on validation images


def state_of(trial: FrozenTrial, superseded: set[int]) -> str:
    """A trial's state in the words of `show`; a row that a retry has replaced is `retried`, one of
    another study `known`."""
    if trial.number in superseded:
        return "retried"
    if chains.is_known(trial):
        return "known"
    if chains.is_paused(trial):
        return "paused"
    return {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
    }[trial.state]


def counts(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    """How many trials are in each of STATES."""
    superseded = chains.superseded(list(trials))
    states = [state_of(t, superseded) for t in trials]
    return {state: states.count(state) for state in STATES}


def ranking(study: optuna.Study) -> list[FrozenTrial]:
    """Complete, feasible trials with a finite score, best first; the earlier of two equal ones."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return ranked(complete, study.direction)


def ranked(trials: Iterable[FrozenTrial], direction: StudyDirection) -> list[FrozenTrial]:
    """As `ranking`, of trials that have been read already."""
    able = [
        t
        for t in trials
        if t.state == TrialState.COMPLETE
        and t.value is not None
        and math.isfinite(t.value)  # another optsearch, or plain Optuna, completes with infinity
        and all(c <= 0 for c in t.constraints.values())
    ]
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    return sorted(able, key=lambda t: (sign * (t.value or 0.0), t.number))


def metric(study: optuna.Study) -> str:
    """What the score is called, as in `val_accuracy`."""
    return (study.metric_names or ["value"])[0]


def is_share(metric: str) -> bool:
    """Whether it is a share of the images, each counting alike: then their number tells its noise.

    A mean over classes is none: it hangs on the few images of a rare class.
    """
    return metric.endswith("accuracy") and not metric.endswith("balanced_accuracy")


def history(trial: FrozenTrial) -> dict[str, list[float]]:
    """The learning curve, a list per column: those of HISTORY_COLUMNS, and the score's where it is
    another one; reports where there is no more."""
    stored = trial.user_attrs.get("history")
    if stored and is_history(stored):
        return dict(stored)
    steps = sorted(trial.intermediate_values)
    return {"value": [trial.intermediate_values[s] for s in steps]} if steps else {}


def panels(columns: Iterable[str]) -> list[tuple[str, str]]:
    """Columns of a history that belong into one picture: of training, which may be missing, and of
    validation. Accuracy comes first, then loss, then what else was measured."""
    measured = [column for column in columns if column.startswith(VALIDATION)]
    first = [name for name in ("val_accuracy", "val_loss") if name in measured]
    both = [*first, *(name for name in measured if name not in first)]
    return [(name.removeprefix(VALIDATION), name) for name in both]


def is_history(stored: Any) -> bool:
    """Whether it is a table of epochs: columns of numbers, all of one length."""
    if not isinstance(stored, dict) or not all(isinstance(c, list) for c in stored.values()):
        return False
    cells = [cell for column in stored.values() for cell in column]
    return len({len(c) for c in stored.values()}) < 2 and all(map(_is_number, cells))


def seconds_of_epochs(stored: Any) -> list[float]:
    """What a stored history says of how long each epoch took; [] where it does not."""
    return list(stored.get("seconds", ())) if is_history(stored) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def epochs_run(trial: FrozenTrial) -> int:
    """Epochs that a trial has behind it: as many as it has reported.

    Steps may be batches, 500 and 1000. They are epochs where the objective tells how many it plans
    and they keep to that, so that it may report every fifth one.
    """
    steps = trial.intermediate_values
    last = max(steps, default=-1) + 1
    if last <= _whole(trial, "epochs_planned"):
        return last
    resumed = _whole(trial, chains.RESUMED)  # a retry need not report again what was before it
    return min(last, len(steps) + max(0, resumed - sum(step < resumed for step in steps)))


def epochs_in_all(trials: Iterable[FrozenTrial]) -> int:
    """Epochs of all chains, however they stand; those that a retry found in a checkpoint, or that
    another study paid for, count once or not at all."""
    own = (t for t in trials if not chains.is_known(t))
    return sum(max(map(epochs_run, links)) for links in chains.grouped(own).values())


RECENT = 5  # epochs that tell how long one takes


def seconds_an_epoch(trial: FrozenTrial) -> float | None:
    """Of the last epochs of a trial that runs; None before its first."""
    if took := history(trial).get("seconds", [])[-RECENT:]:
        return float(sum(took) / len(took))
    epochs = epochs_run(trial) - trial.user_attrs.get(chains.RESUMED, 0)
    if epochs < 1 or trial.datetime_start is None:
        return None
    return float((time.time() - trial.datetime_start.timestamp()) / epochs)


def _whole(trial: FrozenTrial, name: str) -> int:
    """A number that an objective tells; 0 where it tells none."""
    told = trial.user_attrs.get(name)
    return told if isinstance(told, int) else 0


def by_epoch(trial: FrozenTrial) -> dict[int, float]:
    """What it reported, by epoch from 0."""
    steps, epochs = trial.intermediate_values, epochs_run(trial)
    if max(steps, default=-1) + 1 == epochs:
        return steps
    return dict(enumerate((steps[s] for s in sorted(steps)), epochs - len(steps)))


def seconds(trial: FrozenTrial) -> float | None:
    """Wall time of a finished trial, without its pauses."""
    before = float(trial.user_attrs.get(SECONDS, 0.0))
    if chains.PAUSED in trial.user_attrs:  # it paused, and was ended then
        return before
    took = wall(trial)
    return None if took is None else before + took


def wall(trial: FrozenTrial) -> float | None:
    """From its start, or from where it went on after a pause, to its end."""
    if trial.datetime_start is None or trial.datetime_complete is None:
        return None
    return (moment(trial.datetime_complete) - moment(trial.datetime_start)).total_seconds()


def moment(local: datetime | None) -> datetime:
    """A time as Optuna shows it, in UTC; one that is not yet is later than all others.

    It shows local time without its offset. An hour that comes twice, as summer ends, is told apart
    by `fold`, which the difference of two such times does not look at.
    """
    return datetime.max.replace(tzinfo=UTC) if local is None else local.astimezone(UTC)


def trial_row(trial: FrozenTrial, superseded: set[int]) -> dict[str, Any]:
    """One trial as a flat row: what `show --csv` writes and `show --json` lists."""
    attrs = trial.user_attrs
    return {
        "number": trial.number,
        "state": state_of(trial, superseded),
        "reason": chains.reason_of(trial),
        "value": trial.value,
        "best_epoch": attrs.get("best_epoch"),
        "stop_epoch": attrs.get("stop_epoch"),
        "epochs": epochs_run(trial),
        "seconds": seconds(trial),
        "seed": attrs.get("seed"),
        "device": attrs.get("device"),
        "configuration": attrs.get("configuration"),
        "error": error_line(trial),
        "granted": attrs.get("granted"),
        "paused": attrs.get("paused"),
        "params": trial.params,
    }


def error_line(trial: FrozenTrial) -> str | None:
    """What an exception said: the last line of its traceback."""
    lines = str(trial.user_attrs.get("error", "")).strip().splitlines()
    return lines[-1] if lines else None


def rows(study: optuna.Study) -> list[dict[str, Any]]:
    """Every trial as a flat row, by number."""
    trials = study.get_trials(deepcopy=False)
    superseded = chains.superseded(trials)
    return [trial_row(t, superseded) for t in trials]


def epoch_rows(study: optuna.Study) -> list[dict[str, Any]]:
    """One row per epoch of every trial: `number`, `epoch` (from 0), and the history's columns."""
    return [
        {"number": trial.number, "epoch": epoch} | {k: column[epoch] for k, column in h.items()}
        for trial in study.get_trials(deepcopy=False)
        if (h := history(trial))
        for epoch in range(len(next(iter(h.values()))))
    ]


def summary(study: optuna.Study, limit: int | None) -> dict[str, Any]:
    """What `show --json` prints."""
    trials = study.get_trials(deepcopy=False)
    ranked = ranking(study)
    first = ranked[0] if ranked else None
    return {
        "study": study.study_name,
        "direction": study.direction.name.lower(),
        "metric": metric(study),
        "budget": {"trials": limit, "started": chains.started(trials)},
        "trials": counts(trials),
        "epochs": sum(epochs_run(t) for t in trials if not chains.is_known(t)),
        "confirmed": study.user_attrs.get(CONFIRMED),
        "best": None
        if first is None
        else {
            "number": first.number,
            "value": first.value,
            "params": first.params,
            **{k: first.user_attrs[k] for k in ("best_epoch", "seed") if k in first.user_attrs},
        },
    }


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its parameters as columns `params.NAME`; the choice null is the word, as an empty
    cell, or NaN, is a parameter that is not there."""
    own = {k: v for k, v in row.items() if k != "params"}
    return own | {f"params.{k}": _cell(v) for k, v in row.get("params", {}).items()}


def _cell(value: Any) -> Any:
    if value is None:
        return NULL
    return json.dumps(value) if value in (NULL, "") else value  # these texts in quotes


def as_csv(table: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV; a trial's parameters become columns `params.NAME`."""
    rows = [flat(row) for row in table]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
