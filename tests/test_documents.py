"""What README and docs say is so: their blocks run, and what they name exists.

A block marked `sh` or `python` is run, each page's in one folder in which a small study of digits
has been finished. A block behind a line that ends in a file's name is written to that file. Budgets
are made small, the commands stand as they are.
"""

import contextlib
import dataclasses
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from filelock import FileLock
from PIL import Image
from typer.main import get_command

from search.cli import main
from search.cli.app import app
from search.studyfile import catalog
from search.studyfile.spec import StudySpec
from search.workers import seats

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"sh", "console", "text", "python", "yaml"}
GENERATED = {"knobs.md"}  # by the command, whose blocks bear no language
MOST_LINES, MOST_BYTES = 150, 200_000  # of the README; of a picture
TRIALS = 3  # in place of any number of trials
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w-]+\.(?:py|yaml))`[^`\n]*:\s*$")
_GLOBAL = {"--help", "--version", "--traceback", "--install-completion"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block; `file` is where its text belongs, "" where it is to be run."""

    language: str
    text: str
    file: str

    @property
    def lines(self) -> list[str]:
        """Its commands: without comments, a long one in one piece."""
        whole = (line.strip() for line in self.text.replace("\\\n", " ").splitlines())
        return [line for line in whole if line and not line.startswith("#")]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        named = _NAMED.search(text[: found.start()])
        yield Block(found[1], found[2], named[1] if named else "")


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def small(text: str) -> str:
    """A study file, a call or a command with a small budget in place of its own."""
    text = re.sub(r"(trials=|--trials |\"trials\": )\d+", rf"\g<1>{TRIALS + 1}", text)
    return re.sub(r"\bepochs: \d+", "epochs: 1", text)


def small_study(text: str) -> str:
    """A study file with a small budget, confirming included, and no more epochs than it pays."""
    ours = ["strategy: optuna", f"budget: {{trials: {TRIALS}}}", "confirm: {top: 2, seeds: 2}"]
    theirs = re.compile("(budget|confirm|strategy|by|portfolio):")
    kept = [line for line in small(text).splitlines() if not theirs.match(line)]
    return "\n".join([*kept, *ours, ""])


def run_command(line: str) -> None:
    """One line of a shell: a command of optsearch in this process, anything else in a shell."""
    words = shlex.split(small(line), comments=True)
    if words[0] != "optsearch":
        subprocess.run(["bash", "-c", line], check=True)
        return
    words, into = (words[:-2], words[-1]) if words[-2] == ">" else (words, "")
    printed, ended = io.StringIO(), SystemExit(0)
    sys.argv = words
    try:
        with contextlib.redirect_stdout(printed):
            main()
    except SystemExit as left:
        ended = left
    assert not ended.code, f"{line}: ended with {ended.code}\n{printed.getvalue()}"
    if into:
        Path(into).write_text(printed.getvalue(), encoding="utf-8")


def photos(folder: Path) -> None:
    """Two classes of pictures, dark ones and bright ones."""
    drawn = np.random.default_rng(0)
    for part, number in (("train", 150), ("test", 20)):
        for label, name in enumerate(("cats", "dogs")):
            (folder / part / name).mkdir(parents=True)
            for i in range(number):
                pixels = drawn.integers(0, 128, (12, 14, 3)) + 127 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")


@pytest.fixture(scope="module")
def shrunk(fork_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The studies of the package with small budgets, two workers, and nothing from outside."""
    folder = tmp_path_factory.mktemp("studies")
    for name, file in catalog.available().items():
        (folder / f"{name}.yaml").write_text(small_study(file.read_text(encoding="utf-8")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "available", lambda: {f.stem: f for f in sorted(folder.iterdir())})
        patch.setattr(seats, "cores", lambda: 2)
        patch.setattr(sys, "argv", ["optsearch"])
        patch.setenv("OMP_NUM_THREADS", "1")  # the suite shares its cores
        patch.setenv("OPTSEARCH_DATA", str(tmp_path_factory.mktemp("data")))
        patch.delenv("OPTSEARCH_STORAGE", raising=False)
        yield


@pytest.fixture(scope="module")
def finished(shrunk: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study of digits, the README's own model, and photos; made once, by
    whichever process of the tests comes first."""
    own = tmp_path_factory.getbasetemp()  # of this process; all of a run have one parent
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "documents"
    with FileLock(f"{folder}.lock"):
        if not (folder / "best.yaml").exists():
            folder.mkdir(exist_ok=True)
            photos(folder / "photos")
            with contextlib.chdir(folder):
                write_files(README)
                run_command("optsearch run --study digits")
    return folder


def write_files(page: Path) -> None:
    for block in blocks(page):
        if block.file.endswith(".yaml"):
            Path(block.file).write_text(small_study(block.text), encoding="utf-8")
        elif block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")


@pytest.fixture
def scratch(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to work in."""
    shutil.copytree(finished, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # of runs from Python
    return tmp_path / "here"


MAIN = {"__name__": "__main__"}  # as a cell, whose main module has no file
RUN: dict[str, Callable[[Block], object]] = {
    "sh": lambda block: [run_command(line) for line in block.lines],
    "python": lambda block: exec(compile(small(block.text), "a block", "exec"), MAIN.copy()),
    "yaml": lambda block: yaml.safe_load(block.text),
}


@pytest.mark.soak
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_blocks_of_a_page_run(page: Path, scratch: Path) -> None:
    """In their order, in one folder; each command ends well."""
    write_files(page)
    for block in blocks(page):
        if not block.file and block.language in RUN:
            RUN[block.language](block)
    assert Path("best.yaml").exists()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    """Else nobody knows whether it is run. Each page begins with a command that works."""
    found = list(blocks(page))
    if page.name not in GENERATED:
        assert {block.language for block in found} <= LANGUAGES
    assert re.match(r"optsearch |make |from optsearch import", found[0].text)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_exists(page: Path) -> None:
    """Those behind `optsearch`, in blocks and in the text, and options that stand alone."""
    group: Any = get_command(app)
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    written = [line for block in blocks(page) for line in block.lines] + spans
    for line in written:
        for called in re.findall(r"(?<!from )\boptsearch ([^#|>;&`]*)", line.partition(" #")[0]):
            assert wrong_words(group, called.split()) == [], line
    everywhere = {o for command in group.commands.values() for o in options_of(command)}
    alone = [span.split("=")[0].split()[0] for span in spans if span.startswith("--")]
    assert set(alone) - everywhere - _GLOBAL == set()


def wrong_words(group: Any, words: list[str]) -> list[str]:
    """The command that does not exist, or those of its options that do not."""
    words = [word.partition("=")[0] for word in words]
    while words and words[0] in _GLOBAL:
        words = words[1:]
    if not words or not re.fullmatch(r"[a-z]+", words[0]):
        return []  # the name of the program in a sentence
    if words[0] not in group.commands:
        return words[:1]
    known = options_of(group.commands[words[0]]) | _GLOBAL
    return [word for word in words if word.startswith("--") and word not in known]


def options_of(command: Any) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def test_a_wrong_command_or_option_would_be_seen() -> None:
    """The check above is one."""
    group: Any = get_command(app)
    assert wrong_words(group, ["rum", "--study", "x"]) == ["rum"]
    assert wrong_words(group, ["run", "--stduy=x", "--help"]) == ["--stduy"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Of pages and pictures in this repository; a picture is small enough to be looked at."""
    text = prose(page)
    targets = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if not re.match(r"[a-z]+:", target):
            file = page.parent / target.partition("#")[0]
            assert file.is_file(), target
            assert file.suffix == ".md" or file.stat().st_size < MOST_BYTES, target


def test_the_readme_fits_on_two_screens_and_leads_to_every_page() -> None:
    """What it has no room for is a page of its own."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    missing = [name_of(page) for page in PAGES[1:] if f"({name_of(page)})" not in text]
    assert missing == []


def test_every_key_of_a_study_file_stands_in_its_page() -> None:
    keys = {field.alias or name for name, field in StudySpec.model_fields.items()} - {"folder"}
    page = (ROOT / "docs" / "study-files.md").read_text()
    assert {key for key in keys if f"`{key}`" not in page} == set()
