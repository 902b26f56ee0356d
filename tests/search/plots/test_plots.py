"""search/plots: every figure of the table, on studies of every kind."""

import contextlib
import dataclasses
import functools
import json
import math
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from search import plots
from search.answers import evidence, importance, report
from search.errors import OutputError
from search.plots import canvas, course, curves, landscape
from search.record import chains, enough
from search.record import study as studies
from tests import dashboards
from tests.search import made

NASTY = "<b>&</script>" + "x" * 100
OPTIMIZERS = ("sgd", "adam", "adagrad")


def rich() -> optuna.Study:
    """Complete, pruned, diverged and failed trials, and confirmed ones, in the current folder."""
    Path("a.db").write_bytes(_rich())
    return studies.load_study("mine", made.URL)


@functools.cache
def _rich() -> bytes:
    """Its database: made once, as it takes a second."""
    opened, asked = made.opened()
    tried = [
        ({"optimizer": n, "lr": lr, "batch_size": b}, 0.5 + b / 1000 + i / 10)
        for i, n in enumerate(OPTIMIZERS)
        for lr, b in ((0.001, 16), (0.01, 32), (0.1, 64))
    ]
    for params, score in tried:
        trial = made.ask(opened, asked, params)
        ms = params["batch_size"] / 100  # as if the larger network had the larger batches
        trial.set_user_attr("size", {"parameters": 100, "multiply_adds": int(1e4 * ms), "ms_1": ms})
        made.end(opened, trial, score)
    for _ in range(2):
        made.prune(opened, made.ask(opened, asked, tried[0][0]), 0.1)
    made.fail(opened, made.ask(opened, asked, tried[0][0]))
    made.confirm_best(opened, asked, made.noisy({"sgd": 0.5, "adam": 0.6, "adagrad": 0.7}))
    opened._storage._backend.engine.dispose()
    with contextlib.closing(sqlite3.connect("a.db")) as file:
        return file.serialize()


def odd_studies() -> dict[str, Callable[[], optuna.Study]]:
    """Studies with next to nothing in them, or not ours."""

    def failed() -> optuna.Study:
        study = optuna.create_study()
        for _ in range(3):
            study.tell(study.ask(), state=TrialState.FAIL)
        return study

    def infinite() -> optuna.Study:
        study = optuna.create_study()
        for value in (math.inf, -math.inf, 1.0, 2.0, 3.0, 1e300):
            trial = study.ask()
            trial.suggest_float("x", 0, 1)
            trial.suggest_int("n", 1, 9)
            trial.report(value, 0)
            trial.report(math.nan, 1)
            study.tell(trial, value)
        return study

    def nasty() -> optuna.Study:
        study = optuna.create_study(study_name=NASTY)
        for value in range(6):
            trial = study.ask()
            trial.suggest_categorical(NASTY, [NASTY, None, True])
            trial.suggest_float("a" + NASTY, 0, 1)
            trial.set_user_attr("reason", NASTY)
            trial.report(value, 1_000)
            study.tell(trial, value)
        return study

    def listed() -> optuna.Study:
        study = optuna.create_study()
        for value in range(8):
            trial = study.ask()
            trial.suggest_categorical("layers", [[32, 64], [64, 128, 256], {"a": [None]}])
            trial.suggest_float("x", 0, 1)
            trial.set_user_attr("history", {"lr": ["no", None], "loss": [1.0]})
            trial.report(value, 0)
            study.tell(trial, value)
        return study

    def equal() -> optuna.Study:
        study = optuna.create_study()
        for _ in range(8):
            study.enqueue_trial({"x": 0.5, "n": 3})
            trial = study.ask()
            trial.suggest_float("x", 0, 1)
            trial.suggest_int("n", 1, 9)
            study.tell(trial, 1.0)
        return study

    def one() -> optuna.Study:
        study = optuna.create_study()
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, 1.0)
        return study

    def running() -> optuna.Study:
        study = optuna.create_study()
        study.ask().report(0.5, 0)
        study.enqueue_trial({"x": 1.0})
        return study

    made_by = (optuna.create_study, failed, infinite, nasty, listed, equal, one, running)
    return {f.__name__: f for f in made_by}


@pytest.mark.soak
@pytest.mark.parametrize("name", plots.PLOTS)
def test_every_figure_of_the_table_is_drawn_in_the_style_of_the_house(
    name: str, database: str
) -> None:
    """A new row tests itself: plain JSON, our template, the legend below, nothing tiny."""
    figure = plots.draw(rich(), name)
    assert figure is not None
    told = json.loads(figure.to_json())
    assert "bdata" not in figure.to_json()  # lists that any plotly.js reads
    assert told["layout"]["template"]["layout"]["colorway"] == list(canvas.COLORS)
    assert told["layout"]["height"] <= 1000  # of a printed page
    sizes = [a["font"]["size"] for a in told["layout"].get("annotations", ()) if "font" in a]
    assert min(sizes, default=13) >= 11
    assert len(figure.to_json()) < 30_000


@pytest.mark.parametrize("kind", odd_studies())
@pytest.mark.parametrize("name", plots.PLOTS)
def test_a_figure_with_nothing_to_show_is_none_and_never_an_error(name: str, kind: str) -> None:
    """Studies that are empty, failed, infinite, not ours, or full of odd texts."""
    figure = plots.draw(odd_studies()[kind](), name)
    if figure is not None:
        assert "<b>&" not in json.loads(figure.to_json())["data"].__str__()
        assert figure.data


@pytest.mark.soak
def test_a_figure_that_cannot_be_drawn_is_left_out_with_a_line(
    monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    """The others are drawn, stored and told all the same: a trial may hold what nobody expects."""

    def fails(_: optuna.Study) -> None:
        raise TypeError("unhashable type: 'list'")

    study = rich()
    whole = set(plots.drawn(study))
    broken = dataclasses.replace(plots.PLOTS["history"], draw=fails)
    monkeypatch.setitem(plots.PLOTS, "history", broken)
    drawn = plots.drawn(study)
    (line,) = plots.left_out(drawn)
    assert line == "history: This figure cannot be drawn (TypeError: unhashable type: 'list')."
    assert {name for name, one in drawn.items() if one.figure} == whole - {"history"}
    assert "cannot be drawn (TypeError" in report.html(study, drawn)
    assert "optsearch-history" not in plots.store(study)


def test_choices_that_begin_alike_are_points_of_their_own() -> None:
    """On an axis of texts, equal labels are one place."""
    alike = ["a long name of a network, 1", "a long name of a network, 2", None, "None"]
    assert len(set(canvas.labels(alike, 12))) == 4
    study = optuna.create_study()
    for i in range(12):
        study.enqueue_trial({"net": alike[i % 4], "x": i / 12})
        trial = study.ask()
        trial.suggest_categorical("net", alike)
        study.tell(trial, trial.suggest_float("x", 0, 1) + i % 4)
    slices = plots.draw(study, "slices")
    assert slices is not None
    drawn = [set(trace.x) for trace in slices.data if trace.x and isinstance(trace.x[0], str)]
    assert [len(places) for places in drawn] == [4]


def test_labels_are_escaped_and_short() -> None:
    """plotly reads markup in texts; a database may hold any."""
    assert canvas.label("<b>&", 20) == "&lt;b&gt;&amp;"
    assert len(canvas.label("x" * 500)) <= 3 * canvas.CHARS


# What they show


def test_learning_curves_are_medians_and_a_trial_that_ended_keeps_its_last_score() -> None:
    """That of patience does; its score is what it came to."""
    study = optuna.create_study(direction="maximize")
    for reports in ([0.1, 0.2, 0.3, 0.4], [0.3], [0.5, 0.6]):
        trial = study.ask()
        trial.suggest_categorical("optimizer", ["sgd"])
        for step, value in enumerate(reports):
            trial.report(value, step)
        study.tell(trial, reports[-1])
    figure = curves.curves(study)
    assert figure is not None
    (line,) = [trace for trace in figure.data if trace.name]
    assert line.name == "sgd (3)"
    assert list(line.y) == pytest.approx([0.3, 0.3, 0.3, 0.4])
    assert list(line.x) == [1, 2, 3, 4]


def test_a_pruned_trial_is_not_drawn_on() -> None:
    """Nobody knows how it would have gone on; where only such are left the line ends."""
    study = optuna.create_study(direction="maximize")
    kind = CategoricalDistribution(["sgd", "adam"])
    for name, reports, state in (
        ("sgd", [0.1, 0.2, 0.3], TrialState.COMPLETE),
        ("sgd", [0.0], TrialState.PRUNED),
        ("adam", [0.5, 0.4], TrialState.PRUNED),
    ):
        study.enqueue_trial({"optimizer": name})
        trial = study.ask({"optimizer": kind})
        for step, value in enumerate(reports):
            trial.report(value, step)
        study.tell(trial, None if state == TrialState.PRUNED else reports[-1], state)
    figure = curves.curves(study)
    assert figure is not None
    lines = {trace.name: trace for trace in figure.data if trace.name}
    assert list(lines["sgd (2)"].y) == pytest.approx([0.05, 0.2, 0.3])
    assert list(lines["adam (1)"].x) == [1, 2]


def test_importance_says_what_it_is_worth_where_most_were_pruned() -> None:
    """It is of complete trials alone."""
    study = optuna.create_study(direction="maximize")
    for i in range(30):
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        trial.report(x, 0)
        if i % 3:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, x + y / 10)
    figure = landscape.importance(study)
    assert figure is not None
    assert figure.layout.meta["note"].startswith("Only the 10 complete of 30 trials count")


def test_the_course_counts_epochs_and_a_resumed_epoch_once() -> None:
    """A retry reports those of the checkpoint again; they were not spent again."""
    study = optuna.create_study(direction="maximize")
    first = study.ask()
    first.report(0.1, 0)
    first.report(0.2, 1)
    first.set_user_attr("reason", "preempted")
    study.tell(first, state=TrialState.FAIL)
    for score, resumed in ((0.5, 2), (0.4, 0), (0.7, 0)):
        trial = study.ask()
        if resumed:
            trial.set_user_attr(chains.CHAIN, 0)
            trial.set_user_attr(chains.RESUMED, resumed)
        for step in range(4):
            trial.report(score, step)
        study.tell(trial, score)
    figure = course.history(study)
    assert figure is not None
    best = next(t for t in figure.data if t.name == "best so far")
    assert list(best.x) == [4, 12, 12]
    assert list(best.y) == [0.5, 0.7, 0.7]
    assert figure.layout.xaxis.title.text == "epochs spent"


def test_epochs_of_paused_trials_are_spent_too() -> None:
    """A trial that paused and went on has all its epochs in one row; those of trials that are
    paused still are known by what the strategy noted."""
    study = optuna.create_study(direction="maximize")
    for number, score in enumerate((0.5, 0.7, 0.6)):
        trial = study.ask()
        trial.set_user_attr(chains.RESUMED, 5)  # where it went on
        for step in range(10):
            trial.report(score, step)
        if number == 1:
            trial.set_user_attr(enough.SPENT, 60)
        study.tell(trial, score)
    assert list(course.spent(study).values()) == [10, 60, 60]


@pytest.mark.soak
def test_confirmed_means_and_intervals_are_those_of_the_evidence(database: str) -> None:
    """Validation and test, a row a candidate."""
    study = rich()
    figure, known = course.confirmed(study), evidence.of(study)
    assert figure is not None
    assert known is not None
    means = next(t for t in figure.data if t.name == "val_accuracy")
    intervals = [c.interval for c in known.candidates if c.interval]
    assert list(means.x) == pytest.approx([i.mean for i in intervals], rel=1e-4)
    ends = [i.high - i.mean for i in intervals if i.high]
    assert list(means.error_x.array) == pytest.approx(ends)
    assert any(t.name == "test_accuracy" for t in figure.data)


def test_endings_count_every_chain_once(database: str) -> None:
    """By reason and epoch."""
    figure = course.endings(rich())
    assert figure is not None
    counted = {t.name: dict(zip(t.x, t.y, strict=True)) for t in figure.data}
    assert counted == {"hopeless": {1: 2}, "all_epochs": {4: 9}, "exception": {0: 1}}


def test_importance_is_found_where_choices_are_lists() -> None:
    """Optuna wants to hash them."""
    study = optuna.create_study(direction="maximize")
    for i in range(20):
        study.enqueue_trial({"layers": [[1], [1, 2]][i % 2], "x": 7 * i % 20 / 20})
        trial = study.ask()
        layers = trial.suggest_categorical("layers", [[1], [1, 2]])
        trial.suggest_float("x", 0, 1)
        study.tell(trial, len(layers) + 3 * i % 5 / 1000)
    assert next(iter(importance.importances(study))) == "layers"


def test_importance_finds_what_matters() -> None:
    """On a study whose score is one of its parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + 0 * t.suggest_float("y", 0, 1), 100)
    found = importance.importances(study)
    assert next(iter(found)) == "x"
    assert sum(found.values()) == pytest.approx(1)


def test_a_few_terrible_scores_do_not_squeeze_the_rest() -> None:
    """The window holds the good ones; where none is terrible it is left to plotly."""
    scores = [*np.linspace(0, 1, 50).tolist(), 1e9]
    low, high = canvas.window(scores, -1) or (0, 0)
    assert low <= 0
    assert 1 < high < 10
    assert canvas.window(scores[:-1], -1) is None


@pytest.mark.parametrize(("direction", "where"), [("maximize", "below"), ("minimize", "above")])
def test_the_best_half_takes_half_of_a_figure(database: str, direction: str, where: str) -> None:
    """What is far from it is cut off, and told in a line."""
    study, asked = made.opened(direction=direction)
    for i, score in enumerate((0.98, 0.975, 0.97, 0.965, 0.4, 0.3, 0.2, 0.1)):
        value = score if direction == "maximize" else 1 - score
        params = {"optimizer": ("sgd", "adam")[i % 2], "lr": 0.1 / (i + 1), "batch_size": 16}
        made.search(study, asked, [(params, value)])
    figure = plots.draw(study, "history")
    assert figure is not None
    low, high = figure.layout.yaxis.range
    assert high - low < 0.035
    assert figure.layout.meta["note"] == f"4 of 8 trials lie {where} what is drawn."


def test_thousands_of_trials_are_thinned_to_the_best_and_the_newest() -> None:
    """With a line that says so."""
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [optuna.trial.create_trial(value=float(v)) for v in (*range(3_000, 0, -1), 0.5)]
    )
    trials, note = canvas.thinned(canvas.ended(study), study)
    assert len(trials) == canvas.MOST
    assert {0, 3_000} <= {t.number for t in trials}
    assert note == "2000 of 3001 trials are drawn: the best and the newest."


def test_colours_differ_in_lightness_or_hue_for_all_eight() -> None:
    """No two lines of a figure look the same."""
    assert len(set(canvas.COLORS)) == len(canvas.COLORS) == canvas.GROUPS


# Where they go


def test_figures_are_stored_for_the_dashboard_few_and_once(database: str) -> None:
    """A second time replaces them; the study's view loads them all, so they are small."""
    study = rich()
    names = plots.store(study)
    assert names == [f"optsearch-{n}" for n, p in plots.PLOTS.items() if p.stored]
    assert len(names) <= 4

    def attributes() -> dict[str, Any]:
        return study._storage.get_study_system_attrs(study._study_id)

    first = attributes()
    assert plots.store(study) == names
    assert attributes().keys() == first.keys()
    assert sum(len(str(v)) for v in first.values()) < 40_000


def test_the_dashboard_serves_what_was_stored(database: str) -> None:
    """As a custom graph of the study."""
    plots.store(rich())
    answer = dashboards.request(dashboards.application(made.URL), "/api/studies/1?after=0")
    graphs = answer.json["plotly_graph_objects"]
    stored = {f"optsearch-{n}" for n, p in plots.PLOTS.items() if p.stored}
    assert {g["id"] for g in graphs} == stored
    assert json.loads(graphs[0]["graph_object"])["data"]


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
@pytest.mark.parametrize("form", ["png", "svg"])
def test_every_figure_is_written_as_a_picture(database: str, folder: Path, form: str) -> None:
    """With its title, as there is no text around it."""
    files = plots.write(plots.drawn(rich()), folder / "pictures", form)
    assert [f.name for f in files] == [f"{name}.{form}" for name in plots.PLOTS]
    starts = {"png": b"\x89PNG", "svg": b"<svg"}
    assert all(f.read_bytes().startswith(starts[form]) for f in files)
    if form == "svg":
        assert b"On fresh seeds" in files[0].read_bytes()


@pytest.mark.soak
def test_without_a_browser_the_next_step_is_told(
    database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kaleido draws with Chrome, and says so in many lines."""
    monkeypatch.setenv("BROWSER_PATH", "/nowhere")
    with pytest.raises(OutputError, match="plotly_get_chrome") as caught:
        plots.write(plots.drawn(rich()), folder, "png")
    assert "\n" not in str(caught.value)
