"""Rules of the published archives: verified, decoded, every bad file named."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from objectives import archives, datasets

RANDOM = np.random.default_rng(0)
# Real files, where a machine has them.
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def packed_idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def known(name: str, content: bytes) -> archives.Archive:
    return archives.Archive(name, len(content), hashlib.md5(content).hexdigest())


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[np.ndarray]]:
    """Forty and twenty images in the layout of torchvision, with checksums of their own."""
    home = tmp_path / "data" / "MNIST" / "raw"
    home.mkdir(parents=True)
    arrays, rows = [], []
    for count, part in ((40, "train"), (20, "t10k")):
        arrays += [RANDOM.integers(0, 256, (count, 28, 28)), np.arange(count) % 10]
        names = (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
        for name, array in zip(names, arrays[-2:], strict=True):
            (home / name).write_bytes(packed_idx(array))
            rows.append(known(name, (home / name).read_bytes()))
    monkeypatch.setattr(archives, "MNIST", replace(archives.MNIST, archives=tuple(rows)))
    return home, arrays


def test_mnist_files_are_decoded(small_mnist: tuple[Path, list[np.ndarray]]) -> None:
    """Images and labels as they stand in the idx files, training images in order."""
    home, (images, labels, test_images, test_labels) = small_mnist
    data = datasets.load("mnist", data_dir=str(home.parents[1]), validation=0.25)
    test = datasets.load_test("mnist", data_dir=str(home.parents[1]))
    np.testing.assert_array_equal(test.images[:, 0], test_images)
    np.testing.assert_array_equal(test.labels, test_labels)
    assert [len(data.train.labels), len(data.validation.labels)] == [30, 10]
    where = [int(np.flatnonzero((images == one[0]).all((1, 2)))[0]) for one in data.train.images]
    assert where == sorted(where)
    np.testing.assert_array_equal(labels[where], data.train.labels)


@pytest.mark.soak
@pytest.mark.skipif(not (SHARED / "mnist").exists(), reason="the real MNIST is not here")
def test_the_real_mnist_is_read(tmp_path: Path) -> None:
    """Files packed anew have other checksums; their content is known all the same."""
    (tmp_path / "mnist").symlink_to(SHARED / "mnist")
    data = datasets.load("mnist", data_dir=str(tmp_path))
    assert data.train.images.shape == (54000, 1, 28, 28)
    assert data.validation.images.shape == (6000, 1, 28, 28)
    assert datasets.load_test("mnist", data_dir=str(tmp_path)).labels[:5].tolist() == [
        7,
        2,
        1,
        0,
        4,
    ]
    everything = np.concatenate([data.train.images, data.validation.images])
    assert everything.mean() / 255 == pytest.approx(0.1307, abs=1e-4)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "flipped"])
def test_a_damaged_archive_is_named(
    damage: str, small_mnist: tuple[Path, list[np.ndarray]]
) -> None:
    """With the checksum and size expected, and what to do; nothing is overwritten."""
    file = small_mnist[0] / "train-images-idx3-ubyte.gz"
    content = file.read_bytes()
    flipped = content[:50] + bytes([content[50] ^ 1]) + content[51:]
    bad = {"truncated": content[:-9], "foreign": b"<html>", "flipped": flipped}[damage]
    file.write_bytes(bad)
    row = archives.MNIST.archives[0]
    with pytest.raises(ValueError, match=rf"{file} is truncated or another .* md5 {row.md5}") as e:
        datasets.load("mnist", data_dir=str(file.parents[2]))
    assert f"{row.size:,} bytes" in str(e.value)
    assert "remove it" in str(e.value)
    assert file.read_bytes() == bad


def packed_cifar(members: dict[str, object]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            data = pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"cifar/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def batch(count: int, prefix: str = "") -> dict[str, object]:
    pixels = RANDOM.integers(0, 256, (count, 3072)).astype(np.uint8)
    return {"data": pixels, f"{prefix}labels": [i % 2 for i in range(count)]}


def place_cifar(home: Path, name: str, members: dict[str, object], patch: Any) -> None:
    content = packed_cifar(members)
    home.mkdir(parents=True, exist_ok=True)
    file = f"cifar-{name.removeprefix('cifar')}-python.tar.gz"
    (home / file).write_bytes(content)
    published = getattr(archives, name.upper())
    patch.setattr(archives, name.upper(), replace(published, archives=(known(file, content),)))


def test_cifar10_is_decoded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five training batches in their order, one test batch, names from the meta file."""
    members: dict[str, Any] = {f"data_batch_{i}": batch(4) for i in range(1, 6)}
    members |= {"test_batch": batch(6), "batches.meta": {"label_names": ["airplane", "truck"]}}
    place_cifar(cache, "cifar10", dict(reversed(members.items())), monkeypatch)
    data, test = datasets.load("cifar10", validation=0.2), datasets.load_test("cifar10")
    assert data.classes == ("airplane", "truck")
    assert data.train.images.shape == (16, 3, 32, 32)
    np.testing.assert_array_equal(test.images.reshape(6, -1), members["test_batch"]["data"])
    assert test.labels.tolist() == [0, 1] * 3
    first = data.train.images.reshape(16, -1)[0]
    assert any(np.array_equal(first, row) for row in members["data_batch_1"]["data"])


def test_cifar100_has_its_fine_classes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The coarse ones are left aside."""
    meta = {"fine_label_names": ["apple", "bee"], "coarse_label_names": ["food"]}
    members = {"train": batch(10, "fine_"), "test": batch(4, "fine_"), "meta": meta}
    place_cifar(cache, "cifar100", members, monkeypatch)
    assert datasets.load("cifar100", validation=0.5).classes == ("apple", "bee")


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 1",)


def test_an_archive_cannot_run_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its checksum: only NumPy arrays and plain values are unpickled."""
    place_cifar(cache, "cifar10", {"test_batch": _Evil()}, monkeypatch)
    with pytest.raises(pickle.UnpicklingError, match="has no place in an image archive"):
        datasets.load("cifar10")


@pytest.mark.soak
def test_checksums_and_names_are_torchvisions() -> None:
    """Our table adds sizes; the rest is its."""
    from torchvision import datasets as theirs

    for ours, cifar in ((archives.CIFAR10, theirs.CIFAR10), (archives.CIFAR100, theirs.CIFAR100)):
        (row,) = ours.archives
        assert (row.name, row.md5) == (cifar.filename, cifar.tgz_md5)
        assert ours.mirrors[0] + row.name == cifar.url
    pairs = ((archives.MNIST, theirs.MNIST), (archives.FASHION_MNIST, theirs.FashionMNIST))
    for published, mnist in pairs:
        rows = [(row.name, row.md5) for row in published.archives]
        assert rows == list(mnist.resources)
        assert set(published.mirrors) <= set(mnist.mirrors)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "mnist", "fashion_mnist"])
def test_without_a_network_the_error_says_where_to_put_which_file(
    dataset: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was tried, the file, the folder, and folder:PATH; no half download stays behind."""

    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(OSError, match=rf"cannot download {dataset} \(http.*Name or service") as e:
        datasets.load(dataset)
    published: archives.Published = getattr(archives, dataset.upper())
    assert f"into {cache / published.folders[0]}" in str(e.value)
    assert all(row.name in str(e.value) for row in published.archives)
    assert "folder:PATH" in str(e.value)
    assert "\n" not in str(e.value)
    assert [path for path in cache.rglob("*") if "download" in path.name] == []


def test_a_download_lands_whole_where_it_belongs(
    small_mnist: tuple[Path, list[np.ndarray]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched once through torchvision, checked, then found there."""
    home, asked = small_mnist[0], []

    def fetch(url: str, root: str, md5: str) -> None:
        asked.append(url)
        name = url.rpartition("/")[2]
        (Path(root) / name).write_bytes((home / name).read_bytes())

    monkeypatch.setattr("torchvision.datasets.utils.download_url", fetch)
    datasets.load("mnist", validation=0.25)
    assert len(asked) == 4
    assert len(list((cache / "MNIST" / "raw").glob("*.gz"))) == 4
