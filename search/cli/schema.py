"""`optsearch schema`: the JSON Schema of a study file, for editors."""

import json

import typer

from search.cli import knobs


def schema(objective: knobs.Objective = knobs.OURS) -> None:
    """Print the JSON Schema of a study file, with the knobs of an objective.

    An editor with a YAML language server completes and checks a file in whose opening comment, but
    not in its first line, stands `# yaml-language-server: $schema=schema.json`.
    """
    from search.strategy import check
    from search.studyfile import schema as schemas

    known = schemas.of_file(check.schemas(), objective, knobs.asked(objective))
    typer.echo(json.dumps(known, indent=1, ensure_ascii=False))
