"""The files by which a scheduler runs workers of a study: a Slurm job array, a Kubernetes Job."""

import re
from collections.abc import Callable
from pathlib import Path

from search.studyfile import commands

SLURM = """\
#!/bin/bash
#SBATCH --job-name={label}
#SBATCH --array=1-{count}              # so many workers, each a job of its own
#SBATCH --gpus=1 --cpus-per-task=4 --time=4:00:00
#SBATCH --requeue --signal=TERM@60     # preempted, it gives its trial back, and starts again
#
# Put the database into the environment that jobs get: export OPTSEARCH_STORAGE=postgresql://...
# {workdir} is a folder that all nodes share, so that each goes on from another's checkpoints.
# Ten minutes before its time is up a worker takes no new trial.
srun {command}
"""
KUBERNETES = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {label}
spec:
  parallelism: {count}       # so many workers
  completions: {count}
  backoffLimit: 1000         # pods of preemptible nodes come back, and go on
  template:
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 60
      containers:
        - name: worker
          image: my/optsearch          # with optsearch, the objective's code and the data
          args: {args}
          envFrom:
            - secretRef:
                name: optsearch-storage   # kubectl create secret generic optsearch-storage \\
                                          #   --from-literal=OPTSEARCH_STORAGE=postgresql://...
          resources:
            limits:
              nvidia.com/gpu: 1
          volumeMounts:
            - name: work
              mountPath: {workdir}
      volumes:
        - name: work                 # shared by all pods: each goes on from another's checkpoints
          persistentVolumeClaim:
            claimName: optsearch
"""


def slurm(study: str, workdir: Path, count: int) -> str:
    """For `sbatch`."""
    command = commands.line("worker", study=study, workdir=workdir, timeout="230m")
    return SLURM.format(label=_label(study), count=count, workdir=workdir, command=command)


def kubernetes(study: str, workdir: Path, count: int) -> str:
    """For `kubectl apply -f -`."""
    words = commands.words(commands.line("worker", study=study, workdir=workdir))
    args = "[" + ", ".join(f'"{_quoted(word)}"' for word in words) + "]"
    return KUBERNETES.format(label=_label(study), count=count, workdir=workdir, args=args)


KINDS: dict[str, Callable[[str, Path, int], str]] = {"slurm": slurm, "kubernetes": kubernetes}


def _label(study: str) -> str:
    """The name as both may call a job: lower case, digits and dashes, 63 at most (RFC 1123)."""
    return re.sub(r"[^a-z0-9]+", "-", study.lower()).strip("-")[:63].strip("-") or "study"


def _quoted(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"')
