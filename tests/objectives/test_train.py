"""Training: bitwise repeatable, bitwise resumable, early stopping as Keras does it."""

import copy
import itertools
import math
from pathlib import Path

import pytest
import torch

from objectives import checkpoint, optimizers, rows, stepping, train
from objectives.feed import Data, Images
from objectives.knobs import configure
from objectives.optimizers import OPTIMIZERS
from objectives.rows import DivergenceError
from objectives.train import Training

CPU = torch.device("cpu")
BASE = {
    "dataset": "synthetic", "network": "digits_cnn", "precision": "float32", "batch_size": 16,
    "epochs": 3,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def images(count, seed):
    """Squares of three brightnesses with noise: learned in an epoch or two."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    noise = torch.randint(0, 60, (count, 8, 8, 1), generator=generator)
    return Images((labels.view(-1, 1, 1, 1) * 90 + noise).to(torch.uint8), labels)


@pytest.fixture(scope="module")
def data():
    return Data(images(72, 0), images(30, 1), 3, 255.0, (0.4,), (0.3,))


def trained(data, seed=0, stop_after=None, **values):
    run = Training(configure(BASE | values, {}), data, CPU, seed)
    while not run.finished and len(run.history) != stop_after:
        run.epoch()
    return run


def without_time(history):
    return [{**row, "seconds": 0} for row in history]


def assert_same_run(one, other):
    assert without_time(one.history) == without_time(other.history)
    for name, weight in one.model.network.state_dict().items():
        assert torch.equal(weight, other.model.network.state_dict()[name]), name


WITH_NORM = f"{Path(__file__).parent / 'with_norm.py'}:build"
RUNS = {name: {"optimizer": name} for name in OPTIMIZERS} | {
    "bfloat16": {"precision": "bfloat16", "optimizer": "adam"},
    "augmented": {"flip": True, "crop": 1, "cutout": 2, "normalize": True},
    "one_cycle": {"schedule": "one_cycle", "momentum": 0.9},
    "reduce_on_plateau": {"schedule": "reduce_on_plateau", "plateau_patience": 0, "lr": 1e-5},
    "phases": {"schedule": "phases", "phases": [0.1, 0.01], "epochs": 2, "optimizer": "adam"},
    "last weights": {"restore_best_weights": False, "patience": 1, "monitor": "val_loss"},
    "trivial": {
        "auto_augment": "trivial",
        "vertical_flip": True,
        "rotate": 20.0,
        "color_jitter": 0.4,
        "erase": 0.5,
    },
    "rand": {"auto_augment": "rand", "magnitude": 15, "flip": True},
    "augmix": {"auto_augment": "augmix"},
    "own transform": {"transform": f"{WITH_NORM.removesuffix(':build')}:transform"},
    "mixed": {"mixup": 0.2, "cutmix": 1.0, "monitor": "f1_macro", "loss": "bce"},
    "batch norm": {"network": WITH_NORM},
    "ema": {"network": WITH_NORM, "ema_decay": 0.9, "schedule": "phases", "phases": [0.1, 0.01]},
    "batch norm, schedule-free": {"network": WITH_NORM, "optimizer": "schedule_free_adamw"},
    "balanced": {"sampling": "balanced", "class_weight": "balanced", "monitor": "f1_macro"},
    "regularized": {
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "decay_norm_and_bias": False,
        "clip_grad_norm": 0.5,
        "drop_last": True,
        "loss": "focal",
    },
    "frozen": {"network": "torchvision:resnet18", "freeze": "backbone", "lr": 1e-2},
}


@pytest.mark.parametrize("case", RUNS)
def test_a_resumed_run_equals_the_uninterrupted_one_bitwise(case, data, tmp_path):
    """Weights, optimizer, schedule, data order, dropout, best weights: all through a file."""
    whole = trained(data, **RUNS[case])
    again = trained(data, stop_after=1, **RUNS[case])
    checkpoint.save(tmp_path / "c.pt", {"run": again.state_dict()})
    torch.rand(7)  # whoever else draws in between
    resumed = Training(configure(BASE | RUNS[case], {}), data, CPU, 0)
    resumed.load_state_dict(checkpoint.load(tmp_path / "c.pt")["run"])
    while not resumed.finished:
        resumed.epoch()
    assert_same_run(whole, resumed)


@pytest.mark.parametrize("name", optimizers.GRAPHED)
def test_a_run_begun_on_a_gpu_goes_on_on_a_cpu(name, data):
    """A checkpoint carries the GPU's flags; the CPU's own stand, and the steps with them."""
    whole = trained(data, optimizer=name)
    state = trained(data, optimizer=name, stop_after=1).state_dict()
    saved = state["optimizer"]
    saved["param_groups"] = [
        group | {"foreach": None, "fused": None, "lr": torch.tensor(0.5)} | optimizers.GRAPHED[name]
        for group in saved["param_groups"]
    ]
    resumed = Training(configure(BASE | {"optimizer": name}, {}), data, CPU, 0)
    resumed.load_state_dict(state)
    while not resumed.finished:
        resumed.epoch()
    assert_same_run(whole, resumed)


@pytest.mark.parametrize("name", optimizers.GRAPHED)
def test_a_run_begun_on_a_cpu_keeps_a_gpus_flags_and_its_rate(name):
    """The graph reads the rate from the tensor it was made with."""
    config = configure(BASE | {"optimizer": name}, {})
    weight = torch.nn.Parameter(torch.ones(3))
    begun = optimizers.build([weight], config, 0.1)
    weight.grad = torch.ones(3)
    begun.step()
    graphed = optimizers.build([weight], config, 0.2, graphed=True)
    rate = graphed.param_groups[0]["lr"]
    stepping.restore(graphed, begun.state_dict())
    group = graphed.param_groups[0]
    assert group["lr"] is rate
    assert optimizers.GRAPHED[name].items() <= group.items()


@pytest.mark.parametrize("case", ["adam", "bfloat16", "augmented"])
def test_two_runs_with_one_seed_are_bitwise_equal_and_another_seed_differs(case, data):
    """On the CPU, with one thread count."""
    one, other = trained(data, **RUNS[case]), trained(data, **RUNS[case])
    assert_same_run(one, other)
    assert one.history[0]["loss"] != trained(data, seed=1, **RUNS[case]).history[0]["loss"]


def test_averaged_weights_are_what_is_scored_and_kept(data):
    """The validation of the last epoch is that of the weights at hand; training went on from its
    own, so its losses are those of a run without averages."""
    given = {"network": WITH_NORM, "lr": 0.05, "restore_best_weights": False}
    averaged, plain = trained(data, **given, ema_decay=0.8), trained(data, **given)
    loss, hits, *_ = averaged.model.measure(data.validation).tolist()
    assert averaged.history[-1]["val_loss"] == pytest.approx(loss / 30)
    assert averaged.history[-1]["val_accuracy"] == pytest.approx(hits / 30)
    assert [row["loss"] for row in averaged.history] == [row["loss"] for row in plain.history]
    assert averaged.history[-1]["val_loss"] != plain.history[-1]["val_loss"]


def test_what_averages_by_itself_needs_no_other_average(data):
    """A decay that is set for the other optimizers of a search."""
    config = configure(BASE | {"ema_decay": 0.9}, {"optimizer": "schedule_free_sgd"})
    run = Training(config, data, CPU, 0)
    run.epoch()
    assert run.averages is None


def test_batch_norm_is_recomputed_for_averaged_weights(data):
    """As torch's own `update_bn` does over the batches of the epoch, without augmentation."""
    run = trained(data, network=WITH_NORM, optimizer="schedule_free_sgd", epochs=1, flip=True)
    torch.manual_seed(train.derived_seed(0, 1))
    seen = [run.model._scaled(data.train.take(index)[0]) for index in run.model.batches()]
    again = copy.deepcopy(run.model.network)
    torch.optim.swa_utils.update_bn(seen, again)
    wanted = dict(again.named_buffers())
    assert "1.running_var" in wanted
    for name, statistics in run.model.network.named_buffers():
        torch.testing.assert_close(statistics, wanted[name])


def test_a_run_learns(data):
    """And its row has the columns of Keras, the rate and the time."""
    run = trained(data, optimizer="adam", lr=5e-3, epochs=6)
    assert run.score > 0.9
    assert set(run.history[0]) == set(rows.COLUMNS)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def test_the_rows_are_means_over_images_and_the_last_batch_is_kept(data):
    """With a rate of almost 0 and no dropout, the epoch's loss is the loss of the training set."""
    run = trained(data, lr=1e-12, batch_size=50, epochs=1, network="simple_cnn")
    loss, hits = run.model.measure(data.train).tolist()
    assert run.history[0]["loss"] == pytest.approx(loss / 72, rel=1e-5)
    assert run.history[0]["accuracy"] == pytest.approx(hits / 72)


def test_the_order_changes_with_the_epoch_and_the_seed(data):
    """A permutation of all training images each time."""
    run = Training(configure(BASE, {}), data, CPU, 0)
    orders = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        orders.append(torch.cat(run.model.batches()))
    assert not torch.equal(*orders)
    assert sorted(orders[0].tolist()) == list(range(72))


@pytest.mark.parametrize(
    ("batch_size", "network", "sizes"),
    [
        (16, "digits_cnn", [16, 16, 16, 16, 8]),
        ("full", "digits_cnn", [72]),
        (71, "digits_cnn", [71, 1]),
        (71, "mnist_cnn", [72]),
        (1, "digits_cnn", [1] * 72),
    ],
)
def test_batches(batch_size, network, sizes, data):
    """One image left over joins the batch before it where batch norm could not train on it."""
    if network == "mnist_cnn":
        data = data._replace(train=Images(data.train.pixels.repeat(1, 4, 4, 1), data.train.labels))
    run = Training(
        configure(BASE | {"batch_size": batch_size, "network": network}, {}), data, CPU, 0
    )
    assert [len(batch) for batch in run.model.batches()] == sizes


def test_the_last_batch_can_be_left_out(data):
    """Where it is smaller; the losses are then means over the images that were seen."""
    for batch_size, sizes in ((16, [16] * 4), (36, [36, 36]), ("full", [72])):
        run = trained(data, batch_size=batch_size, drop_last=True, epochs=1)
        assert [len(batch) for batch in run.model.batches()] == sizes
        assert 0 < run.history[0]["accuracy"] < 1


def test_no_step_has_a_longer_gradient_than_asked_for(data):
    """SGD at rate 1 moves all weights together by just that much a step."""
    run = trained(data, clip_grad_norm=1e-3, lr=1.0, batch_size="full", stop_after=0)
    before = [one.detach().clone() for one in run.model.parameters]
    run.epoch()
    moved = [one.detach() - old for one, old in zip(run.model.parameters, before, strict=True)]
    assert float(torch.cat([one.flatten() for one in moved]).norm()) == pytest.approx(
        1e-3, rel=0.02
    )


def test_full_batch_and_batch_one_train(data):
    """Gradient descent and stochastic gradient descent proper."""
    for batch_size in ("full", 1):
        assert math.isfinite(trained(data, batch_size=batch_size, epochs=1).history[0]["loss"])


class Scripted(Training):
    """A run whose monitored values are given: the judging is tested, not the learning."""

    values = ()

    def _judge(self, row):
        value = self.values[len(self.history) - 1]
        row |= dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), value)
        super()._judge(row)


def scripted(data, values, **config):
    run = Scripted(configure(BASE | {"epochs": len(values)} | config, {}), data, CPU, 0)
    run.values = values
    while not run.finished:
        run.epoch()
    return run


@pytest.mark.parametrize(
    ("values", "config", "epochs", "best", "reason"),
    [
        ([0.1, 0.2, 0.2, 0.2, 0.9], {"patience": 2}, 4, 1, "plateau"),
        ([0.1, 0.2, 0.2, 0.3, 0.3], {"patience": 2}, 5, 3, "all_epochs"),
        ([0.1, 0.2, 0.3], {}, 3, 2, "all_epochs"),
        ([0.1, 0.15, 0.19, 0.3], {"patience": 2, "min_delta": 0.1}, 3, 0, "plateau"),
        ([3.0, 2.0, 2.5, 2.5, 1], {"patience": 2, "monitor": "val_loss"}, 4, 1, "plateau"),
        ([0.5, 0.5, 0.5], {"patience": 0}, 2, 0, "plateau"),
    ],
)
def test_patience_is_keras(values, config, epochs, best, reason, data):
    """An epoch is better by more than min_delta; patience epochs without one end the run."""
    run = scripted(data, values, **config)
    assert (len(run.history), run.best_epoch, run.reason) == (epochs, best, reason)
    assert run.score == values[best]


def test_the_last_epoch_is_scored_where_best_weights_are_not_restored(data):
    """As the notebook did; the best epoch is told all the same."""
    run = scripted(data, [0.1, 0.7, 0.5, 0.4], patience=2, restore_best_weights=False)
    assert (run.score, run.best_epoch) == (0.4, 1)


def test_best_weights_are_restored(data):
    """The weights at the end are those of the best epoch."""
    values = [0.1, 0.7, 0.5, 0.4]
    stopped = scripted(data, values[:2])
    assert_same_weights(scripted(data, values), stopped)


def assert_same_weights(one, other):
    for name, weight in one.model.network.state_dict().items():
        assert torch.equal(weight, other.model.network.state_dict()[name])


def test_each_phase_has_a_fresh_optimizer_and_fresh_patience_and_keeps_the_weights(data):
    """The second phase stops on its own plateau, though it never beats the first one's best."""
    values = [0.1, 0.8, 0.8, 0.5, 0.6, 0.6, 0.6]
    phases = {"schedule": "phases", "phases": [0.1, 0.01], "patience": 1, "epochs": 5}
    run = Scripted(configure(BASE | phases, {}), data, CPU, 0)
    run.values = values
    first = run.optimizer
    while not run.finished:
        run.epoch()
    assert run.phase_ends == [3, 6]
    assert run.optimizer is not first
    assert [row["lr"] for row in run.history] == [0.1] * 3 + [0.01] * 3
    assert (run.best_epoch, run.score, run.reason) == (1, 0.8, "plateau")


FROZEN = {
    "network": "torchvision:resnet18", "freeze": "backbone", "optimizer": "adam", "lr": 1e-2,
    "normalize": True,
}  # fmt: skip


def backbone_runs(run):
    """Count the batches that go through the backbone from here on."""
    calls = []
    run.model.network.backbone.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.soak
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_features_of_a_frozen_backbone_train_as_the_whole_network_does(
    precision, data, monkeypatch
):
    """Losses within 1e-4, in bfloat16 1e-2: batches of another size are rounded otherwise."""
    given = FROZEN | {"precision": precision}
    once = trained(data, **given)
    monkeypatch.setattr("objectives.device.available_bytes", lambda device: 0)
    anew = trained(data, **given)
    assert once.model.features == "computed once"
    assert anew.model.features == (
        "computed in each epoch: 102 images x 512 x 4 bytes are more than 50% of the 0.0 GiB free"
    )
    assert once.history[-1]["loss"] < once.history[0]["loss"]
    tolerance = {"float32": 1e-4, "bfloat16": 1e-2}[precision]
    for name in ("loss", "val_loss"):
        wanted = [row[name] for row in anew.history]
        assert [row[name] for row in once.history] == pytest.approx(wanted, rel=tolerance)
    # The whole network, head and backbone, gives on pixels what was measured on features.
    measured = once.model.measure(data.validation).tolist()
    best = once.history[once.best_epoch]
    assert measured[0] / 30 == pytest.approx(best["val_loss"], rel=tolerance)


@pytest.mark.soak
def test_a_frozen_backbone_runs_in_the_first_epoch_only(data):
    """Not for training, nor for validation; where augmentation changes the images, in each."""
    for values, runs_again in (({}, False), ({"flip": True}, True)):
        run = trained(data, stop_after=1, **FROZEN, **values)
        calls = backbone_runs(run)
        run.epoch()
        assert bool(calls) is runs_again
    assert run.model.features == "computed in each epoch: augmentation changes the images"


@pytest.mark.soak
def test_what_learns_has_no_kept_features(data):
    """Neither our own networks nor a backbone that is not frozen."""
    for values in ({}, FROZEN | {"freeze": "none"}):
        run = trained(data, epochs=1, **values)
        assert run.model.features == ""
        assert run.model.data.train.pixels.dtype == torch.uint8


def test_a_loss_that_is_not_finite_names_epoch_and_step(data):
    """Found at the end of the epoch, without a look at each step."""
    with pytest.raises(DivergenceError, match=r"^epoch 0 step \d+$"):
        trained(data, lr=1e30)
    broken = Training(configure(BASE, {}), data, CPU, 0)
    with torch.no_grad():
        next(iter(broken.model.network.parameters())).fill_(math.nan)
    with pytest.raises(DivergenceError, match="epoch 0 step 0"):
        broken.epoch()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 73}, "batch_size <= 72 training images must hold, got 73"),
        ({"crop": 8}, "0 <= crop < 8"),
        ({"network": "keras_cnn", "dataset": "x"}, "too small"),
    ],
)
def test_what_does_not_suit_the_data_is_refused(values, message, data):
    """In one line, with the numbers."""
    if "keras_cnn" in values.values():
        data = data._replace(train=Images(data.train.pixels[:, :5, :5], data.train.labels))
    with pytest.raises(ValueError, match=message) as error:
        Training(configure(BASE | values, {}), data, CPU, 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("batch_size", "kind"), [("full", ValueError), (1100, MemoryError)])
def test_a_batch_that_does_not_fit_is_refused_with_the_arithmetic(batch_size, kind, monkeypatch):
    """`full` is the user's mistake; a sampled size is a trial out of memory."""
    monkeypatch.setattr("objectives.device.available_bytes", lambda device: 2**20)
    many = Images(images(72, 0).pixels.repeat(16, 1, 1, 1), images(72, 0).labels.repeat(16))
    data = Data(many, images(30, 1), 3, 255.0, (0.4,), (0.3,))
    with pytest.raises(kind, match=r"\d+ images x [\d.]+ MiB x 1.5 = [\d.]+ GiB needed"):
        Training(configure(BASE | {"batch_size": batch_size}, {}), data, CPU, 0)


def test_bytes_per_image_counts_what_backward_needs(data):
    """digits_cnn in float32: at least the outputs of its convolutions, at most a few times that."""
    run = Training(configure(BASE, {}), data, CPU, 0)
    convolutions = (32 + 64) * 64 * 4
    assert convolutions <= run.model._bytes_per_image() <= 4 * convolutions


def test_bfloat16_keeps_float32_weights(data):
    """Master weights, their gradients and the optimizer's state."""
    run = trained(data, precision="bfloat16", optimizer="adam", epochs=1)
    tensors = list(run.model.network.parameters())
    tensors += [one for state in run.optimizer.state.values() for one in state.values()]
    assert all(one.dtype == torch.float32 for one in tensors)


def test_seeds_are_apart():
    """No two epochs or seeds share a stream."""
    seeds = [train.derived_seed(*pair) for pair in itertools.product(range(20), range(20))]
    assert len(set(seeds)) == 400
