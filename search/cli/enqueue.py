"""`optsearch enqueue`: have a study try a configuration of one's own."""

from typing import Annotated

import typer

from search.cli.options import Storage, StoredStudy


def enqueue(
    study: StoredStudy,
    params: Annotated[
        list[str],
        typer.Option(
            "--params",
            metavar="NAME=VALUE,...",
            help="Every active parameter, values in YAML. Repeatable.",
        ),
    ],
    storage: Storage = None,
    name: Annotated[
        str | None, typer.Option(help="What tables call this configuration.", show_default=False)
    ] = None,
) -> None:
    """Queue a configuration of your own: the next free slot of the study's budget tries it."""
    from search.database import storage as storages
    from search.errors import UsageError
    from search.record import queueing, spent
    from search.record import study as studies

    wanted = queueing.parse(params)
    opened = studies.load_study(study, storages.resolve_url(storage))
    spec = studies.require_spec(opened)
    if found := list(queueing.problems(opened, spec, wanted)):
        raise UsageError("\n".join(found))
    is_checked = queueing.is_checked(opened, spec)
    before = queueing.add(opened, wanted, name)
    words = f"behind {before} queued before it" if before else "the next free slot takes it"
    typer.echo(f"study '{study}': queued; {words}")
    if not is_checked:
        typer.echo("its objective draws the parameters itself: names that it never draws are lost")
    if line := spent.beyond(opened, studies.limits(opened, spec)):
        typer.echo(line)
