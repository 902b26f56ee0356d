"""Configurations known to be good for image classifiers, each from a paper, a library's
documentation or its published code. None was fitted to a table or a data set that the search is
judged on. What a study makes of them: portfolio.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One configuration. Without its `params` it would be another; `also` may fall away.

    batch_size: images a batch for which the rate was published.
    """

    name: str
    params: Mapping[str, Any]
    batch_size: int
    source: str
    also: Mapping[str, Any] = field(default_factory=dict)


# How a rate grows with the batch size; by its square root where nothing is said.
POWERS = {"sgd": 1.0, "schedule_free_sgd": 1.0, "prodigy": 0.0}
_CONSTANT = {"schedule": "constant"}
_NESTEROV = {"momentum": 0.9, "nesterov": True}
RECIPES = (
    Row(
        "sgd-nesterov",
        {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9},
        batch_size=32,
        source="Keras' guide to the Sequential model, its VGG-like CNN; its decay of 1e-6 left out",
        also={"nesterov": True, **_CONSTANT},
    ),
    Row(
        "sgd-cosine",
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "cosine"},
        batch_size=128,
        source="Loshchilov and Hutter, 1608.03983, after the wide residual networks of 1605.07146",
        also={"nesterov": True, "weight_decay": 5e-4},
    ),
    Row(
        "sgd-one-cycle",
        {"optimizer": "sgd", "lr": 0.4, "momentum": 0.9, "schedule": "one_cycle"},
        batch_size=512,
        source="Page, How to train your ResNet (cifar10-fast): up to 0.4 in a fifth of the epochs",
        also={"nesterov": True, "weight_decay": 5e-4, "pct_start": 0.2},
    ),
    Row(
        "sgd-keras",
        {"optimizer": "sgd", "lr": 0.01, "momentum": 0.0},
        batch_size=32,
        source="Keras' defaults",
        also={"nesterov": False, **_CONSTANT},
    ),
    Row(
        "sgd-warm-restarts",
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "schedule": "cosine_warm_restarts"},
        batch_size=128,
        source="Loshchilov and Hutter, 1608.03983, on CIFAR-10",
        also={"nesterov": True, "weight_decay": 5e-4, "t_0": 10, "t_mult": 2},
    ),
    Row(
        "sgd-cyclical",
        {"optimizer": "sgd", "lr": 0.006, "momentum": 0.9, "schedule": "cyclical"},
        batch_size=100,
        source="Smith, 1506.01186, Caffe's CNN on CIFAR-10: up from a sixth in 2,000 steps",
        also={"step_size_up": 4.0, "div_factor": 6.0, "cycle_mode": "triangular2"},
    ),
    Row(
        "rmsprop-keras",
        {"optimizer": "rmsprop", "lr": 1e-3, "momentum": 0.0},
        batch_size=32,
        source="Keras' defaults; the rate is that of Hinton's lecture 6e",
        also={"rho": 0.9, **_CONSTANT},
    ),
    Row(
        "rmsprop-cifar",
        {"optimizer": "rmsprop", "lr": 1e-4, "momentum": 0.0},
        batch_size=32,
        source="Keras' example cifar10_cnn.py",
        also={"rho": 0.9, "schedule": "inverse_time", "lr_decay": 1e-6},
    ),
    Row(
        "adam-keras",
        {"optimizer": "adam", "lr": 1e-3},
        batch_size=32,
        source="Keras' defaults; the rate is that of Kingma and Ba, 1412.6980",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "adam-wilson",
        {"optimizer": "adam", "lr": 3e-4},
        batch_size=128,
        source="Wilson et al., 1705.08292: the best of six rates for a VGG on CIFAR-10",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "adam-cosine",
        {"optimizer": "adam", "lr": 1e-3, "schedule": "cosine"},
        batch_size=128,
        source="Loshchilov and Hutter, 1711.05101: Adam on CIFAR-10 with cosine annealing",
        also={"beta1": 0.9, "beta2": 0.999},
    ),
    Row(
        "adam-plateau",
        {"optimizer": "adam", "lr": 1e-3, "schedule": "reduce_on_plateau"},
        batch_size=32,
        source="Keras' example cifar10_resnet.py",
        also={"factor": 0.316, "plateau_patience": 5},
    ),
    Row(
        "adamw-torch",
        {"optimizer": "adamw", "lr": 1e-3},
        batch_size=128,
        source="torch's defaults; the batch size is that of Loshchilov and Hutter, 1711.05101",
        also={"weight_decay": 0.01, **_CONSTANT},
    ),
    Row(
        "adamw-convnext",
        {"optimizer": "adamw", "lr": 4e-3, "schedule": "cosine", "weight_decay": 0.05},
        batch_size=4096,
        source="Liu et al., A ConvNet for the 2020s, 2201.03545",
    ),
    Row(
        "adamw-taskset",
        {"optimizer": "adamw", "lr": 1.195e-3, "beta1": 0.936},
        batch_size=128,
        source="Metz et al., TaskSet, 2002.11887: the first of its list (opt_list); tasks of many "
        "batch sizes, 128 taken here; constant for its first three quarters",
        also={"beta2": 0.99895, "epsilon": 5.876e-6, "weight_decay": 0.01014, **_CONSTANT},
    ),
    Row(
        "nadam-keras",
        {"optimizer": "nadam", "lr": 1e-3},
        batch_size=32,
        source="Keras' defaults",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "nadam-torch",
        {"optimizer": "nadam", "lr": 2e-3},
        batch_size=32,
        source="torch's default rate, and that of Keras 2; the batch size is Keras'",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "adagrad-torch",
        {"optimizer": "adagrad", "lr": 0.01},
        batch_size=128,
        source="torch's default rate; the best of five on CIFAR-10 in Luo et al., 1902.09843",
        also=_CONSTANT,
    ),
    Row(
        "adadelta-zeiler",
        {"optimizer": "adadelta", "lr": 1.0},
        batch_size=100,
        source="Zeiler, 1212.5701, on MNIST; torch's default rate too",
        also={"rho": 0.95, "epsilon": 1e-6, **_CONSTANT},
    ),
    Row(
        "adabound-luo",
        {"optimizer": "adabound", "lr": 1e-3},
        batch_size=128,
        source="Luo et al., 1902.09843, on CIFAR-10",
        also={"final_lr": 0.1, "weight_decay": 5e-4, **_CONSTANT},
    ),
    Row(
        "nadamw-algoperf",
        {"optimizer": "nadamw", "lr": 1.749e-3, "schedule": "cosine"},
        batch_size=1024,
        source="Dahl et al., 2306.07179: AlgoPerf's baseline for all its tasks, to four digits; "
        "the batch size is that of its ResNet-50",
        also={"beta1": 0.9327, "beta2": 0.9955, "weight_decay": 0.0812},
    ),
    Row(
        "radam-torch",
        {"optimizer": "radam", "lr": 1e-3},
        batch_size=128,
        source="torch's default rate; the batch size of Liu et al., 1908.03265, on CIFAR-10",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
    Row(
        "lion-chen",
        {"optimizer": "lion", "lr": 1e-4},
        batch_size=128,
        source="Chen et al., 2302.06675, and their code: a tenth of AdamW's rate and ten times its "
        "decay, here those of adamw-torch",
        also={"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, **_CONSTANT},
    ),
    Row(
        "muon-torch",
        {"optimizer": "muon", "lr": 1e-3},
        batch_size=128,
        source="torch's defaults; with the steps of Liu et al., 2502.16982, AdamW's rates hold",
        also={"momentum": 0.95, "nesterov": True, "weight_decay": 0.1, **_CONSTANT},
    ),
    Row(
        "adan-xie",
        {"optimizer": "adan", "lr": 0.03, "schedule": "cosine"},
        batch_size=2048,
        source="Xie et al., 2208.06677: their code's ResNet-50; its long warm-up left out",
        also={"beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "weight_decay": 0.02},
    ),
    Row(
        "lamb-rsb",
        {"optimizer": "lamb", "lr": 5e-3, "schedule": "cosine"},
        batch_size=2048,
        source="Wightman et al., ResNet strikes back, 2110.00476: the procedure A2",
        also={"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.02},
    ),
    Row(
        "prodigy-mishchenko",
        {"optimizer": "prodigy", "lr": 1.0, "schedule": "cosine"},
        batch_size=256,
        source="Mishchenko and Defazio, 2306.06101, on CIFAR-10; it finds its rate itself",
        also={"beta1": 0.9, "beta2": 0.999, "d_coef": 1.0},
    ),
    Row(
        "schedule_free_sgd-defazio",
        {"optimizer": "schedule_free_sgd", "lr": 1.0},
        batch_size=128,
        source="Defazio et al., 2405.15682, and their code: ten times the classical 0.1",
        also={"momentum": 0.9, **_CONSTANT},
    ),
    Row(
        "schedule_free_adamw-defazio",
        {"optimizer": "schedule_free_adamw", "lr": 2.5e-3},
        batch_size=128,
        source="Defazio et al., 2405.15682: the default of their code, and Keras'",
        also={"beta1": 0.9, "beta2": 0.999, **_CONSTANT},
    ),
)
