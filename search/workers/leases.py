"""Heartbeats: who runs a trial says so every few seconds, and who stays silent has lost it.

No clock is compared with another one. A watcher sees whether a heartbeat *changes* while its own
monotonic clock runs on: clocks that differ between hosts, or jump, cost nothing.
"""

import contextlib
import threading
import time
from collections.abc import Callable

import optuna
import sqlalchemy
from optuna.trial import TrialState

from search.database import storage

BEAT_S = 10.0
SILENT_S = (
    40.0  # a worker is lost after this long without a heartbeat: within a minute of its death
)
BLIND_S = 15.0  # two looks further apart than this: the watcher itself was held up, and saw nothing


def beat(study: optuna.Study, trial_id: int) -> None:
    """Say that the trial is being run."""
    storage.database_of(study).record_heartbeat(trial_id)


class Heart:
    """A thread that beats for one trial. Use as a context manager around the objective."""

    def __init__(self, study: optuna.Study, trial_id: int) -> None:
        self._study, self._trial_id = study, trial_id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()  # not joined: it may wait for a slow database

    def _run(self) -> None:
        while not self._ended.wait(BEAT_S):
            with contextlib.suppress(Exception):  # the main thread meets the same, and tells it
                beat(self._study, self._trial_id)


class Watch:
    """Sees which RUNNING trials of a study have fallen silent. Call `lost` every few seconds."""

    def __init__(self, study: optuna.Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._study, self._clock = study, clock
        self._seen: dict[int, tuple[object, float]] = {}  # trial id -> its last beat, seen when
        self._looked = clock()

    def lost(self) -> set[int]:
        """Ids of the trials whose heartbeat has not changed for SILENT_S."""
        beats, now = self._beats(), self._clock()
        if now - self._looked > BLIND_S:
            self._seen.clear()
        self._looked = now
        self._seen = {
            trial_id: known
            if (known := self._seen.get(trial_id)) and known[0] == last
            else (last, now)
            for trial_id, last in beats.items()
        }
        return {trial_id for trial_id, (_, since) in self._seen.items() if now - since > SILENT_S}

    def _beats(self) -> dict[int, object]:
        """The last heartbeat of every RUNNING trial; None of one that never beat."""
        query = sqlalchemy.text(
            "SELECT t.trial_id, h.heartbeat FROM trials t LEFT JOIN trial_heartbeats h "
            "ON h.trial_id = t.trial_id WHERE t.study_id = :study AND t.state = :running"
        )
        asked = {"study": self._study._study_id, "running": TrialState.RUNNING.name}
        database = storage.database_of(self._study)

        def read() -> dict[int, object]:
            with database.engine.connect() as connection:
                rows = connection.execute(query, asked)
                return {row.trial_id: row.heartbeat for row in rows}

        return database.patience.run(read)
