"""`optsearch knobs --markdown`: the same as a page."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from search.studyfile import described

if TYPE_CHECKING:
    from search.studyfile.described import Description

HEAD = """\
# Knobs

```
optsearch knobs                # all of them; this page is `optsearch knobs --markdown`
optsearch knobs adam           # what one optimizer, schedule, network, loss or data set reads
optsearch knobs weight_decay   # one of them
```

What stands in `settings`, `space`, `baselines` and `configurations` of a study file, and in a
`best.yaml`. A default that depends on the optimizer names it. Where "read by" is empty the knob is
always read; one that nobody reads is an error.
"""


def page(shown: "Description", whole: "Description") -> str:
    """Markdown: a table a group, then one for each knob whose choices have names."""
    return "\n".join([HEAD, *_groups(shown, whole), *_choices(shown)])


def _groups(shown: "Description", whole: "Description") -> Iterator[str]:
    heads = ("knob", "default", "may be", "read by", "what it is")
    for group, knobs in shown.by_group.items():
        rows = [
            (
                f"`{knob.name}`",
                described.default_words(knob),
                knob.may_be,
                described.reader_words(knob, whole),
                knob.about,
            )
            for knob in knobs
        ]
        if rows:
            yield f"## {group.capitalize()}\n\n{_table(heads, rows)}"


def _choices(shown: "Description") -> Iterator[str]:
    for gate, choices in shown.choices.items():
        rows = [
            (
                f"`{name}`",
                row.about,
                ", ".join(row.reads),
                ", ".join(f"{k} {described.plain(v)}" for k, v in row.defaults.items()),
            )
            for name, row in choices.items()
        ]
        heads = (gate, "what it is", "reads", "own defaults")
        yield f"## What `{gate}` may be\n\n{_table(heads, rows)}"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table without the columns that are empty throughout."""
    kept = [i for i in range(len(heads)) if any(row[i] for row in rows)]
    lines = [[heads[i] for i in kept], ["---"] * len(kept)]
    lines += [[row[i].replace("|", "\\|").replace("*", "\\*") for i in kept] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
