"""`optsearch copy`: a study from one database to another."""

import shlex
from typing import Annotated

import typer


def copy(
    study: Annotated[str, typer.Option("--study", metavar="NAME", help="A study in --from.")],
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="Database that the study is in.")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="URL", help="Another database; made where it is missing.")
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NEW_NAME", help="The name of the copy. Default: the study's own."),
    ] = None,
) -> None:
    """Copy a study, from SQLite to a PostgreSQL server or back, with all that is known of it.

    A copy that was interrupted leaves nothing; the same command starts over.
    """
    from search import copying
    from search.storage import redacted

    copied = copying.copy_study(study, source, target, name or study)
    places = f"from {redacted(source)} to {redacted(target)}"
    alias = "" if name in (None, study) else f" as '{name}'"
    trials = len(copied.get_trials(deepcopy=False))
    typer.echo(f"copied '{study}' with {trials} trials {places}{alias}{_shared(copied.user_attrs)}")
    show = ["show", "--study", name or study, "--storage", redacted(target)]
    delete = ["delete", "--study", study, "--storage", redacted(source), "--keep-files"]
    typer.echo(f"next:  {shlex.join(['optsearch', *show])}")
    typer.echo(f"       {shlex.join(['optsearch', *delete])}")


def _shared(attrs: dict[str, object]) -> str:
    if "uid" not in attrs:  # not made by optsearch: there are no files
        return ""
    return "; both find the same checkpoints and models in --workdir: go on with one of them only"
