"""Draws docs/strategy.png from the lines that search_quality.py wrote.

python tests/benchmarks/quality_picture.py tests/benchmarks/results/which_optimizer.jsonl
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from quality_summary import Line, read, score_at

SHOWN = {"default": ("freeze_thaw", "#1f6f4a"), "optuna": ("Optuna's defaults", "#8a8f98")}
OUT = Path(__file__).parents[2] / "docs" / "strategy.png"


def main() -> None:
    lines = [line for line in read(map(Path, sys.argv[1:])) if line["workers"] == 1]
    tasks = sorted({line["task"] for line in lines})
    figure, axes = plt.subplots(1, len(tasks), figsize=(2.6 * len(tasks), 2.6), sharey=True)
    for ax, task in zip(np.atleast_1d(axes), tasks, strict=True):
        of = [line for line in lines if line["task"] == task]
        top = max(score for line in of for _, score in line["curve"])
        for searcher, (label, colour) in SHOWN.items():
            epochs, regrets = _regrets([x for x in of if x["searcher"] == searcher], top)
            low, middle, high = np.nanquantile(regrets, [0.1, 0.5, 0.9], axis=0)
            ax.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
            ax.plot(epochs, middle, color=colour, label=label)
        ax.set(title=task, xlabel="epochs trained")
        ax.title.set_fontsize(9)
        ax.set_yscale("symlog", linthresh=1)
        ax.set_ylim(0, 100)
        ax.spines[["top", "right"]].set_visible(False)
    first = np.atleast_1d(axes)[0]
    first.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    first.set_ylabel("points below the best")
    first.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(OUT, dpi=150)


def _regrets(lines: list[Line], top: float) -> tuple[np.ndarray, np.ndarray]:
    """(epochs [E], how many points each search's answer lay below `top` then [n, E])."""
    epochs = np.arange(lines[0]["longest"], lines[0]["epochs"] + 1, 5)
    found = [[100 * (top - score_at(line, at)) for at in epochs] for line in lines]
    return epochs, np.array(found, float)


if __name__ == "__main__":
    main()
