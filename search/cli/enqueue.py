"""`optsearch enqueue`: have a study try a configuration of one's own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from search.cli.options import Storage, StoredStudy


def enqueue(
    study: StoredStudy,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--params",
            metavar="NAME=VALUE,...",
            help="Every active parameter, values in YAML. Repeatable.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="In place of them: those of a best.yaml."),
    ] = None,
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

    if (params is None) == (file is None):
        raise UsageError("--params and --from: exactly one of them says what is to be tried")
    wanted = queueing.parse(params or ()) if file is None else _params_of(file)
    opened = studies.load_study(study, storages.resolve_url(storage))
    spec = studies.require_spec(opened)
    if found := list(queueing.problems(opened, spec, wanted)):
        place = "--params" if file is None else f"--from {file}"
        raise UsageError("\n".join(line.replace("--params", place, 1) for line in found))
    is_checked = queueing.is_checked(opened, spec)
    before = queueing.add(opened, wanted, name)
    words = f"behind {before} queued before it" if before else "the next free slot takes it"
    typer.echo(f"study '{study}': queued; {words}")
    if not is_checked:
        typer.echo("its objective draws the parameters itself: names that it never draws are lost")
    if line := spent.beyond(opened, studies.limits(opened, spec)):
        typer.echo(line)


def _params_of(file: Path) -> dict[str, Any]:
    """The parameters of an exported configuration."""
    from search.errors import UsageError
    from search.studyfile import yaml_lines

    try:
        read, _ = yaml_lines.load(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UsageError(f"--from {file}: cannot be read: {cause}; name another file") from error
    params = read.get("params") if isinstance(read, dict) else None
    if not isinstance(params, dict) or not params:
        raise UsageError(
            f"--from {file}: holds no `params`, as a best.yaml does; name another file"
        )
    return params
