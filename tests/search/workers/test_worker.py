"""worker.py: one worker's loop, here in this process and without a pool around it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.record import budget, chains, results, study
from search.studyfile import reading
from search.studyfile.spec import StudySpec
from search.terminal import panel
from search.workers import stop, worker

Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"


pytestmark = pytest.mark.usefixtures("database", "own_signals")


def make(*overrides: str) -> tuple[optuna.Study, StudySpec]:
    return study.open_study(reading.load("./mine.yaml", list(overrides)).spec, URL, {})


def work(*overrides: str, **arguments: Any) -> optuna.Study:
    made, pinned = make(*overrides)
    worker.work(pinned, URL, device="cpu", workdir="work", **arguments)
    return made


@pytest.mark.soak
def test_a_worker_runs_exactly_the_budget(folder: Path) -> None:
    """And a second one, on the same study, finds nothing left to do."""
    for _ in range(2):
        assert results.counts(work("budget.trials=3").trials)["complete"] == 3


def test_the_space_is_suggested_before_the_objective_is_called(folder: Path, write: Write) -> None:
    """`trial.params` is full, with active parameters only."""
    write(
        "mine.py",
        "def objective(trial):\n    trial.set_user_attr('seen', trial.params)\n    return 1\n",
    )
    made = work("space={o: {choice: [a]}, m: {float: [0, 1], when: {o: [a]}}}", "budget.trials=1")
    (trial,) = made.trials
    assert trial.user_attrs["seen"].keys() == {"o", "m"} == trial.params.keys()


def test_an_objective_gets_settings_and_what_it_declares(folder: Path, write: Write) -> None:
    """Settings by keyword; seed, device, threads and a folder of the trial's own if declared."""
    write(
        "mine.py",
        """
        def objective(trial, width, *, seed, device, workdir, threads, depth=2):
            assert workdir.is_dir()
            trial.set_user_attr("got", [width, depth, seed, device, str(workdir), threads])
            return 1.0
        """,
    )
    made = work("settings.width=3", "budget.trials=2", threads=5)
    for trial in made.trials:
        width, depth, seed, device, workdir, threads = trial.user_attrs["got"]
        assert (width, depth, device, threads) == (3, 2, "cpu", 5)
        assert seed == trial.user_attrs["seed"]
        assert Path(workdir) == study.folder(made, "work").absolute() / str(trial.number)


def test_an_objective_that_changes_the_folder_keeps_its_own(folder: Path, write: Write) -> None:
    """Where its module does, and in a trial; whoever looks for models finds them."""
    write(
        "mine.py",
        """
        import os, pathlib
        pathlib.Path("elsewhere").mkdir()
        os.chdir("elsewhere")
        def objective(trial, workdir):
            os.chdir("/")
            (workdir / "model.pt").touch()
            return 1.0
        """,
    )
    made = work("budget.trials=2")
    kept = study.folder(made, folder / "work")
    assert sorted(f.parent.name for f in kept.rglob("model.pt")) == ["0", "1"]


def test_each_trial_keeps_what_it_ran_with(folder: Path) -> None:
    """Seed, versions, code and host: a study may outlive all of them."""
    for trial in work("budget.trials=2").trials:
        versions = trial.user_attrs["versions"]
        assert versions["optuna"] == optuna.__version__
        assert versions["code"].startswith("sha256:")
        assert versions["host"]
        assert isinstance(trial.user_attrs["seed"], int)


def test_configurations_are_run_one_by_one_with_their_own_parameters(
    folder: Path, write: Write
) -> None:
    """No sampling: each once; lists travel as settings of their own trial."""
    write("mine.py", "def objective(trial, sizes):\n    return trial.params['x'] + sum(sizes)\n")
    one, two = "{name: a, params: {x: 1, sizes: [1, 2]}}", "{name: b, params: {x: 5, sizes: [3]}}"
    made = work("space={}", f"configurations=[{one}, {two}]", "budget={trials: 9}")
    assert [(t.user_attrs["configuration"], t.value) for t in made.trials] == [("a", 4), ("b", 8)]


def test_baselines_come_first(folder: Path) -> None:
    """In the order of the file."""
    listed = "baselines=[{name: a, params: {x: 1.0}}, {name: b, params: {x: -1.0}}]"
    assert [t.params["x"] for t in work(listed, "budget.trials=3").trials[:2]] == [1.0, -1.0]


def test_hopeless_trials_are_pruned(folder: Path, write: Write) -> None:
    """The pruner of the study file decides; the objective asks it."""
    made = work("budget.trials=12", "pruner={name: threshold, lower: -30.0}")
    pruned = [t for t in made.trials if t.state == TrialState.PRUNED]
    assert pruned
    assert {t.user_attrs["reason"] for t in pruned} == {"hopeless"}
    assert all(t.value < -30 for t in pruned)


def test_an_exception_costs_one_trial(folder: Path, write: Write) -> None:
    """The next one goes on; the failed one is not tried again."""
    write(
        "mine.py",
        """
        def objective(trial):
            if trial.number == 1:
                raise RuntimeError("one of them")
            return 1.0
        """,
    )
    made = work("budget.trials=4")
    assert [t.state.name for t in made.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert "one of them" in made.trials[1].user_attrs["error"]


def test_a_worker_stops_if_all_of_the_first_trials_raise(folder: Path, write: Write) -> None:
    """Three tracebacks say what forty would say."""
    write("mine.py", "def objective(trial):\n    raise RuntimeError('never')\n")
    assert len(work("budget.trials=40").trials) == 3


# Asked to stop


def test_sigint_ends_the_trial_at_its_next_report_and_queues_it_again(
    folder: Path, write: Write
) -> None:
    """What was reported is kept, and nothing more is claimed."""
    write(
        "mine.py",
        """
        import os, signal
        def objective(trial):
            trial.report(0.1, 0)
            os.kill(os.getpid(), signal.SIGINT)
            trial.set_user_attr("went_on", True)
            trial.report(0.2, 1)
            trial.report(0.3, 2)
            return 1.0
        """,
    )
    first, retry = work("budget.trials=4").trials
    assert first.intermediate_values == {0: 0.1, 1: 0.2}
    assert first.user_attrs["went_on"]
    assert (first.state, first.user_attrs["reason"]) == (TrialState.FAIL, "preempted")
    assert retry.state == TrialState.WAITING
    assert retry.user_attrs["seed"] == first.user_attrs["seed"]
    assert retry.user_attrs[chains.CHAIN] == first.number
    made = optuna.load_study(study_name="mine", storage=URL)
    assert made.ask().suggest_float("x", -10, 10) == first.params["x"]


INTERRUPTED = """
    import os, signal
    def objective(trial{keeps}):
        for epoch in range(12 + 2 * trial.number):
            if trial.number == 1 and epoch == {at}:
                os.kill(os.getpid(), signal.{signs})
            trial.report(epoch, epoch)
        return 0.5
"""


@pytest.mark.parametrize(
    ("signs", "at", "ends"),
    [
        ("SIGINT", 13, ["COMPLETE", "COMPLETE"]),  # its settings tell of 14 epochs
        ("SIGINT", 12, ["COMPLETE", "FAIL", "WAITING"]),
        ("SIGTERM", 13, ["COMPLETE", "FAIL", "WAITING"]),
    ],
)
def test_a_trial_that_is_asked_to_end_in_its_last_epoch_may_return(
    folder: Path, write: Write, signs: str, at: int, ends: list[str]
) -> None:
    """There is nothing left to train, and its retry might have to train all of it."""
    write("mine.py", INTERRUPTED.format(keeps=", epochs", at=at, signs=signs))
    made = work("budget.trials=9", "settings.epochs=14", "pruner=none")
    assert [t.state.name for t in made.trials] == ends


@pytest.mark.parametrize(("at", "epochs"), [(11, 13), (10, 11), (12, 13)])
def test_the_last_epoch_is_the_last_of_those_that_completed_where_nobody_tells(
    folder: Path, write: Write, at: int, epochs: int
) -> None:
    """The first trial has completed with 12: at its twelfth report this one may return. It does
    not, as it has 14, so it ends at the next."""
    write("mine.py", INTERRUPTED.format(keeps="", at=at, signs="SIGINT"))
    first, second, retry = work("budget.trials=9", "pruner=none").trials
    assert (first.state, second.user_attrs["reason"]) == (TrialState.COMPLETE, "preempted")
    assert (len(second.intermediate_values), retry.state) == (epochs, TrialState.WAITING)


@pytest.mark.parametrize(("keeps", "told"), [("", True), (", workdir", False)])
def test_of_an_interrupted_trial_it_is_told_that_it_begins_anew(
    folder: Path, write: Write, keeps: str, told: bool
) -> None:
    """Where its objective keeps nothing to go on from."""
    write("mine.py", INTERRUPTED.format(keeps=keeps, at=5, signs="SIGINT"))
    ended = work("budget.trials=9", "pruner=none").trials[1]
    line = panel.event(ended).plain.split()
    assert line[:6] == ["1", "queued", "-", "6", "ep", "preempted," if told else "preempted"]
    assert (line[6:8] == ["begins", "anew"]) == told


@pytest.mark.soak
def test_sigterm_ends_the_trial_at_once_and_queues_it_again(folder: Path, write: Write) -> None:
    """Even in the middle of an epoch."""
    write(
        "mine.py",
        """
        import os, signal, time
        def objective(trial):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
            return 1.0
        """,
    )
    first, retry = work("budget.trials=4").trials
    assert (first.state, first.user_attrs["reason"]) == (TrialState.FAIL, "preempted")
    assert retry.state == TrialState.WAITING


@pytest.mark.parametrize(
    "after",
    [
        "except BaseException: raise RuntimeError('its loader is gone')",
        "except: return 0.5",
        "finally: {}['no such key']",
    ],
)
@pytest.mark.parametrize(
    ("signs", "ends"), [("SIGTERM", "preempted"), ("SIGINT", "preempted"), ("SIGALRM", "deadline")]
)
def test_what_an_interrupted_objective_makes_of_it_is_not_how_it_ended(
    folder: Path, write: Write, after: str, signs: str, ends: str
) -> None:
    """An error of its clean-up is no failure, and a value so far is no score."""
    write(
        "mine.py",
        f"""
        import os, signal, time
        def objective(trial):
            trial.report(0.25, 0)
            try:
                os.kill(os.getpid(), signal.{signs})
                trial.report(0.5, 1)
                time.sleep(600)
            {after}
        """,
    )
    first = work("budget={trials: 1, trial_timeout: 1h}").trials[0]
    assert first.user_attrs["reason"] == ends
    assert "error" not in first.user_attrs
    assert first.value is None or ends == "deadline"


def test_an_interruption_that_python_drops_is_made_again(folder: Path, write: Write) -> None:
    """Of a `__del__`, where data loaders spend much of their time, no exception gets out."""
    write(
        "mine.py",
        """
        import os, signal, time
        class Loader:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
        def objective(trial):
            Loader()
            for _ in range(300):
                time.sleep(0.01)
            trial.set_user_attr("went_on", True)
            return 1.0
        """,
    )
    first, retry = work("budget.trials=1").trials
    assert (first.state, first.user_attrs["reason"]) == (TrialState.FAIL, "preempted")
    assert "went_on" not in first.user_attrs
    assert retry.state == TrialState.WAITING


def test_a_signal_between_two_trials_ends_the_loop(folder: Path) -> None:
    """Nothing is half-told: outside of an objective nothing is interrupted."""
    asked = stop.Stop()
    asked.install()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert asked.requested


@pytest.mark.soak
def test_a_trial_that_was_ended_from_outside_is_left_alone(folder: Path, write: Write) -> None:
    """Its lease is lost; the worker goes on with the next one."""
    write(
        "mine.py",
        """
        import optuna
        def objective(trial):
            if trial.number == 0:
                study = optuna.load_study(study_name="mine", storage="sqlite:///a.db")
                study.tell(0, 7.0)
            trial.report(0.1, 0)
            return 1.0
        """,
    )
    assert [t.value for t in work("budget.trials=2").trials] == [7.0, 1.0]


# What stays on disk


def test_only_the_best_models_and_open_chains_stay_on_disk(folder: Path, write: Write) -> None:
    """Five complete ones; pruned and failed trials leave nothing."""
    write(
        "mine.py",
        """
        import optuna
        def objective(trial, workdir):
            (workdir / "model").touch()
            if trial.number == 3:
                raise optuna.TrialPruned
            return trial.number
        """,
    )
    made = work("budget.trials=9")
    kept = {int(path.name) for path in study.folder(made, "work").iterdir()}
    assert kept == {8, 7, 6, 5, 4}


def test_what_a_preempted_trial_left_on_disk_waits_for_its_retry(folder: Path) -> None:
    """Also while its worker has not queued the retry yet, and another worker tidies up."""
    made, _ = make()
    place = study.folder(made, "work")
    for chain in ("0", "1", "2", "notes"):
        (place / chain).mkdir(parents=True)
    first, second, running = made.ask(), made.ask(), made.ask()
    first.set_user_attr("reason", "preempted")
    made.tell(first, state=TrialState.FAIL)
    second.set_user_attr("reason", "exception")
    made.tell(second, state=TrialState.FAIL)
    worker.tidy(made, place, keep=1)
    assert {path.name for path in place.iterdir()} == {"0", "2", "notes"}
    made.tell(running, 1.0)
    chains.mend(made, retries=3)
    retry = budget.claim(made, budget.Limits(9))
    assert retry is not None
    made.tell(optuna.Trial(made, retry), 0.5)
    worker.tidy(made, place, keep=1)
    assert {path.name for path in place.iterdir()} == {"2", "notes"}


def test_a_trial_that_begins_while_another_is_tidied_up_keeps_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is claimed, and its folder made, between two looks of a worker that has just ended one."""
    made = optuna.create_study()
    made.tell(made.ask(), 1.0)
    (folder / "0").mkdir()
    read = made.get_trials

    def read_and_then_one_begins(*args: Any, **options: Any) -> list[FrozenTrial]:
        trials = read(*args, **options)
        (folder / str(made.ask().number)).mkdir()
        return trials

    monkeypatch.setattr(made, "get_trials", read_and_then_one_begins)
    worker.tidy(made, folder, keep=0)
    assert not (folder / "0").exists()
    assert (folder / "1").exists()


def test_workers_draw_from_samplers_of_their_own(folder: Path) -> None:
    """Two of one study, or one that comes back later, must not draw the same first samples."""
    made, pinned = make("sampler={name: random}")
    drawn = [worker.join(pinned, URL).ask().suggest_float("x", -10, 10) for _ in range(3)]
    assert len(set(drawn)) == 3
    assert made is not None


def test_a_trial_keeps_the_threads_it_ran_with(folder: Path) -> None:
    """Of any objective: `train` computes with as many, or says that it does not."""
    (trial,) = work("budget.trials=1", threads=3).trials
    assert trial.user_attrs["threads"] == 3


ASLEEP = """
    import contextlib
    import optuna
    from search.database import storage
    from search.record import budget, chains

    def goes_on_elsewhere(trial):
        study = optuna.load_study(study_name="mine", storage=storage.open_storage("sqlite:///a.db"))
        chains.mend(study, 3, {{trial._trial_id}})
        elsewhere = budget.claim_retry(study)
        assert elsewhere is not None
        with contextlib.suppress(Exception):
            study.tell(study.trials[-1].number, 7.0)

    def objective(trial, epochs=2):
        if trial.number == 0:
            trial.report(0.1, 0)
            goes_on_elsewhere(trial)
            {wakes}
        return 1.0
"""


@pytest.mark.soak
@pytest.mark.parametrize("strategy", ["optuna", "freeze_thaw"])
@pytest.mark.parametrize(
    "wakes",
    [
        "trial.report(0.2, 1)",
        "return 0.5",
        "raise RuntimeError('the disk is gone')",
        "raise optuna.TrialPruned",
        "trial.set_user_attr('seen', 1)",
        "trial.should_prune()",
        """
            try:
                trial.report(0.2, 1)
            except Exception:
                pass
            return 0.5""",
    ],
)
def test_a_machine_that_wakes_when_its_trial_went_on_elsewhere(
    database: str, write: Write, wakes: str, strategy: str
) -> None:
    """One result a chain, that of the other machine; its worker goes on with what is left."""
    write("mine.py", ASLEEP.format(wakes=wakes))
    stepwise = ("settings.epochs=2",)
    made = work(f"strategy={strategy}", "budget.trials=2", *stepwise)
    links = chains.grouped(made.trials)
    assert [[t.state for t in chain] for chain in links.values()] == [
        [TrialState.FAIL, TrialState.COMPLETE],
        [TrialState.COMPLETE],
    ]
    assert (links[0][1].value, links[0][0].user_attrs["reason"]) == (7.0, "crashed")
