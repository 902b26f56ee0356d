"""`optsearch worker` and join.py: other machines join a study, with its code and data."""

import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from search.errors import IdentityError, UsageError
from search.record import study
from search.record.listener import Listener
from search.service import own
from search.studyfile import reading
from search.workers import join

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"


@pytest.fixture
def made(database: str) -> optuna.Study:
    """A study whose budget is not used up."""
    return study.open_study(reading.load("./mine.yaml").spec, URL, {})[0]


@pytest.mark.soak
def test_a_worker_trains_what_is_left_of_the_budget(cli: Cli, made: optuna.Study) -> None:
    """It needs the study's name and the storage, not its file; then there is nothing to do."""
    Path("mine.yaml").unlink()
    done = cli("worker", "--study", "mine", "--storage", URL)
    assert (done.code, done.err) == (0, "")
    assert [t.state.name for t in made.trials] == ["COMPLETE"] * 4
    first, *_, last = done.out.splitlines()
    assert first.startswith(f"joined 'mine' on {platform.node()}: 4 of 4 trials left; ")
    assert last == "this worker is done: 4 complete; the budget of 4 trials is used up"
    again = cli("worker", "--study", "mine", "--storage", URL)
    assert (again.code, len(made.trials)) == (0, 4)
    assert "the budget of 4 trials is used up" in again.err


def test_a_worker_tells_of_its_own_trials_alone(made: optuna.Study) -> None:
    """And counts them; whoever wants to see all has `show --watch`."""
    for _ in range(4):
        made.tell(made.ask(), 0.5)
    listener = Told()
    mine = own.Own(listener)
    mine.works(lambda trial: trial.number in (1, 2))
    for trial in made.trials:
        mine.began("mine", trial)
        mine.ended("mine", trial, is_best=False)
    assert listener.told == [1, 1, 2, 2]
    assert mine.words() == "2 complete"


class Told(Listener):
    def __init__(self) -> None:
        self.told: list[int] = []

    def began(self, study: str, trial: FrozenTrial) -> None:
        self.told.append(trial.number)

    def ended(self, study: str, trial: FrozenTrial, is_best: bool) -> None:
        self.told.append(trial.number)


@pytest.mark.soak
def test_the_objective_may_lie_elsewhere_on_this_machine(
    cli: Cli, made: optuna.Study, folder: Path
) -> None:
    """--code names its folder; the code is compared, not its place."""
    (folder / "copy").mkdir()
    shutil.move("mine.py", "copy/mine.py")
    gone = cli("worker", "--study", "mine", "--storage", URL)
    assert (gone.code, len(made.trials)) == (4, 0)
    assert "there is no module './mine.py'" in gone.err
    assert cli("worker", "--study", "mine", "--storage", URL, "--code", "copy").code == 0
    assert len(made.trials) == 4


def test_other_code_is_refused(cli: Cli, made: optuna.Study, write: Write) -> None:
    """Two halves of a study must not come from two programs."""
    write("mine.py", "def objective(trial): return 1.0\n")
    answer = cli("worker", "--study", "mine", "--storage", URL)
    assert (answer.code, len(made.trials)) == (7, 0)
    assert "bring the same code here, or name its folder with --code" in answer.err


def test_other_data_is_refused(made: optuna.Study) -> None:
    """Scores of other images cannot be compared."""
    made.set_user_attr("data", {"fingerprint": "sha256:a"})
    join.check_data(made, {"data": {"fingerprint": "sha256:a"}})
    with pytest.raises(IdentityError, match=r"fingerprint sha256:b, but .* made with sha256:a"):
        join.check_data(made, {"data": {"fingerprint": "sha256:b"}})


@pytest.mark.soak
@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("spec_version", 99, "was written by a newer optsearch"),
        ("versions", {"optuna": "4.5.0"}, "was made with Optuna 4.5.0"),
    ],
)
def test_a_study_of_other_versions_is_refused(
    cli: Cli, made: optuna.Study, attribute: str, value: Any, words: str
) -> None:
    """By workers and by a run alike."""
    made.set_user_attr(attribute, value)
    for command in (("worker", "--study", "mine"), ("run", "--study", "./mine.yaml")):
        answer = cli(*command, "--storage", URL)
        assert answer.code == 7
        assert words in answer.err


def test_a_worker_sets_what_belongs_to_its_machine(made: optuna.Study) -> None:
    """And nothing else: the question is the study's."""
    here = join.question(made, ["settings.data_dir=/data"], None)
    assert here.settings["data_dir"] == "/data"
    with pytest.raises(UsageError, match=r"a worker may set settings\.data_dir only"):
        join.question(made, ["settings.epochs=3"], None)


def test_an_unknown_study_is_told_with_those_there_are(cli: Cli, made: optuna.Study) -> None:
    """With where it was looked for."""
    answer = cli("worker", "--study", "mime", "--storage", URL)
    assert answer.code == 6
    assert "studies there: mine" in answer.err


# optsearch retry


@pytest.mark.soak
def test_failed_trials_are_tried_again_on_request(
    cli: Cli, database: str, write: Write, folder: Path
) -> None:
    """They keep their slot, parameters and seed; the reason may choose."""
    failing = "def objective(trial):\n    if {}: raise RuntimeError('no')\n    return 1.0\n"
    write("mine.py", failing.format("trial.number == 1"))
    assert cli("run", "--study", "./mine.yaml", "--storage", URL).code == 0
    made = optuna.load_study(study_name="mine", storage=URL)
    assert cli("retry", "--study", "mine", "--storage", URL, "--reason", "crashed").out == (
        "study 'mine': no trial has failed for good (crashed); nothing to retry\n"
    )
    queued = cli("retry", "--study", "mine", "--storage", URL)
    assert "1 failed trials wait for another run (1)" in queued.out
    done = cli("run", "--study", "./mine.yaml", "--storage", URL)
    assert done.code == 0
    assert "4 trials: 4 complete, 1 retried" in done.out
    first, again = made.trials[1], made.trials[4]
    assert (again.params, again.user_attrs["seed"]) == (first.params, first.user_attrs["seed"])


def test_retry_knows_only_reasons_of_failures(cli: Cli, made: optuna.Study) -> None:
    """A usage error lists them."""
    answer = cli("retry", "--study", "mine", "--storage", URL, "--reason", "plateau")
    assert answer.code == 2
    assert "'exception', 'crashed'" in answer.err
