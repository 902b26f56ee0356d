"""A study of ten thousand trials as JSON within a second: what has ended is serialised once.

The JSON is what optuna-dashboard would answer, made by its own functions. It makes all of it anew
for every request; here each finished trial is kept as bytes, and a request joins them.
"""

import contextlib
import functools
import gzip
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import _custom_plot_data, _note, _serializer
from optuna_dashboard._inmemory_cache import _CachedExtraStudyProperty

from search.dashboard.away import AwayError
from search.errors import StorageError

PATIENCE_S = 20.0  # for another thread that reads the same study for the first time
_WARM_STUDIES = 20  # the newest ones
_LEVEL = 1  # of gzip: 0.15 s for 30 MB; higher ones cost seconds
_SMALL = 1024  # bytes that are not worth it
_OF_TRIAL = re.compile(r"dashboard:(?:artifacts:)?(\d+):")
_TEXT = re.compile(r"application/json|text/|image/svg")
Attrs = dict[str, Any]


@dataclass(frozen=True)
class Dress:
    """How a trial is shown, and what is written beside it. The default: as it is stored."""

    trial: Callable[[FrozenTrial], FrozenTrial] = lambda trial: trial
    trial_note: Callable[[FrozenStudy, FrozenTrial], str] = lambda *_: ""
    study_note: Callable[[FrozenStudy, Sequence[FrozenTrial]], str] = lambda *_: ""
    study_attr: Callable[[FrozenStudy, str], bool] = lambda *_: True  # whether it is shown


class Studies:
    """The JSON of studies, each remembered for as long as it is the same study."""

    def __init__(self, storage: BaseStorage, dress: Dress) -> None:
        self._storage, self._dress = storage, dress
        self._studies: dict[int, tuple[object, _Study]] = {}
        self._lock = threading.Lock()

    def body(self, study: FrozenStudy, after: int) -> bytes:
        """The answer to `/api/studies/ID?after=N`, of a study with one objective.

        Raises:
            AwayError: another thread has been reading the study for PATIENCE_S.
        """
        return self._of(study).body(study, after)

    def _of(self, study: FrozenStudy) -> "_Study":
        with self._lock:
            same, kept = self._studies.get(study._study_id, (None, None))
            if kept is None or same != identity(study):
                kept = _Study(self._storage, self._dress)
                self._studies[study._study_id] = (identity(study), kept)
            return kept

    def keep(self, studies: Iterable[FrozenStudy]) -> None:
        """Forget all but these, which are all that there are."""
        there = {s._study_id for s in studies}
        with self._lock:
            for gone in self._studies.keys() - there:
                del self._studies[gone]

    def warm_up(self) -> None:
        """Read the newest studies, so that the first look at them is as fast as the second."""
        with contextlib.suppress(StorageError, KeyError):  # deleted, or away: told to who asks
            studies = sorted(self._storage.get_all_studies(), key=lambda s: -s._study_id)
            for study in studies[:_WARM_STUDIES]:
                if is_plain(study):
                    self.body(study, 0)


def identity(study: FrozenStudy) -> object:
    """What tells a study from one that got its id after it was deleted, as SQLite gives them."""
    return study.study_name, study.user_attrs.get("uid")


def is_plain(study: FrozenStudy) -> bool:
    """One objective and no preferences: what optsearch searches."""
    return len(study.directions) == 1 and not study.system_attrs.get("preference:is_preferential")


class _Study:
    """One study's trials as JSON, by number; finished ones are made once."""

    def __init__(self, storage: BaseStorage, dress: Dress) -> None:
        self._storage, self._dress = storage, dress
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[FrozenTrial, Attrs, bytes]] = {}
        self._union = _CachedExtraStudyProperty()

    def body(self, study: FrozenStudy, after: int) -> bytes:
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise AwayError(f"study '{study.study_name}' is being read; try again in a moment")
        try:
            return self._body(study, after)
        finally:
            self._lock.release()

    def _body(self, study: FrozenStudy, after: int) -> bytes:
        trials = self._storage.get_all_trials(study._study_id, deepcopy=False)
        attrs = _by_trial(study.system_attrs)
        part = functools.partial(self._part, study, attrs)
        parts = [part(trial) for trial in trials]
        best: list[bytes] = []
        if any(t.state == TrialState.COMPLETE for t in trials):
            best = [part(self._storage.get_best_trial(study._study_id))]
        return _joined(self._around(study, trials), trials=parts[after:], best_trials=best)

    def _part(self, study: FrozenStudy, attrs: dict[int, Attrs], trial: FrozenTrial) -> bytes:
        own = attrs.get(trial._trial_id, {})
        kept = self._kept.get(trial.number)
        if kept is not None and kept[0] is trial and kept[1] == own:
            return kept[2]
        shown = self._dress.trial(trial)
        if kept is None or kept[0] is not trial:
            self._union._cursor = -1
            self._union.update([shown])
        note = functools.partial(self._dress.trial_note, study, trial)
        dressed = _with_note(own, trial._trial_id, note)
        serialized = _serializer.serialize_frozen_trial(study._study_id, shown, dressed)
        text = json.dumps(serialized).encode()
        if trial.state.is_finished():
            self._kept[trial.number] = (trial, own, text)
        return text

    def _around(self, study: FrozenStudy, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
        """All but the trials."""
        union = self._union
        around: dict[str, Any] = _serializer.serialize_study_detail(
            study,
            [],
            [],
            union.intersection_search_space,
            union.union_search_space,
            union.union_user_attrs,
            union.has_intermediate_values,
            _custom_plot_data.get_plotly_graph_objects(study.system_attrs),
            [],
        )
        is_shown = functools.partial(self._dress.study_attr, study)
        around["user_attrs"] = [a for a in around["user_attrs"] if is_shown(a["key"])]
        if not around["note"]["body"]:
            around["note"]["body"] = self._dress.study_note(study, trials)
        return around


def _by_trial(attrs: Attrs) -> dict[int, Attrs]:
    """The study's attributes that belong to a trial: notes, and artifacts of an older Optuna."""
    found: dict[int, Attrs] = defaultdict(dict)
    for key, value in attrs.items():
        if of_trial := _OF_TRIAL.match(key):
            found[int(of_trial[1])][key] = value
    return found


def _with_note(attrs: Attrs, trial_id: int, note: Callable[[], str]) -> Attrs:
    """With our note where nobody wrote another; its version is that of the one in the database,
    which is what saving one over it asks for."""
    stored = _note.get_note_from_system_attrs(attrs, trial_id)
    if stored["body"] or not (body := note()):
        return attrs
    kept = {k: v for k, v in attrs.items() if ":note_" not in k}
    version = {_note.note_ver_key(trial_id): stored["version"]}
    return {**kept, **version, f"{_note.note_str_key_prefix(trial_id)}0": body}


def _joined(around: dict[str, Any], **lists: Iterable[bytes]) -> bytes:
    """One JSON object out of some of its values and of lists that are JSON already."""
    text = json.dumps({k: v for k, v in around.items() if k not in lists}).encode()
    joined = (b'"%s": [%s]' % (name.encode(), b", ".join(v)) for name, v in lists.items())
    return b"".join([text[:-1], b", ", b", ".join(joined), b"}"])


def compressed(app: Any) -> Any:
    """A WSGI middleware: text in one piece, as views give it, is sent in gzip where that is asked
    for. Files of the package come compressed already."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        told: list[Any] = []
        body = app(environ, lambda *arguments: told.append(arguments))
        status, headers, *error = told[0]
        found = {k.lower(): v for k, v in headers}
        if not _TEXT.match(found.get("content-type", "")) or "content-encoding" in found:
            start_response(status, headers, *error)
            return body  # type: ignore[no-any-return]
        headers = [*headers, ("Vary", "Accept-Encoding")]
        is_whole = isinstance(body, list) and len(body) == 1 and len(body[0]) >= _SMALL
        if is_whole and _wants_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body = [gzip.compress(body[0], _LEVEL, mtime=0)]
            headers = [h for h in headers if h[0].lower() != "content-length"]
            headers += [("Content-Encoding", "gzip"), ("Content-Length", str(len(body[0])))]
        start_response(status, headers, *error)
        return body  # type: ignore[no-any-return]

    return answer


def _wants_gzip(accepted: str) -> bool:
    """`gzip` is among them, and not with a quality of 0."""
    for item in accepted.lower().split(","):
        name, _, quality = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", quality)
    return False
