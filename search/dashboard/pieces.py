"""Pieces of HTML that the sections of the live page are made of."""

from collections.abc import Mapping, Sequence
from html import escape

import optuna

from search.answers import markup
from search.dashboard import charts
from search.record.progress import params_words

words = markup.words  # a sentence; what is in backticks in it is code


def of(study: optuna.Study, number: int | None) -> str:
    return "-" if number is None else link(study, number, str(number))


def link(study: optuna.Study, number: int, words: str = "") -> str:
    place = f"/dashboard/studies/{study._study_id}/trials?numbers={number}"
    return f'<a href="{place}">{words or f"trial {number}"}</a>'


def ending(number: int) -> str:
    """A button that ends a trial; the page's script knows what it does."""
    return f'<button type="button" data-end="{number}" aria-label="end trial {number}">end</button>'


def params(drawn: Mapping[str, object]) -> str:
    return f"<p><code>{escape(params_words(drawn))}</code></p>" if drawn else ""


Key = tuple[str, int, str]  # kind and arm, as of a chart's line or dot, and what it means
DOTS = ("complete", "pruned")  # kinds that are drawn as dots, all others as lines


def legend(items: Sequence[Key]) -> str:
    """What colours and strokes mean, each drawn as the chart draws it."""
    told = "".join(
        f'<li><svg class="key" viewBox="0 0 16 8" aria-hidden="true">{_key(kind, arm)}</svg> '
        f"{escape(words)}</li>"
        for kind, arm, words in items
    )
    return f'<ul class="legend">{told}</ul>' if items else ""


def _key(kind: str, arm: int) -> str:
    color = charts.color(arm)
    if kind in DOTS:
        return f'<circle class="dot {kind} {color}" cx="8" cy="4" r="3"/>'
    return f'<path class="line {kind} {color}" d="M1 4H15"/>'


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML, heads and caption text. It scrolls by itself where it is too wide, also by
    the keyboard; on a phone each row is a paragraph, its cells named (so the roles are written out,
    which a table that is laid out as something else would lose)."""
    head = "".join(f'<th scope="col" role="columnheader">{_broken(h)}</th>' for h in heads)
    body = "".join(f'<tr role="row">{_cells(heads, row)}</tr>' for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _cells(heads: Sequence[str], row: Sequence[str]) -> str:
    named = zip(heads, row, strict=True)
    return "".join(f'<td role="cell" data-head="{escape(h)}">{cell}</td>' for h, cell in named)


def _broken(name: str) -> str:
    """A long name may break at its underscores."""
    return escape(name).replace("_", "_<wbr>")
