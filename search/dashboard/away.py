"""A storage that cannot be reached is told on a page, and tried again; the server stays up."""

import contextlib
import html
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from search.dashboard import gate
from search.database import patience, storage
from search.database.rdb import Database
from search.errors import StorageError

RETRY_S = 2.0  # between two looks at a storage that is away
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>The dashboard waits</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 15vh auto;
       padding: 0 1.5rem; color: #1b1f24; overflow-wrap: anywhere }}
h1 {{ font-size: 1.25rem }} p {{ color: #57606a }}
</style>
<h1>Waiting for the storage</h1>
<p>{reason}</p>
<p>This page tries again by itself.</p>
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_log = logging.getLogger("optsearch")
_T = TypeVar("_T")


class AwayError(StorageError):
    """The storage cannot be reached now; the same request may succeed later."""


class Impatient(patience.Patience):
    """Tells at once that a database is away: a page that waits for it would show nothing.

    After a failure nobody tries again for RETRY_S, or all threads would wait for connections.
    """

    def __init__(self, place: str, secrets: Iterable[str]) -> None:
        super().__init__(place, secrets)
        self._next_try, self._cause = 0.0, ""

    def run(self, call: Callable[[], _T]) -> _T:
        if time.monotonic() < self._next_try:
            raise AwayError(self._cause)
        try:
            answer = call()
        except Exception as error:
            if not patience.is_transient(error):
                self._raise(error)
            cause = patience.cause_of(error, self._secrets)
            self._cause = f"storage {self._place} is away: {cause}"
            self._next_try = time.monotonic() + RETRY_S
            self._say(True, self._cause)
            raise AwayError(self._cause) from error
        if self._is_waiting:
            self._say(False, f"storage {self._place} is back")
        return answer


def open_storage(url: str) -> Database:
    """A storage for many short requests, none of which waits for it.

    Raises:
        AwayError: it cannot be reached now.
        StorageError: waiting will not help: no such file, no tables, another Optuna's, refused.
    """
    try:
        database = storage.open_storage(url, create=False)
    except StorageError as error:
        if error.__cause__ is not None and patience.is_transient(error.__cause__):
            raise AwayError(str(error)) from error
        raise
    secrets = storage._secrets(database.engine.url)
    database.patience = Impatient(storage.redacted(url), secrets)
    return database


class Door:
    """The application behind it once its storage could be opened, and a page until then."""

    def __init__(self, url: str, make: Callable[[Database], Any]) -> None:
        """Raises StorageError where waiting would not help."""
        self._url, self._make, self._lock = url, make, threading.Lock()
        self._app: Any = None
        self._database: Database | None = None
        self.reason = ""
        try:
            self._open()
        except AwayError as error:
            self.reason = str(error)
            _log.warning("%s; trying again until it can", error)
            threading.Thread(target=self._keep_trying, daemon=True).start()

    def _open(self) -> None:
        self._database = open_storage(self._url)
        self._app = self._make(self._database)

    def _keep_trying(self) -> None:
        while self._app is None:
            time.sleep(RETRY_S)
            try:
                self._open()
            except StorageError as error:
                self.reason = str(error)
        _log.warning("the storage can be reached now")

    def _follow_file(self) -> None:
        """Open a SQLite file anew that was replaced: open connections would show the old one."""
        with self._lock:
            database = self._database
            if database is None or database.engine.dialect.name != "sqlite":
                return
            with contextlib.suppress(OSError):
                if Path(str(database.engine.url.database)).stat().st_ino == database.inode:
                    return
            self._open()
            database.engine.dispose()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._app is None or self._database is None:
            return unavailable(self.reason, environ, start_response)
        try:
            self._follow_file()
            if environ.get("PATH_INFO", "").startswith(
                ("/dashboard", "/live")
            ):  # the page reads nothing
                self._database._ask(lambda connection: connection.exec_driver_sql("SELECT 1"))
        except StorageError as error:
            return unavailable(str(error), environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


def unavailable(reason: str, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """503: as a page for people, as JSON for optuna-dashboard's own requests."""
    status, again = "503 Service Unavailable", [("Retry-After", f"{RETRY_S:.0f}")]
    path = environ.get("PATH_INFO", "")
    if path.strip("/") and not path.startswith(("/dashboard", "/live")):
        return gate.answer_with(status, reason, environ, start_response, again)
    body = _PAGE.format(reason=html.escape(reason)).encode()
    kind = ("Content-Type", "text/html; charset=utf-8")
    policy = ("Content-Security-Policy", _POLICY)
    start_response(status, [kind, policy, ("Content-Length", str(len(body))), *again])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
