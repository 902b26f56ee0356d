"""On a GPU: does the graphed step compute what the eager one does, and how long is an epoch?

    PYTHONPATH=. python tests/benchmarks/gpu.py --out gpu.md

Needs torch and NumPy, no network, no data set and no Optuna. Prints a table to keep beside this
file: seconds an epoch of 45,000 images by batch size, for the usual DataLoader loop, for optsearch
launched step by step, and for optsearch in a CUDA graph; and the launch-free floor, which is the
time that the kernels of one graphed epoch take by themselves. Every time is a median over epochs
after warming up, measured with the device synchronised. `--device cpu --images 2000` tries it out.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from objectives import device, feed, knobs, train
from objectives.datasets import Dataset, Split

STEPS = 100  # that are compared, of two runs from one seed
# Relative, in float32: of each loss, and of the weights' distance against the way that they went.
# Sums in another order differ by far less, an optimizer that stands still by all of it.
TOLERANCE = 0.01


def dataset(images: int) -> Dataset:
    """Noise with a bright square whose place is the label: something to learn."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 128, (images, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, images).astype(np.int64)
    for label in range(10):
        row, column = divmod(label, 4)
        pixels[labels == label, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += 127
    held_out = Split(pixels[: images // 9], labels[: images // 9])
    return Dataset("random", Split(pixels, labels), held_out, tuple("0123456789"), 255.0, "")


def training(
    network: str, batch: int, place: torch.device, data: feed.Data, precision: str = "auto"
) -> train.Training:
    settings = {
        "dataset": "digits",
        "network": network,
        "epochs": 10_000,
        "batch_size": batch,
        "precision": device.precision(precision, place),
    }
    config = knobs.configure(settings, {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9})
    return train.Training(config, data, place, 0)


def eager(run: train.Training) -> train.Training:
    """The same run, launched step by step."""
    run._wants_graph = False
    return run


def seconds(epoch: Callable[[], object], place: torch.device, repeats: int) -> float:
    """Median time of an epoch, after one that warms up (compiles, autotunes, captures)."""
    epoch()
    times = []
    for _ in range(repeats):
        synchronize(place)
        started = time.perf_counter()
        epoch()
        synchronize(place)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def synchronize(place: torch.device) -> None:
    if place.type == "cuda":
        torch.cuda.synchronize(place)


def kernel_seconds(epoch: Callable[[], object], place: torch.device) -> float:
    """The time that all kernels of an epoch take, gaps between them left out: the floor."""
    if place.type != "cuda":
        return float("nan")
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        epoch()
        synchronize(place)
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def dataloader(images: int, batch: int, place: torch.device) -> Callable[[], None]:
    """The loop of PyTorch's tutorials, in the same precision as optsearch."""
    import networks as plain

    data = dataset(images).train
    tensors = TensorDataset(torch.from_numpy(data.images).float() / 255, torch.tensor(data.labels))
    loader = DataLoader(tensors, batch, shuffle=True, pin_memory=place.type == "cuda")
    model = plain.in_torch("keras_cnn").to(place)
    model(torch.zeros(2, 3, 32, 32, device=place))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    halved = device.precision("auto", place) == "bfloat16"  # as optsearch trains there

    def epoch() -> None:
        for x, y in loader:
            optimizer.zero_grad()
            with torch.autocast(place.type, torch.bfloat16, halved):
                logits = model(x.to(place, non_blocking=True))
            labels = y.to(place, non_blocking=True)
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
            loss.backward()
            optimizer.step()
            loss.item()

    return epoch


def agreement(network: str, place: torch.device, data: feed.Data) -> str:
    """Graphed against eager from one seed, in float32: every loss, and where the weights went."""
    graphed, stepwise = (training(network, 128, place, data, "float32") for _ in range(2))
    why = f" (ran eagerly: {graphed.eager_because})" if graphed.eager_because else ""
    return f"{network}: {compared(graphed, eager(stepwise))}{why}"


def compared(one: train.Training, other: train.Training) -> str:
    """Whether two runs from one seed train alike, in words with the largest differences."""
    start = weights(one)
    losses, others = (step_losses(run, STEPS) for run in (one, other))
    apart = (losses - others).abs().div(others.abs().clamp_min(1e-3)).max().item()
    way = (weights(other) - start).norm().item()
    astray = (weights(one) - weights(other)).norm().item() / way if way else float("nan")
    fell = 1 - (others[-10:].mean() / others[:10].mean()).item()
    alike = apart < TOLERANCE and astray < TOLERANCE and fell > 0.1
    return (
        f"graphed and eager {'agree' if alike else 'DISAGREE'} over {len(losses)} steps: losses "
        f"differ by up to {apart:.1e}, weights by {astray:.1e} of their way; "
        f"the loss fell by {fell:.0%}"
    )


def weights(run: train.Training) -> torch.Tensor:
    return torch.cat([one.detach().double().flatten().cpu() for one in run.model.parameters])


def step_losses(run: train.Training, steps: int) -> torch.Tensor:
    """The loss of each step, for whole epochs until there are so many."""
    kept: list[torch.Tensor] = []
    whole_epoch = run._train

    def keep(*arguments: object) -> tuple[torch.Tensor, torch.Tensor]:
        losses, hits = whole_epoch(*arguments)  # type: ignore[arg-type]
        kept.append(losses.clone().cpu())
        return losses, hits

    run._train = keep  # type: ignore[method-assign]
    while sum(map(len, kept)) < steps:
        run.epoch()
    run._train = whole_epoch  # type: ignore[method-assign]
    return torch.cat(kept)


def row(batch: int, place: torch.device, data: feed.Data, options: argparse.Namespace) -> str:
    graphed = training("keras_cnn", batch, place, data)
    stepwise = eager(training("keras_cnn", batch, place, data))
    times = [
        seconds(dataloader(options.images, batch, place), place, 1),
        seconds(stepwise.epoch, place, options.repeats),
        seconds(graphed.epoch, place, options.repeats),
    ]
    floor = kernel_seconds(graphed.epoch, place)
    cells = [f"{one:.3f}" for one in (*times, floor)]
    ratios = f"{times[2] / floor:.1f} | {times[0] / times[2]:.1f}"
    return f"| {batch} | " + " | ".join(cells) + f" | {ratios} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=45_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128, 512, 1024])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    place = device.pick(options.device)
    device.configure(place)
    data = feed.to_device(dataset(options.images), place)
    lines = [
        f"{date.today()}, {device.describe(place)['name']}, torch {torch.__version__}, keras_cnn,",
        f"{options.images} images an epoch and {options.images // 9} validated, seconds:\n",
        "| batch | DataLoader | eager | graph | kernels | graph / kernels | DataLoader / graph |",
        "|---|---|---|---|---|---|---|",
        *(row(batch, place, data, options) for batch in options.batch),
        "",
        *(agreement(network, place, data) for network in ("keras_cnn", "resnet9")),
    ]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
