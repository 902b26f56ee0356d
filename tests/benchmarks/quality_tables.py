"""Tasks to judge searchers on without training: LCBench, TaskSet, and tables of one's own.

A task has a space in plain form and, for each configuration, a true curve. Scores: more is better.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Params = dict[str, Any]


class Task:
    """name: of the task; longest: epochs of a full run; by: the parameter whose values are arms.

    noise: standard deviations (of a whole run, of one epoch) that training anew would show, in
    units of the score. portfolio: configurations known to be good elsewhere.
    """

    def __init__(
        self,
        name: str,
        space: dict[str, Any],
        longest: int,
        train: Callable[[Params], Array],
        noise: tuple[float, float],
        by: str | None = None,
        portfolio: list[Params] | None = None,
    ) -> None:
        self.name, self.space, self.longest, self.noise, self.by = name, space, longest, noise, by
        self.portfolio = portfolio or []
        self._train = train
        self._curves: dict[str, Array] = {}

    def curve(self, params: Params) -> Array:
        """True scores, float [longest]; nan from where the training diverges."""
        key = repr(sorted(params.items(), key=lambda item: item[0]))
        if key not in self._curves:
            self._curves[key] = np.asarray(self._train(params), float)
        return self._curves[key]

    def true(self, params: Params) -> float:
        """What a full run of the configuration is worth: its best epoch, free of noise."""
        curve = self.curve(params)
        return float(np.nanmax(curve)) if np.isfinite(curve).any() else -1e4

    def seen(self, params: Params, seed: int) -> Array:
        """The curve with the noise of one training, float [longest]."""
        rng = np.random.default_rng([seed, _digest(repr(sorted(params.items())))])
        run, epoch = self.noise
        curve = self.curve(params)
        return curve + run * rng.standard_normal() + epoch * rng.standard_normal(len(curve))


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


# Textbook rows: SGD with momentum 0.9 at torch's and Keras' customary rates and weight decay 5e-4
# (Loshchilov and Hutter, 1608.03983), batches of 128 and 32, a middling network. Not fitted.
_NET = {"num_layers": 3, "max_units": 256, "max_dropout": 0.2}
_SGD = [
    {"batch_size": 128, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
    {"batch_size": 32, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4},
    {"batch_size": 128, "learning_rate": 0.03, "momentum": 0.9, "weight_decay": 1e-4},
    {"batch_size": 32, "learning_rate": 0.03, "momentum": 0.9, "weight_decay": 1e-4},
    {"batch_size": 64, "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 1e-4},
]
LCBENCH_SPACE: dict[str, Any] = {
    "batch_size": {"int": [16, 512], "log": True},
    "learning_rate": {"float": [1e-4, 1e-1], "log": True},
    "momentum": {"float": [0.1, 0.99]},
    "weight_decay": {"float": [1e-5, 1e-1]},
    "num_layers": {"int": [1, 5]},
    "max_units": {"int": [64, 1024], "log": True},
    "max_dropout": {"float": [0.0, 1.0]},
}


def lcbench(path: Path, onnx: Path | None = None) -> list[Task]:
    """Every task of a list {OpenML id: number}, from the surrogate of YAHPO (2109.03670).

    Epoch 1 of the table is before training: epochs 2 to 51 are the 50 of a run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(onnx or path.parent / "lcbench.onnx"), options)

    def train(task: int, params: Params) -> Array:
        rows = np.tile([0.0, *(params[n] for n in LCBENCH_SPACE)], (50, 1))
        rows[:, 0] = np.arange(2, 52)
        inputs = {"x_cat": np.full((50, 1), task, np.int32), "x_cont": rows.astype(np.float32)}
        return np.asarray(session.run(None, inputs)[0][:, 1] / 100, float)

    rows = [{**row, **_NET} for row in _SGD]
    return [
        Task(
            f"lcbench-{name}",
            LCBENCH_SPACE,
            50,
            lambda params, number=number: train(number, params),
            noise=(0.003, 0.002),  # DeepOBS' CNNs: 0.06 to 0.93 points from seed to seed
            portfolio=rows,
        )
        for name, number in json.loads(path.read_text()).items()
    ]


# Adam as its authors give it (1412.6980) at three customary rates; the first entries of TaskSet's
# own list (2002.11887, chosen over a thousand other tasks), as far as this space has them.
_STILL = {"epsilon": 1e-8, "l1": 1e-8, "l2": 1e-8, "linear_decay": 1e-7, "exponential_decay": 1e-6}
_ADAM = [
    {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, **_STILL},
    {"learning_rate": 1.2e-3, "beta1": 0.936, "beta2": 0.999, **_STILL, "epsilon": 6e-6},
    {"learning_rate": 3e-4, "beta1": 0.9, "beta2": 0.999, **_STILL},
    {"learning_rate": 1e-2, "beta1": 0.9, "beta2": 0.999, **_STILL},
    {"learning_rate": 6e-4, "beta1": 0.9, "beta2": 0.99, **_STILL, "l2": 1e-4},
]
_BETAS = ("beta1", "beta2")
_TASKSET = {
    "learning_rate": (1e-8, 10.0),
    "beta1": (1e-4, 1.0),  # as 1 - beta, log: how the table was drawn
    "beta2": (1e-6, 1.0),
    "epsilon": (1e-10, 1e3),
    "l1": (1e-8, 10.0),
    "l2": (1e-8, 10.0),
    "linear_decay": (1e-7, 1e-4),
    "exponential_decay": (1e-6, 1e-3),
}


def forest(rows: Array, curves: Array) -> Callable[[Array], Array]:
    """A forest that goes through the curves of known rows and stands between them for training.

    rows: float [n, C]; curves: float [n, longest]. Of a place, float [C], it gives a curve.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    trees = ExtraTreesRegressor(60, max_features=1.0, random_state=0, n_jobs=1).fit(rows, curves)
    members = [tree.tree_ for tree in trees.estimators_]
    values = [tree.value[:, :, 0] for tree in members]

    def train(place: Array) -> Array:
        row = place.astype(np.float32).reshape(1, -1)
        found = [v[m.apply(row)[0]] for m, v in zip(members, values, strict=True)]
        return np.asarray(np.mean(found, axis=0), float)

    return train


def taskset(path: Path) -> list[Task]:
    """One task: a forest over the table's rows stands for training, in logarithms.

    (The nearest row would do so badly: in eight dimensions it makes plateaus that hold whoever
    comes to them.) Scores are losses with the sign turned; what diverged counts as the worst
    tenth does. The column before training is left out.
    """
    table = np.load(path, allow_pickle=True)
    names = [str(n) for n in table["names"]]
    scores = -np.asarray(table["valid"], float)[:, 1:]
    worst = float(np.nanquantile(scores, 0.1))
    scores = np.maximum(np.nan_to_num(scores, nan=worst), worst)
    own = {n: "1-" + n if n.startswith("beta") else n for n in names}

    def logs(row: dict[str, float]) -> Array:
        return np.log([max(1 - row[n] if n in _BETAS else row[n], 1e-9) for n in names])

    def train(params: Params) -> Array:
        return known(np.log([params[own[n]] for n in names]))

    rows = [dict(zip(names, row, strict=True)) for row in table["hp"].astype(float)]
    known = forest(np.array([logs(row) for row in rows]), scores)
    space = {own[n]: {"float": list(_TASKSET[n]), "log": True} for n in names}
    portfolio = [{own[n]: 1 - row[n] if n in _BETAS else row[n] for n in names} for row in _ADAM]
    noise = float(np.quantile(scores, 0.95) - np.quantile(scores, 0.5)) / 50
    return [Task(path.stem, space, scores.shape[1], train, (noise, 0.0), portfolio=portfolio)]
