"""Train some 300 configurations of a small CNN to their end: a table that judges searchers.

    python tests/benchmarks/make_table.py digits-digits_cnn --out tests/benchmarks/tables
    python tests/benchmarks/make_table.py mnist14-mnist_cnn --data-dir DIR --out DIR
    python tests/benchmarks/make_table.py cifar16-simple_cnn --images FOLDER --out DIR

Random configurations, as many for each optimizer; the portfolio's rows; the best of each optimizer
once more with fresh seeds. What the file holds already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from objectives import datasets, feed, knobs, rows, train
from objectives import device as devices
from objectives.cnn import portfolio

CPU = torch.device("cpu")
REPEATED, SEEDS = 2, 4  # configurations of each optimizer, further seeds of each
NEXT_SEED = 1_000_000  # between two seeds of one configuration

Params = dict[str, Any]
Row = dict[str, Any]


def _space(lr: float, lr_decay: float, schedules: list[str], batches: list[int]) -> dict[str, Any]:
    """The space of the shipped studies that ask which optimizer; parents stand first."""
    return {
        "optimizer": {"choice": ["sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta"]},
        "lr": {"float": [lr, 1.0], "log": True},
        "schedule": {"choice": schedules},
        "lr_decay": {
            "float": [lr_decay, 1e-2],
            "log": True,
            "when": {"schedule": ["inverse_time"]},
        },
        "momentum": {"float": [0.0, 0.99], "when": {"optimizer": ["sgd", "rmsprop"]}},
        "nesterov": {"choice": [True, False], "when": {"optimizer": ["sgd"]}},
        "batch_size": {"choice": batches},
    }


@dataclass(frozen=True)
class Table:
    """One table: a network, some images of a data set, a space. None of `images`: all."""

    settings: dict[str, Any]
    space: dict[str, Any]
    images: tuple[int, int] | None = None  # training, validation; stratified
    random: int = 240  # configurations


_DECAY = ["constant", "inverse_time"]
_SMALL = [16, 32, 64, 128, 256]
_ALWAYS = {"precision": "bfloat16", "restore_best_weights": False}
TABLES = {
    "digits-digits_cnn": Table(
        {"dataset": "digits", "network": "digits_cnn", "epochs": 20, **_ALWAYS},
        _space(1e-4, 1e-5, _DECAY, _SMALL),
    ),
    "digits-simple_cnn": Table(
        {"dataset": "digits", "network": "simple_cnn", "epochs": 20, **_ALWAYS},
        _space(1e-4, 1e-5, _DECAY, _SMALL),
    ),
    "mnist14-mnist_cnn": Table(
        {"dataset": "mnist", "image_size": 14, "network": "mnist_cnn", "epochs": 15, **_ALWAYS},
        _space(1e-4, 1e-6, _DECAY, [16, 32, 64, 128]),
        images=(1500, 1000),
        random=180,
    ),
    "cifar16-simple_cnn": Table(
        {"dataset": "folder:", "image_size": 16, "network": "simple_cnn", "epochs": 15, **_ALWAYS},
        _space(1e-5, 1e-7, [*_DECAY, "cosine"], [16, 32, 64, 128]),
        images=(1500, 1000),
        random=180,
    ),
}


class Job(NamedTuple):
    """One training."""

    params: Params
    seed: int
    origin: str  # random, again, or a row of the portfolio


def drawn(space: dict[str, Any], seed: int, count: int) -> Iterator[Job]:
    """Random configurations, optimizers in turn; the i-th is the same however many there are."""
    optimizers = space["optimizer"]["choice"]
    for i in range(count):
        params: Params = {"optimizer": optimizers[i % len(optimizers)]}
        random = np.random.default_rng((seed, i))
        for name, parameter in space.items():
            when = parameter.get("when", {})
            value = _value(parameter, random)  # drawn in any case: a point does not move another
            if name not in params and all(params[other] in some for other, some in when.items()):
                params[name] = value
        yield Job(params, i, "random")


def _value(parameter: dict[str, Any], random: np.random.Generator) -> Any:
    if "choice" in parameter:
        return parameter["choice"][random.integers(len(parameter["choice"]))]
    low, high = parameter["float"]
    if parameter.get("log"):
        low, high = np.log(low), np.log(high)
        return float(f"{np.exp(random.uniform(low, high)):.4g}")
    return round(random.uniform(low, high), 3)


def known(table: Table) -> Iterator[Job]:
    """The rows of the portfolio that fit the space."""
    for i, row in enumerate(portfolio(table.settings, table.space)):
        yield Job(row["params"], i, row["name"])


def again(rows: list[Row]) -> Iterator[Job]:
    """The best configurations of each optimizer with fresh seeds."""
    first = [row for row in rows if row["from"] != "again"]
    first.sort(key=lambda row: -max(accuracy for accuracy, _ in row["val"]))
    taken: dict[str, int] = {}
    for row in first:
        optimizer = row["params"]["optimizer"]
        taken[optimizer] = taken.get(optimizer, 0) + 1
        if taken[optimizer] <= REPEATED:
            for k in range(1, SEEDS + 1):
                yield Job(row["params"], row["seed"] + k * NEXT_SEED, "again")


def trained(job: Job, table: Table, data: feed.Data) -> Row:
    """Train to the end; what comes after a divergence is chance, without a loss."""
    config = knobs.configure(table.settings, job.params)
    run, started = train.Training(config, data, CPU, job.seed), time.perf_counter()
    curve: list[list[float | None]] = []
    try:
        while not run.finished:
            row = run.epoch()
            curve.append([round(row["val_accuracy"], 5), round(row["val_loss"], 4)])
    except rows.DivergenceError:
        curve += [[1 / data.classes, None]] * (config.epochs - len(curve))
    seconds = round(time.perf_counter() - started, 2)
    about = {"seed": job.seed, "seconds": seconds, "from": job.origin}
    return {"params": job.params, "val": curve, **about}


def load(table: Table, data_dir: str | None) -> feed.Data:
    """The table's images, on the CPU."""
    name, size = table.settings["dataset"], table.settings.get("image_size")
    data = feed.to_device(datasets.load(name, image_size=size, data_dir=data_dir), CPU)
    if table.images is None:
        return data
    training, validation = table.images
    return data._replace(
        train=_some(data.train, training), validation=_some(data.validation, validation)
    )


def _some(images: feed.Images, count: int) -> feed.Images:
    """A stratified part of a split."""
    chosen = torch.from_numpy(datasets.stratified(images.labels.numpy(), count, seed=0))
    rows = chosen if images.rows is None else images.rows[chosen]
    return feed.Images(images.pixels, images.labels[chosen], rows)


def whole_lines(path: Path) -> list[Row]:
    """What the file holds; a line that a kill tore is cut off."""
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def fill(path: Path, table: Table, data: feed.Data, seed: int, count: int) -> None:
    """Train what is missing, a line each."""
    rows = whole_lines(path)
    done = {_key(row["params"], row["seed"]) for row in rows}
    for jobs in (drawn(table.space, seed, count), known(table), again(rows)):
        for job in jobs:
            if _key(job.params, job.seed) in done:
                continue
            rows.append(trained(job, table, data))
            done.add(_key(job.params, job.seed))
            with path.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print(f"{path}: {len(rows)} trainings, {sum(row['seconds'] for row in rows) / 60:.0f} minutes")


def _key(params: Params, seed: int) -> str:
    return json.dumps([params, seed], sort_keys=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tables")
    parser.add_argument("--random", type=int, help="random configurations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", help="where MNIST's files are")
    parser.add_argument("--images", help="a folder with train/CLASS and test/CLASS, for cifar16")
    options = parser.parse_args()
    devices.configure(CPU, threads=1)
    table = TABLES[options.table]
    if options.images and table.settings["dataset"] == "folder:":
        table.settings["dataset"] = f"folder:{options.images}"
    options.out.mkdir(parents=True, exist_ok=True)
    data = load(table, options.data_dir)
    count = table.random if options.random is None else options.random
    fill(options.out / f"{options.table}.jsonl", table, data, options.seed, count)


if __name__ == "__main__":
    main()
