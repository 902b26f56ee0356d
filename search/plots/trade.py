"""Figures of what a better score costs: time for an image."""

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna.trial import FrozenTrial, TrialState

from search.answers import sizes
from search.plots import canvas
from search.record import results
from search.record.progress import params_words


def times(study: optuna.Study) -> go.Figure | None:
    """Score of each complete trial against the time that its network takes for an image, and the
    front: those that none is both better and faster than. None where all networks are equal."""
    found = [t for t in canvas.ended(study) if t.state == TrialState.COMPLETE]
    known = sizes.of_runs({t.number: [t] for t in found})
    found = [t for t in found if t.number in known]
    if len({known[t.number].ms for t in found}) < 2:
        return None
    shown, note = canvas.thinned(found, study)
    figure = canvas.figure(360, note)
    figure.add_scatter(
        x=[known[t.number].ms for t in shown],
        y=canvas.short([canvas.value(t) for t in shown]),
        mode="markers",
        marker={"color": canvas.COLORS[0], "size": 7, "opacity": 0.5},
        text=[_words(t, known[t.number]) for t in shown],
        hovertemplate="%{text}<extra></extra>",
        name="trials",
    )
    front = _front(found, known, canvas.sign(study))
    figure.add_scatter(
        x=[known[t.number].ms for t in front],
        y=canvas.short([canvas.value(t) for t in front]),
        mode="lines+markers",
        line={"color": canvas.COLORS[1], "width": 2, "shape": "hv"},
        marker={"size": 9, "symbol": "diamond"},
        text=[_words(t, known[t.number]) for t in front],
        hovertemplate="%{text}<extra></extra>",
        name="front: none is both better and faster",
    )
    figure.update_xaxes(type="log", title="milliseconds an image")
    figure.update_yaxes(title=canvas.label(results.metric(study)))
    return figure


def _front(trials: list[FrozenTrial], known: dict[int, sizes.Size], sign: int) -> list[FrozenTrial]:
    """From the fastest on, each that is better than all faster ones."""
    ordered = sorted(trials, key=lambda t: (known[t.number].ms, -sign * canvas.value(t)))
    front: list[FrozenTrial] = []
    for trial in ordered:
        if not front or sign * canvas.value(trial) > sign * canvas.value(front[-1]):
            front.append(trial)
    return front


def _words(trial: FrozenTrial, size: sizes.Size) -> str:
    told = f"trial {trial.number}: {canvas.value(trial):.4f}, {size.ms:.3g} ms an image"
    about = f"{size.parameters:,} parameters, {size.multiply_adds:,} multiply-adds"
    return "<br>".join(canvas.label(line) for line in (told, about, params_words(trial.params)))
