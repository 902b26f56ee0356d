"""A confusion matrix as a picture."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from search.figures import FAINT, INK, TRAIN, VALIDATION

MOST_COUNTS, MOST_NAMES = 20, 60  # classes beyond which counts, then names, would be a blur
LONGEST_NAME = 16  # characters
_SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", VALIDATION])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#ffffff", "#d1242f"])


def confusion(
    matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str, form: str = "svg"
) -> bytes:
    """Counts of images by true class (rows) and the class they were taken for (columns).

    Shades are shares of a row: right answers blue, wrong ones red. form: "svg" or "png".
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    side = 2.2 + min(max(len(counts), 4), 24) * 0.36
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    ax = figure.subplots()
    ax.imshow(np.ma.masked_array(shares, ~right), cmap=_SHADES, vmin=0, vmax=1)
    ax.imshow(
        np.ma.masked_array(shares, right),
        cmap=_WRONG,
        vmin=0,
        vmax=max(shares[~right].max(initial=0), 0.02),
    )
    if len(counts) <= MOST_COUNTS:
        _write_counts(ax, counts, shares)
    _label(ax, classes)
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    out = BytesIO()
    figure.savefig(out, format=form, dpi=150)
    return out.getvalue()


def _write_counts(ax: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    size = 8 if counts.max() < 10_000 else 6
    for row, column in np.argwhere(counts > 0):
        dark = row == column and shares[row, column] > 0.6
        color = "#ffffff" if dark else INK
        text = str(counts[row, column])
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def _label(ax: Axes, classes: Sequence[str]) -> None:
    names = [n if len(n) <= LONGEST_NAME else f"{n[: LONGEST_NAME - 1]}…" for n in classes]
    shown = range(len(names)) if len(names) <= MOST_NAMES else []
    ax.set_xticks(
        list(shown), [names[i] for i in shown], rotation=90 if max(map(len, names)) > 2 else 0
    )
    ax.set_yticks(list(shown), [names[i] for i in shown])
    ax.set_xlabel("taken for", fontsize=8, color=INK)
    ax.set_ylabel("is", fontsize=8, color=INK)
    ax.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    ax.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    ax.grid(which="minor", color=FAINT, linewidth=0.4)
    ax.tick_params(which="minor", length=0)
    for spine in ax.spines.values():
        spine.set_color(TRAIN)
