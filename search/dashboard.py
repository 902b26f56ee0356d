"""optuna-dashboard on a storage of ours, with a picture of the learning curve on every trial.

The pictures are drawn when somebody looks, from the history in the database: nothing is written,
trials that finished long ago have theirs too, and a running trial's grows.
"""

import copy
import functools
import json
import threading
import warnings
from collections.abc import Container
from io import BytesIO
from typing import Any, BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

# optuna.storages.get_storage wraps every RDBStorage in this class: it caches finished trials
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, TrialState

from search import figures, results, storage
from search.errors import UsageError

_PREFIX = "c0de-"  # artifact ids are hexadecimal digits and dashes; ours carry the trial's id

_LONG = ("history", "error", "versions")  # the page would be thousands of pixels wide


def application(url: str) -> Any:
    """The WSGI application for every study of a storage.

    Raises:
        StorageError: the storage cannot be reached, or holds no studies' tables.
    """
    from optuna_dashboard import wsgi  # costs half a second

    database = CurveStorage(storage.open_storage(url, create=False))
    return wsgi(database, artifact_store=CurveStore(database))


def create_server(url: str, port: int) -> Any:
    """A server on this machine's loopback address; `run()` serves until interrupted.

    Raises:
        UsageError: the port is taken.
    """
    import waitress

    warnings.filterwarnings("ignore", module="optuna")  # its importance warns at every view
    app = application(url)
    try:
        return waitress.create_server(app, host="127.0.0.1", port=port, threads=8, ident=None)
    except OSError as error:
        raise UsageError(
            f"--port {port}: {error.strerror or error}; try --port {port + 1}, or --port 0 for any"
        ) from error


class CurveStorage(_CachedStorage):
    """The storage as the dashboard sees it: each trial with epochs has its curve as an artifact."""

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return _with_curve(super().get_trial(trial_id))

    def stored(self, trial_id: int) -> FrozenTrial:
        """A trial as the database holds it."""
        return super().get_trial(trial_id)

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        return self.get_trial(trial_id).system_attrs

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return [_with_curve(t) for t in super().get_all_trials(study_id, deepcopy, states)]


def _with_curve(trial: FrozenTrial) -> FrozenTrial:
    """The trial as it is shown; the cached one is shared, and must stay as it is stored."""
    shown = copy.copy(trial)
    shown._user_attrs = {k: v for k, v in trial.user_attrs.items() if k not in _LONG}
    if error := results.error_line(trial):
        shown._user_attrs["error"] = error
    if trial.intermediate_values:
        name = f"{_PREFIX}{trial._trial_id:x}"
        meta = {
            "artifact_id": name,
            "filename": f"learning-curve-{trial.number}.svg",
            "mimetype": "image/svg+xml",
            "encoding": None,
        }
        shown._system_attrs = {**trial.system_attrs, f"artifacts:{name}": json.dumps(meta)}
    return shown


class CurveStore:
    """An artifact store whose files are drawn on demand; it keeps none."""

    def __init__(self, database: CurveStorage) -> None:
        self._database = database
        self._lock = threading.Lock()  # matplotlib's caches are not safe among threads
        self._draw = functools.lru_cache(maxsize=256)(self._drawn)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            trial = self._database.stored(int(artifact_id.removeprefix(_PREFIX), 16))
        except (KeyError, ValueError):
            raise ArtifactNotFound(f"no learning curve '{artifact_id}'") from None
        with self._lock:
            return BytesIO(self._draw(trial._trial_id, results.epochs_run(trial), trial.state))

    def _drawn(self, trial_id: int, _epochs: int, _state: TrialState) -> bytes:
        return figures.learning_curve(self._database.stored(trial_id))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        raise PermissionError("this dashboard keeps no uploads")

    def remove(self, artifact_id: str) -> None:
        raise PermissionError("learning curves are drawn from the database; nothing to remove")
