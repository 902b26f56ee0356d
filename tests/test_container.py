"""The Dockerfile fits the project: what it copies exists, and is all that a wheel is made of."""

import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from search.database import storage

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / ".ci" / "Dockerfile"
PAGE = ROOT / "docs" / "container.md"


def instructions() -> list[tuple[str, str]]:
    """Each with its words, a long one in one piece."""
    text = FILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def copied() -> list[str]:
    """What comes from this folder."""
    lines = [line.split() for line in of("COPY") if not line.startswith("--from")]
    return [name for *names, _ in lines for name in names]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_it_copies_what_the_package_is_made_of(project: dict[str, Any]) -> None:
    """Each of its packages, and what pyproject.toml names; nothing that does not exist."""
    parts = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    about = project["project"]
    needed = {"pyproject.toml", "constraints.txt", about["readme"], *about["license-files"], *parts}
    assert set(copied()) == needed
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    """Data, results and environments lie in this folder, too."""
    lines = FILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(copied())
    cached = "search/cli/__pycache__".rpartition("/")[2]
    assert any(fnmatch.fnmatch(cached, rule.removeprefix("**/")) for rule in rules[1:])


def test_it_installs_extras_and_runs_a_command_that_exist(project: dict[str, Any]) -> None:
    (extras,) = (
        line.partition("=")[2].strip('"').split() for line in of("ARG") if "EXTRAS" in line
    )
    assert set(extras) <= set(project["project"]["optional-dependencies"])
    assert of("ENTRYPOINT") == [f'["{next(iter(project["project"]["scripts"]))}"]']
    assert "pip install" in " ".join(of("RUN"))
    assert "--constraint constraints.txt" in " ".join(of("RUN"))


def test_it_is_nobody_in_particular_and_keeps_all_in_one_place() -> None:
    """A number, as Kubernetes wants it to know that it is not root; every folder that is told to a
    library lies in the volume, as the rest of the root may be read-only."""
    (user,) = of("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    (volume,), (home,) = of("VOLUME"), of("WORKDIR")[1:]
    assert volume == home
    told = dict(re.findall(r"(\w+)=(\S+)", of("ENV")[0]))
    places = {
        name: value for name, value in told.items() if value.startswith("/") and name != "PATH"
    }
    assert {"HOME", "OPTSEARCH_DATA", "MPLCONFIGDIR", "XDG_CACHE_HOME"} <= set(places)
    assert [
        name for name, value in places.items() if not f"{value}/".startswith(f"{volume}/")
    ] == []


def test_its_page_names_what_it_takes() -> None:
    """Every argument and the volume; the file where it is."""
    text = PAGE.read_text(encoding="utf-8")
    for name in (line.partition("=")[0] for line in of("ARG")):
        assert f"`{name}`" in text, name
    assert "-f .ci/Dockerfile" in text
    assert f":{of('VOLUME')[0]}" in text


ALONE = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]  # process 1, as a container's


def may_be_alone() -> bool:
    return bool(shutil.which("unshare")) and not subprocess.run([*ALONE, "true"]).returncode


@pytest.mark.soak
@pytest.mark.skipif(not may_be_alone(), reason="no namespaces of processes here")
def test_process_1_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """`docker stop` waits ten seconds for it, and then it is killed."""
    storage.open_storage(f"sqlite:///{tmp_path}/a.db").engine.dispose()
    served = "from search.cli import main; main()"
    options = ["--port", "0", "--storage", "sqlite:///a.db"]
    with subprocess.Popen(
        [*ALONE, sys.executable, "-c", served, "dashboard", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert "Ctrl-C ends it" in started.stdout.readline()
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text()
        os.kill(int(children), signal.SIGTERM)
        assert started.wait(60) in (0, 143)
