"""`optsearch train`: best.yaml read strictly, trained once more, compared with its record."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from search import provenance
from search.answers import agreement, pictures, replay, trained
from search.errors import IdentityError, OutputError, SpecError, UsageError

Write = Callable[[str, str], Path]
Cli = Callable[..., Any]
BEST = """\
study: mine
objective: ./mine.py:objective
trial: 3
score: {value: -0.25, direction: maximize, best_epoch: 2}
confirmed:
  value: {mean: -0.3, low: -0.4, high: -0.2, n: 3, seeds: {7: -0.3, 8: -0.2, 9: -0.4}}
  optimism: {mean: 0.05, low: 0.01, high: 0.1}
  ties: [1, 2]
params: {x: 1.5}
config: {epochs: 3, x: 1.5}
seed: 5
device: AMD
threads: 1
data: {fingerprint: "sha256:1"}
code: sha256:2
versions: {python: "3.11.7", torch: 2.9.0}
"""
HERE = agreement.Machine("AMD", 1, {"python": "3.11.7", "torch": "2.9.0"}, "sha256:2")


def best(**changed: Any) -> replay.Best:
    content = replay.yaml_lines.load(BEST, "best.yaml")[0]
    return replay.Best.model_validate({**content, **changed})


# Reading


def test_a_whole_file_is_read(folder: Path, write: Write) -> None:
    """Every key; seeds are numbers, settings are the knobs that are no parameters."""
    read = replay.load(write("best.yaml", BEST))
    assert (read.metric, read.recorded, read.fixed) == ("value", -0.25, {"epochs": 3})
    assert read.known_seeds("value") == {5: -0.25, 7: -0.3, 8: -0.2, 9: -0.4}
    assert read.known_seeds("test_accuracy") == {}
    assert read.confirmed.ties == [1, 2]


def test_all_but_the_objective_may_be_missing(folder: Path, write: Write) -> None:
    """Whoever writes one by hand has no record."""
    read = replay.load(write("best.yaml", "objective: ./mine.py:objective\n"))
    assert (read.recorded, read.known_seeds("value"), read.fixed) == (None, {}, {})
    with pytest.raises(UsageError, match="--seed N"):
        replay.seed_of(read, None)
    assert (replay.seed_of(read, 0), replay.seed_of(best(), None)) == (0, 5)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seed: 5", "sede: 5", "best.yaml:11 sede: unknown key; did you mean 'seed'?"),
        ("seed: 5", "quux: 5", "best.yaml:11 quux: unknown key; one of: objective, study"),
        ("objective: ./mine.py:objective\n", "", "objective: this key is missing; add it"),
        ("seed: 5", "seed: five", "best.yaml:11 seed: input should be a valid integer, got 'five'"),
        ("seed: 5", "seed: -5", "best.yaml:11 seed: 0 <= seed must hold, got -5"),
        ("{x: 1.5}", "{x: 2.5}", "best.yaml:9 params.x: 2.5 here and 1.5 in config; make them"),
        ("threads: 1", "threads: 0", "best.yaml:13 threads: 1 <= threads must hold"),
        ("params: {x: 1.5}", "params: 1.5", "best.yaml:9 params: input should be a valid dict"),
        ("seeds: {7:", "seeds: {a7:", "best.yaml:6 confirmed.value.seeds.a7: a seed is a whole"),
        ("{7: -0.3", "{7: bad", "best.yaml:6 confirmed.value.seeds.7: input should be a valid num"),
        ("n: 3, seeds", "n: 3, seds", "confirmed.value.seds: unknown key; did you mean 'seeds'?"),
        ("{mean: 0.05, low", "{low", "best.yaml:7 confirmed.optimism.mean: this key is missing"),
        ("ties: [1, 2]", "ties: no", "best.yaml:8 confirmed.ties: input should be a valid list"),
        ("score: {value: -0.25", "score: {value: [1]", "best.yaml:4 score.value: input should be"),
        ("seed: 5", "seed: 5\nseed: 6", "best.yaml:12 the key 'seed' stands twice"),
        ("seed: 5", "seed: [5", "best.yaml:12:7 not valid YAML"),
        (BEST, "- a list\n", "best.yaml:1 must be a mapping"),
        (BEST, "", "best.yaml:1 must be a mapping"),
    ],
)
def test_what_a_hand_broke_is_told_with_its_line(
    write: Write, old: str, new: str, told: str
) -> None:
    """Unknown keys with the nearest, missing ones, wrong types, no YAML."""
    assert BEST.count(old) == 1
    write("best.yaml", BEST.replace(old, new))
    with pytest.raises(SpecError) as caught:
        replay.load(Path("best.yaml"))
    assert told in str(caught.value)


def test_every_problem_is_told_at_once(write: Write) -> None:
    """A line each, in the file's order."""
    write("best.yaml", BEST.replace("seed: 5", "sede: 5").replace("trial: 3", "trial: three"))
    with pytest.raises(SpecError) as caught:
        replay.load(Path("best.yaml"))
    assert [line.split()[1] for line in str(caught.value).splitlines()] == ["trial:", "sede:"]


def test_a_file_that_cannot_be_read_is_told(folder: Path) -> None:
    """Missing, a folder, bytes that are no text."""
    for place in ("none.yaml", "."):
        with pytest.raises(UsageError, match="cannot be read"):
            replay.load(Path(place))
    Path("bytes.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(SpecError, match=r"bytes\.yaml"):
        replay.load(Path("bytes.yaml"))


# Changing


def test_set_changes_a_knob_where_it_stands() -> None:
    """Parameters stay parameters; what is new is a setting; an empty value takes away."""
    changed = replay.change(best(), ["x=2.5e-1", "epochs=9", "lr=[1, 2]"])
    assert (changed.params, changed.fixed) == ({"x": 0.25}, {"epochs": 9, "lr": [1, 2]})
    gone = replay.change(best(), ["x=", "config.epochs=null"])
    assert (gone.params, gone.fixed) == ({}, {"epochs": None})
    assert replay.change(best(), []) == best() == replay.change(best(), ["x=1.5", "epochs=3"])


@pytest.mark.parametrize("override", ["x", "=1", "a.b=1", "params.=1"])
def test_an_override_that_is_none_is_told(override: str) -> None:
    """With an example."""
    with pytest.raises(UsageError, match=r"must be name=value, as in lr=1.0e-4"):
        replay.change(best(), [override])


def test_the_objective_is_looked_for_beside_the_file_first(tmp_path: Path) -> None:
    """Then where the search found it."""
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        place.mkdir()
        (place / "mine.py").touch()
    moved = best(folder=str(there))
    assert replay.folder_of(moved, here / "best.yaml") == str(here)
    (here / "mine.py").unlink()
    assert replay.folder_of(moved, here / "best.yaml") == str(there)
    (there / "mine.py").unlink()
    assert replay.folder_of(moved, here / "best.yaml") == str(here)  # told as looked in


# Agreement


def test_a_recorded_seed_agrees_bitwise_or_what_differs_is_named() -> None:
    """The search's own seed, and those of the confirmation; the last bit counts."""
    for seed, score in ((5, -0.25), (8, -0.2)):
        (line,) = agreement.agreement(best(), "value", score, seed, HERE)
        assert line == f"agrees: value {score} is bitwise the recorded score of seed {seed}"
    off = float(np.nextafter(-0.25, 0))
    line, _ = agreement.agreement(best(), "value", off, 5, HERE)
    assert line.startswith(f"differs: value is {off!r}, the record of seed 5 is -0.25 (+2.8e-17); ")
    assert line.endswith(agreement.SAME_MACHINE)
    there = agreement.Machine("Arm", 2, {"python": "3.11.7"}, "sha256:3")
    line, _ = agreement.agreement(best(), "value", off, 5, there)
    for told in (
        *("device AMD, here Arm", "threads 1, here 2", "torch 2.9.0, here none"),
        "code sha256:2, here sha256:3",
    ):
        assert told in line
    assert "python" not in line


def test_another_seed_is_compared_with_the_prediction_interval() -> None:
    """mean +- t s sqrt(1 + 1/n): for -0.3, s = 0.1, n = 3 that is -0.3 +- 4.303 * 0.1155."""
    for score, word, where in ((-0.79, "agrees", "in"), (-0.8, "differs", "outside of")):
        (line,) = agreement.agreement(best(), "value", score, 99, HERE)
        assert line == (
            f"{word}: value {score:.4f} lies {where} -0.7968..0.1968, "
            "where 95 of 100 runs with other seeds are expected"
        )


def test_an_accuracy_ends_at_one() -> None:
    """Nobody expects more than all."""
    seeds = {"1": 0.99, "2": 0.97, "3": 0.98}
    confirmed = {"val_accuracy": {"mean": 0.98, "seeds": seeds}}
    known = best(score={"val_accuracy": 0.99}, confirmed=confirmed)
    (line,) = agreement.agreement(known, "val_accuracy", 0.95, 99, HERE)
    assert "0.9303..1.0000" in line


def test_without_seeds_there_is_no_interval() -> None:
    """One seed gives none, two equal ones neither: said, and no numbers made up."""
    (line,) = agreement.agreement(best(confirmed={}), "value", -0.5, 99, HERE)
    assert line == f"value -0.5 with seed 99: {agreement.NO_SEEDS}"
    for seeds in ({}, {"1": -0.3}, {"1": -0.3, "2": -0.3}):
        known = best(confirmed={"value": {"mean": -0.3, "seeds": seeds}})
        (line,) = agreement.agreement(known, "value", -0.5, 99, HERE)
        assert "the recorded mean is -0.3" in line
        assert ".." not in line


def test_other_data_is_refused_unless_allowed() -> None:
    """With both fingerprints; nobody can tell where there is none."""
    assert agreement.changed_data(best(), {"fingerprint": "sha256:1"}, allowed=False) == ""
    assert agreement.changed_data(best(), {}, allowed=False) == ""
    with pytest.raises(IdentityError, match=r"was sha256:1, is sha256:9; .*--allow-different-data"):
        agreement.changed_data(best(), {"fingerprint": "sha256:9"}, allowed=False)
    assert "sha256:9" in agreement.changed_data(best(), {"fingerprint": "sha256:9"}, allowed=True)


# The folder


def test_a_folder_belongs_to_one_question(tmp_path: Path) -> None:
    """The same one may be asked again; another's result, or a strange file, is kept."""
    question = {"params": {"x": 1.5}, "seed": 5}
    trained.check_folder(tmp_path, question)
    (tmp_path / trained.METRICS).write_text(json.dumps({"question": question}))
    trained.check_folder(tmp_path, question)
    with pytest.raises(OutputError, match="another seed; name another one"):
        trained.check_folder(tmp_path, {**question, "seed": 6})
    assert trained.workdir(tmp_path, question) != trained.workdir(tmp_path, {"seed": 6})
    (tmp_path / trained.METRICS).write_text("[]")
    with pytest.raises(OutputError, match="none of ours"):
        trained.check_folder(tmp_path, question)


@pytest.mark.soak
@pytest.mark.parametrize("count", [1, 2, 10, 100])
def test_a_confusion_matrix_is_drawn_whatever_the_number_of_classes(count: int) -> None:
    """Counts are written while they can be read; a class without images is no division by zero."""
    matrix = np.diag([12_345] + [0] * (count - 1)).tolist()
    names = [f"class of a rather long name {i}" for i in range(count)]
    assert b"<svg" in pictures.confusion(matrix, names, "a title")
    assert pictures.confusion(matrix, names, "a title", "png").startswith(b"\x89PNG")


# The command


def exported(cli: Cli, **changed: Any) -> dict[str, Any]:
    """The parabola's best.yaml, changed, in the current folder."""
    if not Path("best.yaml").exists():
        assert cli("run", "--study", "./mine.yaml", "--workers", 1).code == 0
    content: dict[str, Any] = yaml.safe_load(Path("best.yaml").read_text()) | changed
    content = {k: v for k, v in content.items() if v is not None}
    Path("best.yaml").write_text(yaml.safe_dump(content))
    return content


@pytest.mark.soak
@pytest.mark.usefixtures("one_core")
def test_digits_are_trained_again_bitwise_and_then_further(cli: Cli) -> None:
    """Search, train: the recorded score, a model, pictures; then on from that model."""
    settings = ("--set", "settings.epochs=2", "--set", "by=none", "--workers", 1, "--trials", 2)
    assert cli("run", "--study", "digits", *settings).code == 0
    record = yaml.safe_load(Path("best.yaml").read_text())
    answer = cli("train", "best.yaml", "--device", "cpu", "--test")
    assert (answer.code, answer.err) == (0, "")
    score = record["score"]["val_accuracy"]
    assert f"agrees: val_accuracy {score:.6g} is bitwise the recorded score" in answer.out
    assert "epoch 2 of 2  val_accuracy " in answer.out
    assert " on 270 images" in answer.out
    out = Path("runs/train", f"digits-{record['seed']}")
    assert sorted(p.name for p in out.iterdir()) == [
        *(
            "classes.csv",
            "confusion.svg",
            "learning-curve.svg",
            "metrics.json",
            "model.json",
            "model.safetensors",
        )
    ]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["score"]["val_accuracy"] == score
    assert metrics["confusion"]["split"] == "test"
    assert metrics["majority"] == record["data"]["majority"]
    assert np.sum(metrics["confusion"]["matrix"]) == metrics["test"]["n"] == 270
    assert len(metrics["history"]["val_loss"]) == 2
    further = ("--set", "lr=1.0e-9", "--set", "epochs=1", "--device", "cpu", "--out", "further")
    answer = cli("train", "best.yaml", "--resume", out / "model.safetensors", *further)
    assert (answer.code, answer.err) == (0, "")
    assert "not compared with the record" in answer.out
    assert "optimizer, schedule and patience begin afresh" in answer.out
    metrics = json.loads(Path("further/metrics.json").read_text())
    assert metrics["score"]["val_accuracy"] == pytest.approx(score, abs=0.02)
    assert "test" not in metrics
    bad = cli("train", "best.yaml", "--resume", "best.yaml", "--out", "bad")
    assert (bad.code, "cannot be read as a model" in bad.err) == (4, True)


def test_other_data_needs_to_be_allowed(cli: Cli, write: Write) -> None:
    """Code 7 and nothing trained; allowed, it is a warning, and no score is compared."""
    told = "def prepare(settings):\n    return {'data': {'fingerprint': 'sha256:1'}}\n"
    write("mine.py", f"def objective(trial):\n    return 1.0\n{told}")
    content = {"objective": "./mine.py:objective", "seed": 1, "score": {"value": 1.0}}
    Path("best.yaml").write_text(yaml.safe_dump(content | {"data": {"fingerprint": "sha256:0"}}))
    answer = cli("train", "best.yaml")
    assert (answer.code, answer.out) == (7, "")
    assert "was sha256:0, is sha256:1" in answer.err
    answer = cli("train", "best.yaml", "--allow-different-data")
    assert answer.code == 0
    assert "warning: other data" in answer.err
    assert "not compared with the record" in answer.out


@pytest.mark.soak
def test_an_objective_of_ones_own_is_trained_with_what_it_offers(cli: Cli) -> None:
    """No companions: metrics and curve from its reports, and a line that says what is missing."""
    record = exported(cli)
    answer = cli("train", "best.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert "offers no `save`, `evaluate`, `confusion`" in answer.out
    assert f"is bitwise the recorded score of seed {record['seed']}" in answer.out
    out = Path("runs/train", f"mine-{record['seed']}")
    assert sorted(p.name for p in out.iterdir()) == ["learning-curve.svg", "metrics.json"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["score"]["value"] == record["score"]["value"]
    assert len(metrics["history"]["value"]) == 3
    assert cli("train", "best.yaml").code == 0  # the same question again
    answer = cli("train", "best.yaml", "--set", "epochs=2")
    assert (answer.code, answer.err.count("another config; name another one")) == (8, 1)


@pytest.mark.soak
def test_an_objective_that_suggests_inside_is_given_its_parameters(cli: Cli, write: Write) -> None:
    """As in Optuna's own documentation."""
    write("mine.py", "def objective(trial):\n    return trial.suggest_float('x', 0, 1) ** 2\n")
    write("mine.yaml", "objective: ./mine.py:objective\nbudget: {trials: 2}\n")
    exported(cli)
    answer = cli("train", "best.yaml", "--seed", 3)
    assert (answer.code, answer.err) == (0, "")
    assert agreement.NO_SEEDS in answer.out


@pytest.mark.parametrize(
    ("changed", "options", "code", "told"),
    [
        ({"sede": 1}, (), 3, "unknown key; did you mean 'seed'?"),
        ({"objective": "./other.py:objective"}, (), 4, "no such file: ./other.py"),
        ({"objective": "./mine.py:other"}, (), 4, "has no function 'other'"),
        ({"seed": None}, (), 2, "the file records no seed; choose one with --seed N"),
        ({}, ("--set", "epoch=3"), 4, "the objective takes no setting 'epoch'; it takes: epochs"),
        ({}, ("--resume", "m.safetensors"), 4, "declare a parameter `initial_weights`"),
        ({}, ("--all-data",), 4, "declare a parameter `all_data`"),
        ({}, ("--out", "mine.py"), 8, "--out mine.py/metrics.json: cannot be written"),
        ({}, ("--device", "cuda"), 4, "takes no device"),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(
    cli: Cli, changed: dict[str, Any], options: tuple[str, ...], code: int, told: str
) -> None:
    """With an exit code of its kind, and nothing trained."""
    Path("best.yaml").write_text(yaml.safe_dump({"objective": "./mine.py:objective", "seed": 1}))
    exported(cli, **{"params": {"x": 1.0}, "score": {"value": 1.0, "best_epoch": 1}, **changed})
    answer = cli("train", "best.yaml", *options)
    assert (answer.code, answer.out) == (code, "")
    assert told in answer.err
    assert len(answer.err.strip().splitlines()) == 1


@pytest.mark.soak
def test_other_code_is_a_warning(cli: Cli, write: Write) -> None:
    """And stands among the differences where the score is another."""
    exported(cli)
    write("mine.py", "def objective(trial, epochs=3):\n    return trial.params['x'] + 1e6\n")
    answer = cli("train", "best.yaml")
    assert answer.code == 0
    assert "warning: the code of ./mine.py:objective has changed since the search" in answer.err
    now = provenance.code_fingerprint("./mine.py:objective", ".")
    assert f"here {now}" in answer.out


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("    raise RuntimeError('a bug')\n", "RuntimeError: a bug"),
        ("    trial.report(1.0, 0)\n    raise optuna.TrialPruned\n", "the training broke off"),
        ("    return 'many'\n", "must return a number, got 'many'"),
        ("    import os\n    os._exit(3)\n", "the worker process died (exit code 3)"),
    ],
)
def test_a_training_that_fails_says_why(cli: Cli, write: Write, body: str, told: str) -> None:
    """An exception with its traceback, a pruned trial with its reason, a dead process."""
    write("mine.py", f"import optuna\ndef objective(trial):\n{body}")
    write("best.yaml", "objective: ./mine.py:objective\nseed: 1\n")
    answer = cli("train", "best.yaml", "--out", "out")
    assert answer.code in (1, 4)
    assert told in answer.err


SLOW = """
    import json, time
    def objective(trial, seed, workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        kept = workdir / "epoch.json"
        start = json.loads(kept.read_text()) if kept.exists() else 0
        if start:
            trial.set_user_attr("resumed_from", start)
        for epoch in range(5):
            while epoch == 2 and start == 0 and not (workdir / "../../go").exists():
                time.sleep(0.01)
            if epoch >= start:
                kept.write_text(str(epoch + 1))
                trial.set_user_attr("checkpointed", epoch + 1)
            trial.report(epoch, epoch)
        return float(seed)
"""


@pytest.mark.soak
def test_ctrl_c_finishes_the_epoch_and_the_same_command_goes_on(
    folder: Path, write: Write, command: Callable[..., Any], wait_for: Callable[..., None]
) -> None:
    """130 and a line; then the remaining epochs only, and no checkpoint is left."""
    write("mine.py", SLOW)
    write("best.yaml", "objective: ./mine.py:objective\nseed: 1\n")
    started = command("train", "best.yaml", "--out", "out")
    wait_for(lambda: any(p.read_text() == "2" for p in Path("out").glob("work/*/epoch.json")))
    started.interrupt()
    wait_for(lambda: "finishing the running epoch" in (started.process.stderr.readline()))
    Path("out/go").touch()
    answer = started.end()
    assert answer.code == 130
    assert "stopped after epoch 3; the same command goes on after epoch 3" in answer.out
    answer = command("train", "best.yaml", "--out", "out").end()
    assert answer.code == 0
    assert [line for line in answer.out.splitlines() if "epoch" in line] == [
        *("goes on after epoch 3", "epoch 4  value 3", "epoch 5  value 4")
    ]
    assert not Path("out/work").exists()
    shutil.rmtree("out")


def test_help_says_what_the_test_set_is_for(cli: Cli) -> None:
    """For the last look; and ends with commands that can be typed."""
    out = " ".join(cli("train", "--help").out.split())
    assert "for the last look, not for choosing" in out
    assert "$ optsearch train best.yaml" in out


def test_the_test_score_is_compared_where_one_was_confirmed() -> None:
    """Else it is only told; a training that broke off is compared with nothing."""
    done, found = {"value": -0.25}, {"test": {"accuracy": 0.5, "n": 10, "loss": 1.0}}
    assert len(agreement.of_run(best(), "value", done, found, 5, HERE)) == 1
    confirmed = {"test_accuracy": {"mean": 0.9, "seeds": {"1": 0.9, "2": 0.91, "3": 0.89}}}
    lines = agreement.of_run(best(confirmed=confirmed), "value", done, found, 5, HERE)
    assert [line.split()[:2] for line in lines] == [
        ["agrees:", "value"],
        ["differs:", "test_accuracy"],
    ]
    assert agreement.of_run(best(), "value", {"value": None}, {}, 5, HERE) == []
