"""An answer, or a study, as a notebook shows it."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from search.api import tables, words
from search.dashboard import pieces
from search.errors import OptsearchError
from search.notebook import card
from search.record.progress import params_words

if TYPE_CHECKING:
    from search.api.run import Answer

EARLY = "It was stopped early: the same call goes on."


def of_answer(answer: "Answer") -> str:
    """Its study as it stands now; where that can no longer be read, what the answer itself holds.
    Of a dry run what it found."""
    if answer.rehearsal is not None:
        body = [pieces.table("What one epoch took", ["", ""], _measured(answer.rehearsal))]
        return card.framed(f"{answer.study}: one epoch, to rehearse", body, [])
    notes = [EARLY] if answer.is_interrupted else []
    try:
        study = tables.load(answer, None)
    except OptsearchError as error:
        why = f"What the answer itself holds, as its study cannot be read: {error}"
        return card.framed(answer.study, _held(answer), [*notes, why])
    return card.of_study(study, words.python, notes)


def _measured(rehearsal: dict[str, Any]) -> list[list[str]]:
    def told(value: Any) -> str:
        if isinstance(value, dict):
            return params_words(value)
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return [[escape(name), escape(told(value))] for name, value in rehearsal.items()]


def _held(answer: "Answer") -> Iterator[str]:
    if answer.best is None:
        yield "<p>No trial has completed.</p>"
        return
    number, value = answer.best["number"], answer.best["value"]
    confirmed = " It was confirmed on fresh seeds." * (answer.confirmed is not None)
    yield f"<p>Best of the search: trial {number}, {value:.4f}.{confirmed}</p>"
    yield pieces.params(answer.best["params"])


def of_nothing(name: str, why: str) -> str:
    """A study that there is not, or not yet."""
    return card.framed(name, [], [why])
