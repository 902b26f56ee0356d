"""A confusion matrix as a picture."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from search.answers.figures import FAINT, INK, TRAIN, VALIDATION

MOST_COUNTS, MOST_NAMES = 20, 50  # classes beyond which counts, or all names, would be a blur
LONGEST_NAME = 16  # characters
MILDEST = 0.1  # a share of wrong answers below which no red is deep
WRONG = "#d1242f"
_RIGHT_SHADES = LinearSegmentedColormap.from_list("right", ["#ffffff", VALIDATION])
_WRONG_SHADES = LinearSegmentedColormap.from_list("wrong", ["#ffffff", WRONG])


def confusion(
    matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str, form: str = "svg"
) -> bytes:
    """Counts of images by true class (rows) and the class they were taken for (columns).

    Shades are shares of a row: right answers blue, wrong ones red. form: "svg" or "png".
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    deepest = np.where(right, 1.0, max(shares[~right].max(initial=0), MILDEST))
    depth = shares / deepest
    side = 2.6 + min(max(len(counts), 8), 24) * 0.36
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    ax = figure.subplots()
    for mask, shades in ((~right, _RIGHT_SHADES), (right, _WRONG_SHADES)):
        ax.imshow(np.ma.masked_array(depth, mask), cmap=shades, vmin=0, vmax=1)
    if len(counts) <= MOST_COUNTS:
        _write_counts(ax, counts, depth)
    _label(ax, classes)
    figure.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left", parse_math=False)
    out = BytesIO()
    figure.savefig(out, format=form, dpi=150)
    return out.getvalue()


def _write_counts(ax: Axes, counts: np.ndarray, depth: np.ndarray) -> None:
    size = 8 if counts.max() < 10_000 else 6
    for row, column in np.argwhere(counts > 0):
        color = "#ffffff" if depth[row, column] > 0.6 else INK
        text = str(counts[row, column])
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def _label(ax: Axes, classes: Sequence[str]) -> None:
    names = [n if len(n) <= LONGEST_NAME else f"{n[: LONGEST_NAME - 1]}…" for n in classes]
    every = -(-len(names) // MOST_NAMES)
    places = range(0, len(names), every)
    turned = 90 if max(map(len, names)) > 3 else 0
    # a class called $x$ is a name, not a formula
    ax.set_xticks(places, names[::every], rotation=turned, parse_math=False)
    ax.set_yticks(places, names[::every], parse_math=False)
    ax.set_xlabel("predicted class", fontsize=8, color=INK)
    ax.set_ylabel("true class", fontsize=8, color=INK)
    ax.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    if every == 1:
        _draw_borders(ax, len(names))
    for spine in ax.spines.values():
        spine.set_color(TRAIN)


def _draw_borders(ax: Axes, count: int) -> None:
    borders = np.arange(count - 1) + 0.5
    ax.set_xticks(borders, minor=True)
    ax.set_yticks(borders, minor=True)
    ax.grid(which="minor", color=FAINT, linewidth=0.4)
    ax.tick_params(which="minor", length=0)
