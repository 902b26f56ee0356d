"""A study to look at, a dashboard that serves it, and requests to its WSGI application."""

import base64
import contextlib
import io
import json
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search.dashboard import away, fast, gate, serve, views
from search.database import storage
from search.record import results

NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}  # screens
PASSWORD = "correct horse: bätterÿ"
SPEC = {"question": "Where is the top?", "objective": "./mine.py:objective"}


def make_study(url: str, name: str = "parabola") -> optuna.Study:
    """A trial with a learning curve, one without reports, one that runs, one that failed."""
    database = storage.open_storage(url)
    study = optuna.create_study(study_name=name, storage=database, direction="maximize")
    study.set_user_attr("spec", SPEC)
    first, second, _, fourth = (study.ask() for _ in range(4))
    for step, value in enumerate([0.1, 0.5, 0.7]):
        first.report(value, step)
    first.set_user_attr("history", {k: [0.1, 0.5, 0.7] for k in results.HISTORY_COLUMNS})
    first.set_user_attr("best_epoch", 2)
    first.set_user_attr("reason", "plateau")
    first.suggest_float("lr", 0.0, 1.0)
    study.tell(first, 0.7)
    study.tell(second, 0.2)
    optuna.trial.Trial(study, study.trials[2]._trial_id).report(0.3, 0)
    fourth.set_user_attr("error", "Traceback\nRuntimeError: <b>no</b> `shape` of | mine")
    fourth.set_user_attr("reason", "exception")
    study.tell(fourth, state=TrialState.FAIL)
    return study


def application(url: str, **rules: Any) -> gate.Gate:
    """What a server of the dashboard calls."""
    editable = bool(rules.get("is_editable"))
    door = away.Door(url, lambda d: views.application(d, url, is_editable=editable))
    return gate.Gate(fast.compressed(door), gate.Rules(**rules))


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(app: Any, path: str, method: str = "GET", body: bytes = b"", **environ: str) -> Answer:
    """Call a WSGI application as waitress does; keywords are what stands in its environment."""
    path, _, query = path.partition("?")
    started: list[Any] = []
    whole: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": "localhost:8080",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        **environ,
    }
    answer = app(whole, lambda *told: started.append(told))
    content = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    status, headers = started[0][:2]
    return Answer(int(status.split()[0]), {k.lower(): v for k, v in headers}, content)


def change(app: Any, path: str, method: str, content: Any = None, **environ: str) -> Answer:
    """A request as the dashboard's own page sends it."""
    body = b"" if content is None else json.dumps(content).encode()
    own = {"HTTP_ORIGIN": "http://localhost:8080", "CONTENT_TYPE": "application/json"}
    return request(app, path, method, body, **{**own, **environ})


def login(password: str = PASSWORD, user: str = "me") -> str:
    """The header of HTTP basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def served(url: str, port: int = 0, **options: Any) -> Iterator[str]:
    """The address of a dashboard that serves in a thread."""
    server = serve.create_server(url, port, **options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield serve.address_of(server).rstrip("/")
    server.trigger.pull_trigger(lambda: _close(server))  # in its own thread; so it ends
    thread.join(timeout=30)
    server.task_dispatcher.shutdown()


def _close(server: Any) -> None:
    """The listening socket, and the connections that browsers keep open."""
    for channel in list(server._map.values()):
        channel.close()


def get(address: str, **headers: str) -> Any:
    """The body of an answer, from JSON where it is JSON."""
    asked = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        body = answer.read()
        return json.loads(body) if "json" in answer.headers["Content-Type"] else body


def status(address: str, method: str = "GET", **headers: str) -> int:
    """The status of an answer, whatever it is."""
    asked = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def dump(url: str) -> list[str]:
    """Every row of every table of a SQLite database."""
    with contextlib.closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as connection:
        return list(connection.iterdump())
