"""Find study files. Light on purpose: it runs before anything slow has been imported."""

import difflib
import re
from importlib import resources
from pathlib import Path

from search.errors import StudyNotFoundError


def find(study: str) -> Path:
    """The file of a study: a path (with a slash or an ending) or a name in `studies/`.

    Raises:
        StudyNotFoundError: with the nearest names.
    """
    if "/" in study or study.endswith((".yaml", ".yml")):
        if Path(study).is_file():
            return Path(study)
        raise StudyNotFoundError(f"--study {study}: no such file; give a path or a name")
    names = available()
    if study not in names:
        near = difflib.get_close_matches(study, names, n=3, cutoff=0.5)
        if Path(f"{study}.yaml").is_file():
            hint = f"did you mean the file ./{study}.yaml?"
        elif near:
            hint = f"nearest: {', '.join(near)} (or a path such as ./{study}.yaml)"
        else:
            hint = f"one of: {', '.join(names)} (or a path such as ./{study}.yaml)"
        raise StudyNotFoundError(f"--study {study}: no such study; {hint}")
    return names[study]


def available() -> dict[str, Path]:
    """Studies that come with the package, by name."""
    folder = Path(str(resources.files("studies")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def schema_file() -> Path:
    """The JSON Schema that stands beside the studies of the package (`optsearch schema`)."""
    return Path(str(resources.files("studies"))) / "schema.json"


def folder_of(study: str) -> str:
    """Where a study's file lies: its objective's is beside it."""
    return str(find(study).parent)


def objective_of(study: str) -> str:
    """The objective that a study file names, by a glance at its text; "" where none is seen."""
    text = find(study).read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^objective:\s*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
    return found[1] if found else ""
