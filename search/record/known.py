"""Trials of another study that a study knows from its start: they cost none of its budget."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.database import elsewhere, storage
from search.errors import SpecError
from search.record import chains
from search.studyfile import space as spaces
from search.studyfile.space import ChoiceParameter, Space
from search.studyfile.spec import StudySpec

TAKEN = "optsearch:taken"  # study attribute: from which studies it has taken trials over
# What of a trial's attributes goes with it, where an objective has told them.
ABOUT = ("history", "best_epoch", "stop_epoch", "epochs_planned", "horizon", "reason", "device")
CONSTRAINT = "constraints:"  # begins a system attribute of Optuna: whether a trial was feasible
MOST_REASONS = 3  # why trials lie outside of the space


class Found(NamedTuple):
    """What can be taken over from a study, and what its own question was."""

    name: str
    key: str  # its name and its place, without a password
    trials: list[FrozenTrial]
    attrs: dict[str, Any]


def find(spec: StudySpec, url: str) -> Found | None:
    """What `from:` leads to; None where there is none, or where it has been taken over already.

    Args:
        url: of the study's own storage, which is meant where no other is named.

    Raises:
        OptsearchError: it is not there, cannot be read, or cannot be taken over.
    """
    source = spec.source
    if source is None:
        return None
    place = source.storage or url
    key = f"{source.study} in {storage.redacted(place)}"
    if source.storage is None and source.study == spec.name:
        raise SpecError(f"from: '{spec.name}' is the study itself; give the new one a --name")
    if not spec.space:
        raise SpecError(
            "from: needs a `space` in the study file: without one nobody knows which of the other "
            "study's trials lie in it"
        )
    if key in _taken(spec.name, url):
        return None
    there = elsewhere.read(source.study, place)
    if there.directions != [spec.direction]:
        was = ", ".join(there.directions)
        raise SpecError(f"from: study '{source.study}' has direction {was}, not {spec.direction}")
    attrs = {k: json.loads(there.user_attrs[k]) for k in _QUESTION if k in there.user_attrs}
    return Found(source.study, key, chains.last_links(there.trials), attrs)


_QUESTION = ("spec", "settings", "data", "code")


def _taken(name: str, url: str) -> Sequence[str]:
    database = storage.open_storage(url)
    try:
        study_id = database.get_study_id_from_name(name)
    except KeyError:
        return ()
    taken: Sequence[str] = database.get_study_user_attrs(study_id).get(TAKEN, ())
    return taken


def take_over(study: optuna.Study, spec: StudySpec, found: Found) -> list[str]:
    """Add those trials that lie in the space, each once however often this is tried; lines that
    tell which."""
    others = _differences(study, found)
    able = [t for t in found.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    inside, why = [], Counter[str]()
    for trial in able:
        if problem := next((m for _, m in spaces.params_problems(spec.space, trial.params)), None):
            why[problem] += 1
        else:
            inside.append(_known(trial, spec.space, found, has_seed=not others))
    with storage.exclusive(study):
        trials = study.get_trials(deepcopy=False)
        there = [t.user_attrs[chains.KNOWN] for t in trials if chains.is_known(t)]
        for trial in inside:
            if trial.user_attrs[chains.KNOWN] not in there:
                study.add_trial(trial)
        study.set_user_attr(TAKEN, [*study.user_attrs.get(TAKEN, ()), found.key])
    told = f"{len(inside)} of {len(found.trials)} trials of study '{found.name}' are known from "
    lines = [f"{told}the start, outside the budget"]
    lines += [f"{n} not: {reason}" for reason, n in why.most_common(MOST_REASONS)]
    if ended := len(found.trials) - len(able):
        lines.append(f"{ended} not: failed, or not ended")
    if others:
        lines.append(
            f"study '{found.name}' was asked with other {', '.join(others)}: its scores may not "
            "compare with those here"
        )
    return lines


def _known(trial: FrozenTrial, space: Space, found: Found, *, has_seed: bool) -> FrozenTrial:
    """The trial as the new study keeps it: with the new space's ranges and choices."""
    kinds = {name: spaces.distribution(space[name]) for name in trial.params}
    about = (*ABOUT, "seed") if has_seed else ABOUT
    kept = optuna.trial.create_trial(
        state=trial.state,
        value=trial.value,
        params={name: _own(space, name, value) for name, value in trial.params.items()},
        distributions=kinds,
        user_attrs={k: trial.user_attrs[k] for k in about if k in trial.user_attrs}
        | {chains.KNOWN: {"study": found.key, "trial": trial.number}},
        system_attrs={k: v for k, v in trial.system_attrs.items() if k.startswith(CONSTRAINT)},
        intermediate_values=trial.intermediate_values,
    )
    kept.datetime_start, kept.datetime_complete = trial.datetime_start, trial.datetime_complete
    return kept


def _own(space: Space, name: str, value: Any) -> Any:
    """The value as the space has it: 5 where a float of another study was 5.0."""
    parameter = space[name]
    if isinstance(parameter, ChoiceParameter):
        return value
    return type(parameter.range[0])(value)


def _differences(study: optuna.Study, found: Found) -> list[str]:
    """What the other study was asked with that is not the same here, as far as that is known."""
    here, there = study.user_attrs, found.attrs
    pairs = {
        "objective": [a.get("spec", {}).get("objective") for a in (here, there)],
        "code": [a.get("code") for a in (here, there)],
        "settings": [a.get("settings") for a in (here, there)],
        "data": [a.get("data", {}).get("fingerprint") for a in (here, there)],
    }
    return [name for name, (now, was) in pairs.items() if was is not None and was != now]
