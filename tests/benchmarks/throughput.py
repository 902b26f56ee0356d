"""Images per second of full training steps on the CPU: Keras, a DataLoader loop, and optsearch.

    python tests/benchmarks/throughput.py --rounds 5 --seconds 8 --network keras_cnn

All sides run in turn, round by round, so that a slow minute of the machine hits them alike; what
counts is the median of the paired ratios. Keras runs on TensorFlow if `tensorflow` is installed
(`--keras-python` names another interpreter that has it). optsearch runs as it does by default: a
worker per core, one thread each, all together.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from typing import Any

import networks as plain

IMAGES = 8192


def data(network: str) -> tuple[Any, Any]:
    """Random pixels uint8 [N, H, W, C] and labels: the time does not depend on their content."""
    import numpy as np

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, *plain.SHAPES[network]), dtype=np.uint8)
    return pixels, rng.integers(0, 10, IMAGES)


def timed(epoch: Any, seconds: float) -> float:
    """Images per second over whole epochs, after one that warms up."""
    epoch()
    started, epochs = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        epoch()
        epochs += 1
    return epochs * IMAGES / (time.perf_counter() - started)


def side_keras(network: str, batch: int, seconds: float) -> float:
    os.environ["KERAS_BACKEND"], os.environ["TF_CPP_MIN_LOG_LEVEL"] = "tensorflow", "3"
    pixels, labels = data(network)
    model, images = plain.in_keras(network), (pixels / 255).astype("float32")
    return timed(lambda: model.fit(images, labels, batch, epochs=1, verbose=0), seconds)


def side_dataloader(network: str, batch: int, seconds: float) -> float:
    """The loop of PyTorch's tutorials: float32, DataLoader, RMSprop, `.item()` for the display."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    pixels, labels = data(network)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
    loader = DataLoader(TensorDataset(images, torch.from_numpy(labels)), batch, shuffle=True)
    model = plain.in_torch(network)
    model(images[:2])
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-4, alpha=0.9, eps=1e-7)

    def epoch() -> None:
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()

    return timed(epoch, seconds)


def side_optsearch(network: str, batch: int, seconds: float, precision: str = "auto") -> float:
    """One worker with one thread: `Training.epoch`, its validation of 32 images counted in."""
    import numpy as np
    import torch

    from objectives import device, feed, knobs, train
    from objectives.datasets import Dataset, Split

    pixels, labels = data(network)
    split = Split(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), labels.astype(np.int64))
    few = Split(split.images[:32], split.labels[:32])
    dataset = Dataset("random", split, few, tuple("0123456789"), 255.0, "")
    place = torch.device("cpu")
    device.configure(place, threads=1)
    settings = {
        "dataset": "digits",
        "network": network,
        "epochs": 100_000,
        "batch_size": batch,
        "precision": device.precision(precision, place),
    }
    config = knobs.configure(settings, {"optimizer": "rmsprop", "lr": 1e-4})
    run = train.Training(config, feed.to_device(dataset, place), place, 0)
    return timed(run.epoch, seconds)


SIDES = {"keras": side_keras, "dataloader": side_dataloader, "optsearch": side_optsearch}


def measure(side: str, options: argparse.Namespace, batch: int) -> float:
    """Run one side in processes of its own; the sum where it uses several."""
    python = options.keras_python if side == "keras" else sys.executable
    command = [python, __file__, "--side", side, "--network", options.network]
    command += ["--batch", str(batch), "--seconds", str(options.seconds)]
    workers = len(os.sched_getaffinity(0)) if side == "optsearch" else 1
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(workers)
    ]
    outputs = [process.communicate()[0] for process in running]
    return sum(json.loads(output.splitlines()[-1]) for output in outputs)


def available(options: argparse.Namespace) -> list[str]:
    probe = [options.keras_python, "-c", "import tensorflow, keras"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return list(SIDES)
    print(f"keras left out: {options.keras_python} has no tensorflow", file=sys.stderr)
    return ["dataloader", "optsearch"]


def table(rows: dict[int, list[dict[str, float]]], sides: list[str], rounds: int) -> str:
    """Markdown: medians and ranges, and the medians of the paired ratios."""
    others = [side for side in sides if side != "optsearch"]
    head = [*sides, *(f"optsearch / {side}" for side in others)]
    lines = ["| batch | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for batch, found in rows.items():
        cells = [_range([one[side] for one in found], "{:.0f}") for side in sides]
        cells += [_range([r["optsearch"] / r[side] for r in found], "{:.2f}") for side in others]
        lines.append(f"| {batch} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _range(values: list[float], form: str) -> str:
    low, middle, high = (form.format(f(values)) for f in (min, statistics.median, max))
    return f"**{middle}** ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--network", choices=plain.LAYERS, default="keras_cnn")
    parser.add_argument("--keras-python", default=sys.executable)
    parser.add_argument("--side", choices=SIDES)
    options = parser.parse_args()
    if options.side:
        speed = SIDES[options.side](options.network, options.batch[0], options.seconds)
        print(json.dumps(speed))
        return
    sides = available(options)
    rows: dict[int, list[dict[str, float]]] = {batch: [] for batch in options.batch}
    for number in range(options.rounds):
        for batch in options.batch:
            found = {side: measure(side, options, batch) for side in sides}
            rows[batch].append(found)
            print(f"round {number + 1} batch {batch}: {found}", file=sys.stderr)
    cores = len(os.sched_getaffinity(0))
    print(f"{date.today()}, {platform.machine()}, {cores} cores, {options.network}: images/s,")
    print(f"median (range) of {options.rounds} rounds of {options.seconds:g} s a side\n")
    print(table(rows, sides, options.rounds))


if __name__ == "__main__":
    main()
