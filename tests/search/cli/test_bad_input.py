"""Bad input: a line of place, rule, value and next step; a code of its own; nothing made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.search.cli.places import DATABASE, RUN, stored, studies_in

Write = Callable[[str, str], Path]
Cli = Callable[..., Any]


CHECKED = """
    OPTIMIZERS = ["sgd", "adam"]
    READ = ["optimizer", "x"]

    def check(settings, space):
        for value in space.get("optimizer", {}).get("choice", []):
            if value not in OPTIMIZERS:
                yield "space.optimizer", f"unknown optimizer '{value}'; one of: sgd, adam"
        for name in space:
            if name not in READ:
                yield f"space.{name}", f"nobody reads '{name}' here; remove it"

    def prepare(settings, device):
        if device == "cuda":
            raise ValueError("--device cuda: there is no GPU here; use --device cpu")
        if settings.get("data") == "missing":
            raise FileNotFoundError("no data in /data; put them there")
        return {}

    def objective(trial, data=""):
        return trial.params["x"]
"""

GOOD = "objective: ./checked.py:objective\nspace:\n  x: {float: [0, 1]}\nbudget: {trials: 1}\n"

REFUSED = {
    # what: (study file, further arguments, exit code, what the message holds)
    "an unknown study": (None, ("--study", "digist"), 6, ["--study digist", "nearest: digits"]),
    "a missing file": (None, ("--study", "./no.yaml"), 6, ["--study ./no.yaml: no such file"]),
    "no YAML": ("a: [\n", (), 3, ["bad.yaml:2:1 not valid YAML", "mend"]),
    "a control character": ("a: \x07", (), 3, ["bad.yaml not valid YAML", "mend"]),
    "an unknown key": (GOOD + "sede: 1\n", (), 3, ["bad.yaml:5 sede", "did you mean 'seed'?"]),
    "a wrong type": (GOOD + "seed: x\n", (), 3, ["bad.yaml:5 seed", "integer", "'x'"]),
    "low above high": (
        GOOD.replace("[0, 1]", "[1, 0]"),
        (),
        3,
        ["bad.yaml:3 space.x.float", "low < high must hold", "[1.0, 0.0]", "swap them"],
    ),
    "log of zero": (
        GOOD.replace("]}", "], log: true}"),
        (),
        3,
        ["bad.yaml:3 space.x.float", "log needs low > 0", "[0.0, 1.0]", "raise low or drop log"],
    ),
    "when without a parent": (
        GOOD.replace("]}", "], when: {o: [1]}}"),
        (),
        3,
        ["bad.yaml:3 space.x.when.o", "not in the space", "one of: x"],
    ),
    "a parameter that nobody reads": (
        GOOD.replace("budget", "  dead: {float: [0, 1]}\nbudget"),
        (),
        3,
        ["bad.yaml:4 space.dead", "nobody reads 'dead' here; remove it"],
    ),
    "an unknown optimizer": (
        GOOD.replace("budget", "  optimizer: {choice: [sdg]}\nbudget"),
        (),
        3,
        ["bad.yaml:4 space.optimizer", "unknown optimizer 'sdg'; one of: sgd, adam"],
    ),
    "a setting that nobody takes": (
        GOOD + "settings: {dta: 1}\n",
        (),
        3,
        ["bad.yaml:5 settings", "takes no setting 'dta'; it takes: data"],
    ),
    "a baseline outside": (
        GOOD + "baselines: [{name: a, params: {x: 2}}]\n",
        (),
        3,
        ["bad.yaml:5 baselines[0].params.x", "must lie in [0.0, 1.0], got 2", "widen"],
    ),
    "a baseline that lacks a parameter": (
        GOOD + "baselines: [{name: a, params: {}}]\n",
        (),
        3,
        ["bad.yaml:5 baselines[0].params", "active parameter 'x' is missing; add it"],
    ),
    "no module": (GOOD.replace("checked", "chekced"), (), 4, ["no such file: ./chekced.py"]),
    "no function": (GOOD.replace(":objective\n", ":f\n"), (), 4, ["no function 'f'"]),
    "no data": (GOOD + "settings: {data: missing}\n", (), 4, ["no data in /data; put them there"]),
    "no GPU": (GOOD, ("--device", "cuda"), 4, ["--device cuda", "--device cpu"]),
    "no trials": (GOOD, ("--trials", 0), 2, ["--trials 0: must be at least 1"]),
    "a negative time": (GOOD, ("--timeout", "-5"), 2, ["--timeout -5", "above zero", "2h"]),
    "no limit": (GOOD.split("budget")[0], (), 2, ["no limit", "--trials N or --timeout 2h"]),
    "no workers": (GOOD, ("--workers", 0), 2, ["--workers 0: must be auto or a number"]),
    "a bad override": (GOOD, ("--set", "epochs"), 2, ["--set epochs: must be key.path=value"]),
    "a bad value of an override": (GOOD, ("--set", "seed=x"), 3, ["--set seed", "integer"]),
    "no place for the answer": (GOOD, ("--out", "bad.yaml/x"), 8, ["--out bad.yaml/x", "name"]),
    "a folder for the answer": (GOOD, ("--out", "."), 8, ["--out .: cannot be written", "name"]),
    "no place to work": (GOOD, ("--workdir", "bad.yaml"), 8, ["--workdir bad.yaml", "name"]),
    "no server": (
        GOOD,
        ("--storage", "postgresql://me:pw@127.0.0.1:1/db"),
        5,
        ["--storage postgresql", "me:***@127.0.0.1:1/db", "refused", "check the URL"],
    ),
    "no database": (GOOD, ("--storage", "sqlite:///bad.yaml"), 5, ["not a database", "check"]),
    "no URL": (GOOD, ("--storage", "my.db"), 5, ["--storage my.db: not a database URL; write"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_told_and_leaves_nothing_half_made(cli: Cli, write: Write, what: str) -> None:
    """Exit code of its kind, on standard error, no traceback; no study, no file, no folder."""
    text, arguments, code, words = REFUSED[what]
    write("checked.py", CHECKED)
    write("bad.yaml", text or "")
    before = Path("bad.yaml").read_bytes()
    study = () if text is None else ("--study", "bad.yaml")
    answer = cli("run", "--workers", 1, *study, *arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    for word in words:
        assert word in answer.err
    assert "Traceback" not in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert studies_in(DATABASE) == []
    assert not Path("best.yaml").exists()
    assert Path("bad.yaml").read_bytes() == before


@pytest.mark.parametrize("command", ["run --study ./mine.yaml", "list", "show --study mine"])
@pytest.mark.parametrize("url", ["postgresql://me:pw@127.0.0.1:1/db", "sqlite:///mine.py/a.db"])
def test_every_command_tells_at_once_that_the_storage_cannot_be_reached(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str, url: str
) -> None:
    """`list` must not say 'nothing yet' of a server that is down."""
    monkeypatch.setenv("OPTSEARCH_STORAGE", url)
    answer = cli(*command.split())
    assert answer.code == 5
    assert answer.err.startswith("--storage ")


@pytest.mark.soak
def test_a_study_whose_question_has_changed_is_refused(finished: Cli) -> None:
    """Its trials stay as they are; the message names the difference and --name."""
    before = stored().trials
    answer = finished(*RUN, "--set", "space.x.float=[-5, 5]")
    assert answer.code == 7
    assert "space.x.float: was [-10.0, 10.0], is [-5.0, 5.0]" in answer.err
    assert "--name NAME" in answer.err
    assert stored().trials == before
    renamed = ("--set", "space.x.float=[-5, 5]", "--name", "narrow")
    assert finished(*RUN, *renamed).code == 0
    assert sorted(studies_in(DATABASE)) == ["mine", "narrow"]


@pytest.mark.soak
@pytest.mark.parametrize("trials", [2, 5])
def test_a_run_in_which_every_trial_raises_fails_with_the_traceback_kept(
    cli: Cli, write: Write, trials: int
) -> None:
    """It stops after three; fewer are no answer either."""
    write("mine.py", "def objective(trial):\n    raise RuntimeError('no such layer')\n")
    answer = cli(*RUN, "--trials", trials)
    assert answer.code == 1
    assert not Path("best.yaml").exists()
    failed = stored().trials
    assert len(failed) == min(trials, 3)
    assert all("no such layer" in t.user_attrs["error"] for t in failed)
    assert ("no such layer" in answer.err) == (trials > 2)


def test_an_objective_that_fails_on_import_is_told_with_its_traceback(
    cli: Cli, write: Write
) -> None:
    """Before any study is made."""
    write("mine.py", "import no_such_library\n")
    answer = cli(*RUN)
    assert answer.code == 4
    assert "No module named 'no_such_library'" in answer.err
    assert studies_in(DATABASE) == []


@pytest.mark.soak
def test_export_of_a_study_without_an_answer_is_refused(cli: Cli, write: Write) -> None:
    """With what to do; no file is written."""
    write("mine.py", "import optuna\ndef objective(trial):\n    raise optuna.TrialPruned\n")
    assert cli(*RUN).code == 1
    answer = cli("export", "--study", "mine")
    assert answer.code == 1
    assert "no complete trial yet; run it further first" in answer.err
    assert not Path("best.yaml").exists()


@pytest.mark.parametrize("command", ["show", "export", "delete"])
def test_an_unknown_stored_study_is_told_with_those_that_exist(finished: Cli, command: str) -> None:
    """By every command that reads one."""
    answer = finished(command, "--study", "mnie")
    assert answer.code == 6
    assert "studies there: mine" in answer.err
