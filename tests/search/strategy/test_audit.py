"""search/strategy/audit.py: some prune decisions are not carried out."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.database import storage
from search.errors import SpecError
from search.record import budget, chains, study
from search.strategy import audit
from search.studyfile import reading, spec
from search.workers import live_trial, worker
from search.workers.stop import Stop

Write = Callable[[str, str], Path]
MAXIMIZE = StudyDirection.MAXIMIZE
PLANNED = 10


def cut(epoch: int = 1) -> dict[str, Any]:
    """The mark of a trial that would have been pruned at that epoch."""
    return {chains.AUDIT: {"epoch": epoch, "value": 0.1, "epochs_planned": PLANNED}}


def ended(
    number: int,
    state: TrialState,
    value: float,
    epochs: int = PLANNED,
    reason: str = "all_epochs",
    **attrs: Any,
) -> FrozenTrial:
    trial = create_trial(
        state=state,
        value=None if state == TrialState.FAIL else value,
        intermediate_values=dict.fromkeys(range(epochs), value),
        user_attrs={"epochs_planned": PLANNED, "reason": reason, **attrs},
    )
    trial.number = number
    return trial


def complete(number: int, value: float, **attrs: Any) -> FrozenTrial:
    return ended(number, TrialState.COMPLETE, value, **attrs)


def pruned(number: int, epochs: int = 2, reason: str = "hopeless", **attrs: Any) -> FrozenTrial:
    return ended(number, TrialState.PRUNED, 0.1, epochs, reason, **attrs)


# What a study tells of its decisions


def test_a_decision_was_false_where_the_trial_ended_among_the_best() -> None:
    """Of four that ran on, one is among the two best; what was saved and spent is in epochs."""
    trials = [
        complete(0, 0.9),
        complete(1, 0.7),
        complete(2, 0.8, **cut(epoch=1)),
        complete(3, 0.1, **cut(epoch=4)),
        complete(4, 0.2, **cut(epoch=0)),
        pruned(5, epochs=6, reason="diverged", **cut(epoch=3)),
        pruned(6, epochs=2),
        pruned(7, epochs=5),
        pruned(8, epochs=1, reason="diverged"),  # the pruner has not decided anything here
    ]
    found = audit.audit(trials, MAXIMIZE, top=2)
    assert found is not None
    assert (found.decisions, found.drawn, found.audited, found.false) == (6, 4, 4, 1)
    assert (found.epochs_saved, found.epochs_spent) == (8 + 5, 8 + 5 + 9 + 2)
    assert found.rate == 0.25
    assert found.low == pytest.approx(0.0456, abs=1e-4)  # Wilson's, by the closed formula
    assert found.high == pytest.approx(0.6994, abs=1e-4)
    assert found.words == (
        "audit: of 6 prune decisions 4 were audited, and 1 of these ended among the 2 best: 25.0% "
        "(95 % interval 4.6% to 69.9%); pruning saved 13 epochs, the audit took 24"
    )


def test_the_direction_says_which_are_the_best() -> None:
    """A loss is minimized."""
    trials = [complete(0, 0.1), complete(1, 0.9, **cut())]
    assert [
        found.false
        for direction in (MAXIMIZE, StudyDirection.MINIMIZE)
        if (found := audit.audit(trials, direction, top=1))
    ] == [1, 0]


def test_nothing_is_claimed_before_a_trial_has_been_audited() -> None:
    """No interval from nothing: running, waiting and failed ones tell nothing yet."""
    running = create_trial(state=TrialState.RUNNING, user_attrs=cut())
    failed = ended(2, TrialState.FAIL, 0.0, reason="exception", **cut())
    running.number = 1
    found = audit.audit([pruned(0), running, failed], MAXIMIZE)
    assert found is not None
    assert (found.decisions, found.drawn, found.audited) == (3, 2, 0)
    assert found.rate is found.low is found.high is None
    assert found.words.startswith("audit: none of 3 prune decisions is audited yet, so how many")


def test_a_study_without_prune_decisions_has_no_audit() -> None:
    """Neither does one without trials."""
    assert audit.audit([complete(0, 0.5)], MAXIMIZE) is None
    assert audit.audit([], MAXIMIZE) is None


def test_a_chain_is_one_decision() -> None:
    """Its last link speaks for all."""
    first = ended(0, TrialState.FAIL, 0.5, epochs=4, reason="crashed", **cut())
    again = complete(1, 0.9, **cut(), **{chains.CHAIN: 0})
    found = audit.audit([first, again], MAXIMIZE)
    assert found is not None
    assert (found.decisions, found.audited, found.false) == (1, 1, 1)
    assert found.epochs_spent == 8


# The sample


def test_the_draw_is_the_share_and_the_same_for_every_worker() -> None:
    """It follows from the seed alone, so neither a retry nor a second question draws anew."""
    seeds = [study.trial_seed(spec.StudySpec(name="s", objective="o"), n) for n in range(4000)]
    drawn = [audit.is_drawn(seed, 0.05) for seed in seeds]
    assert drawn == [audit.is_drawn(seed, 0.05) for seed in seeds]
    assert 150 < sum(drawn) < 250  # 200 +- 3.6 standard deviations
    assert not any(audit.is_drawn(seed, 0.0) for seed in seeds)
    assert all(audit.is_drawn(seed, 1.0) for seed in seeds)
    assert all(audit.is_drawn(s, 0.2) for s, was in zip(seeds, drawn, strict=True) if was)


@pytest.mark.soak
def test_the_rate_is_unbiased() -> None:
    """Whichever trials a share draws, the mean of their rates is that of all decisions."""
    false = [number % 8 == 0 for number in range(200)]
    rates = []
    for study_seed in range(300):
        one = spec.StudySpec(name="s", objective="o", seed=study_seed)
        sample = [n for n in range(200) if audit.is_drawn(study.trial_seed(one, n), 0.1)]
        trials = [complete(n, 1.0 if false[n] else 0.0, **cut()) for n in sample]
        found = audit.audit(trials, MAXIMIZE, top=sum(false[n] for n in sample))
        assert found is not None
        assert found.audited == len(sample)
        rates.append(found.rate)
    error = np.std(rates) / len(rates) ** 0.5
    assert np.mean(rates) == pytest.approx(1 / 8, abs=3.5 * error)
    assert error < 0.01


@pytest.mark.parametrize(("audited", "rate"), [(20, 0.1), (60, 0.05), (200, 0.02)])
def test_the_interval_holds_the_true_rate_as_often_as_it_says(audited: int, rate: float) -> None:
    """95 times in 100; counts are discrete, so a little more or less."""
    draws = random.Random(7)
    falses = [sum(draws.random() < rate for _ in range(audited)) for _ in range(2000)]
    bounds = {n: audit.wilson(n, audited) for n in set(falses)}
    held = np.mean([bounds[n][0] <= rate <= bounds[n][1] for n in falses])
    assert 0.93 <= held <= 0.99


# A trial that is audited


@pytest.fixture
def hopeless(database: str) -> Callable[..., live_trial.LiveTrial]:
    """Make a trial whose next prune decision is certain: its peer was better by far."""
    made = optuna.create_study(
        storage=storage.open_storage(database),
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
    )
    peer = made.ask()
    for step in range(PLANNED):
        peer.report(0.9, step)
    made.tell(peer, 0.9)

    def make(share: float) -> live_trial.LiveTrial:
        claimed = budget.claim(made, budget.Limits())
        assert claimed is not None
        return live_trial.LiveTrial(made, claimed, Stop(), share)

    return make


def test_an_audited_trial_runs_on_and_is_marked_where_it_would_have_ended(
    hopeless: Callable[..., live_trial.LiveTrial],
) -> None:
    """Once: later decisions neither end it nor change the mark."""
    live = hopeless(share=1.0)
    live.set_user_attr("epochs_planned", PLANNED)
    for step in range(3):
        live.report(0.1 + step / 10, step)
        assert not live.should_prune()
    assert live.user_attrs[chains.AUDIT] == {"epoch": 0, "value": 0.1, "epochs_planned": PLANNED}


def test_without_an_audit_a_decision_is_carried_out(
    hopeless: Callable[..., live_trial.LiveTrial],
) -> None:
    """And leaves no mark."""
    live = hopeless(share=0.0)
    live.report(0.1, 0)
    assert live.should_prune()
    assert chains.AUDIT not in live.user_attrs


def test_the_mark_is_plain_json(hopeless: Callable[..., live_trial.LiveTrial]) -> None:
    """A dashboard cannot read NaN; an objective need not tell how many epochs it plans."""
    live = hopeless(share=1.0)
    live.report(float("nan"), 0)
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        answer = live.should_prune()
    assert not answer
    assert live.user_attrs[chains.AUDIT] == {"epoch": 0, "value": None, "epochs_planned": None}


# Whole runs

FALLING = """
    import os, signal
    import optuna
    def objective(trial, end=None):
        trial.set_user_attr("epochs_planned", 5)
        first = "optsearch:chain" not in trial.user_attrs
        for epoch in range(5):
            if end and first and trial.number == 3 and epoch == 3:
                os.kill(os.getpid(), getattr(signal, end))
            trial.report(-trial.number + epoch / 10, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return -trial.number
"""
URL = "sqlite:///a.db"
PRUNER = "pruner={name: median, n_startup_trials: 1}"


def work(*overrides: str) -> list[FrozenTrial]:
    loaded = reading.load("./mine.yaml", [PRUNER, "space={}", "budget.trials=6", *overrides]).spec
    made, pinned = study.open_study(loaded, URL, {})
    worker.work(pinned, URL, device="cpu", workdir="work")
    return made.trials


@pytest.mark.soak
@pytest.mark.parametrize(("share", "lengths"), [(0, [5, 1, 1, 1, 1, 1]), (1, [5] * 6)])
def test_a_study_carries_out_what_it_does_not_audit(
    database: str, own_signals: None, write: Write, share: int, lengths: list[int]
) -> None:
    """`audit: 1` prunes nothing and marks every decision; `audit: 0` is as if there was none."""
    write("mine.py", FALLING)
    trials = work(f"audit={share}")
    assert [len(t.intermediate_values) for t in trials] == lengths
    marked = [t.user_attrs[chains.AUDIT]["epoch"] for t in trials if chains.AUDIT in t.user_attrs]
    assert marked == [0] * 5 * share


@pytest.mark.soak
def test_a_share_is_audited_by_the_seed(database: str, own_signals: None, write: Write) -> None:
    """Which trials run on is known before they begin."""
    write("mine.py", FALLING)
    trials = work("audit=0.5", "budget.trials=12")
    drawn = [n for n in range(1, 12) if audit.is_drawn(trials[n].user_attrs["seed"], 0.5)]
    assert 0 < len(drawn) < 11
    assert [t.number for t in trials if chains.AUDIT in t.user_attrs] == drawn
    assert [t.number for t in trials if t.state == TrialState.COMPLETE] == [0, *drawn]


@pytest.mark.soak
def test_a_preempted_trial_goes_on_as_audited(
    database: str, own_signals: None, write: Write
) -> None:
    """Even if the study audits no more: the mark is the chain's, and nothing is drawn again."""
    write("mine.py", FALLING)
    halfway = work("audit=1", "settings.end=SIGINT")
    assert (halfway[3].state, halfway[3].user_attrs["reason"]) == (TrialState.FAIL, "preempted")
    trials = work("audit=0", "settings.end=SIGINT")
    (again,) = (t for t in trials if t.user_attrs.get(chains.CHAIN) == 3)
    assert again.state == TrialState.COMPLETE
    assert again.user_attrs[chains.AUDIT] == trials[3].user_attrs[chains.AUDIT]
    assert {t.state for t in trials[5:]} == {TrialState.PRUNED}


@pytest.mark.soak
def test_a_killed_trial_goes_on_as_audited_and_the_answer_tells_the_audit(
    database: str, cli: Callable[..., Any], write: Write
) -> None:
    """Its process dies without a word; the chain counts as one decision."""
    write("mine.py", FALLING)
    write(
        "mine.yaml",
        "objective: ./mine.py:objective\nsettings: {end: SIGKILL}\naudit: 1.0\n"
        "pruner: {name: median, n_startup_trials: 1}\nbudget: {trials: 6}\n",
    )
    run = cli("run", "--study", "./mine.yaml", "--workers", 1, "--storage", URL)
    assert run.code == 0, run.err
    trials = storage.open_storage(URL).get_all_trials(1)
    links = chains.grouped(trials)[3]
    assert [t.state for t in links] == [TrialState.FAIL, TrialState.COMPLETE]
    assert links[1].user_attrs[chains.AUDIT] == links[0].user_attrs[chains.AUDIT]
    sentence = "audit: of 5 prune decisions 5 were audited, and 4 of these ended among the 5 best"
    assert sentence in " ".join(run.out.split())
    assert sentence in " ".join(cli("show", "--study", "mine", "--storage", URL).out.split())


@pytest.mark.soak
def test_a_study_without_an_audit_says_nothing_of_it(
    database: str, cli: Callable[..., Any], write: Write
) -> None:
    """One line less to read."""
    write("mine.py", FALLING)
    run = cli("run", "--study", "./mine.yaml", "--workers", 1, "--set", "space={}", "--set", PRUNER)
    assert "saved 12 by pruning" in run.out
    assert "audit" not in run.out


@pytest.mark.soak
@pytest.mark.usefixtures("one_core")
def test_digits_are_audited_and_compared_at_equal_horizons(
    database: str, cli: Callable[..., Any], write: Write
) -> None:
    """The real objective: the worst learning rate would be ended by the trial of its own horizon,
    and nobody is by that of another."""
    write(
        "mine.yaml",
        """
        objective: objectives.cnn:objective
        settings: {dataset: digits, network: digits_cnn, schedule: cosine, precision: float32}
        audit: 1
        configurations:
          - {name: short, params: {epochs: 2, lr: 0.1}}
          - {name: long-and-hopeless, params: {epochs: 3, lr: 1.0e-9}}
          - {name: short-and-hopeless, params: {epochs: 2, lr: 1.0e-9}}
        pruner: {name: median, n_startup_trials: 1}
        """,
    )
    run = ("run", "--study", "./mine.yaml", "--storage", URL, "--workers", 1, "--device", "cpu")
    answer = cli(*run)
    assert answer.code == 0, answer.err
    trials = storage.open_storage(URL).get_all_trials(1)
    assert [t.user_attrs["horizon"] for t in trials] == [2, 3, 2]
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 3
    marks = [t.user_attrs.get(chains.AUDIT) for t in trials]
    assert marks[:2] == [None, None]
    assert marks[2] is not None
    assert (marks[2]["epoch"], marks[2]["epochs_planned"]) == (0, 2)
    assert marks[2]["value"] == trials[2].intermediate_values[0]


@pytest.mark.parametrize("share", ["-0.1", "1.01", "often", ".nan"])
def test_a_share_is_from_0_to_1(folder: Path, share: str) -> None:
    """Told with its place, as every problem of a study file."""
    with pytest.raises(SpecError, match="audit"):
        reading.load("./mine.yaml", [f"audit={share}"])
