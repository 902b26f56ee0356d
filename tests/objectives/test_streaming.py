"""Rules of a data set too large for memory: decoded into a file, read a batch ahead, and trained on
as if it had fitted."""

import io
import json
import os
import resource
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from objectives import (
    datasets,
    feed,
    graph,
    knobs,
    npz,
    prepare,
    resizing,
    store,
    streaming,
    train,
)
from objectives import device as devices

CPU = torch.device("cpu")
SETTINGS = {
    "dataset": "digits",
    "network": "simple_cnn",
    "batch_size": 100,  # of 1,257 images: the last batch is smaller
    "flip": True,
    "crop": 1,
    "optimizer": "adam",
    "epochs": 2,
    "precision": "float32",
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))


@pytest.fixture
def digits():
    return datasets.load("digits")


def no_room(monkeypatch):
    """As on a machine with next to no memory left."""
    monkeypatch.setattr(devices, "available_bytes", lambda device: 1000)
    monkeypatch.setattr(store, "host_bytes", lambda: 1000)


def trained(data, **settings):
    run = train.Training(knobs.configure(SETTINGS | settings, {}), data, CPU, seed=3)
    while not run.finished:
        run.epoch()
    return run


def equal(one, other):
    weights = zip(*(run.model.network.state_dict().values() for run in (one, other)), strict=True)
    curves = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in run.history]
        for run in (one, other)
    ]
    return curves[0] == curves[1] and all(torch.equal(a, b) for a, b in weights)


@pytest.mark.parametrize("settings", [{}, {"sampling": "balanced"}, {"batch_size": "full"}])
def test_a_streamed_set_trains_bitwise_as_one_that_fits(digits, monkeypatch, settings):
    """The same images in the same order, with the same draws; the last batch too."""
    resident = trained(feed.to_device(digits, CPU), **settings)
    no_room(monkeypatch)
    data = feed.to_device(digits, CPU)
    assert isinstance(data.train, feed.Streamed)
    assert "read from disk while training" in data.streamed
    monkeypatch.setattr(devices, "available_bytes", lambda device: 2**34)  # for the batch itself
    assert equal(resident, trained(data, **settings))


def test_a_set_that_fits_is_not_streamed(digits):
    """And nothing is said."""
    data = feed.to_device(digits, CPU)
    assert isinstance(data.train, feed.Images)
    assert data.streamed == ""


@pytest.mark.soak
def test_a_given_up_epoch_leaves_nothing_behind(digits, monkeypatch):
    """A trial that fails in mid-epoch, and the next one of the process: it sees its own images."""
    fresh = trained(feed.to_device(digits, CPU))
    no_room(monkeypatch)
    data = feed.to_device(digits, CPU)
    monkeypatch.undo()
    run = train.Training(knobs.configure(SETTINGS, {}), data, CPU, seed=9)
    steps = []

    def fails(index):
        steps.append(index)
        if len(steps) == 4:
            raise RuntimeError("in the middle")
        return plain(index)

    plain, run._step = run._step, fails
    with pytest.raises(RuntimeError, match="in the middle"):
        run.epoch()
    assert equal(fresh, trained(data))


def test_the_next_batch_is_read_while_one_is_used(digits, monkeypatch):
    """By a thread; never more than one ahead, and never into what is in use."""
    no_room(monkeypatch)
    images = feed.to_device(digits, CPU).train
    read, allowed = [], threading.Semaphore(0)
    take = np.take

    def watched(*args, **kwargs):
        read.append(threading.current_thread().name)
        allowed.release()
        return take(*args, **kwargs)

    monkeypatch.setattr(np, "take", watched)
    batches = list(torch.split(torch.arange(40), 10))
    images.plan(batches)
    for number, index in enumerate(batches, 1):
        images.advance()
        here = images.planned(index)[0].clone()
        for _ in range(2 if number == 1 else 1):  # the one after it is on its way
            number < len(batches) and allowed.acquire(timeout=60)
        assert len(read) == min(number + 1, len(batches))
        np.testing.assert_array_equal(images.planned(index)[0], here)
        np.testing.assert_array_equal(here, digits.train.images[index.numpy()])
    assert all(name.startswith("reader") for name in read)


def test_an_error_of_the_disk_reaches_the_trial(digits, monkeypatch):
    """It is raised where the batch is due."""
    no_room(monkeypatch)
    images = feed.to_device(digits, CPU).train

    def broken(*args, **kwargs):
        raise OSError("the disk is gone")

    monkeypatch.setattr(np, "take", broken)
    images.plan([torch.arange(5)])
    with pytest.raises(OSError, match="the disk is gone"):
        images.advance()


def test_a_graph_is_fed_before_each_step():
    """Eager steps of the warm-up and replays alike: as many batches as steps, each in time."""
    weight = torch.nn.Parameter(torch.zeros(1))
    steps = graph.GraphedSteps(torch.optim.SGD([weight], lr=torch.tensor(0.1)), (5, 2))
    told = []

    def step(index):
        told.append("step")
        return torch.zeros(()), torch.zeros(())

    order = torch.arange(10).view(5, 2)
    steps.run(step, order, torch.zeros(5), lambda: told.append("ahead"))
    assert told == ["ahead", "step"] * 5


def test_prepare_tells_it_and_reserves_no_room_for_the_images(monkeypatch):
    """The arithmetic stands among the notes of the data."""
    gpu = {"visible": ["0"], "memory_bytes": 2**31}
    monkeypatch.setattr(devices, "gpus", lambda place: dict(gpu))
    settings = {"dataset": "digits", "network": "simple_cnn"}
    fits = prepare.prepare(settings, "cpu")
    gpu["memory_bytes"] = 100_000
    streamed = prepare.prepare(settings, "cpu")
    assert "notes" not in fits["data"]
    assert streamed["data"]["notes"][-1].startswith("1,527 images of 1 x 8 x 8 bytes are 0.0 GB")
    assert fits["device"]["worker_bytes"] != streamed["device"]["worker_bytes"]


def test_images_are_decoded_into_a_file_where_memory_has_no_room(tmp_path, monkeypatch):
    """Of another size, and from an npz; equal to what memory would have held, and no file left."""
    rng = np.random.default_rng(0)
    arrays = {
        f"{part}_images": rng.integers(0, 256, (count, 6, 6, 3), np.uint8)
        for part, count in (("train", 300), ("val", 20), ("test", 30))
    }
    arrays |= {
        name.replace("images", "labels"): rng.integers(0, 2, (len(some), 1))
        for name, some in arrays.items()
    }
    np.savez_compressed(tmp_path / "own.npz", **arrays)
    plain = npz.arrays(str(tmp_path / "own.npz"))
    digits = store.stored("digits", None, lambda: datasets.SOURCES["digits"].decode([], tmp_path))
    small = resizing.resized("digits", digits, 5, "crop", None)
    no_room(monkeypatch)
    mapped = npz.arrays(str(tmp_path / "own.npz"))
    assert isinstance(mapped.train_images.base, np.memmap)
    assert store.fingerprint(mapped) == store.fingerprint(plain)
    np.testing.assert_array_equal(
        plain.train_images.transpose(0, 2, 3, 1)[300:], arrays["val_images"]
    )
    assert store.fingerprint(
        resizing.resized("digits", digits, 5, "crop", None)
    ) == store.fingerprint(small)
    assert [one.name for one in (tmp_path / "cache").iterdir()] == [store.LAYOUT]


def test_an_array_stored_by_columns_is_read(tmp_path):
    """As Fortran and MATLAB have it."""
    images = np.asfortranarray(np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4))
    labels = np.array([0, 1])
    np.savez(
        tmp_path / "own.npz",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
    )
    found = npz.arrays(str(tmp_path / "own.npz"))
    np.testing.assert_array_equal(found.train_images[:, 0], images)


def test_an_array_that_ends_too_soon_is_told(tmp_path):
    """In one line."""
    file = tmp_path / "own.npz"
    labels, images = np.array([0, 1]), np.zeros((2, 3, 4), np.uint8)
    with zipfile.ZipFile(file, "w") as archive:
        for part in ("train", "test"):
            for name, array in (("labels", labels), ("images", images)):
                content = io.BytesIO()
                np.save(content, array)
                short = content.getvalue()[: -5 if name == "images" else None]
                archive.writestr(f"{part}_{name}.npy", short)
    with pytest.raises(
        ValueError, match=r"own.npz: cannot be read as npz \(train_images ends after 0 of"
    ):
        npz.arrays(str(file))


def test_a_disk_without_room_is_told_before_anything_is_decoded(monkeypatch):
    """With the arithmetic, and what to do."""
    no_room(monkeypatch)
    words = r"2 x 4,000,000 x 9,999 x 9,999 x 3 bytes = .* GB of disk are needed .* OPTSEARCH_DATA"
    with pytest.raises(OSError, match=words):
        store.blank("folder:photos", 4_000_000, (9999, 9999, 3), None)


SCRIPT = """
import json, resource, sys
import numpy as np, torch
from objectives import datasets, device, feed, knobs, store, train
torch.set_num_threads(1)
settings = dict(dataset="folder:photos", image_size=224, network="./tiny.py:build", epochs=1,
                batch_size=16, precision="float32")
limit = int(sys.argv[1])
train.Training(knobs.configure(settings | {"dataset": "digits", "image_size": None}, {}),
               feed.to_device(datasets.load("digits"), torch.device("cpu")),
               torch.device("cpu"), 0).epoch()  # what torch needs once
used = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + limit, used + limit))
for module in (device, store):
    module.host_bytes = lambda *_: limit
device.MEMORY["cpu"] = lambda _: limit
data = feed.to_device(datasets.load("folder:photos", image_size=224), torch.device("cpu"))
run = train.Training(knobs.configure(settings, {}), data, torch.device("cpu"), 0)
print(json.dumps({"row": run.epoch(), "streamed": data.streamed}))
"""
TINY = """
from torch import nn
def build(classes):
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.LazyLinear(classes))
"""


@pytest.mark.soak
def test_photos_larger_than_the_memory_train(tmp_path):
    """800 of them, 120 MB decoded, in a process that may take 80 MB more than torch itself."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in range(2):
        folder = tmp_path / "photos" / "ab"[label]
        folder.mkdir(parents=True)
        for i in range(400):
            small = rng.integers(0, 256, (14, 14, 3), np.uint8)
            Image.fromarray(small).resize((256, 240)).save(folder / f"{i}.jpg")
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "run.py").write_text(SCRIPT)
    assert resource.RLIMIT_DATA
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "run.py", str(80 * 10**6)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["row"]["loss"] > 0
    assert told["streamed"].startswith("680 images of 3 x 224 x 224 bytes are 0.1 GB")


def bytes_read():
    """What this process has had read from a disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux tells")
def test_of_a_cold_file_little_but_the_batch_is_read(tmp_path):
    """Reading ahead at each fault reads twenty times as much, where images are shuffled."""
    path, shape = tmp_path / "images", (300, 224, 224, 3)
    np.memmap(path, np.uint8, "w+", shape=shape)[:] = 1
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    images = np.memmap(path, np.uint8, "r", shape=shape)
    rows = np.arange(7, 300, 40)
    split = feed.Images(torch.from_numpy(images), torch.zeros(300, dtype=torch.int64))
    lane = streaming._Lane(split, CPU, len(rows))
    before = bytes_read()
    lane.start([torch.from_numpy(rows)])
    lane.advance()
    taken = bytes_read() - before
    assert (lane.brought == 1).all()
    if not taken:
        pytest.skip("this file system counts no bytes")
    assert taken < 2 * len(rows) * images[0].nbytes
