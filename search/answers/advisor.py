"""What to do next, in short sentences, from what a study shows. Pure: it reads, and prints nothing.

Each function of ADVICE yields sentences; a new piece of advice is one function and one entry.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import confirm, evidence, groups, importance, statistics
from search.record import chains, next_step, results
from search.record.progress import duration

ENOUGH = 20  # complete trials before their spread says anything about the space
FEW = 8  # trials before a doubling says anything about the next one
EDGE = 0.05  # of a range, on its scale: so near to an end the best one is at the edge
OUTER = 0.25  # of a range: where most of the best five must lie, too
NO_MATTER = 0.02  # importance below which a parameter hardly matters


def advise(study: optuna.Study) -> list[str]:
    """All advice there is, the most pressing first."""
    return [sentence for find in ADVICE for sentence in find(study)]


def failures(study: optuna.Study) -> Iterator[str]:
    """Where memory did not suffice, where training diverged, what was raised."""
    trials = groups.last_links(study)
    ended = {r: [t for t in trials if chains.reason_of(t) == r] for r in _REASONS}
    sizes = [s for t in ended["out_of_memory"] if (s := _number(t, "batch_size")) is not None]
    if sizes:
        fitting = [_number(t, "batch_size") for t in trials if t.state == TrialState.COMPLETE]
        below = [s for s in fitting if s is not None and s < min(sizes)]
        cap = f"; up to {max(below):g} it did suffice" if below else ""
        yield (
            f"Memory did not suffice in {_trials(len(sizes))}, from batch_size {min(sizes):g} "
            f"on{cap}: drop the larger sizes, or use fewer workers per GPU."
        )
    elif ended["out_of_memory"]:
        yield f"Memory did not suffice in {_trials(len(ended['out_of_memory']))}."
    yield from _divergence(trials, ended["diverged"])
    show = f"see `{next_step.of(study, 'show')}`"
    for reason, look in (("exception", show), ("crashed", "see the log")):
        if some := ended[reason]:
            yield (
                f"{_trials(len(some))} of {len(trials)} failed ({reason}): {look}; "
                f"`{next_step.of(study, 'retry')}` queues them once more."
            )


_REASONS = ("out_of_memory", "diverged", "exception", "crashed")


def _divergence(trials: Sequence[FrozenTrial], diverged: Sequence[FrozenTrial]) -> Iterator[str]:
    """A learning rate above which most of the trials diverge, where there is one."""
    rates = sorted(r for t in diverged if (r := _number(t, "lr")) is not None)
    if len(diverged) < max(2, 0.1 * len(trials)) or len(rates) < len(diverged):
        return
    middle = rates[len(rates) // 4]  # a few of the others may diverge for other reasons
    above = [t for t in trials if (r := _number(t, "lr")) is not None and r >= middle]
    there = [t for t in above if chains.reason_of(t) == "diverged"]
    if 2 * len(there) >= len(above):
        yield (
            f"{_trials(len(diverged))} of {len(trials)} diverged; with lr above {middle:.2g}, "
            f"{len(there)} of {len(above)}: lower the upper end of lr."
        )


def edges(study: optuna.Study) -> Iterator[str]:
    """Ranges whose end the best trials have reached, with the range to try next."""
    ranked = confirm.ranking(study)
    if study.user_attrs.get("spec", {}).get("configurations") or len(ranked) < ENOUGH:
        return
    for name, kind in ranked[0].distributions.items():
        values = [t.params[name] for t in ranked[:5] if name in t.params]
        scale = _scale(kind)
        if scale is None or len(values) < 3:
            continue
        for end in ("lower", "upper"):
            away = [_from_end(v, scale, end) for v in values]
            most = sum(a <= OUTER for a in away) * 2 > len(away)
            if away[0] <= EDGE and most and (further := _beyond(kind, scale, end)):
                yield (
                    f"The best {name} ({_short(values[0])}) lies at the {end} end of what was "
                    f"searched: try {further} next."
                )


Scale = tuple[float, float, bool]  # low, high, whether in logarithms


def _scale(kind: Any) -> Scale | None:
    """Of a range, or of choices that are numbers; None where there is no order."""
    if isinstance(kind, CategoricalDistribution):
        numbers = [float(c) for c in kind.choices if _is_number(c)]  # type: ignore[arg-type]
        if len(numbers) < max(3, len(kind.choices)):
            return None
        return min(numbers), max(numbers), min(numbers) > 0
    return (kind.low, kind.high, kind.log) if kind.low < kind.high else None


def _from_end(value: float, scale: Scale, end: str) -> float:
    """How far a value is from an end, as a share of the range on its scale."""
    low, high, value = (math.log(v) if scale[2] else v for v in (*scale[:2], value))
    place = (value - low) / (high - low)
    return place if end == "lower" else 1 - place


def _beyond(kind: Any, scale: Scale, end: str) -> str:
    """As wide a range around that end; "" where the end is one of nature, as 0 and 1 are."""
    if isinstance(kind, CategoricalDistribution):
        return _next_choice(sorted(c for c in kind.choices if _is_number(c)), end)
    low, high, log = scale
    first, last = (math.log(v) if log else v for v in (low, high))
    middle, half = first if end == "lower" else last, (last - first) / 2
    new = [math.exp(v) if log else v for v in (middle - half, middle + half)]
    if low >= 0:
        new[0] = max(new[0], 0)
    if low >= 0 and high <= 1 and not log:  # a share: momentum, dropout, label smoothing
        new[1] = min(new[1], 1 - (1 - high) / 10)
    if isinstance(kind.low, int):
        new = [max(math.floor(new[0]), min(kind.low, 1)), math.ceil(new[1])]
    is_wider = new[0] < low if end == "lower" else new[1] > high
    return f"[{_short(new[0])}, {_short(new[1])}]" if is_wider else ""


def _next_choice(choices: Sequence[Any], end: str) -> str:
    """The next of a list like 16, 32, 64; "" where it would be no whole number."""
    nearest = choices[:2] if end == "lower" else choices[:-3:-1]
    if not nearest[1]:
        return ""
    new = nearest[0] * nearest[0] / nearest[1]
    if all(isinstance(c, int) for c in choices):
        return str(int(new)) if new == int(new) and new >= 1 else ""
    return _short(new)


def unimportant(study: optuna.Study) -> Iterator[str]:
    """Parameters that need not be searched."""
    if len(results.ranking(study)) < ENOUGH:
        return
    found = importance.importances(study)
    names = [n for n, share in found.items() if share < NO_MATTER]
    if names and len(names) < len(found):
        verb = "matters" if len(names) == 1 else "matter"
        yield (
            f"{', '.join(names)} hardly {verb} here (importance below {NO_MATTER:.0%}): "
            "fixing what does not matter leaves more trials for the rest."
        )


def noise(study: optuna.Study) -> Iterator[str]:
    """What more search can be expected to gain, against the noise of a seed."""
    gain, known = next_gain(study), evidence.of(study)
    spread = known.noise if known else None
    if gain is None:
        return
    trials = len(_scores(study))
    took = math.fsum(results.seconds(t) or 0.0 for t in groups.last_links(study))
    more = f"{trials} more trials ({duration(took)} of training)" if took else f"{trials} more"
    told = f"{more} can be expected to gain at most about {gain:.2g}"
    if spread is None:
        confirm_it = next_step.of(study, "confirm")
        yield f"{told}; how much a seed changes is not known: `{confirm_it}` measures it."
    elif gain < spread:
        yield (
            f"{told}, less than the noise of a seed, {spread:.2g}: there is little left to find "
            f"inside this space.{_held_fixed(study)}"
        )
    else:
        yield f"{told}; the noise of a seed is {spread:.2g}."


def in_brief(study: optuna.Study) -> str:
    """The same in a sentence; "" where the noise of a seed was not measured."""
    known, gain = evidence.of(study), next_gain(study)
    if known is None or known.noise is None or gain is None:
        return ""
    little = ": there is little left to find" * (gain < known.noise)
    told = f"As many trials again may gain about {gain:.2g} at most"
    return f"{told}; the noise of a seed is {known.noise:.2g}{little}."


MATTER_MOST = ("network", "augmentation", "epochs", "schedule", "image_size", "loss")


def _held_fixed(study: optuna.Study) -> str:
    """What was the same in every trial, and so says nothing of what it might gain; "" where nobody
    tells."""
    spec = study.user_attrs.get("spec", {})
    settings, space = spec.get("settings", {}), spec.get("space", {})
    names = [*(n for n in MATTER_MOST if n in settings), *(n for n in settings if n not in space)]
    kept = [n for n in dict.fromkeys(names) if n not in DATA]
    shown = ", ".join(f"{n}={_short(settings[n])}" for n in kept[:4])
    return f" What was held fixed may matter more: {shown}." if shown else ""


DATA = ("dataset", "data_dir", "validation", "split_seed", "patience", "precision", "score")


def next_gain(study: optuna.Study) -> float | None:
    """What twice as many trials can be expected to gain at most: what the last doubling gained.

    The best of n grows ever slower with n where scores have a bound or light tails, so that a
    doubling gains less than the one before. None where too few trials tell.
    """
    return gain_of(_scores(study))


def gain_of(scores: Sequence[float]) -> float | None:
    """As `next_gain`, of final scores, higher is better."""
    if len(scores) < FEW:
        return None
    half = statistics.expected_best(scores, len(scores) // 2)
    return statistics.expected_best(scores, len(scores)) - half


def _scores(study: optuna.Study) -> list[float]:
    return final_scores(groups.last_links(study), study.direction == StudyDirection.MAXIMIZE)


def final_scores(trials: Sequence[FrozenTrial], is_high_good: bool) -> list[float]:
    """Of trials that speak for their chains, higher is better; of a pruned one its last, which is
    not the best."""
    sign = 1 if is_high_good else -1
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    last = [t for t in trials if t.state in ended and t.value is not None]
    return [sign * t.value for t in last if t.value is not None and math.isfinite(t.value)]


def epochs(study: optuna.Study) -> Iterator[str]:
    """Whether the best trial was still getting better when it had to end."""
    best = confirm.answer(study)
    if best is None or chains.reason_of(best) != "all_epochs":
        return
    planned, at = best.user_attrs.get("epochs_planned"), best.user_attrs.get("best_epoch")
    if planned and at == planned - 1 and planned > 1:
        yield (
            f"The best trial had its best epoch last, {planned} of {planned}: "
            f"it may gain from more, as by settings.epochs={2 * planned}."
        )


def ties(study: optuna.Study) -> Iterator[str]:
    """Whether more seeds are worth more than more trials."""
    known = evidence.of(study)
    if known is not None and known.winner is not None and known.plan.race and known.ties:
        names = ", ".join(str(c.number) for c in known.ties)
        yield (
            f"Trial {known.winner.number} and {names} cannot be told apart by {known.plan.seeds} "
            "seeds: take the one that trains faster, or confirm with more seeds."
        )


def _number(trial: FrozenTrial, name: str) -> float | None:
    found = trial.params.get(name)
    return float(found) if found is not None and _is_number(found) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _trials(n: int) -> str:
    return "1 trial" if n == 1 else f"{n} trials"


ADVICE: tuple[Callable[[optuna.Study], Iterator[str]], ...] = (
    failures,
    edges,
    noise,
    ties,
    epochs,
    unimportant,
)
