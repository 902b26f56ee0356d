"""Trials that pause and go on (chooser.py, live_trial.py, worker.py), on a strategy of the tests'
own that says step by step what is to be trained."""

import functools
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from search.record import budget, chains, pauses, results, study
from search.record.progress import Progress
from search.record.spent import used_up
from search.strategy import strategies
from search.strategy.steps import Run, Step
from search.workers import pool, worker
from search.workers.seats import Seat
from tests.search import pausing
from tests.search.pausing import curve, forked, opened, spent, states, walk, work

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def written(database: str, own_signals: None) -> None:
    """The study that these tests share."""
    pausing.write()


class Rungs:
    """So many configurations, all of them from one rung to the next; then nothing."""

    def __init__(self, number: int, rungs: Sequence[int]) -> None:
        self.number, self.rungs = number, rungs

    def next(self, runs: Sequence[Run], timely: int | None = None) -> Step | None:
        for until in self.rungs:
            if len(runs) < self.number:
                return Step(None, {"x": len(runs) / 10}, until, "a new one")
            for run in runs:
                if run.state in ("queued", "paused") and len(run.scores) < until:
                    return Step(run.number, dict(run.params), until, "its turn")
        return None

    def explain(self, runs: Sequence[Run], number: int) -> str:
        return "others first"


def follow(monkeypatch: pytest.MonkeyPatch, number: int, *rungs: int) -> None:
    """Let `Rungs` decide."""
    build = lambda *_: Rungs(number, rungs)  # noqa: E731
    monkeypatch.setattr(strategies.FreezeThaw, "build", build)


def test_a_trial_pauses_in_its_row_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting, with its curve, in words for people; nobody holds it."""
    follow(monkeypatch, 2, 3)
    monkeypatch.setattr(pauses, "settle", lambda *_: True)
    made = work()
    assert states(made) == ["PAUSED"] * 2
    first, second = made.trials
    assert first.params == {"x": 0.0}
    assert curve(second) == walk(second)[:3]
    attrs = second.user_attrs
    assert attrs["paused"] == "at epoch 3: others first"
    assert attrs["granted"] == "to epoch 3: a new one"
    assert attrs[chains.PAUSED]["epochs"] == 3
    assert chains.LEASE not in attrs
    assert results.counts(made.trials)["paused"] == 2
    assert chains.started(made.trials) == 2


def test_a_trial_goes_on_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had never paused, to the last digit, and it is no retry."""
    follow(monkeypatch, 3, 1, 2, 5, 9)
    made = work()
    assert states(made) == ["COMPLETE"] * 3
    for trial in made.trials:
        assert curve(trial) == walk(trial)
        assert trial.value == walk(trial)[-1]
        assert chains.PAUSED not in trial.user_attrs
        assert "paused" not in trial.user_attrs
        assert trial.user_attrs["granted"] == "to epoch 9: its turn"
        duration = results.seconds(trial)
        assert duration is not None
        assert duration >= trial.user_attrs[results.SECONDS]


def test_a_worker_goes_on_with_its_own_trial_without_leaving_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is loaded again: the objective is called once."""
    calls = 'Path("calls").open("a").write("x")'
    body = pausing.OBJECTIVE.replace("    file = workdir", f"    {calls}\n    file = workdir")
    pausing.write("from pathlib import Path\n" + body)
    follow(monkeypatch, 1, 1, 3, 9)
    (trial,) = work().trials
    assert trial.state == TrialState.COMPLETE
    assert Path("calls").read_text() == "x"
    assert trial.user_attrs[chains.UNTIL] == 9


def test_what_is_queued_is_begun_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines first, by name, each until its rung."""
    listed = "baselines=[{name: a, params: {x: 0.5}}, {name: b, params: {x: 0.75}}]"
    follow(monkeypatch, 2, 1)
    made = work(listed)
    assert [(t.params["x"], t.user_attrs["configuration"]) for t in made.trials] == [
        (0.5, "a"),
        (0.75, "b"),
    ]


def test_what_was_asked_for_runs_to_half_before_it_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline is given up no sooner; what was drawn pauses at its rung."""
    follow(monkeypatch, 2, 2)
    made = work("baselines=[{name: a, params: {x: 0.5}}]")
    assert [len(curve(t)) for t in made.trials] == [5, 2]
    granted = made.trials[0].user_attrs["granted"]
    assert granted == "to epoch 5: asked for, so it runs to epoch 5 at least (others first)"


# The end


def test_at_the_end_nothing_is_left_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hopeless, with its last report as its value; its folder goes."""
    follow(monkeypatch, 2, 4)
    made = work()
    for trial in made.trials:
        assert (trial.state, trial.user_attrs["reason"]) == (TrialState.PRUNED, "hopeless")
        assert trial.value == walk(trial)[3]
        assert trial.user_attrs["paused"] == "at epoch 4: others first"
        assert results.seconds(trial) == trial.user_attrs[results.SECONDS]
    assert budget.is_over(made.trials, budget_of(made), made.user_attrs[budget.SETTLED])
    assert "are left" in used_up(made, budget_of(made))


def budget_of(made: optuna.Study) -> budget.Limits:
    spec = study.stored_spec(made)
    assert spec is not None
    return study.limits(made, spec)


@pytest.mark.soak
@pytest.mark.parametrize("epochs", [9, 10, 31, 60])
def test_a_budget_of_epochs_is_kept_to_the_epoch(epochs: int) -> None:
    """And the best has run to its end."""
    made = work(f"budget.epochs={epochs}")
    assert epochs - pausing.EPOCHS < spent(made.trials) <= epochs
    assert not {"PAUSED", "RUNNING", "WAITING"} & set(states(made))
    assert "COMPLETE" in states(made)


@pytest.mark.soak
def test_a_larger_budget_opens_a_settled_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was ended stays so."""
    work("budget={trials: 4, epochs: 30}")
    made = work("budget={trials: 8, epochs: 60}")
    assert chains.started(made.trials) == 8
    assert spent(made.trials) <= 60


def test_trials_limit_chains_and_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on takes no slot."""
    follow(monkeypatch, 99, 1)
    made = work("budget={trials: 5}")
    assert len(made.trials) == 5


# Interrupted


@pytest.mark.soak
def test_what_is_paused_when_the_run_is_stopped_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on with the next run."""
    stops = pausing.OBJECTIVE.replace(
        '    trial.set_user_attr("epochs_planned"',
        "    if trial.number == 2 and not values:\n"
        "        import os, signal\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        '    trial.set_user_attr("epochs_planned"',
    )
    pausing.write(stops)
    follow(monkeypatch, 3, 2, 9)
    made = work()
    assert states(made) == ["PAUSED", "PAUSED", "FAIL", "WAITING"]
    made = work()
    assert states(made) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    for trial in (made.trials[0], made.trials[1], made.trials[3]):
        assert curve(trial) == walk(trial)
    retry = made.trials[3]
    assert retry.user_attrs[chains.CHAIN] == 2
    assert spent(made.trials) == 27


@pytest.mark.soak
def test_killed_at_any_moment_a_study_ends_as_if_nobody_had(
    monkeypatch: pytest.MonkeyPatch, empty_database: Path
) -> None:
    """Before any statement of a worker: what is left is paused, or found by who mends."""
    follow(monkeypatch, 2, 2, 4)
    monkeypatch.setattr(pausing, "STUDY", pausing.STUDY.replace("60", "9"))
    moments = 0
    for moment in range(12, 2000, 41):
        name = f"killed{moment}"
        url = f"sqlite:///{name}.db"
        Path(f"{name}.db").write_bytes(empty_database.read_bytes())
        made, pinned = opened(url=url)
        dying = functools.partial(_work_until, moment, pinned, url, device="cpu", workdir=name)
        if os.WIFEXITED(forked(dying)):
            break
        moments += 1
        work(url=url, place=name)
        links = chains.grouped(made.trials)
        assert len(links) == 2, (moment, made.trials)
        assert {chain[-1].state.name for chain in links.values()} == {"PRUNED"}
        for chain in links.values():
            assert curve(chain[-1]) == walk(chain[-1])[:4]
    assert moments > 5


def _work_until(moment: int, *arguments: object, **named: object) -> None:
    """Work, and die by SIGKILL before so many statements have been sent."""
    sent = [0]

    def count(*_: object) -> None:
        sent[0] += 1
        if sent[0] == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", count)
    worker.work(*arguments, **named)  # type: ignore[arg-type]


def test_without_its_checkpoint_a_trial_begins_anew_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On another machine, say; its epochs count once."""
    follow(monkeypatch, 1, 3)
    with monkeypatch.context() as patched:
        patched.setattr(pauses, "settle", lambda *_: True)
        work()
    follow(monkeypatch, 1, 3, 9)
    made = work(place="elsewhere")
    (trial,) = made.trials
    assert (trial.state, curve(trial)) == (TrialState.COMPLETE, walk(trial))
    assert trial.user_attrs[chains.ANEW].startswith("the checkpoint of 3 epochs is not in")
    assert made.user_attrs.get(pauses.RESUMES) is None


@pytest.mark.soak
def test_a_trial_that_paused_under_other_code_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In another row, as its curve is another one; in the same chain, whose epochs count once."""
    follow(monkeypatch, 1, 3)
    with monkeypatch.context() as patched:
        patched.setattr(pauses, "settle", lambda *_: True)
        work()
    follow(monkeypatch, 1, 3, 9)
    versions = {"code": "sha256:other"}
    made, _ = opened()
    made._storage.set_trial_user_attr(made.trials[0]._trial_id, "versions", versions)
    made = work()
    before, after = made.trials
    assert (before.state, before.user_attrs["reason"]) == (TrialState.FAIL, "preempted")
    assert (after.state, curve(after)) == (TrialState.COMPLETE, walk(after))
    assert after.user_attrs[chains.CHAIN] == 0
    assert chains.RESUMED not in after.user_attrs
    assert "has changed since it paused" in chains.begun_anew([before, after])


# Objectives that cannot resume


@pytest.mark.soak
def test_an_objective_that_cannot_resume_is_stopped_never_paused() -> None:
    """It declares no workdir; what does not go on at once has ended."""
    pausing.write(pausing.FORGETS.format(argument=""))
    made = work()
    assert set(states(made)) == {"PRUNED", "COMPLETE"}
    assert all(t.user_attrs["begun"] == 1 for t in made.trials)
    assert all("paused" not in t.user_attrs for t in made.trials)
    assert spent(made.trials) <= 60


@pytest.mark.soak
def test_an_objective_may_say_that_it_cannot_resume() -> None:
    """Its module does, though it declares a workdir."""
    forgets = pausing.FORGETS.format(argument=", workdir")
    pausing.write(f"resumes = False\n{forgets}")
    assert all("paused" not in t.user_attrs for t in work().trials)


def test_an_objective_that_begins_anew_is_found_out_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once; from then on it is stopped."""
    pausing.write(pausing.FORGETS.format(argument=", workdir"))
    follow(monkeypatch, 3, 2, 9)
    made = work()
    assert made.user_attrs[pauses.RESUMES] is False
    told = [t for t in made.trials if chains.ANEW in t.user_attrs]
    assert [t.number for t in told] == [0]
    assert "does not go on where it paused" in told[0].user_attrs[chains.ANEW]
    assert [t.user_attrs["begun"] for t in made.trials] == [2, 1, 1]
    assert states(made) == ["COMPLETE", "PRUNED", "PRUNED"]


# Bounds, audit, deadline


def test_few_checkpoints_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst of the paused is ended; its folder goes."""
    follow(monkeypatch, 5, 1)
    monkeypatch.setattr(pauses, "settle", lambda *_: True)
    made = work("strategy={name: freeze_thaw, max_paused: 2}")
    assert states(made).count("PAUSED") == 2
    ended = [t for t in made.trials if t.state == TrialState.PRUNED]
    assert {t.user_attrs["reason"] for t in ended} == {"hopeless"}
    paused = [t for t in made.trials if chains.is_paused(t)]
    assert min(curve(t)[-1] for t in paused) >= max(curve(t)[-1] for t in ended)
    left = {int(p.name) for p in study.folder(made, "work").iterdir()}
    assert left == {t.number for t in paused}


def test_an_audited_trial_runs_to_its_end_at_its_first_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the epoch at which it would have paused."""
    follow(monkeypatch, 3, 2)
    made = work("audit=1.0")
    assert states(made) == ["COMPLETE"] * 3
    for trial in made.trials:
        assert trial.user_attrs[chains.AUDIT]["epoch"] == 1
        assert trial.user_attrs["granted"].startswith("to epoch 9: audited")


def test_an_audit_never_passes_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial for whose end there is no room pauses."""
    follow(monkeypatch, 3, 2)
    made = work("audit=1.0", "budget.epochs=13")
    assert states(made) == ["COMPLETE", "PRUNED", "PRUNED"]
    assert spent(made.trials) == 13


@pytest.mark.soak
def test_the_deadline_of_a_trial_is_of_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time before a pause is gone."""
    slow = "import time\n" + pausing.OBJECTIVE.replace(
        "        draw", "        time.sleep(0.3)\n        draw"
    )
    pausing.write(slow)
    follow(monkeypatch, 2, 1, 2, 3, 4, 5, 6, 9)
    made = work("budget={trials: 2, trial_timeout: 1s}")
    for trial in made.trials:
        assert (trial.state, trial.user_attrs["reason"]) == (TrialState.PRUNED, "deadline")
        assert len(trial.intermediate_values) in (2, 3)


def test_a_trial_that_ends_early_by_itself_is_not_paused_at_its_last_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It tells `stop_epoch` before the last report."""
    pausing.write(
        "def objective(trial, *, epochs, workdir):\n"
        "    trial.report(0.5, 0)\n"
        "    trial.set_user_attr('stop_epoch', 1)\n"
        "    trial.report(0.6, 1)\n"
        "    return 0.6\n"
    )
    follow(monkeypatch, 1, 2, 9)
    assert states(work()) == ["COMPLETE"]


# Several workers


@pytest.mark.soak
def test_several_workers_share_a_budget_to_the_epoch(fork_server: None) -> None:
    """A pool of three, to its end; nobody waits for ever."""
    made, pinned = opened("budget.epochs=80")
    end = time.monotonic() + 90
    with pool.Pool(made, pinned, pausing.URL, "work", [Seat("cpu", 1)] * 3) as crew:
        while not crew.done:
            list(crew.poll(0.05))
            assert time.monotonic() < end, states(made)
    assert 80 - pausing.EPOCHS < spent(made.trials) <= 80
    assert set(states(made)) <= {"PRUNED", "COMPLETE"}
    for trial in made.trials:
        assert curve(trial) == walk(trial)[: len(curve(trial))]


@pytest.mark.soak
def test_an_idle_worker_is_woken_where_there_is_something_again(
    fork_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before: a strategy may want to wait for what runs elsewhere."""
    made, pinned = opened("budget={trials: 1, epochs: 9}")
    limits = budget_of(made)
    elsewhere = budget.take(made, limits, budget.Grant(None, {"x": 0.5}, 9, "elsewhere"), [])
    assert elsewhere is not None
    woken: list[int] = []
    with pool.Pool(made, pinned, pausing.URL, "work", [Seat("cpu", 1)]) as crew:
        send = crew._send
        monkeypatch.setattr(crew, "_send", lambda *a: (woken.append(1), send(*a)))
        end = time.monotonic() + 60
        while not crew.waits or time.monotonic() < end - 57:
            list(crew.poll(0.05))
            assert time.monotonic() < end
        assert len(woken) <= 1
        pauses.pause(made, elsewhere, 0, "it had to", 0.0)
        while not crew.done:
            list(crew.poll(0.05))
            assert time.monotonic() < end
    assert states(made) == ["COMPLETE"]


def test_progress_tells_once_that_a_trial_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a line, whatever the reason."""
    made, _ = opened()
    taken = budget.take(made, budget_of(made), budget.Grant(None, {"x": 0.5}, 9, "new"), [])
    assert taken is not None
    made._storage.set_trial_intermediate_value(taken, 0, 0.5)
    said: list[str] = []

    class Hears(Progress):
        def say(self, message: str) -> None:
            said.append(message)

    from search.record.listener import Listener

    with Hears(made, budget_of(made), None, Listener()) as progress:
        progress.update(force=True)
        made._storage.set_trial_user_attr(taken, chains.ANEW, "its file is torn")
        progress.update(force=True)
    assert said == ["trial 0 begins anew with its seed: its file is torn"]


@pytest.mark.soak
def test_what_is_queued_beyond_the_budget_keeps_nobody_from_going_on() -> None:
    """It stays queued; those that were begun share the epochs, and the best runs to its end."""
    listed = ", ".join(f"{{name: b{i}, params: {{x: 0.{i}}}}}" for i in range(1, 6))
    made = work(f"baselines=[{listed}]", "budget={trials: 3, epochs: 60}")
    assert states(made)[3:] == ["WAITING"] * 2
    assert "COMPLETE" in states(made)[:3]
    assert set(states(made)[:3]) <= {"COMPLETE", "PRUNED"}


@pytest.mark.soak
def test_a_study_in_which_something_has_paused_has_not_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though each trial that has ended so far raised."""
    fails = '    if trial.number in (1, 2, 3):\n        raise RuntimeError("no")\n'
    pausing.write(pausing.OBJECTIVE.replace("    file = workdir", f"{fails}    file = workdir"))
    follow(monkeypatch, 5, 3, 9)
    made = work()
    assert states(made) == ["COMPLETE", "FAIL", "FAIL", "FAIL", "COMPLETE"]


@pytest.mark.soak
def test_chances_are_told_as_the_study_shows_its_scores() -> None:
    """Losses above zero, in a line that says the epoch once."""
    trials = work("direction=minimize").trials
    told = [t.user_attrs["paused"] for t in trials if "paused" in t.user_attrs]
    assert any("chance to beat" in words for words in told)
    for words in told:
        assert words.count("at epoch") == 1
        assert "beat -" not in words
