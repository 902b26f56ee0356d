"""A study's name as it is typed: as an argument, with --study, or not at all where there is one."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import OptionInfo

ARGUMENT = "named"  # the parameter of a command that its study's name stands in


INSTEAD = "data"  # the option of a command that makes a study, so that none is to be named


def named(
    function: Callable[..., None], *, is_guessed: bool = True, is_word: bool = True
) -> Callable[..., None]:
    """The command, whose `study` may stand without its option, too.

    Args:
        is_guessed: whether the storage's only study is meant where none is named.
        is_word: whether it may stand without its option; else the command's words are its own.
    """
    signature = inspect.signature(function)
    study = signature.parameters.get("study")
    kind: Any
    kind, *infos = get_args(study.annotation) if study else [None]
    option = next((info for info in infos if isinstance(info, OptionInfo)), None)
    if study is None or option is None:
        return function
    guesses = is_guessed and option.metavar == "NAME"
    several = get_origin(kind) is list
    argument = typer.Argument(
        metavar=f"{option.metavar}{'...' * several}",
        help="As --study." + " None is needed where the storage has one study." * guesses,
        autocompletion=option.autocompletion,
        show_default=False,
    )
    option = copy.copy(option)
    option.show_default = False

    @functools.wraps(function)
    def command(**given: Any) -> None:
        words, typed = given.pop(ARGUMENT, None), given["study"]
        wanted = [*(words or ()), *(typed or ())] if several else _one(words, typed)
        if not wanted and guesses:
            only = _only_one(given.get("storage"))
            wanted = [only] if several else only
        given["study"] = wanted if given.get(INSTEAD) else wanted or _refuse(option.help or "")
        function(**given)

    own = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values()]
    kinds = {"study": Annotated[kind | None, option], ARGUMENT: Annotated[kind | None, argument]}
    word = inspect.Parameter(ARGUMENT, inspect.Parameter.KEYWORD_ONLY, default=None)
    shown = [word, *own] if is_word else own
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            p.replace(annotation=kinds[p.name], default=None) if p.name in kinds else p
            for p in shown
        ]
    )
    return command


def _one(word: str | None, typed: str | None) -> str | None:
    from search.errors import UsageError

    if word is not None and typed is not None and word != typed:
        raise UsageError(f"'{word}' and --study {typed}: are two studies; name one of them")
    return word or typed


def _only_one(storage: str | None) -> str:
    """The name of the storage's only study. Raises UsageError, or StudyNotFoundError."""
    from search.database import storage as storages
    from search.errors import StudyNotFoundError, UsageError
    from search.record.study import CONFIRMS

    url = storages.resolve_url(storage)
    stored = storages.open_storage(url, create=False).get_all_studies()
    names = [one.study_name for one in stored if CONFIRMS not in one.user_attrs]
    place = storages.redacted(url)
    if not names:
        raise StudyNotFoundError(f"no study in {place} yet; `run` starts one")
    if len(names) > 1:
        raise UsageError(f"several studies in {place}: name one of {', '.join(sorted(names))}")
    return names[0]


def _refuse(what: str) -> Any:
    from search.errors import UsageError

    raise UsageError(f"no study is named; give {what[:1].lower()}{what[1:].rstrip('.')}")
