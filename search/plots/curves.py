"""Figures over epochs: learning curves and learning rates."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna.trial import FrozenTrial, TrialState
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from search.answers import confirm, evidence, groups
from search.plots import canvas
from search.record import results

BANDS = 3  # more of them hide each other


def curves(study: optuna.Study) -> go.Figure | None:
    """The score over epochs, for each optimizer (or what else is chosen first): median, band."""
    by = groups.default_by(study)
    trials = _with_runs(study, by)
    epochs = max((results.epochs_run(t) for some in trials.values() for t in some), default=0)
    curves_of = {v: r for v, some in trials.items() if (r := _reports(some, epochs)).size}
    if not curves_of or epochs < 2:
        return None
    sign = canvas.sign(study)
    best = sorted(curves_of, key=lambda v: -sign * float(np.median(_last(curves_of[v]))))
    window, cut = _window([curves_of[v] for v in best[: canvas.GROUPS]], sign)
    left = canvas.left_out(len(curves_of), canvas.GROUPS, f"values of {by}")
    figure = canvas.figure(380, " ".join(filter(None, (left, cut))))
    named = dict(zip(best, canvas.labels(best, canvas.CHARS), strict=True))
    for rank, (value, color) in enumerate(zip(best[: canvas.GROUPS], canvas.COLORS, strict=False)):
        name = named[value]
        _add_median(figure, name, curves_of[value], color, has_band=rank < BANDS)
    figure.update_yaxes(title=canvas.label(results.metric(study)), range=window)
    figure.update_xaxes(title="epoch")
    return figure


def _window(
    groups: "Sequence[np.ndarray[Any, np.dtype[np.float64]]]", sign: int
) -> tuple[list[float] | None, str]:
    """Where the ends of the better half of the medians can be told apart, and a line about what
    lies beyond."""
    medians = []
    for rows in groups:
        middle = _quantiles(rows)[1]
        medians.append({i: float(v) for i, v in enumerate(middle) if math.isfinite(v)})
    ends = [some[max(some)] for some in medians]
    every = [v for some in medians for v in some.values()]
    window = canvas.focus(canvas.best_half(ends, sign), every, sign)
    worst = [min(some.values(), key=lambda v: sign * v) for some in medians]
    told = canvas.beyond(worst, window, sign, "medians begin or lie")
    return canvas.padded(window, sign), told


def _with_runs(study: optuna.Study, by: str) -> dict[str, list[FrozenTrial]]:
    """Trials by value; configurations that were enumerated with their fresh seeds, too."""
    found = groups.grouped(study, by)
    known = evidence.of(study)
    if known is None or by != groups.CONFIGURATION:
        return found
    runs = {c.number: list(c.runs) for c in known.candidates}
    return {v: [*ts, *(r for t in ts for r in runs.get(t.number, []))] for v, ts in found.items()}


def _reports(trials: Sequence[FrozenTrial], epochs: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Reported values, float64 [trials, epochs]; one that came to its end keeps its last value, one
    that was ended before has none from then on: nobody knows how it would have gone on."""
    told = []
    for trial in trials:
        values = {s: v for s, v in results.by_epoch(trial).items() if math.isfinite(v)}
        if values:
            end = epochs if trial.state == TrialState.COMPLETE else max(values) + 1
            told.append((values, end))
    rows = np.full((len(told), epochs), np.nan)
    for row, (values, end) in zip(rows, told, strict=True):
        for step in sorted(values):
            row[step:end] = values[step]
    return rows


def _last(rows: "np.ndarray[Any, np.dtype[np.float64]]") -> list[float]:
    """Of each row its last value that is one."""
    return [float(row[np.isfinite(row)][-1]) for row in rows]


def _add_median(
    figure: go.Figure,
    name: str,
    rows: "np.ndarray[Any, np.dtype[np.float64]]",
    color: str,
    *,
    has_band: bool,
) -> None:
    low, middle, high = _quantiles(rows)
    seen = np.isfinite(middle)  # later ones nobody has run
    low, middle, high = low[seen], middle[seen], high[seen]
    epochs = [int(epoch) + 1 for epoch in np.flatnonzero(seen)]
    if has_band and len(rows) > 2:
        figure.add_scatter(
            x=[*epochs, *reversed(epochs)],
            y=canvas.short([*high, *low[::-1]]),
            fill="toself",
            fillcolor=f"rgba({','.join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5))},0.13)",
            mode="lines",
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=name,
        )
    figure.add_scatter(
        x=epochs,
        y=canvas.short(middle),
        mode="lines",
        line={"color": color, "width": 2.2},
        name=f"{name} ({len(rows)})",
        legendgroup=name,
    )


def _quantiles(rows: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    """Over the trials: 25th percentile, median and 75th, float64 [3, epochs]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an epoch that nobody reported
        return np.nanquantile(rows, [0.25, 0.5, 0.75], axis=0)


def best_curves(study: optuna.Study) -> go.Figure | None:
    """Accuracy, loss and the score of the best trials, train against validation."""
    trials = [t for t in confirm.ranking(study)[:3] if results.epochs_run(t) > 1]
    if not trials:
        return None
    histories = [results.history(t) for t in trials]
    panels = results.panels(c for c in histories[0] if all(c in h for h in histories))
    if not panels:
        return _reported_curves(study, trials)
    figure = make_subplots(len(panels), 1, shared_xaxes=True, vertical_spacing=0.06)
    figure.update_layout(template=canvas.HOUSE, height=250 * len(panels) + 60, meta={"note": ""})
    for row, (train, validation) in enumerate(panels, start=1):
        for trial, history, color in zip(trials, histories, canvas.COLORS, strict=False):
            kept = ((validation, "solid"), (train, "dot"))
            for column, dash in (one for one in kept if one[0] in history):
                figure.add_scatter(
                    **_line(history[column], color, dash),
                    name=f"trial {trial.number}",
                    showlegend=row == 1 and dash == "solid",
                    legendgroup=str(trial.number),
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title=train, row=row, col=1)
    figure.update_xaxes(title="epoch", row=len(panels), col=1)
    return figure


def _line(values: Sequence[float], color: str, dash: str = "solid") -> dict[str, Any]:
    line = {"color": color, "width": 2, "dash": dash}
    x = list(range(1, len(values) + 1))
    return {"x": x, "y": canvas.short(values), "mode": "lines", "line": line}


def _reported_curves(study: optuna.Study, trials: Sequence[FrozenTrial]) -> go.Figure:
    figure = canvas.figure(320)
    for trial, color in zip(trials, canvas.COLORS, strict=False):
        values = [trial.intermediate_values[s] for s in sorted(trial.intermediate_values)]
        figure.add_scatter(**_line(values, color), name=f"trial {trial.number}")
    figure.update_yaxes(title=canvas.label(results.metric(study)))
    figure.update_xaxes(title="epoch")
    return figure


def learning_rates(study: optuna.Study) -> go.Figure | None:
    """The learning rate at the end of each epoch, for the best trials."""
    ranked = [t for t in confirm.ranking(study) if len(results.history(t).get("lr", ())) > 1][:5]
    if not ranked:
        return None
    figure = canvas.figure(320)
    for trial, color in zip(ranked, canvas.COLORS, strict=False):
        about = [trial.params.get(k) for k in ("optimizer", "schedule")]
        named = ", ".join([f"trial {trial.number}", *(str(a) for a in about if a)])
        figure.add_scatter(
            **_line(results.history(trial)["lr"], color), name=canvas.label(named, 40)
        )
    rates = [r for t in ranked for r in results.history(t)["lr"] if r > 0]
    figure.update_yaxes(title="learning rate", **(canvas.log_axis(rates) if rates else {}))
    figure.update_xaxes(title="epoch")
    return figure
