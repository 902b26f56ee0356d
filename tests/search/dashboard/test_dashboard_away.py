"""search/dashboard/away.py: a storage that is away, and what is never told of its URL."""

import io
import json
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy

from search.dashboard import away, serve
from search.database import storage
from search.errors import StorageError
from tests import dashboards
from tests.dashboards import change, request
from tests.postgres import Server

Wait = Callable[[Callable[[], bool]], None]
SECRET = "s3cr3t%40pw"  # as it stands in a URL; the password itself has an @


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = Server(folder)
        dashboards.make_study(server.url)
        yield server
        server.close()


@pytest.fixture(scope="module")
def with_password(postgres: Server) -> str:
    """The URL of the same database for a role that has to tell its password."""
    with sqlalchemy.create_engine(storage._parse(postgres.url)).begin() as connection:
        connection.exec_driver_sql("CREATE ROLE me LOGIN SUPERUSER PASSWORD 's3cr3t@pw'")
    postgres.require_password("me")
    return postgres.url.replace("postgres:s3cr3t@", f"me:{SECRET}@")


def ok(app: Any, path: str) -> bool:
    return request(app, path).status == 200


@pytest.mark.soak
def test_a_server_that_stops_and_comes_back_is_told_meanwhile(
    postgres: Server, wait_for: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    """A page and JSON with 503, at once, and the studies again when it is back; one line in the
    log when it goes and one when it comes."""
    app = dashboards.application(postgres.url)
    assert ok(app, "/api/studies/1")
    postgres.stop("immediate")
    try:
        for path in ("/api/studies", "/api/studies/1", "/csv/1", "/api/studies/1/plot/slice"):
            answer = request(app, path)
            assert answer.status == 503
            assert answer.headers["retry-after"] == "2"
            assert "is away" in answer.json["reason"]
        page = request(app, "/dashboard/studies/1")
        assert page.status == 503
        assert b"Waiting for the storage" in page.body
        assert b"s3cr3t" not in page.body
        assert "style-src" in page.headers["content-security-policy"]
        assert request(app, "/static/bundle.js").status == 200
    finally:
        postgres.start()
    wait_for(lambda: ok(app, "/api/studies/1"))
    assert ok(app, "/dashboard")
    told = [r.getMessage() for r in caplog.records if r.name == "optsearch"]
    assert [("is away" in t, "is back" in t) for t in told] == [(True, False), (False, True)]


@pytest.mark.soak
def test_a_server_that_is_not_there_yet_is_waited_for(postgres: Server, wait_for: Wait) -> None:
    """The dashboard starts before its database: a page says so until it comes."""
    postgres.stop("fast")
    try:
        app = dashboards.application(postgres.url)
        for path in ("/", "/dashboard", "/api/studies"):
            assert request(app, path).status == 503
        assert b"tries again by itself" in request(app, "/").body
        assert request(app, "/", "HEAD").body == b""
    finally:
        postgres.start()
    wait_for(lambda: ok(app, "/api/studies/1"))


def test_requests_do_not_queue_up_for_a_storage_that_is_away() -> None:
    """Who asks a moment after a failure is not made to wait for another one."""
    tries = []

    def fail() -> None:
        tries.append(1)
        raise sqlalchemy.exc.OperationalError("", {}, ConnectionError("refused"))

    patience = away.Impatient("postgresql://host/db", [])
    for _ in range(50):
        with pytest.raises(away.AwayError, match="postgresql://host/db is away: refused"):
            patience.run(fail)
    assert len(tries) == 1


def test_a_storage_that_refuses_is_an_error_at_the_start(with_password: str) -> None:
    """Waiting does not mend a wrong password; it is not told, nor is the one that was tried."""
    wrong = with_password.replace(SECRET, "wr0ng-pw")
    with pytest.raises(StorageError, match="cannot be opened") as caught:
        serve.create_server(wrong, 0)
    assert "wr0ng-pw" not in str(caught.value)
    nothing = with_password.replace("/postgres?", "/nosuch?")
    with pytest.raises(StorageError, match="cannot be opened"):
        serve.create_server(nothing, 0)


@pytest.mark.soak
def test_not_a_byte_of_the_storages_password_is_told(
    postgres: Server,
    with_password: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    wait_for: Wait,
) -> None:
    """In pages, headers, logs and tracebacks; of a server that answers, is away, and refuses."""
    caplog.set_level(logging.DEBUG)
    errors, heard = io.StringIO(), []

    def ask(app: Any) -> None:
        for path in ("/", "/dashboard", "/api/meta", "/api/studies", "/api/studies/1", "/csv/1",
                     "/api/studies/999", "/api/studies/1?after=x", "/artifacts/1/1/c0de-1",
                     "/api/studies/99999999999999"):  # fmt: skip
            heard.append(request(app, path, **{"wsgi.errors": errors}))  # type: ignore[arg-type]
        for content in ({"study_name": "x\x00y", "directions": ["minimize"]}, {"version": 1}):
            heard.append(change(app, "/api/studies", "POST", content))
            heard.append(change(app, "/api/studies/1/note", "PUT", content))

    app = dashboards.application(with_password, is_editable=True)
    ask(app)
    assert heard[3].json["study_summaries"]
    assert all(a.status < 500 for a in heard)
    postgres.stop("immediate")
    try:
        ask(app)
        ask(dashboards.application(with_password))
    finally:
        postgres.start()
    wait_for(lambda: ok(app, "/api/studies"))
    assert any(a.status == 503 for a in heard)
    printed = capfd.readouterr()
    text = caplog.text + errors.getvalue() + printed.out + printed.err
    text += "".join(f"{a.headers}{a.body!r}" for a in heard)
    assert "is away" in text
    for part in (SECRET, "s3cr3t", "s3cr3t@pw"):
        assert part not in text


def test_a_url_of_a_server_that_nobody_runs_is_told_without_its_password() -> None:
    """On the page that waits."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        app = dashboards.application(f"postgresql://me:{SECRET}@127.0.0.1:{port}/db")
        page = request(app, "/")
        reason = request(app, "/api/studies").json["reason"]
    assert page.status == 503
    assert f"me:***@127.0.0.1:{port}/db" in reason
    assert b"s3cr3t" not in page.body
    assert "s3cr3t" not in reason + json.dumps(page.headers)


@pytest.mark.soak
def test_a_file_that_goes_away_in_mid_run_is_told(tmp_path: Path) -> None:
    """A SQLite file that is no database any more: 503 and a reason, and the server lives."""
    url = f"sqlite:///{tmp_path}/a.db"
    dashboards.make_study(url)
    app = dashboards.application(url)
    assert ok(app, "/api/studies")
    opened = storage.open_storage(url)
    opened.engine.dispose()
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE studies RENAME TO gone")
    answer = request(app, "/api/studies")
    assert answer.status == 503
    assert "no such table" in answer.json["reason"]
    assert request(app, "/api/meta").status == 200


@pytest.mark.soak
def test_a_file_that_is_replaced_in_mid_run_is_followed(tmp_path: Path) -> None:
    """Removed: 503, and no empty file in its place. A new one of the same name: its studies."""
    url = f"sqlite:///{tmp_path}/a.db"
    dashboards.make_study(url)
    app = dashboards.application(url)
    assert len(request(app, "/api/studies/1").json["trials"]) == 4
    for file in tmp_path.glob("a.db*"):
        file.unlink()
    answer = request(app, "/api/studies")
    assert (answer.status, request(app, "/dashboard").status) == (503, 503)
    assert "no such file" in answer.json["reason"]
    assert not (tmp_path / "a.db").exists()
    study = optuna.create_study(study_name="parabola", storage=storage.open_storage(url))
    study.tell(study.ask(), 5.0)
    assert [t["values"] for t in request(app, "/api/studies/1").json["trials"]] == [[5.0]]


@pytest.mark.soak
def test_the_command_serves_until_it_is_interrupted(
    tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address on the first line; the password from the environment; Ctrl-C ends it."""
    url = f"sqlite:///{tmp_path}/a.db"
    dashboards.make_study(url)
    monkeypatch.setenv(serve.PASSWORD, dashboards.PASSWORD)
    started = command("dashboard", "--storage", url, "--port", 0)
    line = started.process.stdout.readline()
    address = line.split()[0]
    assert "read-only" in line
    assert dashboards.status(address + "api/studies") == 401
    login = {"Authorization": dashboards.login()}
    assert dashboards.get(address + "api/studies", **login)["study_summaries"]
    assert dashboards.status(address + "api/studies/1", "DELETE", **login) == 403
    started.interrupt()
    answer = started.end()
    assert answer.code in (0, 130)
    assert "Traceback" not in answer.err
    assert dashboards.PASSWORD not in line + answer.out + answer.err


def test_the_command_refuses_what_would_be_open_to_everybody(cli: Any, monkeypatch: Any) -> None:
    """Another address without a password, and a password that is empty."""
    monkeypatch.delenv(serve.PASSWORD, raising=False)
    refused = cli("dashboard", "--host", "0.0.0.0", "--storage", "sqlite:///none.db")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "needs a password" in refused.err
    monkeypatch.setenv(serve.PASSWORD, "")
    refused = cli("dashboard", "--storage", "sqlite:///none.db")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert os.environ[serve.PASSWORD] == ""
