"""Figures of how a study went: its course, its ends, and the runs that confirm its best."""

import itertools
import math
from collections.abc import Mapping, Sequence

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna.trial import FrozenTrial, TrialState

from search.answers import evidence, groups
from search.answers.statistics import Interval
from search.plots import canvas
from search.record import chains, enough, results


def confirmed(study: optuna.Study) -> go.Figure | None:
    """Each candidate's scores on fresh seeds, their mean and its interval; validation and test."""
    known = evidence.of(study)
    shown = [c for c in known.candidates if c.scores] if known else []
    if known is None or not shown:
        return None
    figure = canvas.figure(110 + 46 * len(shown))
    rows = [canvas.label(c.configuration or f"trial {c.number}", canvas.CHARS) for c in shown]
    columns = (
        (known.metric, [(c.scores, c.interval) for c in shown], canvas.COLORS[0], 0.13),
        (known.test_metric, [(c.tests, c.test) for c in shown], canvas.COLORS[1], -0.13),
    )
    for name, told, color, shift in columns:
        if any(scores for scores, _ in told):
            _add_means(figure, canvas.label(name), told, color, shift)
    ticks = list(range(len(rows)))
    figure.update_yaxes(tickvals=ticks, ticktext=rows, range=[len(rows) - 0.5, -0.5])
    return figure


def _add_means(
    figure: go.Figure,
    name: str,
    groups: Sequence[tuple[Mapping[int, float], Interval | None]],
    color: str,
    shift: float,
) -> None:
    dots = [(v, i - shift) for i, (scores, _) in enumerate(groups) for v in scores.values()]
    x, y = zip(*dots, strict=True)
    marker = {"color": color, "size": 5, "opacity": 0.4}
    figure.add_scatter(x=canvas.short(x), y=y, mode="markers", marker=marker, showlegend=False)
    told = [(i, about) for i, (_, about) in enumerate(groups) if about is not None]
    figure.add_scatter(
        x=canvas.short([about.mean for _, about in told]),
        y=[i - shift for i, _ in told],
        error_x={
            "array": [0 if a.high is None else a.high - a.mean for _, a in told],
            "arrayminus": [0 if a.low is None else a.mean - a.low for _, a in told],
            "width": 4,
        },
        mode="markers",
        marker={"color": color, "size": 10, "symbol": "diamond"},
        name=name,
    )


HISTORY = 600  # points: the dashboard loads them with every view of the study


def history(study: optuna.Study) -> go.Figure | None:
    """Scores in the order they came, and the best so far, over the epochs spent until then."""
    trials = canvas.ended(study)
    if len(trials) < 2 or not canvas.searches(study):
        return None
    by, sign = spent(study), canvas.sign(study)
    best, steps = -math.inf, []
    for trial in trials:
        if trial.state == TrialState.COMPLETE and sign * canvas.value(trial) > best:
            best = sign * canvas.value(trial)
            steps.append((by[trial.number], sign * best))
    shown, note = canvas.thinned(trials, study, HISTORY)
    window, cut = _window(trials, sign)
    figure = canvas.figure(340, " ".join(filter(None, (note, cut))))
    for state, name, color in (
        (TrialState.PRUNED, "pruned", canvas.FAINT),
        (TrialState.COMPLETE, "complete", canvas.COLORS[0]),
    ):
        some = [t for t in shown if t.state == state]
        figure.add_scatter(
            x=[by[t.number] for t in some],
            y=canvas.short([canvas.value(t) for t in some]),
            mode="markers",
            marker={"color": color, "size": 6, "opacity": 0.7},
            name=name,
            text=[f"trial {t.number}" for t in some],
            showlegend=bool(some),
        )
    if steps:
        x, y = zip(*steps, strict=True)
        line = {"color": canvas.COLORS[1], "width": 2, "shape": "hv"}
        end = max(by.values())
        figure.add_scatter(
            x=[*x, end], y=canvas.short([*y, y[-1]]), mode="lines", line=line, name="best so far"
        )
    figure.update_yaxes(title=canvas.label(results.metric(study)), range=window)
    figure.update_xaxes(title=spent_unit(study), rangemode="tozero")
    return figure


def _window(trials: Sequence[FrozenTrial], sign: int) -> tuple[list[float] | None, str]:
    """Where the better half of the complete ones can be told apart, and a line about the rest."""
    values = [canvas.value(t) for t in trials]
    whole = [canvas.value(t) for t in trials if t.state == TrialState.COMPLETE]
    if len(values) < canvas.FEW:
        return None, ""
    window = canvas.focus(canvas.best_half(whole or values, sign), values, sign)
    return canvas.padded(window, sign), canvas.beyond(values, window, sign)


def spent(study: optuna.Study) -> dict[int, int]:
    """Epochs spent on all trials until each one ended; trials where nobody reports epochs.

    What others had taken that are paused still is known by those that a strategy with pauses has
    completed (`enough.SPENT`).
    """
    every = study.get_trials(deepcopy=False)
    trials = [t for t in every if t.datetime_complete]
    trials.sort(key=lambda t: (results.moment(t.datetime_complete), t.number))
    own = _own(every)
    cost = [own[t.number] for t in trials]
    if not any(cost):
        return {t.number: i + 1 for i, t in enumerate(trials)}
    ended = itertools.accumulate(cost)
    both = [max(e, t.user_attrs.get(enough.SPENT, 0)) for e, t in zip(ended, trials, strict=True)]
    return dict(zip((t.number for t in trials), itertools.accumulate(both, max), strict=True))


def _own(trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """The epochs that each trial has added: of a retry those that its checkpoint had not."""
    found = {}
    for links in chains.grouped(trials).values():
        behind = 0
        for trial in links:
            run = results.epochs_run(trial)
            found[trial.number] = run - min(trial.user_attrs.get(chains.RESUMED, 0), behind)
            behind = run
    return found


def spent_unit(study: optuna.Study) -> str:
    reported = any(t.intermediate_values for t in study.get_trials(deepcopy=False))
    return "epochs spent" if reported else "trials ended"


_ENDINGS = ("hopeless", "diverged", "out_of_memory", "deadline", "plateau", "all_epochs")


def endings(study: optuna.Study) -> go.Figure | None:
    """After how many epochs trials ended, by reason: where the pruner cut."""
    trials = [t for t in groups.last_links(study) if t.state.is_finished()]
    epochs = {t.number: results.epochs_run(t) for t in trials}
    if not any(t.state == TrialState.PRUNED for t in trials) or not any(epochs.values()):
        return None
    figure = canvas.figure(320, barmode="stack", bargap=0.08)
    found = {t.number: chains.reason_of(t) or t.state.name.lower() for t in trials}
    known = [r for r in _ENDINGS if r in found.values()]
    others = [r for r in dict.fromkeys(found.values()) if r not in known]
    for reason, color in zip([*known, *others], canvas.COLORS, strict=False):
        ends = [epochs[n] for n, r in found.items() if r == reason]
        x = sorted(set(ends))
        y = [ends.count(e) for e in x]
        figure.add_bar(x=x, y=y, name=canvas.label(reason, canvas.CHARS), marker={"color": color})
    figure.update_yaxes(title="trials")
    figure.update_xaxes(title="epochs run")
    return figure
