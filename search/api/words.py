"""Messages in Python's words: an option of the command is an argument here, the command a call.

All rooms below word what they have to say once, for the command; this is the only place that turns
it, so that no message can be forgotten.
"""

import contextlib
import re
from collections.abc import Iterator

from search.errors import OptsearchError, met_in_mid_run
from search.studyfile import commands

_COMMAND = re.compile(rf"`{commands.join(['run'])} ([^`]+)`")
_PLACE = re.compile(r"^--([a-z-]+) (.+?)(?=: )", re.MULTILINE)  # `--trials 0: must be ...`
_PROSE = "after|and|as|for|here|in|is|must|needs|of|or|says|that|to|with"  # no value of an option
_OPTION = re.compile(
    r"(?P<other>`(?!--)[^`\n]*`)|"  # a command of another program stays as it is
    rf"`?--(?P<name>[a-z]+(?:-[a-z]+)*)`?(?:[ =](?!(?:{_PROSE})\b)(?P<value>[^\s,;:)`]+))?"
)
_NUMBER = re.compile(r"-?[\d.]+|[NM]")
_SAME = (
    ("the same command", "the same call"),
    ("repeat the command", "repeat the call"),
    ("run the same command", "make the same call"),
    ("than its study file", "than this call"),
    (
        "give `budget: {trials: N}` in its file, --trials N or --timeout 2h",
        "pass trials=20 or timeout='2h'",
    ),
)


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Errors of ours that are raised in here are worded for Python. Also a decorator."""
    try:
        yield
    except OptsearchError as error:
        if (told := python(str(error))) != str(error):
            error.args = (told,)
        raise
    except Exception as error:
        if (known := met_in_mid_run(error)) is None:
            raise
        known.args = (python(str(known)),)
        raise known from error


def python(message: str) -> str:
    """A message as it is told to somebody who has called a function, and typed no command."""
    for of_the_command, of_a_call in reversed(_SAME):
        message = message.replace(of_the_command, of_a_call)
    message = _COMMAND.sub(lambda found: f"`{_call(commands.words(found[1]))}`", message)
    message = _PLACE.sub(lambda found: _argument(found[1], found[2]), message)
    return _OPTION.sub(lambda f: f["other"] or _argument(f["name"], f["value"]), message)


def _call(words: list[str]) -> str:
    """`run_study(...)` that does what `run` does with these words."""
    options = [(words[i].removeprefix("--"), words[i + 1]) for i in range(0, len(words) - 1, 2)]
    first = [repr(value) for name, value in options if name == "study"]
    return f"run_study({', '.join(first + [_argument(*o) for o in options if o[0] != 'study'])})"


def _argument(option: str, value: str | None) -> str:
    """An option with its value as the argument of a call; without one, what it is called."""
    if option == "no-confirm":
        return "confirm=False"
    if option == "set" and value:
        key, equals, text = value.partition("=")
        return f"overrides={{{key!r}: {commands.plain(text)}}}" if equals else f"overrides[{key!r}]"
    if option in ("from", "set"):
        return f"overrides={{'from': {value!r}}}" if value else "overrides"
    name = option.replace("-", "_")
    if value is None:
        return f"`{name}`"
    return f"{name}={value if _NUMBER.fullmatch(value) else repr(value)}"
