"""The study file as frozen models; every problem is reported at once, with its path and line."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from search import budget, catalog, pruners, samplers, space, yaml_lines
from search.errors import SpecError, UsageError
from search.space import Space

SPEC_VERSION = 2  # raise it when an older optsearch could not read a stored spec


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Component(BaseModel):
    """A sampler or a pruner: its name in the table, and options for its builder."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """`sampler: tpe` is short for `sampler: {name: tpe}`."""
        return {"name": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Baseline(_Model):
    """A configuration with a name; `published` holds figures that others reported for it."""

    name: Annotated[str, Field(min_length=1)]
    params: dict[str, Any]
    published: dict[str, float | int | str] = {}


def _seconds(value: Any) -> Any:
    """Seconds of `30m`; a number is seconds already."""
    return budget.seconds(value) if isinstance(value, str) else value


TrialSeconds = Annotated[float, Field(ge=0.001, le=366 * 86400)]  # what a timer takes


class Budget(_Model):
    """How much may be spent: chains of trials and epochs in all, hours of one command."""

    trials: PositiveInt | None = None
    epochs: PositiveInt | None = None
    hours: PositiveFloat | None = None
    trial_timeout: Annotated[TrialSeconds | None, BeforeValidator(_seconds)] = None
    retries: NonNegativeInt = 3  # crashes in a row, without a new checkpoint, that are answered


class Confirm(_Model):
    """The best `top` are trained again with `seeds` fresh seeds; `confirm: false` is no seeds."""

    top: Annotated[int, Field(ge=1, le=100)] = 5
    seeds: Annotated[int, Field(ge=0, le=1000)] = 5


def _no_seeds(value: Any) -> Any:
    return {"seeds": 0} if value is False else value


class StudySpec(_Model):
    """Everything that defines a study. `name` comes from the file's name or `--name`."""

    name: Annotated[str, Field(pattern=r"^\S([^\x00-\x1f\x7f]*\S)?$", max_length=100)]
    objective: str
    question: str = ""  # the file's opening comment, its first line
    direction: Literal["maximize", "minimize"] = "maximize"
    seed: int = 0
    settings: dict[str, Any] = {}
    space: Space = {}
    configurations: list[Baseline] = []
    baselines: list[Baseline] = []
    sampler: Component = Component(name="tpe")
    pruner: Component = Component(name="median")
    audit: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of prune decisions not carried out
    budget: Budget = Budget()
    confirm: Annotated[Confirm | None, BeforeValidator(_no_seeds)] = None
    folder: str = ""  # what `./` in `objective` is relative to

    def configuration(self, name: str) -> Baseline:
        """The enumerated configuration of that name."""
        return next(item for item in self.configurations if item.name == name)

    def settings_for(self, configuration: str | None) -> dict[str, Any]:
        """The settings of a trial: the study's, and the lists of its enumerated configuration,
        which cannot be Optuna parameters."""
        if not self.configurations or configuration is None:
            return dict(self.settings)
        own = self.configuration(configuration).params
        return self.settings | {
            name: value for name, value in own.items() if isinstance(value, list)
        }

    def with_settings(self, settings: dict[str, Any]) -> "StudySpec":
        """The same study with settings added or replaced, as `prepare` pins them."""
        return self.model_copy(update={"settings": {**self.settings, **settings}})

    def with_budget(self, trials: int | None, seconds: float | None) -> "StudySpec":
        """The same study with the limits of the command line in place of the file's.

        Raises:
            UsageError: a limit is not above zero, or there is none at all.
        """
        if trials is not None and trials < 1:
            raise UsageError(f"--trials {trials}: must be at least 1")
        limits: dict[str, Any] = {} if trials is None else {"trials": trials}
        if seconds is not None:
            limits["hours"] = seconds / 3600
        spec = self.model_copy(update={"budget": self.budget.model_copy(update=limits)})
        if spec.trials is None and spec.budget.epochs is None and spec.budget.hours is None:
            raise UsageError(
                f"study '{self.name}' has no limit: give `budget: {{trials: N}}` in its file, "
                "--trials N or --timeout 2h"
            )
        return spec

    @property
    def confirmation(self) -> Confirm:
        """How the answer is confirmed. Where a study enumerates nothing is chosen, so nothing needs
        to be confirmed; its configurations get more seeds where the file says so."""
        return self.confirm or Confirm(seeds=0 if self.configurations else 5)

    @property
    def trials(self) -> int | None:
        """Chains of trials in all; with `configurations`, one for each unless told otherwise."""
        if self.configurations:
            return min(self.budget.trials or len(self.configurations), len(self.configurations))
        return self.budget.trials


@dataclass(frozen=True)
class StudyFile:
    """A spec and where each of its keys stands."""

    spec: StudySpec
    lines: dict[yaml_lines.Path, int]
    source: str

    def refuse(self, found: Sequence[space.Problem]) -> None:
        """Raise SpecError with one line per problem, if there is any."""
        if found:
            raise SpecError(report(found, self.lines, self.source))


def load(study: str, overrides: Sequence[str] = (), name: str | None = None) -> StudyFile:
    """Read a study file: a name in `studies/` of the package, or a path of the user's own.

    Args:
        overrides: `key.path=value` strings, the value in YAML.

    Raises:
        StudyNotFoundError, UsageError, SpecError
    """
    path = catalog.find(study)
    source = study if "/" in study or study == path.name else f"studies/{path.name}"
    text = path.read_text(encoding="utf-8", errors="replace")
    raw, lines = yaml_lines.load(text, source)
    if not isinstance(raw, dict):
        raise SpecError(f"{source}:1 a study file is a mapping that names an objective; see README")
    for override in overrides:
        _apply(raw, lines, override)
    raw |= {
        "name": raw.get("name", path.stem) if name is None else name,
        "folder": str(path.parent.resolve()),
    }
    raw.setdefault("question", _question(text))
    return StudyFile(parse(raw, lines, source), lines, source)


def parse(raw: dict[str, Any], lines: dict[yaml_lines.Path, int], source: str) -> StudySpec:
    """Validate a study file's content; SpecError with one line per problem, all at once."""
    try:
        spec = StudySpec.model_validate(raw)
        found = list(problems(spec))
    except ValidationError as error:
        structural = list(dict.fromkeys(_structural(e) for e in error.errors()))
        found = structural + _beside(raw, [e["loc"] for e in error.errors()])
    if found:
        raise SpecError(report(found, lines, source))
    return spec


def _beside(raw: dict[str, Any], wrong: Sequence[tuple[str | int, ...]]) -> list[space.Problem]:
    """What else is wrong, looked for in a copy without the parts of the wrong type."""
    rest = {**raw, "space": dict(raw["space"])} if isinstance(raw.get("space"), dict) else {**raw}
    gone = set()
    for loc in wrong:
        in_space = loc[0] == "space" and len(loc) > 1 and isinstance(rest.get("space"), dict)
        holder, key = (rest["space"], str(loc[1])) if in_space else (rest, str(loc[0]))
        holder.pop(key, None)
        gone.add(f"'{key}'")
    rest.setdefault("objective", "")
    try:
        found = problems(StudySpec.model_validate(rest))
    except ValidationError:
        return []
    return [item for item in found if not any(name in item[1] for name in gone)]


def problems(spec: StudySpec) -> Iterator[space.Problem]:
    """Everything wrong with a spec whose types are right."""
    for path, message in space.problems(spec.space):
        yield ("space", *path), message
    if spec.configurations:
        for other in ("space", "baselines"):
            if getattr(spec, other):
                message = f"`{other}` and `configurations` exclude each other; drop one of them"
                yield ("configurations",), message
    for both in spec.space.keys() & spec.settings.keys():
        yield ("space", both), f"'{both}' stands in settings as well; drop one of them"
    for kind, listed in (("baselines", spec.baselines), ("configurations", spec.configurations)):
        names = [item.name for item in listed]
        for i, item in enumerate(listed):
            if item.name in names[:i]:
                yield (kind, i, "name"), f"'{item.name}' is used twice; rename one"
    for i, item in enumerate(spec.configurations):
        for key, value in item.params.items():
            if isinstance(value, dict):
                message = f"'{key}' must be a value or a list of values, got {value}"
                yield ("configurations", i, "params", key), message
    if spec.space and not any(space.problems(spec.space)):  # without one, the objective suggests
        for i, baseline in enumerate(spec.baselines):
            for path, message in space.params_problems(spec.space, baseline.params):
                yield ("baselines", i, "params", *path), message
    for message in samplers.problems(spec.sampler.name, spec.sampler.options):
        yield ("sampler",), message
    for message in pruners.problems(spec.pruner.name, spec.pruner.options):
        yield ("pruner",), message


def report(
    found: Sequence[space.Problem], lines: Mapping[yaml_lines.Path, int], source: str
) -> str:
    """One line per problem: `file:line path: message`."""
    rows = []
    placed = [(yaml_lines.line_of(lines, path), path, message) for path, message in found]
    for line, path, message in sorted(placed, key=lambda row: row[0] or 0):
        place = source if line is None else (f"{source}:{line}" if line else "--set")
        rows.append(f"{place} {_dotted(path)}: {message}" if path else f"{place} {message}")
    return "\n".join(rows)


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
    elif kind.startswith("union_tag"):
        message = f"a parameter has exactly one of float, int, choice; got {value!r}"
    return loc, message


def _valid_keys(loc: tuple[str | int, ...]) -> str:
    models: dict[str, type[BaseModel]] = {
        "budget": Budget,
        "confirm": Confirm,
        "baselines": Baseline,
        "configurations": Baseline,
    }
    if loc[0] == "space":
        return "one of: float, int, choice, log, step, when"
    fields = models.get(str(loc[0]), StudySpec) if len(loc) > 1 else StudySpec
    keys = [key for key in fields.model_fields if key != "folder"]
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
