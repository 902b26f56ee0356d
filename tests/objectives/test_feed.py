"""Rules of the feed: a batch is the split's images, and a CPU trains on the map itself."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from objectives import augment, datasets, feed

CPU = torch.device("cpu")
MEGABYTES = 50
ROOT = str(Path(__file__).resolve().parents[2])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))


@pytest.fixture
def digits():
    return datasets.load("digits")


def test_batches_are_the_images_of_the_split_in_channels_last(digits):
    """By index, and in order for evaluation."""
    for split in (digits.train, digits.validation):
        images = feed.put(split, CPU)
        index = torch.tensor([3, 0, 200])
        pixels, labels = images.take(index)
        np.testing.assert_array_equal(pixels.numpy(), split.images[index.numpy()])
        np.testing.assert_array_equal(labels.numpy(), split.labels[index.numpy()])
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        whole = [torch.cat(column).numpy() for column in zip(*images.slices(700), strict=True)]
        np.testing.assert_array_equal(whole[0], split.images)
        np.testing.assert_array_equal(whole[1], split.labels)


def test_a_copy_on_a_device_is_the_split_alone(digits, monkeypatch):
    """In parts, the last one smaller; the images of the other split stay behind."""
    monkeypatch.setattr(feed, "COPIED_AT_ONCE", 500)
    images = feed._copied(feed.put(digits.train, CPU), CPU)
    assert images.rows is None
    np.testing.assert_array_equal(images.pixels.permute(0, 3, 1, 2).numpy(), digits.train.images)
    np.testing.assert_array_equal(images.labels.numpy(), digits.train.labels)


def test_mean_and_deviation_are_those_of_the_training_split(digits):
    """And not of all that is stored."""
    data = feed.to_device(digits, CPU)
    assert (data.mean, data.std) == augment.statistics(digits.train.images, digits.scale)
    assert data.mean != augment.statistics(digits.train.stored, digits.scale)[0]


def test_nothing_warns_of_the_read_only_map(digits, recwarn):
    """Nobody writes into it."""
    feed.put(digits.train, CPU)
    assert not recwarn.list


NETWORK = """
from torch import nn
def build(classes):
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.LazyLinear(classes))
"""
TRIAL = f"""
import ctypes
import sys
from pathlib import Path
import numpy as np
from optuna.trial import FixedTrial
from objectives import cnn, datasets, store

COUNT = {MEGABYTES} * 2**20 // (32 * 32 * 3)

def decode(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), np.uint8)
    labels = np.arange(count) % 10
    return store.Arrays(images, labels, images[:10], labels[:10], tuple("0123456789"))

def private():
    "Bytes of this process alone: what no file backs, but for what malloc keeps for later."
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

def trial(dataset):
    given = dict(network="./net.py:build", epochs=2, batch_size=128, normalize=True)
    cnn.objective(FixedTrial({{}}), device="cpu", threads=1, dataset=dataset, **given)

for name, count in (("small", 4000), ("large", COUNT)):
    datasets.SOURCES[name] = datasets.Source(lambda *_, count=count: decode(count))
if sys.argv[1] == "decode":
    datasets.describe("small"), datasets.describe("large")
else:
    trial("small")
    before = private()
    trial("large")
    print(private() - before)
"""


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_training_on_a_cpu_copies_no_data_set(tmp_path):
    """A trial on 50 MB of images takes less than half of that of its own memory."""
    (tmp_path / "net.py").write_text(NETWORK)
    for task in ("decode", "train"):
        done = subprocess.run(
            [sys.executable, "-c", TRIAL, task],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}, check=True, capture_output=True,
            text=True,
        )  # fmt: skip
    assert int(done.stdout) < MEGABYTES * 2**20 / 2
