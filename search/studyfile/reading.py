"""Read a study file; every problem is reported at once, with its path and line."""

import copy
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from search.errors import SpecError, UsageError
from search.studyfile import catalog, space, yaml_lines
from search.studyfile.parts import Budget, Notice, Stalled, Until
from search.studyfile.spec import Baseline, Confirm, Source, StudySpec, problems

# What rooms above know to be wrong with a spec, such as an unknown sampler (search/strategy).
Check = Callable[[StudySpec], Iterable[space.Problem]]


@dataclass(frozen=True)
class StudyFile:
    """A spec and where each of its keys stands."""

    spec: StudySpec
    lines: dict[yaml_lines.Path, int]
    source: str

    def notes(self) -> list[str]:
        """A line for what is right, and may be another thing than was meant."""
        found = [(("space", *path), message) for path, message in space.notes(self.spec.space)]
        return report(found, self.lines, self.source).splitlines()

    def refuse(self, found: Sequence[space.Problem]) -> None:
        """Raise SpecError with one line per problem, if there is any."""
        if found:
            raise SpecError(report(found, self.lines, self.source))


@dataclass(frozen=True)
class Given:
    """A question from Python, which stands in no file: the content of one, `name` and `folder`
    with it. `called` is what its keys are looked up in; "" where they are arguments."""

    raw: dict[str, Any]
    called: str


def load(
    study: str | Given,
    overrides: Sequence[str] = (),
    name: str | None = None,
    checks: Sequence[Check] = (),
) -> StudyFile:
    """Read a study: a name in `studies/` of the package, a path of the user's own, or from Python.

    Args:
        overrides: `key.path=value` strings, the value in YAML.
        checks: what else is looked for, and told with the rest.

    Raises:
        StudyNotFoundError, UsageError, SpecError
    """
    raw, lines, source = _given(study) if isinstance(study, Given) else _read(study)
    folder = raw["folder"]
    for override in overrides:
        _apply(raw, lines, override)
    raw |= {"folder": folder} | ({} if name is None else {"name": name})
    return StudyFile(parse(raw, lines, source, checks), lines, source)


def _given(study: Given) -> tuple[dict[str, Any], dict[yaml_lines.Path, int], str]:
    return copy.deepcopy(study.raw), {}, study.called


def _read(study: str) -> tuple[dict[str, Any], dict[yaml_lines.Path, int], str]:
    """Content of a study file, with what follows from where it lies; lines; what to call it."""
    path = catalog.find(study)
    source = study if "/" in study or study == path.name else f"studies/{path.name}"
    text = path.read_text(encoding="utf-8", errors="replace")
    raw, lines = yaml_lines.load(text, source)
    if not isinstance(raw, dict):
        raise SpecError(
            f"{source}:1 a study file is a mapping that names an objective; docs/study-files.md "
            "tells its keys"
        )
    raw.setdefault("name", path.stem)
    raw.setdefault("question", _question(text))
    return raw | {"folder": str(path.parent.resolve())}, lines, source


def parse(
    raw: dict[str, Any],
    lines: dict[yaml_lines.Path, int],
    source: str,
    checks: Sequence[Check] = (),
) -> StudySpec:
    """Validate a study file's content; SpecError with one line per problem, all at once."""
    try:
        spec = StudySpec.model_validate(raw)
        found = _wrong(spec, checks)
    except ValidationError as error:
        structural = list(dict.fromkeys(_structural(e) for e in error.errors()))
        found = structural + _beside(raw, [e["loc"] for e in error.errors()], checks)
    if found:
        raise SpecError(report(found, lines, source))
    return spec


def _wrong(spec: StudySpec, checks: Sequence[Check]) -> list[space.Problem]:
    """By place the first check that finds something there: two would say it in other words."""
    found: list[space.Problem] = []
    for check in (problems, *checks):
        places = {path for path, _ in found}
        found += [one for one in check(spec) if one[0] not in places]
    return found


def _beside(
    raw: dict[str, Any], wrong: Sequence[tuple[str | int, ...]], checks: Sequence[Check]
) -> list[space.Problem]:
    """What else is wrong, looked for in a copy without the parts of the wrong type."""
    rest = {**raw, "space": dict(raw["space"])} if isinstance(raw.get("space"), dict) else {**raw}
    gone = set()
    for loc in wrong:
        in_space = loc[0] == "space" and len(loc) > 1 and isinstance(rest.get("space"), dict)
        holder, key = (rest["space"], str(loc[1])) if in_space else (rest, str(loc[0]))
        holder.pop(key, None)
        gone.add(f"'{key}'")
    rest.setdefault("objective", "")
    if any(loc[0] in ("space", "settings", "configurations") for loc in wrong):
        rest["objective"] = ""  # it would miss what was taken out, and call the rest dead
    try:
        found = _wrong(StudySpec.model_validate(rest), checks)
    except ValidationError:
        return []
    return [item for item in found if not any(name in item[1] for name in gone)]


def report(
    found: Sequence[space.Problem], lines: Mapping[yaml_lines.Path, int], source: str
) -> str:
    """One line per problem: `file:line path: message`, or `study['key']: message`."""
    rows = []
    placed = [(yaml_lines.line_of(lines, path), path, message) for path, message in found]
    for line, path, message in sorted(placed, key=lambda row: row[0] or 0):
        if line is None:  # of Python: there is no file
            rows.append(f"{keyed(source, path)}: {message}")
            continue
        place = f"{source}:{line}" if line else "--set"
        rows.append(f"{place} {_dotted(path)}: {message}" if path else f"{place} {message}")
    return "\n".join(rows)


def keyed(called: str, path: yaml_lines.Path) -> str:
    """How Python looks up a path: `study['space']['lr']`, or `space['lr']` among arguments."""
    start, keys = (called, path) if called or not path else (str(path[0]), path[1:])
    return start + "".join(f"[{key!r}]" for key in keys)


def _dotted(path: yaml_lines.Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _structural(error: Any) -> space.Problem:
    """pydantic's finding in our words; union tags are dropped from its path."""
    loc: tuple[str | int, ...] = error["loc"]
    if loc[:1] == ("space",) and len(loc) > 2:
        loc = (*loc[:2], *loc[3:])
    kind, value = error["type"], error.get("input")
    message = f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {value!r}"
    if loc[0] == "space" and loc[2:3] == ("choice",) and len(loc) > 4:
        loc, message = loc[:4], f"a choice is a number, a text, true, false or null, got {value!r}"
    if kind == "extra_forbidden":
        message = f"unknown key; {_valid_keys(loc)}"
    elif loc == ("name",):
        message = f"must be 1 to 100 characters without control characters, got {str(value)[:40]!r}"
    elif kind == "value_error":
        message = f"{error['ctx']['error']}, got {value!r}"
    elif kind == "missing":
        message = "this key is missing; add it"
    elif kind in ("model_type", "dict_type"):
        message = f"must be a mapping ({_valid_keys((*loc, ''))}), got {value!r}"
    elif kind.startswith("union_tag"):
        message = f"a parameter has exactly one of float, int, choice; got {value!r}"
    return loc, message


def _valid_keys(loc: tuple[str | int, ...]) -> str:
    models: dict[str, type[BaseModel]] = {
        "budget": Budget,
        "confirm": Confirm,
        "notify": Notice,
        "from": Source,
        "baselines": Baseline,
        "configurations": Baseline,
    }
    if loc[0] == "space":
        return "one of: float, int, choice, log, step, when"
    of_budget: dict[str, type[BaseModel]] = {"until": Until, "stalled": Stalled}
    fields = models.get(str(loc[0]), StudySpec) if len(loc) > 1 else StudySpec
    if loc[0] == "budget" and len(loc) > 2:
        fields = of_budget.get(str(loc[1]), fields)
    named = ((field.alias or key) for key, field in fields.model_fields.items())
    keys = [key for key in named if key != "folder"]
    near = difflib.get_close_matches(str(loc[-1]), keys, n=1)
    return f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(keys)}"


def _apply(raw: dict[str, Any], lines: dict[yaml_lines.Path, int], override: str) -> None:
    """Put one `--set key.path=value` into the raw mapping; its path has line 0 from then on."""
    key, equals, text = override.partition("=")
    keys = key.split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {override}: must be key.path=value, as in settings.epochs=5")
    value, _ = yaml_lines.load(text, f"--set {key}")
    node = raw
    for depth, part in enumerate(keys[:-1], start=1):
        if part not in node:
            lines[tuple(keys[:depth])] = 0
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise UsageError(f"--set {override}: '{part}' holds a value, not a mapping")
    node[keys[-1]] = value
    for known in [p for p in lines if p[: len(keys)] == tuple(keys)]:
        del lines[known]
    lines[tuple(keys)] = 0


def _question(text: str) -> str:
    first = text.lstrip().split("\n", 1)[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""
