"""Rules of the decoded copy: made once, whole or not at all, where one may write."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectives import datasets, store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forbid(*args: object) -> Any:
    raise AssertionError("must not be called")


def test_a_second_start_decodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoded arrays are mapped, read-only."""
    first = datasets.load("digits")
    monkeypatch.setitem(
        datasets.SOURCES, "digits", replace(datasets.SOURCES["digits"], decode=forbid)
    )
    second = datasets.load("digits")
    np.testing.assert_array_equal(first.train.images, second.train.images)
    images = datasets.load_test("digits").images
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


@pytest.mark.soak
def test_a_start_imports_no_slow_library(cache: Path) -> None:
    """digits and our own networks start without torchvision, scikit-learn, SciPy and PIL."""
    code = (
        "import sys; from objectives import augment, datasets, device, networks\n"
        "datasets.load('digits'); networks.build('digits_cnn', classes=10, shape=(1, 8, 8))\n"
        "slow = {'torchvision', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _start(log: Path, decode: Callable[..., store.Arrays]) -> None:
    def counted(*args: object) -> store.Arrays:
        with log.open("a") as file:
            file.write("decoded\n")
        return decode(*args)

    datasets.SOURCES["digits"] = replace(datasets.SOURCES["digits"], decode=counted)
    assert len(datasets.load("digits").train.labels) == 1257


def test_of_workers_that_start_at_once_one_decodes(tmp_path: Path) -> None:
    """The others wait for it and read its arrays."""
    context, log = multiprocessing.get_context("fork"), tmp_path / "log"
    decode = datasets.SOURCES["digits"].decode
    workers = [context.Process(target=_start, args=(log, decode)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert log.read_text() == "decoded\n"


def test_a_failed_write_leaves_nothing_half(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up: no folder under the key, the next start decodes again."""

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match="No space left"):
            datasets.load("digits")
    assert [path for path in (cache / store.LAYOUT).iterdir() if path.is_dir()] == []
    assert len(datasets.load("digits").train.labels) == 1257


def test_a_read_only_data_folder_is_left_alone(cache: Path, tmp_path: Path) -> None:
    """The decoded copy goes into the cache folder instead."""
    (tmp_path / "shared").mkdir(mode=0o555)
    datasets.load("digits", data_dir=str(tmp_path / "shared"))
    assert list((tmp_path / "shared").iterdir()) == []
    assert (cache / store.LAYOUT / "digits" / "meta.json").exists()


def test_data_dir_holds_the_decoded_copy(cache: Path, tmp_path: Path) -> None:
    """A folder that is given and can be written is made and used."""
    datasets.load("digits", data_dir=str(tmp_path / "mine"))
    assert (tmp_path / "mine" / store.LAYOUT / "digits" / "meta.json").exists()
    assert not cache.exists()


def test_no_folder_to_write_to_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, before anything is decoded."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot write decoded data to .*; set OPTSEARCH_DATA or"):
        datasets.load("digits")


def test_images_that_fit_on_no_disk_are_refused_with_the_arithmetic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before they are made."""
    monkeypatch.setattr(store, "host_bytes", lambda: 2_000_000_000)
    with pytest.raises(
        OSError, match=r"2 x 1,797 x 99,999 x 99,999 x 1 bytes = .* GB of disk are needed"
    ):
        datasets.load("digits", image_size=99_999)


def test_what_has_nothing_to_tell_is_stored_as_ever(cache: Path) -> None:
    """An earlier version opens it, and this one what an earlier version wrote."""
    datasets.load("digits")
    meta = cache / store.LAYOUT / "digits" / "meta.json"
    assert set(json.loads(meta.read_text())) == {
        *("classes", "shape", "n_train", "n_test", "fingerprint"),
    }
    assert datasets.describe("digits")["n_test"] == 270
