"""The charts of the live page: how the best score came, and the learning curves."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from optuna.trial import FrozenTrial, TrialState

from search.answers import candidates, effort
from search.dashboard import charts, pieces
from search.dashboard.pieces import Key
from search.dashboard.seen import Seen
from search.plots import canvas, course
from search.record import chains, enough, results
from search.record.progress import params_words

LINES = 60  # learning curves: the best, and what runs and waits
BEST = 5  # of them have a colour of their own where nothing else tells them apart
DOTS = {"complete": "complete", "pruned": "ended early"}
KINDS = {"running": "running", "paused": "paused"}  # of lines, and what they are called


def history(seen: Seen) -> Iterator[str]:
    """Scores as they came, and the best of complete trials, against what was spent."""
    spent, sign, best = course.spent(seen.study), seen.sign, -math.inf
    dots, steps = [], list[charts.Point]()
    for trial in canvas.thinned(canvas.ended(seen.study), seen.study, 400)[0]:
        at, value = float(spent[trial.number]), canvas.value(trial)
        kind = trial.state.name.lower()
        dots.append(charts.Dot((at, value), 0, kind, f"trial {trial.number}: {value:.4f}"))
        if trial.state == TrialState.COMPLETE and sign * value > best:
            steps += [(at, sign * best)] if steps else []
            best = sign * value
            steps.append((at, value))
    if steps:
        now = enough.spent(seen.trials) if any(map(results.epochs_run, seen.trials)) else 0
        steps.append((float(max(now, *spent.values())), steps[-1][1]))
    has_line = bool(steps) and steps[0][0] < steps[-1][0]
    lines = [charts.Line(steps, 1, "best", f"best so far: {steps[-1][1]:.4f}")] if has_line else []
    values, whole = [d.at[1] for d in dots], [d.at[1] for d in dots if d.kind == "complete"]
    half = canvas.best_half(whole or values, sign)
    window = canvas.focus(half, values, sign) if len(values) >= canvas.FEW else None
    window = _spanned(window, values, sign)
    axes = course.spent_unit(seen.study), results.metric(seen.study)
    if not (drawn := charts.chart("Best score against what was spent", lines, dots, axes, window)):
        return
    yield f"<h2>Best score</h2>{drawn}"
    kinds = {d.kind for d in dots if not canvas.beyond([d.at[1]], window, sign)}
    keys: list[Key] = [("best", 1, "best so far")] if has_line else []
    yield pieces.legend([*keys, *((k, 0, words) for k, words in DOTS.items() if k in kinds)])
    yield from _soft(canvas.beyond(values, window, sign))


def curves(seen: Seen) -> Iterator[str]:
    """Learning curves, coloured by what the study asks for, else the best few."""
    by = candidates.asked_by(seen.study) if seen.spec else None
    drawn = [t for t in seen.last if t.intermediate_values]
    drawn.sort(key=lambda t: (not _is_open(t), -effort.shown(t, seen.sign)))
    keys = _keys(seen, by, drawn)
    arms = {name: arm for _, arm, name in keys}
    shown = sorted(drawn[:LINES], key=lambda t: (_name(t, by) in arms, _is_open(t)))
    lines = {t.number: _line(t, arms.get(_name(t, by), charts.REST)) for t in shown}
    reports = [results.by_epoch(t) for t in shown]
    is_cut = len(shown) >= canvas.FEW
    tops = canvas.best_half(_tops(seen, by, shown), seen.sign) if by else []
    window = canvas.focus_of_curves(reports, seen.sign, tops) if is_cut else None
    window = _spanned(window, [v for some in reports for v in some.values()], seen.sign)
    axes = "epoch", results.metric(seen.study)
    picture = charts.chart("Learning curves", list(lines.values()), [], axes, window)
    if not picture:
        return
    left = f", the best and open {len(shown)} of {len(drawn)}" if len(drawn) > len(shown) else ""
    yield f"<h2>Learning curves{f' by {escape(by)}' if by else ''}{left}</h2>{picture}"
    yield pieces.legend([*_told(keys, seen, by), *_kinds(list(lines.values()), by)])
    worst = [min(some.values(), key=lambda v: seen.sign * v) for some in reports]
    yield from _soft(canvas.beyond(worst, window, seen.sign, "curves begin or lie"))


def _tops(seen: Seen, by: str, trials: Sequence[FrozenTrial]) -> list[float]:
    """The best that a trial of each value has shown."""
    found = dict[str, float]()
    for trial in trials:
        name, shown = _name(trial, by), effort.shown(trial, seen.sign)
        found[name] = max(found.get(name, -math.inf), shown)
    return [seen.sign * shown for shown in found.values() if math.isfinite(shown)]


def _spanned(window: list[float] | None, values: Sequence[float], sign: int) -> list[float] | None:
    """As far as the ticks of an axis reach; of a single value with what is worse, as there may be
    nothing better."""
    only = {v for v in values if math.isfinite(v)}
    if window is None and len(only) == 1:
        (value,) = only
        window = sorted([value, value - sign * 0.1 * (abs(value) or 1.0)])
    return None if window is None else list(charts.span(*window))


def _soft(line: str) -> Iterator[str]:
    if line:
        yield f'<p class="soft">{line}</p>'


def _line(trial: FrozenTrial, arm: int) -> charts.Line:
    points = [(epoch + 1.0, value) for epoch, value in sorted(results.by_epoch(trial).items())]
    return charts.Line(
        points, arm, _kind(trial), f"trial {trial.number}: {params_words(trial.params)}"
    )


# Colours


def _name(trial: FrozenTrial, by: str | None) -> str:
    """What tells it from others: the value that is asked about, or its number."""
    return f"trial {trial.number}" if by is None else str(trial.params.get(by))


def _keys(seen: Seen, by: str | None, drawn: Sequence[FrozenTrial]) -> list[Key]:
    """Kind, arm and name of what has a colour of its own."""
    if by is not None:
        return [("ended", i, value) for i, value in enumerate(_values(seen, by, drawn))]
    able = [t for t in drawn if math.isfinite(effort.shown(t, seen.sign))]
    best = sorted(able, key=lambda t: -effort.shown(t, seen.sign))[:BEST]
    return [("ended", i, f"trial {t.number}") for i, t in enumerate(best)]


def _told(keys: Sequence[Key], seen: Seen, by: str | None) -> list[Key]:
    """The keys as a legend has them: single trials with the best that each has shown."""
    if by is not None:
        return list(keys)
    trials = {_name(t, by): t for t in seen.last}
    return [
        (
            _kind(trials[name]),
            arm,
            f"{name}, {seen.sign * effort.shown(trials[name], seen.sign):.4f}",
        )
        for _, arm, name in keys
    ]


def _kinds(lines: Sequence[charts.Line], by: str | None) -> list[Key]:
    """What strokes mean, and the quiet colour, as far as they are there."""
    had = {line.kind for line in lines}
    rest = [line for line in lines if line.arm == charts.REST]
    keys: list[Key] = [("ended", charts.REST, "the others")] if rest and by is None else []
    return [*keys, *((k, charts.REST, words) for k, words in KINDS.items() if k in had)]


def _values(seen: Seen, by: str, drawn: Sequence[FrozenTrial]) -> list[str]:
    """The values that are asked about, in the order of the study file."""
    had = dict.fromkeys(str(t.params[by]) for t in drawn if by in t.params)
    listed = getattr(seen.spec.space.get(by), "choice", ()) if seen.spec else ()
    return [v for v in map(str, listed) if v in had] or list(had)


def _is_open(trial: FrozenTrial) -> bool:
    return not trial.state.is_finished()


def _kind(trial: FrozenTrial) -> str:
    if trial.state == TrialState.RUNNING:
        return "running"
    return "paused" if chains.is_paused(trial) else "ended"
