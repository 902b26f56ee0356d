"""What to type next about a study: commands with its name and its storage."""

from collections.abc import Sequence

import optuna
from optuna.study._frozen import FrozenStudy

from search.database import storage
from search.studyfile import commands

ASKED = "optsearch:run"  # study attribute: its file's words, and what was changed; [] from Python


def asked(study: str, name: str | None, overrides: Sequence[str]) -> list[str]:
    """The words of `run` that ask a study's question once more."""
    words = [*commands.option("study", commands.file(study)), *commands.option("name", name)]
    return [*words, *(word for one in overrides for word in commands.option("set", one))]


def of(study: optuna.Study, command: str, *words: object, **options: object) -> str:
    """A command about a study that is in a storage."""
    place = storage.place(study)
    return commands.line(command, *words, study=study.study_name, storage=place, **options)


def run(study: optuna.Study | FrozenStudy, place: str | None, **options: object) -> str:
    """The command that searches on in a study; by its name where nobody has noted its file. For a
    question from Python it is a call, the dots in it what was given before.

    Args:
        place: the storage; None for the usual one.
    """
    words = study.user_attrs.get(ASKED, commands.option("study", study.study_name))
    more = {"storage": place, **options}
    if not words:
        return commands.call("run_study", **more)
    told = (word for name, value in more.items() for word in commands.option(name, value))
    return commands.join(["run", *words, *told])


def run_on(study: optuna.Study, **options: object) -> str:
    """As `run`, of a study that was opened here."""
    return run(study, storage.place(study), **options)
