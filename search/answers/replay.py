"""An exported configuration, to be trained once more: read `best.yaml`, change it, ask for it."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from search import objective
from search.errors import SpecError, UsageError
from search.studyfile import reading, spec, yaml_lines

SPLIT = "split_seed"  # the setting by which the validation images are drawn
ABOUT_SCORE = ("direction", "best_epoch", "stop_epoch", "reason")  # what else `score` holds


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Measured(_Model):
    """A score over fresh seeds: its mean, and the 95 % interval of the mean."""

    mean: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    images: int | None = None  # that the interval covers, besides seeds
    seeds: dict[str, float] = {}  # the score of each seed
    splits: dict[str, int] = {}  # the split_seed of each, where each has a split of its own
    best_epoch: dict[str, int] = {}  # of each seed, from 0, where its objective tells it
    stop_epoch: dict[str, int] = {}


class Confirmed(BaseModel):
    """What fresh seeds gave, by the name of the score."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Measured] = Field(init=False)
    ties: list[int] = []
    search_best: int | None = None  # the trial whose optimism is told

    def of(self, metric: str) -> Measured | None:
        return (self.__pydantic_extra__ or {}).get(metric)


class Best(_Model):
    """An exported configuration with its evidence."""

    objective: str
    study: str = "best"
    trial: int | None = None
    direction: Literal["maximize", "minimize"] = "maximize"
    score: dict[str, float | int | str] = {}
    confirmed: Confirmed = Confirmed()
    ranking: list[dict[str, Any]] = []
    params: dict[str, Any] = {}
    config: dict[str, Any] = {}  # every knob, `params` among them
    settings: dict[str, Any] = {}  # where the objective cannot tell every knob
    seed: int | None = None
    device: str | None = None
    threads: int | None = None
    data: dict[str, Any] = {}
    code: str | None = None
    versions: dict[str, str] = {}
    folder: str | None = None  # of the user's objective, on the machine of the search

    @property
    def metric(self) -> str:
        """What the score is called."""
        return next((name for name in self.score if name not in ABOUT_SCORE), "value")

    @property
    def recorded(self) -> float | None:
        """The score of the search's own seed."""
        value = self.score.get(self.metric)
        return None if value is None or isinstance(value, str) else float(value)

    @property
    def fixed(self) -> dict[str, Any]:
        """What the objective gets as settings: every knob that is not a parameter."""
        known = self.config or self.settings
        return {name: value for name, value in known.items() if name not in self.params}

    @property
    def split(self) -> int:
        """The split of the training images, by its seed."""
        return int((self.config or self.settings).get(SPLIT) or 0)

    @property
    def splits(self) -> dict[str, int]:
        """Of each seed that was confirmed on a split of its own."""
        found = (self.confirmed.__pydantic_extra__ or {}).values()
        return {seed: split for measured in found for seed, split in measured.splits.items()}

    def at(self, seed: int) -> "Best":
        """The configuration as it was confirmed with a seed: on the split of that seed."""
        split = self.splits.get(str(seed))
        if split is None or seed == self.seed:
            return self
        room = "config" if self.config else "settings"
        return self.model_copy(update={room: {**getattr(self, room), SPLIT: split}})

    def known_seeds(self, metric: str) -> dict[int, float]:
        """Every seed whose score is on record, the search's own among them."""
        measured = self.confirmed.of(metric)
        known = {
            int(seed): score
            for seed, score in (measured.seeds.items() if measured else ())
            if self.splits.get(seed, self.split) == self.split
        }
        whole = self.score.get("reason") != "hopeless"  # a pruned trial's score is its last report
        if whole and metric == self.metric and self.seed is not None and self.recorded is not None:
            known.setdefault(self.seed, self.recorded)
        return known


def load(file: Path) -> Best:
    """Read an exported configuration, by a person's hand perhaps.

    Raises:
        UsageError: there is no such file.
        SpecError: one line per problem, each with its place.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read ({error.strerror}); `export` writes such a file"
        ) from error
    raw, lines = yaml_lines.load(text, str(file))
    if not isinstance(raw, dict):
        raise SpecError(f"{file}:1 must be a mapping, as `export` writes it")
    try:
        best = Best.model_validate(raw)
        found = list(_problems(best))
    except ValidationError as error:
        found = list(dict.fromkeys(_problem(e) for e in error.errors()))
    if found:
        raise SpecError(reading.report(found, lines, str(file)))
    return best


def _problems(best: Best) -> Sequence[tuple[yaml_lines.Path, str]]:
    """What is wrong though its type is right."""
    found: list[tuple[yaml_lines.Path, str]] = []
    for metric, measured in (best.confirmed.__pydantic_extra__ or {}).items():
        found += [
            (("confirmed", metric, "seeds", seed), "a seed is a whole number; mend it")
            for seed in measured.seeds
            if not re.fullmatch(r"[0-9]+", seed)
        ]
    found += [
        (("params", name), f"{value!r} here and {best.config[name]!r} in config; make them equal")
        for name, value in best.params.items()
        if name in best.config and best.config[name] != value
    ]
    if best.seed is not None and best.seed < 0:
        found.append((("seed",), f"0 <= seed must hold, got {best.seed}"))
    if best.threads is not None and best.threads < 1:
        found.append((("threads",), f"1 <= threads must hold, got {best.threads}"))
    return found


_KEYS: dict[str, type[BaseModel]] = {"confirmed": Measured}


def _problem(error: Any) -> tuple[yaml_lines.Path, str]:
    """pydantic's finding in our words."""
    loc: yaml_lines.Path = tuple(
        part for part in error["loc"] if part not in ("float", "int", "str")
    )
    if error["type"] == "missing":
        return loc, "this key is missing; add it"
    if error["type"] == "extra_forbidden":
        keys = list((_KEYS.get(str(loc[0]), Best) if len(loc) > 1 else Best).model_fields)
        near = difflib.get_close_matches(str(loc[-1]), keys, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(keys)}"
        return loc, f"unknown key; {hint}"
    return loc, f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {error.get('input')!r}"


def change(best: Best, overrides: Sequence[str]) -> Best:
    """The configuration with `name=value` pairs put in, where each name stands already.

    A name that stands nowhere becomes a setting; the objective says whether it knows it. An empty
    value takes a name away.
    """
    params, config = dict(best.params), dict(best.config or best.settings)
    for override in overrides:
        name, equals, text = override.partition("=")
        room, _, rest = name.partition(".")
        name = rest if room in ("config", "params", "settings") and rest else name
        if not equals or not name or "." in name:
            raise UsageError(f"--set {override}: must be name=value, as in lr=1.0e-4")
        if text == "":
            params.pop(name, None)
            config.pop(name, None)
            continue
        value, _lines = yaml_lines.load(text, f"--set {name}")
        (params if name in params else config)[name] = value
    return best.model_copy(update={"params": params, "config": config})


def folder_of(best: Best, file: Path) -> str:
    """Where `./mine.py` lies: beside the YAML file, else where the search found it."""
    places = [file.parent.resolve(), *([Path(best.folder)] if best.folder else [])]
    file_name = objective.file(best.objective)
    return str(next((place for place in places if (place / file_name).is_file()), places[0]))


def study(best: Best, file: Path, seed: int) -> spec.StudySpec:
    """The one configuration as a study that enumerates it: what a worker process can be asked."""
    only = spec.Baseline(name="replay", params=best.params)
    return spec.StudySpec(
        name="replay",
        objective=best.objective,
        direction=best.direction,
        seed=seed,
        settings=best.fixed,
        configurations=[only],
        folder=folder_of(best, file),
    )


def seed_of(best: Best, wanted: int | None) -> int:
    """The seed to train with: the wanted one, else the recorded one."""
    if wanted is not None:
        return wanted
    if best.seed is None:
        raise UsageError("the file records no seed; choose one with --seed N")
    return best.seed


def file_name(study: str) -> str:
    """A study's name as a folder's."""
    return re.sub(r"[^\w.-]", "_", study)
