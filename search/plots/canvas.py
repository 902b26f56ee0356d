"""What all figures share: the house's colours, labels that are safe to show, and thinned data."""

import html
import math
from collections.abc import Sequence
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
