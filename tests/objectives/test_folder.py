"""Rules of a user's own images: any picture, one shape, every bad folder named."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectives import datasets, decoding, store

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPTSEARCH_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forbid(*args: object) -> Any:
    raise AssertionError("must not be called")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three training and two test images of two classes, 6 wide and 5 high, each of one colour."""
    root = tmp_path / "photos"
    for part, count in (("train", 3), ("test", 2)):
        for label, kind in enumerate(("cat", "dog")):
            for i in range(count):
                paint(root / part / kind / f"{i}.png", (100 * label, 10 * i, 7))
    return root


def paint(
    path: Path, colour: object = (1, 2, 3), size: tuple[int, int] = (6, 5), mode: str = "RGB"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


def load(root: Path, **options: Any) -> datasets.Dataset:
    return datasets.load(f"folder:{root}", **{"validation": 0.34, **options})


def test_a_folder_is_a_data_set(photos: Path) -> None:
    """Classes are folder names in order; pixels are those of the files; hidden files are passed."""
    (photos / "train" / "cat" / ".DS_Store").write_text("")
    (photos / "train" / "cat" / "Thumbs.db").write_text("")
    (photos / "train" / "notes.txt").write_text("")
    data, test = load(photos), datasets.load_test(f"folder:{photos}")
    assert data.classes == ("cat", "dog")
    assert data.scale == 255
    assert [len(data.train.labels), len(data.validation.labels)] == [4, 2]
    assert test.images.shape == (4, 3, 5, 6)
    assert test.labels.tolist() == [0, 0, 1, 1]
    assert test.images[:, :, 2, 2].tolist() == [[0, 0, 7], [0, 10, 7], [100, 0, 7], [100, 10, 7]]


def test_a_given_validation_set_is_used_as_it_is(photos: Path) -> None:
    """Its images validate, whatever the seed; a fraction beside it would do nothing: refused."""
    for label, kind in enumerate(("cat", "dog")):
        paint(photos / "valid" / kind / "0.png", (100 * label, 77, 7))
    data = load(photos, validation=None)
    assert data.validation.images[:, 1, 0, 0].tolist() == [77, 77]
    assert data.validation.labels.tolist() == [0, 1]
    assert len(data.train.labels) == 6
    about = datasets.describe(f"folder:{photos}")
    assert (about["n_train"], about["n_validation"], about["n_test"]) == (6, 2, 4)
    for name, value in (("validation", 0.2), ("split_seed", 1)):
        with pytest.raises(ValueError, match=rf"settings.{name} {value}: .* brings 2 validation"):
            load(photos, **{"validation": None, name: value})
    assert datasets.resolved_validation(f"folder:{photos}", None) is None
    (photos / "valid").rename(photos / "more")
    assert datasets.describe(f"folder:{photos}")["fingerprint"] != about["fingerprint"]
    assert datasets.resolved_validation(f"folder:{photos}", None) == 0.1


def test_a_folder_a_class_is_parted_in_three(photos: Path) -> None:
    """Each class in each part, no image in two; the test set is the same for every seed."""
    root = photos.joinpath("train").rename(photos.parent / "flat")
    one, two = load(root), load(root, split_seed=1)
    test = datasets.load_test(f"folder:{root}")
    parts = [one.train.images, one.validation.images, test.images]
    colours = {tuple(image[:, 0, 0]) for part in parts for image in part}
    assert len(colours) == sum(map(len, parts)) == 6
    assert one.fingerprint == two.fingerprint
    for labels in (one.train.labels, one.validation.labels, test.labels):
        assert sorted(labels) == [0, 1]


def test_an_unchanged_folder_is_decoded_once(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed one anew, and the old copy is dropped."""
    before = load(photos).fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode", forbid)
        assert load(photos).fingerprint == before
    paint(photos / "train" / "cat" / "0.png", (9, 9, 9))
    assert load(photos).fingerprint != before
    assert len([path for path in (cache / store.LAYOUT).iterdir() if path.is_dir()]) == 1


def test_gray_images_have_one_channel_unless_one_is_coloured(tmp_path: Path) -> None:
    """All gray: one channel. The first gray and another coloured: three."""
    for part in ("train", "test"):
        for kind in "ab":
            for i in range(3):
                paint(tmp_path / part / kind / f"{i}.png", 50 + i, mode="L")
    assert load(tmp_path).train.images.shape[1] == 1
    paint(tmp_path / "test" / "b" / "2.png", (10, 20, 30))
    images = datasets.load_test(f"folder:{tmp_path}").images
    assert images[0, :, 0, 0].tolist() == [50, 50, 50]
    assert images[-1, :, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (1, 2, 3, 255), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [255, 255, 255]),
        ("P", 0, [0, 0, 0]),
        ("CMYK", (0, 0, 0, 255), [0, 0, 0]),
        ("LA", (9, 0), [255, 255, 255]),
        ("LA", (9, 255), [9, 9, 9]),
        ("I;16", 256 * 177, [177, 177, 177]),
    ],
)
def test_every_kind_of_image_becomes_rgb(
    photos: Path, mode: str, colour: object, expected: list[int]
) -> None:
    """Transparency, palettes, print colours and 16-bit gray, among colour images."""
    paint(photos / "test" / "cat" / "0.tiff", colour, mode=mode)
    images = datasets.load_test(f"folder:{photos}").images
    assert images[1, :, 0, 0].tolist() == expected  # after 0.png


def test_image_size_covers_a_square_and_keeps_the_centre(photos: Path) -> None:
    """Different sizes become one; nothing is squeezed: the sides are cut off."""
    wide = Image.new("RGB", (40, 10), (255, 0, 0))
    wide.paste((0, 0, 255), (15, 0, 25, 10))
    wide.save(photos / "test" / "cat" / "0.png")
    images = datasets.load_test(f"folder:{photos}", image_size=10).images
    assert images.shape == (4, 3, 10, 10)
    assert (images[0].transpose(1, 2, 0) == (0, 0, 255)).all()


def test_jpegs_are_decoded_as_pil_does(photos: Path) -> None:
    """Bit for bit."""
    pixels = RANDOM.integers(0, 256, (5, 6, 3)).astype(np.uint8)
    path = photos / "test" / "cat" / "0.jpg"
    Image.fromarray(pixels).save(path)
    expected = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(datasets.load_test(f"folder:{photos}").images[0], expected)


def test_sizes_that_differ_ask_for_image_size(photos: Path) -> None:
    """Both files are named with their sizes."""
    paint(photos / "train" / "dog" / "1.png", size=(9, 4))
    message = r"train/cat/0\.png is 6x5, train/dog/1\.png is 9x4\); set settings\.image_size"
    with pytest.raises(ValueError, match=message):
        load(photos)
    assert load(photos, image_size=4).train.images.shape[1:] == (3, 4, 4)


@pytest.mark.parametrize("damage", ["text", "truncated", "empty", "first"])
def test_an_unreadable_image_is_named(photos: Path, damage: str) -> None:
    """Whatever is wrong with it, with the reason."""
    name = "cat/0.png" if damage == "first" else "dog/1.jpg"
    file = paint(photos / "train" / name, size=(60, 50))
    content = {"text": b"no image", "empty": b"", "first": b"?"}
    file.write_bytes(content.get(damage, file.read_bytes()[:-40]))
    with pytest.raises(ValueError, match=rf"1 of 1[01] files cannot be read:\n  train/{name}: \w"):
        load(photos, image_size=8)


def test_a_folder_that_is_no_data_set_is_refused(photos: Path, tmp_path: Path) -> None:
    """No such folder, no test/, an empty class, unequal classes, one class: each in its words."""
    with pytest.raises(
        ValueError, match=r"nowhere: there is no such folder; images belong in train/CLASS/"
    ):
        load(tmp_path / "nowhere")
    (photos / "train" / "fox").mkdir()
    with pytest.raises(ValueError, match=r"class folder train/fox is empty"):
        load(photos)
    paint(photos / "train" / "fox" / "0.png")
    with pytest.raises(ValueError, match=r"class 'fox' is in train/ but not in test/"):
        load(photos)
    (photos / "train" / "fox" / "0.png").unlink()
    (photos / "train" / "fox").rmdir()
    for part in ("train", "test"):
        (photos / part / "dog").rename(photos / f"{part}-dog")
    with pytest.raises(ValueError, match=r"train/ holds 1 class folder\(s\) \(cat\), at least two"):
        load(photos)


def test_a_class_of_one_image_is_refused(photos: Path) -> None:
    """It cannot both train and validate; the class is named."""
    for i in (1, 2):
        (photos / "train" / "cat" / f"{i}.png").unlink()
    for ask in (load, lambda root: datasets.describe(f"folder:{root}")):
        with pytest.raises(ValueError, match=r"class 'cat' has one training image; two are the"):
            ask(photos)


@pytest.mark.parametrize("count", range(2, 10))
def test_two_images_of_a_class_are_enough(tmp_path: Path, count: int) -> None:
    """One at least is held out and one kept, whatever the fraction; the count is told truly."""
    for kind, n in (("large", 30), ("rare", count)):
        for i in range(n):
            paint(tmp_path / "train" / kind / f"{i}.png", (i, n, 0))
        paint(tmp_path / "test" / kind / "0.png", (0, 0, n))
    for validation in (None, 0.01, 0.34, 0.99):
        data = load(tmp_path, validation=validation)
        assert set(data.train.labels) == set(data.validation.labels) == {0, 1}
        about = datasets.describe(f"folder:{tmp_path}", validation=validation)
        assert about["n_validation"] == len(data.validation.labels)
        assert about["n_train"] == len(data.train.labels)


def test_a_split_that_grows_for_small_classes_is_told(photos: Path) -> None:
    """Of six images of two classes a tenth is one; two are held out."""
    about = datasets.describe(f"folder:{photos}")
    assert about["n_validation"] == 2
    assert any("validation 0.1 of 6 training images is 1; 2 are" in one for one in about["notes"])


def test_the_majority_is_that_of_the_validation_split(tmp_path: Path) -> None:
    """What a network scores that always says the same."""
    for part in ("train", "test"):
        for kind, n in (("few", 5), ("many", 95)):
            for i in range(n):
                paint(tmp_path / part / kind / f"{i}.png", (i, n, len(part)))
    about = datasets.describe(f"folder:{tmp_path}", validation=0.2)
    assert about["majority"] == {"class": "many", "share": 0.95}


def test_a_folder_that_does_not_fit_in_memory_is_decoded_into_a_file(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same pixels."""
    fits = load(photos)
    shutil.rmtree(os.environ["OPTSEARCH_DATA"])
    monkeypatch.setattr(store, "host_bytes", lambda: 899)
    assert load(photos).fingerprint == fits.fingerprint


def test_32_bit_pixels_are_refused(photos: Path) -> None:
    """Their range is unknown: guessing it would train on something else."""
    paint(photos / "test" / "cat" / "0.tiff", 0.5, mode="F")
    with pytest.raises(ValueError, match=r"test/cat/0\.tiff: 32-bit pixels"):
        load(photos)


def test_photos_are_decoded_by_as_many_threads_as_there_are_cores_to_use(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container those of its quota, not of the host."""
    asked: list[int] = []

    class Counted(ThreadPoolExecutor):
        def __init__(self, most: int) -> None:
            asked.append(most)
            super().__init__(most)

    monkeypatch.setattr(decoding.cgroups, "cores", lambda: 3)
    monkeypatch.setattr(decoding, "THUMBNAIL_BYTES", 0)
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", Counted)
    load(photos)
    assert set(asked) == {3}
