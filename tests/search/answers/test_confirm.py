"""The confirm stage: fresh seeds, a race, and one look at the test set."""

import json
import os
import re
import signal
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml
from optuna.trial import TrialState
from PIL import Image

from search.answers import confirm, evidence, plans, race, rounds
from search.dashboard import notes
from search.database import storage
from search.errors import OptsearchError
from search.record import chains, results
from search.record import study as studies
from search.studyfile import reading
from search.studyfile.spec import Confirm
from search.workers import worker
from tests.search.conftest import Answer, Command

Cli = Callable[..., Answer]
Write = Callable[[str, str], Path]

# A parabola with the noise of a seed; what it "learns" is kept, and each test leaves a line.
NOISY = """
    import os, random, time
    from pathlib import Path
    import optuna

    def objective(trial, seed, workdir, noise=0.01, slow=0.0):
        x, draw = trial.params["x"], random.Random(seed)
        for epoch in range(4):
            value = 1 - (x - 0.3) ** 2 - 0.5 / (epoch + 1) + draw.gauss(0, noise)
            trial.report(value, epoch)
            time.sleep(slow)
            if trial.should_prune():
                raise optuna.TrialPruned
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "model").write_text(repr(value))
        return value

    def evaluate(workdir, split):
        with Path("tested.log").open("a") as log:
            log.write(f"{split} {workdir}\\n")
        return {"accuracy": float((workdir / "model").read_text()) - 0.1, "loss": 1.0, "n": 10}
"""
STUDY = """
    # Where is the top of a noisy parabola?
    objective: ./noisy.py:objective
    space:
      x: {float: [0.0, 1.0]}
    sampler: random
    budget: {trials: 10}
    confirm: {top: 3, seeds: 4}
"""
RUN = ("run", "--study", "./noisy.yaml", "--storage", "sqlite:///a.db", "--workdir", "work")
FEW = ("--trials", "3", "--set", "confirm={top: 2, seeds: 3}")  # where each takes a while


@pytest.fixture
def noisy(write: Write, database: str) -> Path:
    write("noisy.py", NOISY)
    return write("noisy.yaml", STUDY)


def opened(name: str = "noisy") -> optuna.Study:
    return studies.load_study(name, "sqlite:///a.db")


def runs() -> list[optuna.trial.FrozenTrial]:
    return opened("noisy:confirm").get_trials(deepcopy=False)


def looks() -> list[str]:
    return Path("tested.log").read_text().splitlines()


def test_a_run_ends_with_a_confirmed_answer(cli: Cli, noisy: Path) -> None:
    """Winner, interval over fresh seeds, test score and optimism, in the terminal and the file;
    each kept model is tested once, and the same command again tests nothing."""
    answer = cli(*RUN)
    assert (answer.code, answer.err) == (0, "")
    known = evidence.of(opened())
    assert known is not None
    assert known.winner is not None
    assert known.over
    assert f"Winner: trial {known.winner.number}, value {known.winner.interval}" in answer.out
    blank = [i for i, line in enumerate(answer.out.splitlines()) if not line.strip()]
    told = answer.out.splitlines()[blank[0] :]
    assert len(told) < 24  # to be read in ten seconds; the rest is behind `show`
    assert "Optimism" not in answer.out
    cost = " ".join(told).split("Cost: ")[1].split(".yaml")[0]
    assert re.match(r"\d+ trials and \d+ runs on fresh seeds: (\d+ epochs, )?.* of training", cost)
    assert any(line.split() and line.split()[0] == "best.yaml" for line in told)
    shown = cli("show", "noisy", "--storage", "sqlite:///a.db").out
    assert "Optimism: the search's best" in shown
    complete = [t for t in runs() if t.state == TrialState.COMPLETE]
    assert len(looks()) == len(set(looks())) == len(complete)
    assert all(line.startswith("test ") for line in looks())
    for one in known.candidates:
        assert {s: pytest.approx(v - 0.1) for s, v in one.scores.items()} == dict(one.tests)
    best = yaml.safe_load(Path("best.yaml").read_text())
    assert best["trial"] == known.winner.number
    assert best["confirmed"]["value"]["seeds"] == dict(known.winner.scores)
    assert best["confirmed"]["test_accuracy"]["n"] == known.winner.interval.n  # type: ignore[union-attr]
    assert best["confirmed"]["search_best"] == known.plan.best
    told = opened().user_attrs[results.CONFIRMED]
    assert told["trial"] == known.winner.number
    frozen = {s.study_name: s for s in opened()._storage.get_all_studies()}
    note = notes.of_study(frozen["noisy"], opened().trials, "sqlite:///a.db")
    assert f"Confirmed on fresh seeds: trial {known.winner.number}" in note
    note = notes.of_study(frozen["noisy:confirm"], runs(), "sqlite:///a.db")
    assert note.startswith("The runs that confirm the best of study `noisy`")
    before = Path("tested.log").read_text()
    assert cli(*RUN).code == 0
    assert Path("tested.log").read_text() == before


@pytest.mark.soak
def test_all_candidates_get_the_same_fresh_seeds(cli: Cli, noisy: Path) -> None:
    """Seeds that no trial of the search had, in the same order for each."""
    cli(*RUN)
    searched = {t.user_attrs["seed"] for t in opened().trials}
    by_candidate: dict[int, list[int]] = {}
    for run in sorted(runs(), key=lambda t: t.user_attrs[plans.SEED_INDEX]):
        by_candidate.setdefault(run.user_attrs[plans.CANDIDATE], []).append(run.user_attrs["seed"])
    longest = max(by_candidate.values(), key=len)
    assert not set(longest) & searched
    assert len(set(longest)) == len(longest)
    assert all(longest[: len(seeds)] == seeds for seeds in by_candidate.values())


def test_a_pruned_trial_that_had_shown_as_much_is_a_candidate(database: str, noisy: Path) -> None:
    """By the best it had reported; one that had shown less, or diverged, is not."""
    study = _study(database)
    for value, reason in ((0.9, "hopeless"), (0.99, "diverged"), (0.2, "hopeless")):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        trial.report(value, 0)
        trial.report(0.1, 1)
        trial.set_user_attr("reason", reason)
        study.tell(trial, state=TrialState.PRUNED)
    for value in (0.8, 0.95, 0.3):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study.tell(trial, value)
    assert [t.number for t in confirm.candidates(study, 3)] == [4, 0, 3]


def test_a_configuration_is_confirmed_once(database: str, noisy: Path) -> None:
    """However often the search has tried it."""
    study = _study(database)
    for value in (0.5, 0.6, 0.7):
        study.enqueue_trial({"x": 0.25})
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        study.tell(trial, value)
    assert [t.number for t in confirm.candidates(study, 3)] == [2]


def _study(database: str) -> optuna.Study:
    study = optuna.create_study(
        study_name="noisy", storage=storage.open_storage(database), direction="maximize"
    )
    study.set_user_attr("spec", {})
    return study


@pytest.mark.soak
def test_no_confirm_reads_no_test(cli: Cli, noisy: Path) -> None:
    """`--no-confirm` and `confirm: false` leave the search's best as the answer, and say so."""
    assert cli(*RUN, "--no-confirm").code == 0
    assert cli(*RUN, "--set", "confirm=false").code == 0
    assert evidence.of(opened()) is None
    assert not Path("tested.log").exists()
    assert "# Not confirmed with fresh seeds." in Path("best.yaml").read_text()


@pytest.mark.soak
def test_more_seeds_repeat_no_run(cli: Cli, noisy: Path) -> None:
    """`confirm --seeds` goes on from what is there, and a model is never tested again."""
    cli(*RUN)
    before = {t.number: t.value for t in runs()}
    options = ("--storage", "sqlite:///a.db", "--workdir", "work")
    answer = cli("confirm", "--study", "noisy", "--seeds", "6", *options)
    assert (answer.code, answer.err) == (0, "")
    assert before.items() <= {t.number: t.value for t in runs()}.items()
    named = [(t.user_attrs[plans.CANDIDATE], t.user_attrs[plans.SEED_INDEX]) for t in runs()]
    assert len(named) == len(set(named))
    known = evidence.of(opened())
    assert known is not None
    assert known.winner is not None
    assert len(known.winner.scores) >= 6
    assert known.earlier == len(before)  # they were tested before this choice was made
    assert len(looks()) == len(set(looks()))


@pytest.mark.soak
def test_a_search_that_goes_on_is_confirmed_anew(cli: Cli, noisy: Path) -> None:
    """With other candidates: there were two only before."""
    cli(*RUN, "--trials", "2", "--set", "pruner=none")
    first = evidence.of(opened())
    cli(*RUN, "--trials", "30", "--set", "pruner=none")
    second = evidence.of(opened())
    assert first is not None
    assert second is not None
    assert second.winner is not None
    assert second.plan.candidates != first.plan.candidates
    assert second.plan.trials == 30


@pytest.mark.soak
def test_an_objective_without_a_seed_is_not_confirmed(cli: Cli) -> None:
    """Another seed would change nothing: `run` says so, `confirm` refuses with the next step."""
    answer = cli("run", "--study", "./mine.yaml", "--storage", "sqlite:///a.db")
    assert answer.code == 0
    assert "not confirmed: ./mine.py:objective declares no parameter `seed`" in answer.out
    answer = cli("confirm", "--study", "mine", "--storage", "sqlite:///a.db")
    assert answer.code == 4
    assert "declare a parameter `seed`" in answer.err


@pytest.mark.soak
def test_the_runs_of_a_confirmation_are_no_study_to_run(cli: Cli, noisy: Path) -> None:
    """Their study is named as such, is not listed, and goes with the one that it confirms."""
    cli(*RUN)
    answer = cli("confirm", "--study", "noisy:confirm", "--storage", "sqlite:///a.db")
    assert (answer.code, "use --study noisy" in answer.err) == (2, True)
    assert cli(*RUN, "--name", "noisy:confirm").code == 2
    assert ":confirm" not in cli("list", "--storage", "sqlite:///a.db").out
    studies.delete_study(opened(), Path("work"))
    assert storage.open_storage("sqlite:///a.db").get_all_studies() == []
    assert list(Path("work").iterdir()) == []


@pytest.mark.soak
def test_a_study_without_a_complete_trial_has_nothing_to_confirm(cli: Cli, noisy: Path) -> None:
    """One line, with the next step."""
    file, url = reading.load("./noisy.yaml"), "sqlite:///a.db"
    studies.open_study(file.spec, url, {})
    answer = cli("confirm", "--study", "noisy", "--storage", url)
    assert (answer.code, "has no complete trial yet" in answer.err) == (1, True)


@pytest.mark.soak
def test_models_of_another_machine_are_told(cli: Cli, noisy: Path) -> None:
    """A model that is not in this --workdir is not tested, and the answer says how many were."""
    cli(*RUN, "--no-confirm")
    question = studies.require_spec(opened())
    confirming = confirm.begin(opened(), question, Confirm(top=1, seeds=4))
    assert confirming is not None
    while confirm.advance(confirming, opened(), places=1):
        place = "work" if len(runs()) <= 3 else "elsewhere"
        asked = confirm.spec_of_runs(question)
        worker.work(asked, "sqlite:///a.db", device="cpu", workdir=place)
    answer = cli("confirm", "--study", "noisy", "--top", 1, "--seeds", 4, *RUN[3:])
    assert answer.code == 0
    assert "Tested: 3 of the winner's 4 models" in answer.out


@pytest.mark.soak
@pytest.mark.parametrize(
    ("returned", "named"),
    [("0.7", "test_score 0.7000"), ("{'f1': 0.7, 'n': 3}", "test_f1 0.7000")],
)
def test_what_evaluate_returns_is_kept_under_its_name(
    cli: Cli, noisy: Path, returned: str, named: str
) -> None:
    """A number, or several by name."""
    noisy.with_name("noisy.py").write_text(_evaluating(f"return {returned}"))
    answer = cli(*RUN)
    assert answer.code == 0
    assert named in answer.out


@pytest.mark.soak
@pytest.mark.parametrize(
    "body", ["raise ValueError('boom')", "return 'high'", "return float('nan')", "os._exit(3)"]
)
def test_an_answer_is_told_though_the_test_set_cannot_be_read(
    cli: Cli, noisy: Path, body: str
) -> None:
    """The confirmed winner is printed and written, and the error names `evaluate`."""
    noisy.with_name("noisy.py").write_text(_evaluating(body))
    answer = cli(*RUN)
    assert answer.code == 4
    assert "the test set could not be read by `evaluate`" in answer.err
    assert "Winner: trial" in answer.out
    assert "confirmed:" in Path("best.yaml").read_text()
    assert cli("show", "--study", "noisy", "--storage", "sqlite:///a.db").code == 0


def _evaluating(body: str) -> str:
    whole = textwrap.dedent(NOISY)
    return whole[: whole.index("def evaluate")] + f"def evaluate(workdir, split):\n    {body}\n"


@pytest.mark.soak
def test_a_study_of_that_name_is_not_taken_over(cli: Cli, noisy: Path) -> None:
    """Names that end in :confirm are refused; a foreign study of such a name stays as it is."""
    answer = cli(*RUN, "--name", "mine:confirm")
    assert (answer.code, "are kept for the runs" in answer.err) == (2, True)
    foreign = optuna.create_study(
        study_name="noisy:confirm",
        storage=storage.open_storage("sqlite:///a.db"),
        direction="maximize",
    )
    foreign.enqueue_trial({"x": 1})
    answer = cli(*RUN)
    assert (answer.code, "is in the way" in answer.err) == (5, True)
    assert foreign.user_attrs == {}


@pytest.mark.soak
def test_where_every_run_fails_no_answer_is_confirmed(cli: Cli, noisy: Path) -> None:
    """And the terminal says so, beside the search's own best; the test set is not read."""
    last = "    return value\n"
    code = textwrap.dedent(NOISY).replace(
        last, '    return float("inf") if "confirm" in str(workdir) else value\n', 1
    )
    noisy.with_name("noisy.py").write_text(code)
    answer = cli(*RUN)
    assert (answer.code, answer.err) == (0, "")
    assert "No candidate came through its fresh seeds" in answer.out
    assert "best configuration" in answer.out
    assert not Path("tested.log").exists()


@pytest.mark.soak
def test_where_low_is_good_optimism_is_a_loss_too_low(cli: Cli, noisy: Path) -> None:
    """Its sign says how much better the search's best looked than it is."""
    code = textwrap.dedent(NOISY).replace("value = 1 - (x", "value = 1 + (x")
    noisy.with_name("noisy.py").write_text(code)
    noisy.write_text(noisy.read_text() + "direction: minimize\n")
    assert cli(*RUN).code == 0
    known = evidence.of(opened())
    assert known is not None
    assert known.optimism is not None
    best = known.of(known.plan.best)
    assert best is not None
    fresh = list(best.scores.values())[: known.plan.seeds]
    assert known.optimism.mean == pytest.approx(np.mean(fresh) - known.plan.score)


@pytest.mark.soak
def test_a_run_keeps_a_larger_confirmation(cli: Cli, noisy: Path) -> None:
    """The file's four seeds do not undo the six that a person asked for."""
    cli(*RUN)
    cli("confirm", "--study", "noisy", "--seeds", 6, *RUN[3:])
    cli(*RUN)
    plan = plans.require_plan(opened("noisy:confirm"))
    assert (plan.seeds, plan.top) == (6, 3)


@pytest.mark.soak
def test_the_confirming_runs_are_left_alone(cli: Cli, noisy: Path) -> None:
    """Nothing is queued, exported, compared or forgotten there."""
    cli(*RUN)
    for name, *options in (
        ("enqueue", "--params", "x=0.5"),
        ("export",),
        ("compare",),
        ("delete", "--yes"),
        ("worker",),
    ):
        answer = cli(name, "--study", "noisy:confirm", "--storage", "sqlite:///a.db", *options)
        assert (name, answer.code, "use --study noisy" in answer.err) == (name, 2, True)


@pytest.mark.soak
def test_what_an_objective_prints_is_no_part_of_a_json_log(
    command: Callable[..., Command], noisy: Path
) -> None:
    """Standard output has JSON lines only, in the search, the confirm stage and the test."""
    code = textwrap.dedent(NOISY).replace("    x, draw", "    print('hello')\n    x, draw")
    code = code.replace("    with Path", "    print('hi')\n    with Path")
    noisy.with_name("noisy.py").write_text(code)
    answer = command(*RUN, "--log", "json").end()
    assert answer.code == 0
    events = [json.loads(line) for line in answer.out.splitlines()]
    assert events[-1]["event"] == "answer"
    assert events[-1]["confirmed"]["trial"] is not None
    printed = [event["line"] for event in events if event["event"] == "print"]
    assert "hello" in printed
    assert "hi" in answer.err


@pytest.mark.soak
def test_one_seed_prints_no_interval(cli: Cli, noisy: Path) -> None:
    """And says that it tells nothing about the spread."""
    answer = cli(*RUN, "--set", "confirm.seeds=1")
    assert answer.code == 0
    assert "±" not in answer.out
    assert "one seed tells nothing about the spread" in " ".join(answer.out.split())


@pytest.mark.soak
def test_a_configuration_that_fails_on_a_fresh_seed_does_not_win(cli: Cli, write: Write) -> None:
    """The search's best raises on every seed but its own: another one is the answer."""
    write(
        "noisy.py",
        """
        def objective(trial, seed):
            x = trial.params["x"]
            if x == 3 and trial.user_attrs.get("optsearch:candidate") is not None:
                raise RuntimeError("no luck this time")
            return x + seed % 7 / 100
        """,
    )
    write(
        "noisy.yaml",
        """
        objective: ./noisy.py:objective
        space: {x: {choice: [1, 2, 3]}}
        baselines: [{name: a, params: {x: 1}}, {name: b, params: {x: 2}}, {name: c, params: {x: 3}}]
        budget: {trials: 3}
        """,
    )
    answer = cli(*RUN)
    assert answer.code == 0
    known = evidence.of(opened())
    assert known is not None
    assert known.winner is not None
    assert known.winner.params == {"x": 2}
    assert [c.state for c in known.candidates if c.params == {"x": 3}] == ["failed"]


@pytest.mark.soak
def test_a_confirmation_that_is_killed_goes_on(
    command: Callable[..., Command], noisy: Path, wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    """SIGKILL in the middle of it: the same command ends with every run once, and the same winner
    as undisturbed."""
    run = (*RUN, "--set", "settings.slow=0.1", "--workers", "2", *FEW)
    first = command(*run)

    def is_confirming() -> bool:
        try:
            return sum(t.state == TrialState.COMPLETE for t in runs()) >= 3
        except Exception:
            return False

    wait_for(is_confirming)
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    assert opened("noisy:confirm").user_attrs.get(plans.CHOICE) is None
    assert command(*run).end().code == 0
    known = evidence.of(opened())
    assert known is not None
    assert known.winner is not None
    complete = Counter(
        (t.user_attrs[plans.CANDIDATE], t.user_attrs[plans.SEED_INDEX])
        for t in runs()
        if t.state == TrialState.COMPLETE
    )
    assert set(complete.values()) == {1}
    assert len(looks()) == len(set(looks()))
    now = evidence.standing(opened("noisy:confirm"), known.plan)
    assert (now.winner, now.over) == (known.winner.number, True)


@pytest.mark.soak
def test_ctrl_c_leaves_the_confirmation_to_the_next_command(
    command: Callable[..., Command], noisy: Path, wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    """The choice is not made on half of the runs, and the test set is not read."""
    run = (*RUN, "--set", "settings.slow=0.1", "--workers", "1", *FEW)
    first = command(*run)

    def is_confirming() -> bool:
        try:
            return sum(t.state == TrialState.COMPLETE for t in runs()) >= 1
        except Exception:
            return False

    wait_for(is_confirming)
    first.interrupt()
    answer = first.end()
    assert answer.code == 130
    assert "Not confirmed yet" in answer.out
    assert not Path("tested.log").exists()
    assert command(*run).end().code == 0
    assert Path("tested.log").exists()


@pytest.mark.soak
def test_a_worker_of_another_machine_helps_to_confirm(
    command: Callable[..., Command], noisy: Path, wait_for: Callable[[Callable[[], bool]], None]
) -> None:
    """It stays when the search is over; the runs are shared among both, and each is done once."""
    gate = """\
    gate = "confirm.open" if "confirm" in str(workdir) else "search.open"
    while not Path(gate).exists():
        time.sleep(0.01)
"""
    code = textwrap.dedent(NOISY).replace("    x, draw", gate + "    x, draw")
    noisy.with_name("noisy.py").write_text(code)
    first = command(*RUN, "--workers", "1", *FEW)

    def hands(study: str) -> int:
        """Processes that have begun a trial of it, and wait at its gate."""
        try:
            leases = [t.user_attrs.get(chains.LEASE) for t in opened(study).trials]
        except OptsearchError:  # it is not there yet
            return 0
        return len({lease["pid"] for lease in leases if lease})

    wait_for(lambda: hands("noisy") == 1)
    where = ("--storage", "sqlite:///a.db", "--workdir", "work")
    second = command("worker", "--study", "noisy", "--workers", "1", *where)
    wait_for(lambda: hands("noisy") == 2)
    Path("search.open").touch()
    wait_for(lambda: hands("noisy:confirm") == 2)
    Path("confirm.open").touch()
    assert (first.end().code, second.end().code) == (0, 0)
    assert len({t.user_attrs[chains.LEASE]["pid"] for t in runs()}) == 2
    assert all(t.state == TrialState.COMPLETE for t in runs())


@pytest.mark.soak
def test_the_hours_of_a_command_leave_time_to_confirm(cli: Cli, noisy: Path) -> None:
    """A search that could go on for ever ends early enough."""
    slow = ("--set", "settings.slow=0.05", "--set", "budget.trials=100000", "--workers", "2")
    answer = cli(*RUN, *slow, "--timeout", "45s")  # on a busy machine half of it is the start
    assert answer.code == 0
    assert "to confirm the best" in answer.out
    known = evidence.of(opened())
    assert known is not None
    assert known.runs > 0


@pytest.mark.usefixtures("one_core")
@pytest.mark.soak
def test_choice_pruning_and_stopping_do_not_see_the_test_set(cli: Cli, folder: Path) -> None:
    """With the labels of all test images poisoned the study is the same to the last bit, but for
    the test scores themselves."""
    plain = _digits(folder / "plain", shift=0)
    poisoned = _digits(folder / "poisoned", shift=3)
    first, second = (_searched(cli, folder, place) for place in (plain, poisoned))
    assert first["trials"] == second["trials"]
    assert first["runs"] == second["runs"]
    assert first["choice"] == second["choice"]
    assert first["tests"] != second["tests"]
    reasons = {reason for *_, reason in first["trials"]}
    assert {"hopeless", "plateau"} <= reasons


def _digits(place: Path, shift: int) -> str:
    """scikit-learn's digits as a folder of images, the test images' labels shifted."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for i in range(400):
        split, label = ("train", labels[i]) if i < 300 else ("test", (labels[i] + shift) % 10)
        file = place / split / str(label) / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((images[i].reshape(8, 8) * 15.9).astype(np.uint8)).save(file)
    return f"folder:{place}"


def _searched(cli: Cli, folder: Path, dataset: str) -> dict[str, Any]:
    name = Path(dataset).name
    data = folder / "cache" / name
    options = {
        "settings.dataset": f'"{dataset}"',
        "settings.image_size": 8,
        "settings.data_dir": f'"{data}"',
        "settings.epochs": 6,
        "settings.patience": 1,
        "settings.network": "digits_cnn",
        "strategy": "optuna",
        "pruner": "median",
        "confirm.seeds": 2,
        "confirm.top": 2,
    }
    sets = [part for k, v in options.items() for part in ("--set", f"{k}={v}")]
    command = ("run", "--study", "digits", "--trials", 12, "--workers", 1, "--name", name)
    answer = cli(*command, "--storage", "sqlite:///a.db", "--workdir", "work", *sets)
    assert answer.code == 0, answer.err
    study, confirming = opened(name), opened(f"{name}:confirm")
    return {
        "trials": [_ending(t) for t in study.trials],
        "runs": [_ending(t) for t in confirming.trials],
        "choice": confirming.user_attrs[plans.CHOICE],
        "tests": confirming.user_attrs["test_scores"],
    }


def _ending(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
    return trial.params, trial.intermediate_values, trial.value, trial.user_attrs.get("reason")


@pytest.mark.soak
def test_the_stage_is_planned_before_its_first_run(cli: Cli, noisy: Path) -> None:
    """Candidates, the search's best and its score are written down before anything is known."""
    cli(*RUN, "--no-confirm")
    spec = studies.require_spec(opened())
    confirming = confirm.begin(opened(), spec, Confirm(top=3, seeds=4))
    assert confirming is not None
    assert confirming.trials == []
    plan = plans.require_plan(confirming)
    assert plan.best == opened().best_trial.number
    assert plan.score == opened().best_trial.value
    assert len(plan.candidates) == 3
    for _ in range(2):  # the first two rounds are needed in any case
        assert confirm.advance(confirming, opened(), places=2)
        assert len(confirming.trials) == 6
    assert confirm.advance(confirming, opened(), places=11)  # places that would be free
    assert len(confirming.trials) == 11
    assert not confirm.choose(confirming)
    assert evidence.standing(confirming, plan) == race.standing({n: [] for n in plan.candidates}, 4)


SPLIT = ("--set", "confirm={top: 2, seeds: 3, splits: 3}")
DRAWN = """
    import random

    def objective(trial, seed, split_seed=7):
        x = trial.params["x"]
        noise = random.Random(seed * 1000 + split_seed).gauss(0, 0.01)
        trial.set_user_attr("split", split_seed)
        return 1 - (x - 0.3) ** 2 + noise
"""


@pytest.mark.soak
def test_each_seed_may_have_a_split_of_its_own(cli: Cli, noisy: Path, write: Write) -> None:
    """None of which is the search's; the same for all candidates. The answer says so, and a seed
    is trained again on its own split, bitwise. More seeds repeat no run; one split is another
    question."""
    write("noisy.py", DRAWN)
    assert cli(*RUN, *SPLIT, "--set", "settings.split_seed=2").code == 0
    assert {t.user_attrs["split"] for t in opened().trials} == {2}
    assert [(t.user_attrs[plans.SEED_INDEX], t.user_attrs["split"]) for t in runs()] == [
        (t.user_attrs[plans.SEED_INDEX], 3 + t.user_attrs[plans.SEED_INDEX]) for t in runs()
    ]
    known = evidence.of(opened())
    assert known is not None
    assert known.winner is not None
    assert known.plan.overlap == rounds.UNKNOWN
    told = " ".join(Path("best.yaml").read_text().replace("\n# ", " ").split())
    assert "over 3 seeds, each on another split of the training images;" in told
    assert "the intervals cover other seeds and other splits" in told
    best = yaml.safe_load(Path("best.yaml").read_text())["confirmed"]["value"]
    assert sorted(best["splits"].values()) == [3, 4, 5][: len(best["splits"])]
    seed, split = next(iter(best["splits"].items()))
    again = cli("train", "best.yaml", "--seed", seed)
    assert f"with seed {seed} on split {split}, as it was confirmed, into" in again.out
    assert f"is bitwise the recorded score of seed {seed}" in again.out
    assert "is bitwise the recorded score" in cli("train", "best.yaml").out
    other = cli("train", "best.yaml", "--seed", seed, "--set", "split_seed=2", "--out", "other")
    assert "not compared with the record" in other.out

    before, options = len(runs()), ("--storage", "sqlite:///a.db", "--workdir", "work")
    assert cli("confirm", "noisy", "--top", 1, "--splits", 4, *options).code == 0
    assert len(runs()) <= before + 1
    assert cli("confirm", "noisy", "--top", 1, "--seeds", 3, "--splits", 1, *options).code == 0
    known = evidence.of(opened())
    assert known is not None
    assert known.winner is not None
    assert known.winner.splits == {}
    assert {t.user_attrs["split"] for t in runs()} >= {2, 3}


@pytest.mark.parametrize(
    ("confirm", "objective", "code", "told"),
    [
        ("{seeds: 5, splits: 3}", DRAWN, 3, "confirm.splits: must be 1, or as many as seeds (5)"),
        ("{seeds: 3, splits: 3}", NOISY, 4, "declares no parameter `split_seed`"),
    ],
)
def test_splits_that_cannot_be_are_refused_before_anything_is_trained(
    cli: Cli, noisy: Path, write: Write, confirm: str, objective: str, code: int, told: str
) -> None:
    write("noisy.py", objective)
    for command in (RUN, ("validate", "./noisy.yaml")):
        answer = cli(*command, "--set", f"confirm={confirm}")
        assert (answer.code, answer.err.count("\n")) == (code, 1)
        assert told in answer.err
    assert "noisy" not in [
        s.study_name for s in storage.open_storage("sqlite:///a.db").get_all_studies()
    ]
