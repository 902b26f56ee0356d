"""Optimizers of other libraries by their class: what they read, and what is refused."""

import re

import pytest
import torch

from objectives import named, optimizers, stepping
from objectives.check import check
from objectives.gates import reads
from objectives.knobs import as_dict, configure

BASE = {"dataset": "digits", "network": "digits_cnn"}


def config_of(**values):
    return configure(BASE, values)


def found(settings, space=()):
    return dict(check({**BASE, **settings}, dict(space)))


def ten_steps(optimizer, weights):
    step = stepping.stepper(optimizer)
    for count in range(10):
        torch.manual_seed(count)
        for one in weights:
            one.grad = one.detach() + torch.randn_like(one)
        step()
    return [one.detach() for one in weights]


def weights():
    return [torch.nn.Parameter(torch.ones(4, 2, 3, 3)), torch.nn.Parameter(torch.ones(4))]


def test_a_class_is_built_with_its_own_defaults_and_ours_by_name():
    """Knobs that it shares are knobs, with its defaults; the others are its own arguments."""
    config = config_of(optimizer="torch.optim:RAdam", beta2=0.9, epsilon=0.1)
    assert (config.lr, config.beta1, config.weight_decay) == (1e-3, 0.9, 0.0)
    ours = weights()
    got = ten_steps(optimizers.build(ours, config, config.lr), ours)
    plain = weights()
    wanted = ten_steps(torch.optim.RAdam(plain, betas=(0.9, 0.9), eps=0.1), plain)
    for one, other in zip(got, wanted, strict=True):
        assert torch.equal(one, other)


def test_other_arguments_are_given_by_their_names_together_or_alone():
    """A trial's parameter is optimizer_args.NAME; resolved they stand together and run again."""
    settings = {**BASE, "optimizer": "torch.optim:ASGD", "optimizer_args": {"t0": 3.0}}
    config = configure(settings, {"optimizer_args.lambd": 0.3})
    assert config.optimizer_args == {"t0": 3.0, "lambd": 0.3}
    (group,) = optimizers.build(weights(), config, 0.1).param_groups
    assert (group["t0"], group["lambd"], group["lr"]) == (3.0, 0.3, 0.1)
    resolved = as_dict(config)
    assert resolved["optimizer_args"] == {"t0": 3.0, "lambd": 0.3}
    assert configure(resolved, {}) == config
    assert "optimizer_args" not in as_dict(config_of(optimizer="adam"))


def test_what_a_class_reads_follows_from_its_signature():
    """With weight decay goes which weights it spares; what averages has no second average."""
    read = reads({"optimizer": "torch.optim:Adamax"})
    assert {"beta1", "beta2", "epsilon", "weight_decay", "decay_norm_and_bias"} <= read
    assert not {"momentum", "optimizer_args.lr", "optimizer_args.foreach"} & read
    assert "optimizer_args.lambd" in reads({"optimizer": "torch.optim:ASGD"})
    assert "ema_decay" in read
    assert "ema_decay" not in reads({"optimizer": "pytorch_optimizer:ScheduleFreeRAdam"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "torch.optim:AdamWW"}, "torch.optim has no optimizer 'AdamWW'; did you mean "
         "torch.optim:AdamW?"),
        ({"optimizer": "torch.optim:adagrad"}, "did you mean torch.optim:Adagrad?"),
        ({"optimizer": "tensorflow:Adam"}, "unknown optimizer 'tensorflow:Adam'; one of: sgd"),
        ({"optimizer": "torch.optim:ASGD", "optimizer_args": {"lamda": 1}},
         "has no argument lamda; did you mean lambd?"),
        ({"optimizer": "torch.optim:ASGD", "optimizer_args": {"lr": 1}}, "is given its lr"),
        ({"optimizer": "torch.optim:ASGD", "optimizer_args": {"weight_decay": 1}},
         "weight_decay is a knob of its own: set weight_decay"),
        ({"optimizer": "torch.optim:Adamax", "optimizer_args": {"betas": [0, 0]}},
         "betas is a knob of its own: set beta1 and beta2"),
        ({"optimizer": "torch.optim:ASGD", "optimizer_args": [1]}, "must be values by name"),
    ],
)  # fmt: skip
def test_wrong_names_are_told_before_a_run_and_in_it(values, message):
    """With the nearest; by the check, and by a trial that comes with them."""
    (told,) = [one for one in found(values).values() if message in one]
    assert "\n" not in told
    with pytest.raises(ValueError, match=re.escape(message)):
        configure({**BASE, **values}, {})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("torch.optim:LBFGS", "gradients alone"),
        ("torch.optim:SparseAdam", "gradients alone"),
        ("torch.optim:Muon", "2D"),
        ("pytorch_optimizer:SAM", "takes no lr"),
    ],
)
def test_a_class_that_needs_more_than_gradients_is_refused(name, why):
    """A closure, sparse gradients, matrices, another optimizer: found by trying it."""
    assert re.search(why, found({"optimizer": name})["settings.optimizer"])


def test_a_class_that_does_not_go_on_from_its_state_is_refused(monkeypatch):
    """A resumed run must equal an uninterrupted one."""

    class Forgetful(torch.optim.SGD):
        def __init__(self, params, lr=0.1):
            super().__init__(params, lr)
            self.count = 0

        def step(self, closure=None):
            self.count += 1
            for group in self.param_groups:
                for one in group["params"]:
                    one.data.sub_(one.grad, alpha=group["lr"] / self.count)

    monkeypatch.setattr(torch.optim, "Forgetful", Forgetful, raising=False)
    with pytest.raises(ValueError, match="does not go on from its saved state"):
        named.check("torch.optim:Forgetful", {})


def test_a_space_over_tables_and_classes():
    """An argument is drawn where its class is; elsewhere it asks for `when`."""
    space = {
        "optimizer": {"choice": ["sgd", "torch.optim:ASGD"]},
        "lr": {"float": [1e-3, 0.1], "log": True},
        "optimizer_args.lambd": {"float": [1e-5, 1e-3], "log": True},
    }
    assert check(BASE, space) == [
        (
            "space.optimizer_args.lambd",
            "optimizer sgd does not read it; add when: {optimizer: [torch.optim:ASGD]}",
        )
    ]
    space["optimizer_args.lambd"]["when"] = {"optimizer": ["torch.optim:ASGD"]}
    assert check(BASE, space) == []
    space["optimizer_args.alpha"] = space["optimizer_args.lambd"]
    del space["optimizer_args.lambd"]
    assert check(BASE, space) == []


def test_a_value_that_the_class_refuses_is_told_with_its_own_words():
    """At either end of a range."""
    space = {"optimizer_args.etas": {"choice": ["a", "b"]}}
    message = found({"optimizer": "torch.optim:Rprop"}, space)["settings.optimizer"]
    assert message.startswith("torch.optim:Rprop cannot be trained with here")


def test_the_example_names_read_what_any_class_may():
    """So that messages and the list of knobs can name them."""
    for example in named.NAMES:
        assert set(named.ANY) <= reads({"optimizer": example})
