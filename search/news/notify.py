"""`notify` of a study file: a command or a URL is told what happens. Its own failure is a line.

Nothing of it is in the database but a few digits that tell who has been told which answer, and no
message holds more of a URL than its host: the rest may be a secret.
"""

import base64
import contextlib
import functools
import hashlib
import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.header import Header
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import optuna

from search.errors import StorageError
from search.news import events
from search.record.listener import Both, Event, Listener
from search.studyfile import parts
from search.studyfile.parts import Notice

COMMAND_S, URL_S = 60.0, 20.0  # how long either may take
PAUSES_S = (1.0, 3.0)  # before a URL that could not be reached is tried again
WAIT_S = 2 * COMMAND_S  # how long the end of a run waits for those that are under way
AGAIN = (429, 500, 502, 503, 504)  # answers that another try may better
HOSTS = {"hooks.slack.com": "slack", "ntfy.sh": "ntfy"}
TAGS = {"answer": "white_check_mark", "failure": "warning", "stalled": "zzz"}  # ntfy's names


TOLD = "optsearch:told"  # study attribute: what the last answer was made of, by whom it was told


class NoticeError(Exception):
    """Somebody could not be told; in words that hold no secret."""


@contextlib.contextmanager
def telling(name: str, notify: Sequence[Notice], listener: Listener) -> Iterator[Listener]:
    """A listener that also tells those of the study file, of an error that is raised in here too.

    It waits at its end for what is under way.
    """
    if not notify:
        yield listener
        return
    told = Notices(name, notify, listener)
    try:
        yield Both(listener, told)
    except Exception as error:
        told.happened(events.of_failure(name, str(error) or type(error).__name__))
        raise
    finally:
        told.wait()


class Notices(Listener):
    """Tells each row of `notify` in a thread of its own, so that a run never waits for it."""

    def __init__(self, name: str, notify: Sequence[Notice], listener: Listener) -> None:
        self._name, self._notify, self._listener = name, notify, listener
        self._threads: list[threading.Thread] = []
        self._failed: list[str] = []
        self._done: list[tuple[Notice, Event]] = []

    def happened(self, event: Event) -> None:
        self._warn()
        for i, row in enumerate(self._notify):
            if event.kind in row.events and not _knows(row, event):
                tell = functools.partial(self._tell, i, row, event)
                self._threads.append(threading.Thread(target=tell, daemon=True))
                self._threads[-1].start()

    def wait(self) -> None:
        """Until everybody has been told, or could not be."""
        until = time.monotonic() + WAIT_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for row, event in self._done:
            with contextlib.suppress(KeyError, StorageError):  # then it is told once more
                _remember(row, event)
        self._done.clear()
        self._warn()

    def _tell(self, i: int, row: Notice, event: Event) -> None:
        try:
            if row.command is not None:
                run_command(row.command, event)
            else:
                post(row, event, os.environ)
            self._done.append((row, event))
        except NoticeError as error:
            self._failed.append(f"notify[{i}]: {event.kind} could not be told: {error}")

    def _warn(self) -> None:
        while self._failed:
            self._listener.warn(self._name, self._failed.pop(0))


def _knows(row: Notice, event: Event) -> bool:
    """Whether this row has been told the same, of nothing new, by an earlier run."""
    if event.where is None or not event.made_of:
        return False
    told = event.where.user_attrs.get(TOLD, {})
    return bool(told.get(_key(row, event.where)) == event.made_of)


def _remember(row: Notice, event: Event) -> None:
    if event.where is not None and event.made_of:
        told = event.where.user_attrs.get(TOLD, {})
        event.where.set_user_attr(TOLD, told | {_key(row, event.where): event.made_of})


def _key(row: Notice, study: optuna.Study) -> str:
    """Tells a row from others without telling whom it names."""
    named = f"{study.user_attrs.get('uid')} {row.command} {row.url} {row.shape}"
    return hashlib.sha256(named.encode()).hexdigest()[:8]


def run_command(command: str, event: Event) -> None:
    """Have a shell run it, with the event as JSON on standard input and in variables.

    Raises:
        NoticeError: it fails, or takes longer than COMMAND_S.
    """
    variables = {"EVENT": event.kind, "STUDY": event.study, "TEXT": event.text}
    environ = os.environ | {f"OPTSEARCH_{k}": v.replace("\0", "") for k, v in variables.items()}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        running = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=printed,
            text=True,
            env=environ,
            start_new_session=True,  # Ctrl-C is for the run
        )
        try:
            running.communicate(json.dumps(_whole(event)), timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            raise NoticeError(f"it took longer than {COMMAND_S:.0f} s") from None
        printed.seek(0)
        lines = printed.read().strip().splitlines()
    if running.returncode:
        last = f": {lines[-1]:.200}" if lines else ""
        raise NoticeError(f"it ended with {running.returncode}{last}")


def post(row: Notice, event: Event, environ: Mapping[str, str]) -> None:
    """Send it to a URL, three times at most.

    Raises:
        NoticeError: it was not taken.
    """
    try:
        url = urlsplit(parts.expanded(row.url or "", environ))
    except ValueError:
        raise NoticeError("its URL is none, by its brackets") from None
    shape = row.shape or HOSTS.get(url.hostname or "", "json")
    headers, body = SHAPES[shape](event)
    if url.username:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    bare = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    asked = urllib.request.Request(bare, body, {"User-Agent": "optsearch", **headers})
    for pause in (*PAUSES_S, None):
        try:
            with urllib.request.build_opener(_NoRedirect).open(asked, timeout=URL_S):
                return
        except urllib.error.HTTPError as error:
            why, is_final = f"answered {error.code} {error.reason}", error.code not in AGAIN
        except (http.client.InvalidURL, ValueError):  # whose message would hold all of it
            raise NoticeError(f"{_host(url)}: its URL is none, by its port or a blank") from None
        except (OSError, http.client.HTTPException) as error:
            why, is_final = f"cannot be reached: {_cause(error)}", False
        if is_final or pause is None:
            raise NoticeError(f"{_host(url)} {why}")
        time.sleep(pause)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent elsewhere by another method would be lost without a word."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)


def _host(url: SplitResult) -> str:
    return url.hostname or "its host"


def _whole(event: Event) -> dict[str, Any]:
    return {"event": event.kind, "study": event.study, "text": event.text, **event.facts}


def _json(event: Event) -> tuple[dict[str, str], bytes]:
    return {"Content-Type": "application/json"}, json.dumps(_whole(event)).encode()


def _slack(event: Event) -> tuple[dict[str, str], bytes]:
    """An incoming webhook's (api.slack.com/messaging/webhooks); Mattermost takes the same."""
    return {"Content-Type": "application/json"}, json.dumps({"text": event.text}).encode()


def _ntfy(event: Event) -> tuple[dict[str, str], bytes]:
    """The message as it is, what it is about in headers (docs.ntfy.sh/publish)."""
    title = f"{event.study}: {event.kind}"
    told = title if title.isascii() else Header(title, "utf-8", maxlinelen=10_000).encode()
    urgent = {"Priority": "high"} if event.kind == "failure" else {}
    return {"Title": told, "Tags": TAGS[event.kind], **urgent}, event.text.encode()


SHAPES: dict[str, Callable[[Event], tuple[dict[str, str], bytes]]] = {
    "json": _json,
    "slack": _slack,
    "ntfy": _ntfy,
}
