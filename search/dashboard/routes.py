"""optuna-dashboard's views, each told what it may be asked, and what to say when it fails.

Its own say "internal server error" to a study that is not there and to a number that is none.
"""

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any

import optuna
import sqlalchemy
from bottle import HTTPError, HTTPResponse, request, response
from optuna.artifacts.exceptions import ArtifactNotFound

from search.dashboard import fast
from search.dashboard.gate import SAFE
from search.database import patience, storage
from search.errors import StorageError
from search.record.study import CONFIRMS

# Commands and curves in a note are whole on a narrow screen, too.
_STYLE = """
main pre, main code { white-space: pre-wrap; overflow-wrap: anywhere }
main p > img { max-width: 100% }
"""
_READ_ONLY_STYLE = """
header .MuiToolbar-root::after { content: "read-only"; margin-left: auto; padding-left: 1rem;
  white-space: nowrap; opacity: 0.85 }
[aria-label="delete study"], [aria-label="rename study"], [aria-label="delete artifact"],
button:has([data-testid="AddBoxIcon"]), button:has([data-testid="EditIcon"]),
button:has([data-testid="CreateIcon"]) { display: none !important }
"""
_LARGEST_ID = 2**31 - 1  # what a column of the database holds
_DETAIL = "/api/studies/<study_id:int>"
_LIST = "/api/studies"
_RENAME = "/api/studies/<study_id:int>/rename"
_PAGE = "/dashboard<:re:(/.*)?>"
_WRONG = (ValueError, TypeError, AttributeError, AssertionError, ArithmeticError, LookupError)
_STORAGE = (StorageError, sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
_log = logging.getLogger("optsearch")


def replace(app: Any, database: Any, studies: fast.Studies, *, is_editable: bool) -> None:
    """Put our views in the place of an application's own, on all of its routes."""
    style = _STYLE if is_editable else _STYLE + _READ_ONLY_STYLE
    secrets = storage._secrets(database._backend.engine.url)
    app.default_error_handler = _error  # its own cannot tell of every path that is wrong
    for route in app.routes:
        is_json = hasattr(route.callback, "__wrapped__")  # by its json_api_view
        view = getattr(route.callback, "__wrapped__", route.callback)
        if (route.rule, route.method) == (_DETAIL, "GET"):
            view = _detail(view, database, studies)
        elif (route.rule, route.method) == (_LIST, "GET"):
            view = _list(view, database)
        elif (route.rule, route.method) == (_RENAME, "POST"):
            view = _rename(view, database)
        elif route.rule == _PAGE:
            view = _styled(view, style)
        route.callback = _told(view, is_json, secrets)
        route.reset()


def _list(theirs: Callable[..., Any], database: Any) -> Any:
    """All studies but those that only hold the runs which confirm another one: these are shown with
    it, on its live page, and are linked from its note."""

    def list_studies() -> Any:
        found = theirs()
        there = {s.study_name: s.user_attrs.get(CONFIRMS) for s in database.get_all_studies()}
        kept = [s for s in found["study_summaries"] if there.get(s["study_name"]) not in there]
        return {**found, "study_summaries": kept}

    return list_studies


def _detail(theirs: Callable[..., Any], database: Any, studies: fast.Studies) -> Any:
    """A study with its trials, from what is remembered of it; other kinds of study as ever."""

    def get_study_detail(study_id: int) -> Any:
        after = int(request.query.get("after", 0))
        if after < 0:
            raise ValueError("`after` should be larger or equal 0.")
        there = database.get_all_studies()
        studies.keep(there)
        study = next((s for s in there if s._study_id == study_id), None)
        if study is None:
            return _refuse(404, f"study_id={study_id} is not found")
        return studies.body(study, after) if fast.is_plain(study) else theirs(study_id=study_id)

    return get_study_detail


def _rename(theirs: Callable[..., Any], database: Any) -> Any:
    """Renaming copies a study and deletes it: not while somebody works on it."""

    def rename_study(study_id: int) -> Any:
        states = (optuna.trial.TrialState.RUNNING,)
        if database.get_all_trials(study_id, deepcopy=False, states=states):
            return _refuse(409, "trials of this study are running; rename it when they have ended")
        return theirs(study_id=study_id)

    return rename_study


def _styled(theirs: Callable[..., Any], style: str) -> Any:
    """The page; where it cannot change anything it says so, and shows no buttons that do."""

    def dashboard() -> Any:
        page = theirs()
        if page.status_code == 200 and request.method != "HEAD":
            with page.body:
                text = page.body.read()
            page.body = text.replace(b"</head>", f"<style>{style}</style></head>".encode(), 1)
            page.headers["Content-Length"] = str(len(page.body))
        return page

    return dashboard


def _told(view: Callable[..., Any], is_json: bool, secrets: list[str]) -> Any:
    """The view with its failures told: what was asked wrongly 4xx, the storage 503, ours 500."""

    @functools.wraps(view)
    def answer(**arguments: Any) -> Any:
        if is_json:
            response.content_type = "application/json"
        ids = [v for v in arguments.values() if isinstance(v, int)]
        if not all(0 <= i <= _LARGEST_ID for i in ids):
            return _refuse(404, "there is no such number")
        try:
            found = view(**arguments)
        except HTTPError as error:
            return _refuse(error.status_code, str(error.body))
        except HTTPResponse:
            raise
        except Exception as error:
            return _refuse(*_explained(error, secrets))
        if response.status_code == 204:  # its page reads a body there, and takes none for failure
            response.status = 200
        return found

    return answer


def _explained(error: Exception, secrets: list[str]) -> tuple[int, str]:
    """Status and reason."""
    is_change = request.method not in SAFE
    if isinstance(error, _STORAGE):
        root = error.__cause__ if isinstance(error, StorageError) else error
        is_final = root is not None and not patience.is_transient(root)
        words = str(error) if isinstance(error, StorageError) else "the storage failed"
        return (400 if is_change and is_final else 503), words
    if isinstance(error, optuna.exceptions.UpdateFinishedTrialError):
        return 409, "the trial has ended: it stays as it is"
    if isinstance(error, PermissionError):
        return 403, str(error)
    if isinstance(error, (KeyError, ArtifactNotFound)):
        return 404, "there is no such study, trial or artifact"
    if isinstance(error, ValueError) or (
        is_change and isinstance(error, (*_WRONG, RecursionError))
    ):
        return 400, "the request is not what this path takes"
    text = "".join(traceback.format_exception(error))
    for secret in secrets:
        text = text.replace(secret, "***")
    _log.error("%s %s failed:\n%s", request.method, request.path, text)
    return 500, "the dashboard failed here; its log says how"


def _error(error: HTTPError) -> str:
    error.content_type = "text/plain; charset=utf-8"
    return f"{error.status_line}\n"


def _refuse(status: int, reason: str) -> Any:
    response.status = status
    response.content_type = "application/json"
    if status == 503:
        response.headers["Retry-After"] = "2"
    return {"reason": reason}
