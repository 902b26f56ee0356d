"""A study file where there is none yet: from data, or about an objective of one's own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from search.errors import ObjectiveError, OutputError, UsageError
from search.studyfile import commands, starter, yaml_lines
from search.workers import process
from search.workers.process import Process

OURS = "objectives.cnn:objective"
_SETTING = re.compile(r"set settings\.columns: \{(\w+): NAME\}")  # for which there is no file yet
HOURS = 1.0  # that a search is planned for where nobody says


class Draft(NamedTuple):
    """A study file that is there now, and what is to be told: of the data, and of the file."""

    file: Path
    told: list[str]


def for_run(
    data: str,
    name: str | None,
    out: Path,
    device: str = "auto",
    hours: float = HOURS,
    columns: Mapping[str, str] | None = None,
) -> Draft:
    """The study file of `run --data`, beside the answer; one that is there already is run on.

    Raises:
        UsageError: that one asks about other data.
    """
    file = out.parent / f"{name or starter.name_of(data)}.yaml"
    if not file.exists():
        made = from_data(data, file, device, hours, columns)
        return Draft(file, [made.told[0], made.told[-1]])  # the run tells of the data itself
    raw, _ = yaml_lines.load(file.read_text(encoding="utf-8"), str(file))
    settings = raw.get("settings") if isinstance(raw, dict) else None
    found = str(settings.get("dataset", "")) if isinstance(settings, dict) else ""
    if data.rstrip("/") not in (found, found.partition(":")[2]):
        raise UsageError(
            f"--data {data}: {file} is there, and asks about {found or 'no data'}; "
            "give the study another name with --name"
        )
    stands = settings.get("columns") if isinstance(settings, dict) else None
    if columns and any((stands or {}).get(key, key) != name for key, name in columns.items()):
        raise UsageError(
            f"--columns: {file} is there, and its columns are {stands or 'called as usual'}; "
            "change it there, or give the study another name with --name"
        )
    anew = commands.line("init", "--force", data=data, out=file)
    return Draft(file, [f"{file}: goes on as it stands; `{anew}` writes it anew"])


def from_data(
    data: str,
    file: Path,
    device: str = "auto",
    hours: float = HOURS,
    columns: Mapping[str, str] | None = None,
    *,
    force: bool = False,
) -> Draft:
    """Look at some data, and write the study that fits.

    Raises:
        OutputError: the file is there already, or cannot be written.
        ObjectiveError: the data cannot be used.
    """
    _refuse_existing(file, force)
    process.warm_up(OURS)
    with Process() as asked:
        about = {"data": data, "device": device, "hours": hours, "columns": dict(columns or {})}
        proposed = about_data(asked, "propose", **about)
    said = [f"{key}={name}" for key, name in (columns or {}).items()]
    command = commands.join(
        ["init", "--data", data, *(word for one in said for word in ("--columns", one))]
    )
    _write(file, starter.of_data(file.stem, proposed, command), force)
    told = [f"data: {line}" for line in proposed["told"]]
    return Draft(file, [*told, f"{file}: written; {proposed['why']['budget']}"])


def about_data(asked: Process, companion: str, **about: Any) -> dict[str, Any]:
    """What a companion of ours says of some data.

    Raises:
        ObjectiveError: it cannot be used; where columns are in doubt, by the option that says them.
    """
    try:
        found: dict[str, Any] = asked.ask(companion, reference=OURS, **about)
    except ObjectiveError as error:
        raise ObjectiveError(_SETTING.sub(r"say --columns \1=NAME", str(error))) from error
    return found


def from_objective(reference: str, file: Path, *, force: bool = False) -> Draft:
    """Write a study about an objective, and the objective where its file is not there.

    Raises:
        UsageError: it is not written as ./FILE.py:FUNCTION.
        OutputError: a file is there already, or cannot be written.
    """
    module, _, function = reference.rpartition(":")
    if not module.endswith(".py") or not function.isidentifier():
        raise UsageError(
            f"--objective {reference}: must be ./FILE.py:FUNCTION, as in ./mine.py:objective"
        )
    _refuse_existing(file, force)
    told = []
    code = file.parent / module
    if not code.exists():
        _write(code, starter.objective(function), force=False)
        told.append(f"{code}: written; put your own network in place of the one in it")
    path = str(file) if "/" in str(file) else f"./{file}"
    _write(file, starter.of_objective(reference, path, 20), force)
    return Draft(file, [*told, f"{file}: written"])


def _refuse_existing(file: Path, force: bool) -> None:
    if file.exists() and not force:
        raise OutputError(
            f"{file}: is there already; name another with --out, or write it anew with --force"
        )


def _write(file: Path, text: str, force: bool) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise OutputError(
            f"{file}: cannot be written: {error.strerror or error}; name another one"
        ) from error
