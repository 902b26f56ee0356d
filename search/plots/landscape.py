"""Figures over parameters: what matters, and where good scores lie."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState
from plotly.colors import sample_colorscale  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from search.answers.importance import importances
from search.plots import canvas
from search.record import results


def importance(study: optuna.Study) -> go.Figure | None:
    """Bars of `importances`."""
    found = importances(study)
    if len(found) < 2 or not any(found.values()) or not canvas.searches(study):
        return None
    names = list(reversed(found))
    figure = canvas.figure(70 + 30 * len(names), _of_how_many(study))
    figure.add_bar(
        x=canvas.short([found[n] for n in names]),
        y=canvas.labels(names, canvas.CHARS),
        orientation="h",
        marker={"color": canvas.COLORS[0]},
        text=[f"{found[n]:.0%}" for n in names],
        textposition="outside",
        cliponaxis=False,
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.12 * max(found.values())])
    return figure


def _of_how_many(study: optuna.Study) -> str:
    """What importance is worth where most trials were pruned; "" where few were."""
    ended = canvas.ended(study)
    complete = sum(t.state == TrialState.COMPLETE for t in ended)
    if 2 * complete >= len(ended):
        return ""
    return (
        f"Only the {complete} complete of {len(ended)} trials count: what pruning ended early, "
        "and why, is no part of it. A parameter whose bad values were all pruned looks unimportant."
    )


SLICES = 8  # fill a printed page


def slices(study: optuna.Study) -> go.Figure | None:
    """The score over each parameter."""
    trials, note = canvas.thinned([t for t in canvas.ended(study) if t.params], study)
    names, left_out = _varied(trials), ""
    if len(names) > SLICES:
        left_out = canvas.left_out(len(names), SLICES, "parameters", "most important")
        names = _by_importance(study, names)[:SLICES]
    if len(trials) < 3 or not names or not canvas.searches(study):
        return None
    rows = -(-len(names) // 2)
    titles = [canvas.label(n, canvas.CHARS) for n in names]
    figure = make_subplots(
        rows,
        2,
        shared_yaxes="all",
        subplot_titles=titles,
        horizontal_spacing=0.06,
        vertical_spacing=0.42 / rows,
    )
    figure.update_layout(template=canvas.HOUSE, height=60 + 205 * rows, margin={"t": 32})
    figure.update_layout(meta={"note": " ".join(filter(None, (note, left_out)))})
    figure.update_annotations(font={"size": 13})
    window = canvas.window([canvas.value(t) for t in trials], canvas.sign(study))
    figure.update_yaxes(range=window, nticks=5)
    for i, name in enumerate(names):
        _add_slice(figure, trials, name, i // 2 + 1, i % 2 + 1)
    return figure


def _add_slice(
    figure: go.Figure, trials: Sequence[FrozenTrial], name: str, row: int, column: int
) -> None:
    for state, word, color in (
        (TrialState.PRUNED, "pruned", canvas.FAINT),
        (TrialState.COMPLETE, "complete", canvas.COLORS[0]),
    ):
        some = [t for t in trials if t.state == state and name in t.params]
        is_choice = any(isinstance(t.distributions[name], CategoricalDistribution) for t in some)
        values = [t.params[name] for t in some]
        words = _words(trials, name)
        figure.add_scatter(
            x=[words[repr(v)] for v in values] if is_choice else canvas.short(values),
            y=canvas.short([canvas.value(t) for t in some]),
            mode="markers",
            marker={"color": color, "size": 5, "opacity": 0.6},
            name=word,
            legendgroup=word,
            showlegend=row == column == 1,
            row=row,
            col=column,
        )
    kinds = [t.distributions[name] for t in trials if name in t.distributions]
    if isinstance(kinds[-1], CategoricalDistribution):
        order = list(_words(trials, name).values())
        figure.update_xaxes(
            type="category",
            tickangle=-40,
            categoryorder="array",
            categoryarray=order,
            row=row,
            col=column,
        )
    elif getattr(kinds[-1], "log", False):
        places = [t.params[name] for t in trials if name in t.params]
        figure.update_xaxes(**canvas.log_axis(places), row=row, col=column)


def _words(trials: Sequence[FrozenTrial], name: str) -> dict[str, str]:
    """A short label for each choice that trials could have, by its `repr`."""
    kinds = [t.distributions[name] for t in trials if name in t.distributions]
    offered = [c for kind in kinds for c in getattr(kind, "choices", ())]
    choices = list({repr(choice): choice for choice in offered}.values())
    return dict(zip(map(repr, choices), canvas.labels(choices, 12), strict=True))


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    """Parameters that have had more than one value."""
    names = dict.fromkeys(n for t in trials for n in t.params)
    return [n for n in names if len({repr(t.params[n]) for t in trials if n in t.params}) > 1]


LINES = 300  # more of them are one stain


def _by_importance(study: optuna.Study, names: Sequence[str]) -> list[str]:
    order = list(importances(study))
    return sorted(names, key=lambda n: order.index(n) if n in order else len(order))


def parallel(study: optuna.Study) -> go.Figure | None:
    """A line a trial through those parameters that all have, the most important first."""
    complete = [t for t in canvas.ended(study) if t.state == TrialState.COMPLETE]
    trials, note = canvas.thinned(complete, study, LINES)
    shared = [n for n in _varied(trials) if all(n in t.params for t in trials)]
    names = _by_importance(study, shared)[:4]
    if len(trials) < 3 or len(names) < 2 or not canvas.searches(study):
        return None
    scores = [canvas.value(t) for t in trials]
    if window := canvas.window(scores, canvas.sign(study)):
        scores = [min(max(s, window[0]), window[1]) for s in scores]
    axes = [_axis(trials, name) for name in names]
    axes.append(_range(results.metric(study), scores, log=False))
    figure = canvas.figure(400, note, margin={"l": 6, "r": 6, "t": 64, "b": 12})
    _add_lines(figure, axes, [canvas.sign(study) * s for s in scores])
    for place, axis in enumerate(axes):
        anchor = {0: "left", len(axes) - 1: "right"}.get(place, "center")
        _add_axis(figure, place, axis, anchor)
    figure.update_xaxes(visible=False, range=[-0.05, len(axes) - 0.95])
    figure.update_yaxes(visible=False, range=[-0.03, 1.03])
    return figure


@dataclass(frozen=True)
class _Axis:
    """An upright axis: where each trial crosses it, and its ticks, from 0 to 1."""

    name: str
    places: Sequence[float]
    ticks: Sequence[tuple[float, str]]


def _axis(trials: Sequence[FrozenTrial], name: str) -> _Axis:
    kind, values = trials[-1].distributions[name], [t.params[name] for t in trials]
    if not isinstance(kind, CategoricalDistribution):
        return _range(name, values, log=bool(getattr(kind, "log", False)))
    shown = [c for c in kind.choices if c in values]
    shown += [v for i, v in enumerate(values) if v not in kind.choices and v not in values[:i]]
    last = max(len(shown) - 1, 1)
    told = canvas.labels(shown, 9)
    ticks = [(i / last, words) for i, words in enumerate(told)]
    return _Axis(name, [shown.index(v) / last for v in values], ticks)


def _range(name: str, values: Sequence[float], *, log: bool) -> _Axis:
    scaled = np.log10(np.array(values, dtype=float)) if log else np.array(values, dtype=float)
    low, high = float(scaled.min()), float(scaled.max())
    wide = high - low or 1.0
    ends = ((0.0, low), (0.5, (low + high) / 2), (1.0, high))
    ticks = [(place, f"{10**v if log else v:.2g}") for place, v in ends]
    return _Axis(name, ((scaled - low) / wide).tolist(), ticks)


SHADES = 7  # lines of one colour are one trace


def _add_lines(figure: go.Figure, axes: Sequence[_Axis], scores: Sequence[float]) -> None:
    """A line a trial, the best last and so on top, coloured by rank."""
    order = np.argsort(scores, kind="stable")
    colors = sample_colorscale(canvas.SCALE, np.linspace(0.9, 0.0, SHADES).tolist())
    for color, some in zip(colors, np.array_split(order, SHADES), strict=True):
        x = [place for _ in some for place in (*range(len(axes)), None)]
        y = [p for i in some for p in (*(round(a.places[i], 3) for a in axes), None)]
        line = {"color": color, "width": 1.5}
        figure.add_scatter(
            x=x, y=y, mode="lines", line=line, opacity=0.6, hoverinfo="skip", showlegend=False
        )


def _add_axis(figure: go.Figure, place: int, axis: _Axis, anchor: str) -> None:
    line = {"color": canvas.INK, "width": 1}
    figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line=line)
    quiet = {"showarrow": False, "x": place, "xanchor": anchor}
    name = canvas.label(axis.name, 14)  # every other one higher: there is little room on a phone
    figure.add_annotation(text=f"<b>{name}</b>", y=1, yshift=22 + 18 * (place % 2), **quiet)
    box = {"bgcolor": "rgba(255,255,255,0.75)", "font": {"size": 11}}
    for height, text in axis.ticks:
        figure.add_annotation(text=text, y=height, **quiet, **box)
