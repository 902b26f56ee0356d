"""How the search's best stands beside the baselines of its study file: the answer opens with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.answers import evidence, pairs, statistics
from search.answers.evidence import Evidence
from search.answers.fresh import Candidate
from search.answers.statistics import Interval
from search.record import by_hand, chains, next_step, results


def of_study(study: optuna.Study, *, is_open: bool = False) -> list[str]:
    """A sentence for each baseline; [] where there is none, or nothing to hold against it.

    Args:
        is_open: somebody works on: what was not confirmed yet may be.
    """
    names = [item["name"] for item in study.user_attrs.get("spec", {}).get("baselines", ())]
    if not names or not results.ranking(study):
        return []
    known = evidence.of(study)
    if known is None or known.winner is None:
        return _of_search(study, names, known, is_open=is_open)
    ours = _confirmed(known, names)
    others = (c for c in known.candidates if c.number not in ours.values() and c.scores)
    contender = next(others, None)
    lines = [] if contender is None else _against(known, contender, ours)
    rest = [] if is_open else [name for name in names if name not in ours]
    return [*lines, *_left_out(study, rest)]


def _confirmed(known: Evidence, names: Sequence[str]) -> dict[str, int]:
    """Baselines among the candidates; a plan of an earlier version did not list them."""
    called = {c.configuration: c.number for c in known.candidates}
    return {name: called[name] for name in names if name in called} | dict(known.plan.baselines)


def _against(known: Evidence, contender: Candidate, ours: Mapping[str, int]) -> list[str]:
    """Of each baseline that was confirmed: how the best that is none stands beside it."""
    lines, subject = [], f"trial {contender.number}"
    winner = known.winner
    for name, number in ours.items():
        if winner is not None and winner.number == number:
            lines.append(f"The winner is {name}, a baseline.")
            subject = f"the best beside it, trial {contender.number},"
    for name, number in ours.items():
        other = known.of(number)
        if other is None or other.state == "failed" or not other.scores:
            lines.append(f"{name} did not come through its fresh seeds.")
        else:
            told = words(subject, name, *lead(known, contender, other))
            lines.append(told[0].upper() + told[1:])
    return lines


def lead(known: Evidence, first: Candidate, second: Candidate) -> tuple[str, Interval]:
    """What is measured, and by how much `first` is better: on the test set, by which nobody chose,
    where it was read for both on several seeds; else by validation."""
    scores = {c.number: c.scores for c in known.candidates}
    sides = [(known.metric, scores, first.spread)]
    is_own = known.test_metric.removeprefix("test_") == known.metric.removeprefix("val_")
    if is_own or known.sign > 0:  # else what is measured may be better where it is higher
        tests = {c.number: c.tests for c in known.candidates}
        sides.insert(0, (known.test_metric, tests, first.test_spread))
    shared = [[s for s in of[first.number] if s in of[second.number]] for _, of, _ in sides]
    measure, scores, spread = sides[0] if len(shared[0]) > 1 else sides[-1]
    common = shared[0] if len(shared[0]) > 1 else shared[-1]
    told = {n: s for n, s in scores.items() if all(seed in s for seed in common)}
    signed = {n: [known.sign * s[seed] for seed in common] for n, s in told.items()}
    return measure, pairs.lead(first.number, second.number, signed, spread.images, spread.overlap)


def words(subject: str, name: str, measure: str, by: Interval) -> str:
    """`trial 12 beats keras-sgd by 0.0075 (0.0020 to 0.0130) of test_accuracy, 5 seeds, ...`."""
    on = f"of {measure}, {by.n} seeds" + (f" and {by.images} images" if by.images else "")
    if by.low is None or by.high is None:
        shown = f"{abs(by.mean):.4f}"
        is_level = float(shown) == 0
        level = "level with" if is_level else "ahead of" if by.mean > 0 else "behind"
        how = f"in {measure}" if is_level else f"by {shown} of {measure}"
        if by.n > 1:
            return f"{subject} is {level} {name}, {how} on each of {by.n} seeds alike."
        return f"{subject} is {level} {name}, {how} with one seed each: that may be chance."
    if by.low > 0:
        return f"{subject} beats {name} by {by} {on}."
    if by.high < 0:
        return f"{subject} loses to {name} by {by.turned} {on}."
    between = f"{by.mean:+.4f} ({by.low:+.4f} to {by.high:+.4f})"
    return f"{subject} ties with {name}: {between} {on}: that may be chance."


def _of_search(
    study: optuna.Study, names: Sequence[str], known: Evidence | None, *, is_open: bool
) -> list[str]:
    """By the search's one seed each, which concludes nothing."""
    sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
    ranked, found = results.ranking(study), _trials(study, names)
    best = next((t for t in ranked if t.user_attrs.get("configuration") not in names), None)
    lines = []
    for name, trial in found.items():
        if best is not None and trial in ranked:
            by = statistics.interval([sign * (float(best.value or 0) - float(trial.value or 0))])
            told = words(f"trial {best.number}", name, results.metric(study), by)
            lines.append(told[0].upper() + told[1:])
    if is_open:
        return lines
    if best is not None and not lines:
        value = f"{results.metric(study)} {best.value:.4f}"
        lines.append(f"Trial {best.number} leads with {value}, by one seed: nothing is confirmed.")
    scored = [name for name, trial in found.items() if trial in ranked]
    begun = [] if known is None or known.over else list(known.plan.baselines)
    lines += [
        f"The baseline {name} is not confirmed yet: its fresh seeds have not all ended."
        for name in begun
        if name not in scored
    ]
    return [*lines, *_left_out(study, [n for n in names if n not in (*scored, *begun)])]


def _left_out(study: optuna.Study, names: Sequence[str]) -> list[str]:
    found = _trials(study, names)
    again = f"`{next_step.of(study, 'confirm')}`"
    return [
        f"The baseline {name} is not confirmed: {_why(found.get(name), again)}." for name in names
    ]


def _why(trial: FrozenTrial | None, again: str) -> str:
    if trial is None:
        return "it has not begun"
    if not trial.state.is_finished():
        return "it has not ended"
    reason = chains.reason_of(trial)
    is_by_hand = reason == by_hand.REASON
    if reason in ("hopeless", None) or (trial.value is not None and not is_by_hand):
        return f"the epochs left did not pay its fresh seeds; {again} trains them"
    return "a person has ended it" if is_by_hand else f"it ended as {reason}"


def _trials(study: optuna.Study, names: Sequence[str]) -> dict[str, Any]:
    """The last link of each named chain that has begun."""
    trials = chains.last_links(study.get_trials(deepcopy=False))
    by_name = {t.user_attrs.get("configuration"): t for t in trials}
    return {name: by_name[name] for name in names if name in by_name}
