"""A database that is away for a while is waited for: nothing of a running search may be lost."""

import functools
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import optuna
import sqlalchemy

from search.errors import StorageError

PATIENCE_S = 120.0  # how long a database may be away before a command gives up
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0  # between two tries; each is twice the one before
# primary result codes of SQLite: busy, locked, I/O error, full, cannot open, locking protocol
_SQLITE = (5, 6, 10, 13, 14, 15)
# connection exception, serialization failure, deadlock, out of resources (disk, memory,
# connections), lock not available, shut down or starting up by the operator, system error
_SQLSTATES = ("08", "40001", "40P01", "53", "55P03", "57P01", "57P02", "57P03", "57P05", "58")
# MySQL, which has no SQLSTATE of theirs: disk full, out of memory, lock not available, table full
_MYSQL = (3, 1021, 1037, 1038, 1041, 1114, 1205)
# A server that refuses a connection gives no code. These refusals will not go away by themselves.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|password .*expired|does not exist|no pg_hba"
    r"|permission denied|access denied|unknown database|read-?only|not permitted to log in",
    re.IGNORECASE,
)
_log = logging.getLogger("optsearch")
_T = TypeVar("_T")


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later, unchanged."""
    error = _unwrapped(error)
    if not isinstance(error, sqlalchemy.exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE
    state = getattr(error.orig, "sqlstate", None)
    if state == "HY000":  # of no kind
        return error.connection_invalidated or getattr(error.orig, "args", (0,))[0] in _MYSQL
    if state is not None:
        return error.connection_invalidated or state.startswith(_SQLSTATES)
    kinds = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError)
    is_away = error.connection_invalidated or isinstance(error, kinds)
    return is_away and not _REFUSED.search(str(error.orig))


def cause_of(error: BaseException, secrets: Iterable[str]) -> str:
    """The first line of what the driver says, without the secrets in it."""
    error = _unwrapped(error)
    cause = str(getattr(error, "orig", None) or error.__cause__ or error)
    for secret in secrets:
        cause = cause.replace(secret, "***")
    return cause.strip().split("\n")[0]


def _unwrapped(error: BaseException) -> BaseException:
    is_wrapped = isinstance(error, optuna.exceptions.StorageInternalError)
    return error.__cause__ or error if is_wrapped else error


class Patience:
    """Repeats what a database that is away for a while could not do.

    Says so once when the waiting begins and once when it ends, on the logger `optsearch`.
    """

    def __init__(self, place: str, secrets: Iterable[str]) -> None:
        """`place`: the redacted URL; `secrets`: what no message may repeat."""
        self._place, self._secrets = place, tuple(secrets)
        self._lock = threading.Lock()  # a dashboard's threads share one storage
        self._is_waiting = False

    def __getstate__(self) -> dict[str, Any]:
        """A lock stays in its process: joblib and spawned processes get one of their own."""
        return {key: value for key, value in vars(self).items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def run(self, call: Callable[[], _T]) -> _T:
        """The answer of a call that may be made more than once.

        Raises:
            StorageError: PATIENCE_S after the first failure the database is still away; or it
                answers what no waiting will change.
        """
        pause, give_up_at = FIRST_PAUSE_S, 0.0
        while True:
            try:
                answer = call()
            except Exception as error:
                if not is_transient(error):
                    self._raise(error)
                give_up_at = give_up_at or time.monotonic() + PATIENCE_S
                self._wait(error, pause, is_over=time.monotonic() >= give_up_at)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                if self._is_waiting:
                    self._say(False, f"storage {self._place} is back")
                return answer

    def _raise(self, error: Exception) -> None:
        if not isinstance(_unwrapped(error), sqlalchemy.exc.SQLAlchemyError):
            raise error
        raise StorageError(
            f"storage {self._place}: {cause_of(error, self._secrets)}; check the server and rights"
        ) from error

    def _wait(self, error: Exception, pause: float, is_over: bool) -> None:
        cause = cause_of(error, self._secrets)
        if is_over:
            raise StorageError(
                f"storage {self._place}: away for more than {PATIENCE_S:g} s: {cause}; "
                "once it is back, the same command resumes"
            ) from error
        self._say(True, f"waiting for storage {self._place}, {PATIENCE_S:g} s at most: {cause}")
        time.sleep(pause)

    def _say(self, is_waiting: bool, message: str) -> None:
        with self._lock:
            if self._is_waiting != is_waiting:
                self._is_waiting = is_waiting
                _log.warning(message)


def repeated(plain: Callable[..., _T]) -> Callable[..., _T]:
    """A method of a storage with a `patience`, repeated as it is until it is answered."""

    @functools.wraps(plain)
    def method(self: Any, *args: Any, **kwargs: Any) -> _T:
        answer: _T = self.patience.run(functools.partial(plain, self, *args, **kwargs))
        return answer

    return method
