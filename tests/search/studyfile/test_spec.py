"""search/studyfile/: the study file, and every problem in it at once."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import SpecError, UsageError
from search.strategy import check
from search.studyfile import catalog, reading, spec

Write = Callable[[str, str], Path]


@pytest.mark.parametrize("name", sorted(catalog.available()))
def test_every_study_that_comes_along_is_valid(name: str) -> None:
    """And opens with its question and its run line, names its objective, and has a budget."""
    read = reading.load(name, checks=[check.problems]).spec
    assert read.name == name
    assert read.question.endswith("?")
    assert f"optsearch run --study {name}" in catalog.available()[name].read_text()
    assert read.trials
    assert read.objective


def test_a_file_is_named_after_itself_unless_told_otherwise(write: Write) -> None:
    """The name in the storage: --name, else `name:`, else the file's own."""
    write("a/good.yaml", "# Why?\nobjective: ./m.py:f\n")
    assert reading.load("a/good.yaml").spec.name == "good"
    assert reading.load("a/good.yaml", name="other").spec.name == "other"
    assert reading.load("a/good.yaml", ["name=third"]).spec.name == "third"
    assert reading.load("a/good.yaml").spec.question == "Why?"
    assert Path(reading.load("a/good.yaml").spec.folder) == Path("a").resolve()


def test_defaults_are_tpe_and_the_median_pruner(write: Write) -> None:
    """A file needs an objective and nothing else."""
    write("a.yaml", "objective: m:f\n")
    read = reading.load("a.yaml").spec
    assert (read.sampler.name, read.pruner.name, read.direction) == ("tpe", "median", "maximize")
    assert read.space == read.settings == {}


BAD = {
    # what is wrong: (text, message)
    "yaml": ("objective: [m, f\nseed: 1\n", "bad.yaml:2:5 not valid YAML: expected ',' or ']'"),
    "empty": ("", "bad.yaml:1 a study file is a mapping that names an objective"),
    "no mapping": ("- a\n- b\n", "bad.yaml:1 a study file is a mapping"),
    "no objective": ("seed: 1\n", "bad.yaml:1 objective: this key is missing; add it"),
    "unknown key": (
        "objective: m:f\nsetings: {}\n",
        "bad.yaml:2 setings: unknown key; did you mean 'settings'?",
    ),
    "unknown key below": (
        "objective: m:f\nbudget:\n  trial: 3\n",
        "bad.yaml:3 budget.trial: unknown key; did you mean 'trials'?",
    ),
    "unknown key of a parameter": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1], logg: true}\n",
        "bad.yaml:3 space.lr.logg: unknown key; one of: float, int, choice, log, step, when",
    ),
    "wrong type": ("objective: m:f\nseed: many\n", "bad.yaml:2 seed: input should be a valid int"),
    "wrong direction": (
        "objective: m:f\ndirection: up\n",
        "bad.yaml:2 direction: input should be 'maximize' or 'minimize', got 'up'",
    ),
    "a text for a number": (
        "objective: m:f\nbudget: {trials: '5'}\n",
        "bad.yaml:2 budget.trials: input should be a valid integer, got '5'",
    ),
    "true for a number": (
        "objective: m:f\nbudget: {hours: true}\n",
        "bad.yaml:2 budget.hours: input should be a valid number, got True",
    ),
    "no trials": (
        "objective: m:f\nbudget: {trials: 0}\n",
        "bad.yaml:2 budget.trials: input should be greater than 0, got 0",
    ),
    "low above high": (
        "objective: m:f\nspace:\n  lr: {float: [1.0, 0.1]}\n",
        "bad.yaml:3 space.lr.float: low < high must hold, got [1.0, 0.1]; swap them",
    ),
    "log of zero": (
        "objective: m:f\nspace:\n  lr: {float: [0.0, 1.0], log: true}\n",
        "bad.yaml:3 space.lr.float: log needs low > 0, got [0.0, 1.0]; raise low or drop log",
    ),
    "one end": (
        "objective: m:f\nspace:\n  lr: {float: [0.1]}\n",
        "bad.yaml:3 space.lr.float[1]: this key is missing; add it",
    ),
    "two kinds": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1], choice: [1]}\n",
        "bad.yaml:3 space.lr: a parameter has exactly one of float, int, choice",
    ),
    "a bare value": (
        "objective: m:f\nspace:\n  lr: 0.1\n",
        "bad.yaml:3 space.lr: a parameter has exactly one of float, int, choice; got 0.1",
    ),
    "when without a parent": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1], when: {opt: [sgd]}}\n",
        "bad.yaml:3 space.lr.when.opt: `when` names 'opt', which is not in the space; one of: lr",
    ),
    "when with a value that is not there": (
        "objective: m:f\nspace:\n  o: {choice: [sgd]}\n  lr: {float: [0, 1], when: {o: [sdg]}}\n",
        "bad.yaml:4 space.lr.when.o: 'o' is never 'sdg'; one of: sgd",
    ),
    "a baseline that lacks a parameter": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1]}\n  m: {float: [0, 1]}\n"
        "baselines:\n  - name: a\n    params: {lr: 0.5}\n",
        "bad.yaml:7 baselines[0].params: the active parameter 'm' is missing; add it",
    ),
    "a baseline outside of the space": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1]}\nbaselines:\n"
        "  - {name: a, params: {lr: 0.5}}\n  - {name: b, params: {lr: 5}}\n",
        "bad.yaml:6 baselines[1].params.lr: 'lr' must lie in [0.0, 1.0], got 5; widen the range",
    ),
    "one name for two baselines": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1]}\nbaselines:\n"
        "  - {name: a, params: {lr: 0.5}}\n  - {name: a, params: {lr: 1}}\n",
        "bad.yaml:6 baselines[1].name: 'a' is used twice; rename one",
    ),
    "an unknown sampler": (
        "objective: m:f\nsampler: {name: tpee}\n",
        "bad.yaml:2 sampler: unknown sampler 'tpee'; did you mean 'tpe'?",
    ),
    "an unknown option": (
        "objective: m:f\npruner: {name: median, warmup: 3}\n",
        "bad.yaml:2 pruner: pruner 'median' has no option 'warmup'; options: interval_steps,",
    ),
    "a setting that is a parameter, too": (
        "objective: m:f\nsettings: {lr: 1}\nspace:\n  lr: {float: [0, 1]}\n",
        "bad.yaml:4 space.lr: 'lr' stands in settings as well; drop one of them",
    ),
    "space and configurations": (
        "objective: m:f\nspace:\n  lr: {float: [0, 1]}\n"
        "configurations:\n  - {name: a, params: {lr: 1}}\n",
        "bad.yaml:4 configurations: `space` and `configurations` exclude each other; drop one",
    ),
    "a mapping as a value": (
        "objective: m:f\nconfigurations:\n  - {name: a, params: {lr: {low: 1}}}\n",
        "bad.yaml:3 configurations[0].params.lr: 'lr' must be a value or a list of values, got",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_study_file_is_told_with_place_rule_value_and_next_step(
    write: Write, case: str
) -> None:
    """`file:line path: message`, a line per problem."""
    text, message = BAD[case]
    write("bad.yaml", text)
    with pytest.raises(SpecError) as caught:
        reading.load("bad.yaml", checks=[check.problems])
    lines = str(caught.value).split("\n")
    assert len(lines) == 1
    assert lines[0].startswith(message)


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_its_lines(write: Write) -> None:
    """Wrong types do not hide wrong values, and cause no second complaint about their name."""
    text = """\
        objective: m:f
        spede: 1
        space:
          lr: {float: [1.0, 0.1]}
          width: {float: wide}
          depth: {int: [1, 4], when: {optimizer: [sgd]}}
        baselines:
          - {name: a, params: {width: 3}}
        sampler: {name: magic}
    """
    write("bad.yaml", text)
    with pytest.raises(SpecError) as caught:
        reading.load("bad.yaml", checks=[check.problems])
    places = [line.split(" ")[1] for line in str(caught.value).split("\n")]
    assert places == [
        "spede:",
        "space.lr.float:",
        "space.width.float:",
        "space.depth.when.optimizer:",
        "sampler:",
    ]


def test_set_changes_a_value_and_its_type_is_that_of_yaml(write: Write) -> None:
    """`--set` takes YAML: numbers, lists, mappings; missing mappings are made on the way."""
    write("a.yaml", "objective: m:f\nsettings: {epochs: 5}\n")
    overrides = ["settings.epochs=2", "settings.lr=1e-4", "settings.on=true", "a.b=[1, x]"]
    assert reading.load("a.yaml", overrides[:3]).spec.settings == {
        "epochs": 2,
        "lr": 1e-4,
        "on": True,
    }
    with pytest.raises(SpecError, match=r"^--set a: unknown key"):
        reading.load("a.yaml", overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "--set epochs: must be key.path=value, as in settings.epochs=5"),
        ("=5", "--set =5: must be key.path=value"),
        ("objective.x=5", "--set objective.x=5: 'objective' holds a value, not a mapping"),
    ],
)
def test_a_set_that_is_no_assignment_is_refused(write: Write, override: str, message: str) -> None:
    """A mistake of the command line, not of the file."""
    write("a.yaml", "objective: m:f\n")
    with pytest.raises(UsageError) as caught:
        reading.load("a.yaml", [override])
    assert str(caught.value).startswith(message)


def test_a_wrong_value_from_set_is_told_at_set_and_not_at_a_line(write: Write) -> None:
    """The place is where the person wrote it."""
    write("a.yaml", "objective: m:f\nspace:\n  lr: {float: [0, 1]}\n")
    with pytest.raises(SpecError) as caught:
        reading.load("a.yaml", ["space.lr.float=[1, 0]", "seed=x"])
    for line in str(caught.value).split("\n"):
        assert line.startswith("--set ")
    with pytest.raises(SpecError, match=r"^--set seed:1:3 not valid YAML"):
        reading.load("a.yaml", ["seed=[1"])


def make(**changes: Any) -> spec.StudySpec:
    return spec.StudySpec(**{"name": "n", "objective": "m:f", **changes})


def test_the_limits_of_the_command_line_replace_those_of_the_file() -> None:
    """Trials and time are independent; what is not given stays."""
    whole = make(budget={"trials": 5, "hours": 1.0})
    assert whole.with_budget(7, None).budget == spec.Budget(trials=7, hours=1.0)
    assert (whole.seconds(1800), whole.seconds(None)) == (1800, 3600)


def test_the_time_of_a_command_is_no_limit_of_the_study() -> None:
    """A worker that joins has its own; only where nothing else limits it, it is that of the run."""
    whole = make(budget={"trials": 5})
    assert whole.with_budget(None, 1800) == whole
    assert whole.seconds(None) is None
    assert make().with_budget(None, 1800).budget == spec.Budget(hours=0.5)


@pytest.mark.parametrize("trials", [0, -3])
def test_trials_below_one_are_refused(trials: int) -> None:
    """`--trials 0` is a mistake, not an empty run."""
    with pytest.raises(UsageError, match=f"--trials {trials}: must be at least 1"):
        make().with_budget(trials, None)


def test_a_study_without_any_limit_is_refused() -> None:
    """It would run for ever; the message names all three ways to give one."""
    with pytest.raises(UsageError, match=r"budget.*--trials N or --timeout 2h"):
        make().with_budget(None, None)
    assert make().with_budget(None, 60).trials is None


def test_configurations_are_as_many_trials_as_there_are() -> None:
    """A smaller budget ends earlier; a larger one has nothing more to try."""
    listed = [{"name": n, "params": {}} for n in "abc"]
    assert make(configurations=listed).trials == 3
    assert make(configurations=listed, budget={"trials": 2}).trials == 2
    assert make(configurations=listed, budget={"trials": 9}).trials == 3


def test_the_order_of_the_lines_is_that_of_the_file() -> None:
    """So that an editor walks through them once, downwards; `--set` comes first."""
    found = [(("b",), "two"), (("a",), "one"), (("c",), "set")]
    text = reading.report(found, {("a",): 1, ("b",): 2, ("c",): 0}, "f.yaml")
    assert text == textwrap.dedent("--set c: set\nf.yaml:1 a: one\nf.yaml:2 b: two")


def test_one_alone_stands_for_a_list_of_it() -> None:
    """One tool, one who is told."""
    made = make(track="tensorboard", notify={"command": "true"})
    assert [*made.track] == ["tensorboard"]
    assert [row.command for row in made.notify] == ["true"]
