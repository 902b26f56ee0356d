"""The check before a study is made: every problem at once, each with its path."""

import pytest

from objectives.check import check

SETTINGS = {"dataset": "cifar10", "network": "keras_cnn", "epochs": 50, "patience": 5}
SPACE = {
    "optimizer": {"choice": ["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta"]},
    "lr": {"float": [1e-5, 1.0], "log": True},
    "schedule": {"choice": ["constant", "inverse_time"]},
    "lr_decay": {"float": [1e-7, 1e-2], "log": True, "when": {"schedule": ["inverse_time"]}},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": ["sgd", "rmsprop"]}},
    "nesterov": {"choice": [True, False], "when": {"optimizer": ["sgd"]}},
    "batch_size": {"choice": [32, 64, 128, 256, 512]},
}


def found(settings=(), space=(), direction="maximize"):
    return dict(check({**SETTINGS, **dict(settings)}, {**SPACE, **dict(space)}, direction))


def one(**values):
    """A configuration as the search passes it: choices of one element."""
    return {name: {"choice": [value]} for name, value in values.items()}


def test_the_cifar_study_is_fine():
    """The study file of the plan has nothing to complain about."""
    assert found() == {}


def test_configurations_are_spaces_of_one_choice():
    """The ten enumerated rows, the three-phase Adam among them."""
    row = one(optimizer="adam", schedule="phases", phases=[1e-3, 1e-4, 1e-5], batch_size=32)
    assert check(SETTINGS, row) == []
    sgd = one(optimizer="sgd", lr=0.01, momentum=0.5, nesterov=True, batch_size="full")
    assert check(SETTINGS, sgd) == []


def test_a_parameter_that_some_choice_does_not_read_asks_for_when():
    """The choices that do not read it are named, and the condition is proposed."""
    problem = found(space={"momentum": {"float": [0, 0.9]}})["space.momentum"]
    assert problem == (
        "optimizer adam, adamw, adagrad, adadelta does not read it; "
        "add when: {optimizer: [sgd, rmsprop]}"
    )


def test_a_parameter_that_no_choice_reads_is_to_be_removed():
    """No condition can help."""
    problem = found(space={"gamma": {"float": [0.1, 0.9]}})["space.gamma"]
    assert problem.endswith("only step, exponential would; remove it")


def test_conditions_are_followed_through():
    """A parameter is active only where the parameters of its condition are active."""
    space = {
        "momentum": {"float": [0.1, 0.9], "when": {"optimizer": ["sgd"]}},
        "nesterov": {"choice": [True, False], "when": {"momentum": [0.1]}},
    }
    assert found(space=space) == {}


def test_a_setting_that_no_reachable_choice_reads_is_an_error():
    """But one that a single choice of the space reads is fine."""
    assert "settings.gamma" in found({"gamma": 0.1})
    assert found({"beta1": 0.8}) == {}
    assert "settings.monitor" in found({"monitor": "loss", "patience": None,
                                        "restore_best_weights": False})  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"network": "keras_cn"}, "settings.network", "did you mean keras_cnn?"),
        ({"dataset": "mnits"}, "settings.dataset", "did you mean mnist?"),
        ({"optimzer": "sgd"}, "settings.optimzer", "did you mean optimizer?"),
        ({"lr": 0.1}, "space.lr", "is a setting too"),
        ({"weights": "default"}, "settings.network", "needs a torchvision network"),
        ({"score": "accuracy"}, "settings.score", "one of: val_accuracy, val_loss"),
        ({"score": "val_loss"}, "direction", "val_loss is to minimize"),
        ({"warmup_epochs": 50}, "settings.warmup_epochs", "warmup_epochs < epochs must hold"),
        ({"skip_broken": True}, "settings.skip_broken", "dataset cifar10 does not read it"),
        ({"resize": "pad"}, "settings.resize", "image_size None does not read it"),
        ({"resize": "padd", "image_size": 9}, "settings.resize", "or null; did you mean pad?"),
        ({"resize": "pad", "image_size": 9}, "settings.dataset", "images of cifar10 are square"),
        ({"skip_broken": "yes"}, "settings.skip_broken", "must be true or false"),
        ({"validation": 1.5}, "settings.validation", "must be 0 < value < 1"),
    ],
)
def test_bad_settings(settings, path, message):
    """The path names the key in the study file, the message the rule."""
    assert message in found(settings)[path]


@pytest.mark.parametrize("missing", ["dataset", "network"])
def test_what_is_required(missing):
    """Dataset and network have no default."""
    settings = {name: value for name, value in SETTINGS.items() if name != missing}
    assert check(settings, SPACE) == [(f"settings.{missing}", "is missing")]


def test_both_ends_of_a_range_must_be_allowed():
    """A range that reaches an impossible value is refused."""
    assert found(space={"lr": {"float": [0.0, 1.0]}})["space.lr"] == "must be 0 < value, got 0.0"
    space = {"warmup_epochs": {"int": [0, 50]}}
    assert "must hold, got 50 and 50" in found(space=space)["space.warmup_epochs"]


def test_phases_need_their_rates():
    """And a learning rate besides them is read by nobody."""
    problems = dict(check({**SETTINGS, "schedule": "phases"}, one(lr=0.1)))
    assert "settings.phases" in problems
    assert "space.lr" in problems


@pytest.mark.parametrize(
    "searched", [{"loss": {"choice": ["mse", "cross_entropy"]}}, {"margin": {"float": [0.5, 2]}}]
)
def test_a_searched_loss_needs_a_comparable_score(searched):
    """val_loss of different losses cannot be compared; val_accuracy can."""
    settings = {**SETTINGS, **({"loss": "multi_margin"} if "margin" in searched else {})}
    problems = dict(check({**settings, "score": "val_loss"}, searched, "minimize"))
    assert "cannot be compared" in problems["settings.score"]
    assert check(settings, searched) == []


def test_every_problem_is_told_at_once():
    """Not one a run."""
    assert len(found({"optimzer": 1, "epochs": 0, "patience": -1})) == 3


def test_what_nobody_reads_is_told_beside_what_is_wrong():
    """Where it is known who would read it; a name that is unknown may be of one who does."""
    given = {**SETTINGS, "optimizer": "sgd", "optimizer_args": {"foo": 1}, "batch_size": 0}
    assert {path for path, _ in check(given, {})} == {
        "settings.batch_size",
        "settings.optimizer_args",
    }
    unknown = {**given, "optimizer": "torch.optim:SDG"}
    assert "settings.optimizer_args" not in dict(check(unknown, {}))


def test_what_an_optimizer_cannot_do_at_zero_is_told_before_it_runs():
    """A setting, and a range that begins there where that optimizer is drawn."""
    free = {"choice": ["sgd", "schedule_free_sgd"]}
    problem = "momentum > 0 must hold under schedule_free_sgd, got 0"
    both = {"float": [0.0, 0.9]}
    space = {"optimizer": free, "lr": {"float": [0.1, 1.0]}}
    assert check(SETTINGS, {**space, "momentum": both}) == [("space.momentum", problem + ".0")]
    assert check({**SETTINGS, "momentum": 0}, space) == [("settings.momentum", problem)]
    sgd = {**both, "when": {"optimizer": ["sgd"]}}
    assert check(SETTINGS, {**space, "momentum": sgd}) == []


def test_a_wrong_choice_hides_none_of_the_others():
    """Of one parameter, each of another kind: a name unknown here, and one unknown to torch."""
    choices = ["adamm", "torch.optim:ASDG", "torch.optim:LBFGS", "sgd"]
    found = check(
        {"dataset": "digits", "network": "digits_cnn"}, {"optimizer": {"choice": choices}}
    )
    told = "\n".join(message for _, message in found)
    assert len(found) == 3
    assert all(name in told for name in ("adamm", "ASDG", "LBFGS"))
