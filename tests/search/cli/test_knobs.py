"""`optsearch knobs`, and `optsearch --version`."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.cli import knobs as face
from search.cli import knobs_page
from search.studyfile import described
from search.studyfile.described import Description

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
ROOT = Path(__file__).resolve().parents[3]
MINE = """
    def describe():
        return {"knobs": [{"name": "width", "about": "neurons", "default": 8}]}

    def objective(trial, width=8):
        return 0.0
"""


@pytest.fixture(scope="module")
def ours(fork_server: None) -> Description:
    """What our own objective says, asked once through the door."""
    return face.ask(face.OURS)


@pytest.fixture
def asked(ours: Description, monkeypatch: pytest.MonkeyPatch) -> Description:
    """The commands of a test need not ask again, which takes seconds."""
    monkeypatch.setattr(face, "asked", lambda objective: ours)
    return ours


def shown(ours: Description, name: str | None = None) -> str:
    """What a terminal of 80 columns shows."""
    chosen = ours if name is None else described.select(ours, name)
    assert chosen is not None
    out = io.StringIO()
    console = Console(width=80, file=out, highlight=False, markup=False)
    face.show(console, chosen, ours, is_all=name is None)
    return out.getvalue()


def words(text: str) -> str:
    """Without the line breaks of a table's cells."""
    return " ".join(text.split())


def test_all_knobs_stand_whole_in_80_columns(ours: Description) -> None:
    """Name, what it is, default, what it may be: nothing is cut, whatever is wrapped."""
    text = shown(ours)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    flat = words(text)
    for knob in ours.knobs:
        facts = (described.default_words(knob), knob.may_be, described.reader_words(knob, ours))
        assert f"{knob.name} {knob.about} {words(' · '.join(filter(None, facts)))}" in flat


def test_the_knobs_stand_in_their_groups(ours: Description) -> None:
    """Data, network, optimizer, schedule, loss, training, in this order."""
    lines = [line.split()[0] for line in shown(ours).splitlines() if line.strip()]
    places = [lines.index(group) for group in ours.groups]
    assert places == sorted(places)
    assert ours.groups == ["data", "network", "optimizer", "schedule", "loss", "training"]


def test_a_default_that_depends_on_the_optimizer_names_it(ours: Description) -> None:
    """In the list and of the knob alone; of an optimizer there is just its own."""
    assert "0.001 (sgd 0.01, lion 0.0001, " in words(shown(ours, "lr"))
    assert "0.01 · 0 <= value · every optimizer" in words(shown(ours, "adamw"))
    assert "the dataset's own" in shown(ours, "validation")


def test_a_choice_is_told_with_the_knobs_that_it_reads(ours: Description) -> None:
    """And with no others; a group with all that it may be."""
    adam = shown(ours, "adam")
    assert "torch.optim.Adam" in adam
    assert "beta1" in adam
    assert "momentum_decay" not in adam
    losses = words(shown(ours, "loss"))
    assert "label_smoothing part of the target" in losses
    assert "multi_margin The multi-class hinge" in losses
    assert "reads margin" in losses


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("momentun", "momentum"),
        ("SGD", "sgd"),
        ("alpha", "rho"),  # torch's name
        ("betas", "beta1, beta2"),
        ("cosin", "cosine"),
        ("zzzz", "`optsearch knobs` lists all"),
        ("folder", "nearest: "),
        ("prefer", "it is a key of a study file: What breaks ties of confirmed configurations"),
        ("from", "it is a key of a study file: Another study"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(
    cli: Cli, asked: Description, name: str, near: str
) -> None:
    """Also where it is torch's name for one of ours."""
    answer = cli("knobs", name)
    assert answer.code == 2
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    assert f"knobs {name}: objectives.cnn:objective has nothing of that name" in answer.err
    assert near in answer.err


def test_as_json_it_is_what_the_objective_said(cli: Cli, asked: Description) -> None:
    """Whole, or of one name."""
    assert Description.model_validate(cli("knobs", "--json").json) == asked
    one = cli("knobs", "nadam", "--json").json
    assert one["choices"]["optimizer"]["nadam"]["reads"] == [row["name"] for row in one["knobs"]]


def test_the_page_in_docs_is_what_the_command_writes(ours: Description) -> None:
    """`optsearch knobs --markdown > docs/knobs.md` after every change of a knob."""
    text = (ROOT / "docs/knobs.md").read_text(encoding="utf-8")
    assert text == knobs_page.page(ours, ours)


def test_an_objective_of_ones_own_may_describe_itself(cli: Cli, write: Write) -> None:
    """A name and a line are enough."""
    write("mine.py", MINE)
    answer = cli("knobs", "--objective", "./mine.py:objective")
    assert answer.code == 0
    assert "width  neurons" in answer.out
    assert "8" in answer.out


def test_an_objective_that_says_nothing_is_told_in_one_line(cli: Cli) -> None:
    """It need not: its settings are the function's arguments."""
    answer = cli("knobs", "--objective", "./mine.py:objective")
    assert answer.code == 4
    assert answer.err.count("\n") == 1
    assert "./mine.py:objective: its module offers no `describe`" in answer.err


def test_a_description_of_another_form_is_told_in_one_line(cli: Cli, write: Write) -> None:
    """With the place that is wrong and what to return."""
    write("mine.py", MINE.replace('"name"', '"nmae"'))
    answer = cli("knobs", "--objective", "./mine.py:objective")
    assert answer.code == 4
    assert answer.err.startswith("describe: knobs.0.name: Field required; return")
    assert answer.err.count("\n") == 1


def test_the_version_tells_what_a_result_depends_on(cli: Cli) -> None:
    """Of optsearch, Optuna, torch and Python, on one line."""
    answer = cli("--version")
    assert answer.code == 0
    assert answer.out.count("\n") == 1
    for name in ("optsearch ", "(optuna 5.", ", torch ", ", python 3."):
        assert name in answer.out
