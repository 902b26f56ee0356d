"""Every command's help ends with two commands that can be typed."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from typer.main import get_command

from search.cli.app import COMMANDS, app

Cli = Callable[..., Any]
EXAMPLES = [(name, example) for name, (_, two) in COMMANDS.items() for example in two]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_ends_with_two_examples(cli: Cli, name: str) -> None:
    """They are of that command, whole on a line each, and differ."""
    answer = cli(name, "--help")
    assert answer.code == 0
    shown = [line.strip() for line in answer.out.splitlines() if line.strip()][-3:]
    first, second = COMMANDS[name][1]
    assert shown == ["Examples:", f"$ optsearch {first}", f"$ optsearch {second}"]
    assert first != second


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_parses(name: str, example: str) -> None:
    """Its options exist and take these values; nothing is missing."""
    group: Any = get_command(app)
    typed, *arguments = shlex.split(example.partition(" > ")[0])
    assert typed == name
    group.commands[name].make_context(name, arguments)


def test_an_example_that_does_not_parse_would_be_seen() -> None:
    """The check above is one."""
    group: Any = get_command(app)
    for name, wrong in (("show", ["--sudy", "x"]), ("train", [])):
        with pytest.raises(Exception, match=r"(?i)no such option|missing parameter"):
            group.commands[name].make_context(name, wrong)


def test_a_traceback_is_shown_to_those_who_ask(cli: Cli) -> None:
    """`optsearch --traceback run ...`: for a report."""
    from search.errors import StudyNotFoundError

    with pytest.raises(StudyNotFoundError):
        cli("--traceback", "run", "--study", "nosuch")
