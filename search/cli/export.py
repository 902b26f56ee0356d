"""`optsearch export`: the best configurations as YAML."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Storage, StoredStudy


def export(
    study: StoredStudy,
    storage: Storage = None,
    out: Annotated[Path, typer.Option(help="The file of the best one.")] = Path("best.yaml"),
    top: Annotated[int, typer.Option(min=1, help="How many; the second goes to best.2.yaml.")] = 1,
) -> None:
    """Write the best configuration, every default filled in, with its score and provenance."""
    from search.answers import confirm
    from search.answers import export as exports
    from search.database import storage as storages
    from search.errors import RunFailedError
    from search.record import results
    from search.record import study as studies
    from search.workers import process

    exports.check_writable(out)
    loaded = studies.load_study(study, storages.resolve_url(storage))
    spec = studies.require_spec(loaded)
    ranked = confirm.ranking(loaded)[:top]
    if not ranked:
        raise RunFailedError(f"study '{study}' has no complete trial yet; run it further first")
    process.warm_up(spec.objective, spec.folder)
    with process.Process() as asked:
        for trial, path in zip(ranked, exports.paths(out, top), strict=False):
            resolved = asked.ask("resolve", study=spec, **exports.identity(trial))
            exports.write(path, exports.document(loaded, spec, trial, resolved, path))
            typer.echo(f"{path}: trial {trial.number}, {results.metric(loaded)} {trial.value:.5g}")
