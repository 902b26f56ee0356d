"""Commands as they are printed: whatever is in its words, each can be pasted into a shell."""

import shlex
from collections.abc import Iterable
from pathlib import Path


def join(words: Iterable[object]) -> str:
    """`optsearch` with these words, as a shell reads them."""
    return shlex.join(["optsearch", *map(str, words)])


def words(text: str) -> list[str]:
    """What a shell reads of the words of a command."""
    return shlex.split(text)


def line(command: str, *words: object, **options: object) -> str:
    """`optsearch COMMAND --option value ... words`; an option that is None is left out."""
    told = (word for name, value in options.items() for word in option(name, value))
    return join([command, *told, *words])


def option(name: str, value: object) -> list[str]:
    """The words of an option: one where its value begins as an option does; none for None."""
    flag, text = f"--{name.replace('_', '-')}", str(value)
    if value is None:
        return []
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def call(function: str, **told: object) -> str:
    """`function(..., name=value)`, for a question that stands in no file; `set` is `key=value`."""
    changed, _, to = str(told.pop("set", "")).partition("=")
    named = [f", {name}={value!r}" for name, value in told.items() if value is not None]
    named += [f", overrides={{{changed!r}: {plain(to)}}}"] * bool(changed)
    return f"{function}(...{''.join(named)})"


def plain(text: str) -> str:
    """A value of `--set` as Python writes it."""
    return {"null": "None", "true": "True", "false": "False"}.get(text, text)


def options(**told: object) -> str:
    """Options to add to a command, as a shell reads them."""
    return shlex.join(word for name, value in told.items() for word in option(name, value))


def file(path: str | Path) -> str:
    """A path that no command takes for an option."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def python(file: str) -> str:
    """`python FILE`."""
    return shlex.join(["python", file])
