"""What an objective says of its knobs, as its companion `describe` returns it, checked."""

import difflib
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from search.errors import ObjectiveError


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Knob(_Model):
    """A setting or parameter: what it is, what it may be, and which choices read it."""

    name: str
    group: str = "knobs"
    about: str = ""
    default: Any = None
    own_defaults: dict[str, dict[str, Any]] = {}  # {"optimizer": {"sgd": 0.01}}, where it differs
    required: bool = False
    may_be: str = ""  # in words
    json_schema: dict[str, Any] = {}
    parts: dict[str, Any] | None = None  # the schema of NAME.PART, where that is a knob too
    always: bool = True  # read whatever is chosen
    read_by: dict[str, list[Any]] = {}  # {"optimizer": ["sgd"]}


class Choice(_Model):
    """What a knob may be by name, such as an optimizer: the knobs it reads, defaults of its own."""

    about: str = ""
    reads: list[str] = []
    defaults: dict[str, Any] = {}


class Description(_Model):
    """All knobs of an objective, and the choices of those that have a table."""

    groups: list[str] = []
    knobs: list[Knob]
    choices: dict[str, dict[str, Choice]] = {}

    @property
    def by_group(self) -> dict[str, list[Knob]]:
        """The knobs, in the order of their groups."""
        names = dict.fromkeys([*self.groups, *(knob.group for knob in self.knobs)])
        return {name: [knob for knob in self.knobs if knob.group == name] for name in names}


def parse(raw: Any) -> Description:
    """Check what `describe` returned.

    Raises:
        ObjectiveError: it has another form.
    """
    try:
        return Description.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise ObjectiveError(
            f"describe: {place}: {first['msg']}; return a mapping with `knobs`, a list of rows "
            "with a name, as objectives/describe.py does"
        ) from error


def select(whole: Description, name: str) -> Description | None:
    """What belongs to a group, a knob, or a choice (whose own defaults stand in place of the
    knobs'); None where nothing is called so."""
    for gate, rows in whole.choices.items():
        if name in rows:
            own = rows[name].defaults
            knobs = [
                knob.model_copy(
                    update={"default": own.get(knob.name, knob.default), "own_defaults": {}}
                )
                for knob in whole.knobs
                if knob.name in {*rows[name].reads, *own}
            ]
            return Description(groups=whole.groups, knobs=knobs, choices={gate: {name: rows[name]}})
    knobs = whole.by_group.get(name) or [knob for knob in whole.knobs if knob.name == name]
    choices = {knob.name: whole.choices[knob.name] for knob in knobs if knob.name in whole.choices}
    return Description(groups=whole.groups, knobs=knobs, choices=choices) if knobs else None


def nearest(whole: Description, name: str) -> list[str]:
    """Names like this one, and knobs whose line speaks of it, as it does of torch's names."""
    names = [*whole.by_group, *(knob.name for knob in whole.knobs)]
    names += [choice for rows in whole.choices.values() for choice in rows]
    spoken = [k.name for k in whole.knobs if name in re.findall(r"\w+", k.about.lower())]
    return list(dict.fromkeys([*spoken, *difflib.get_close_matches(name, names, 3, 0.5)]))


def default_words(knob: Knob) -> str:
    """As in `0.001 (sgd 0.01)`."""
    if knob.required:
        return "must be given"
    if knob.default is None and knob.own_defaults:
        return f"the {next(iter(knob.own_defaults))}'s own"
    own = [item for choices in knob.own_defaults.values() for item in choices.items()]
    told = ", ".join(f"{choice} {plain(value)}" for choice, value in own)
    return plain(knob.default) + (f" ({told})" if told else "")


def reader_words(knob: Knob, whole: Description) -> str:
    """As in `optimizer sgd, rmsprop` or `every schedule but phases`; "" where it is always read."""
    if knob.always:
        return ""
    told = []
    for gate, chosen in knob.read_by.items():
        names = [*whole.choices.get(gate, ())]
        others = [name for name in names if name not in chosen]
        if not names:
            told.append(gate)
        elif not others:
            told.append(f"every {gate}")
        elif len(others) < len(names) / 3:
            told.append(f"every {gate} but {', '.join(others)}")
        else:
            told.append(f"{gate} {', '.join(map(str, chosen))}")
    return ", ".join(told)


def plain(value: Any) -> str:
    """A value as YAML writes it; a dash for none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
