"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import completion
from search.terminal import log as logs

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Database URL. Default: $OPTSEARCH_STORAGE, else sqlite:///runs/optsearch.db.",
        show_default=False,
    ),
]
StoredStudy = Annotated[
    str,
    typer.Option(
        "--study",
        metavar="NAME",
        help="A study in the storage (`optsearch list`).",
        autocompletion=completion.stored,
    ),
]
StudyFile = Annotated[
    str,
    typer.Option(
        "--study",
        metavar="NAME|PATH",
        help="A study file: a name that comes with optsearch, or the path of your own.",
        autocompletion=completion.files,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Change a value of the study file, as in settings.epochs=5. Repeatable.",
        show_default=False,
    ),
]
Timeout = Annotated[
    str | None, typer.Option(metavar="DURATION", help="End after this time: 45s, 30m, 2h.")
]
Out = Annotated[Path, typer.Option(help="Where the best configuration goes.")]
Workdir = Annotated[
    Path, typer.Option("--workdir", metavar="DIR", help="Folder for checkpoints and models.")
]
Device = Annotated[
    str,
    typer.Option(help="auto, cpu, cuda (all visible GPUs), cuda:1 or mps."),
]
Workers = Annotated[
    str,
    typer.Option(metavar="N|auto", help="Processes in all; auto: one a core, or what suits a GPU."),
]
WorkersPerGpu = Annotated[str, typer.Option(metavar="K|auto", help="Processes that share one GPU.")]
Log = Annotated[
    logs.Log | None,
    typer.Option(
        "--log",
        parser=logs.parse,
        autocompletion=logs.offered,
        metavar="plain|quiet|json",
        help="Lines, the answer alone, or an object a line. Default: a live view on a terminal, "
        "lines elsewhere.",
        show_default=False,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=NAME",
        help="Of a table: what image, label, split or group is called. Repeatable.",
        show_default=False,
    ),
]


def named(columns: list[str] | None) -> dict[str, str]:
    """The columns of `--columns`. Raises UsageError where one is not KEY=NAME."""
    from search.errors import UsageError

    for one in columns or ():
        key, equals, name = one.partition("=")
        if not (key and equals and name):
            raise UsageError(f"--columns {one}: must be KEY=NAME, as in label=species")
    return {key: name for key, _, name in (one.partition("=") for one in columns or ())}
