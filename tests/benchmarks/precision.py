"""Does bfloat16 cost accuracy? The same seeds in both precisions, on real images.

    python tests/benchmarks/precision.py --dataset folder:PATH --seeds 5 --epochs 4 --workers 2

Half of the training images are held out, so that the accuracies differ by training, not by which
few images they were measured on.
"""

import argparse
import multiprocessing
import statistics
from datetime import date
from typing import Any

from scipy import stats

NETWORK = {"network": "keras_cnn", "validation": 0.5}
PARAMS = {"optimizer": "adam", "lr": 1e-3, "batch_size": 64}
PRECISIONS = ("float32", "bfloat16")


def accuracy(job: tuple[str, int, dict[str, Any]]) -> float:
    """Validation accuracy after the last epoch, on one thread."""
    import torch

    from objectives import cnn, datasets, device, feed, knobs, train

    precision, seed, settings = job
    place = torch.device("cpu")
    device.configure(place, 1)
    config = knobs.configure({**settings, "precision": precision}, PARAMS)
    known = {name: getattr(config, name) for name in cnn.DATA_KNOBS}
    run = train.Training(config, feed.to_device(datasets.load(**known), place), place, seed)
    while not run.finished:
        row = run.epoch()
    return row["val_accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    settings = {**NETWORK, "dataset": asked.dataset, "epochs": asked.epochs}
    jobs = [(p, seed, settings) for seed in range(asked.seeds) for p in PRECISIONS]
    with multiprocessing.get_context("spawn").Pool(asked.workers) as pool:
        scores = pool.map(accuracy, jobs, chunksize=1)
    print(f"{date.today()}, {settings}, {PARAMS}\n")
    print("| seed | float32 | bfloat16 | difference |\n|---|---|---|---|")
    pairs = list(zip(scores[::2], scores[1::2], strict=True))
    for seed, (plain, half) in enumerate(pairs):
        print(f"| {seed} | {plain:.4f} | {half:.4f} | {half - plain:+.4f} |")
    differences = [half - plain for plain, half in pairs]
    mean, deviation = statistics.mean(differences), statistics.stdev(differences)
    width = stats.t.ppf(0.975, len(pairs) - 1) * deviation / len(pairs) ** 0.5
    noise = statistics.stdev(plain for plain, _ in pairs)
    print(
        f"\nmean difference {mean:+.4f}, 95 % interval {mean - width:+.4f} to {mean + width:+.4f}; "
        f"standard deviation over seeds in float32 {noise:.4f}"
    )


if __name__ == "__main__":
    main()
