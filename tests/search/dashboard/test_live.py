"""The live page of a study: what it shows, and how little it takes to be asked often."""

import html
import json
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.dashboard import charts, live
from search.database import storage
from search.record import chains
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
    study: optuna.Study, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that knows it already is told so in a line, and when to ask again."""
    monkeypatch.setattr(live, "LEAST_S", 0.0)
    monkeypatch.setattr(live, "SHARE", 0)
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
    database: str, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy with pauses completes few trials, and late; the epochs of all count as spent."""
    monkeypatch.setattr(live, "LEAST_S", 0.0)
    monkeypatch.setattr(live, "SHARE", 0)
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
