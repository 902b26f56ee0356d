"""The files by which a scheduler runs workers of a study: a Slurm job array, a Kubernetes Job."""

import re
from collections.abc import Callable
from pathlib import Path

from search.studyfile import commands


def _filled(file: str, **told: object) -> str:
    return Path(__file__).with_name(file).read_text().format(**told)


def slurm(study: str, workdir: Path, count: int) -> str:
    """For `sbatch`."""
    command = commands.line("worker", study=study, workdir=workdir, timeout="230m")
    return _filled(
        "job.slurm.sh", label=_label(study), count=count, workdir=workdir, command=command
    )


def kubernetes(study: str, workdir: Path, count: int) -> str:
    """For `kubectl apply -f -`."""
    words = commands.words(commands.line("worker", study=study, workdir=workdir))
    args = "[" + ", ".join(f'"{_quoted(word)}"' for word in words) + "]"
    return _filled(
        "job.kubernetes.yaml", label=_label(study), count=count, workdir=workdir, args=args
    )


KINDS: dict[str, Callable[[str, Path, int], str]] = {"slurm": slurm, "kubernetes": kubernetes}


def _label(study: str) -> str:
    """The name as both may call a job: lower case, digits and dashes, 63 at most (RFC 1123)."""
    return re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")[:63].strip("-") or "study"


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')
