"""`optsearch knobs`: what can be set or searched, told by the objective's own tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli import completion

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from search.studyfile.described import Choice, Description

OURS = "objectives.cnn:objective"
Objective = Annotated[
    str,
    typer.Option(
        "--objective", metavar="REF", help="Whose knobs: ./mine.py:objective, or of a module."
    ),
]
HEADS = "what it is · its default · what it may be · who reads it"


def knobs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A knob, an optimizer, schedule, network, loss or data set; or a group: data, "
            "network, optimizer, schedule, loss, training. Default: all.",
            autocompletion=completion.knobs,
            show_default=False,
        ),
    ] = None,
    objective: Objective = OURS,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with JSON Schemas.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As a page (docs/knobs.md).")
    ] = False,
) -> None:
    """Show each knob of an objective: its default, what it may be, and who reads it."""
    from search.cli import knobs_page

    whole = ask(objective)
    shown = whole if name is None else _selected(whole, name, objective)
    if as_json:
        typer.echo(json.dumps(shown.model_dump(), indent=2, ensure_ascii=False))
    elif markdown:
        typer.echo(knobs_page.page(shown, whole), nl=False)
    else:
        from rich.console import Console

        show(Console(highlight=False, markup=False), shown, whole, is_all=name is None)


def ask(objective: str) -> "Description":
    """What an objective says of its knobs, asked in a worker process.

    Raises:
        ObjectiveError: it cannot be loaded, or says nothing of its knobs.
    """
    from search.errors import ObjectiveError

    if (found := asked(objective)) is None:
        raise ObjectiveError(
            f"--objective {objective}: its module offers no `describe`; its settings are the "
            "arguments of the function itself"
        )
    return found


def asked(objective: str) -> "Description | None":
    """As `ask`, but None where it says nothing."""
    from search.studyfile import described
    from search.workers import process

    process.warm_up(objective, str(Path.cwd()))
    with process.Process() as worker:
        found = worker.ask("describe", reference=objective, folder=str(Path.cwd()))
    return None if found is None else described.parse(found)


def _selected(whole: "Description", name: str, objective: str) -> "Description":
    from search.errors import UsageError
    from search.studyfile import described

    if found := described.select(whole, name):
        return found
    near = described.nearest(whole, name.lower())
    hint = f"nearest: {', '.join(near)}" if near else "`optsearch knobs` lists all"
    if about := _of_file(name):
        hint = f"it is a key of a study file: {about} docs/study-files.md has more"
    raise UsageError(f"knobs {name}: {objective} has nothing of that name; {hint}")


def _of_file(key: str) -> str:
    """What a key of a study file is; "" where none has that name."""
    from search.studyfile.spec import StudySpec

    fields = {field.alias or key: field for key, field in StudySpec.model_fields.items()}
    del fields["folder"]  # of the file itself
    return (fields[key].description or "") if key in fields else ""


def show(console: "Console", shown: "Description", whole: "Description", is_all: bool) -> None:
    """Print a selection; of all knobs without the choices, which would double the length."""
    tables = [*_groups(shown, whole)]
    named = [_choices(gate, rows) for gate, rows in shown.choices.items() if not is_all]
    is_one = sum(map(len, shown.choices.values())) == 1
    for table in [*named, *tables] if is_one else [*tables, *named]:
        console.print(table)
        console.print()
    if is_all:
        console.print(
            f"`knobs NAME` tells of one of them, or of any {', '.join(whole.choices)}", style="dim"
        )


def _groups(shown: "Description", whole: "Description") -> "Iterator[Table]":
    """A table a group: the knob's name, and beside it what it is above its facts."""
    from rich.text import Text

    from search.studyfile import described

    heads = HEADS
    width = max(len(knob.name) for knob in whole.knobs)
    for group, listed in shown.by_group.items():
        table = _grid(width)
        table.add_row(Text(group, style="bold underline"), Text(heads, style="dim"))
        for knob in listed:
            readers = described.reader_words(knob, whole)
            facts = [described.default_words(knob), knob.may_be, readers]
            table.add_row(Text(knob.name, style="bold"), _cell(knob.about, facts))
        if listed:
            yield table
            heads = ""


def _choices(gate: str, rows: "dict[str, Choice]") -> "Table":
    """What a knob may be by name: what each is, the knobs it reads, defaults of its own."""
    from rich.text import Text

    from search.studyfile import described

    table = _grid(max(map(len, [gate, *rows])))
    table.add_row(
        Text(gate, style="bold underline"),
        Text("what it is · what it reads" if len(rows) > 1 else "", "dim"),
    )
    for name, row in rows.items():
        own = [
            f"{knob} {described.plain(value)} by default" for knob, value in row.defaults.items()
        ]
        reads = f"reads {', '.join(row.reads)}" if row.reads and len(rows) > 1 else ""
        table.add_row(Text(name, style="bold"), _cell(row.about, [reads, *own]))
    return table


def _cell(about: str, facts: list[str]) -> "Text":
    """What something is, and below it the facts."""
    from rich.text import Text

    return Text("\n".join(filter(None, [about, " · ".join(filter(None, facts))])))


def _grid(width: int) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, width=width)
    table.add_column()
    return table
