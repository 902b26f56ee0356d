"""Parts of a study file that stand by themselves: what may be spent, and who is told."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from search.studyfile import durations
from search.studyfile.space import STRICT

NOISE: Literal["noise"] = "noise"  # `budget.stalled.by`
WAYS = ("command", "url")  # keys of a row of `notify`
EVENTS = ("answer", "failure", "stalled")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")  # in `notify.url`
NEW = ("until", "stalled")  # keys of the budget that an optsearch of spec version 3 cannot read


class Model(BaseModel):
    """Frozen, strict, with the docstrings of its fields in the JSON Schema, and so in editors."""

    model_config = STRICT


def _seconds(value: Any) -> Any:
    """Seconds of `30m`; a number is seconds already."""
    return durations.seconds(value) if isinstance(value, str) else value


TrialSeconds = Annotated[float, Field(ge=0.001, le=366 * 86400)]  # what a timer takes
Duration = Annotated[str, Field(pattern=r"^\s*[0-9]")]


class Until(Model):
    """What is good enough."""

    score: float
    """Once a trial has completed with a score as good as this, no further one begins."""


class Stalled(Model):
    """When going on is not worth it: so long without a gain."""

    epochs: PositiveInt | None = None
    """Epochs of all trials without a gain; or `trials`."""
    trials: PositiveInt | None = None
    """Trials that have ended without a gain; or `epochs`."""
    by: NonNegativeFloat | Literal["noise"] = NOISE
    """What a gain must exceed: a number, or noise, what another seed changes by itself."""

    @model_validator(mode="after")
    def _one(self) -> "Stalled":
        if (self.epochs is None) == (self.trials is None):
            raise ValueError("exactly one of epochs and trials must be given")
        return self


class Budget(Model):
    """How much may be spent: chains of trials and epochs in all, hours of one command."""

    trials: PositiveInt | None = None
    """Trials in all; one with its retries counts once."""
    epochs: PositiveInt | None = None
    """Epochs in all; never passed."""
    hours: PositiveFloat | None = None
    """Of one command; the running epochs are then the last."""
    until: Until | None = None
    """Enough: a score after which no further trial begins."""
    stalled: Stalled | None = None
    """Enough: so long without a gain beyond noise, and no further trial begins."""
    trial_timeout: Annotated[
        TrialSeconds | None,
        BeforeValidator(_seconds, json_schema_input_type=TrialSeconds | Duration | None),
    ] = None
    """Of one trial, in seconds or as in 30m; it ends as pruned, with its last report."""
    retries: NonNegativeInt = 3
    """Crashes in a row, without a new checkpoint, that are answered."""

    @model_serializer(mode="wrap")
    def _without_new(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is not used is not stored: an earlier optsearch can read the rest."""
        told: dict[str, Any] = usual(self)
        return {k: v for k, v in told.items() if k not in NEW or v is not None}


Track = Literal["tensorboard", "mlflow", "wandb"]


class Notice(Model):
    """Who is told, and of what: a command, or a URL."""

    on: Annotated[list[Literal["answer", "failure", "stalled"]], Field(min_length=1)] | None = None
    """answer: the run has ended with one; failure: without; stalled: as in the budget. Or all."""
    command: Annotated[str, Field(min_length=1)] | None = None
    """For a shell: it gets the event as JSON on standard input, and in variables OPTSEARCH_..."""
    url: Annotated[str, Field(min_length=1)] | None = None
    """Gets it by POST. $NAME and ${NAME} are taken from the environment: a secret stays there."""
    shape: Literal["json", "slack", "ntfy"] | None = None
    """What the URL is sent; by default by its host, else json."""

    @model_validator(mode="after")
    def _one(self) -> "Notice":
        if (self.command is None) == (self.url is None):
            raise ValueError(f"exactly one of {' and '.join(WAYS)} must be given")
        if self.shape is not None and self.url is None:
            raise ValueError("shape is of a url alone; drop it")
        return self

    @property
    def events(self) -> tuple[str, ...]:
        """What it is told of."""
        return EVENTS if self.on is None else tuple(self.on)

    @property
    def variables(self) -> list[str]:
        """Names of the environment that its URL needs."""
        return [braced or plain for braced, plain in VARIABLE.findall(self.url or "")]


def expanded(url: str, environ: Mapping[str, str]) -> str:
    """A URL with what the environment holds in place of its variables."""
    return VARIABLE.sub(lambda found: environ.get(found[1] or found[2], ""), url)


def unreachable(
    notify: Sequence[Notice], environ: Mapping[str, str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What keeps a URL from being asked from here; a secret is never told."""
    for i, one in enumerate(notify):
        unset = [name for name in one.variables if not environ.get(name)]
        for name in unset:
            yield ("notify", i, "url"), f"${name} is not set in the environment; export it"
        whole = expanded(one.url or "", environ)
        if one.url and not unset and not re.match(r"https?://[^/\s]", whole):
            yield (
                ("notify", i, "url"),
                "must be an address of http or https, as in https://HOST/...",
            )


def problems(
    budget: Budget, notify: Sequence[Notice], *, enumerates: bool
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What does not go together."""
    for key in NEW if enumerates else ():
        if getattr(budget, key) is not None:
            yield ("budget", key), f"`configurations` are trained all; drop {key}"
    for i, one in enumerate(notify):
        if one.on is not None and "stalled" in one.on and budget.stalled is None:
            yield ("notify", i, "on"), "stalled never happens without budget.stalled; add that"
