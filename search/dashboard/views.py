"""What optuna-dashboard shows of our studies, beyond what it shows of any.

Curves and notes are made when somebody looks, from what is in the database: nothing is written,
trials that finished long ago have theirs too, and those of a running trial grow.
"""

import copy
import functools
import json
import threading
import warnings
from datetime import UTC
from io import BytesIO
from typing import Any, BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

# optuna.storages.get_storage wraps every RDBStorage in this class: it caches finished trials
from optuna.storages._cached_storage import _CachedStorage
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from search.answers import figures, plans, testset
from search.dashboard import fast, live, notes, routes
from search.database.rdb import Database
from search.record import results

notes.CURVE = "c0de-"  # artifact ids are hexadecimal digits and dashes; ours carry the trial's id
_LONG = ("history", "error", "versions")  # the page would be thousands of pixels wide
_OURS = "optsearch:"  # of attributes that are for programs
_OF_STUDY = (  # of our studies: the question, and what the answer is made of; the note tells both
    *("spec", "spec_version", "uid", "settings", "longest", "versions"),
    *(plans.PLAN, plans.CHOICE, plans.EARLIER, testset.SCORES),
)


def application(database: Database, url: str, *, is_editable: bool = False) -> Any:
    """optuna-dashboard's WSGI application with our views; it warms itself up in a thread."""
    from optuna_dashboard import wsgi  # costs half a second

    warnings.filterwarnings("ignore", module="optuna")  # its importance warns at every view
    cached = CurveStorage(database)
    app = wsgi(cached, artifact_store=CurveStore(cached))
    live.Pages(cached, is_editable=is_editable).add_to(app)
    studies = fast.Studies(cached, dress(url))
    routes.replace(app, cached, studies, is_editable=is_editable)
    threading.Thread(target=studies.warm_up, daemon=True).start()
    return app


def dress(url: str) -> fast.Dress:
    """Curves and notes of ours; `url` of the storage is part of the commands."""
    return fast.Dress(
        trial=with_curve,
        trial_note=functools.partial(notes.of_trial, url=url),
        study_note=functools.partial(notes.of_study, url=url),
        study_attr=is_shown,
    )


def is_shown(study: FrozenStudy, name: str) -> bool:
    """Whether people are shown this attribute of a study."""
    is_ours = "spec" in study.user_attrs and name in _OF_STUDY
    return not is_ours and not name.startswith(_OURS)


class CurveStorage(_CachedStorage):
    """The storage as optuna-dashboard sees it: each trial with epochs has its curve as an
    artifact; what is deleted elsewhere is forgotten here."""

    def __init__(self, backend: Database) -> None:
        super().__init__(backend)
        self._identities: dict[int, object] = {}

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        return with_curve(self.get_trial(trial_id)).system_attrs

    def get_all_studies(self) -> list[FrozenStudy]:
        found = super().get_all_studies()
        now = {s._study_id: fast.identity(s) for s in found}
        for study_id, same in self._identities.items():
            if now.get(study_id) != same:
                with self._lock:  # held for seconds by whoever reads a large study
                    self._forget(study_id)
        self._identities = now
        return found

    def _forget(self, study_id: int) -> None:
        """SQLite gives the ids of a deleted study, and of its trials, to the next ones."""
        study = self._studies.pop(study_id, None)
        for number in study.trials if study else ():
            trial_id = self._study_id_and_number_to_trial_id.pop((study_id, number), None)
            if self._trial_id_to_study_id_and_number.get(trial_id or -1) == (study_id, number):
                del self._trial_id_to_study_id_and_number[trial_id or -1]


def with_curve(trial: FrozenTrial) -> FrozenTrial:
    """The trial as it is shown; the cached one is shared, and must stay as it is stored."""
    shown = copy.copy(trial)
    shown._user_attrs = {
        k: v for k, v in trial.user_attrs.items() if k not in _LONG and not k.startswith(_OURS)
    }
    if error := results.error_line(trial):
        shown._user_attrs["error"] = error
    for name in ("datetime_start", "datetime_complete"):  # a browser may be in another zone
        if moment := getattr(trial, name):
            setattr(shown, name, moment.astimezone(UTC))
    if trial.intermediate_values:
        name = notes.curve_id(trial)
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
            trial = self._database.get_trial(int(artifact_id.removeprefix(notes.CURVE), 16))
        except (KeyError, ValueError, OverflowError):
            raise ArtifactNotFound(f"no learning curve '{artifact_id}'") from None
        version = (results.epochs_run(trial), trial.state, trial.datetime_start)
        with self._lock:
            return BytesIO(self._draw(trial._trial_id, version))

    def _drawn(self, trial_id: int, _version: tuple[int, TrialState, object]) -> bytes:
        trial = self._database.get_trial(trial_id)
        try:
            return figures.learning_curve(trial)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            # a study of somebody else may call anything a history
            raise ArtifactNotFound(f"trial {trial.number} has no curve: {error}") from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        raise PermissionError("this dashboard keeps no uploads")

    def remove(self, artifact_id: str) -> None:
        raise PermissionError(
            "learning curves are drawn from the database, and other artifacts are not kept here; "
            "delete without 'remove associated artifacts'"
        )
