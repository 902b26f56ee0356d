"""The published archives: found on disk or downloaded, verified by checksum, decoded to arrays."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from objectives.store import Arrays

DOWNLOAD_TIMEOUT_S = 20  # without an answer; a network that swallows packets must not hang a study


@dataclass(frozen=True)
class Archive:
    """One published file; the checksum is torchvision's. content_md5 is that of the unpacked bytes,
    by which a file that was packed anew is known as well."""

    name: str
    size: int
    md5: str
    content_md5: str | None = None


@dataclass(frozen=True)
class Published:
    """One data set: its files, whence they come, where beside torchvision's layout they may lie."""

    archives: tuple[Archive, ...]
    mirrors: tuple[str, ...]
    folders: tuple[str, ...]  # below a data folder, in order; a download goes into the first


CIFAR10 = Published(
    (Archive("cifar-10-python.tar.gz", 170498071, "c58f30108f718f92721af3b95e74349a"),),
    ("https://www.cs.toronto.edu/~kriz/",),
    ("", "cifar10", "CIFAR10"),
)
CIFAR100 = Published(
    (Archive("cifar-100-python.tar.gz", 169001437, "eb9058c3a382ffc7106e4002c42a8d85"),),
    ("https://www.cs.toronto.edu/~kriz/",),
    ("", "cifar100", "CIFAR100"),
)
MNIST = Published(
    (
        Archive(
            "train-images-idx3-ubyte.gz",
            9912422,
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "6bbc9ace898e44ae57da46a324031adb",
        ),
        Archive(
            "train-labels-idx1-ubyte.gz",
            28881,
            "d53e105ee54ea40749a09fcbcd1e9432",
            "a25bea736e30d166cdddb491f175f624",
        ),
        Archive(
            "t10k-images-idx3-ubyte.gz",
            1648877,
            "9fb629c4189551a2d022fa330f9573f3",
            "2646ac647ad5339dbf082846283269ea",
        ),
        Archive(
            "t10k-labels-idx1-ubyte.gz",
            4542,
            "ec29112dd5afa0611ce80d1b7f02629c",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    ("https://ossci-datasets.s3.amazonaws.com/mnist/",),
    ("MNIST/raw", "mnist", ""),
)
FASHION_MNIST = Published(
    (
        Archive("train-images-idx3-ubyte.gz", 26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Archive("train-labels-idx1-ubyte.gz", 29515, "25c81989df183df01b3e8a0aad5dffbe"),
        Archive("t10k-images-idx3-ubyte.gz", 4422102, "bef4ecab320f06d8554ea6380940ec79"),
        Archive("t10k-labels-idx1-ubyte.gz", 5148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    ("FashionMNIST/raw", "fashion_mnist"),
)
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def mnist(places: list[Path], home: Path) -> Arrays:
    """MNIST: 60,000 + 10,000 gray images, 28x28."""
    return _idx_set("mnist", MNIST, tuple(map(str, range(10))), places, home)


def fashion_mnist(places: list[Path], home: Path) -> Arrays:
    """Fashion-MNIST: 60,000 + 10,000 gray images, 28x28."""
    return _idx_set("fashion_mnist", FASHION_MNIST, FASHION_CLASSES, places, home)


def cifar10(places: list[Path], home: Path) -> Arrays:
    """CIFAR-10: 50,000 + 10,000 colour images, 32x32."""
    train = [f"data_batch_{i}" for i in range(1, 6)]
    return _cifar("cifar10", CIFAR10, train, ["test_batch"], "batches.meta", "", places, home)


def cifar100(places: list[Path], home: Path) -> Arrays:
    """CIFAR-100: 50,000 + 10,000 colour images, 32x32, in its 100 fine classes."""
    return _cifar("cifar100", CIFAR100, ["train"], ["test"], "meta", "fine_", places, home)


def _idx_set(
    dataset: str, published: Published, classes: tuple[str, ...], places: list[Path], home: Path
) -> Arrays:
    found = [_found(dataset, published, i, places, home) for i in range(4)]
    arrays = [_idx(gzip.decompress(file.read_bytes())) for file in found]
    images = [array[:, None] for array in arrays[0::2]]
    labels = [array.astype(np.int64) for array in arrays[1::2]]
    return Arrays(images[0], labels[0], images[1], labels[1], classes)


def _idx(content: bytes) -> np.ndarray:
    """Parse an idx file of unsigned bytes: magic 0, 0, 8, rank, then the sizes, then the data."""
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _cifar(
    dataset: str,
    published: Published,
    train: list[str],
    test: list[str],
    meta: str,
    fine: str,
    places: list[Path],
    home: Path,
) -> Arrays:
    file = _found(dataset, published, 0, places, home)
    members: dict[str, Any] = {}
    with tarfile.open(file) as archive:
        for member in archive:
            if (name := Path(member.name).name) in (*train, *test, meta):
                content = archive.extractfile(member)
                assert content is not None
                members[name] = _Plain(io.BytesIO(content.read()), encoding="latin1").load()

    def images(parts: list[str]) -> np.ndarray:
        return np.concatenate([members[part]["data"] for part in parts]).reshape(-1, 3, 32, 32)

    def labels(parts: list[str]) -> np.ndarray:
        return np.concatenate([members[part][f"{fine}labels"] for part in parts]).astype(np.int64)

    classes = tuple(members[meta][f"{fine}label_names"])
    return Arrays(images(train), labels(train), images(test), labels(test), classes)


class _Plain(pickle.Unpickler):
    """An unpickler that builds NumPy arrays and nothing else, whatever the file asks for."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            "_reconstruct": np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
            "ndarray": np.ndarray,
            "dtype": np.dtype,
            "encode": lambda text, encoding: text.encode(encoding),  # how protocol 2 writes bytes
        }
        if module.split(".")[0] in ("numpy", "_codecs") and name in allowed:
            return allowed[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in an image archive")


def _found(dataset: str, published: Published, index: int, places: list[Path], home: Path) -> Path:
    """The path of a verified file: in the first place that has it, else downloaded into home.

    Raises ValueError for a truncated or foreign file, OSError for a failed download.
    """
    archive = published.archives[index]
    for place in places:
        for folder in published.folders:
            file = place / folder / archive.name
            if file.is_file():
                _verify(dataset, file, archive)
                return file
    return _downloaded(dataset, published, archive, home / published.folders[0])


def _verify(dataset: str, file: Path, archive: Archive) -> None:
    size = file.stat().st_size
    if size == archive.size and _md5(file.open("rb")) == archive.md5:
        return
    if archive.content_md5 and _content_md5(file) == archive.content_md5:
        return
    raise ValueError(
        f"{dataset}: {file} is truncated or another file ({size:,} bytes; expected "
        f"{archive.size:,} bytes, md5 {archive.md5}); remove it to download it again, "
        "or put the right one there"
    )


def _md5(file: Any) -> str:
    with file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _content_md5(file: Path) -> str | None:
    """The md5 of what a gzip file unpacks to; None where it is broken."""
    try:
        return _md5(gzip.open(file))
    except (OSError, EOFError, zlib.error):
        return None


def _downloaded(dataset: str, published: Published, archive: Archive, folder: Path) -> Path:
    """Download through torchvision, which verifies the checksum; no half file is left."""
    from torchvision.datasets.utils import download_url

    target, problems = folder / archive.name, []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="download.") as beside, _impatient():
        for mirror in published.mirrors:
            try:
                download_url(mirror + archive.name, beside, md5=archive.md5)
            except (OSError, RuntimeError) as error:  # RuntimeError: its word for a wrong checksum
                problems.append(f"{mirror}{archive.name}: {error}")
                continue
            (Path(beside) / archive.name).replace(target)
            return target
    names = " and ".join(one.name for one in published.archives)
    raise OSError(
        f"cannot download {dataset} ({'; '.join(problems)}); put {names} into {folder} by hand, "
        "or use your own images with dataset folder:PATH"
    )


@contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
