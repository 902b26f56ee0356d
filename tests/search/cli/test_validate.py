"""`optsearch validate` and `run --dry-run`: what is told before anything is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.cli import rehearsal
from search.service import prepare
from search.service.prepare import Rehearsal
from search.studyfile import reading
from search.studyfile.spec import Confirm

Cli = Callable[..., Any]
Write = Callable[[str, str], Path]


@pytest.mark.soak
def test_all_that_is_wrong_is_told_at_once(cli: Cli, write: Write) -> None:
    """Of the form, of ranges, of knobs, values and networks, each with its line and a near name."""
    write(
        "bad.yaml",
        """\
        objective: objectives.cnn:objective
        settings: {dataset: digits, network: resnet18, augmentation: true, batchsize: 3}
        space:
          lr: {float: [1.0, 0.1]}
          optimizer: {choice: [sgd, adamm]}
        budgt: {trials: 3}
        """,
    )
    answer = cli("validate", "./bad.yaml")
    assert answer.code == 3
    for told in (
        ":2 settings.augmentation: unknown name; did you mean flip, crop, auto_augment?",
        ":2 settings.batchsize: unknown name; did you mean batch_size?",
        "did you mean torchvision:resnet18?",
        ":4 space.lr.float: low < high must hold",
        ":5 space.optimizer: unknown optimizer 'adamm'",
        ":6 budgt: unknown key; did you mean 'budget'?",
    ):
        assert told in answer.err
    assert len(answer.err.splitlines()) == 6


def test_what_was_taken_out_is_not_missed(cli: Cli, write: Write) -> None:
    """A parameter of the wrong form is one problem, not a setting that is missing as well."""
    write(
        "bad.yaml",
        """\
        objective: objectives.cnn:objective
        settings: {dataset: digits, network: digits_cnn}
        space:
          optimizer: {chioce: [sgd, adam]}
          momentum: {float: [0.0, 0.9]}
        budget: {trials: 3}
        """,
    )
    answer = cli("validate", "./bad.yaml")
    assert answer.code == 3
    assert all(":4 " in line for line in answer.err.splitlines())


@pytest.mark.soak
def test_an_objective_without_a_seed_is_told_before_the_run(cli: Cli) -> None:
    """By `validate`, by `--dry-run`, and by `run` before its first trial."""
    told = "not confirmed: ./mine.py:objective declares no parameter `seed`"
    assert told in cli("validate", "./mine.yaml").out
    run = ("run", "--study", "./mine.yaml", "--storage", "sqlite:///a.db", "--log", "plain")
    assert told in cli(*run, "--dry-run").out
    out = cli(*run).out
    assert out.index(told) < out.index("complete")


def shown(
    capsys: pytest.CaptureFixture[str],
    epochs: int | None,
    runs: int = 0,
    space: dict[str, Any] | None = None,
    **measured: Any,
) -> str:
    """What a dry run prints of these measurements."""
    raw = {"name": "mine", "objective": "./mine.py:objective", "budget": {"trials": 10}}
    raw |= {} if space is None else {"space": space}
    asked = reading.parse(raw, {}, "mine.yaml")
    usual = {"params": {}, "seconds": 2.0, "reports": 2, "is_whole": False, "epoch_seconds": None}
    rehearsal.show(
        Rehearsal(asked, usual | {"memory_bytes": 2**30} | measured, 2, epochs, runs, "")
    )
    return " ".join(capsys.readouterr().out.split())


def test_a_dry_run_tells_time_by_epochs_and_counts_confirming(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An epoch from its reports where there is no history; both stages in hours."""
    told = shown(capsys, 8, runs=6)
    assert "one epoch 1 s" in told
    assert "one trial at most 8 s" in told
    assert "10 trials at most 40 s with 2 workers" in told
    assert "confirming at most 6 runs on fresh seeds, 24 s with 2 workers" in told


def test_a_dry_run_counts_no_more_trials_than_there_are_points(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each point is trained once; none of them is confirmed twice as a candidate."""
    few = {"width": {"choice": [1, 2, 3]}, "nesterov": {"choice": [True, False]}}
    assert "6 trials at most 24 s with 2 workers" in shown(capsys, 8, space=few)
    assert "10 trials at most 40 s" in shown(capsys, 8, space={"lr": {"float": [0.0, 1.0]}})
    raw = {"name": "mine", "objective": "./mine.py:objective", "space": few}
    for trials, runs in ((10, 20), (2, 8)):
        asked = reading.parse(raw | {"budget": {"trials": trials}}, {}, "mine.yaml")
        plan = asked.model_copy(update={"confirm": Confirm(top=5, seeds=4)})
        assert prepare._confirm_runs(plan) == runs


def test_a_dry_run_says_what_it_cannot_know(capsys: pytest.CaptureFixture[str]) -> None:
    """How long a trial takes whose epochs nobody tells; what could be pruned where none reports."""
    told = shown(capsys, None)
    assert "one trial not known: nobody tells how many epochs it has; add settings.epochs" in told
    assert "10 trials" not in told
    told = shown(capsys, None, reports=0, is_whole=True)
    assert "it reports no epochs, so none can be pruned" in told
    assert "one trial about 2 s" in told
