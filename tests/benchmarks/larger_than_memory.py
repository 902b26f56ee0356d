"""A set of pictures that is larger than the memory that a run may take: does it train, how fast?

    PYTHONPATH=. python tests/benchmarks/larger_than_memory.py --dir /a/folder/with/room --gb 8

Makes an npz of 224x224 pictures (noise, and a bright square whose place is the label), then runs
`optsearch run` on it for one trial of one epoch, every process of it under RLIMIT_DATA of `--gb`
and the whole watched: the most anonymous memory of all processes together. Before each epoch that
is timed the file is dropped from the page cache (`cold`) or not. Then `--few` images resident (the
map in memory) against streamed, in turn: images a second. Needs three times the set on disk, and
removes it at the end.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

SIDE, CLASSES, AT_ONCE = 224, 10, 500
OURS = [sys.executable, "-c", "from search.cli import main; main()"]
NETWORK = """\
from torch import nn


def net(classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 8, stride=8), nn.ReLU(), nn.Conv2d(16, 32, 4, stride=4), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(classes),
    )
"""
STUDY = """\
objective: objectives.cnn:objective
settings: {{dataset: "npz:{file}", network: ./net.py:net, epochs: 1, batch_size: 64}}
space: {{lr: {{choice: [0.01]}}}}
budget: {{trials: 1}}
sampler: random
pruner: none
confirm: false
"""


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [count, 224, 224, 3] and labels int64 [count]."""
    rng = np.random.default_rng(seed)
    shape = (count, SIDE, SIDE, 3)
    pixels = np.frombuffer(rng.bytes(int(np.prod(shape))), np.uint8).reshape(shape) >> 1
    labels = rng.integers(0, CLASSES, count)
    for label in range(CLASSES):
        row, column = divmod(label, 4)
        at = slice(56 * row, 56 * row + 56), slice(56 * column, 56 * column + 56)
        pixels[(labels == label, *at)] += 127
    return pixels, labels


def write(file: Path, images: int) -> None:
    """An npz in MedMNIST's layout, a twentieth of it test images; piece by piece."""
    n_test = images // 20
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for part, count, first in (("test", n_test, 0), ("train", images - n_test, 10**6)):
            labels = []
            with archive.open(f"{part}_images.npy", "w", force_zip64=True) as out:
                about = {"descr": "|u1", "fortran_order": False, "shape": (count, SIDE, SIDE, 3)}
                np.lib.format.write_array_header_1_0(out, about)
                for start in range(0, count, AT_ONCE):
                    some, answers = pictures(min(AT_ONCE, count - start), first + start)
                    out.write(some.tobytes())
                    labels.append(answers)
            with archive.open(f"{part}_labels.npy", "w") as out:
                np.lib.format.write_array(out, np.concatenate(labels))


def limited(limit: int) -> None:
    """In the child: as much anonymous memory a process, and a group of processes of its own."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class Watch(threading.Thread):
    """The most anonymous memory of all processes of a session at one moment, bytes."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session, self.most, self.over = session, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.most = max(self.most, sum(map(anonymous, members(self.session))))


def members(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def drop(folder: Path) -> None:
    """Take the files of a folder out of the page cache."""
    for path in folder.rglob("*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def whole(options: argparse.Namespace, folder: Path) -> list[str]:
    """The run under its limit: first with decoding, then again with the file out of the cache."""
    file, limit = folder / "big.npz", int(options.gb * 2**30)
    started = time.perf_counter()
    write(file, options.images)
    lines = [
        f"written in {time.perf_counter() - started:.0f} s: {file.stat().st_size / 1e9:.1f} GB"
    ]
    (folder / "net.py").write_text(NETWORK)
    (folder / "big.yaml").write_text(STUDY.format(file=file))
    environment = os.environ | {"OPTSEARCH_DATA": str(folder / "data")}
    for name in ("decoding and training", "training again, cold"):
        command = [
            *OURS,
            "run",
            "--study",
            "./big.yaml",
            "--log",
            "plain",
            "--name",
            name.split()[1],
        ]
        started = time.perf_counter()
        with (folder / "log.txt").open("w") as log:
            running = subprocess.Popen(
                [*command, "--device", "cpu", "--workers", "1", "--log", "plain"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: limited(limit),
            )
            watch = Watch(running.pid)
            watch.start()
            code = running.wait()
        watch.over.set()
        took = time.perf_counter() - started
        if code:
            lines.append(f"{name}: exit {code}: {(folder / 'log.txt').read_text()[-600:]}")
            return lines
        told = attributes(folder / "runs/optsearch.db")
        seconds = told["history"]["seconds"][0]
        count = round((options.images - options.images // 20) * 0.9)
        lines.append(
            f"{name}: {took:.0f} s from command to end, the epoch {seconds:.0f} s for {count:,} "
            f"images and their validation: {count / seconds:,.0f} images/s; at most "
            f"{watch.most / 1e9:.2f} GB of anonymous memory in all processes; val_accuracy "
            f"{told['history']['val_accuracy'][0]:.3f}; streamed: {told.get('streamed', 'no')}"
        )
        print(lines[-1], flush=True)
        drop(folder)
    return lines


def attributes(database: Path) -> dict[str, Any]:
    """Of the newest trial."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT key, value_json FROM trial_user_attributes WHERE trial_id = "
            "(SELECT max(trial_id) FROM trials) ORDER BY trial_user_attribute_id"
        ).fetchall()
    return {key: json.loads(value) for key, value in rows}


def side_by_side(options: argparse.Namespace, folder: Path) -> list[str]:
    """Images a second of an epoch, resident against streamed, the same network and order."""
    import torch

    from objectives import device, feed, knobs, train
    from objectives.datasets import Dataset, Split

    place = torch.device("cpu")
    device.configure(place, options.threads)
    path = folder / "few.npy"
    pixels, labels = pictures(options.few, 7)
    np.save(path, pixels)
    mapped = np.load(path, mmap_mode="r").transpose(0, 3, 1, 2)
    held_out = Split(mapped[:AT_ONCE], labels[:AT_ONCE])
    splits = Dataset("few", Split(mapped, labels), held_out, tuple("0123456789"), 255.0, "")
    resident = feed.to_device(splits, place)
    train_, validation = (feed.put_streamed(s, place) for s in (splits.train, splits.validation))
    streamed = resident._replace(train=train_, validation=validation)
    settings = {"dataset": "digits", "network": f"{folder / 'net.py'}:net", "epochs": 10_000}
    config = knobs.configure(settings | {"batch_size": 64, "precision": "float32"}, {"lr": 0.01})
    runs = [train.Training(config, data, place, 0) for data in (resident, streamed)]
    times: list[list[float]] = [[], []]
    for _ in range(options.rounds + 1):
        for kept, run in zip(times, runs, strict=True):
            kept.append(run.epoch()["seconds"])
    rates = [options.few / statistics.median(kept[1:]) for kept in times]
    weights = [torch.cat([one.detach().flatten() for one in run.model.parameters]) for run in runs]
    same = "are bitwise equal" if torch.equal(*weights) else "DIFFER"
    return [
        f"{options.few:,} images that the page cache holds, {options.rounds} epochs in turn, "
        f"{options.threads} thread(s): resident {rates[0]:,.0f} images/s, streamed "
        f"{rates[1]:,.0f} ({rates[1] / rates[0]:.2f}); weights {same}"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--gb", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    folder = options.dir.absolute() / "larger_than_memory"
    folder.mkdir(parents=True)
    try:
        (folder / "net.py").write_text(NETWORK)
        lines = side_by_side(options, folder) + whole(options, folder)
    finally:
        shutil.rmtree(folder)
    print(f"\n{date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
