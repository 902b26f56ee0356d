"""Pictures of a trial: its learning curve as SVG."""

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial

from search.record import results

TRAIN, VALIDATION, INK, FAINT = "#8a94a6", "#1f6feb", "#1b1f24", "#d8dee4"


def learning_curve(trial: FrozenTrial, title: str = "") -> bytes:
    """Accuracy, loss and the score per epoch, train against validation, as an SVG document.

    An objective that keeps no history gets one panel with the values it reported.
    """
    history = results.history(trial)
    panels = results.panels(history)
    figure = Figure(figsize=(max(3.6 * len(panels), 4.2), 3.0), layout="constrained")
    axes = figure.subplots(1, len(panels) or 1, squeeze=False)[0]
    if not panels:
        _curve(axes[0], history.get("value", []), VALIDATION, "reported value")
    for ax, (train, validation) in zip(axes, panels, strict=False):
        if train in history:
            _curve(ax, history[train], TRAIN, "train")
        _curve(ax, history[validation], VALIDATION, "validation")
        ax.set_title(train, loc="left", fontsize=10, color=INK)
    for ax in axes:
        _finish(ax, trial.user_attrs.get("best_epoch"))
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title or _title(trial), fontsize=10, color=INK, x=0.01, ha="left")
    out = BytesIO()
    figure.savefig(out, format="svg")
    return out.getvalue()


def _curve(ax: Axes, values: list[float], color: str, label: str) -> None:
    epochs = range(1, len(values) + 1)
    ax.plot(epochs, values, color=color, label=label, linewidth=1.8, marker="o", markersize=2.5)


def _finish(ax: Axes, best_epoch: int | None) -> None:
    if best_epoch is not None:
        ax.axvline(best_epoch + 1, color=INK, linewidth=0.8, linestyle=":", label="best epoch")
    ax.set_xlabel("epoch", fontsize=8, color=INK)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.tick_params(labelsize=8, color=FAINT)
    ax.grid(color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)


def _title(trial: FrozenTrial) -> str:
    value = "" if trial.value is None else f", score {trial.value:.4f}"
    reason = trial.user_attrs.get("reason")
    return f"Trial {trial.number}{value}" + (f" ({reason})" if reason else "")
