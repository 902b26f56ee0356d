"""The live page of a study: what it shows, and how little it takes to be asked often."""

import html
import json
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.answers import confirm
from search.dashboard import charts, live, pieces, seen
from search.database import storage
from search.plots import canvas
from search.record import chains, next_step
from search.studyfile.spec import Confirm
from tests import dashboards
from tests.search import made

ODD = '<img src=x onerror="alert(1)">'


@pytest.fixture
def study(database: str) -> optuna.Study:
    """Six trials of two optimizers, one that runs and one that is paused."""
    study, asked = made.opened(question="Which optimizer?", by="optimizer", budget={"trials": 20})
    for i, score in enumerate((0.5, 0.6, 0.7, 0.4, 0.8, 0.75)):
        params = {"optimizer": ("sgd", "adam")[i % 2], "lr": 0.1 / (i + 1), "batch_size": 16}
        made.search(study, asked, [(params, score)])
    running = made.ask(study, asked, {"optimizer": "adagrad", "lr": 0.3, "batch_size": 32})
    running.report(0.33, 0)
    return study


@pytest.fixture
def app(database: str) -> Any:
    return dashboards.application(database)


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look reads the study."""
    monkeypatch.setattr(live, "LEAST_S", 0.0)
    monkeypatch.setattr(live, "SHARE", 0)


def sections(app: Any, number: int = 1) -> dict[str, str]:
    """What an event brings."""
    body = dashboards.request(app, f"/live/{number}/events").body.decode()
    (data,) = [line for line in body.splitlines() if line.startswith("data: ")]
    return dict(json.loads(data.removeprefix("data: "))["sections"])


def words(part: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", part))


def test_the_page_is_whole_without_any_script(study: optuna.Study, app: Any) -> None:
    """Question, answer so far, ranking, charts, what runs; from this server alone."""
    answer = dashboards.request(app, "/live/1")
    assert answer.status == 200
    text = answer.body.decode()
    assert "<h1>Which optimizer?</h1>" in text
    told = " ".join(words(text).split())
    for part in ("running : 6 complete, 1 running", "7 of 20 trials", "So far trial 4"):
        assert part in told
    for part in ("Which optimizer? ", "Running now (1)", "Best score", "Learning curves by optimi"):
        assert part in told
    assert text.count('<svg class="chart"') == 2
    assert "http://" not in text
    assert "https://" not in text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for name in re.findall(r'(?:href|src)="(/live/[^"]+)"', text):
        assert dashboards.request(app, name).status == 200


@pytest.mark.soak
def test_an_event_brings_what_is_new_and_nothing_else(
    study: optuna.Study, app: Any, anew: None
) -> None:
    """A browser that knows it already is told so in a line, and when to ask again."""
    first = dashboards.request(app, "/live/1/events")
    assert first.headers["content-type"] == "text/event-stream"
    (known,) = re.findall(r"^id: (\w+)$", first.body.decode(), re.MULTILINE)
    assert first.body.startswith(b"retry: 1500\n")
    optuna.trial.Trial(study, 7).report(0.4321, 1)
    changed = dashboards.request(app, "/live/1/events", HTTP_LAST_EVENT_ID=known)
    assert "0.4321" in changed.body.decode()
    study.tell(6, 0.99)
    assert "So far" in words(sections(app)["answer"])
    assert "0.9900" in sections(app)["answer"]
    assert sections(app)["running"] == ""
    (known,) = re.findall(r"id: (\w+)", dashboards.request(app, "/live/1/events").body.decode())
    same = dashboards.request(app, "/live/1/events", HTTP_LAST_EVENT_ID=known)
    assert same.body == b"retry: 1500\n: nothing new\n\n"


def test_many_who_look_share_a_reading(
    study: optuna.Study, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask: the database is read once a second."""
    sections(app)
    monkeypatch.setattr(live.sections, "sections", lambda _: pytest.fail("read again"))
    monkeypatch.setattr(live, "LEAST_S", 60.0)
    for _ in range(20):
        dashboards.request(app, "/live/1/events")


@pytest.mark.soak
def test_runs_that_confirm_are_shown_with_their_study(study: optuna.Study, app: Any) -> None:
    """And not as a study beside it; their own pages are there."""
    asked = made.study.stored_spec(study)
    assert asked is not None
    study.tell(6, state=TrialState.FAIL)
    made.confirm_best(study, asked, made.noisy({"sgd": 0.5, "adam": 0.9}))
    shown = sections(app)
    assert "On fresh seeds" in shown["confirming"]
    assert "winner" in shown["confirming"]
    assert "fresh seeds" in shown["answer"]
    listed = dashboards.request(app, "/api/studies").json["study_summaries"]
    assert [one["study_name"] for one in listed] == ["mine"]
    assert dashboards.request(app, "/api/studies/2").status == 200
    assert 'href="/dashboard/studies/1/trials?numbers=' in shown["confirming"]


USUAL = {"name": "usual", "params": {"optimizer": "sgd", "lr": 0.02, "batch_size": 64}}


def confirming(**budget: Any) -> tuple[optuna.Study, optuna.Study]:
    """Two values whose best are confirmed, the baseline ended early; nothing of it has begun."""
    study, asked = made.opened(
        question="Which optimizer?", by="optimizer", baselines=[USUAL], budget=budget
    )
    study.set_user_attr(confirm.WILL, 4)
    made.prune(study, made.ask(study, asked, None), 0.2)
    for name, score in (("adam", 0.81), ("adagrad", 0.83)):
        params = {"optimizer": name, "lr": 0.1, "batch_size": 16}
        made.search(study, asked, [(params, score)])
    runs = confirm.begin(study, asked, Confirm(top=2, seeds=4), epochs=16)
    assert runs is not None
    assert confirm.advance(runs, study, 1)
    return study, runs


def run(runs: optuna.Study, score: float | None = None) -> int:
    """Train the next run on fresh seeds; without a score it goes on. Which trial it confirms."""
    spec = made.study.stored_spec(runs)
    assert spec is not None
    trial = made.ask(runs, spec, None)
    trial.report(0.5, 0)
    if score is not None:
        made.end(runs, trial, score)
    return int(trial.user_attrs[chains.CANDIDATE])


def test_while_it_is_being_confirmed_nothing_is_told_of_what_was_not(
    database: str, app: Any, anew: None
) -> None:
    """So far it is the search's answer; what could not be paid is told when the runs have ended."""
    _, runs = confirming(trials=3)
    run(runs)
    shown = {name: " ".join(words(part).split()) for name, part in sections(app).items()}
    assert "confirming on fresh seeds" in shown["state"]
    assert "So far, by the search, trial 2 : val_accuracy 0.8300" in shown["answer"]
    assert "Being confirmed now: " in shown["answer"]
    assert "0 runs have ended" in shown["answer"]
    for part in ("nothing is confirmed", "is not confirmed", "did not pay"):
        assert part not in shown["answer"]


def test_while_it_is_being_confirmed_answer_and_ranking_tell_by_what(
    database: str, app: Any
) -> None:
    """The search and fresh seeds may have different orders; an open race has no conclusions."""
    _, runs = confirming(trials=3)
    for _ in range(2):
        run(runs, 0.9)
    shown = {name: " ".join(words(part).split()) for name, part in sections(app).items()}
    assert "So far, by the search, trial 2" in shown["answer"]
    assert "By fresh seeds so far: trial" in shown["answer"]
    assert "by the fresh seeds that have ended, else by the search's one seed" in shown["ranking"]
    assert "nothing may be concluded" not in shown["ranking"]


def test_a_run_that_confirms_is_told_from_a_trial_of_the_same_number(
    database: str, app: Any
) -> None:
    _, runs = confirming(trials=3)
    number = run(runs)
    shown = sections(app)
    told = " ".join(words(shown["running"]).split())
    assert f"run 0 : fresh seed 1 of trial {number}" in told
    assert f'href="/dashboard/studies/{runs._study_id}/trials?numbers=0"' in shown["running"]
    assert "Lately ended in the search" in shown["ended"]


def test_epochs_that_are_kept_for_confirming_are_told(database: str, app: Any, anew: None) -> None:
    """Else a search that is over looks half done; then what the confirming has taken of them."""
    settings = {"settings": {"epochs": 4}, "budget": {"trials": 9, "epochs": 24, "hours": 0.5}}
    study, asked = made.opened(question="Which?", prepared={"epochs": 4}, **settings)
    study.set_user_attr(made.study.RESERVED, 8)
    made.search(study, asked, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 16}, 0.5)])
    made.ask(study, asked, {"optimizer": "adam", "lr": 0.1, "batch_size": 16}).report(0.4, 0)
    shown = words(sections(app)["state"])
    assert "5 of 16 epochs of the search; 8 more are kept for confirming the best" in shown
    assert "left for the search at this pace" in shown
    assert "Time limit of a command: 30 min 00 s (budget.hours)" in shown
    study.tell(1, 0.4)
    runs = confirm.begin(study, asked, Confirm(top=2, seeds=2), epochs=8)
    assert runs is not None
    assert confirm.advance(runs, study, 1)
    run(runs)
    shown = words(sections(app)["state"])
    assert "1 of at most 8 epochs on fresh seeds" in shown
    assert "At most about" in shown


def test_a_study_at_rest_tells_why_and_what_goes_on(
    database: str, app: Any, anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its budget, or that there is some left; nothing while a run may be between two stages."""
    study, asked = made.opened(question="Which?", budget={"trials": 2})
    study.set_user_attr(next_step.ASKED, ["--study", "./mine.yaml"])
    params = {"optimizer": "sgd", "lr": 0.1, "batch_size": 16}
    made.search(study, asked, [(params, 0.5)])
    assert "Search on" not in sections(app)["state"]
    monkeypatch.setattr(seen, "QUIET_S", -1.0)
    shown = words(sections(app)["state"])
    assert "the time of its run was up, or somebody has stopped it" in shown
    assert "Search on:  optsearch run --study ./mine.yaml " in shown
    made.search(study, asked, [(params | {"lr": 0.2}, 0.6)])
    study.set_user_attr(confirm.WILL, 4)
    shown = words(sections(app)["state"])
    assert "The search has ended: the budget of 2 trials is used up." in shown
    assert "Confirming its best on fresh seeds has not begun:  optsearch confirm --study" in shown
    assert shown.rstrip().endswith(" --trials 4")


def test_the_best_trials_stand_in_the_order_of_the_answer(database: str, app: Any) -> None:
    """By fresh seeds where these have given one, beside the search's one seed."""
    study, asked = made.opened(question="Which?", budget={"trials": 3})
    for name, score in (("sgd", 0.5), ("adam", 0.6), ("adagrad", 0.7)):
        made.search(study, asked, [({"optimizer": name, "lr": 0.1, "batch_size": 16}, score)])
    means = {"sgd": 0.5, "adam": 0.8, "adagrad": 0.55}
    made.confirm_best(study, asked, made.noisy(means), top=2, seeds=2)
    shown = sections(app)
    assert "numbers=1" in shown["answer"]
    assert re.findall(r"numbers=(\d)", shown["ranking"])[:3] == ["1", "2", "0"]
    assert "one seed fresh seeds parameters" in " ".join(words(shown["ranking"]).split())


def test_a_paused_trial_is_shown_with_its_reason(study: optuna.Study, app: Any) -> None:
    trial = study.ask()
    trial.suggest_categorical("optimizer", ["sgd", "adam", "adagrad"])
    trial.report(0.2, 0)
    pause = {chains.PAUSED: {"epochs": 1, "at": "now"}, "paused": "at epoch 1: 4 % chance"}
    for name, value in pause.items():
        trial.set_user_attr(name, value)
    study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    shown = sections(app)
    assert "Paused (1)" in shown["paused"]
    assert "at epoch 1: 4 % chance" in shown["paused"]
    assert 'class="line paused' in shown["curves"]


def test_values_stand_by_what_they_have_shown_until_a_trial_completes(
    database: str, app: Any, anew: None
) -> None:
    """A strategy with pauses completes few trials, and late; the epochs of all count as spent."""
    study, asked = made.opened(question="Which optimizer?", by="optimizer", budget={"trials": 20})
    for name, score in (("sgd", 0.5), ("adam", 0.9), ("adagrad", 0.7)):
        trial = made.ask(study, asked, {"optimizer": name, "lr": 0.1, "batch_size": 16})
        trial.report(score, 0)
    shown = words(sections(app)["ranking"])
    assert re.findall("sgd|adam|adagrad", shown) == ["adam", "adagrad", "sgd"]
    assert "0.9000" in shown
    assert "unended: its trials run or are paused" in shown
    assert "one seed each" not in shown
    study.tell(0, 0.5)
    shown = words(sections(app)["ranking"])
    assert re.findall("sgd|adam|adagrad", shown)[:3] == ["sgd", "adam", "adagrad"]
    assert "no trial is complete" not in shown


def test_what_a_study_holds_is_text_and_no_markup(database: str, app: Any) -> None:
    """Names, choices, reasons: anybody may have written them."""
    there = storage.open_storage(database)
    odd = optuna.create_study(study_name=ODD, storage=there, direction="maximize")
    trial = odd.ask()
    trial.suggest_categorical(ODD, [ODD, "b"])
    for step in range(3):
        trial.report(0.1 * step, step)
    trial.set_user_attr("reason", ODD)
    trial.set_user_attr("device", ODD)
    odd.tell(trial, 0.5)
    page = dashboards.request(app, "/live/1")
    assert page.status == 200
    for text in (page.body.decode(), json.dumps(sections(app))):
        assert "<img" not in text
    assert html.escape(ODD) in page.body.decode()


@pytest.mark.soak
@pytest.mark.parametrize("attrs", [{}, {"spec": 3}, {"spec": {"a": 1}}, {"spec": dashboards.SPEC}])
def test_a_study_of_somebody_else_is_shown_as_far_as_it_goes(
    database: str, app: Any, attrs: dict[str, Any]
) -> None:
    """Whatever its attributes hold; one without trials, too."""
    there = storage.open_storage(database)
    bare = optuna.create_study(study_name="bare", storage=there)
    for name, value in attrs.items():
        bare.set_user_attr(name, value)
    assert dashboards.request(app, "/live/1").status == 200
    bare.tell(bare.ask(), 0.5)
    bare.tell(bare.ask(), float("inf"))
    assert dashboards.request(app, "/live/1").status == 200


def test_a_study_that_is_not_there_is_told(database: str, app: Any) -> None:
    """And a storage that is away by its page, to a browser, and by a status, to its script."""
    for path in ("/live/77", "/live/77/events", f"/live/{2**40}"):
        assert dashboards.request(app, path).status == 404
    away = dashboards.application("postgresql://me:s3cr3t@127.0.0.1:1/db")
    for path in ("/live/1", "/live/1/events"):
        assert dashboards.request(away, path).status == 503


# Charts


def test_ticks_are_round_and_span_what_is_shown() -> None:
    assert charts.ticks(0.713, 0.987) == [0.7, 0.8, 0.9, 1.0]
    assert charts.ticks(0, 7, is_whole=True) == [0, 2, 4, 6, 8]
    assert charts.ticks(0, 1, is_whole=True) == [0, 1]
    for low, high in ((5.0, 5.0), (0.0, 0.0), (-1e-9, 1e-9), (1e12, 2e12)):
        found = charts.ticks(low, high)
        assert found[0] <= low <= high <= found[-1]
        assert len(found) < 15


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_best_can_be_told_apart(sign: int) -> None:
    """It takes half of a chart's height; what lies far from it is cut off, whichever way is up."""
    best = [sign * v for v in (0.98, 0.975, 0.96)]
    low, high = canvas.focus(best, [*best, sign * 0.5, sign * 0.1, float("nan")], sign) or (0, 0)
    assert {round(low, 6), round(high, 6)} == {sign * 0.94, sign * 0.98}
    assert canvas.focus(best, [*best, sign * 0.95], sign) is None
    equal = [sign * 0.98] * 3
    low, high = canvas.focus(equal, [*equal, sign * 0.9, sign * 0.1], sign) or (0, 0)
    assert {round(low, 6), round(high, 6)} == {round(sign * 0.82, 6), sign * 0.98}
    assert canvas.focus(equal, equal, sign) is None
    assert canvas.best_half([sign * v for v in (1, 5, 3, 2)], sign) == (
        [5, 3] if sign > 0 else [-5, -3]
    )


def test_an_axis_is_named_above_it() -> None:
    """Beside the other one's name it would be read as of that."""
    line = charts.Line([(1.0, 0.5), (2.0, 0.7)], 0, "ended", "a")
    drawn = charts.chart("a", [line], [], ("epoch", "val_accuracy"))
    places = {w: float(y) for y, w in re.findall(r'<text x="[^"]+" y="([^"]+)"[^>]*>(\w+)<', drawn)}
    assert places["val_accuracy"] < charts.TOP < places["epoch"]


def test_a_legend_draws_what_the_chart_draws() -> None:
    """A dot for dots, a line for lines, in the same classes."""
    keys = [("complete", 0, "complete"), ("best", 1, "best so far"), ("ended", charts.REST, "rest")]
    drawn = pieces.legend(keys)
    assert re.findall(r'<(circle|path) class="([^"]+)"', drawn) == [
        ("circle", "dot complete arm0"),
        ("path", "line best arm1"),
        ("path", "line ended rest"),
    ]


@pytest.mark.parametrize(("direction", "where"), [("maximize", "below"), ("minimize", "above")])
def test_curves_are_told_apart_where_they_end(
    database: str, app: Any, direction: str, where: str
) -> None:
    """Without a value that is asked about the best few have a colour; what is far off is cut."""
    study, asked = made.opened(question="Which?", budget={"trials": 20}, direction=direction)
    sign = 1 if direction == "maximize" else -1
    for i, score in enumerate((0.98, 0.975, 0.97, 0.965, 0.96, 0.6, 0.4, 0.1)):
        value = score if sign > 0 else 1 - score
        trial = made.ask(study, asked, {"optimizer": "sgd", "lr": 0.1 / (i + 1), "batch_size": 16})
        for epoch in range(4):
            trial.report(value + sign * (epoch - 3) * 0.3 / (1 + 9 * epoch), epoch)
        study.tell(trial, value)
    shown = sections(app)
    assert shown["curves"].count('class="line ended rest"') == 3 + 1  # and in the legend
    told = " ".join(words(shown["curves"]).split())
    assert "trial 0, " in told
    assert "the others" in told
    assert f"of 8 curves begin or lie {where} what is drawn" in told
    assert f"of 8 trials lie {where} what is drawn" in words(shown["history"])
    ticks = [float(t) for t in re.findall(r'class="end">([\d.]+)<', shown["curves"])]
    assert max(ticks) - min(ticks) < 0.3


def test_a_single_score_has_no_axis_beyond_what_it_may_be(database: str, app: Any) -> None:
    """No accuracy is 1.1; nor a line where there is none."""
    study, asked = made.opened(question="Which?", budget={"trials": 2})
    made.search(study, asked, [({"optimizer": "sgd", "lr": 0.1, "batch_size": 16}, 0.996)])
    shown = sections(app)["history"]
    ticks = [float(t) for t in re.findall(r'class="end">([\d.]+)<', shown)]
    assert (max(ticks), len(ticks) > 2) == (1.0, True)
    assert "best so far" not in shown
    assert "complete" in words(shown)


def test_a_chart_of_nothing_is_none() -> None:
    """Nor of what is not finite; a single point is seen."""
    assert charts.chart("a", [], [], ("x", "y")) == ""
    line = charts.Line([(1.0, float("nan"))], 0, "ended", "a")
    assert charts.chart("a", [line], [], ("x", "y")) == ""
    dot = charts.chart("a", [line._replace(points=[(1.0, 0.5)])], [], ("x", "y"))
    assert 'd="M' in dot


def test_a_long_line_keeps_its_ends() -> None:
    points = [(float(i), float(i)) for i in range(1000)]
    few = charts.thinned(points)
    assert (len(few), few[0], few[-1]) == (charts.POINTS, points[0], points[-1])


def test_the_files_are_part_of_the_package() -> None:
    """Beside the code that reads them."""
    assert all((Path(live.__file__).parent / f"live.{kind}").exists() for kind in ("css", "js"))


@pytest.mark.soak
def test_a_trial_is_ended_by_a_page_that_may_edit(study: optuna.Study, database: str) -> None:
    """Asked for with the token that only the server's own page has; what has ended stays so."""
    app = dashboards.application(database, is_editable=True)
    page = dashboards.request(app, "/live/1").body.decode()
    assert 'aria-label="end trial 6"' in page
    token = re.findall(r'data-token="([^"]+)"', page)[0]
    place = "/live/1/end/6"
    for mark in ("", "x" * len(token)):
        refused = dashboards.change(app, place, "POST", HTTP_X_OPTSEARCH_TOKEN=mark)
        assert (refused.status, b"load it again" in refused.body) == (403, True)
    other = {"HTTP_ORIGIN": "http://evil.example", "HTTP_X_OPTSEARCH_TOKEN": token}
    assert dashboards.change(app, place, "POST", **other).status == 403
    assert study.trials[6].state == TrialState.RUNNING
    ended = dashboards.change(app, place, "POST", HTTP_X_OPTSEARCH_TOKEN=token)
    assert (ended.status, ended.body.decode()[:18]) == (200, "Trial 6 is ended; ")
    assert (study.trials[6].state, chains.reason_of(study.trials[6])) == (
        TrialState.PRUNED,
        "by_hand",
    )
    assert not sections(app)["running"]
    again = dashboards.change(app, place, "POST", HTTP_X_OPTSEARCH_TOKEN=token)
    assert (again.status, again.body) == (
        409,
        b"trial 6: it has ended already (pruned); nothing was changed",
    )
    assert (
        dashboards.change(app, "/live/1/end/99", "POST", HTTP_X_OPTSEARCH_TOKEN=token).status == 409
    )


def test_a_page_that_may_not_edit_has_no_buttons(study: optuna.Study, app: Any) -> None:
    """Nor a token, nor does it take what buttons would ask for."""
    page = dashboards.request(app, "/live/1").body.decode()
    assert '<button type="button" data-end' not in page
    assert 'data-token=""' in page
    assert dashboards.change(app, "/live/1/end/6", "POST").status == 403
