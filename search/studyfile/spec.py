"""What a study file says, as frozen values, and what is wrong with it beyond their types."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from search.errors import UsageError
from search.studyfile import parts, space
from search.studyfile.parts import Budget, Model, Notice, Track
from search.studyfile.space import Space

SPEC_VERSION = 4  # raise it when an older optsearch could not read a stored spec
OPTUNA, FREEZE_THAW = "optuna", "freeze_thaw"  # strategies (search/strategy/strategies.py)
DEFAULT_STRATEGY = OPTUNA  # of a file that names neither a strategy nor what excludes one
NO_ARMS = "none"  # `by: none`


class Component(BaseModel):
    """A strategy, a sampler or a pruner: its name in the table, and options for its builder."""

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


class Baseline(Model):
    """A configuration with a name."""

    name: Annotated[str, Field(min_length=1)]
    """What tables call it."""
    params: dict[str, Any]
    """A value for every parameter that is active."""
    published: dict[str, float | int | str] = {}
    """Figures that others reported for it."""


class Source(Model):
    """A study whose trials are known from the start, as far as they lie in the space."""

    study: Annotated[str, Field(min_length=1)]
    """Its name."""
    storage: str | None = None
    """URL of its database, where it is another one; it is only read."""


def _source(value: Any) -> Any:
    """`from: digits` is short for `from: {study: digits}`."""
    return {"study": value} if isinstance(value, str) else value


class Confirm(Model):
    """The best are trained again with fresh seeds; `confirm: false` is no seeds."""

    top: Annotated[int, Field(ge=1, le=100)] = 5
    """How many of the best."""
    seeds: Annotated[int, Field(ge=0, le=1000)] = 5
    """Seeds for each, the same for all."""
    splits: Annotated[int, Field(ge=1, le=1000)] = 1
    """As many as seeds: each trains on another split of the training images; 1: all on one."""

    @property
    def is_split(self) -> bool:
        """Whether each seed has a split of its own."""
        return self.seeds > 0 and self.splits > 1


def _listed(value: Any) -> Any:
    """One alone stands for a list of it."""
    return [value] if isinstance(value, str | dict) else value


def _no_seeds(value: Any) -> Any:
    return {"seeds": 0} if value is False else value


class StudySpec(Model):
    """Everything that defines a study. `name` comes from the file's name or `--name`."""

    name: Annotated[str, Field(pattern=r"^\S([^\x00-\x1f\x7f]*\S)?$", max_length=100)]
    """What the study is called in the database; by default as its file."""
    objective: str
    """The function that trains: MODULE:FUNCTION, or ./mine.py:FUNCTION beside the study file."""
    question: str = ""
    """What the study asks; by default the first line of the file's opening comment."""
    direction: Literal["maximize", "minimize"] = "maximize"
    """Whether a high or a low score is wanted."""
    seed: int = 0
    """What all that is drawn follows from."""
    settings: dict[str, Any] = {}
    """What is the same for every trial."""
    space: Space = {}
    """What is searched: parameters with their range or choices."""
    configurations: list[Baseline] = []
    """In place of a space: exactly these are trained."""
    baselines: list[Baseline] = []
    """Points of the space that are tried first."""
    strategy: Component = Component(name=OPTUNA)
    """What is trained next, and how far: optuna (with sampler and pruner) or freeze_thaw."""
    by: str | None = None
    """The question: the choice parameter whose values are compared, each tuned fairly; or none."""
    portfolio: bool | None = None
    """Whether configurations known to be good are tried first; by default where trials pause."""
    sampler: Component = Component(name="tpe")
    """What proposes configurations."""
    pruner: Component = Component(name="median")
    """What ends hopeless trials early."""
    source: Annotated[
        Source | None,
        Field(alias="from"),
        BeforeValidator(_source, json_schema_input_type=Source | str | None),
    ] = None
    """Another study whose trials are known from the start, outside the budget."""
    audit: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of prune decisions that are not carried out, to see whether the pruner is right."""
    budget: Budget = Budget()
    """When the search is over."""
    confirm: Annotated[
        Confirm | None,
        BeforeValidator(_no_seeds, json_schema_input_type=Confirm | Literal[False] | None),
    ] = None
    """How the best are confirmed with fresh seeds; or false."""
    prefer: Literal["score", "faster", "smaller"] = "score"
    """What breaks ties of confirmed configurations: the score, milliseconds or parameters."""
    notify: Annotated[
        list[Notice],
        Field(exclude=True),
        BeforeValidator(_listed, json_schema_input_type=list[Notice] | Notice),
    ] = []
    """Who is told what happens: commands and URLs. It is of the run, and stored nowhere."""
    track: Annotated[
        list[Track],
        Field(exclude=True),
        BeforeValidator(_listed, json_schema_input_type=list[Track] | Track),
    ] = []
    """Other tools that get a run a trial, by name: tensorboard, mlflow, wandb."""
    folder: str = ""
    """What `./` in `objective` is relative to."""

    @model_validator(mode="before")
    @classmethod
    def _strategy(cls, value: Any) -> Any:
        """Where none is named: `optuna` under a sampler or pruner, or where nothing is searched."""
        if not isinstance(value, dict) or "strategy" in value:
            return value
        named = value.keys() & {"sampler", "pruner", "configurations"} or not value.get("space")
        return value | {"strategy": OPTUNA if named else DEFAULT_STRATEGY}

    @property
    def version(self) -> int:
        """The oldest spec version that can read it."""
        return 3 if all(getattr(self.budget, key) is None for key in parts.NEW) else SPEC_VERSION

    @property
    def is_stepwise(self) -> bool:
        """Whether a strategy grants epochs step by step, so that trials pause between."""
        return self.strategy.name != OPTUNA

    @property
    def arms_of(self) -> str | None:
        """The parameter whose values are the arms; None where all is one arm."""
        return None if self.by == NO_ARMS else self.by

    @property
    def arms(self) -> int:
        """How many arms there are."""
        arms = self.space.get(self.arms_of) if self.arms_of else None
        return len(arms.choice) if isinstance(arms, space.ChoiceParameter) else 1

    @property
    def takes_portfolio(self) -> bool:
        """Whether known good configurations are tried first, where the objective knows some."""
        return self.is_stepwise if self.portfolio is None else self.portfolio

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
        """The same study with the limits of the command line in place of the file's. The seconds
        are the command's own, not the study's, unless there is no other limit.

        Raises:
            UsageError: a limit is not above zero, or there is none at all.
        """
        if trials is not None and trials < 1:
            raise UsageError(f"--trials {trials}: must be at least 1")
        limits: dict[str, Any] = {} if trials is None else {"trials": trials}
        spec = self.model_copy(update={"budget": self.budget.model_copy(update=limits)})
        if seconds is not None and spec.is_endless:
            limits["hours"] = seconds / 3600
            spec = self.model_copy(update={"budget": self.budget.model_copy(update=limits)})
        if spec.is_endless:
            raise UsageError(
                f"study '{self.name}' has no limit: give `budget: {{trials: N}}` in its file, "
                "--trials N or --timeout 2h"
            )
        return spec

    @property
    def is_endless(self) -> bool:
        """Whether nothing limits what its commands train."""
        return self.trials is None and self.budget.epochs is None and self.budget.hours is None

    def seconds(self, given: float | None) -> float | None:
        """How long a command may take: as it was told itself, else the hours of the budget."""
        hours = self.budget.hours
        return given if given is not None or hours is None else hours * 3600

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


def problems(spec: StudySpec) -> Iterator[space.Problem]:
    """Everything wrong with a spec whose types are right."""
    for path, message in space.problems(spec.space):
        yield ("space", *path), message
    if spec.configurations:
        for other in ("space", "baselines"):
            if getattr(spec, other):
                message = f"`{other}` and `configurations` exclude each other; drop one of them"
                yield ("configurations",), message
    yield from parts.problems(spec.budget, spec.notify, enumerates=bool(spec.configurations))
    if spec.arms_of is not None and spec.arms_of not in (choices := _choices(spec)):
        message = f"must be a choice parameter of the space, or {NO_ARMS}, got {spec.by!r}; "
        why = "space has no choices" if spec.space else "this file has no space"
        none = f"{why}: leave `by` out; what an objective draws is compared without it"
        yield ("by",), message + (f"one of: {', '.join(choices)}" if choices else none)
    if (about := spec.confirm) and about.seeds and about.splits not in (1, about.seeds):
        message = (
            f"must be 1, or as many as seeds ({about.seeds}), got {about.splits}: seeds that share "
            "a split tell less for the same time"
        )
        yield ("confirm", "splits"), message
    elif about and about.is_split and "split_seed" in spec.space:
        message = "each seed has a split of its own, and split_seed is searched; drop one of them"
        yield ("confirm", "splits"), message
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


def _choices(spec: StudySpec) -> list[str]:
    return [k for k, p in spec.space.items() if isinstance(p, space.ChoiceParameter)]
