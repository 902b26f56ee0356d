"""The objective on the real digits: how trials end, what they leave, what the companions say."""

import math
import pickle

import optuna
import pytest
import torch
from optuna.trial import FixedTrial

from objectives import checkpoint, cnn, rows, train

SETTINGS = {"dataset": "digits", "network": "digits_cnn", "epochs": 2, "precision": "float32"}
GOOD = {"lr": 0.05, "momentum": 0.9, "batch_size": 64}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Recorder(FixedTrial):
    """A FixedTrial that keeps its reports, and prunes or raises at an epoch."""

    def __init__(self, params, prune_at=math.inf, raise_at=math.inf):
        super().__init__(params)
        self.reports, self.prune_at, self.raise_at = {}, prune_at, raise_at

    def report(self, value, step):
        self.reports[step] = value
        if step >= self.raise_at:
            raise KeyboardInterrupt

    def should_prune(self):
        return max(self.reports) >= self.prune_at


def run(trial, **values):
    return cnn.objective(trial, device="cpu", **{**SETTINGS, **values})


@pytest.mark.soak
def test_a_trial_reports_every_epoch_and_leaves_its_history():
    """Columns are Keras' names; the score is the best epoch's."""
    trial = Recorder(GOOD)
    score = run(trial)
    attributes, history = trial.user_attrs, trial.user_attrs["history"]
    assert list(history) == list(rows.COLUMNS)
    assert trial.reports == pytest.approx(dict(enumerate(history["val_accuracy"])), abs=1e-6)
    assert score == max(trial.reports.values()) > 0.8
    assert attributes["reason"] == "all_epochs"
    assert (attributes["stop_epoch"], attributes["epochs_planned"]) == (1, 2)
    assert history["lr"] == [0.05, 0.05]
    assert attributes["device"]


def test_a_trial_of_a_real_study_runs(tmp_path):
    """Suggested by Optuna, stored in a database, pruned by a pruner."""
    storage = f"sqlite:///{tmp_path}/o.db"
    study = optuna.create_study(storage=storage, direction="maximize")

    def suggested(trial):
        trial.suggest_float("lr", 0.01, 0.1)
        return run(trial, batch_size=128)

    study.optimize(suggested, n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    assert len(study.best_trial.intermediate_values) == 2


@pytest.mark.soak
def test_patience_ends_a_trial_complete_with_the_best_score():
    """Plateau is no pruning."""
    trial = Recorder({"lr": 1e-9})
    score = run(trial, patience=1, epochs=9)
    assert trial.user_attrs["reason"] == "plateau"
    assert trial.user_attrs["stop_epoch"] == 1
    assert score == trial.reports[0]


def test_a_hopeless_trial_is_pruned_with_its_history():
    """The reason is told."""
    trial = Recorder(GOOD, prune_at=0)
    with pytest.raises(optuna.TrialPruned):
        run(trial)
    assert trial.user_attrs["reason"] == "hopeless"
    assert len(trial.user_attrs["history"]["loss"]) == 1


@pytest.mark.parametrize(
    ("schedule", "horizon"),
    [
        ({**GOOD, "schedule": "constant"}, None),
        ({**GOOD, "schedule": "cosine"}, 2),
        ({**GOOD, "schedule": "one_cycle"}, 2),
        ({"schedule": "phases", "phases": [0.05, 0.005, 0.001]}, 6),
    ],
)
def test_a_trial_tells_its_horizon_where_its_schedule_is_bound_to_it(schedule, horizon):
    """Before its first report; the pruner compares it with none but those of equal horizon."""
    trial = Recorder({}, prune_at=0)
    with pytest.raises(optuna.TrialPruned):
        run(trial, **schedule)
    assert trial.user_attrs.get("horizon") == horizon


def test_a_diverged_trial_is_pruned_and_names_the_step():
    """A loss that is not finite never ends the run."""
    trial = Recorder({"lr": 1e30})
    with pytest.raises(optuna.TrialPruned):
        run(trial)
    assert trial.user_attrs["reason"] == "diverged"
    assert trial.user_attrs["diverged_at"].startswith("epoch 0 step ")


def test_out_of_memory_becomes_a_constraint(monkeypatch):
    """TPE learns the region as infeasible; the traceback that holds tensors is gone."""

    def explode(self):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(train.Training, "epoch", explode)
    trial = Recorder(GOOD)
    with pytest.raises(optuna.TrialPruned) as pruned:
        run(trial)
    assert trial.user_attrs["reason"] == "out_of_memory"
    assert trial.constraints == {"memory": 1.0}
    assert pruned.value.__context__ is None


def test_other_errors_pass():
    """They are bugs, or the user's mistakes."""
    with pytest.raises(ValueError, match="batch_size <= 1257 training images"):
        run(Recorder({"batch_size": 5000}))


def test_a_preempted_trial_resumes_bitwise_from_its_checkpoint(tmp_path):
    """report raises, a checkpoint is kept, the next call goes on and reports epoch 0 again."""
    whole = Recorder(GOOD)
    score = run(whole, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        run(Recorder(GOOD, raise_at=0), epochs=3, workdir=tmp_path)
    assert (tmp_path / checkpoint.CHECKPOINT).exists()
    resumed = Recorder(GOOD)
    assert run(resumed, epochs=3, workdir=tmp_path) == score
    assert resumed.reports == whole.reports
    # A retry after a crash between the end and its being told trains nothing again.
    again = Recorder(GOOD)
    assert run(again, epochs=3, workdir=tmp_path) == score
    assert again.user_attrs["history"] == resumed.user_attrs["history"]


def test_a_broken_or_foreign_checkpoint_starts_anew(tmp_path):
    """Another seed is another run."""
    (tmp_path / checkpoint.CHECKPOINT).write_bytes(b"broken")
    first = Recorder(GOOD)
    run(first, workdir=tmp_path, seed=1)
    assert sorted(first.reports) == [0, 1]


@pytest.fixture
def checkpoint_each_epoch(monkeypatch):
    monkeypatch.setattr(cnn, "CHECKPOINT_EVERY_S", -1.0)


def preempt(workdir, at, **values):
    trial = Recorder(GOOD, raise_at=at)
    with pytest.raises(KeyboardInterrupt):
        run(trial, epochs=4, workdir=workdir, **values)
    return trial


def test_checkpoints_and_resuming_are_told(tmp_path):
    """How many epochs are kept, and how many were taken over; nothing where nothing was."""
    preempt(tmp_path, at=0)
    second = preempt(tmp_path, at=1)
    assert (second.user_attrs["resumed_from"], second.user_attrs["checkpointed"]) == (1, 2)
    fresh = Recorder(GOOD)
    run(fresh, epochs=1)
    assert fresh.user_attrs.keys().isdisjoint({"resumed_from", "checkpointed", "not_saved"})


@pytest.mark.soak
@pytest.mark.parametrize(("torn", "taken"), [(0, 3), (1, 2), (2, None)])
def test_a_torn_checkpoint_costs_an_epoch_and_two_start_over(
    torn, taken, tmp_path, checkpoint_each_epoch
):
    """Bitwise the uninterrupted run, whichever checkpoint it goes on from."""
    whole = Recorder(GOOD)
    run(whole, epochs=4)
    preempt(tmp_path, at=2)
    newest = tmp_path / checkpoint.CHECKPOINT
    for file in (newest, checkpoint.previous(newest))[:torn]:
        file.write_bytes(file.read_bytes()[:-1])
    resumed = Recorder(GOOD)
    run(resumed, epochs=4, workdir=tmp_path)
    assert resumed.user_attrs.get("resumed_from") == taken
    assert resumed.reports == whole.reports


@pytest.mark.soak
def test_a_full_disk_costs_the_files_and_not_the_trial(small_disk, checkpoint_each_epoch):
    """Checkpoint and model are told as not saved, in one line; the score is what it was."""
    (small_disk / "others").write_bytes(bytes(2**20 - 2**14))
    trial = Recorder(GOOD)
    assert run(trial, workdir=small_disk / "run") == run(Recorder(GOOD))
    assert list((small_disk / "run").iterdir()) == []
    assert "checkpointed" not in trial.user_attrs
    assert trial.user_attrs["not_saved"] == (
        f"{small_disk / 'run' / checkpoint.MODEL}: the trained model was not saved "
        "(No space left on device); make room, or use another workdir"
    )
    stopped = preempt(small_disk / "run", at=0)
    assert "the checkpoint of 1 epoch(s) was not saved" in stopped.user_attrs["not_saved"]


def test_a_workdir_that_cannot_be_made_costs_no_trial(tmp_path, checkpoint_each_epoch):
    """Here a file is in its place."""
    (tmp_path / "file").write_text("")
    trial = Recorder(GOOD)
    run(trial, workdir=tmp_path / "file" / "run")
    assert "(Not a directory)" in trial.user_attrs["not_saved"]


@pytest.mark.soak
def test_kept_features_are_told_and_the_whole_network_is_kept(tmp_path):
    """Also by a trial that is pruned; the model on disk needs no features."""
    frozen = {"network": "torchvision:resnet18", "freeze": "backbone", "epochs": 1}
    trial = Recorder(GOOD, prune_at=0)
    with pytest.raises(optuna.TrialPruned):
        run(trial, **{**frozen, "epochs": 2})
    assert trial.user_attrs["features"] == "computed once"
    score = run(Recorder(GOOD), workdir=tmp_path, **frozen)
    validation = cnn.evaluate(tmp_path, "validation", device="cpu")
    assert validation["accuracy"] == pytest.approx(score, abs=1e-2)


def test_evaluate_measures_the_scored_weights(tmp_path):
    """On the validation split it finds the score again; the test split has images of its own."""
    score = run(Recorder(GOOD), workdir=tmp_path)
    validation = cnn.evaluate(tmp_path, "validation", device="cpu")
    assert validation["accuracy"] == pytest.approx(score, abs=1e-6)
    assert cnn.evaluate(tmp_path, "test", device="cpu")["n"] == 270
    with pytest.raises(ValueError, match="one of: validation, test"):
        cnn.evaluate(tmp_path, "tset", device="cpu")
    with pytest.raises(ValueError, match="no trained model is kept here"):
        cnn.evaluate(tmp_path / "empty", "test")


def test_prepare_pins_the_precision_and_describes_the_data():
    """Once for all trials of a study."""
    prepared = cnn.prepare({**SETTINGS, "precision": "auto"}, device="cpu")
    assert prepared["settings"]["precision"] in ("float32", "bfloat16")
    assert prepared["data"]["n_train"] == 1257
    assert prepared["data"]["fingerprint"].startswith("sha256:")


@pytest.mark.soak
def test_a_resolved_configuration_replays_the_trial():
    """Every default filled in; as settings, without parameters, it gives the same score."""
    resolved = cnn.resolve(SETTINGS, GOOD)
    assert resolved["optimizer"] == "sgd"
    assert run(Recorder({}), **resolved) == run(Recorder(GOOD))


@pytest.mark.parametrize(
    ("settings", "space", "message"),
    [
        ({"network": "digits_cnn"}, {"batch_size": {"choice": [32, 4096]}}, "got 4096; drop"),
        ({"network": "digits_cnn", "batch_size": 5000}, {}, "batch_size <= 1257 training images"),
        ({"network": "keras_cnn"}, {}, "too small"),
        ({}, {"network": {"choice": ["digits_cnn", "keras_cnn"]}}, "too small"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_before_the_study_is_made(settings, space, message):
    """A batch larger than the training set, a network that is too deep for the images."""
    with pytest.raises(ValueError, match=message):
        cnn.prepare({"dataset": "digits", **settings}, "cpu", space)


@pytest.mark.parametrize(
    ("settings", "space", "epochs"),
    [
        ({}, {}, 20),
        ({"epochs": 7}, {}, 7),
        ({}, {"epochs": {"choice": [3, 9]}}, 9),
        ({"epochs": 7, "phases": [0.1, 0.01, 0.001]}, {}, 21),
    ],
)
def test_the_most_epochs_of_a_trial_are_told(settings, space, epochs):
    """A budget of epochs reserves them."""
    prepared = cnn.prepare({"dataset": "digits", "network": "digits_cnn", **settings}, "cpu", space)
    assert prepared["epochs"] == epochs


def test_what_prepare_answers_is_plain_data():
    """It goes to the command line, which would load torch to read anything of torch's."""
    prepared = cnn.prepare({"dataset": "digits", "network": "digits_cnn"}, "cpu", {})
    assert b"torch" not in pickle.dumps(_types(prepared))


def _types(value):
    """The types of all that is in there."""
    inner = value.items() if isinstance(value, dict) else value
    parts = [_types(one) for one in inner] if isinstance(value, dict | list | tuple) else []
    return [type(value), *parts]
