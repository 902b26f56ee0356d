"""search/workers/pool.py: workers are kept at their number, and nothing that one held is lost."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.database import storage
from search.errors import ObjectiveError, StorageError
from search.record import budget, chains, study
from search.studyfile import reading
from search.workers import leases, pool
from search.workers.seats import Seat

Write = Callable[[str, str], Path]
URL = "sqlite:///a.db"

# Dies in the middle of its third epoch, the first time that trial 1 gets there.
DIES = """
    import os, signal
    import random
    def objective(trial, seed):
        draw = random.Random(seed)
        for epoch in range(5):
            trial.report(draw.random(), epoch)
            if epoch == 2 and trial.number == 1:
                os.kill(os.getpid(), signal.{signal})
        return draw.random()
"""


def run(
    *overrides: str, workers: int = 2, until: Callable[[pool.Pool], bool] | None = None
) -> tuple[optuna.Study, list[str]]:
    """Run a pool to its end; the study and what was said."""
    made, pinned = study.open_study(reading.load("./mine.yaml", list(overrides)).spec, URL, {})
    said: list[str] = []
    end = time.monotonic() + 90
    with pool.Pool(made, pinned, URL, "work", [Seat("cpu", 1)] * workers) as crew:
        while not crew.done:
            said += crew.poll(0.05)
            assert time.monotonic() < end, said
            if until and until(crew):
                break
    return made, said


@pytest.fixture(autouse=True)
def ready(database: str, fork_server: None) -> None:
    """An empty database at URL."""


def curve(trial: optuna.trial.FrozenTrial) -> list[float]:
    return [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]


@pytest.mark.soak
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_a_trial_whose_worker_dies_goes_on_in_another_one(write: Write, name: str) -> None:
    """At once, with the same seed, and with the curve that it would have had."""
    write("mine.py", DIES.format(signal=name))
    made, said = run("budget.trials=4", "pruner=none")
    links = chains.grouped(made.trials)
    assert [t.state.name for t in links[1]] == ["FAIL", "COMPLETE"]
    assert [one[-1].state.name for one in links.values()] == ["COMPLETE"] * 4
    disturbed, again = links[1]
    draw = random.Random(again.user_attrs["seed"])
    assert curve(again) == [draw.random() for _ in range(5)]
    assert curve(disturbed) == curve(again)[:3]
    reason = "preempted" if name == "SIGTERM" else "crashed"
    assert disturbed.user_attrs["reason"] == reason
    if reason == "crashed":
        assert said[0] == f"a worker died (killed by {name}); another one takes its place"
        assert said[1] == f"trial 1 lost its worker: begins anew as trial {again.number}"


@pytest.mark.soak
def test_a_trial_that_always_kills_its_worker_fails_for_good(write: Write) -> None:
    """After its retries; the others are not disturbed."""
    write(
        "mine.py",
        """
        import os
        def objective(trial):
            if trial.user_attrs.get("optsearch:chain", trial.number) == 0:
                os._exit(7)
            return 1.0
        """,
    )
    made, said = run("budget={trials: 3, retries: 1}")
    ends = [links[-1].state.name for links in chains.grouped(made.trials).values()]
    assert ends == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "trial 0 lost its worker: begins anew as trial" in "\n".join(said)
    assert "given up after 2 crashes in a row" in said[-1]


@pytest.mark.soak
def test_a_run_ends_where_every_trial_kills_its_worker(write: Write) -> None:
    """Three chains say what forty would say."""
    write("mine.py", "import os\ndef objective(trial): os._exit(7)\n")
    made, _ = run("budget={trials: 40, retries: 0}", workers=1)
    assert [t.state.name for t in made.trials] == ["FAIL"] * 3


@pytest.mark.soak
def test_workers_that_die_before_any_trial_are_not_replaced_for_ever(write: Write) -> None:
    """It would never end."""
    write("mine.py", "import os\nos._exit(3)\ndef objective(trial): return 1.0\n")
    with pytest.raises(ObjectiveError, match=r"the worker process died \(exit code 3\)"):
        run(workers=1)


@pytest.mark.soak
def test_a_gpu_fault_costs_a_worker_and_no_trial(write: Write) -> None:
    """The fault poisons the process, not the trial."""
    write(
        "mine.py",
        """
        import os
        def objective(trial):
            trial.set_user_attr("pid", os.getpid())
            if trial.number == 0:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            first = trial.study.trials[0].user_attrs["pid"]
            trial.set_user_attr("first_lives", os.path.exists(f"/proc/{first}"))
            return 1.0
        """,
    )
    made, said = run("budget.trials=2", workers=1)
    assert [t.state.name for t in made.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    first, *others = [t.user_attrs["pid"] for t in made.trials]
    assert first not in others
    lives = [t.user_attrs["first_lives"] for t in made.trials[1:]]
    assert lives == [False, False]  # it would hold its GPU's memory until the run ends
    assert said == ["a GPU fault broke a worker; another one takes its place"]


# Deadlines


@pytest.mark.soak
def test_a_trial_past_its_deadline_is_pruned_with_its_last_report(write: Write) -> None:
    """In the middle of an epoch, and the worker goes on with the next trial."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            trial.report(0.25, 0)
            if trial.number == 0:
                time.sleep(600)
            return 1.0
        """,
    )
    made, said = run("budget={trials: 2, trial_timeout: 1s}", workers=1)
    first, second = made.trials
    assert (first.state, first.value) == (TrialState.PRUNED, 0.25)
    assert first.user_attrs["reason"] == "deadline"
    assert second.state == TrialState.COMPLETE
    assert said == []


# Hears no signal, as a broken kernel may not; and hears it, but takes it for an error of its own.
DEAF = """
    def objective(trial):
        trial.report(0.25, 0)
        if trial.number == 0:
            sum(range(10**15))
        return 1.0
"""
STUBBORN = """
    import time
    def objective(trial):
        trial.report(0.25, 0)
        while trial.number == 0:
            try:
                time.sleep(600)
            except:
                pass
        return 1.0
"""


@pytest.mark.soak
@pytest.mark.parametrize("hangs", [DEAF, STUBBORN], ids=["deaf", "stubborn"])
def test_a_trial_that_hangs_past_its_deadline_costs_its_worker(
    write: Write, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    """Within seconds of its time, by the parent's hand."""
    assert pool.LOOK_OVERDUE_S + pool.OVERDUE_S < 10
    monkeypatch.setattr(pool, "LOOK_OVERDUE_S", 0.2)
    monkeypatch.setattr(pool, "OVERDUE_S", 0.5)
    write("mine.py", hangs)
    made, said = run("budget={trials: 2, trial_timeout: 1s}", workers=1)
    assert [t.state.name for t in made.trials] == ["PRUNED", "COMPLETE"]
    assert made.trials[0].user_attrs["reason"] == "deadline"
    assert said[0] == "trial 0 hung past its deadline: its worker is replaced"


@pytest.mark.soak
def test_sigterm_is_obeyed_in_the_middle_of_a_long_kernel(write: Write) -> None:
    """Python hears of it only afterwards; another thread gives the trial back in time."""
    write(
        "mine.py",
        """
        import hashlib, os, signal, threading
        from search.workers import stop
        stop.LAST_WORDS_S = 0.5
        def objective(trial):
            trial.report(0.25, 0)
            if trial.number == 0:
                threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
                hashlib.pbkdf2_hmac("sha256", b"deaf", b"for minutes", 10**9)
            return 1.0
        """,
    )
    made, said = run("budget.trials=2", workers=1)
    assert [t.state.name for t in made.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert made.trials[0].user_attrs["reason"] == "preempted"
    assert said == ["a worker died (exit code 143); another one takes its place"]


@pytest.mark.soak
def test_sigterm_is_obeyed_by_an_objective_that_catches_everything(write: Write) -> None:
    """It counts as preempted, not as crashed, and in time."""
    write(
        "mine.py",
        """
        import os, signal, threading, time
        from search.workers import stop
        stop.LAST_WORDS_S = 0.5
        def objective(trial):
            if trial.number > 0:
                return 1.0
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            while True:
                try:
                    time.sleep(600)
                except BaseException:
                    pass
        """,
    )
    made, _ = run("budget.trials=2", workers=1)
    assert [t.state.name for t in made.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert made.trials[0].user_attrs["reason"] == "preempted"


def test_a_timer_of_the_objectives_own_is_no_deadline(write: Write) -> None:
    """Where the study sets none."""
    write(
        "mine.py",
        """
        import signal, time
        def objective(trial):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(0.2)
            return 1.0
        """,
    )
    made, _ = run("budget.trials=1", workers=1)
    assert [t.state.name for t in made.trials] == ["COMPLETE"]


@pytest.mark.soak
def test_a_database_file_that_is_removed_ends_the_run(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written from then on goes nowhere."""
    monkeypatch.setattr(pool, "LOOK_S", 0.1)
    write("mine.py", "import time\ndef objective(trial):\n    time.sleep(600)\n")

    def remove(crew: pool.Pool) -> bool:
        if crew.open:  # its worker has opened the file
            Path("a.db").unlink(missing_ok=True)
        return False

    with pytest.raises(StorageError, match="removed or replaced while the run wrote to it"):
        run(workers=1, until=remove)


# Other machines


@pytest.mark.soak
def test_a_trial_that_falls_silent_elsewhere_goes_on_here(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host can tell nobody; its heartbeat has stopped."""
    monkeypatch.setattr(pool, "LOOK_S", 0.1)
    monkeypatch.setattr(leases, "SILENT_S", 1.0)
    made, pinned = study.open_study(reading.load("./mine.yaml", ["budget.trials=3"]).spec, URL, {})
    lost = made.ask()
    lost.set_user_attr(chains.LEASE, {"host": "another", "pid": 1, "room": "", "since": 0})
    with pool.Pool(made, pinned, URL, "work", [Seat("cpu", 1)]) as crew:
        while not crew.done:
            list(crew.poll(0.05))
    assert len(made.trials) == 4
    assert made.trials[0].user_attrs["reason"] == "crashed"
    links = chains.grouped(made.trials)  # which number the retry has is a matter of speed
    assert [one.state.name for one in links[0]] == ["FAIL", "COMPLETE"]
    assert [one[-1].state.name for one in links.values()] == ["COMPLETE"] * 3


def test_a_pool_waits_for_the_trials_of_other_machines(folder: Path) -> None:
    """They may yet be lost, and then it goes on with them; where they end, it ends too."""
    made, pinned = study.open_study(reading.load("./mine.yaml", ["budget.trials=3"]).spec, URL, {})
    elsewhere = made.ask()
    with pool.Pool(made, pinned, URL, "work", [Seat("cpu", 1)]) as crew:
        while not crew.waits:
            list(crew.poll(0.05))
        assert [t.state.name for t in made.trials] == ["RUNNING", "COMPLETE", "COMPLETE"]
        assert not crew.done
        made.tell(elsewhere, 1.0)
        assert crew.done


def test_a_trial_that_beats_elsewhere_is_left_alone() -> None:
    """However long it takes, and whatever its clock says: tomorrow, or the last century."""
    now = [0.0]
    made = optuna.create_study(storage=storage.open_storage(URL))
    beating, silent = made.ask(), made.ask()
    leases.beat(made, beating._trial_id)
    watch = leases.Watch(made, clock=lambda: now[0])
    lost: list[set[int]] = []
    for clock in ("2026-11-22", "2026-11-23", "2099-01-01", "1999-12-31", "2026-11-22"):
        with storage.database_of(made).engine.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE trial_heartbeats SET heartbeat = '{clock} 00:00:00.0'"
            )
        now[0] += leases.BLIND_S - 1
        lost.append(watch.lost())
    assert lost[-2:] == [{silent._trial_id}] * 2
    assert not any(beating._trial_id in ids for ids in lost)
    now[0] += leases.BLIND_S + 1
    assert watch.lost() == set()  # held up itself, a watcher concludes nothing


@pytest.mark.soak
def test_a_running_trial_has_a_heartbeat_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment of its claim, and until its objective has ended."""
    monkeypatch.setattr(leases, "BEAT_S", 0.2)
    made = optuna.create_study(storage=storage.open_storage(URL))
    claimed = budget.claim(made, budget.Limits())
    assert claimed is not None
    watch = leases.Watch(made)
    seen = {watch._beats()[claimed]}
    with leases.Heart(made, claimed):
        end = time.monotonic() + 30
        while len(seen) < 3 and time.monotonic() < end:
            time.sleep(0.2)
            seen.add(watch._beats()[claimed])
    assert None not in seen
    assert len(seen) >= 3


def test_asked_to_finish_the_epoch_a_pool_ends_and_keeps_everything(write: Write) -> None:
    """Both trials wait for the next command, and no other one is begun."""
    write(
        "mine.py",
        """
        import time
        def objective(trial):
            for epoch in range(600):
                time.sleep(0.05)
                trial.report(0.1, epoch)
            return 1.0
        """,
    )
    seen: list[Any] = []

    def finish(crew: pool.Pool) -> bool:
        trials = optuna.load_study(study_name="mine", storage=URL).trials
        if not seen and sum(len(t.intermediate_values) > 1 for t in trials) == 2:
            seen.append(len(trials))
            crew.finish_epoch()
        return False

    made, said = run("budget.trials=9", until=finish)
    states = [t.state.name for t in made.trials]
    assert sorted(states) == ["FAIL", "FAIL", "WAITING", "WAITING"]
    assert said == []


def test_leaving_a_pool_ends_its_workers(write: Write, wait_for: Callable[..., None]) -> None:
    """After an error of the command, say; what they ran waits for the next one."""
    write(
        "mine.py",
        """
        import os, time
        def objective(trial):
            open(f"pid{os.getpid()}", "w").close()
            time.sleep(600)
        """,
    )
    made, _ = run(until=lambda crew: len(list(Path().glob("pid*"))) == 2)
    for file in Path().glob("pid*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.name[3:]), 0)
    assert sorted(t.state.name for t in made.trials) == ["FAIL", "FAIL", "WAITING", "WAITING"]
    assert signal.getsignal(signal.SIGINT) is not None
