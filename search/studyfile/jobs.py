"""The files by which a scheduler runs workers of a study: a Slurm job array, a Kubernetes Job."""

import re
from collections.abc import Callable
from pathlib import Path

from search.studyfile import commands

AUTO, CPU = "auto", "cpu"  # of `worker`'s choice of a device


def _filled(file: str, **told: object) -> str:
    return Path(__file__).with_name(file).read_text().format(**told)


def slurm(study: str, workdir: Path, count: int, device: str = AUTO) -> str:
    """For `sbatch`."""
    given = {"study": study, "workdir": workdir, "device": _device(device)}
    command = commands.line("worker", **given, timeout="230m")
    told = {"gpus": "--gpus=1 " * _wants_gpu(device), "about_gpus": _about_gpus(device)}
    return _filled(
        "job.slurm.sh", label=_label(study), count=count, workdir=workdir, command=command, **told
    )


def kubernetes(study: str, workdir: Path, count: int, device: str = AUTO) -> str:
    """For `kubectl apply -f -`."""
    given = {"study": study, "workdir": workdir, "device": _device(device)}
    words = commands.words(commands.line("worker", **given))
    args = "[" + ", ".join(f'"{_quoted(word)}"' for word in words) + "]"
    resources = "limits: {nvidia.com/gpu: 1}" if _wants_gpu(device) else "requests: {cpu: 4}"
    told = {"resources": resources, "about_gpus": _about_gpus(device)}
    return _filled(
        "job.kubernetes.yaml", label=_label(study), count=count, workdir=workdir, args=args, **told
    )


def _device(device: str) -> str | None:
    """Where it is the usual one it needs not be said."""
    return None if device == AUTO else device


def _wants_gpu(device: str) -> bool:
    return device != CPU


def _about_gpus(device: str) -> str:
    if _wants_gpu(device):
        without = commands.options(device=CPU)
        return f"A GPU each; printed with {without} this file asks for none."
    return "No GPU; for one each print this file without the choice of a device."


KINDS: dict[str, Callable[[str, Path, int, str], str]] = {"slurm": slurm, "kubernetes": kubernetes}


def _label(study: str) -> str:
    """The name as both may call a job: lower case, digits and dashes, 63 at most (RFC 1123)."""
    return re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")[:63].strip("-") or "study"


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')
