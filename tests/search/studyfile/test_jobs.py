"""Rules of the files for schedulers: they run the worker that was asked for, whatever its name."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from search.studyfile import jobs
from tests.search.conftest import Answer

NAMES = ["cifar", "My study: 2 'quotes' and $HOME", 'a "b" \\ c', "x" * 90, "\u00e4\u00f6"]


@pytest.mark.parametrize("name", NAMES)
def test_slurm_runs_the_worker(name: str, tmp_path: Path) -> None:
    """bash reads the same words that were written; the options stand before the first command."""
    text = jobs.slurm(name, Path("/shared/a b"), 8)
    (tmp_path / "srun").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    (tmp_path / "job.sh").write_text(text)
    run = ["env", f"PATH={tmp_path}:/usr/bin:/bin", "bash", str(tmp_path / "job.sh")]
    words = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert words[:6] == ["optsearch", "worker", "--study", name, "--workdir", "/shared/a b"]
    options = [line.split("#SBATCH ")[1] for line in text.splitlines() if "#SBATCH" in line]
    flags = [one for line in options for one in shlex.split(line, comments=True)]
    assert "--array=1-8" in flags
    assert "--requeue" in flags
    assert all(flag.startswith("--") for flag in flags)


@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_runs_the_worker(name: str) -> None:
    """A Job of YAML whose label a cluster takes, the words as they were."""
    job = yaml.safe_load(jobs.kubernetes(name, Path("/shared"), 8))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["optsearch", "worker", "--study", name, "--workdir", "/shared"]
    assert job["metadata"]["name"].strip("abcdefghijklmnopqrstuvwxyz0123456789-") == ""
    assert 1 <= len(job["metadata"]["name"]) <= 63
    assert (job["spec"]["parallelism"], job["spec"]["completions"]) == (8, 8)


@pytest.mark.parametrize(("device", "asks"), [("auto", True), ("cuda", True), ("cpu", False)])
def test_a_gpu_is_asked_for_where_one_is_wanted(device: str, asks: bool) -> None:
    """And the worker is told the device that its job was given."""
    text = jobs.slurm("cifar", Path("/shared"), 8, device)
    assert ("#SBATCH --gpus=1" in text) is asks
    job = yaml.safe_load(jobs.kubernetes("cifar", Path("/shared"), 8, device))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert ("nvidia.com/gpu" in container["resources"].get("limits", {})) is asks
    assert ("--device" in container["args"]) is (f"--device {device}" in text) is (device != "auto")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_kubernetes_job_is_of_its_schema(device: str) -> None:
    """That of Kubernetes itself, strictly: no field that it does not know."""
    job = yaml.safe_load(jobs.kubernetes("cifar", Path("/shared"), 8, device))
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_the_command_prints_and_trains_nothing(cli: Callable[..., Answer], folder: Path) -> None:
    """No database is needed; another word is refused with those that there are."""
    found: Answer = cli("worker", "--study", "mine", "--workers", "3", "--print", "slurm")
    assert (found.code, found.err) == (0, "")
    assert "--array=1-3" in found.out
    assert not (folder / "runs").exists()
    refused = cli("worker", "--study", "mine", "--print", "pbs")
    assert refused.code == 2
    assert "none of slurm, kubernetes" in " ".join(refused.err.split())
