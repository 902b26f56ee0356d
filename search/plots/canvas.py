"""What all figures share: the house's colours, labels that are safe to show, and thinned data."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.answers import groups
from search.record import results

# Okabe and Ito's colours, told apart by the colour-blind; yellow last, as it is faint on white
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5C5C5C", "#F0E442")
INK, FAINT, GRID = "#1b1f24", "#9aa4b2", "#e3e7ec"
SCALE = "Viridis"
MOST = 2_000  # points of a figure: half of them the best, half the newest
GROUPS = 8  # lines of a figure
CHARS = 28  # of a label
SHARE = 2  # what matters takes one part of so many of a figure's height, at least
FEW = 6  # values, of which none is cut off
_AXIS = {"gridcolor": GRID, "zeroline": False, "automargin": True, "linecolor": GRID}
HOUSE = go.layout.Template(
    layout={
        "colorway": COLORS,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": {**_AXIS, "title": {"standoff": 6}},
        "yaxis": {**_AXIS, "title": {"standoff": 8}},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "dragmode": False,  # a finger on a phone scrolls the page
        "hovermode": "closest",
    }
)


def label(text: object, chars: int = CHARS * 3) -> str:
    """A text from the database as plotly shows it: no markup, and not too long."""
    words = str(text)
    return html.escape(words if len(words) <= chars else words[: chars - 1] + "…")


def labels(texts: Sequence[object], chars: int) -> list[str]:
    """As `label`, of different things: two that begin alike are told apart by their number."""
    cut = [label(text, chars) for text in texts]
    same = [cut[:i].count(one) for i, one in enumerate(cut)]
    return [f"{one} ({n + 1})" if n else one for one, n in zip(cut, same, strict=True)]


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with a finite value, complete or pruned, one a chain, as they ended."""
    found = [
        t
        for t in groups.last_links(study)
        if t.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and t.value is not None
        and math.isfinite(t.value)
    ]
    return sorted(found, key=lambda t: (results.moment(t.datetime_complete), t.number))


def thinned(
    trials: Sequence[FrozenTrial], study: optuna.Study, most: int = MOST
) -> tuple[list[FrozenTrial], str]:
    """At most that many trials, and a line that says what is left out; "" where nothing is."""
    if len(trials) <= most:
        return list(trials), ""
    higher = sign(study)
    best = sorted(trials, key=lambda t: -higher * value(t))[: most // 2]
    numbers = {t.number for t in best}
    newest = [t for t in trials if t.number not in numbers][-(most - len(best)) :]
    shown = sorted([*best, *newest], key=lambda t: t.number)
    return shown, f"{len(shown)} of {len(trials)} trials are drawn: the best and the newest."


def value(trial: FrozenTrial) -> float:
    return float(trial.value if trial.value is not None else math.nan)


def sign(study: optuna.Study) -> int:
    return 1 if study.direction == StudyDirection.MAXIMIZE else -1


def figure(height: int, note: str = "", **layout: Any) -> go.Figure:
    made = go.Figure()
    made.update_layout(template=HOUSE, height=height, meta={"note": note}, **layout)
    return made


def short(values: Sequence[float]) -> list[float]:
    """Five digits are more than a screen shows."""
    return [float(f"{v:.5g}") for v in values]


def window(values: Sequence[float], sign: int) -> list[float] | None:
    """A range of scores that a few very bad ones do not squeeze; None where they are no worse."""
    if len(values) < 8:
        return None
    low, middle, high = np.quantile(values, [0.1, 0.5, 1.0] if sign > 0 else [0.9, 0.5, 0.0])
    worst, near = (min, max)[sign < 0](values), low - 2 * (high - low)
    if sign * (near - worst) <= 0 or middle == high:
        return None
    pad = 0.05 * abs(high - near)
    return sorted([float(near), float(high + sign * pad)])


def focus(matters: Sequence[float], every: Sequence[float], sign: int) -> list[float] | None:
    """The range in which values that matter can be told apart; None where all that is drawn lies in
    it. It ends at the best, without room beyond: no accuracy is 1.2.

    Args:
        sign: 1 where high values are good, else -1.
    """
    able = sorted((v for v in every if math.isfinite(v)), key=lambda v: -sign * v)
    kept = [v for v in matters if math.isfinite(v)]
    if not able or not kept:
        return None
    best, worst, edge = able[0], able[-1], min(kept, key=lambda v: sign * v)
    if edge == best:  # all that matters is equal: what comes next tells how far the rest is
        edge = next((v for v in able if v != best), best)
    near = best - SHARE * (best - edge)
    return sorted([near, best]) if sign * (near - worst) > 0 and edge != best else None


def best_half(values: Sequence[float], sign: int) -> list[float]:
    """The better half of them, at least two."""
    ordered = sorted(values, key=lambda v: -sign * v)
    return ordered[: max(2, (len(ordered) + 1) // 2)]


def focus_of_curves(
    curves: Sequence[Mapping[int, float]], sign: int, also: Sequence[float] = ()
) -> list[float] | None:
    """As `focus`, of values by epoch: where the better half of those that have come far goes in the
    later half of its epochs; all of them begin below.

    Args:
        sign: 1 where high values are good, else -1.
        also: values that are to be seen besides.
    """
    finite = [{e: v for e, v in curve.items() if math.isfinite(v)} for curve in curves]
    finite = [curve for curve in finite if curve]
    longest = max((max(curve) for curve in finite), default=0)
    far = [curve for curve in finite if 2 * max(curve) >= longest]
    far.sort(key=lambda curve: -max(sign * v for v in curve.values()))
    half = far[: max(2, (len(far) + 1) // 2)]
    late = [v for curve in half for e, v in curve.items() if 2 * e >= max(curve)]
    late.sort(key=lambda v: sign * v)
    every = [v for curve in finite for v in curve.values()]
    return focus([*late[len(late) // 10 :], *also], every, sign)


def padded(window: Sequence[float] | None, sign: int) -> list[float] | None:
    """With a little room beyond the best."""
    if window is None:
        return None
    pad = 0.05 * (window[1] - window[0])
    return [window[0], window[1] + pad] if sign > 0 else [window[0] - pad, window[1]]


def beyond(
    values: Sequence[float], window: Sequence[float] | None, sign: int, which: str = "trials lie"
) -> str:
    """How many are worse than what a window shows; "" where none is.

    Args:
        which: what they are, and do.
    """
    if window is None:
        return ""
    worst = window[0] if sign > 0 else window[1]
    number = sum(sign * v < sign * worst for v in values)
    where = "below" if sign > 0 else "above"
    return f"{number} of {len(values)} {which} {where} what is drawn." if number else ""


def log_axis(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis with few and plain ticks."""
    low, high = math.log10(min(values)), math.log10(max(values))
    tens = range(math.floor(low), math.ceil(high) + 1)
    steps = (1, 2, 5) if high - low < 1.5 else (1,)
    ticks = [m * 10.0**n for n in tens[:: 1 if high - low < 2.5 else 2] for m in steps]
    words = [f"{t:g}".replace("e-0", "e-") for t in ticks]
    return {"type": "log", "tickvals": ticks, "ticktext": words, "tickangle": 0}


def searches(study: optuna.Study) -> bool:
    """Whether parameters were sampled, and not enumerated."""
    return not study.user_attrs.get("spec", {}).get("configurations")


def left_out(there: int, most: int, what: str, which: str = "best") -> str:
    """A line that says so where not all are drawn."""
    return "" if there <= most else f"{most} of {there} {label(what)} are drawn: the {which}."
