"""search/dashboard/: what optuna-dashboard shows of our studies, over real HTTP."""

import gzip
import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna_dashboard import save_note, save_plotly_graph_object

from search.dashboard import fast, serve, views
from search.database import rdb as databases
from search.database import storage
from search.errors import StorageError, UsageError
from tests import dashboards
from tests.dashboards import change, get, request


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard')}/a.db"
    dashboards.make_study(url)
    return url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[str]:
    """The address of a dashboard that serves in a thread."""
    with dashboards.served(url) as address:
        yield address


@pytest.fixture
def scratch(tmp_path: Path) -> str:
    """The URL of a study that a test may change."""
    url = f"sqlite:///{tmp_path}/scratch.db"
    dashboards.make_study(url)
    return url


def detail(app: Any, study_id: int = 1, after: int = 0) -> Any:
    return request(app, f"/api/studies/{study_id}?after={after}").json


# What is shown


def test_the_study_and_its_trials_are_served(server: str) -> None:
    """As optuna-dashboard serves them."""
    (study,) = get(f"{server}/api/studies")["study_summaries"]
    assert study["study_name"] == "parabola"
    trials = get(f"{server}/api/studies/{study['study_id']}?after=0")["trials"]
    assert [t["state"] for t in trials] == ["Complete", "Complete", "Running", "Fail"]
    assert b"<html" in get(f"{server}/dashboard/")


@pytest.mark.soak
def test_every_trial_with_epochs_has_its_learning_curve_as_an_artifact(server: str) -> None:
    """Drawn when somebody looks; a running trial has one, too; one without reports has none."""
    trials = get(f"{server}/api/studies/1?after=0")["trials"]
    assert [len(t["artifacts"]) for t in trials] == [1, 0, 1, 0]
    (meta,) = trials[0]["artifacts"]
    assert meta["filename"] == "learning-curve-0.svg"
    assert meta["mimetype"] == "image/svg+xml"
    picture = get(f"{server}/artifacts/1/{trials[0]['trial_id']}/{meta['artifact_id']}")
    assert b"<svg" in picture
    assert b"Trial 0, score 0.7000" in picture


@pytest.mark.soak
def test_the_curve_of_a_running_trial_grows(scratch: str) -> None:
    """The next look shows the next epoch."""
    app = dashboards.application(scratch)
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(scratch))
    trial_id = study.trials[2]._trial_id

    def picture() -> bytes:
        (meta,) = detail(app)["trials"][2]["artifacts"]
        return request(app, f"/artifacts/1/{trial_id}/{meta['artifact_id']}").body

    first = picture()
    optuna.trial.Trial(study, trial_id).report(0.9, 1)
    assert picture() != first
    assert len(detail(app)["trials"][2]["intermediate_values"]) == 2


@pytest.mark.parametrize("artifact", ["c0de-3e7", "nonsense", "c0de-", "../../a.db", "..%2Fa.db"])
def test_an_artifact_that_is_not_there_is_an_error_of_http(server: str, artifact: str) -> None:
    """No file of this machine is ever served as one."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(f"{server}/artifacts/1/1/{artifact}")
    assert caught.value.code in (400, 404)


@pytest.mark.soak
def test_nothing_is_written_by_looking(url: str) -> None:
    """Pictures and notes are no attributes of the study: what is stored stays as it is."""
    before = dashboards.dump(url)
    app = dashboards.application(url)
    for path in ("/api/studies", "/api/studies/1?after=0", "/artifacts/1/1/c0de-1", "/csv/1"):
        assert request(app, path).status == 200
    assert dashboards.dump(url) == before
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(url))
    assert all(set(t.system_attrs) <= {databases.TOKEN} for t in study.trials)


def test_optuna_dashboard_itself_reads_our_storage(url: str) -> None:
    """A plain `optuna-dashboard sqlite:///runs/optsearch.db` works as well."""
    from optuna_dashboard import wsgi

    found = request(wsgi(url), "/api/studies", HTTP_ACCEPT_ENCODING="").json
    assert found["study_summaries"][0]["study_name"] == "parabola"


# Notes


def test_a_studys_note_tells_question_answer_and_commands(server: str, url: str) -> None:
    """Made when somebody looks, in words for people."""
    body = get(f"{server}/api/studies/1?after=0")["note"]["body"]
    assert body.startswith("**Where is the top?**")
    assert "Best so far: trial 0, value 0.7 in epoch 3 of 3." in body
    assert "4 trials: 2 complete (plateau 1), 1 failed (exception 1), 1 running." in body
    for command in (
        f"optsearch export --study parabola --storage {url}",
        "optsearch train best.yaml",
        f"optsearch run --study FILE --name parabola --storage {url}",
    ):
        assert f"    {command}\n" in body + "\n"


def test_a_trials_note_tells_how_it_ended(server: str) -> None:
    """The reason in a sentence; what an exception said is shown as text, whatever is in it."""
    notes = [t["note"]["body"] for t in get(f"{server}/api/studies/1?after=0")["trials"]]
    assert notes[0].startswith("Trial 0, value 0.7 in epoch 3 of 3.\n\nIt stopped improving")
    assert notes[1].startswith("Trial 1, value 0.2.\n\nIt has completed.")
    assert notes[2].startswith("It is running.")
    assert "`` RuntimeError: <b>no</b> `shape` of | mine ``" in notes[3]


@pytest.mark.soak
def test_a_trials_note_shows_its_curve(server: str) -> None:
    """Large; at an address that changes with every epoch, so that an open page follows."""
    notes = [t["note"]["body"] for t in get(f"{server}/api/studies/1?after=0")["trials"]]
    assert "](/artifacts/1/1/c0de-1?epochs=3)" in notes[0]
    assert "artifacts" not in notes[1]
    assert b"<svg" in get(f"{server}/artifacts/1/1/c0de-1?epochs=3")


@pytest.mark.soak
def test_a_study_that_was_run_has_its_notes(cli: Any, database: str) -> None:
    """From a study file to what people read about it."""
    run = ("run", "--study", "./mine.yaml", "--storage", database, "--workers", 1)
    assert cli(*run).code == 0
    found = detail(dashboards.application(database))
    assert found["note"]["body"].startswith("**Where is the top of the parabola?**")
    assert f"/mine.yaml --storage {database} --trials 8" in found["note"]["body"]
    assert not any("optsearch train" in t["note"]["body"] for t in found["trials"])
    shown = {a["key"] for a in found["user_attrs"]}
    assert shown & {"spec", "uid", "optsearch:reserved"} == set()
    assert not any(
        a["key"].startswith("optsearch:") for t in found["trials"] for a in t["user_attrs"]
    )


@pytest.mark.soak
@pytest.mark.parametrize("text", ["<script>x</script>", "[a](javascript:b)", "*a* _b_ # c | d"])
def test_a_question_is_no_markdown(tmp_path: Path, text: str) -> None:
    """Whatever a study file asks is shown as it was written."""
    study = dashboards.make_study(f"sqlite:///{tmp_path}/a.db")
    study.set_user_attr("spec", {"question": text})
    app = dashboards.application(f"sqlite:///{tmp_path}/a.db")
    first, _, _ = detail(app)["note"]["body"].partition("\n")
    assert first.replace("\\", "") == f"**{text}**"
    assert all(first[first.index(c) - 1] == "\\" for c in text if c in "<[_#|")


def test_a_note_that_a_person_wrote_stands_in_place_of_ours(scratch: str) -> None:
    """Of the study and of a trial; an empty one is none."""
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(scratch))
    app = dashboards.application(scratch)
    assert "Best so far" in detail(app)["note"]["body"]
    save_note(study, "mine" * 1000)
    save_note(optuna.trial.Trial(study, 1), "mine, too")
    found = detail(app)
    assert found["note"] == {"version": 1, "body": "mine" * 1000}
    assert found["trials"][0]["note"] == {"version": 1, "body": "mine, too"}
    assert found["best_trials"][0]["note"] == {"version": 1, "body": "mine, too"}
    save_note(study, "")
    found = detail(app)["note"]
    assert found["version"] == 2
    assert "Best so far" in found["body"]


def test_a_note_can_be_saved_over_ours(scratch: str) -> None:
    """With --allow-edit, as the page does it: the version that it was shown, plus one."""
    app = dashboards.application(scratch, is_editable=True)
    found = detail(app)
    for place, note in (("", found["note"]), ("/1", found["trials"][0]["note"])):
        content = {"version": note["version"] + 1, "body": f"written {place}"}
        assert change(app, f"/api/studies/1{place}/note", "PUT", content).status == 200
    found = detail(app)
    assert found["note"] == {"version": 1, "body": "written "}
    assert found["trials"][0]["note"] == {"version": 1, "body": "written /1"}


def test_a_password_of_the_storage_is_no_part_of_a_command() -> None:
    """Then the URL comes from OPTSEARCH_STORAGE."""
    from optuna.study import StudyDirection
    from optuna.study._frozen import FrozenStudy

    from search.dashboard import notes

    study = FrozenStudy("s", None, {"spec": {"question": ""}}, {}, 1, directions=[
        StudyDirection.MAXIMIZE])  # fmt: skip
    text = notes.of_study(study, [], "postgresql://me:s3cr3t@host/db")
    assert "optsearch run --study FILE --name s" in text
    assert "postgresql" not in text


# The same JSON, faster


def both(url: str, after: int = 0) -> tuple[Any, Any]:
    """The JSON of study 1 by optuna-dashboard's own view, and by ours without our additions."""
    from optuna_dashboard import wsgi

    plain = optuna.storages.get_storage(storage.open_storage(url))
    theirs = request(wsgi(plain), f"/api/studies/1?after={after}").json
    study = plain.get_all_studies()[0]
    ours = json.loads(fast.Studies(plain, fast.Dress()).body(study, after))
    for found in (theirs, ours):
        found["union_user_attrs"].sort(key=lambda a: a["key"])  # in order of appearance in both
    return theirs, ours


@pytest.mark.soak
@pytest.mark.parametrize("after", [0, 2, 4, 99])
def test_a_studys_json_is_that_of_optuna_dashboard(scratch: str, after: int) -> None:
    """Byte for byte but for the order of keys: trials, notes, figures, artifacts, spaces."""
    go = pytest.importorskip("plotly.graph_objects")
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(scratch))
    save_note(study, "a note\n" * 999)
    save_note(optuna.trial.Trial(study, 2), "of a trial")
    save_plotly_graph_object(study, go.Figure(), graph_object_id="report")
    study._storage.set_study_system_attr(1, "dashboard:artifacts:3:ab", json.dumps({"a": 1}))
    study.enqueue_trial({"lr": 0.5})
    trial = study.ask({"n": optuna.distributions.IntDistribution(1, 5)})
    trial.report(float("inf"), 0)
    trial.report(float("nan"), 7)
    study.tell(trial, float("-inf"))
    theirs, ours = both(scratch, after)
    assert ours == theirs
    assert len(ours["trials"]) == max(0, 5 - after)


@pytest.mark.soak
@pytest.mark.parametrize("directions", [["minimize", "maximize"], ["minimize"]])
def test_studies_that_are_not_ours_are_served_as_well(
    tmp_path: Path, directions: list[str]
) -> None:
    """Several objectives, or no trials at all."""
    url = f"sqlite:///{tmp_path}/a.db"
    study = optuna.create_study(storage=storage.open_storage(url), directions=directions)
    if len(directions) > 1:
        study.tell(study.ask(), [1.0, 2.0])
    found = detail(dashboards.application(url))
    assert found["directions"] == directions
    assert len(found["best_trials"]) == len(directions) - 1


@pytest.mark.soak
def test_attributes_that_mean_something_else_elsewhere_do_no_harm(scratch: str) -> None:
    """A plain Optuna study may call anything a spec, a reason, a history or a best epoch."""
    study = optuna.create_study(study_name="plain", storage=storage.open_storage(scratch))
    for odd in ("text", 7, {"a": ["b"]}, ["c"], None):
        study.set_user_attr("spec", odd)
        trial = study.ask()
        for name in ("reason", "error", "history", "best_epoch", "configuration"):
            trial.set_user_attr(name, odd)
        trial.report(1.0, 0)
        study.tell(trial, 1.0)
        app = dashboards.application(scratch)
        found = detail(app, 2)
        assert found["note"]["body"]
        for shown in found["trials"]:
            assert shown["note"]["body"]
            (meta,) = shown["artifacts"]
            path = f"/artifacts/2/{shown['trial_id']}/{meta['artifact_id']}"
            assert request(app, path).status in (200, 404)


def test_stored_figures_stay_visible(scratch: str) -> None:
    """A report's figures are attributes of the study; the page draws them."""
    go = pytest.importorskip("plotly.graph_objects")
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(scratch))
    save_plotly_graph_object(study, go.Figure(), graph_object_id="report")
    (found,) = detail(dashboards.application(scratch))["plotly_graph_objects"]
    assert found["id"] == "report"


def test_what_a_trial_keeps_for_programs_is_not_shown(server: str) -> None:
    """History, traceback: the table would be thousands of pixels wide."""
    found = get(f"{server}/api/studies/1?after=0")
    keys = {a["key"] for t in found["trials"] for a in t["user_attrs"]}
    assert keys == {"best_epoch", "reason", "error"}
    assert {a["key"] for a in found["union_user_attrs"]} == keys
    (error,) = (a["value"] for a in found["trials"][3]["user_attrs"] if a["key"] == "error")
    assert error.startswith("RuntimeError")


def test_a_study_that_replaced_a_deleted_one_is_shown(scratch: str) -> None:
    """SQLite gives it the same id, and its trials the same ids, while the dashboard serves."""
    app = dashboards.application(scratch)
    assert len(detail(app)["trials"]) == 4
    optuna.delete_study(study_name="parabola", storage=storage.open_storage(scratch))
    assert request(app, "/api/studies/1").status == 404
    study = optuna.create_study(study_name="new", storage=storage.open_storage(scratch))
    study.tell(study.ask(), 5.0)
    found = detail(app)
    assert found["name"] == "new"
    assert [t["values"] for t in found["trials"]] == [[5.0]]
    assert request(app, "/artifacts/1/1/c0de-1").status == 404


def test_large_answers_are_compressed_for_who_accepts_it(url: str) -> None:
    """And say so to caches; others get them as they are."""
    app = dashboards.application(url)
    plain = request(app, "/api/studies/1")
    assert "content-encoding" not in plain.headers
    packed = request(app, "/api/studies/1", HTTP_ACCEPT_ENCODING="br, gzip;q=0.5")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-length"] == str(len(packed.body))
    assert json.loads(gzip.decompress(packed.body)) == plain.json
    refused = request(app, "/api/studies/1", HTTP_ACCEPT_ENCODING="gzip;q=0")
    assert refused.body == plain.body
    assert request(app, "/api/studies/1", "HEAD", HTTP_ACCEPT_ENCODING="gzip").body == b""


# Editing


def test_a_study_can_be_deleted_where_editing_is_allowed(scratch: str) -> None:
    """With or without the artifacts: learning curves are none that could be removed."""
    dashboards.make_study(scratch, "other")
    app = dashboards.application(scratch, is_editable=True)
    content = {"remove_associated_artifacts": True}
    assert change(app, "/api/studies/1", "DELETE", content).status == 200
    names = [s["study_name"] for s in request(app, "/api/studies").json["study_summaries"]]
    assert names == ["other"]


@pytest.mark.soak
def test_a_renamed_study_keeps_all_of_its_trials(scratch: str) -> None:
    """As they are stored, histories included; not while trials run, and not our notes."""
    app = dashboards.application(scratch, is_editable=True)
    assert change(app, "/api/studies/1/rename", "POST", {"study_name": "b"}).status == 409
    study = optuna.load_study(study_name="parabola", storage=storage.open_storage(scratch))
    study.tell(2, 0.1)
    before = study.trials
    assert change(app, "/api/studies/1/rename", "POST", {"study_name": "b"}).status == 201
    study = optuna.load_study(study_name="b", storage=storage.open_storage(scratch))
    assert [t.user_attrs for t in study.trials] == [t.user_attrs for t in before]
    assert not any("artifacts" in k for t in study.trials for k in t.system_attrs)
    stored = study._storage.get_study_system_attrs(study._study_id)
    assert not any(v for k, v in stored.items() if "note_str" in k)


# What cannot be served


def test_a_taken_port_is_told_with_its_holder_and_a_free_one(url: str) -> None:
    """The option, the cause, and what to type."""
    with socket.socket() as taken, socket.socket() as next_one:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        try:
            next_one.bind(("127.0.0.1", port + 1))
            next_one.listen()
        except OSError:  # somebody else has it: the same
            pass
        holder = r".* by \S+ \(pid \d+\)" if Path("/proc/net/tcp").exists() else ""
        with pytest.raises(UsageError, match=rf"--port {port}: .*{holder}; try --port (\d+)") as e:
            serve.create_server(url, port)
    free = int(str(e.value).split("--port ")[2].split(",")[0])
    assert free > port + 1


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not tell")
def test_a_file_that_is_closed_meanwhile_does_not_hide_the_holder() -> None:
    """Its number was free before the socket's, so that it is looked at first."""
    with Path(os.devnull).open() as gap, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        gap.close()  # the listing of files takes that number, and is closed when it is read
        assert f"(pid {os.getpid()})" in str(serve.holder(taken.getsockname()[1]))


def test_an_address_of_another_machine_is_told(url: str) -> None:
    """A name that nobody has, and an address that this machine has not."""
    with pytest.raises(UsageError, match=r"--host nosuch.invalid: is no address"):
        serve.create_server(url, 0, "nosuch.invalid", password="x")
    with pytest.raises(UsageError, match=r"--host 192.0.2.1: .*name an address of this machine"):
        serve.create_server(url, 0, "192.0.2.1", password="x")


def test_a_storage_without_studies_is_told(folder: Path) -> None:
    """optuna-dashboard would fail on a database without tables."""
    with pytest.raises(StorageError, match="no such file"):
        serve.create_server("sqlite:///none.db", 0)
    assert not (folder / "none.db").exists()
    Path("text.db").write_text("this is no database" * 99)
    with pytest.raises(StorageError, match=r"text.db: .*not a database"):
        serve.create_server("sqlite:///text.db", 0)
    Path("empty.db").touch()
    with pytest.raises(StorageError, match="holds no Optuna tables"):
        serve.create_server("sqlite:///empty.db", 0)


def test_a_storage_of_another_optuna_is_told(tmp_path: Path, empty_database: Path) -> None:
    """Its times would be shown wrongly."""
    import sqlite3

    shutil.copy(empty_database, tmp_path / "old.db")
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("UPDATE version_info SET library_version = '4.2.0'")
    with pytest.raises(StorageError, match=r"made by Optuna 4.2.0"):
        serve.create_server(f"sqlite:///{tmp_path}/old.db", 0)


def test_the_curve_store_keeps_nothing(url: str) -> None:
    """Uploads are refused, and so is a removal that would remove nothing."""
    store = views.CurveStore(views.CurveStorage(storage.open_storage(url)))
    with pytest.raises(PermissionError):
        store.write("ab", None)  # type: ignore[arg-type]
    with pytest.raises(PermissionError, match="remove associated artifacts"):
        store.remove("ab")
