"""A question from Python: a function and its space, or a study file's content as a dict."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import optuna

from search.api import function
from search.errors import SpecError, UsageError
from search.studyfile import catalog, reading
from search.studyfile.reading import Given

Asked = str | Path | Mapping[str, Any] | Callable[..., Any]
Problems = list[tuple[tuple[str | int, ...], str]]
FUNCTIONS = "functions"  # folder of the workdir


def given(study: Asked, keys: Mapping[str, Any], workdir: Path) -> str | Given:
    """What an order names: the study file, or what Python has given in place of one.

    Args:
        keys: of a study, given as arguments of their own; those of a file are its overrides.

    Raises:
        SpecError: a value that no study file could hold.
        UsageError: it is nothing that can be searched.
    """
    if isinstance(study, str | PurePath):
        return str(study)
    if not isinstance(study, Mapping) and not callable(study):
        raise UsageError(
            f"study: must be a name, a path, a dict or a function, got {study!r:.80}; "
            "pass objective, as in run_study(objective, trials=20)"
        )
    called = "study" if isinstance(study, Mapping) else ""
    whole: dict[str, Any] = dict(study) if isinstance(study, Mapping) else {"objective": study}
    whole |= keys
    objective = whole.get("objective")
    found = None
    if callable(objective):
        found = function.of(objective, workdir / FUNCTIONS)
        whole["objective"] = found.objective
    raw = plain(whole, called)
    raw["folder"] = found.folder if found else str(Path.cwd())
    raw.setdefault("name", found.name if found else _named_after(raw.get("objective")))
    return Given(raw, called)


def name_of(study: Asked) -> str:
    """What a study is called in its storage. A word that no study comes under here is its name:
    another machine, or another folder, may have put it there.

    Raises:
        SpecError: its file is none.
        UsageError: it is nothing that can be searched.
    """
    if isinstance(study, str | PurePath):
        return _name_in_file(str(study))
    if isinstance(study, Mapping):
        objective = study.get("objective")
        named = function.name(objective) if callable(objective) else _named_after(objective)
        return str(study.get("name", named))
    if callable(study):
        return function.name(study)
    raise UsageError(
        f"study: must be a name, a path, a dict or a function, got {study!r:.80}; "
        "pass one, as in Study('digits')"
    )


def _name_in_file(study: str) -> str:
    is_path = "/" in study or study.endswith((".yaml", ".yml"))
    if not is_path and study not in catalog.available():
        return study
    return reading.load(study).spec.name


def _named_after(objective: Any) -> str:
    """As its module."""
    module = str(objective or "study").rpartition(":")[0] or "study"
    return Path(module).stem if module.endswith(".py") else module.rpartition(".")[2]


def plain(whole: Mapping[str, Any], called: str) -> dict[str, Any]:
    """Mappings, lists and values as a study file gives them: types are kept, those of NumPy and of
    Optuna's distributions are told in ours.

    Raises:
        SpecError: a line for each value of another kind.
    """
    wrong: Problems = []
    raw: dict[str, Any] = _plain(whole, (), wrong)
    if wrong:
        raise SpecError(reading.report(wrong, {}, called))
    return raw


def _plain(value: Any, path: tuple[str | int, ...], wrong: Problems) -> Any:
    if isinstance(value, optuna.distributions.BaseDistribution):
        value = _parameter(value)
    if hasattr(value, "tolist"):  # of NumPy, torch
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one, (*path, str(key)), wrong) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, (*path, i), wrong) for i, one in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    if not isinstance(value, bool | int | float | str | None):
        rule = "must be a text, a number, True, False, None, or a list or dict of these"
        wrong.append(
            (path, f"{rule}, got {value!r:.80}; give it a name, or make it inside the objective")
        )
    return value


def _parameter(drawn: optuna.distributions.BaseDistribution) -> dict[str, Any]:
    """`{float: [low, high]}` and so on."""
    if isinstance(drawn, optuna.distributions.CategoricalDistribution):
        return {"choice": list(drawn.choices)}
    assert isinstance(
        drawn, optuna.distributions.FloatDistribution | optuna.distributions.IntDistribution
    )
    is_float = isinstance(drawn, optuna.distributions.FloatDistribution)
    found: dict[str, Any] = {"float" if is_float else "int": [drawn.low, drawn.high]}
    if drawn.log:
        found["log"] = True
    elif drawn.step is not None and (is_float or drawn.step != 1):
        found["step"] = drawn.step
    return found
