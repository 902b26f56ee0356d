"""What is tried before anything is searched: a study's own list, and what a person wants tried."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from search.database import storage
from search.errors import UsageError
from search.record import chains, ended
from search.studyfile import space, yaml_lines
from search.studyfile.spec import StudySpec

# A comma ends a value where another NAME= follows: `choice=[1, 2],lr=0.1` has one such comma.
_NEXT = re.compile(r",(?=\s*[^\s,=\[\]{}]+=)")


SOURCE = "source"  # user attribute of a trial of the portfolio: where its configuration is from


def add_first(study: optuna.Study, spec: StudySpec, portfolio: Sequence[dict[str, Any]]) -> None:
    """Queue baselines or configurations that are not in the study yet, whoever else is at it; then
    what the objective knows to be good, each entry by its name."""
    listed = spec.baselines or spec.configurations
    first: list[tuple[str, dict[str, Any], dict[str, Any]]]
    first = [(item.name, item.params, {chains.ASKED: True}) for item in listed]
    taken = {item.name for item in listed}
    for entry in portfolio:
        name = f"{entry['name']}-portfolio" if entry["name"] in taken else entry["name"]
        if all(entry["params"] != item.params for item in listed):
            first.append((name, entry["params"], {SOURCE: entry.get("source", "")}))
    with storage.exclusive(study):
        known = {t.user_attrs.get("configuration") for t in study.get_trials(deepcopy=False)}
        for name, params, about in first:
            if name not in known:
                fixed = {k: v for k, v in params.items() if not isinstance(v, list)}
                study.enqueue_trial(fixed, user_attrs={"configuration": name, **about})


def parse(texts: Sequence[str]) -> dict[str, Any]:
    """Parameters of `lr=1e-3,optimizer=sgd`, the values in YAML. Raises UsageError, SpecError."""
    params: dict[str, Any] = {}
    for part in (part for text in texts for part in _NEXT.split(text)):
        name, equals, value = part.strip().partition("=")
        if not equals or not name:
            raise UsageError(f"--params {part}: must be NAME=VALUE, as in lr=1e-3,optimizer=sgd")
        if name in params:
            raise UsageError(f"--params {part}: '{name}' is given twice; drop one of them")
        params[name], _ = yaml_lines.load(value, f"--params {name}")
    return params


def problems(study: optuna.Study, spec: StudySpec, params: Mapping[str, Any]) -> Iterator[str]:
    """What keeps the study from trying them, a line each."""
    if spec.configurations:
        names = ", ".join(item.name for item in spec.configurations)
        yield (
            f"study '{spec.name}' tries exactly its listed configurations ({names}); add yours to "
            "the list in its file, and run that with --name NAME"
        )
    elif not params:
        yield "--params: name at least one parameter, as in lr=1e-3,optimizer=sgd"
    elif spec.space:
        yield from (f"--params {m}" for _, m in space.params_problems(spec.space, params))
    else:
        yield from _unlike(_drawn(study), params)


def is_checked(study: optuna.Study, spec: StudySpec) -> bool:
    """Whether it is known what the study's parameters are: in its file, or from its trials."""
    return bool(spec.space or _drawn(study))


def _drawn(study: optuna.Study) -> dict[str, BaseDistribution]:
    """The distributions that trials have drawn from, by name."""
    return {
        name: drawn
        for trial in study.get_trials(deepcopy=False)
        for name, drawn in trial.distributions.items()
    }


def _unlike(drawn: Mapping[str, BaseDistribution], params: Mapping[str, Any]) -> Iterator[str]:
    """Without a space of its own, a study's trials tell what the objective draws."""
    for name, value in params.items() if drawn else ():
        if name not in drawn:
            yield f"--params '{name}' was drawn by no trial; one of: {', '.join(drawn)}"
        elif not _contains(drawn[name], value):
            yield f"--params '{name}' must be of {drawn[name]}, got {value!r}"


def _contains(drawn: BaseDistribution, value: Any) -> bool:
    try:
        return drawn._contains(drawn.to_internal_repr(value))
    except (TypeError, ValueError):
        return False


def add(study: optuna.Study, params: Mapping[str, Any], name: str | None) -> int:
    """Queue them behind what is queued already; how many trials are before them.

    Raises:
        UsageError: another trial of the study has that name.
    """
    with storage.exclusive(study):  # as baselines are: no two take the same name
        trials = study.get_trials(deepcopy=False)
        known = [t.number for t in trials if t.user_attrs.get("configuration") == name]
        if name is not None and known:
            raise UsageError(f"--name {name}: trial {known[0]} has that name; choose another one")
        attrs = {} if name is None else {"configuration": name}
        study.enqueue_trial(dict(params), user_attrs=attrs | {chains.ASKED: True})
    ended.reopen(study)
    return sum(t.state == TrialState.WAITING and not chains.is_paused(t) for t in trials)
