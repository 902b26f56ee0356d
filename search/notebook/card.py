"""The answer of a study as a card: question, table, what may be concluded, what it cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

import optuna

from search.answers import brief
from search.answers.brief import Brief
from search.dashboard import boards, pieces
from search.notebook import frame
from search.record import results
from search.record import study as studies
from search.record.progress import params_words


def of_study(
    study: optuna.Study, turned: Callable[[str], str] = str, notes: Sequence[str] = ()
) -> str:
    """An answer as HTML, as the study stands now.

    Args:
        turned: puts a sentence into the words of whoever reads it.
        notes: what is to be said at its end, too.
    """
    spec = studies.stored_spec(study)
    if spec is None:
        head, lines = study.study_name, ["It was not made by optsearch: these are its best trials."]
        return framed(head, [boards.of_best(study)], [*lines, *notes])
    told = brief.of(study, spec)
    lines = [*told.concluded, told.cost, told.forecast, told.enough, *notes]
    rest = [f'<p class="wrong">{pieces.words(turned(line))}</p>' for line in told.errors]
    body = [*_leads(told, turned), _table(study, told), _winner(study, told)]
    return framed(told.question or study.study_name, body, map(turned, filter(None, lines)), rest)


def framed(head: str, body: Iterable[str], lines: Iterable[str], rest: Iterable[str] = ()) -> str:
    """A card. `body` and `rest` are HTML, `head` and `lines` text."""
    said = [f"<p>{pieces.words(line)}</p>" for line in lines]
    parts = [f"<h3>{escape(head)}</h3>", *body, *said, *rest]
    return frame.framed(f'<div class="card">{"".join(parts)}</div>')


def _leads(told: Brief, turned: Callable[[str], str]) -> Iterator[str]:
    yield from (f"<p><strong>{pieces.words(turned(line))}</strong></p>" for line in told.leads)


def _table(study: optuna.Study, told: Brief) -> str:
    if told.comparison is not None:
        return boards.of_values(study, told.comparison)
    if told.known is not None and any(c.scores for c in told.known.candidates):
        return boards.of_candidates(study, told.known)
    return boards.of_best(study) if results.ranking(study) else "<p>No trial is complete yet.</p>"


def _winner(study: optuna.Study, told: Brief) -> str:
    """With which parameters: the table has the names of values alone."""
    if told.known is not None and told.known.winner is not None:
        number, drawn = told.known.winner.number, told.known.winner.params
    elif ranked := results.ranking(study):
        number, drawn = ranked[0].number, ranked[0].params
    else:
        return ""
    return f"<p>Trial {number}: <code>{escape(params_words(drawn))}</code></p>"
