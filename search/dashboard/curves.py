"""The charts of the live page: how the best score came, and the learning curves."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from optuna.trial import FrozenTrial, TrialState

from search.answers import candidates, effort
from search.dashboard import charts, pieces
from search.dashboard.seen import Seen
from search.plots import canvas, course
from search.record import chains, enough, results
from search.record.progress import params_words

FEW = 20  # values, of which some may be left out
LINES = 60  # learning curves: the best, and what runs and waits


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
    lines = [charts.Line(steps, 1, "best", f"best so far: {steps[-1][1]:.4f}")] if steps else []
    values = [d.at[1] for d in dots]
    if window := canvas.window(values, sign):  # no room beyond the best: no accuracy is 1.2
        window = [window[0], max(values)] if sign > 0 else [min(values), window[1]]
    axes = course.spent_unit(seen.study), results.metric(seen.study)
    if drawn := charts.chart("Best score against what was spent", lines, dots, axes, window):
        yield f"<h2>Best score</h2>{drawn}"
        yield pieces.legend([("best", 1, "best so far"), ("complete", 0, "complete"),
                       ("pruned", 0, "ended early")])  # fmt: skip


def curves(seen: Seen) -> Iterator[str]:
    """Learning curves, coloured by what the study asks for."""
    by = candidates.asked_by(seen.study) if seen.spec else None
    drawn = [t for t in seen.last if t.intermediate_values]
    drawn.sort(key=lambda t: (not _is_open(t), -effort.shown(t, seen.sign)))
    shown = sorted(drawn[:LINES], key=_is_open)  # what is open lies above the rest
    arms = {value: i for i, value in enumerate(_values(seen, by, drawn))}
    lines = [
        charts.Line(
            [(epoch + 1.0, value) for epoch, value in sorted(results.by_epoch(t).items())],
            arms.get(str(t.params.get(by)), 0) if by else 0,
            _kind(t),
            f"trial {t.number}: {params_words(t.params)}",
        )
        for t in shown
    ]
    values = [y for line in lines for _, y in line.points if math.isfinite(y)]
    window = _window(values, seen.sign)
    picture = charts.chart(
        "Learning curves", lines, [], ("epoch", results.metric(seen.study)), window
    )
    if not picture:
        return
    left = f", the best and open {len(shown)} of {len(drawn)}" if len(drawn) > len(shown) else ""
    yield f"<h2>Learning curves{f' by {escape(by)}' if by else ''}{left}</h2>{picture}"
    yield pieces.legend([("running", i, value) for value, i in arms.items()])
    told = "Thick: running. Dashed: paused. Thin: ended."
    if window and (below := sum(_is_below(line, window, seen.sign) for line in lines)):
        told += f" {below} of {len(lines)} curves begin, or lie, outside of it."
    yield f'<p class="soft">{told}</p>'


def _window(values: Sequence[float], sign: int) -> tuple[float, float] | None:
    """Without the worst tenth, where all curves begin: the rest would lie on one another."""
    if len(values) < FEW:
        return None
    ordered = sorted(values, key=lambda v: sign * v)
    worst, best = ordered[len(ordered) // 10], ordered[-1]
    return (min(worst, best), max(worst, best)) if worst != best else None


def _is_below(line: charts.Line, window: tuple[float, float], sign: int) -> bool:
    """Whether some of a curve is worse than what the picture shows."""
    low, high = charts.span(*window)
    worst = low if sign > 0 else high
    return any(sign * y < sign * worst for _, y in line.points)


def _values(seen: Seen, by: str | None, drawn: Sequence[FrozenTrial]) -> list[str]:
    """The values that are asked about, in the order of the study file."""
    if by is None or seen.spec is None:
        return []
    had = dict.fromkeys(str(t.params[by]) for t in drawn if by in t.params)
    listed = getattr(seen.spec.space.get(by), "choice", ())
    return [v for v in map(str, listed) if v in had] or list(had)


def _is_open(trial: FrozenTrial) -> bool:
    return not trial.state.is_finished()


def _kind(trial: FrozenTrial) -> str:
    if trial.state == TrialState.RUNNING:
        return "running"
    return "paused" if chains.is_paused(trial) else "ended"
