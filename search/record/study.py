"""Create or resume a study. Its spec lives in the database, and is compared on resume."""

import glob
import hashlib
import re
import secrets
import shutil
import warnings
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import optuna

from search import provenance
from search.database import storage
from search.errors import (
    IdentityError,
    StorageError,
    StudyNotFoundError,
    UsageError,
)
from search.record import chains, ended, enough, floors, pauses, queueing, results
from search.record.budget import Limits
from search.studyfile import catalog, commands
from search.studyfile.spec import SPEC_VERSION, StudySpec

# What makes two studies the same question. Sampler, pruner, budget and baselines may change.
IDENTITY = ("objective", "direction", "seed", "space", "configurations")
MACHINE_SETTINGS = ("settings.data_dir",)  # settings that belong to the machine
# Written when a study is made and never again; each trial keeps the versions it ran with.
JOINED = "workers_joined"  # study attribute
RESERVED = "optsearch:reserved"  # study attribute: epochs of the budget kept for confirming
TIMELY = "optsearch:timely"  # the same: epochs that the time of its run is likely to pay the search
SUFFIX = ":confirm"  # of the name of the study that confirms another one's best
CONFIRMS = "confirms"  # study attribute: the name of the study whose best are confirmed in this one
_WORKERS = 10_000_000  # trial seeds end where the workers' begin
MADE_WITH = ("uid", "code", "versions")


def open_study(
    spec: StudySpec, url: str, prepared: dict[str, Any]
) -> tuple[optuna.Study, StudySpec]:
    """Create the study, or resume it where it exists, and queue what is to be tried first.

    Args:
        prepared: what the objective's `prepare` returned (`settings`, `data`), or {}.

    Returns:
        The study and the spec to run, its settings pinned as they were when it was made.

    Raises:
        IdentityError: a study of that name asks another question.
        StorageError: a study of that name was not made by optsearch.
    """
    floors.limits(spec, prepared.get("epochs"))  # before anything is made
    if spec.name.endswith(SUFFIX):
        raise UsageError(
            f"--name {spec.name}: names that end in {SUFFIX} are kept for the runs that confirm a "
            "study; choose another one"
        )
    database = storage.open_storage(url)
    record = _record(spec, prepared)
    study = optuna.create_study(
        study_name=spec.name, storage=database, direction=spec.direction, load_if_exists=True
    )
    refuse_confirming(study)
    stored = study.user_attrs
    if "spec" in stored:
        check_versions(study)
        _compare(spec.name, stored, record)
        # what `auto` became when the study was made holds for all of its trials
        pinned = {
            k: v for k, v in stored["settings"].items() if f"settings.{k}" not in MACHINE_SETTINGS
        }
        record["settings"] = {**record["settings"], **pinned}
    elif study.get_trials(deepcopy=False) or study.direction.name.lower() != spec.direction:
        raise StorageError(
            f"study '{spec.name}' in {storage.redacted(url)} was not made by optsearch; "
            "use --name for another name"
        )
    _keep(study, stored, record)
    _name_metric(study, prepared.get("metric"))
    whole = spec.with_settings(record["settings"])
    _put_right(study, spec)
    queueing.add_first(study, whole, prepared.get("portfolio", ()))
    return study, whole


def _keep(study: optuna.Study, stored: dict[str, Any], record: dict[str, Any]) -> None:
    if stored.get("spec") != record["spec"]:
        ended.reopen(study)  # another budget, say, is another wish
    for key, value in record.items():
        if stored.get(key) != value and not (key in MADE_WITH and key in stored):
            study.set_user_attr(key, value)


def _name_metric(study: optuna.Study, metric: str | None) -> None:
    if metric:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([metric])


def _put_right(study: optuna.Study, spec: StudySpec) -> None:
    """What a death left behind, and what paused under another strategy."""
    chains.mend(study, spec.budget.retries)
    if not spec.is_stepwise:
        pauses.end_all(study)


def refuse_confirming(study: optuna.Study) -> None:
    """Raise UsageError where a study only holds the runs that confirm another one."""
    if confirmed := study.user_attrs.get(CONFIRMS):
        raise UsageError(
            f"study '{study.study_name}' holds the runs that confirm '{confirmed}'; "
            f"use --study {confirmed}, or another --name"
        )


def check_versions(study: optuna.Study) -> None:
    """Raise IdentityError where this optsearch, or this Optuna, cannot go on with the study."""
    if study.user_attrs["spec_version"] > SPEC_VERSION:
        raise IdentityError(
            f"study '{study.study_name}' was written by a newer optsearch; "
            "upgrade this one, or use --name"
        )
    made, here = study.user_attrs["versions"].get("optuna", ""), optuna.__version__
    if made.partition(".")[0] != here.partition(".")[0]:
        raise IdentityError(
            f"study '{study.study_name}' was made with Optuna {made}, here is {here}: "
            "their times and states differ; use the same major version, or --name"
        )


def changed_code(study: optuna.Study, spec: StudySpec) -> str:
    """A warning where the objective's code is not what the study was made with; "" otherwise."""
    made, now = study.user_attrs["code"], provenance.code_fingerprint(spec.objective, spec.folder)
    if made == now:
        return ""
    return (
        f"warning: the code of {spec.objective} has changed since study '{spec.name}' was made "
        f"({made} -> {now}); if results changed with it, use --name for a new study"
    )


def load_study(name: str, url: str, *, create: bool = False) -> optuna.Study:
    """A study that exists; StudyNotFoundError names those that do."""
    database = storage.open_storage(url, create=create)
    names = [s.study_name for s in database.get_all_studies()]
    if name not in names:
        have = ", ".join(sorted(names)) or "none yet"
        if name in catalog.available():
            have += f"; `{commands.line('run', study=name)}` starts it"
        elif near := get_close_matches(name, [*names, *catalog.available()], 1):
            have += f"; did you mean {near[0]}?"
        raise StudyNotFoundError(
            f"--study {name}: not in {storage.redacted(url)}; studies there: {have}"
        )
    return optuna.load_study(study_name=name, storage=database)


def stored_spec(study: optuna.Study) -> StudySpec | None:
    """The spec in the database; None where the study was not made by optsearch."""
    raw = study.user_attrs.get("spec")
    if raw is None:
        return None
    pinned = study.user_attrs["settings"]
    return StudySpec.model_validate(raw, strict=False).with_settings(pinned)


def require_spec(study: optuna.Study) -> StudySpec:
    """The stored spec; StudyNotFoundError where the study was not made by optsearch, UsageError
    where it only holds the runs that confirm another one."""
    refuse_confirming(study)
    spec = stored_spec(study)
    if spec is None:
        raise StudyNotFoundError(
            f"--study {study.study_name}: was not made by optsearch, so it has no study file"
        )
    return spec


def delete_study(study: optuna.Study, workdir: Path, *, keep_files: bool = False) -> None:
    """Delete a study, its trials, and what they kept on disk."""
    for one in [*siblings(study), study]:
        if "uid" in one.user_attrs and not keep_files:
            shutil.rmtree(folder(one, workdir), ignore_errors=True)
        optuna.delete_study(study_name=one.study_name, storage=study._storage)


def siblings(study: optuna.Study) -> list[optuna.Study]:
    """The study that confirms this one's best, if there is one."""
    try:
        found = optuna.load_study(study_name=study.study_name + SUFFIX, storage=study._storage)
    except KeyError:
        return []
    return [found] if found.user_attrs.get(CONFIRMS) == study.study_name else []


def folder(study: optuna.Study, workdir: str | Path) -> Path:
    """Where a study's trials keep checkpoints and models: never that of another one of its name.

    A copy under another name finds the folder of its original, which has the same uid.
    """
    uid = study.user_attrs["uid"]
    name = re.sub(r"[^\w.-]", "_", study.study_name)
    there = sorted(Path(workdir).glob(f"*-{glob.escape(uid)}"))
    return there[0] if there else Path(workdir, f"{name}-{uid}")


def limits(study: optuna.Study, spec: StudySpec) -> Limits:
    """What the study may spend; the longest trial is as `prepare` told or the settings say."""
    if CONFIRMS in study.user_attrs:
        return Limits(queued_only=True, retries=spec.budget.retries)
    whole = floors.limits(spec, study.user_attrs.get("longest"))
    whole = whole._replace(enough=enough.of(spec, results.metric(study), study.user_attrs))
    kept = study.user_attrs.get(RESERVED, 0)
    return whole if whole.epochs is None else whole._replace(epochs=whole.epochs - kept)


def sampler_seed(study: optuna.Study, spec: StudySpec) -> int:
    """A seed that no other worker of the study has had: no two draw the same first samples."""
    with storage.exclusive(study):
        joined = study.user_attrs.get(JOINED, 0)
        study.set_user_attr(JOINED, joined + 1)
    return trial_seed(spec, _WORKERS + joined)


def trial_seed(spec: StudySpec, first_number: int) -> int:
    """A trial's training seed: the same whoever runs it, and for every retry of its chain."""
    digest = hashlib.sha256(f"{spec.seed}:{first_number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _record(spec: StudySpec, prepared: dict[str, Any]) -> dict[str, Any]:
    return {
        "uid": secrets.token_hex(4),
        "spec_version": spec.version,
        "settings": prepared.get("settings", spec.settings),
        "data": prepared.get("data", {}),
        "longest": prepared.get("epochs"),
        "code": provenance.code_fingerprint(spec.objective, spec.folder),
        "versions": provenance.versions(),
        # last, because a study that has it is a whole one
        "spec": spec.model_dump(mode="json", by_alias=True, exclude={"source"}),
    }


def _compare(name: str, stored: dict[str, Any], record: dict[str, Any]) -> None:
    """Raise IdentityError, naming every difference, where the question has changed."""
    differences = [
        f"{key}: was {was}, is {now}"
        for key, old, new in _identity_pairs(stored, record)
        for was, now in [_short(old, new)]
        if old != new
    ]
    if differences:
        listed = "; ".join(differences)
        shown = commands.options(**{"from": name})
        raise IdentityError(
            f"study '{name}' asks another question than its study file ({listed}); "
            "give the new question a name of its own with --name NAME; "
            f"{shown} lets it know the trials of this one"
        )


def _identity_pairs(stored: dict[str, Any], record: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    old, new = (
        {key: value for key, value in attrs["spec"].items() if key in (*IDENTITY, "settings")}
        for attrs in (stored, record)
    )
    pairs = [pair for pair in _leaves("", old, new) if pair[0] not in MACHINE_SETTINGS]
    fingerprints = [attrs["data"].get("fingerprint") for attrs in (stored, record)]
    return [*pairs, ("data fingerprint", fingerprints[0], fingerprints[1])]


def _leaves(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Both sides of two nested mappings, leaf by leaf, with the path of each."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        yield path.removeprefix("."), old, new
        return
    for key in {**old, **new}:
        yield from _leaves(f"{path}.{key}", old.get(key), new.get(key))


def _short(old: Any, new: Any, width: int = 80) -> tuple[str, str]:
    """Both as text, around the place where they part: what is cut must not be the difference."""
    texts = ["nothing" if value is None else str(value) for value in (old, new)]
    pairs = enumerate(zip(*texts, strict=False))
    same = next((i for i, (one, other) in pairs if one != other), min(map(len, texts)))
    start = max(0, same - width // 4) if max(map(len, texts)) > width else 0
    cut = ["..." * bool(start) + text[start:] for text in texts]
    was, now = (text if len(text) <= width else text[: width - 3] + "..." for text in cut)
    return was, now
