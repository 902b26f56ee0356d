"""search/dashboard.py: optuna-dashboard on our storage, over real HTTP and in a real browser."""

import json
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

from search import dashboard, database, results, storage
from search.errors import StorageError, UsageError


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small study: one trial with a learning curve, one without reports, one that runs."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard')}/a.db"
    study = optuna.create_study(
        study_name="parabola", storage=storage.open_storage(url), direction="maximize"
    )
    first, second, third = study.ask(), study.ask(), study.ask()
    for step, value in enumerate([0.1, 0.5, 0.7]):
        first.report(value, step)
    columns = {name: [0.1, 0.5, 0.7] for name in results.HISTORY_COLUMNS}
    first.set_user_attr("history", columns)
    first.set_user_attr("best_epoch", 2)
    first.suggest_float("lr", 0.0, 1.0)
    study.tell(first, 0.7)
    study.tell(second, 0.2)
    third.report(0.3, 0)
    return url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[str]:
    """The address of a dashboard that serves in a thread."""
    serving = dashboard.create_server(url, 0)
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{serving.effective_port}"
    serving.trigger.pull_trigger(serving.close)  # in its own thread; then nothing is left to serve
    thread.join(timeout=30)
    serving.task_dispatcher.shutdown()


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        body = answer.read()
        return json.loads(body) if "json" in answer.headers["Content-Type"] else body


def test_the_study_and_its_trials_are_served(server: str) -> None:
    """As optuna-dashboard serves them."""
    (study,) = get(f"{server}/api/studies")["study_summaries"]
    assert study["study_name"] == "parabola"
    trials = get(f"{server}/api/studies/{study['study_id']}?after=0")["trials"]
    assert [t["state"] for t in trials] == ["Complete", "Complete", "Running"]
    assert b"<html" in get(f"{server}/dashboard/")


def test_every_trial_with_epochs_has_its_learning_curve_as_an_artifact(server: str) -> None:
    """Drawn when somebody looks; a running trial has one, too; one without reports has none."""
    trials = get(f"{server}/api/studies/1?after=0")["trials"]
    assert [len(t["artifacts"]) for t in trials] == [1, 0, 1]
    (meta,) = trials[0]["artifacts"]
    assert meta["filename"] == "learning-curve-0.svg"
    assert meta["mimetype"] == "image/svg+xml"
    picture = get(f"{server}/artifacts/1/{trials[0]['trial_id']}/{meta['artifact_id']}")
    assert b"<svg" in picture
    assert b"Trial 0, score 0.7000" in picture


def test_the_curve_of_a_running_trial_grows(server: str, url: str) -> None:
    """The next look shows the next epoch."""
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(url))
    trial_id = study.trials[2]._trial_id

    def picture() -> Any:
        (meta,) = get(f"{server}/api/studies/1?after=0")["trials"][2]["artifacts"]
        return get(f"{server}/artifacts/1/{trial_id}/{meta['artifact_id']}")

    first = picture()
    optuna.trial.Trial(study, trial_id).report(0.9, 1)
    assert picture() != first


@pytest.mark.parametrize("artifact", ["c0de-3e7", "nonsense", "c0de-", "../../a.db"])
def test_an_artifact_that_is_not_there_is_an_error_of_http(server: str, artifact: str) -> None:
    """No file of this machine is ever served as one."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(f"{server}/artifacts/1/1/{artifact}")
    assert caught.value.code in (400, 404)


def test_nothing_is_written_by_looking(server: str, url: str) -> None:
    """The pictures are no attributes of the study: finished trials stay as they are."""
    get(f"{server}/api/studies/1?after=0")
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(url))
    assert all(set(t.system_attrs) == {database.TOKEN} for t in study.trials)


def test_it_listens_on_this_machine_only(url: str) -> None:
    """It has no password, and anybody who reaches it can delete studies."""
    serving = dashboard.create_server(url, 0)
    assert serving.effective_host == "127.0.0.1"
    serving.close()


def test_a_taken_port_is_told_with_another_one(url: str) -> None:
    """The option, the cause, and what to type."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"--port {port}: .*try --port {port + 1}"):
            dashboard.create_server(url, port)


def test_a_storage_without_studies_is_told(folder: Path) -> None:
    """optuna-dashboard would fail on a database without tables."""
    with pytest.raises(StorageError, match="no such file"):
        dashboard.create_server("sqlite:///none.db", 0)
    assert not (folder / "none.db").exists()


def test_optuna_dashboard_itself_reads_our_storage(url: str) -> None:
    """A plain `optuna-dashboard sqlite:///runs/optsearch.db` works as well."""
    from optuna_dashboard import wsgi

    app = wsgi(url)
    answered: list[str] = []
    environment: dict[str, Any] = {"PATH_INFO": "/api/studies"}
    setup_testing_defaults(environment)
    body = b"".join(app(environment, lambda status, *_: answered.append(status)))
    assert answered == ["200 OK"]
    assert json.loads(body)["study_summaries"][0]["study_name"] == "parabola"


def test_a_person_finds_a_trials_learning_curve_in_a_browser(server: str, tmp_path: Path) -> None:
    """From the list of studies to the picture of one trial, in Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=chromium, headless=True, args=["--no-sandbox"]
        )
        try:
            page = browser.pages[0]
            page.goto(f"{server}/dashboard/")
            page.get_by_text("parabola").first.click()
            page.wait_for_url("**/studies/1**")
            page.goto(f"{server}/dashboard/studies/1/trials?numbers=0")
            picture = page.locator("img[src*='artifacts/1/']").first
            picture.wait_for(timeout=30_000)
            page.wait_for_function(
                "() => [...document.images].some(i => i.src.includes('/artifacts/1/')"
                " && i.complete && i.naturalWidth > 100)"
            )
            assert page.get_by_text("learning-curve-0.svg").count() > 0
        finally:
            browser.close()
