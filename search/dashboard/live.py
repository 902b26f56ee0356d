"""The page of one study while it runs: `/live/ID`, moved by server-sent events.

An event holds all sections, and its answer ends with it: the browser asks again by itself after as
long as the answer says. So no client holds a thread, and one that vanishes costs nothing. However
many look, a study is read at most once a second.
"""

import hashlib
import hmac
import html
import json
import secrets
import string
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from bottle import HTTPResponse, request

from search.dashboard import sections
from search.dashboard import seen as seeing
from search.errors import OptsearchError
from search.record import by_hand
from search.record import study as studies

HERE = Path(__file__).parent
LOOK_S, IDLE_S = 1.5, 10.0  # until a browser asks again: while anything runs, and else
LEAST_S, MOST_S, SHARE = 1.0, 5.0, 4  # how long a reading is used: so many times what it took
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:"
)
TOKEN = "X-Optsearch-Token"
_FILES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


class _Look(NamedTuple):
    """What one reading has shown, and until when it is used (`time.monotonic()`)."""

    title: str
    name: str
    parts: dict[str, str]
    is_lively: bool
    until: float

    @property
    def mark(self) -> str:
        """What tells it from another one."""
        return hashlib.sha256(json.dumps(self.parts).encode()).hexdigest()[:16]


class Pages:
    """The live pages of a storage's studies.

    Where they may change something, a trial is ended by a POST that holds the token of this server,
    which only its own pages know: the gate in front has looked at the origin before.
    """

    def __init__(self, storage: Any, *, is_editable: bool = False) -> None:
        self._storage = storage
        self._token = secrets.token_urlsafe(16) if is_editable else ""
        self._looks: dict[int, _Look] = {}
        self._lock = threading.Lock()

    def add_to(self, app: Any) -> None:
        """Give an application the routes."""
        app.route("/live/<study_id:int>", "GET", self.page)
        app.route("/live/<study_id:int>/events", "GET", self.events)
        app.route("/live/page.<kind:re:css|js>", "GET", self.file)
        if self._token:
            app.route("/live/<study_id:int>/end/<number:int>", "POST", self.end)

    def page(self, study_id: int) -> Any:
        look = self._look(study_id)
        parts = "\n".join(
            f'<section id="{name}">{part}</section>' for name, part in look.parts.items()
        )
        about = {"title": html.escape(look.title), "name": html.escape(look.name), "id": study_id}
        about["token"] = self._token
        text = (HERE / "live.html").read_text(encoding="utf-8")
        filled = string.Template(text).substitute(about, sections=parts)
        return _answer(filled, "text/html; charset=utf-8")

    def events(self, study_id: int) -> Any:
        """What has changed since the event that the browser knows; a comment where nothing has."""
        look = self._look(study_id)
        retry = f"retry: {1000 * (LOOK_S if look.is_lively else IDLE_S):.0f}\n"
        if request.headers.get("Last-Event-ID") == look.mark:
            return _answer(f"{retry}: nothing new\n\n", "text/event-stream")
        told = json.dumps({"sections": look.parts})
        return _answer(f"{retry}id: {look.mark}\ndata: {told}\n\n", "text/event-stream")

    def end(self, study_id: int, number: int) -> Any:
        """End a trial now (search/record/by_hand.py); a sentence says what was done."""
        told = request.headers.get(TOKEN, "")
        if not hmac.compare_digest(told.encode(), self._token.encode()):
            return _sentence(403, "this page is of another server by now; load it again")
        name = self._storage.get_study_name_from_id(study_id)
        study = optuna.load_study(study_name=name, storage=self._storage)
        try:
            studies.require_spec(study)
            was_running = by_hand.end(study, number)
        except OptsearchError as error:
            return _sentence(409, str(error).removeprefix("--"))  # what a command calls its option
        with self._lock:
            self._looks.pop(study_id, None)  # whoever ended it sees it gone
        then = "; its worker lets go of it at its next report" if was_running else ""
        return _sentence(200, f"Trial {number} is ended{then}.")

    def file(self, kind: str) -> Any:
        return _answer((HERE / f"live.{kind}").read_text(encoding="utf-8"), _FILES[kind])

    def _look(self, study_id: int) -> _Look:
        """Raises KeyError: there is no such study."""
        name = self._storage.get_study_name_from_id(study_id)
        with self._lock:
            look = self._looks.get(study_id)
            if look is None or look.name != name or time.monotonic() > look.until:
                look = self._looks[study_id] = self._read(name)
            return look

    def _read(self, name: str) -> _Look:
        began = time.monotonic()
        study = optuna.load_study(study_name=name, storage=self._storage)
        seen = seeing.see(study, may_end=bool(self._token))
        parts = sections.sections(seen)
        now = time.monotonic()
        until = now + min(MOST_S, max(LEAST_S, SHARE * (now - began)))
        return _Look(seen.title, name, parts, seen.is_lively, until)


def _sentence(status: int, text: str) -> HTTPResponse:
    return HTTPResponse(text, status, {"Content-Type": "text/plain; charset=utf-8"})


def _answer(text: str, kind: str) -> HTTPResponse:
    return HTTPResponse(text, 200, {"Content-Type": kind, "Content-Security-Policy": _POLICY})
