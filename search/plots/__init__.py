"""Figures of a study, for the report, for files and for optuna-dashboard.

A figure is a function of the study that returns None where it has nothing to show; PLOTS names
them, so that a new one is one function and one row. `layout.meta["note"]` of a figure is a line
about what it leaves out. Widths are the reader's: 390 pixels must do.
"""

import importlib.machinery
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]

from search.answers.report import Drawn
from search.errors import OutputError
from search.plots import course, curves, landscape, trade
from search.plots.canvas import label
from search.record import snapshot

WIDTH = 720  # pixels of a picture in a file
WHY = 160  # characters of what is said of a figure that fails


@dataclass(frozen=True)
class Plot:
    """A row of PLOTS. `about` says how it is to be read; `stored` ones go to optuna-dashboard."""

    title: str
    draw: Callable[[optuna.Study], go.Figure | None]
    about: str = ""
    stored: bool = False


def draw(study: optuna.Study, name: str) -> go.Figure | None:
    """The figure of that name; None where it has nothing to show."""
    return PLOTS[name].draw(snapshot.of(study))


def drawn(study: optuna.Study, *, stored: bool = False) -> dict[str, Drawn]:
    """Every figure that has something to show, by name, and a line for each that fails: whatever a
    trial may hold, the other figures are there.

    Args:
        stored: only those that go to optuna-dashboard.
    """
    found, study = {}, snapshot.of(study)
    for name, plot in PLOTS.items():
        if stored and not plot.stored:
            continue
        try:
            figure, about = plot.draw(study), plot.about
        except Exception as error:  # of plotly, numpy, Optuna: any, as trials hold anything
            why = f"{type(error).__name__}: {error}"[:WHY]
            found[name] = Drawn(plot.title, f"This figure cannot be drawn ({why}).", None)
            continue
        if figure is not None:
            found[name] = Drawn(plot.title, about, figure)
    return found


def left_out(figures: Mapping[str, Drawn]) -> list[str]:
    """A line for each figure that could not be drawn."""
    return [f"{name}: {one.about}" for name, one in figures.items() if one.figure is None]


def titled(figure: go.Figure, title: str) -> go.Figure:
    """A copy that says what it is, for places that do not."""
    copied = go.Figure(figure)
    copied.update_layout(title={"text": label(title), "x": 0.01, "font": {"size": 15}})
    copied.update_layout(margin={"t": 48})
    return copied


def store(study: optuna.Study) -> list[str]:
    """Give optuna-dashboard the figures that it has not itself; once more replaces them.

    Returns:
        Their ids. They are stored as attributes of the study: few, and small.
    """
    save = _saver()
    ids = []
    for name, one in drawn(study, stored=True).items():
        if one.figure is not None:
            known = f"optsearch-{name}"
            save(study, titled(one.figure, one.title), graph_object_id=known)
            ids.append(known)
    return ids


def _saver() -> Callable[..., str]:
    """optuna-dashboard's `save_plotly_graph_object`, out of its own file: the whole package brings
    scikit-learn and pandas, seconds at the end of every run."""
    name = "optuna_dashboard._custom_plot_data"
    package = importlib.util.find_spec("optuna_dashboard")
    assert package is not None
    spec = importlib.machinery.PathFinder.find_spec(name, package.submodule_search_locations)
    if spec is None or spec.loader is None:  # another version has it elsewhere
        return importlib.import_module("optuna_dashboard").save_plotly_graph_object  # type: ignore[no-any-return]
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.save_plotly_graph_object  # type: ignore[no-any-return]


def write(drawn: Mapping[str, Drawn], folder: Path, form: str) -> list[Path]:
    """Write every figure as a picture, `png` or `svg`, and return the files.

    Raises:
        OutputError: there is no browser to draw them with, or it cannot.
    """
    import plotly.io  # type: ignore[import-untyped]

    able = {name: one for name, one in drawn.items() if one.figure is not None}
    files = [folder / f"{name}.{form}" for name in able]
    figures = [titled(one.figure, one.title) for one in able.values()]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        file.unlink(missing_ok=True)
    try:
        plotly.io.write_images(figures, files, width=WIDTH, scale=2 if form == "png" else 1)
    except Exception as error:
        if "Chrome" not in str(error):
            raise
        raise OutputError(
            f"--format {form}: needs Chrome or Chromium, and none was found that starts; "
            "`plotly_get_chrome` installs one, or use --format html"
        ) from error
    if missing := [file for file in files if not file.exists()]:  # kaleido does not say so
        raise OutputError(f"--out {folder}: {missing[0].name} cannot be drawn; use --format html")
    return files


PLOTS: dict[str, Plot] = {
    "confirmed": Plot(
        "On fresh seeds",
        course.confirmed,
        "Small dots are runs, diamonds their means with 95 % intervals.",
        stored=True,
    ),
    "curves": Plot(
        "Learning curves",
        curves.curves,
        "Median of all trials, and how many they are; for the best three a band from the 25th to "
        "the 75th percentile. At each epoch of those that came so far: what was pruned is none of "
        "them from then on, so a line may rise where bad ones end. Patience keeps the last score.",
        stored=True,
    ),
    "best": Plot(
        "The best trials, epoch by epoch", curves.best_curves, "Dotted: on training images"
    ),
    "lr": Plot("Learning rate", curves.learning_rates),
    "history": Plot("How the search went", course.history, stored=True),
    "importance": Plot(
        "What matters",
        landscape.importance,
        "How much of the differences between good and other scores each parameter explains (PED-"
        "ANOVA); parameters that only some trials have are left out.",
    ),
    "slices": Plot("Each parameter by itself", landscape.slices),
    "parallel": Plot(
        "All parameters together", landscape.parallel, "A line a trial; dark is best."
    ),
    "times": Plot(
        "Score against time",
        trade.times,
        "Each trial's network, in the largest batch that was timed on its device at its end; equal "
        "networks stand at the shortest time.",
    ),
    "endings": Plot("Where trials ended", course.endings, stored=True),
}
