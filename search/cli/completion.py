"""What the shell offers for a study's name. Light, and silent whatever happens: it runs at every
press of the tab key, in a terminal where somebody is typing."""

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search.studyfile import catalog

BUSY_S = 0.5  # how long a locked file is waited for
CONNECT_S = 2  # how long a server is; the least that PostgreSQL's library takes
DEFAULT_FILE = "runs/optsearch.db"  # as in search/database/storage.py, whose import takes a second
_GATES = ("dataset", "network", "optimizer", "schedule", "loss")  # knobs whose choices have names
_NAMES = "SELECT study_name FROM studies ORDER BY study_name"


def files(incomplete: str) -> list[str]:
    """Studies that come with the package, and YAML files from here on."""
    with contextlib.suppress(Exception):
        return [
            name for name in (*catalog.available(), *_paths(incomplete)) if _fits(name, incomplete)
        ]
    return []


def stored(ctx: Any, incomplete: str) -> list[str]:
    """Studies in the storage that is meant by what was typed so far.

    Args:
        ctx: of Typer, with the options that stand on the line already.
    """
    with contextlib.suppress(Exception):
        given = ctx.params.get("storage") or ctx.params.get("source")
        url = (
            given or os.environ.get("OPTSEARCH_STORAGE", "").strip() or f"sqlite:///{DEFAULT_FILE}"
        )
        return [name for name in _stored_in(url.strip()) if _fits(name, incomplete)]
    return []


def knobs(incomplete: str) -> list[str]:
    """Knobs of our own objective, and names that they may have, out of the JSON Schema beside the
    studies: asking the objective itself would take seconds."""
    with contextlib.suppress(Exception):
        text = catalog.schema_file().read_text(encoding="utf-8")
        known = json.loads(text)["$defs"]["Knobs"]["properties"]
        rules = [rule for gate in _GATES for rule in (known[gate], *known[gate].get("anyOf", ()))]
        names = [*known, *(name for rule in rules for name in rule.get("enum", ()))]
        return [name for name in dict.fromkeys(names) if _fits(name, incomplete)]
    return []


def _fits(name: str, incomplete: str) -> bool:
    return name.startswith(incomplete)


def _paths(incomplete: str) -> Iterator[str]:
    """Files and folders whose path begins so, written as it was begun."""
    folder, slash, _ = incomplete.rpartition("/")
    for entry in sorted(Path(folder + slash or ".").iterdir()):
        if entry.is_dir() and incomplete and not entry.name.startswith("."):
            yield f"{folder}{slash}{entry.name}/"
        elif entry.suffix in (".yaml", ".yml"):
            yield f"{folder}{slash}{entry.name}"


def _stored_in(url: str) -> list[str]:
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        return _read_sqlite(rest.removeprefix("/").partition("?")[0])
    if scheme.startswith("postgres"):
        return _read_postgresql(f"postgresql://{rest}")
    return []


def _read_sqlite(file: str) -> list[str]:
    """Read-only: completing a name must not make a file."""
    uri = f"{Path(file).expanduser().absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, timeout=BUSY_S, uri=True)) as connection:
        return [row[0] for row in connection.execute(_NAMES)]


def _read_postgresql(url: str) -> list[str]:
    import psycopg

    url = re.sub(r"(?<=[?&])prepare_threshold=\w*&?", "", url)  # of psycopg, not of a conninfo
    with psycopg.connect(url, connect_timeout=CONNECT_S) as connection:
        return [row[0] for row in connection.execute(_NAMES)]
